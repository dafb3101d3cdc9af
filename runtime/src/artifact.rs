//! The artifact: everything a compiled network is, as plain data.
//!
//! An artifact holds the text of every kernel, one [`Program`] for each use of the network (a training step,
//! evaluation, inference, gradients), the persistent memory they share, and what the training loop needs to
//! know. It is written by the compiler and read by [`crate::Session`]; reading one back needs no compiler and
//! no device. On disk it is a header, JSON and the bytes of given values; see [`crate::format`].

use std::fmt;
use std::sync::Arc;

use nnc_wgsl::{Element, Expr, Kernel, Profile};
use serde::{Deserialize, Serialize};

/// A compiled network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// The version of the compiler that wrote it.
    pub compiler: String,
    /// The name of the model.
    pub model: String,
    /// The kind of device it was compiled for.
    pub profile: Profile,
    /// Every distinct kernel.
    pub kernels: Vec<Kernel>,
    /// Memory that outlives a step: weights, states, optimizer moments. Zero where no tensor says otherwise:
    /// memory that no tensor names is cleared when a session is initialized and is part of no checkpoint.
    pub regions: Vec<Region>,
    /// The named tensors in the regions.
    pub tensors: Vec<Stored>,
    /// The uses of the network, at most one of each role.
    pub programs: Vec<Program>,
    /// How it is trained, if the file says so.
    pub training: Option<Training>,
    /// First values that were given as numbers, as they are stored, one after another. In a file they stand behind the
    /// JSON.
    #[serde(skip)]
    pub values: Arc<Vec<u8>>,
}

impl Artifact {
    /// Gives the tensor at `path` these first values: row-major, little-endian, whole words. False if there is no such
    /// tensor, or it has another size.
    pub fn give(&mut self, path: &str, bytes: &[u8]) -> bool {
        let tensor = self.tensors.iter_mut().find(|t| t.path == path);
        let Some(tensor) = tensor.filter(|t| t.element.bytes(t.shape.iter().product()) == bytes.len()) else {
            return false;
        };
        let values = Arc::make_mut(&mut self.values);
        tensor.init = Init::Given { offset: values.len() as u64 };
        values.extend(bytes);
        true
    }

    /// The program of this role, if there is one.
    #[must_use]
    pub fn program(&self, role: Role) -> Option<&Program> {
        self.programs.iter().find(|p| p.role == role)
    }
}

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

/// The path of the moving average of the weight at `path`.
#[must_use]
pub fn average_of(path: &str) -> String {
    format!("average of {path}")
}

/// The output of a measurement that says by what its value `name` counts beside those of other batches, where that is not
/// the number of examples.
#[must_use]
pub fn weight_of(name: &str) -> String {
    format!("{name}:weight")
}

/// The path of the weight whose moving average is at `path`.
#[must_use]
pub fn averaged(path: &str) -> Option<&str> {
    path.strip_prefix("average of ")
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

/// The output of a training step that is not 0 once a loss or a gradient was not finite: the step, and every later
/// one, then leaves the weights as they are. No metric has this name.
pub const HALTED: &str = "(halted)";

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
    /// What the host computes and uploads before each step, into the block of host scalars.
    pub scalars: Vec<HostScalar>,
    /// The dispatches, in order; each may use the results of those before it.
    pub dispatches: Vec<Dispatch>,
    /// Copies after the last dispatch, within device memory: (from, to), of equal size.
    pub copies: Vec<(Area, Area)>,
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
}

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
    pub writes: Vec<(Area, String)>,
    /// What must hold for those values to be numbers, besides that its operands are.
    pub requires: Vec<Requirement>,
}

/// Something that a model's formulas require of their operands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What must hold, for people.
    pub text: String,
    /// The line of the model that requires it.
    pub origin: Option<Location>,
}

/// What a kernel's binding is in one dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Bound {
    /// A range of a buffer.
    Area(Area),
    /// The block of host scalars.
    Host,
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
