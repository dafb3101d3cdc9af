//! A program: what is uploaded, what the host computes, the dispatches in their order, and what is read back.

use std::fmt;

use nnc_wgsl::{Element, Expr};
use serde::{Deserialize, Serialize};

use super::{Area, Dispatch, Step};

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// One training step: forward, loss, gradients, update. Outputs: `loss`, metrics.
    Train,
    /// Loss and metrics with the network in use mode, over the first `examples` examples of the batch.
    Evaluate,
    /// The model's outputs from its inputs.
    Infer,
    /// Loss and the gradient of every weight (under its path), in training mode, without update.
    Gradient,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Train => "train",
            Role::Evaluate => "evaluate",
            Role::Infer => "infer",
            Role::Gradient => "gradient",
        })
    }
}

/// A list of dispatches and the memory they work in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// What it is for.
    pub role: Role,
    /// The batch size it was compiled for.
    pub batch: usize,
    /// What is uploaded before it runs; all lie in [`Buffer::Input`], none overlap.
    pub inputs: Vec<Port>,
    /// What may be read back; all lie in [`Buffer::Output`].
    pub outputs: Vec<Port>,
    /// The size of [`Buffer::Input`] in bytes.
    pub input_bytes: u64,
    /// The size of [`Buffer::Output`] in bytes.
    pub output_bytes: u64,
    /// The sizes of the arenas, in bytes.
    pub arenas: Vec<u64>,
    /// The sizes of the windows, in bytes: none where all weights stay on the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<u64>,
    /// What comes into the windows, in the order of the dispatches it comes before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<Load>,
    /// What the host computes and uploads before each step, into the block of host scalars.
    pub scalars: Vec<HostScalar>,
    /// How many of the dispatches, the first ones, depend on stored tensors alone: nothing that comes after them is
    /// written over what it reads of their results, so that a run leaves them out while no stored tensor has changed and no
    /// other program has run since the last.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub settled: usize,
    /// The dispatches, in order; each may use the results of those before it.
    pub dispatches: Vec<Dispatch>,
    /// What the dispatches compute, in their order: each belongs to one step.
    pub steps: Vec<Step>,
    /// Copies after the last dispatch, within device memory: (from, to), of equal size.
    pub copies: Vec<(Area, Area)>,
}

/// A stored tensor that comes into a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Which, by its place in [`Artifact::tensors`](super::Artifact::tensors).
    pub tensor: usize,
    /// Where it lies from then on, until another one comes there.
    pub area: Area,
    /// The dispatch that it comes before; from there on nothing reads what lay in the area until then.
    pub before: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A tensor that enters or leaves a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The name of the model's input or output, of the data field, `loss`, the metric, or the weight's path.
    pub name: String,
    /// What is stored.
    pub element: Element,
    /// Its logical shape, the batch first where it has one.
    pub shape: Vec<usize>,
    /// Whether axis 0 is the batch.
    pub batched: bool,
    /// Where it begins in its buffer, in bytes.
    pub offset: u64,
}

/// A word of the host block, computed once a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostScalar {
    /// Which word.
    pub slot: u32,
    /// `F32` or `I32`.
    pub element: Element,
    /// Its value, of the symbols below as operands.
    pub expr: Expr,
    /// The operands of `expr`.
    pub symbols: Vec<HostSymbol>,
}

/// A number that the training loop knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HostSymbol {
    /// The number of this step, from 1.
    Step,
    /// The number of this epoch, from 0.
    Epoch,
    /// How many examples of the batch count (the last batch of an evaluation may be short).
    Examples,
    /// Steps in an epoch.
    StepsPerEpoch,
    /// Steps in the whole run.
    TotalSteps,
}

/// The output of a training step that is not 0 once a loss or a gradient was not finite: the step, and every later
/// one, then leaves the weights as they are. No metric has this name.
pub const HALTED: &str = "(halted)";

/// The output of a training step in mixed precision that says by what its loss was multiplied before it was
/// differentiated.
pub const LOSS_SCALE: &str = "(loss scale)";

/// The output beside [`LOSS_SCALE`] that is not 0 where a gradient overflowed, so that the step changed nothing.
pub const SKIPPED: &str = "(skipped)";

/// The output of a measurement that says by what its value `name` counts beside those of other batches, where that is not
/// the number of examples.
#[must_use]
pub fn weight_of(name: &str) -> String {
    format!("{name}:weight")
}
