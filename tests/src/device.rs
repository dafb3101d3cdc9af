//! The devices that tests run on.

use nnc_runtime::Device;

/// The best adapter, or `None` (said aloud) where there is none and none is required.
///
/// # Panics
/// If there is none and `NNC_REQUIRE_GPU` is 1.
#[must_use]
pub fn device() -> Option<Device> {
    match Device::gpu(None) {
        Ok(device) => Some(device),
        Err(error) => {
            assert!(std::env::var_os("NNC_REQUIRE_GPU").is_none_or(|v| v != "1"), "{error}");
            eprintln!("skipped: no adapter");
            None
        }
    }
}

/// The best adapter, if there is one, and the processor.
///
/// # Panics
/// If there is no adapter and `NNC_REQUIRE_GPU` is 1.
#[must_use]
pub fn devices() -> Vec<Device> {
    device().into_iter().chain([processor(2)]).collect()
}

/// The processor with so many threads.
///
/// # Panics
/// Never: these tests are built with it.
#[must_use]
pub fn processor(threads: usize) -> Device {
    Device::cpu(Some(threads)).expect("the tests are built with the processor")
}
