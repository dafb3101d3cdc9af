//! Execution through wgpu, whose one home this is: Vulkan, Metal, DX12 and GL.

mod adapters;
mod cache;
mod device;
mod error;
mod limits;
mod outputs;
mod pipelines;
mod program;
pub mod raw;
mod ring;
mod session;
mod staging;
mod supply;
mod timing;
mod trace;
mod transfer;
mod trusted;

pub use adapters::{AdapterSummary, adapters};
pub use device::{Device, Taken};
pub use error::{DeviceError, place};
pub use outputs::{Outputs, Ticket};
pub use session::{OpenError, Session};
pub use trace::Fault;

/// The device of a test; says so and gives `None` where there is none, unless `NNC_REQUIRE_GPU=1`.
#[cfg(test)]
pub(crate) fn test_device() -> Option<Device> {
    match Device::open(None) {
        Ok(device) => Some(device),
        Err(error) => {
            assert!(std::env::var_os("NNC_REQUIRE_GPU").is_none_or(|v| v != "1"), "{error}");
            eprintln!("skipped: no adapter");
            None
        }
    }
}
