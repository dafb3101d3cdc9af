//! An opened adapter: where buffers, pipelines and submissions are made.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nnc_wgsl::Profile;

use super::adapters;
use crate::session::{DeviceError, Taken};

/// A device. Clones share it.
#[derive(Clone, Debug)]
pub struct Device {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) info: wgpu::AdapterInfo,
    profile: Profile,
    failure: Arc<Mutex<Option<DeviceError>>>,
}

impl Device {
    /// Opens the best adapter (`None` or `gpu`), or the best one whose name contains `wanted` in any case.
    ///
    /// # Errors
    /// If there is no adapter, none of that name, or the driver refuses it.
    pub fn open(wanted: Option<&str>) -> Result<Device, DeviceError> {
        Device::of(&adapters::choose(wanted)?)
    }

    /// Opens the best adapter of hardware, if there is one.
    pub(crate) fn open_hardware() -> Option<Result<Device, DeviceError>> {
        adapters::hardware().map(|adapter| Device::of(&adapter))
    }

    fn of(adapter: &wgpu::Adapter) -> Result<Device, DeviceError> {
        let info = adapter.get_info();
        let limits = adapter.limits();
        let features = adapters::FEATURES
            .iter()
            .map(|(feature, _)| *feature)
            .fold(wgpu::Features::empty(), |all, feature| all | feature)
            & adapter.features();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("nnc"),
            required_features: features,
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|e| DeviceError::Refused { adapter: info.name.clone(), cause: e.to_string() })?;
        let failure = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&failure);
        device.set_device_lost_callback(move |reason, cause| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                record(&slot, DeviceError::Lost { cause });
            }
        });
        let slot = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            record(&slot, told(&error, "a command", 0));
        }));
        let profile = adapters::profile(adapter);
        Ok(Device { device, queue, info, profile, failure })
    }

    /// The adapter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// What the process has taken from the driver on this device, where the backend keeps account of it: on Vulkan and
    /// DX12.
    #[must_use]
    pub fn taken(&self) -> Option<Taken> {
        let report = self.device.generate_allocator_report()?;
        Some(Taken {
            allocations: report.allocations.len(),
            bytes: report.total_allocated_bytes,
            reserved_bytes: report.total_reserved_bytes,
        })
    }

    /// `vulkan`, `metal`, `dx12` or `gl`.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.info.backend.to_str()
    }

    /// The profile that models are compiled for to run here.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether the time of single dispatches can be measured.
    #[must_use]
    pub fn has_timestamps(&self) -> bool {
        self.device
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES)
    }

    /// Says whether everything so far went well.
    ///
    /// # Errors
    /// The first failure that the driver reported, again on each call.
    pub fn check(&self) -> Result<(), DeviceError> {
        locked(&self.failure).clone().map_or(Ok(()), Err)
    }

    /// Waits for `submission`, or for everything submitted so far, with its callbacks.
    pub(super) fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<(), DeviceError> {
        let poll = wgpu::PollType::Wait { submission_index: submission, timeout: None };
        let polled = self.device.poll(poll);
        self.check()?;
        polled.map(|_| ()).map_err(|e| DeviceError::Lost { cause: e.to_string() })
    }

    /// A buffer of at least 16 bytes.
    pub(super) fn buffer(
        &self,
        what: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
        mapped_at_creation: bool,
    ) -> Result<wgpu::Buffer, DeviceError> {
        let allowed = self.device.limits().max_buffer_size;
        if bytes > allowed {
            return Err(DeviceError::OverLimit {
                what: format!("{what}, in bytes,"),
                needed: bytes,
                allowed,
                adapter: self.name().to_owned(),
            });
        }
        self.guarded(what, bytes, || {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(what),
                size: bytes.next_multiple_of(16).max(16),
                usage,
                mapped_at_creation,
            })
        })
    }

    /// Runs `make` and turns what the driver reports meanwhile into an error.
    pub(super) fn guarded<T>(
        &self,
        what: &str,
        bytes: u64,
        make: impl FnOnce() -> T,
    ) -> Result<T, DeviceError> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        let validation = pollster::block_on(validation.pop());
        let internal = pollster::block_on(internal.pop());
        let memory = pollster::block_on(memory.pop());
        match memory.or(validation).or(internal) {
            None => Ok(made),
            Some(error) => Err(told(&error, what, bytes)),
        }
    }
}

fn record(slot: &Mutex<Option<DeviceError>>, error: DeviceError) {
    locked(slot).get_or_insert(error);
}

fn locked(slot: &Mutex<Option<DeviceError>>) -> MutexGuard<'_, Option<DeviceError>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error for a failed command, told from what wgpu reports.
fn told(error: &wgpu::Error, what: &str, bytes: u64) -> DeviceError {
    match error {
        wgpu::Error::OutOfMemory { .. } => DeviceError::OutOfMemory { what: what.to_owned(), bytes },
        wgpu::Error::Validation { .. } | wgpu::Error::Internal { .. } => {
            DeviceError::Command { cause: format!("{what}: {error}") }
        }
    }
}
