//! Where examples come from: readers by name, and the data sets they make.
//!
//! Bytes travel as bytes: a file of unsigned bytes feeds a `u8` field without conversion, and the device widens
//! it. Everything that can be wrong with a file is found while it is opened. The readers' names and options stand in
//! [`crate::reader`].

#[cfg(any(feature = "gpu", feature = "cpu"))]
mod batches;
mod characters;
mod cifar10;
mod column;
mod csv;
mod dataset;
mod error;
mod file;
mod idx;
mod image;
mod images;
mod order;
mod safetensors;

use std::ops::Range;
use std::path::Path;

use nnc_wgsl::Element;

use crate::artifact::{Argument, Data, Field, Part};
use crate::reader::{READERS, Reader, Takes};

#[cfg(any(feature = "gpu", feature = "cpu"))]
pub use batches::{Batches, Feed};
pub use dataset::Dataset;
pub use error::DataError;
pub use order::{Order, permutation};
pub use safetensors::tensor_shapes;

use column::Column;

/// All columns of a part, whose relative paths start at the folder.
type Read = fn(&Part, &[Field], &Path) -> Result<Vec<Column>, DataError>;

/// For each field, whether its file holds unsigned bytes.
type BytesOnDisk = fn(&Part, &[Field], &Path) -> Result<Vec<bool>, DataError>;

/// How the reader of this name reads, and tells bytes; `None` without such a reader.
fn functions(reader: &str) -> Option<(Read, BytesOnDisk)> {
    match reader {
        "characters" => Some((characters::read, no_bytes)),
        "cifar10" => Some((cifar10::read, no_bytes)),
        "csv" => Some((csv::read, no_bytes)),
        "idx" => Some((idx::read, idx::bytes_on_disk)),
        "images" => Some((images::read, images::glance)),
        "safetensors" => Some((safetensors::read, safetensors::bytes_on_disk)),
        _ => None,
    }
}

/// Opens a part (`train`, `test`, `valid`); relative paths start at `base`.
///
/// # Errors
/// If the part or its reader does not exist, or a file is missing, damaged, or not what the fields say.
pub fn open(data: &Data, part: &str, base: &Path) -> Result<Dataset, DataError> {
    let part = find_part(data, part)?;
    open_part(part, &data.fields, base).map_err(|error| error.at(part.origin.as_ref()))
}

fn open_part(part: &Part, fields: &[Field], base: &Path) -> Result<Dataset, DataError> {
    let (reader, read, _) = find_reader(part, fields)?;
    let columns = read(part, fields, base)?;
    let whole = Dataset::new(&part.name, columns.clone(), reader.shuffled)?;
    let take = part.options.iter().find(|(name, _)| name == "take");
    let dataset = match take.filter(|_| !csv::takes_groups(part)) {
        Some((_, take)) => {
            let range = taken(&part.reader, take, whole.examples())?;
            let columns = columns.iter().map(|c| c.take(range.clone())).collect();
            Dataset::new(&part.name, columns, reader.shuffled)?
        }
        None => whole,
    };
    if dataset.examples() == 0 {
        return Err(DataError::Empty { part: part.name.clone(), paths: part.paths.clone() });
    }
    Ok(dataset)
}

/// The element type that each field is best uploaded as: `U8` for a float field whose files hold unsigned
/// bytes in every part, its own otherwise. Only the headers of files are read.
///
/// # Errors
/// As [`open`], as far as headers show it.
pub fn stored_elements(data: &Data, base: &Path) -> Result<Vec<Element>, DataError> {
    let mut bytes = vec![!data.parts.is_empty(); data.fields.len()];
    for part in &data.parts {
        let on_disk = find_reader(part, &data.fields)
            .and_then(|(_, _, bytes_on_disk)| bytes_on_disk(part, &data.fields, base));
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

/// Readers that make their numbers from text, or shares of 255.
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

/// The reader of a part, whose files and options it takes.
fn find_reader(part: &Part, fields: &[Field]) -> Result<(&'static Reader, Read, BytesOnDisk), DataError> {
    let found = Reader::named(&part.reader).zip(functions(&part.reader));
    let (reader, (read, bytes_on_disk)) = found.ok_or_else(|| DataError::NoReader {
        name: part.reader.clone(),
        available: READERS.iter().map(|r| r.name).collect(),
    })?;
    let wrong = |what| DataError::Argument { reader: part.reader.clone(), what };
    reader.check(part, fields.len()).map_err(wrong)?;
    Ok((reader, read, bytes_on_disk))
}

/// `take=0..0.9` is a part of all examples, `take=0..500` and `take=500` are numbers of them.
fn taken(reader: &str, take: &Argument, examples: usize) -> Result<Range<usize>, DataError> {
    let wrong = |what: String| DataError::Argument { reader: reader.to_owned(), what };
    let (low, high) = match take {
        Argument::Number(count) => (0.0, *count),
        Argument::Range(low, high) if *high <= 1.0 => (low * examples as f64, high * examples as f64),
        Argument::Range(low, high) => (*low, *high),
        Argument::Bool(_) | Argument::Text(_) | Argument::List(_) => {
            return Err(wrong(format!("`take` is {}", Takes::Examples.describe())));
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
        let named = ["image", "resize"].map(|text| Argument::Text(text.to_owned())).to_vec();
        let steps = Argument::List(vec![Argument::List([named, vec![Argument::Number(64.0)]].concat())]);
        let expected = "model.nn:7:11: `idx`: it does not carry out `resize`; do that to the files";
        assert_eq!(message("prepare", steps), expected);
    }

    #[test]
    fn every_reader_of_the_table_reads() {
        for reader in &READERS {
            assert!(functions(reader.name).is_some(), "{}", reader.name);
        }
    }

    #[test]
    fn a_part_without_examples_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("none"), [0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3]).unwrap();
        let field = Field { name: "x".to_owned(), element: Element::F32, shape: vec![3], range: None };
        let part = |options| Part {
            name: "test".to_owned(),
            reader: "idx".to_owned(),
            paths: vec!["none".to_owned()],
            options,
            origin: None,
        };
        let data = |part| Data { name: "d".to_owned(), fields: vec![field.clone()], parts: vec![part] };
        let empty = open(&data(part(Vec::new())), "test", folder.path()).unwrap_err();
        assert!(empty.to_string().contains("the part `test` has no examples"), "{empty}");
        let typo = part(vec![("tke".to_owned(), Argument::Range(0.0, 0.5))]);
        let typo = open(&data(typo), "test", folder.path()).unwrap_err();
        assert!(matches!(typo, DataError::Argument { .. }), "{typo}");
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
