//! Where tensors that are not on the device come from when a program loads them: what was written to the session, a
//! source of weights, or their first values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::device::Device;
use super::error::DeviceError;
use super::staging::Staging;
use crate::artifact::{Artifact, Init, Load, Program, Stored, StoredKind, averaged};
use crate::init::{first_value, first_values};
use crate::weight_source::WeightSource;

/// The tensors of a session that are not on the device, and the way they get there.
#[derive(Debug)]
pub(super) struct Supply {
    /// First values that were given as numbers.
    values: Arc<Vec<u8>>,
    seed: u64,
    source: Option<Box<dyn WeightSource>>,
    held: HashMap<String, Vec<u8>>,
    staging: Option<Staging>,
}

/// The bytes of a tensor that is not on the device.
enum Bytes<'a> {
    There(Cow<'a, [u8]>),
    Elsewhere(&'a dyn WeightSource, &'a str),
    Computed(&'a Stored, u64),
}

impl Supply {
    /// For programs that load tensors, if any does; `on_device` are the regions that are there.
    pub(super) fn new(
        device: &Device,
        artifact: &Artifact,
        programs: &[&Program],
        on_device: &[bool],
    ) -> Result<Supply, DeviceError> {
        let loads = programs.iter().flat_map(|program| &program.loads);
        let loads = loads.filter(|load| !on_device[artifact.tensors[load.tensor].region]);
        let loaded: u64 = loads.map(|load| load.area.bytes).sum();
        let staging = (loaded > 0).then(|| Staging::new(device, loaded)).transpose()?;
        let values = Arc::clone(&artifact.values);
        Ok(Supply { values, seed: 0, source: None, held: HashMap::new(), staging })
    }

    /// What it has allocated on the device, in bytes.
    pub(super) fn allocated(&self) -> u64 {
        self.staging.as_ref().map_or(0, Staging::bytes)
    }

    /// First values that were given as numbers.
    pub(super) fn given(&self) -> &[u8] {
        &self.values
    }

    /// All tensors begin anew, with their first values.
    pub(super) fn begin(&mut self, seed: u64) {
        (self.seed, self.source) = (seed, None);
        self.held.clear();
    }

    /// Tensors come from here from now on.
    pub(super) fn take(&mut self, source: Box<dyn WeightSource>) {
        self.held.clear();
        self.source = Some(source);
    }

    /// Replaces a tensor.
    pub(super) fn hold(&mut self, path: &str, bytes: &[u8]) {
        self.held.insert(path.to_owned(), bytes.to_vec());
    }

    /// The whole tensor.
    pub(super) fn read(&self, tensors: &[Stored], tensor: &Stored) -> Result<Vec<u8>, DeviceError> {
        let mut bytes = vec![0; size(tensor)];
        self.bytes(tensors, tensor).fill(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Encodes a load into `window`; from `region`, where its tensor is on the device.
    pub(super) fn load(
        &mut self,
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        tensors: &[Stored],
        load: &Load,
        window: &wgpu::Buffer,
        region: Option<&wgpu::Buffer>,
    ) -> Result<(), DeviceError> {
        let tensor = &tensors[load.tensor];
        let length = size(tensor);
        if length == 0 {
            return Ok(());
        }
        if let Some(region) = region {
            let bytes = length as u64;
            encoder.copy_buffer_to_buffer(region, tensor.offset, window, load.area.offset, bytes);
            return Ok(());
        }
        let mut staging = self.staging.take().expect("tensors that are not on the device have a way to it");
        let bytes = self.bytes(tensors, tensor);
        let target = (window, load.area.offset);
        let copied =
            staging.copy(device, encoder, target, length, &mut |start, into| bytes.fill(start, into));
        if copied.is_err() {
            staging.abandon();
        }
        self.staging = Some(staging);
        copied
    }

    /// Submits what is encoded, with what came for it.
    pub(super) fn submit(&mut self, device: &Device, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        match &mut self.staging {
            Some(staging) => staging.submit(device, encoder),
            None => device.queue.submit([encoder.finish()]),
        }
    }

    /// A moving average for which nothing else is said is its weight.
    fn bytes<'a>(&'a self, tensors: &'a [Stored], tensor: &'a Stored) -> Bytes<'a> {
        let weight = averaged(&tensor.path).filter(|_| tensor.kind == StoredKind::Average);
        for path in std::iter::once(tensor.path.as_str()).chain(weight) {
            if let Some(bytes) = self.held.get(path) {
                return Bytes::There(bytes.into());
            }
            if let Some(source) = self.source.as_deref().filter(|source| source.has(path)) {
                return Bytes::Elsewhere(source, path);
            }
        }
        let begins_as = weight.and_then(|path| tensors.iter().find(|other| other.path == path));
        let tensor = begins_as.unwrap_or(tensor);
        match tensor.init {
            Init::Given { offset } => {
                let start = offset as usize;
                Bytes::There(self.values[start..start + size(tensor)].into())
            }
            Init::Orthogonal { .. } => Bytes::There(first_value(tensor, self.seed, &self.values).into()),
            Init::Constant(_) | Init::Uniform { .. } | Init::Normal { .. } | Init::Values(_) => {
                Bytes::Computed(tensor, self.seed)
            }
        }
    }
}

impl Bytes<'_> {
    fn fill(&self, start: usize, into: &mut [u8]) -> Result<(), DeviceError> {
        match self {
            Bytes::There(bytes) => into.copy_from_slice(&bytes[start..start + into.len()]),
            Bytes::Elsewhere(source, path) => source.read(path, start, into)?,
            Bytes::Computed(tensor, seed) => {
                into.copy_from_slice(&first_values(tensor, *seed, start..start + into.len()));
            }
        }
        Ok(())
    }
}

fn size(tensor: &Stored) -> usize {
    tensor.element.bytes(tensor.shape.iter().product())
}
