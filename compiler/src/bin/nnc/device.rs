//! The device a command works on.

use nnc_runtime::Device;

use crate::failure::Failure;
use crate::output;

/// Which device.
#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArguments {
    /// `cpu` for the processor, `gpu` for the best adapter of any kind, or a part of an adapter's name; the best GPU
    /// where there is one, else the processor.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

impl DeviceArguments {
    /// Opens the device and says on stderr which one it is.
    pub(crate) fn open(&self) -> Result<Device, Failure> {
        let device = Device::open(self.device.as_deref())?;
        let profile = &device.profile().name;
        output::note(&format!("device: {} ({}), profile {profile}", device.name(), device.backend()));
        Ok(device)
    }
}
