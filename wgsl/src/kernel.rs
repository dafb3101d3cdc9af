//! A kernel as data: its text, what it binds, and one launch of it.
//!
//! Every kernel has the same frame. `@group(0) @binding(0)` is a uniform block of 32-bit parameters
//! (extents, strides, offsets; one `Vec<u32>` a launch), `@binding(1 + i)` is `bindings[i]`. The entry point
//! is `main`. Storage is bound `read_write` throughout, because operands share arenas.

use serde::{Deserialize, Serialize};

use crate::schedule::ENABLE;

/// What one binding of a kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Binding {
    /// A storage buffer, `read_write`.
    Storage,
    /// The uniform block of host scalars, `array<vec4<u32>, 16>`: see [`HOST_SLOTS`].
    Host,
}

/// Host scalars in the uniform block: 64 words, floats by their bits. Slot 0 is the seed, slot 1 the step
/// (both `u32`, read by random numbers); the others are what the compiler assigns.
pub const HOST_SLOTS: usize = 64;
/// The host slot of the seed, a `u32`.
pub const HOST_SEED: u32 = 0;
/// The host slot of the step counter, a `u32` that starts at 1.
pub const HOST_STEP: u32 = 1;
/// The first host slot that the compiler may assign.
pub const HOST_FIRST_FREE: u32 = 4;

/// The text of a compute shader and what it binds. Two launches with equal kernels share one pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kernel {
    /// What it is, for people: `contract 64x64x16`.
    pub name: String,
    /// The whole WGSL module; the entry point is `main`.
    pub wgsl: String,
    /// Invocations a workgroup along each axis.
    pub workgroup: [u32; 3],
    /// The bindings after the parameters, `bindings[i]` at `@binding(1 + i)`.
    pub bindings: Vec<Binding>,
    /// The names of the parameter words, in order; a multiple of 4 of them.
    pub params: Vec<String>,
}

impl Kernel {
    /// Whether it binds 16-bit floats, which not every device has.
    #[must_use]
    pub fn needs_f16(&self) -> bool {
        self.wgsl.starts_with(ENABLE)
    }
}

/// Which tensor of a [`Schedule`] a binding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// Operand number `.0` of the specification (`reads`, or an anchor's own operands first).
    Read(usize),
    /// Result number `.0` of the specification.
    Write(usize),
    /// Scratch buffer number `.0` of the schedule.
    Scratch(usize),
    /// The host scalars.
    Host,
}

/// One dispatch: a kernel, its parameters, its bindings and its grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The kernel.
    pub kernel: Kernel,
    /// The parameter words, one for each of `kernel.params`.
    pub params: Vec<u32>,
    /// What each of `kernel.bindings` is.
    pub slots: Vec<Slot>,
    /// Workgroups along each axis; each at least 1 and at most 65,535.
    pub workgroups: [u32; 3],
}

/// What computes one specification: its launches in order, and the scratch memory between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The dispatches, each after those it depends on.
    pub launches: Vec<Launch>,
    /// The size of each scratch buffer, in 32-bit words.
    pub scratch: Vec<usize>,
}
