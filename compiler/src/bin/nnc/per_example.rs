//! Loss and metrics of each example in a file: a table (CSV), or a tensor for each of them (safetensors).
//!
//! A value that is not a number is an empty cell of the table. What was measured goes to the file as it comes, so that memory does not grow with the data.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use nnc_runtime::durable::{self, WriteError};
use nnc_runtime::train::{Example, TrainError};
use serde_json::{Map, Value, json};

use crate::output;

/// Numbers of a tensor that are kept before they are written.
const CHUNK: usize = 4096;

/// Writes the examples that `run` shows to `path`, in one piece or not at all; what `run` returns.
///
/// # Errors
/// If the file cannot be written, or `run` fails.
pub(crate) fn write<T>(
    path: &Path,
    run: impl FnOnce(&mut dyn FnMut(&Example<'_>) -> Result<(), TrainError>) -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    let tensors = path.extension().is_some_and(|extension| extension == "safetensors");
    let mut result = None;
    let mut count = 0;
    let written = durable::write_with(path, |file| {
        let mut sink = if tensors { Sink::tensors(file) } else { Sink::table(file) };
        let outcome = run(&mut |example| {
            count = example.of;
            let failed = |source| TrainError::Write(WriteError { path: path.to_owned(), source });
            sink.add(example).map_err(failed)
        });
        let ended = sink.finish();
        let failed = outcome.is_err();
        result = Some(outcome);
        if failed { Err(io::Error::other("the evaluation ended early")) } else { ended }
    });
    match (result, written) {
        (Some(Err(error)), _) => Err(error),
        (_, Err(error)) => Err(error.into()),
        (Some(outcome), Ok(())) => {
            output::note(&format!("{count} examples in `{}`", path.display()));
            outcome
        }
        (None, Ok(())) => unreachable!("a file that was written was filled"),
    }
}

/// A file on its way.
enum Sink<'a> {
    Table(BufWriter<&'a mut File>),
    Tensors { file: &'a mut File, columns: Vec<Column> },
}

/// The numbers of one tensor that are not written yet, and where they belong.
struct Column {
    at: u64,
    waiting: Vec<u8>,
}

impl<'a> Sink<'a> {
    fn table(file: &'a mut File) -> Sink<'a> {
        Sink::Table(BufWriter::new(file))
    }

    fn tensors(file: &'a mut File) -> Sink<'a> {
        Sink::Tensors { file, columns: Vec::new() }
    }

    fn add(&mut self, example: &Example<'_>) -> io::Result<()> {
        match self {
            Sink::Table(writer) => {
                if example.place == 0 {
                    writeln!(writer, "example,{}", example.names.join(","))?;
                }
                write!(writer, "{}", example.place)?;
                for value in example.values {
                    if value.is_nan() {
                        write!(writer, ",")?;
                    } else {
                        write!(writer, ",{:?}", *value as f32)?;
                    }
                }
                writeln!(writer)
            }
            Sink::Tensors { file, columns } => {
                if example.place == 0 {
                    *columns = begin(file, example)?;
                }
                for (column, value) in columns.iter_mut().zip(example.values) {
                    column.waiting.extend((*value as f32).to_le_bytes());
                    if column.waiting.len() >= 4 * CHUNK {
                        column.flush(file)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Sink::Table(mut writer) => writer.flush(),
            Sink::Tensors { file, mut columns } => {
                columns.iter_mut().try_for_each(|column| column.flush(file))
            }
        }
    }
}

/// Writes the header of a safetensors file with a tensor for each name; where their numbers go.
fn begin(file: &mut File, example: &Example<'_>) -> io::Result<Vec<Column>> {
    let bytes = 4 * example.of;
    let offset = |place: usize| bytes * place as u64;
    let header: Map<String, Value> = example
        .names
        .iter()
        .enumerate()
        .map(|(k, name)| {
            let offsets = [offset(k), offset(k + 1)];
            (name.clone(), json!({ "dtype": "F32", "shape": [example.of], "data_offsets": offsets }))
        })
        .collect();
    let mut text = Value::from(header).to_string();
    text += &" ".repeat(text.len().next_multiple_of(8) - text.len());
    file.write_all(&(text.len() as u64).to_le_bytes())?;
    file.write_all(text.as_bytes())?;
    let start = 8 + text.len() as u64;
    Ok((0..example.names.len()).map(|k| Column { at: start + offset(k), waiting: Vec::new() }).collect())
}

impl Column {
    fn flush(&mut self, file: &mut File) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.at))?;
        file.write_all(&self.waiting)?;
        self.at += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}
