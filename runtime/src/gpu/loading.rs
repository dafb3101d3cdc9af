//! The way of tensors that are not on the device into the windows of programs.

use super::device::Device;
use super::staging::Staging;
use crate::artifact::{Artifact, Load, Program};
use crate::session::{DeviceError, Weights, size};

/// The buffers that they come through, if a program loads any.
#[derive(Debug)]
pub(super) struct Loading {
    staging: Option<Staging>,
}

impl Loading {
    /// For programs that load tensors, if any does; `on_device` are the regions that are there.
    pub(super) fn new(
        device: &Device,
        artifact: &Artifact,
        programs: &[&Program],
        on_device: &[bool],
    ) -> Result<Loading, DeviceError> {
        let loads = programs.iter().flat_map(|program| &program.loads);
        let loads = loads.filter(|load| !on_device[artifact.tensors[load.tensor].region]);
        let loaded: u64 = loads.map(|load| load.area.bytes).sum();
        Ok(Loading { staging: (loaded > 0).then(|| Staging::new(device, loaded)).transpose()? })
    }

    /// What it has allocated on the device, in bytes.
    pub(super) fn allocated(&self) -> u64 {
        self.staging.as_ref().map_or(0, Staging::bytes)
    }

    /// Encodes a load into `window`; from `region`, where its tensor is on the device.
    pub(super) fn load(
        &mut self,
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        weights: Weights<'_>,
        load: &Load,
        window: &wgpu::Buffer,
        region: Option<&wgpu::Buffer>,
    ) -> Result<(), DeviceError> {
        let tensor = &weights.tensors[load.tensor];
        let length = size(tensor);
        if length == 0 {
            return Ok(());
        }
        if let Some(region) = region {
            let bytes = length as u64;
            encoder.copy_buffer_to_buffer(region, tensor.offset, window, load.area.offset, bytes);
            return Ok(());
        }
        let staging = self.staging.as_mut().expect("tensors that are not on the device have a way to it");
        let target = (window, load.area.offset);
        let fill = &mut |start: usize, into: &mut [u8]| weights.fill(load.tensor, start, into);
        let copied = staging.copy(device, encoder, target, length, fill);
        if copied.is_err() {
            staging.abandon();
        }
        copied
    }

    /// Submits what is encoded, with what came for it.
    pub(super) fn submit(&mut self, device: &Device, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        match &mut self.staging {
            Some(staging) => staging.submit(device, encoder),
            None => device.queue.submit([encoder.finish()]),
        }
    }
}
