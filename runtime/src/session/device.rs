//! The devices of this machine behind one name: adapters of wgpu, and the processor.

use std::sync::Arc;

use nnc_wgsl::Profile;

use super::engine::Engine;
use super::error::DeviceError;
use crate::artifact::{Artifact, Program};
#[cfg(feature = "cpu")]
use crate::cpu;
#[cfg(feature = "gpu")]
use crate::gpu;

/// A device. Clones share it.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a program has one or two devices")]
pub enum Device {
    /// An adapter that computes.
    #[cfg(feature = "gpu")]
    Gpu(gpu::Device),
    /// The processor.
    #[cfg(feature = "cpu")]
    Cpu(cpu::Processor),
}

/// A device as `nnc devices` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSummary {
    /// Its name, such as `NVIDIA H200`.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software`, `processor` or `other`.
    pub kind: &'static str,
    /// `vulkan`, `metal`, `dx12`, `gl` or `native`.
    pub backend: String,
    /// Name and version of the driver.
    pub driver: String,
    /// The profile that models are compiled for.
    pub profile: Profile,
    /// The limits that matter for compute, with their values.
    pub limits: Vec<(&'static str, u64)>,
    /// The optional features it has that the compiler or the runtime can use.
    pub features: Vec<&'static str>,
}

/// Memory taken from a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Buffers and the like that live.
    pub allocations: usize,
    /// Their size, in bytes.
    pub bytes: u64,
    /// The size of the blocks that they lie in, in bytes.
    pub reserved_bytes: u64,
}

/// All devices, best first: adapters of hardware, the processor, adapters of software.
#[must_use]
pub fn devices() -> Vec<DeviceSummary> {
    #[cfg(feature = "gpu")]
    let (software, hardware): (Vec<_>, Vec<_>) =
        gpu::summaries().into_iter().partition(|adapter| adapter.kind == "software");
    #[cfg(not(feature = "gpu"))]
    let (software, hardware) = (Vec::new(), Vec::new());
    #[cfg(feature = "cpu")]
    let processor = Some(cpu::Processor::new(None).summary());
    #[cfg(not(feature = "cpu"))]
    let processor = None;
    hardware.into_iter().chain(processor).chain(software).collect()
}

impl Device {
    /// Opens the best device (`None`), the processor (`cpu`), the best adapter of any kind (`gpu`), or the best one whose
    /// name contains `wanted` in any case. An adapter of software is slower than the processor by itself.
    ///
    /// # Errors
    /// If there is no adapter, none of that name, the driver refuses it, or this program was built without it.
    pub fn open(wanted: Option<&str>) -> Result<Device, DeviceError> {
        match wanted {
            Some(name) if name.eq_ignore_ascii_case("cpu") => Device::cpu(None),
            Some(name) => Device::gpu(Some(name)),
            None => Device::best(),
        }
    }

    /// Opens the best adapter, of software too (`None` or `gpu`), or the best one whose name contains `wanted`.
    ///
    /// # Errors
    /// As [`Device::open`].
    #[cfg(feature = "gpu")]
    pub fn gpu(wanted: Option<&str>) -> Result<Device, DeviceError> {
        gpu::Device::open(wanted).map(Device::Gpu)
    }

    /// Opens the best adapter: this program was built without any.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "gpu"))]
    pub fn gpu(wanted: Option<&str>) -> Result<Device, DeviceError> {
        Err(DeviceError::NotBuilt { wanted: wanted.unwrap_or("gpu").to_owned(), feature: "gpu" })
    }

    /// The processor, with so many threads or as many as run at the same time.
    ///
    /// # Errors
    /// If this program was built without it.
    #[cfg(feature = "cpu")]
    pub fn cpu(threads: Option<usize>) -> Result<Device, DeviceError> {
        Ok(Device::Cpu(cpu::Processor::new(threads)))
    }

    /// The processor: this program was built without it.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "cpu"))]
    pub fn cpu(_: Option<usize>) -> Result<Device, DeviceError> {
        Err(DeviceError::NotBuilt { wanted: "cpu".to_owned(), feature: "cpu" })
    }

    #[cfg(all(feature = "gpu", feature = "cpu"))]
    fn best() -> Result<Device, DeviceError> {
        match gpu::Device::open_hardware() {
            Some(device) => device.map(Device::Gpu),
            None => Device::cpu(None),
        }
    }

    #[cfg(all(feature = "gpu", not(feature = "cpu")))]
    fn best() -> Result<Device, DeviceError> {
        Device::gpu(None)
    }

    #[cfg(not(feature = "gpu"))]
    fn best() -> Result<Device, DeviceError> {
        Device::cpu(None)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            #[cfg(feature = "gpu")]
            Device::Gpu(device) => device.name(),
            #[cfg(feature = "cpu")]
            Device::Cpu(processor) => processor.name(),
        }
    }

    /// `vulkan`, `metal`, `dx12`, `gl` or `native`.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        match self {
            #[cfg(feature = "gpu")]
            Device::Gpu(device) => device.backend(),
            #[cfg(feature = "cpu")]
            Device::Cpu(_) => "native",
        }
    }

    /// The profile that models are compiled for to run here.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        match self {
            #[cfg(feature = "gpu")]
            Device::Gpu(device) => device.profile(),
            #[cfg(feature = "cpu")]
            Device::Cpu(processor) => processor.profile(),
        }
    }

    /// Whether the time of single dispatches can be measured.
    #[must_use]
    pub fn has_timestamps(&self) -> bool {
        match self {
            #[cfg(feature = "gpu")]
            Device::Gpu(device) => device.has_timestamps(),
            #[cfg(feature = "cpu")]
            Device::Cpu(_) => true,
        }
    }

    /// What the process has taken from the driver on this device, where the backend keeps account of it: on Vulkan and
    /// DX12.
    #[must_use]
    pub fn taken(&self) -> Option<Taken> {
        match self {
            #[cfg(feature = "gpu")]
            Device::Gpu(device) => device.taken(),
            #[cfg(feature = "cpu")]
            Device::Cpu(_) => None,
        }
    }

    /// Says whether everything so far went well.
    ///
    /// # Errors
    /// The first failure that the driver reported, again on each call.
    pub fn check(&self) -> Result<(), DeviceError> {
        match self {
            #[cfg(feature = "gpu")]
            Device::Gpu(device) => device.check(),
            #[cfg(feature = "cpu")]
            Device::Cpu(_) => Ok(()),
        }
    }

    /// Opens programs of a valid artifact.
    pub(super) fn engine(
        &self,
        artifact: &Artifact,
        programs: &[Arc<Program>],
    ) -> Result<Box<dyn Engine>, DeviceError> {
        match self {
            #[cfg(feature = "gpu")]
            Device::Gpu(device) => Ok(Box::new(gpu::Engine::open(device, artifact, programs)?)),
            #[cfg(feature = "cpu")]
            Device::Cpu(processor) => Ok(Box::new(cpu::Engine::open(processor, artifact, programs)?)),
        }
    }
}
