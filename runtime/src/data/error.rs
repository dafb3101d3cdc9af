//! What can be wrong with data.

use std::path::PathBuf;

use nnc_wgsl::Element;

use crate::artifact::Location;

/// A data set that cannot be used as the model describes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// What is wrong with a source, and where the model names it.
    #[error("{origin}: {error}")]
    At {
        /// The source in the model's file.
        origin: Location,
        /// What is wrong.
        error: Box<DataError>,
    },
    /// No file of that name.
    #[error("there is no data file `{}` (nor `{}.gz`); paths in a model are relative to its file", path.display(), path.display())]
    Missing {
        /// The path looked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("`{}` cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The file is gzipped and cannot be unpacked.
    #[error("`{}` cannot be unpacked: {cause}; download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What gives it away.
        cause: String,
    },
    /// The file is not of the reader's format.
    #[error("`{}` is no {format} file: {cause}; is it the file that was meant?", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// What gives it away.
        cause: String,
    },
    /// The file ends early.
    #[error("`{}` is cut short: its header says {expected} bytes, it has {found}; download it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The bytes it should have.
        expected: u64,
        /// The bytes it has.
        found: u64,
    },
    /// The file goes on after its end.
    #[error(
        "`{}` goes on after the {expected} bytes that its header says; is it the file it is named after?",
        path.display()
    )]
    Trailing {
        /// The file.
        path: PathBuf,
        /// The bytes it should have.
        expected: u64,
    },
    /// The table has no column of that name.
    #[error("`{}` has no column `{name}`; it has: {}", path.display(), available.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The name looked for.
        name: String,
        /// The names of its header.
        available: Vec<String>,
    },
    /// The file has no tensor for a field.
    #[error("`{}` has no tensor `{name}`; {}", path.display(), holds(available))]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The name looked for.
        name: String,
        /// The names it has.
        available: Vec<String>,
    },
    /// The file holds examples of another shape.
    #[error(
        "the field `{field}` has the shape {expected:?}, but the examples of `{}` have {found:?}; \
         declare the field so, or give the file that was meant",
        path.display()
    )]
    Shape {
        /// The field.
        field: String,
        /// Its shape in the model.
        expected: Vec<usize>,
        /// The file.
        path: PathBuf,
        /// The shape of one example there.
        found: Vec<usize>,
    },
    /// The file holds another type of number.
    #[error(
        "the field `{field}` is {expected}, but `{}` holds {found}; \
         declare the field so, or convert the file",
        path.display()
    )]
    Element {
        /// The field.
        field: String,
        /// Its type in the model.
        expected: Element,
        /// The file.
        path: PathBuf,
        /// The type there.
        found: &'static str,
    },
    /// A number does not fit into the field.
    #[error(
        "the field `{field}` is {expected}, but example {index} of `{}` has {value}, which does not fit",
        path.display()
    )]
    Overflow {
        /// The field.
        field: String,
        /// Its type in the model.
        expected: Element,
        /// The file.
        path: PathBuf,
        /// The first example that does not fit, from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A value is outside of its range.
    #[error(
        "the field `{field}` is in {low}..{high}, but example {index} of `{}` has {value}; \
         mend the file, or widen the range with what the model makes of it",
        path.display()
    )]
    Range {
        /// The field.
        field: String,
        /// The smallest value it may have.
        low: i64,
        /// One more than the largest.
        high: i64,
        /// The file.
        path: PathBuf,
        /// The first example outside, from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The files of one part have different numbers of examples.
    #[error(
        "`{first}` has {first_count} examples, but `{second}` has {second_count}; \
         give files that belong together"
    )]
    Counts {
        /// A field.
        first: String,
        /// Its examples.
        first_count: usize,
        /// Another field.
        second: String,
        /// Its examples.
        second_count: usize,
    },
    /// The data has no such part.
    #[error("the data `{data}` has no part `{part}`; it has: {}", available.join(", "))]
    NoPart {
        /// The data.
        data: String,
        /// What was asked for.
        part: String,
        /// The parts it has.
        available: Vec<String>,
    },
    /// No reader of that name.
    #[error("there is no data reader `{name}`; there are: {}", available.join(", "))]
    NoReader {
        /// What was asked for.
        name: String,
        /// The readers there are.
        available: Vec<&'static str>,
    },
    /// An argument of a reader makes no sense.
    #[error("`{reader}`: {what}")]
    Argument {
        /// The reader.
        reader: String,
        /// What is wrong with it.
        what: String,
    },
    /// A file that is to hold a picture is damaged, or of a kind that is not read.
    #[error("the picture `{}` cannot be decoded: {cause}; replace the file, or take it out of the folder", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        cause: String,
    },
    /// A picture has another size than its field.
    #[error(
        "the field `{field}` has the shape {expected:?}, but `{}` has {height} rows and {width} columns; \
         bring pictures to one size with `prepare {{ {field} = {field} -> resize(..) -> center_crop(..) }}`",
        path.display()
    )]
    PictureSize {
        /// The field.
        field: String,
        /// Its shape in the model.
        expected: Vec<usize>,
        /// The file.
        path: PathBuf,
        /// Rows of the picture after all steps.
        height: usize,
        /// Columns of the picture after all steps.
        width: usize,
    },
    /// A step of `prepare` or `augment` that a picture cannot take.
    #[error("`{step}` does not work on `{}`: {cause}", path.display())]
    Step {
        /// The step.
        step: String,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A field that no picture can feed.
    #[error(
        "the field `{field}` is {element}{shape:?}; a picture is f32[3, height, width], or f32[1, height, width]"
    )]
    NoPictures {
        /// The field.
        field: String,
        /// Its type.
        element: Element,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// There is no such folder.
    #[error("there is no folder `{}`; paths in a model are relative to its file", path.display())]
    NoFolder {
        /// The path looked for.
        path: PathBuf,
    },
    /// A folder without folders, where each is a class.
    #[error(
        "`{}` has no folders within, one for each class; put the pictures into such, or leave out the field of the class",
        path.display()
    )]
    NoClasses {
        /// The folder.
        path: PathBuf,
    },
    /// A part without examples.
    #[error("the part `{part}` has no examples: nothing is in {}", listed(paths))]
    Empty {
        /// The part.
        part: String,
        /// Its files.
        paths: Vec<String>,
    },
    /// Fewer examples than one batch.
    #[error("the part `{part}` has {examples} examples, less than one batch of {batch}; use a smaller batch")]
    TooFew {
        /// The part.
        part: String,
        /// Its examples.
        examples: usize,
        /// The batch.
        batch: usize,
    },
    /// The program takes an input that no field feeds.
    #[error("the program takes `{input}`, but the data has: {}", available.join(", "))]
    NoField {
        /// The input.
        input: String,
        /// The fields.
        available: Vec<String>,
    },
}

impl DataError {
    /// The error with the place in the model that names the source, where that is known.
    #[must_use]
    pub(super) fn at(self, origin: Option<&Location>) -> DataError {
        match origin {
            Some(origin) => DataError::At { origin: origin.clone(), error: Box::new(self) },
            None => self,
        }
    }
}

fn holds(available: &[String]) -> String {
    if available.is_empty() { "it has none".to_owned() } else { format!("it has: {}", available.join(", ")) }
}

fn listed(paths: &[String]) -> String {
    let quoted: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
    quoted.join(", ")
}
