//! One dispatch of a program: its kernel, the memory that it binds, and what it is for people.

use std::fmt;

use nnc_wgsl::Element;
use serde::{Deserialize, Serialize};

/// One dispatch of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    /// The kernel, by its place in [`Artifact::kernels`].
    pub kernel: usize,
    /// The parameter words.
    pub params: Vec<u32>,
    /// What each of the kernel's bindings is.
    pub bindings: Vec<Bound>,
    /// Workgroups along each axis.
    pub workgroups: [u32; 3],
    /// What it computes, for people: `conv + bias + relu  image -> conv`.
    pub label: String,
    /// The line of the model it comes from.
    pub origin: Option<Location>,
    /// The values it writes that can hold non-finite floats: where each lies, and what it is.
    pub writes: Vec<Written>,
    /// What must hold for those values to be numbers, besides that its operands are.
    pub requires: Vec<Requirement>,
}

/// A value that a dispatch writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Where it lies.
    pub area: Area,
    /// What its elements are: `F32` or `F16`.
    pub element: Element,
    /// What it is, for people.
    pub what: String,
}

/// What a kernel's binding is in one dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Bound {
    /// A range of a buffer.
    Area(Area),
    /// The block of host scalars.
    Host,
}

/// A range of a buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Area {
    /// Which buffer.
    pub buffer: Buffer,
    /// Where it begins, a multiple of 256.
    pub offset: u64,
    /// How long it is, a multiple of 4.
    pub bytes: u64,
}

/// A block of device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Buffer {
    /// A persistent region of the artifact.
    Region(usize),
    /// What the program is given.
    Input,
    /// What the program gives back.
    Output,
    /// An arena of the program.
    Arena(usize),
    /// Memory that weights come into for the dispatches that read them.
    Window(usize),
}

/// Something that a model's formulas require of their operands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What must hold, for people.
    pub text: String,
    /// The line of the model that requires it.
    pub origin: Option<Location>,
}

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    /// `model.nn:12:3`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
