//! One part of a data set, ready to be cut into batches.

use super::column::Column;
use super::error::DataError;
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

    /// Writes these examples of column `place`, one after another, and zeros after them.
    pub(super) fn fill(&self, place: usize, examples: &[u32], out: &mut [u8]) {
        let column = &self.columns[place];
        let size = column.uploaded_bytes();
        let (filled, rest) = out.split_at_mut(size * examples.len());
        if size > 0 {
            for (target, index) in filled.chunks_exact_mut(size).zip(examples) {
                column.write_example(*index as usize, target);
            }
        }
        rest.fill(0);
    }
}
