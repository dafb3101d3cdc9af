//! How a network is trained: batches, length, what is saved, what a resumed run must find unchanged, and the formulas
//! over measured values that decide when it ends and what is kept.

use serde::{Deserialize, Serialize};

use super::Data;

/// How the network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Examples a step.
    pub batch: usize,
    /// How long: passes over the data.
    pub epochs: Option<u64>,
    /// How long: steps; whichever of the two ends first.
    pub steps: Option<u64>,
    /// Fixes initial weights, shuffling, dropout and augmentation.
    pub seed: u64,
    /// The names of the metrics, in order; `loss` comes besides.
    pub metrics: Vec<String>,
    /// Looked at after each epoch.
    pub stop: Option<HostExpr>,
    /// What is saved beside the checkpoints.
    pub save: Option<Save>,
    /// A file of weights and states to start from; a relative path starts at the folder of the model's file.
    #[serde(default)]
    pub load: Option<String>,
    /// Where the examples come from.
    pub data: Data,
    /// What a resumed run must find unchanged.
    pub meaning: Meaning,
}

/// Checksums of what a training step means, the same for every device. A run goes on only where they are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// What `prepare` and `augment` do.
    pub data: u32,
    /// What the model computes.
    pub model: u32,
    /// The whole step, with loss, gradients and update.
    pub step: u32,
}

impl Meaning {
    /// The checksum of a text.
    #[must_use]
    pub fn checksum(text: &str) -> u32 {
        crc32fast::hash(text.as_bytes())
    }
}

/// What `save` asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Save {
    /// The weights of the epoch at which the value was largest.
    Best {
        /// The value.
        value: HostExpr,
        /// The folder; the run's own if `None`.
        to: Option<String>,
    },
    /// The weights every so many epochs.
    Every {
        /// Epochs between.
        epochs: u64,
        /// The folder; the run's own if `None`.
        to: Option<String>,
    },
}

/// A formula that the training loop evaluates after each epoch. Truth is 1 or 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HostExpr {
    /// A number.
    Number(f64),
    /// A measured value, such as `test.accuracy`.
    Metric {
        /// `train`, `test` or `valid`.
        part: String,
        /// `loss` or a metric.
        name: String,
    },
    /// Epochs done, from 1.
    Epoch,
    /// Steps done.
    Step,
    /// The value has not improved for so many epochs.
    Patience {
        /// What is watched.
        value: Box<HostExpr>,
        /// How many epochs.
        epochs: u64,
        /// Whether larger is better.
        larger_is_better: bool,
    },
    /// `-a`
    Neg(Box<HostExpr>),
    /// `not a`
    Not(Box<HostExpr>),
    /// `a op b`
    Binary(HostBinary, Box<HostExpr>, Box<HostExpr>),
}

/// The operators of [`HostExpr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostBinary {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `and`
    And,
    /// `or`
    Or,
    /// The smaller.
    Min,
    /// The larger.
    Max,
}
