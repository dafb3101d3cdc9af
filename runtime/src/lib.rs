//! Runs compiled networks.
//!
//! With default features off this is the artifact format alone. Feature `data` adds the readers of data files
//! and weight files, feature `gpu` devices, sessions and training.

pub mod artifact;
#[cfg(any(feature = "gpu", feature = "data"))]
pub mod durable;
#[cfg(feature = "gpu")]
pub mod gpu;
