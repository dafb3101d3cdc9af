//! `characters("text.txt")`: a text as the numbers of its characters, cut into pieces, to predict each next one.
//!
//! The first field holds the characters of a piece, the second (if there is one) those one place further. Pieces
//! do not overlap. A character's number is its place among all of the file's characters, ordered by code point,
//! so that parts of one file agree.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::column::{Column, Storage};
use super::error::DataError;
use super::file::{one_file, read_text};
use crate::artifact::{Field, Part};
use crate::mapped::Bytes;

/// The fields of a part.
pub(super) fn read(part: &Part, fields: &[Field], base: &Path) -> Result<Vec<Column>, DataError> {
    let wrong = |what: String| DataError::Argument { reader: part.reader.clone(), what };
    let path = one_file(part)?;
    if fields.is_empty() || fields.len() > 2 {
        return Err(wrong(format!("it feeds one field or two, not {}", fields.len())));
    }
    let [length] = fields[0].shape[..] else {
        return Err(wrong(format!(
            "`{}` has the shape {:?}, not one length",
            fields[0].name, fields[0].shape
        )));
    };
    let (path, text) = read_text(&base.join(path))?;
    let numbers = numbers(&text);
    let pieces = numbers.len().saturating_sub(1) / length.max(1);
    (0..)
        .zip(fields)
        .map(|(shift, field): (usize, _)| {
            let taken = &numbers[shift.min(numbers.len())..][..pieces * length];
            let bytes = Bytes::Owned(Arc::new(taken.iter().flat_map(|n| n.to_le_bytes()).collect()));
            Column::new(field, &path, Storage::I32, pieces, &[length], bytes)
        })
        .collect()
}

fn numbers(text: &str) -> Vec<i32> {
    let mut places: BTreeMap<char, i32> = text.chars().map(|c| (c, 0)).collect();
    for (number, place) in (0..).zip(places.values_mut()) {
        *place = number;
    }
    text.chars().map(|c| places[&c]).collect()
}

#[cfg(test)]
mod tests {
    use nnc_wgsl::Element;

    use super::*;

    fn field(name: &str, length: usize, high: i64) -> Field {
        Field { name: name.to_owned(), element: Element::I32, shape: vec![length], range: Some((0, high)) }
    }

    fn load(text: &str, fields: &[Field]) -> Result<Vec<Column>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.txt"), text).unwrap();
        let part = Part {
            name: "train".to_owned(),
            reader: "characters".to_owned(),
            paths: vec!["t.txt".to_owned()],
            options: Vec::new(),
            origin: None,
        };
        read(&part, fields, folder.path())
    }

    fn example(column: &Column, index: usize) -> Vec<i32> {
        let mut out = vec![0; column.uploaded_bytes()];
        column.write_example(index, None, &mut out).unwrap();
        out.as_chunks::<4>().0.iter().map(|w| i32::from_le_bytes(*w)).collect()
    }

    #[test]
    fn the_second_field_is_one_character_further() {
        let columns = load("abcabca\u{e9}", &[field("text", 3, 4), field("next", 3, 4)]).unwrap();
        assert_eq!(columns[0].examples(), 2);
        assert_eq!((example(&columns[0], 0), example(&columns[1], 0)), (vec![0, 1, 2], vec![1, 2, 0]));
        assert_eq!((example(&columns[0], 1), example(&columns[1], 1)), (vec![0, 1, 2], vec![1, 2, 0]));
    }

    #[test]
    fn more_characters_than_the_model_knows_are_an_error() {
        let message = load("abcda", &[field("text", 1, 3)]).unwrap_err().to_string();
        assert!(message.contains("is in 0..3") && message.contains("has 3"), "{message}");
    }

    #[test]
    fn a_text_shorter_than_a_piece_has_no_examples() {
        assert_eq!(load("ab", &[field("text", 5, 9)]).unwrap()[0].examples(), 0);
        assert_eq!(load("", &[field("text", 5, 9)]).unwrap()[0].examples(), 0);
    }
}
