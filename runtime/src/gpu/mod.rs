//! Execution through wgpu, whose one home this is: Vulkan, Metal, DX12 and GL.

mod adapters;
mod cache;
mod device;
mod engine;
mod limits;
mod loading;
mod pipelines;
mod program;
pub mod raw;
mod ring;
mod staging;
mod timing;
mod transfer;
mod trusted;

pub(crate) use adapters::summaries;
pub use device::Device;
pub(crate) use engine::Engine;

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
