//! What can go wrong between a program and a device.

use crate::artifact::Location;
use crate::weight_source::UnreadableWeight;

/// A failure of a device, or of what a device was asked to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The machine has no adapter that can compute.
    #[error("no GPU adapter was found; {}", install_remedy())]
    NoAdapter,
    /// This program was built without the device.
    #[error(
        "there is no device `{wanted}` in this program; build it with the feature `{feature}` of `nnc-runtime`"
    )]
    NotBuilt {
        /// What was asked for.
        wanted: String,
        /// The feature that has it.
        feature: &'static str,
    },
    /// No adapter has the wanted name.
    #[error("no adapter is named `{wanted}`; there are: {}", available.join(", "))]
    NoSuchAdapter {
        /// What was asked for.
        wanted: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// The driver refused to open the adapter.
    #[error("`{adapter}` could not be opened: {cause}")]
    Refused {
        /// The adapter.
        adapter: String,
        /// What the driver says.
        cause: String,
    },
    /// The device went away while it worked.
    #[error("the device was lost: {cause}; training continues from the last checkpoint with `--resume`")]
    Lost {
        /// What the driver says.
        cause: String,
    },
    /// The device has no memory left.
    #[error("the device has no memory left for {what} ({bytes} bytes); use a smaller batch")]
    OutOfMemory {
        /// What was to be allocated.
        what: String,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The adapter allows less than the program needs.
    #[error(
        "{what} needs {needed}, but `{adapter}` allows {allowed}; compile for this device, \
         or make the layer or the batch smaller"
    )]
    OverLimit {
        /// What needs it, with the unit: `the arena 0, in bytes,`.
        what: String,
        /// How much it needs.
        needed: u64,
        /// How much there may be.
        allowed: u64,
        /// The adapter.
        adapter: String,
    },
    /// The adapter has no 16-bit floats.
    #[error(
        "the network holds values in f16, which `{adapter}` has not; compile it for this device or with `--precision f32`"
    )]
    NoF16 {
        /// The adapter.
        adapter: String,
    },
    /// A kernel was not accepted: an error of the compiler or of the driver, not of the model.
    #[error("the kernel `{kernel}` was not accepted by the driver: {cause}")]
    Kernel {
        /// The kernel.
        kernel: String,
        /// What the driver says.
        cause: String,
    },
    /// The device refused a command: an error of the compiler or of the runtime, not of the model.
    #[error("the device refused a command: {cause}")]
    Command {
        /// What the driver says.
        cause: String,
    },
    /// A weight that a program loads cannot be read.
    #[error("{0}; the step was not done: mend the file and begin again")]
    Weight(#[from] UnreadableWeight),
    /// The artifact has no program for what was asked.
    #[error("the artifact has no `{role}` program; compile the model with it")]
    NoProgram {
        /// The missing role.
        role: String,
    },
    /// A tensor that was given does not fit.
    #[error("`{name}` has {found} bytes, the model takes {expected}")]
    Size {
        /// The stored tensor or area.
        name: String,
        /// Its size in the model, in bytes.
        expected: u64,
        /// Its size as given, in bytes.
        found: u64,
    },
    /// The batch was made for another program.
    #[error("the batch was made for another program than `{role}`")]
    Batch {
        /// The program's role.
        role: String,
    },
    /// A name that the artifact does not have.
    #[error("the artifact has no {kind} `{name}`")]
    Unknown {
        /// `tensor`, `input`, `output`, `dispatch`.
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// More steps were submitted than fit in flight.
    #[error("{in_flight} steps are in flight already; collect one first")]
    Busy {
        /// How many.
        in_flight: usize,
    },
}

/// `file:line:column`, or `the model` where the place is not known.
#[must_use]
pub fn place(origin: Option<&Location>) -> String {
    origin.map_or_else(|| "the model".to_owned(), ToString::to_string)
}

fn install_remedy() -> &'static str {
    if cfg!(target_os = "linux") {
        "install the driver of the GPU, or `mesa-vulkan-drivers` for a software one"
    } else {
        "install the driver of the GPU"
    }
}
