//! Keeps a layer of the Vulkan loader from writing to stderr.
//!
//! Mesa's device selection layer asks for a display and, on a machine without one, writes
//! `error: XDG_RUNTIME_DIR is invalid` at every start. It only sorts the adapters, which the runtime does itself.
#![allow(unsafe_code)]

/// Turns the layer off for this process, unless the user has set its variable. To be called before any thread is
/// started.
pub(crate) fn quiet_device_selection() {
    const LAYER: &str = "NODEVICE_SELECT";
    if cfg!(target_os = "linux") && std::env::var_os(LAYER).is_none() {
        // SAFETY: no other thread exists yet that could read the environment meanwhile.
        unsafe { std::env::set_var(LAYER, "1") };
    }
}
