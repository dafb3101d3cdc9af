//! Runs compiled networks.
//!
//! With default features off this is the artifact format alone. Feature `data` adds the readers of data files
//! and weight files, feature `gpu` devices, sessions and training.

pub mod artifact;
#[cfg(any(feature = "gpu", feature = "data"))]
pub mod artifact_file;
#[cfg(feature = "gpu")]
pub mod batch;
#[cfg(any(feature = "gpu", feature = "data"))]
pub mod cause;
#[cfg(feature = "data")]
pub mod checkpoint;
#[cfg(feature = "data")]
pub mod data;
#[cfg(any(feature = "gpu", feature = "data"))]
pub mod durable;
pub mod example;
pub mod format;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod host;
pub mod init;
#[cfg(feature = "data")]
mod mapped;
pub mod reader;
#[cfg(any(feature = "gpu", feature = "data"))]
pub mod tensor;
#[cfg(all(feature = "gpu", feature = "data"))]
pub mod train;
#[cfg(any(feature = "gpu", feature = "data"))]
mod unchanged;
pub mod validate;
#[cfg(feature = "data")]
pub mod weight_file;
#[cfg(any(feature = "gpu", feature = "data"))]
pub mod weight_source;
#[cfg(feature = "data")]
pub mod weights;

#[cfg(feature = "gpu")]
pub use batch::{Batch, BatchError};
#[cfg(feature = "gpu")]
pub use gpu::{Device, DeviceError, Outputs, Session};
pub use host::Clock;
#[cfg(any(feature = "gpu", feature = "data"))]
pub use tensor::Tensor;
