//! What outlives a step: regions of device memory, the named tensors in them, and how each begins.

use nnc_wgsl::Element;
use serde::{Deserialize, Serialize};

/// One block of persistent device memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// `weights`, `states`, `optimizer.m`, ...
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A named tensor in a region: a weight, a state, an optimizer moment or a constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Its path, such as `layer1.0.conv.weight`; unique.
    pub path: String,
    /// What it is for.
    pub kind: StoredKind,
    /// What is stored.
    pub element: Element,
    /// Its logical shape.
    pub shape: Vec<usize>,
    /// The region it lies in.
    pub region: usize,
    /// Where it begins in the region, in bytes.
    pub offset: u64,
    /// Its first value.
    pub init: Init,
}

/// What a stored tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredKind {
    /// Learned; part of `weights.safetensors`.
    Weight,
    /// Kept by the network itself (running averages); part of `weights.safetensors`.
    State,
    /// Kept by the optimizer or the step; part of checkpoints only.
    Optimizer,
    /// The moving average of a weight, under [`average_of`] its path; part of checkpoints, and of `weights.safetensors`
    /// in the weight's place.
    Average,
    /// Part of neither, and back at its first value when a session is initialized: constants, and the word
    /// that stops updates after a non-finite loss, so that a resumed run begins with it clear.
    Constant,
}

/// How a tensor begins. Random values come from Philox, keyed by (seed, the tensor's path), so that neither
/// order nor device matters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Init {
    /// The same number everywhere.
    Constant(f64),
    /// Uniform in [low, high).
    Uniform {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// Normal.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        std: f64,
    },
    /// A (semi-)orthogonal matrix of the flattened `[shape[0], rest]`, times `gain` (Saxe et al. 2013).
    Orthogonal {
        /// The factor.
        gain: f64,
    },
    /// These numbers, in row-major order: few, such as a constant of the model.
    Values(Vec<f64>),
    /// As many bytes of [`Artifact::values`] as the tensor takes.
    Given {
        /// Where they begin, in bytes.
        offset: u64,
    },
}

/// The path of the moving average of the weight at `path`.
#[must_use]
pub fn average_of(path: &str) -> String {
    format!("average of {path}")
}

/// The path of the weight whose moving average is at `path`.
#[must_use]
pub fn averaged(path: &str) -> Option<&str> {
    path.strip_prefix("average of ")
}
