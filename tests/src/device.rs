//! The device that tests run on.

use nnc_runtime::Device;

/// The best adapter, or `None` (said aloud) where there is none and none is required.
///
/// # Panics
/// If there is none and `NNC_REQUIRE_GPU` is 1.
#[must_use]
pub fn device() -> Option<Device> {
    match Device::open(None) {
        Ok(device) => Some(device),
        Err(error) => {
            assert!(std::env::var_os("NNC_REQUIRE_GPU").is_none_or(|v| v != "1"), "{error}");
            eprintln!("skipped: no adapter");
            None
        }
    }
}
