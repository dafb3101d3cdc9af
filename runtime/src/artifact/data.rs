//! The data of a training: the fields of an example, the parts, and the readers they come from.

use nnc_wgsl::Element;
use serde::{Deserialize, Serialize};

use super::Location;

/// A data set: the fields of one example, and the parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Its name in the file.
    pub name: String,
    /// The fields, in the order the sources yield them.
    pub fields: Vec<Field>,
    /// `train`, `test`, `valid`.
    pub parts: Vec<Part>,
}

/// One field of an example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What is stored and uploaded.
    pub element: Element,
    /// The shape of one example.
    pub shape: Vec<usize>,
    /// The values it may have, as `low..high` without `high`; checked while loading.
    pub range: Option<(i64, i64)>,
}

/// A part of a data set and the reader it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `train`, `test` or `valid`.
    pub name: String,
    /// The reader: `idx`, `safetensors`, ...
    pub reader: String,
    /// Its unnamed arguments.
    pub paths: Vec<String>,
    /// Its named arguments.
    pub options: Vec<(String, Argument)>,
    /// Where the file says so.
    pub origin: Option<Location>,
}

/// An argument of a reader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Argument {
    /// A number.
    Number(f64),
    /// Yes or no.
    Bool(bool),
    /// A string.
    Text(String),
    /// `low..high`
    Range(f64, f64),
    /// Several.
    List(Vec<Argument>),
}
