//! One place in flight: a buffer to upload from and one to read back into, made once and mapped again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::device::Device;
use crate::session::DeviceError;

/// What is uploaded before a step and read after it.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) staging: wgpu::Buffer,
    pub(super) readback: wgpu::Buffer,
    staging_ready: Arc<AtomicU8>,
    readback_ready: Arc<AtomicU8>,
}

pub(super) const PENDING: u8 = 0;
pub(super) const READY: u8 = 1;
pub(super) const FAILED: u8 = 2;

impl Ring {
    /// Two buffers of these sizes, in bytes, free to be filled.
    pub(super) fn new(device: &Device, upload_bytes: u64, readback_bytes: u64) -> Result<Ring, DeviceError> {
        let up = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let down = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Ok(Ring {
            staging: device.buffer("the upload of a step", upload_bytes, up, true)?,
            readback: device.buffer("the results of a step", readback_bytes, down, false)?,
            staging_ready: Arc::new(AtomicU8::new(READY)),
            readback_ready: Arc::new(AtomicU8::new(PENDING)),
        })
    }

    /// Asks for both buffers back, as soon as the step that was just submitted is done.
    pub(super) fn map_both(&self) {
        for (buffer, mode, ready) in [
            (&self.staging, wgpu::MapMode::Write, &self.staging_ready),
            (&self.readback, wgpu::MapMode::Read, &self.readback_ready),
        ] {
            map(buffer, mode, ready);
        }
    }

    /// Takes the upload buffer back after a step that was given up.
    pub(super) fn take_back(&self, device: &Device) -> Result<(), DeviceError> {
        map(&self.staging, wgpu::MapMode::Write, &self.staging_ready);
        while self.staging_ready.load(Ordering::Acquire) == PENDING {
            device.wait(None)?;
        }
        Ok(())
    }

    /// Fills the upload buffer with these parts, one after another, and gives it to the device.
    pub(super) fn write(&self, host: &[u8], input: &[u8]) -> Result<(), DeviceError> {
        let mut view = self.staging.slice(..).get_mapped_range_mut().map_err(mapping)?;
        view.slice(..host.len()).copy_from_slice(host);
        view.slice(host.len()..host.len() + input.len()).copy_from_slice(input);
        drop(view);
        self.staging.unmap();
        Ok(())
    }

    /// Waits for the step and gives its results to `take`; both buffers are free then.
    pub(super) fn read<T>(
        &self,
        device: &Device,
        submission: wgpu::SubmissionIndex,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, DeviceError> {
        device.wait(Some(submission))?;
        let states = || [&self.staging_ready, &self.readback_ready].map(|r| r.load(Ordering::Acquire));
        while states().contains(&PENDING) {
            device.wait(None)?;
        }
        if states().contains(&FAILED) {
            device.check()?;
            return Err(DeviceError::Lost { cause: "its memory could not be mapped".to_owned() });
        }
        let view = self.readback.slice(..).get_mapped_range().map_err(mapping)?;
        let taken = take(&view);
        drop(view);
        self.readback.unmap();
        Ok(taken)
    }
}

/// Asks for a buffer back, as soon as all that was submitted with it is done; `ready` tells when.
pub(super) fn map(buffer: &wgpu::Buffer, mode: wgpu::MapMode, ready: &Arc<AtomicU8>) {
    ready.store(PENDING, Ordering::Release);
    let ready = Arc::clone(ready);
    buffer.slice(..).map_async(mode, move |result| {
        ready.store(if result.is_ok() { READY } else { FAILED }, Ordering::Release);
    });
}

pub(super) fn mapping(error: wgpu::MapRangeError) -> DeviceError {
    DeviceError::Command { cause: format!("mapping the buffers of a step: {error}") }
}
