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
    /// The steps of `prepare` and `augment` that it carries out on its first field: each takes a size in pixels.
    pub steps: &'static [&'static str],
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
    /// `"train"` or `"test"`.
    TrainOrTest,
}

/// Every reader, by name.
pub const READERS: [Reader; 6] = [
    Reader { name: "characters", files: Files::One, shuffled: true, options: &[TAKE], steps: &[] },
    Reader {
        name: "cifar10",
        files: Files::One,
        shuffled: true,
        options: &[optional("part", Takes::TrainOrTest), TAKE],
        steps: &[],
    },
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
        steps: &[],
    },
    Reader { name: "idx", files: Files::OnePerField, shuffled: true, options: &[TAKE], steps: &[] },
    Reader {
        name: "images",
        files: Files::One,
        shuffled: true,
        options: &[TAKE],
        steps: &["resize", "center_crop", "random_resized_crop", "letterbox"],
    },
    Reader { name: "safetensors", files: Files::One, shuffled: false, options: &[TAKE], steps: &[] },
];

const TAKE: ReaderOption = optional("take", Takes::Examples);

const fn optional(name: &'static str, takes: Takes) -> ReaderOption {
    ReaderOption { name, takes, required: false }
}

/// The option of a part that lists what `prepare` asks of the reader itself: for each step a list of the field, the
/// step's name and its arguments.
pub const PREPARE: &str = "prepare";

/// The same of `augment`, which comes after it while training.
pub const AUGMENT: &str = "augment";

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
            if [PREPARE, AUGMENT].contains(&name.as_str()) {
                self.check_steps(value)?;
                continue;
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

    fn check_steps(&self, steps: &Argument) -> Result<(), String> {
        let Argument::List(steps) = steps else { return Err("its steps are no list".to_owned()) };
        for step in steps {
            let Argument::List(step) = step else { return Err("a step of it is no list".to_owned()) };
            let [Argument::Text(_), Argument::Text(name), arguments @ ..] = step.as_slice() else {
                return Err("a step of it has no name".to_owned());
            };
            if !self.steps.contains(&name.as_str()) {
                return Err(format!("it does not carry out `{name}`; do that to the files"));
            }
            if !matches!(arguments, [Argument::Number(size)] if is_size(*size)) {
                return Err(format!("`{name}` takes a size in pixels, from 1 to {LARGEST}"));
            }
        }
        Ok(())
    }
}

/// The largest side that a step makes, in pixels.
pub const LARGEST: u32 = 16_384;

/// Whether a picture can have this side, in pixels.
#[must_use]
pub fn is_size(size: f64) -> bool {
    size >= 1.0 && size <= f64::from(LARGEST) && size.fract() == 0.0
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
            (Takes::TrainOrTest, Argument::Text(part)) => part == "train" || part == "test",
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
            Takes::TrainOrTest => "\"train\" or \"test\"",
        }
    }
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
        let steps = |name: &str, size| {
            let named = ["image", name].map(|text| Argument::Text(text.to_owned()));
            Argument::List(vec![Argument::List([named.to_vec(), vec![Argument::Number(size)]].concat())])
        };
        refused(
            "idx",
            2,
            &[(PREPARE, steps("resize", 17.0))],
            "does not carry out `resize`; do that to the files",
        );
        refused("images", 1, &[(AUGMENT, steps("jitter", 17.0))], "does not carry out `jitter`");
        refused("images", 1, &[(PREPARE, steps("resize", 0.5))], "takes a size in pixels, from 1 to 16384");
        refused("cifar10", 1, &[("part", text())], "`part` is \"train\" or \"test\"");
        checked("images", 1, &[(PREPARE, steps("resize", 17.0)), (AUGMENT, steps("letterbox", 17.0))])
            .unwrap();
        checked("idx", 2, &[("take", Argument::Number(500.0))]).unwrap();
        checked("csv", 1, &[("columns", text()), ("label", text()), ("window", Argument::Number(9.0))])
            .unwrap();
    }
}
