//! One field of all examples, as it is stored, and how an example of it is uploaded.

use std::ops::Range;
use std::path::{Path, PathBuf};

use nnc_wgsl::Element;

use super::error::DataError;
use super::image::{Draw, Pictures};
use crate::artifact::Field;
use crate::mapped::Bytes;

/// How numbers are stored in a data file; little-endian once they are in a [`Column`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    U8,
    /// Unsigned bytes that stand for shares of 255.
    Share,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

/// One field of all examples.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    field: Field,
    path: PathBuf,
    content: Content,
    examples: usize,
}

/// Where the examples are.
#[derive(Clone, Debug)]
enum Content {
    /// In memory or a mapped file, one after the other.
    Stored(Stored),
    /// In a file each.
    Pictures(Pictures),
}

/// Numbers of all examples.
#[derive(Clone, Debug)]
struct Stored {
    storage: Storage,
    bytes: Bytes,
    /// Elements of one example.
    elements: usize,
}

impl Storage {
    pub(crate) fn size(self) -> usize {
        match self {
            Storage::U8 | Storage::Share | Storage::I8 => 1,
            Storage::I16 => 2,
            Storage::I32 | Storage::F32 => 4,
            Storage::I64 | Storage::F64 => 8,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Storage::U8 => "unsigned bytes",
            Storage::Share => "shares of 255",
            Storage::I8 => "signed bytes",
            Storage::I16 => "16-bit integers",
            Storage::I32 => "32-bit integers",
            Storage::I64 => "64-bit integers",
            Storage::F32 => "32-bit floats",
            Storage::F64 => "64-bit floats",
        }
    }

    fn value(self, b: &[u8]) -> f64 {
        match self {
            Storage::U8 => f64::from(b[0]),
            Storage::Share => f64::from(b[0]) / 255.0,
            Storage::I8 => f64::from(b[0].cast_signed()),
            Storage::I16 => f64::from(i16::from_le_bytes([b[0], b[1]])),
            Storage::I32 => f64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Storage::I64 => i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f64,
            Storage::F32 => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Storage::F64 => f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
        }
    }

    /// Whether a field of this element type can be fed from here without losing what the numbers mean.
    fn feeds(self, element: Element) -> bool {
        match element {
            Element::F32 => true,
            Element::F16 => false,
            Element::I32 | Element::Bool => !matches!(self, Storage::Share | Storage::F32 | Storage::F64),
            Element::U8 => matches!(self, Storage::U8 | Storage::Share),
        }
    }
}

impl Column {
    /// The field read from a file whose examples have the shape `found`, which must be the field's but for
    /// axes of length 1. All values are checked against the field's range.
    pub(crate) fn new(
        field: &Field,
        path: &Path,
        storage: Storage,
        examples: usize,
        found: &[usize],
        bytes: Bytes,
    ) -> Result<Column, DataError> {
        Column::fits(field, path, storage, found)?;
        let stored = Stored { storage, bytes, elements: found.iter().product() };
        stored.check_range(field, path)?;
        Ok(Column { field: field.clone(), path: path.to_owned(), content: Content::Stored(stored), examples })
    }

    /// The field whose examples are these pictures.
    pub(super) fn of_pictures(field: &Field, pictures: Pictures) -> Column {
        let examples = pictures.examples();
        Column { field: field.clone(), path: PathBuf::new(), content: Content::Pictures(pictures), examples }
    }

    /// Whether examples of the shape `found` feed the field, but for their values.
    pub(super) fn fits(
        field: &Field,
        path: &Path,
        storage: Storage,
        found: &[usize],
    ) -> Result<(), DataError> {
        let long = |shape: &[usize]| shape.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
        if long(&field.shape) != long(found) {
            return Err(DataError::Shape {
                field: field.name.clone(),
                expected: field.shape.clone(),
                path: path.to_owned(),
                found: found.to_vec(),
            });
        }
        if !storage.feeds(field.element) {
            return Err(DataError::Element {
                field: field.name.clone(),
                expected: field.element,
                path: path.to_owned(),
                found: storage.name(),
            });
        }
        Ok(())
    }

    pub(crate) fn field(&self) -> &Field {
        &self.field
    }

    pub(crate) fn examples(&self) -> usize {
        self.examples
    }

    /// The examples from `range` alone.
    pub(crate) fn take(&self, range: Range<usize>) -> Column {
        let content = match &self.content {
            Content::Stored(stored) => Content::Stored(stored.take(range.clone())),
            Content::Pictures(pictures) => Content::Pictures(pictures.take(range.clone())),
        };
        Column { content, examples: range.len(), field: self.field.clone(), path: self.path.clone() }
    }

    /// Whether an example takes so long to make that several threads are worth their start.
    pub(super) fn is_decoded(&self) -> bool {
        matches!(self.content, Content::Pictures(_))
    }

    /// The size of one uploaded example, in bytes.
    pub(crate) fn uploaded_bytes(&self) -> usize {
        match (&self.content, self.field.element) {
            (Content::Stored(stored), Element::U8) => stored.elements,
            (Content::Stored(stored), Element::F32 | Element::F16 | Element::I32 | Element::Bool) => {
                stored.elements * 4
            }
            (Content::Pictures(pictures), _) => pictures.uploaded_bytes(),
        }
    }

    /// Writes example `index` as it is uploaded; `out` has [`Column::uploaded_bytes`]. With a draw it is augmented.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub(crate) fn write_example(
        &self,
        index: usize,
        draw: Option<Draw>,
        out: &mut [u8],
    ) -> Result<(), DataError> {
        match &self.content {
            Content::Stored(stored) => stored.write_example(self.field.element, index, out),
            Content::Pictures(pictures) => pictures.write_example(&self.field, index, draw, out)?,
        }
        Ok(())
    }
}

impl Stored {
    fn take(&self, range: Range<usize>) -> Stored {
        let size = self.elements * self.storage.size();
        Stored { bytes: self.bytes.slice(range.start * size..range.end * size), ..self.clone() }
    }

    fn write_example(&self, element: Element, index: usize, out: &mut [u8]) {
        let size = self.elements * self.storage.size();
        let stored = &self.bytes[index * size..(index + 1) * size];
        match (self.storage, element) {
            (Storage::U8 | Storage::Share, Element::U8)
            | (Storage::F32, Element::F32)
            | (Storage::I32, Element::I32) => {
                out.copy_from_slice(stored);
            }
            (Storage::U8, Element::F32) => {
                for (word, byte) in out.as_chunks_mut::<4>().0.iter_mut().zip(stored) {
                    *word = f32::from(*byte).to_le_bytes();
                }
            }
            (storage, element) => {
                let values = stored.chunks_exact(storage.size()).map(|b| storage.value(b));
                for (word, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                    *word = match element {
                        Element::F32 | Element::F16 | Element::U8 => (value as f32).to_le_bytes(),
                        Element::I32 => (value as i32).to_le_bytes(),
                        Element::Bool => u32::from(value != 0.0).to_le_bytes(),
                    };
                }
            }
        }
    }

    /// Finds the first value that is outside the field's range, or does not fit into the field at all.
    fn check_range(&self, field: &Field, path: &Path) -> Result<(), DataError> {
        if let Some((low, high)) = field.range
            && let Some((index, value)) = self.first_outside(low, high)
        {
            let (field, path) = (field.name.clone(), path.to_owned());
            return Err(DataError::Range { field, low, high, path, index, value });
        }
        if self.storage != Storage::I64 || field.element != Element::I32 {
            return Ok(());
        }
        match self.first_outside(i64::from(i32::MIN), i64::from(i32::MAX) + 1) {
            None => Ok(()),
            Some((index, value)) => Err(DataError::Overflow {
                field: field.name.clone(),
                expected: field.element,
                path: path.to_owned(),
                index,
                value,
            }),
        }
    }

    /// The first value outside of `low..high`, and its example.
    fn first_outside(&self, low: i64, high: i64) -> Option<(usize, f64)> {
        let inside = |value: f64| value >= low as f64 && value < high as f64;
        let values = self.bytes.chunks_exact(self.storage.size()).map(|b| self.storage.value(b));
        let (place, value) = values.enumerate().find(|(_, value)| !inside(*value))?;
        Some((place / self.elements.max(1), value))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn integers_that_do_not_fit_are_an_error() {
        let field = |element, range| Field { name: "n".to_owned(), element, shape: Vec::new(), range };
        let column = |field: &Field, values: &[i64]| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let bytes = Bytes::Owned(Arc::new(bytes));
            Column::new(field, Path::new("file"), Storage::I64, values.len(), &[], bytes)
        };
        let edges = [i64::from(i32::MIN), i64::from(i32::MAX)];
        column(&field(Element::I32, None), &edges).unwrap();
        for wrong in [i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1] {
            let error = column(&field(Element::I32, None), &[0, wrong]).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("example 1 of `file`") && message.contains("does not fit"), "{message}");
        }
        column(&field(Element::F32, None), &[i64::MAX]).unwrap();
        let ranged = column(&field(Element::I32, Some((0, 3))), &[5_000_000_000]).unwrap_err();
        assert!(matches!(ranged, DataError::Range { index: 0, .. }), "{ranged}");
    }
}
