//! Runs compiled networks.
//!
//! With default features off this is the artifact format alone. Feature `data` adds the readers of data files
//! and weight files, features `gpu` and `cpu` devices, sessions and training.

pub mod artifact;
#[cfg(any(feature = "gpu", feature = "cpu", feature = "data"))]
pub mod artifact_file;
#[cfg(any(feature = "gpu", feature = "cpu"))]
pub mod batch;
#[cfg(any(feature = "gpu", feature = "cpu", feature = "data"))]
pub mod cause;
#[cfg(feature = "data")]
pub mod checkpoint;
#[cfg(feature = "cpu")]
pub mod cpu;
#[cfg(feature = "data")]
pub mod data;
#[cfg(any(feature = "gpu", feature = "cpu", feature = "data"))]
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
#[cfg(any(feature = "gpu", feature = "cpu"))]
pub mod session;
#[cfg(any(feature = "gpu", feature = "cpu", feature = "data"))]
pub mod tensor;
#[cfg(all(any(feature = "gpu", feature = "cpu"), feature = "data"))]
pub mod train;
#[cfg(any(feature = "gpu", feature = "cpu", feature = "data"))]
mod unchanged;
pub mod validate;
#[cfg(feature = "data")]
pub mod weight_file;
#[cfg(any(feature = "gpu", feature = "cpu", feature = "data"))]
pub mod weight_source;
#[cfg(feature = "data")]
pub mod weights;

#[cfg(any(feature = "gpu", feature = "cpu"))]
pub use batch::{Batch, BatchError};
pub use host::Clock;
#[cfg(any(feature = "gpu", feature = "cpu"))]
pub use session::{Device, DeviceError, Outputs, Session};
#[cfg(any(feature = "gpu", feature = "cpu", feature = "data"))]
pub use tensor::Tensor;
