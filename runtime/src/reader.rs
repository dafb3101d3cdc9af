//! The readers of data files: their names, the files and the options that each takes.
//!
//! One table for two readers of it: the compiler, which says at the place in the model what is wrong with a source,
//! and `data`, which refuses the same in an artifact.

use crate::artifact::{Argument, Part};

/// A reader of data files.
#[derive(Debug)]
pub struct Reader {
    /// Its name in a model.
    pub name: &'static str,
    /// How many files it reads.
    pub files: Files,
    /// Whether training shuffles what it reads.
    pub shuffled: bool,
    /// Its named arguments.
    pub options: &'static [ReaderOption],
}

/// How many files a reader reads for a part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// One with all fields.
    One,
    /// One for each field, in their order.
    OnePerField,
}

/// A named argument of a reader.
#[derive(Debug)]
pub struct ReaderOption {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether the reader cannot do without.
    pub required: bool,
}

/// The values that an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A part of the examples: `0..0.9`, `100..200`, or the first `500`.
    Examples,
    /// The name of a column.
    Column,
    /// The name of a column, or a list of them.
    Columns,
    /// A number of rows, at least 1.
    Rows,
}

/// Every reader, by name.
pub const READERS: [Reader; 4] = [
    Reader { name: "characters", files: Files::One, shuffled: true, options: &[TAKE] },
    Reader {
        name: "csv",
        files: Files::One,
        shuffled: true,
        options: &[
            ReaderOption { name: "columns", takes: Takes::Columns, required: true },
            optional("label", Takes::Column),
            optional("window", Takes::Rows),
            optional("stride", Takes::Rows),
            optional("series", Takes::Column),
            optional("group", Takes::Column),
            TAKE,
        ],
    },
    Reader { name: "idx", files: Files::OnePerField, shuffled: true, options: &[TAKE] },
    Reader { name: "safetensors", files: Files::One, shuffled: false, options: &[TAKE] },
];

const TAKE: ReaderOption = optional("take", Takes::Examples);

const fn optional(name: &'static str, takes: Takes) -> ReaderOption {
    ReaderOption { name, takes, required: false }
}

/// The option of a part that lists what `prepare` and `augment` ask of the reader itself.
pub const PREPARE: &str = "prepare";

impl Reader {
    /// The reader of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Reader> {
        READERS.iter().find(|reader| reader.name == name)
    }

    /// The option of this name.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&'static ReaderOption> {
        self.options.iter().find(|option| option.name == name)
    }

    /// The options, for a message: `columns, label, take`.
    #[must_use]
    pub fn option_names(&self) -> String {
        self.options.iter().map(|option| option.name).collect::<Vec<_>>().join(", ")
    }

    /// Checks the files and the options of a part with so many fields.
    ///
    /// # Errors
    /// One sentence about the first that the reader does not take, or lacks.
    pub fn check(&self, part: &Part, fields: usize) -> Result<(), String> {
        for (place, (name, value)) in part.options.iter().enumerate() {
            if let (PREPARE, Argument::List(steps)) = (name.as_str(), value) {
                return Err(format!("it does not carry out {}; do that to the files", quoted(steps)));
            }
            let option = self
                .option(name)
                .ok_or_else(|| format!("it has no argument `{name}`; it has: {}", self.option_names()))?;
            if !option.takes.accepts(value) {
                return Err(format!("`{name}` is {}", option.takes.describe()));
            }
            if part.options[..place].iter().any(|(other, _)| other == name) {
                return Err(format!("`{name}` is given twice"));
            }
        }
        for option in self.options.iter().filter(|option| option.required) {
            if !part.options.iter().any(|(name, _)| name == option.name) {
                return Err(format!("`{}` is missing: {}", option.name, option.takes.describe()));
            }
        }
        self.files.check(part.paths.len(), fields)
    }
}

impl Files {
    /// Checks the number of files given for so many fields.
    ///
    /// # Errors
    /// One sentence that names both numbers.
    pub fn check(self, files: usize, fields: usize) -> Result<(), String> {
        match self {
            Files::One if files != 1 => Err(format!("it takes one file, not {files}")),
            Files::OnePerField if files != fields => {
                Err(format!("it takes one file for each field: {fields}, not {files}"))
            }
            Files::One | Files::OnePerField => Ok(()),
        }
    }
}

impl Takes {
    /// Whether the value is one of these.
    #[must_use]
    pub fn accepts(self, value: &Argument) -> bool {
        match (self, value) {
            (Takes::Examples, Argument::Range(low, high)) => {
                let of_all = *high <= 1.0;
                0.0 <= *low && low < high && (of_all || low.fract() == 0.0 && high.fract() == 0.0)
            }
            (Takes::Examples | Takes::Rows, Argument::Number(n)) => *n >= 1.0 && n.fract() == 0.0,
            (Takes::Column | Takes::Columns, Argument::Text(_)) => true,
            (Takes::Columns, Argument::List(items)) => {
                !items.is_empty() && items.iter().all(|item| matches!(item, Argument::Text(_)))
            }
            _ => false,
        }
    }

    /// What is to be written.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Takes::Examples => "a range such as 0..0.9 or a number of examples",
            Takes::Column => "the name of a column",
            Takes::Columns => "a list of names, such as [\"x\", \"y\"]",
            Takes::Rows => "a number of rows, from 1 on",
        }
    }
}

fn quoted(steps: &[Argument]) -> String {
    let texts = steps.iter().filter_map(|step| match step {
        Argument::Text(text) => Some(format!("`{text}`")),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(reader: &str, paths: usize, options: &[(&str, Argument)]) -> Result<(), String> {
        let part = Part {
            name: "train".to_owned(),
            reader: reader.to_owned(),
            paths: vec!["file".to_owned(); paths],
            options: options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            origin: None,
        };
        Reader::named(reader).unwrap().check(&part, 2)
    }

    #[test]
    fn what_a_reader_does_not_take_is_said() {
        let text = || Argument::Text("x".to_owned());
        let refused = |reader: &str, paths, options: &[(&str, Argument)], part: &str| {
            let message = checked(reader, paths, options).unwrap_err();
            assert!(message.contains(part), "{message}");
        };
        refused("idx", 2, &[("tke", Argument::Range(0.0, 0.5))], "no argument `tke`; it has: take");
        refused("idx", 2, &[("take", text())], "`take` is a range");
        refused("idx", 2, &[("take", Argument::Range(0.9, 0.1))], "`take` is a range");
        refused("idx", 2, &[("take", Argument::Number(0.5))], "`take` is a range");
        refused("idx", 2, &[("take", Argument::Range(0.0, 1.5))], "`take` is a range");
        refused("idx", 1, &[], "one file for each field: 2, not 1");
        refused("csv", 1, &[], "`columns` is missing");
        refused("csv", 1, &[("columns", Argument::List(vec![Argument::Number(1.0)]))], "a list of names");
        refused("csv", 1, &[("columns", text()), ("window", Argument::Number(0.0))], "a number of rows");
        refused("csv", 1, &[("columns", text()), ("columns", text())], "given twice");
        refused("csv", 2, &[("columns", text())], "one file, not 2");
        let steps = Argument::List(vec![Argument::Text("resize(17)".to_owned())]);
        refused("idx", 2, &[(PREPARE, steps)], "does not carry out `resize(17)`; do that to the files");
        checked("idx", 2, &[("take", Argument::Number(500.0))]).unwrap();
        checked("csv", 1, &[("columns", text()), ("label", text()), ("window", Argument::Number(9.0))])
            .unwrap();
    }
}
