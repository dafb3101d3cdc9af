//! Weights that lie elsewhere until a program loads them.

use std::fmt;

/// A place that weights are read from, piece by piece, as often as a program loads them.
pub trait WeightSource: fmt::Debug + Send + Sync {
    /// Whether it has the tensor of this path.
    fn has(&self, path: &str) -> bool;

    /// Fills `into` with the bytes of the tensor at `path` as they are stored (row-major, little-endian, whole words)
    /// from byte `start` on.
    ///
    /// # Errors
    /// If they cannot be read.
    fn read(&self, path: &str, start: usize, into: &mut [u8]) -> Result<(), UnreadableWeight>;
}

/// A weight that cannot be read when it is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the weight `{tensor}` cannot be read from `{source_name}`: {cause}")]
pub struct UnreadableWeight {
    /// Its path.
    pub tensor: String,
    /// Where it lies.
    pub source_name: String,
    /// Why.
    pub cause: String,
}
