//! `cifar10("folder")`: CIFAR-10 in its binary form, as it is unpacked, each channel from 0 to 1.
//!
//! The part `train` is the 50,000 pictures of the five training files, any other the 10,000 of the test file, unless
//! `part="train"` or `part="test"` says so. A record is a byte for the class and 3 x 32 x 32 bytes, red, green, blue.
//! Source: Krizhevsky 2009, *Learning multiple layers of features from tiny images*.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::column::{Column, Storage};
use super::error::DataError;
use super::file::{one_file, read_bytes};
use crate::artifact::{Argument, Field, Part};
use crate::mapped::Bytes;

/// The bytes of a picture.
const PICTURE: usize = 3 * 32 * 32;

/// The most records of one file.
const RECORDS: u64 = 10_000;

/// The folder that the archive unpacks to.
const UNPACKED: &str = "cifar-10-batches-bin";

/// The fields of a part: pictures, and their classes.
pub(super) fn read(part: &Part, fields: &[Field], base: &Path) -> Result<Vec<Column>, DataError> {
    if !(1..=2).contains(&fields.len()) {
        let what = format!("it feeds a picture and its class; the data has {} fields", fields.len());
        return Err(DataError::Argument { reader: part.reader.clone(), what });
    }
    let given = base.join(one_file(part)?);
    let within = given.join(UNPACKED);
    let folder = if within.is_dir() { within } else { given };
    let (mut pictures, mut classes) = (Vec::new(), Vec::new());
    for name in files(part) {
        let (path, bytes) = records(&folder.join(name))?;
        for record in bytes.chunks_exact(1 + PICTURE) {
            if record[0] >= 10 {
                return Err(foreign(&path, format!("a class in it is {}", record[0])));
            }
            classes.push(record[0]);
            pictures.extend_from_slice(&record[1..]);
        }
    }
    let examples = classes.len();
    let columns = [(Storage::Share, vec![3, 32, 32], pictures), (Storage::U8, Vec::new(), classes)];
    let fed = fields.iter().zip(columns);
    fed.map(|(field, (storage, shape, bytes))| {
        Column::new(field, &folder, storage, examples, &shape, Bytes::Owned(Arc::new(bytes)))
    })
    .collect()
}

fn files(part: &Part) -> Vec<String> {
    let named = part.options.iter().find_map(|(name, value)| match value {
        Argument::Text(value) if name == "part" => Some(value.as_str()),
        _ => None,
    });
    if named.unwrap_or(&part.name) == "train" {
        (1..=5).map(|number| format!("data_batch_{number}.bin")).collect()
    } else {
        vec!["test_batch.bin".to_owned()]
    }
}

fn records(path: &Path) -> Result<(PathBuf, Vec<u8>), DataError> {
    let record = 1 + PICTURE as u64;
    let (path, bytes) = match read_bytes(path, RECORDS * record + 1) {
        Err(DataError::Missing { path }) if path.with_extension("").is_file() || is_pickled(&path) => {
            return Err(foreign(
                &path,
                "the folder holds the Python version; download the binary one".to_owned(),
            ));
        }
        read => read?,
    };
    let count = bytes.len() as u64;
    if count == 0 || !count.is_multiple_of(record) || count > RECORDS * record {
        return Err(foreign(
            &path,
            format!("it has {count} bytes, which are not up to {RECORDS} records of {record}"),
        ));
    }
    Ok((path, bytes))
}

/// Whether the version for Python lies where the binary one was looked for.
fn is_pickled(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.join("cifar-10-batches-py").is_dir())
}

fn foreign(path: &Path, cause: String) -> DataError {
    DataError::Foreign { path: path.to_owned(), format: "CIFAR-10", cause }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nnc_wgsl::Element;

    use super::*;

    fn fields() -> [Field; 2] {
        let field = |name: &str, element, shape: &[usize], range| Field {
            name: name.to_owned(),
            element,
            shape: shape.to_vec(),
            range,
        };
        [field("image", Element::F32, &[3, 32, 32], None), field("label", Element::I32, &[], Some((0, 10)))]
    }

    fn part(name: &str, options: Vec<(String, Argument)>) -> Part {
        Part {
            name: name.to_owned(),
            reader: "cifar10".to_owned(),
            paths: vec!["c".to_owned()],
            options,
            origin: None,
        }
    }

    fn record(class: u8, level: u8) -> Vec<u8> {
        let mut record = vec![level; 1 + PICTURE];
        record[0] = class;
        record
    }

    #[test]
    fn training_files_come_in_order_and_the_part_says_which() {
        let folder = tempfile::tempdir().unwrap();
        let unpacked = folder.path().join("c").join(UNPACKED);
        fs::create_dir_all(&unpacked).unwrap();
        for number in 1..=5 {
            let records = [record(number, 10 * number), record(0, 255)].concat();
            fs::write(unpacked.join(format!("data_batch_{number}.bin")), records).unwrap();
        }
        fs::write(unpacked.join("test_batch.bin"), record(9, 51)).unwrap();
        let columns = |part: &Part| read(part, &fields(), folder.path()).unwrap();
        let train = columns(&part("train", Vec::new()));
        assert_eq!(train[0].examples(), 10);
        let mut image = vec![0; train[0].uploaded_bytes()];
        train[0].write_example(4, None, &mut image).unwrap();
        assert_eq!(image.as_chunks::<4>().0[3071], (30f32 / 255.0).to_le_bytes());
        let mut label = [0; 4];
        train[1].write_example(4, None, &mut label).unwrap();
        assert_eq!(label, 3i32.to_le_bytes());
        assert_eq!(columns(&part("valid", Vec::new()))[0].examples(), 1);
        let named = vec![("part".to_owned(), Argument::Text("train".to_owned()))];
        assert_eq!(columns(&part("valid", named))[0].examples(), 10);
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("c");
        let message = || read(&part("test", Vec::new()), &fields(), folder.path()).unwrap_err().to_string();
        fs::create_dir_all(base.join("cifar-10-batches-py")).unwrap();
        assert!(message().contains("download the binary one"), "{}", message());
        fs::remove_dir(base.join("cifar-10-batches-py")).unwrap();
        assert!(message().contains("there is no data file"));
        fs::write(base.join("test_batch.bin"), &record(1, 2)[1..]).unwrap();
        assert!(message().contains("has 3072 bytes"), "{}", message());
        fs::write(base.join("test_batch.bin"), record(10, 2)).unwrap();
        assert!(message().contains("a class in it is 10"), "{}", message());
    }
}
