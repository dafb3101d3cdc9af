//! Where examples come from: readers by name, and the data sets they make.
//!
//! Bytes travel as bytes: a file of unsigned bytes feeds a `u8` field without conversion, and the device widens
//! it. Everything that can be wrong with a file is found while it is opened.

#[cfg(feature = "gpu")]
mod batches;
mod characters;
mod column;
mod csv;
mod dataset;
mod error;
mod file;
mod idx;
mod order;
mod safetensors;

use std::ops::Range;
use std::path::Path;

use nnc_wgsl::Element;

use crate::artifact::{Argument, Data, Field, Part};

#[cfg(feature = "gpu")]
pub use batches::{Batches, Feed};
pub use dataset::Dataset;
pub use error::DataError;
pub use order::permutation;
pub use safetensors::tensor_shapes;

use column::Column;

/// All columns of a part, whose relative paths start at the folder.
type Read = fn(&Part, &[Field], &Path) -> Result<Vec<Column>, DataError>;

/// For each field, whether its file holds unsigned bytes.
type BytesOnDisk = fn(&Part, &[Field], &Path) -> Result<Vec<bool>, DataError>;

/// A reader of data files.
struct Reader {
    name: &'static str,
    /// The named arguments it takes.
    arguments: &'static [&'static str],
    /// Whether training shuffles what it reads.
    shuffled: bool,
    read: Read,
    bytes_on_disk: BytesOnDisk,
}

const READERS: [Reader; 4] = [
    Reader {
        name: "characters",
        arguments: &["take"],
        shuffled: true,
        read: characters::read,
        bytes_on_disk: no_bytes,
    },
    Reader {
        name: "csv",
        arguments: &["columns", "group", "label", "series", "stride", "take", "window"],
        shuffled: true,
        read: csv::read,
        bytes_on_disk: no_bytes,
    },
    Reader {
        name: "idx",
        arguments: &["take"],
        shuffled: true,
        read: idx::read,
        bytes_on_disk: idx::bytes_on_disk,
    },
    Reader {
        name: "safetensors",
        arguments: &["take"],
        shuffled: false,
        read: safetensors::read,
        bytes_on_disk: safetensors::bytes_on_disk,
    },
];

/// Opens a part (`train`, `test`, `valid`); relative paths start at `base`.
///
/// # Errors
/// If the part or its reader does not exist, or a file is missing, damaged, or not what the fields say.
pub fn open(data: &Data, part: &str, base: &Path) -> Result<Dataset, DataError> {
    let part = find_part(data, part)?;
    open_part(part, &data.fields, base).map_err(|error| error.at(part.origin.as_ref()))
}

fn open_part(part: &Part, fields: &[Field], base: &Path) -> Result<Dataset, DataError> {
    let reader = find_reader(part)?;
    check_arguments(reader, part)?;
    let columns = (reader.read)(part, fields, base)?;
    let whole = Dataset::new(&part.name, columns.clone(), reader.shuffled)?;
    let take = part.options.iter().find(|(name, _)| name == "take");
    let Some((_, take)) = take.filter(|_| !csv::takes_groups(part)) else {
        return Ok(whole);
    };
    let range = taken(&part.reader, take, whole.examples())?;
    Dataset::new(&part.name, columns.iter().map(|c| c.take(range.clone())).collect(), reader.shuffled)
}

/// The element type that each field is best uploaded as: `U8` for a float field whose files hold unsigned
/// bytes in every part, its own otherwise. Only the headers of files are read.
///
/// # Errors
/// As [`open`], as far as headers show it.
pub fn stored_elements(data: &Data, base: &Path) -> Result<Vec<Element>, DataError> {
    let mut bytes = vec![!data.parts.is_empty(); data.fields.len()];
    for part in &data.parts {
        let on_disk = find_reader(part).and_then(|reader| (reader.bytes_on_disk)(part, &data.fields, base));
        let on_disk = on_disk.map_err(|error| error.at(part.origin.as_ref()))?;
        for (all, this) in bytes.iter_mut().zip(on_disk) {
            *all &= this;
        }
    }
    let fields = data.fields.iter().zip(bytes);
    Ok(fields
        .map(|(f, bytes)| if bytes && f.element == Element::F32 { Element::U8 } else { f.element })
        .collect())
}

/// Readers that make their numbers from text.
fn no_bytes(_part: &Part, fields: &[Field], _base: &Path) -> Result<Vec<bool>, DataError> {
    Ok(vec![false; fields.len()])
}

fn find_part<'a>(data: &'a Data, part: &str) -> Result<&'a Part, DataError> {
    data.parts.iter().find(|p| p.name == part).ok_or_else(|| DataError::NoPart {
        data: data.name.clone(),
        part: part.to_owned(),
        available: data.parts.iter().map(|p| p.name.clone()).collect(),
    })
}

fn find_reader(part: &Part) -> Result<&'static Reader, DataError> {
    READERS.iter().find(|r| r.name == part.reader).ok_or_else(|| DataError::NoReader {
        name: part.reader.clone(),
        available: READERS.iter().map(|r| r.name).collect(),
    })
}

/// What the part names must be arguments of its reader; `prepare` is what the compiler leaves to a reader.
fn check_arguments(reader: &Reader, part: &Part) -> Result<(), DataError> {
    let wrong = |what: String| Err(DataError::Argument { reader: reader.name.to_owned(), what });
    for (name, value) in &part.options {
        match (name.as_str(), value) {
            ("prepare", Argument::List(steps)) => {
                let text = |step: &Argument| match step {
                    Argument::Text(text) => format!("`{text}`"),
                    other => format!("{other:?}"),
                };
                let steps: Vec<String> = steps.iter().map(text).collect();
                return wrong(format!("it does not carry out {}; do that to the files", steps.join(", ")));
            }
            (name, _) if reader.arguments.contains(&name) => {}
            (name, _) => {
                let known = reader.arguments.join(", ");
                return wrong(format!("it has no argument `{name}`; it has: {known}"));
            }
        }
    }
    Ok(())
}

/// `take=0..0.9` is a part of all examples, `take=0..500` and `take=500` are numbers of them.
fn taken(reader: &str, take: &Argument, examples: usize) -> Result<Range<usize>, DataError> {
    let wrong = |what: String| DataError::Argument { reader: reader.to_owned(), what };
    let (low, high) = match take {
        Argument::Number(count) => (0.0, *count),
        Argument::Range(low, high) if *high <= 1.0 => (low * examples as f64, high * examples as f64),
        Argument::Range(low, high) => (*low, *high),
        Argument::Bool(_) | Argument::Text(_) | Argument::List(_) => {
            return Err(wrong("`take` is a range such as 0..0.9 or a number of examples".to_owned()));
        }
    };
    let (start, end) = (low.round(), high.round());
    if start < 0.0 || end < start || end > examples as f64 {
        return Err(wrong(format!("`take` asks for examples {start} to {end} of {examples}")));
    }
    Ok(start as usize..end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Location;

    #[test]
    fn a_source_names_its_place_and_what_its_reader_does_not_know() {
        let part = |options: Vec<(String, Argument)>| Part {
            name: "train".to_owned(),
            reader: "idx".to_owned(),
            paths: Vec::new(),
            options,
            origin: Some(Location { file: "model.nn".to_owned(), line: 7, column: 11 }),
        };
        let message = |name: &str, value| {
            let parts = vec![part(vec![(name.to_owned(), value)])];
            let data = Data { name: "points".to_owned(), fields: Vec::new(), parts };
            open(&data, "train", Path::new("")).unwrap_err().to_string()
        };
        let expected = "model.nn:7:11: `idx`: it has no argument `tkae`; it has: take";
        assert_eq!(message("tkae", Argument::Number(1.0)), expected);
        let steps = Argument::List(vec![Argument::Text("resize(64)".to_owned())]);
        let expected = "model.nn:7:11: `idx`: it does not carry out `resize(64)`; do that to the files";
        assert_eq!(message("prepare", steps), expected);
    }

    #[test]
    fn take_is_a_part_or_a_number() {
        let take = |argument| taken("idx", &argument, 1000);
        assert_eq!(take(Argument::Range(0.0, 0.9)).unwrap(), 0..900);
        assert_eq!(take(Argument::Range(0.9, 1.0)).unwrap(), 900..1000);
        assert_eq!(take(Argument::Range(10.0, 20.0)).unwrap(), 10..20);
        assert_eq!(take(Argument::Number(5.0)).unwrap(), 0..5);
        assert!(take(Argument::Number(1001.0)).is_err());
        assert!(take(Argument::Range(0.9, 0.1)).is_err());
        assert!(take(Argument::Bool(true)).is_err());
    }
}
