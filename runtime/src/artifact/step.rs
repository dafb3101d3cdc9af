//! One step of a program: what is computed, on which memory, and which dispatches it is on a GPU.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Area;

/// A specification applied to memory. An executor without kernels does the steps of a program in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is computed, by its place in [`Artifact::works`](super::Artifact::works).
    pub work: usize,
    /// Where `Slot::Read(i)` of the specification begins; `None` where it is nowhere in memory, or not read.
    pub reads: Vec<Option<Area>>,
    /// Where `Slot::Write(i)` of the specification begins.
    pub writes: Vec<Area>,
    /// The dispatches that do the same; for what they are called, and what they require.
    pub dispatches: Range<usize>,
}
