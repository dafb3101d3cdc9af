//! Compute kernels as data, and their WGSL text.
//!
//! The crate knows scalar formulas ([`Expr`]) and a few ways of walking memory ([`schedule`]): each is a
//! function from a specification and a device [`Profile`] to a [`Schedule`], a short list of launches of
//! validated kernels. It knows no graph, no device and no files. naga has its one home here, in `validate`.

mod access;
mod element;
mod expr;
mod half;
mod kernel;
mod philox;
pub mod print;
mod profile;
pub mod schedule;
mod share;
#[cfg(feature = "validate")]
mod validate;

pub use access::{Epilogue, Place, Read, Write};
pub use element::{Element, Scalar};
pub use expr::{Binary, Expr, ExprBuilder, Real, Ref, Term, Unary};
pub use half::{HALF_MAX, half_bits, half_value, to_half};
pub use kernel::{
    Binding, HOST_FIRST_FREE, HOST_SEED, HOST_SLOTS, HOST_STEP, Kernel, Launch, Schedule, Slot,
};
pub use philox::{random_uniform, random_uniforms};
pub use profile::{PROFILES, Profile};
pub use share::{Begin, Shared, share, storage_buffers};
#[cfg(feature = "validate")]
pub use validate::{Target, Translation, ValidateError, translate, validate, workgroup_bytes};
