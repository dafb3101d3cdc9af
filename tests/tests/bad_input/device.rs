//! No adapter, and buffers beyond what an adapter allows.

use nnc_tests::device::device;

use crate::workplace::{Workplace, floats};

/// Hides every adapter from the loaders of Vulkan and of GL.
#[test]
#[cfg(target_os = "linux")]
fn no_adapter() {
    let place = Workplace::new();
    let hidden = |arguments: &[&str]| {
        let mut command = place.nnc(arguments);
        for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
            command.env(name, "/nonexistent");
        }
        command
    };
    let parts = ["no GPU adapter was found", "install the driver", "`mesa-vulkan-drivers`"];
    place.fails(2, hidden(&["train", "model.nn", "--device", "gpu"]), &parts);
    place.fails(2, hidden(&["bench", "model.nn", "--device", "gpu"]), &parts);
    for chosen in [&["verify", "model.nn"][..], &["verify", "model.nn", "--device", "cpu"]] {
        place.fails(0, hidden(chosen), &["device: CPU, ", "(native), profile cpu"]);
    }
    let listed = nnc_tests::command::succeed(hidden(&["devices"]));
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("CPU, "), "{listed:?}");
    place.fails(0, hidden(&["check", "model.nn"]), &["no errors"]);
    assert!(!place.path("runs").exists());
}

#[test]
fn an_adapter_that_is_not_there() {
    if let Some(device) = device() {
        let place = Workplace::new();
        let parts = ["no adapter is named `nosuch`; there are: ", device.name()];
        place.refuses(2, &["train", "model.nn", "--device", "nosuch"], &parts);
    }
}

/// A weight of 9.6 GB, more than any adapter binds; that nothing is allocated before is shown in
/// `nnc_runtime::gpu::limits`.
#[test]
fn a_weight_beyond_the_limit_of_the_adapter() {
    let Some(device) = device() else { return };
    let place = Workplace::with("linear(8)", "linear(100000000)");
    let parts = ["`linear.weight`", "model.nn:2:", "6400000000", "allows", device.name(), "smaller"];
    place.refuses(2, &["train", "model.nn", "--device", device.name()], &parts);
    place.write_tensors("in", &[floats("image", &[1, 1, 4, 4], |_| 0.5)]);
    place.write("w", "");
    let run = ["run", "model.nn", "--weights", "w", "--input", "in", "--output", "out", "--device", "gpu"];
    place.refuses(2, &run, &parts);
}
