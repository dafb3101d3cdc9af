//! The inputs of one step, laid out as the program takes them.

use std::ops::Range;

use crate::artifact::{Port, Program};

/// Input bytes of one step. It is made once and filled again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    ports: Vec<Port>,
    bytes: Vec<u8>,
    /// How many of its examples count; the others are padding.
    pub examples: usize,
}

/// An input that does not fit the program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The program has no such input.
    #[error("the program has no input `{name}`; it takes: {}", available.join(", "))]
    Unknown {
        /// What was given.
        name: String,
        /// The inputs it has.
        available: Vec<String>,
    },
    /// The input has another size.
    #[error("the input `{name}` has {found} bytes, the program takes {expected} ({element} {shape:?})")]
    Size {
        /// The input.
        name: String,
        /// Its element type.
        element: nnc_wgsl::Element,
        /// Its shape in the program.
        shape: Vec<usize>,
        /// Its size in the program, in bytes.
        expected: usize,
        /// Its size as given, in bytes.
        found: usize,
    },
}

impl Batch {
    /// A batch of zeros for this program, all of whose examples count.
    #[must_use]
    pub fn new(program: &Program) -> Batch {
        Batch {
            ports: program.inputs.clone(),
            bytes: vec![0; program.input_bytes as usize],
            examples: program.batch,
        }
    }

    /// The program's inputs.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Everything, as it is uploaded.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sets an input, in bytes as stored, without the padding of bytes to words.
    ///
    /// # Errors
    /// If there is no such input, or it has another size.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<(), BatchError> {
        let Some(place) = self.ports.iter().position(|p| p.name == name) else {
            let available = self.ports.iter().map(|p| p.name.clone()).collect();
            return Err(BatchError::Unknown { name: name.to_owned(), available });
        };
        let range = self.range(place);
        if range.len() != value.len() {
            let port = &self.ports[place];
            return Err(BatchError::Size {
                name: name.to_owned(),
                element: port.element,
                shape: port.shape.clone(),
                expected: range.len(),
                found: value.len(),
            });
        }
        self.bytes[range].copy_from_slice(value);
        Ok(())
    }

    /// The bytes of input number `place`, to be filled.
    ///
    /// # Panics
    /// If there are fewer inputs.
    pub fn input_mut(&mut self, place: usize) -> &mut [u8] {
        let range = self.range(place);
        &mut self.bytes[range]
    }

    fn range(&self, place: usize) -> Range<usize> {
        let port = &self.ports[place];
        let start = port.offset as usize;
        start..start + packed_bytes(port)
    }
}

/// The size of a port's elements in bytes, without the padding of bytes to words.
#[must_use]
pub fn packed_bytes(port: &Port) -> usize {
    let count: usize = port.shape.iter().product();
    match port.element {
        nnc_wgsl::Element::U8 => count,
        nnc_wgsl::Element::F16 => count * 2,
        nnc_wgsl::Element::F32 | nnc_wgsl::Element::I32 | nnc_wgsl::Element::Bool => count * 4,
    }
}
