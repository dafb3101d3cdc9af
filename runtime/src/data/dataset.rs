//! One part of a data set, ready to be cut into batches.

use std::num::NonZero;
use std::thread::{self, available_parallelism};

use super::column::Column;
use super::error::DataError;
use super::image::Draw;
use crate::artifact::{Field, Port};

/// All examples of a part.
#[derive(Clone, Debug)]
pub struct Dataset {
    part: String,
    columns: Vec<Column>,
    examples: usize,
    shuffled: bool,
}

impl Dataset {
    /// The part with these columns, whose numbers of examples must agree.
    pub(super) fn new(part: &str, columns: Vec<Column>, shuffled: bool) -> Result<Dataset, DataError> {
        let examples = columns.first().map_or(0, Column::examples);
        if let Some(other) = columns.iter().find(|c| c.examples() != examples) {
            return Err(DataError::Counts {
                first: columns[0].field().name.clone(),
                first_count: examples,
                second: other.field().name.clone(),
                second_count: other.examples(),
            });
        }
        Ok(Dataset { part: part.to_owned(), columns, examples, shuffled })
    }

    /// `train`, `test` or `valid`.
    #[must_use]
    pub fn part(&self) -> &str {
        &self.part
    }

    /// How many examples it has.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// Whether training may shuffle it.
    #[must_use]
    pub fn is_shuffled(&self) -> bool {
        self.shuffled
    }

    /// The fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.columns.iter().map(Column::field)
    }

    /// For each input of a program, the column that feeds it.
    pub(super) fn feeds(&self, ports: &[Port]) -> Result<Vec<usize>, DataError> {
        ports
            .iter()
            .map(|port| {
                let place = self.columns.iter().position(|c| c.field().name == port.name);
                let place = place.ok_or_else(|| DataError::NoField {
                    input: port.name.clone(),
                    available: self.fields().map(|f| f.name.clone()).collect(),
                })?;
                let field = self.columns[place].field();
                let fits = port.batched && port.shape[1..] == field.shape && port.element == field.element;
                if fits {
                    return Ok(place);
                }
                Err(DataError::Argument {
                    reader: self.part.clone(),
                    what: format!(
                        "the program takes `{}` as {} {:?}, the data gives {} {:?} an example",
                        port.name, port.element, port.shape, field.element, field.shape
                    ),
                })
            })
            .collect()
    }

    /// Writes these examples of column `place`, one after another, and zeros after them. With a draw they are augmented.
    ///
    /// # Errors
    /// If the file of an example cannot be read.
    pub(super) fn fill(
        &self,
        place: usize,
        examples: &[u32],
        draw: Option<Draw>,
        out: &mut [u8],
    ) -> Result<(), DataError> {
        let column = &self.columns[place];
        let size = column.uploaded_bytes();
        let (filled, rest) = out.split_at_mut(size * examples.len());
        rest.fill(0);
        if size == 0 {
            return Ok(());
        }
        let write = |examples: &[u32], out: &mut [u8]| {
            let mut each = examples.iter().zip(out.chunks_exact_mut(size));
            each.try_for_each(|(index, out)| column.write_example(*index as usize, draw, out))
        };
        let threads = if column.is_decoded() { available_parallelism().map_or(1, NonZero::get) } else { 1 };
        let each = examples.len().div_ceil(threads).max(1);
        if each >= examples.len() {
            return write(examples, filled);
        }
        thread::scope(|scope| {
            let work = examples.chunks(each).zip(filled.chunks_mut(each * size));
            let started: Vec<_> =
                work.map(|(examples, out)| scope.spawn(move || write(examples, out))).collect();
            let ended = started.into_iter().map(|one| one.join().expect("a reader does not panic"));
            ended.collect()
        })
    }
}
