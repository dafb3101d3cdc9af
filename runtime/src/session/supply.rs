//! Where tensors that are not on the device come from when a program loads them: what was written to the session, a
//! source of weights, or their first values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::error::DeviceError;
use crate::artifact::{Artifact, Init, Stored, StoredKind, averaged};
use crate::init::{first_value, first_values};
use crate::weight_source::WeightSource;

/// The tensors of a session that are not on the device.
#[derive(Debug)]
pub(crate) struct Supply {
    /// First values that were given as numbers.
    values: Arc<Vec<u8>>,
    seed: u64,
    source: Option<Box<dyn WeightSource>>,
    held: HashMap<String, Vec<u8>>,
}

/// The stored tensors of a session, and where their bytes are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights<'a> {
    /// All of them.
    pub(crate) tensors: &'a [Stored],
    /// The bytes of those that are not on the device.
    pub(super) supply: &'a Supply,
}

impl Weights<'_> {
    /// Writes the bytes of a tensor from `start` on.
    ///
    /// # Errors
    /// If it lies in a file that cannot be read.
    pub(crate) fn fill(&self, tensor: usize, start: usize, into: &mut [u8]) -> Result<(), DeviceError> {
        self.supply.bytes(self.tensors, &self.tensors[tensor]).fill(start, into)
    }
}

/// The bytes of a tensor that is not on the device.
enum Bytes<'a> {
    There(Cow<'a, [u8]>),
    Elsewhere(&'a dyn WeightSource, &'a str),
    Computed(&'a Stored, u64),
}

impl Supply {
    /// The given values of an artifact.
    pub(super) fn new(artifact: &Artifact) -> Supply {
        let values = Arc::clone(&artifact.values);
        Supply { values, seed: 0, source: None, held: HashMap::new() }
    }

    /// First values that were given as numbers.
    pub(super) fn given(&self) -> &[u8] {
        &self.values
    }

    /// All tensors begin anew, with their first values.
    pub(super) fn begin(&mut self, seed: u64) {
        (self.seed, self.source) = (seed, None);
        self.held.clear();
    }

    /// Tensors come from here from now on.
    pub(super) fn take(&mut self, source: Box<dyn WeightSource>) {
        self.held.clear();
        self.source = Some(source);
    }

    /// Replaces a tensor.
    pub(super) fn hold(&mut self, path: &str, bytes: &[u8]) {
        self.held.insert(path.to_owned(), bytes.to_vec());
    }

    /// The whole tensor.
    pub(super) fn read(&self, tensors: &[Stored], tensor: &Stored) -> Result<Vec<u8>, DeviceError> {
        let mut bytes = vec![0; size(tensor)];
        self.bytes(tensors, tensor).fill(0, &mut bytes)?;
        Ok(bytes)
    }

    /// A moving average for which nothing else is said is its weight.
    fn bytes<'a>(&'a self, tensors: &'a [Stored], tensor: &'a Stored) -> Bytes<'a> {
        let weight = averaged(&tensor.path).filter(|_| tensor.kind == StoredKind::Average);
        for path in std::iter::once(tensor.path.as_str()).chain(weight) {
            if let Some(bytes) = self.held.get(path) {
                return Bytes::There(bytes.into());
            }
            if let Some(source) = self.source.as_deref().filter(|source| source.has(path)) {
                return Bytes::Elsewhere(source, path);
            }
        }
        let begins_as = weight.and_then(|path| tensors.iter().find(|other| other.path == path));
        let tensor = begins_as.unwrap_or(tensor);
        match tensor.init {
            Init::Given { offset } => {
                let start = offset as usize;
                Bytes::There(self.values[start..start + size(tensor)].into())
            }
            Init::Orthogonal { .. } => Bytes::There(first_value(tensor, self.seed, &self.values).into()),
            Init::Constant(_) | Init::Uniform { .. } | Init::Normal { .. } | Init::Values(_) => {
                Bytes::Computed(tensor, self.seed)
            }
        }
    }
}

impl Bytes<'_> {
    fn fill(&self, start: usize, into: &mut [u8]) -> Result<(), DeviceError> {
        match self {
            Bytes::There(bytes) => into.copy_from_slice(&bytes[start..start + into.len()]),
            Bytes::Elsewhere(source, path) => source.read(path, start, into)?,
            Bytes::Computed(tensor, seed) => {
                into.copy_from_slice(&first_values(tensor, *seed, start..start + into.len()));
            }
        }
        Ok(())
    }
}

/// The bytes of a tensor.
pub(crate) fn size(tensor: &Stored) -> usize {
    tensor.element.bytes(tensor.shape.iter().product())
}
