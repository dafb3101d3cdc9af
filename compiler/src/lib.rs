//! The compiler: a text file that describes a network becomes one artifact of compute shaders.
//!
//! | step | function |
//! |---|---|
//! | text to syntax tree | [`syntax::parse`], all files by [`elaborate::load`] |
//! | syntax tree to typed graph | [`elaborate::elaborate`] |
//! | gradients | [`gradient::differentiate`] |
//! | the optimizer's step | [`update::training_step`] |
//! | rewriting and forming kernels | [`passes::optimize`] |
//! | graph to kernels | [`lower::lower`] |
//! | memory | [`plan::plan`], [`recompute::recompute`] |
//! | launches | [`assemble::assemble`] |
//!
//! [`compile()`] is all of them, [`check()`] the first four, for their diagnostics alone. The library is pure: it reads no files, no clock and no hash order, so the
//! same text gives the same bytes.

pub mod account;
pub mod assemble;
pub mod bind;
pub mod check;
pub mod compile;
#[cfg(feature = "cli")]
mod data_files;
pub mod diagnostic;
pub mod diff;
pub mod elaborate;
pub mod figure;
pub mod format;
pub mod gradient;
pub mod ir;
pub mod library;
pub mod lower;
mod meaning;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod program;
pub mod recompute;
mod size;
pub mod snapshot;
pub mod source;
pub mod summary;
pub mod syntax;
pub mod update;
#[cfg(feature = "cli")]
pub mod verify;

pub use check::{check, examine};
pub use compile::{Compiled, Precision, Request, compile};
#[cfg(feature = "cli")]
pub use data_files::look_into;
