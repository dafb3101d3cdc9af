//! A program on the device: its buffers, its bind groups recorded once, and the rings that feed it.

use std::ops::Range;
use std::sync::Arc;

use nnc_wgsl::HOST_SLOTS;

use super::device::Device;
use super::loading::Loading;
use super::pipelines::Pipeline;
use super::ring::Ring;
use crate::artifact::{Bound, Buffer, Program};
use crate::session::{DEPTH, DeviceError, Given, Weights};
use crate::validate::ALIGNMENT;

pub(super) const HOST_BYTES: u64 = HOST_SLOTS as u64 * 4;

const STORAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// A program with everything it needs to run but the regions and arenas, which it shares.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) program: Arc<Program>,
    memory: Memory,
    host: wgpu::Buffer,
    dispatches: Vec<(wgpu::ComputePipeline, wgpu::BindGroup)>,
    rings: [Ring; DEPTH],
    /// What this program alone allocated, in bytes.
    pub(super) allocated: u64,
}

/// The buffers that areas lie in.
#[derive(Clone, Debug)]
struct Memory {
    /// `None` where the session keeps a region's tensors elsewhere.
    regions: Vec<Option<wgpu::Buffer>>,
    arenas: Vec<wgpu::Buffer>,
    windows: Vec<wgpu::Buffer>,
    input: wgpu::Buffer,
    output: wgpu::Buffer,
}

impl Loaded {
    /// `pipelines[k]` is that of kernel `k`, where this program uses it.
    pub(super) fn new(
        device: &Device,
        program: &Arc<Program>,
        pipelines: &[Option<Pipeline>],
        regions: &[Option<wgpu::Buffer>],
        arenas: &[wgpu::Buffer],
        windows: &[wgpu::Buffer],
    ) -> Result<Loaded, DeviceError> {
        let (params, params_bytes) = upload_params(device, program)?;
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let host = device.buffer("the host scalars", HOST_BYTES, uniform, false)?;
        let memory = Memory {
            regions: regions.to_vec(),
            arenas: arenas.to_vec(),
            windows: windows.to_vec(),
            input: device.buffer("the input", program.input_bytes, STORAGE, false)?,
            output: device.buffer("the output", program.output_bytes, STORAGE, false)?,
        };
        let mut dispatches = Vec::with_capacity(program.dispatches.len());
        let mut params_offset = 0;
        for dispatch in &program.dispatches {
            let pipeline =
                pipelines[dispatch.kernel].as_ref().expect("the kernels of an opened program are compiled");
            let words = binding(&params, params_offset, params_size(dispatch.params.len()));
            params_offset += params_size(dispatch.params.len()).next_multiple_of(ALIGNMENT);
            let bound = dispatch.bindings.iter().map(|bound| match bound {
                Bound::Area(area) => binding(memory.buffer(area.buffer), area.offset, area.bytes),
                Bound::Host => binding(&host, 0, HOST_BYTES),
            });
            let entries: Vec<_> = (0..)
                .zip(std::iter::once(words).chain(bound))
                .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
                .collect();
            let group = device.guarded(&dispatch.label, 0, || {
                device.device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some(&dispatch.label),
                    layout: &pipeline.layout,
                    entries: &entries,
                })
            })?;
            dispatches.push((pipeline.pipeline.clone(), group));
        }
        let ring = || Ring::new(device, HOST_BYTES + program.input_bytes, program.output_bytes);
        let rings = [ring()?, ring()?];
        let allocated = params_bytes
            + HOST_BYTES
            + program.input_bytes
            + program.output_bytes
            + DEPTH as u64 * (HOST_BYTES + program.input_bytes + program.output_bytes);
        Ok(Loaded { program: Arc::clone(program), memory, host, dispatches, rings, allocated })
    }

    /// Submits a step through place `ring`, which must be free.
    pub(super) fn submit(
        &self,
        device: &Device,
        ring: usize,
        given: Given<'_>,
        loading: &mut Loading,
        weights: Weights<'_>,
    ) -> Result<wgpu::SubmissionIndex, DeviceError> {
        let ring = &self.rings[ring];
        let mut encoder = encoder(device);
        self.encode_upload(&mut encoder, ring, given.host, given.input.unwrap_or_default())?;
        let places = given.first..self.dispatches.len();
        if let Err(error) = self.encode_loaded(device, &mut encoder, places, loading, weights) {
            drop(encoder);
            ring.take_back(device)?;
            return Err(error);
        }
        self.encode_copies(&mut encoder);
        if self.program.output_bytes > 0 {
            encoder.copy_buffer_to_buffer(
                &self.memory.output,
                0,
                &ring.readback,
                0,
                self.program.output_bytes,
            );
        }
        let submission = loading.submit(device, encoder);
        ring.map_both();
        Ok(submission)
    }

    /// Waits for the step in place `ring` and gives its output buffer to `take`; the place is free then.
    pub(super) fn collect<T>(
        &self,
        device: &Device,
        ring: usize,
        submission: wgpu::SubmissionIndex,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, DeviceError> {
        let bytes = self.program.output_bytes as usize;
        self.rings[ring].read(device, submission, |output| take(&output[..bytes]))
    }

    /// Uploads host scalars and input outside of a step, through the queue.
    pub(super) fn prepare(&self, device: &Device, host: &[u32; HOST_SLOTS], input: &[u8]) {
        device.queue.write_buffer(&self.host, 0, bytemuck::cast_slice(host));
        if !input.is_empty() {
            device.queue.write_buffer(&self.memory.input, 0, input);
        }
    }

    /// Encodes a range of the dispatches with the loads that come before them. Much that is loaded is submitted on the
    /// way.
    pub(super) fn encode_loaded(
        &self,
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        range: Range<usize>,
        loading: &mut Loading,
        weights: Weights<'_>,
    ) -> Result<(), DeviceError> {
        let mut begin = range.start;
        for load in self.program.loads.iter().filter(|load| range.contains(&load.before)) {
            self.encode_pass(encoder, begin..load.before);
            begin = load.before;
            let window = self.memory.buffer(load.area.buffer);
            let region = self.memory.regions[weights.tensors[load.tensor].region].as_ref();
            loading.load(device, encoder, weights, load, window, region)?;
        }
        self.encode_pass(encoder, begin..range.end);
        Ok(())
    }

    fn encode_pass(&self, encoder: &mut wgpu::CommandEncoder, range: Range<usize>) {
        if !range.is_empty() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.encode_dispatches(&mut pass, range, |_, _| {});
        }
    }

    /// Encodes a range of the dispatches; `between` is called before each, with its place.
    pub(super) fn encode_dispatches(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        range: Range<usize>,
        mut between: impl FnMut(&mut wgpu::ComputePass<'_>, usize),
    ) {
        let mut current: Option<&wgpu::ComputePipeline> = None;
        for place in range {
            let (pipeline, group) = &self.dispatches[place];
            between(pass, place);
            if current != Some(pipeline) {
                pass.set_pipeline(pipeline);
                current = Some(pipeline);
            }
            pass.set_bind_group(0, group, &[]);
            let [x, y, z] = self.program.dispatches[place].workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
    }

    /// Encodes the copies that follow the last dispatch.
    pub(super) fn encode_copies(&self, encoder: &mut wgpu::CommandEncoder) {
        for (from, to) in &self.program.copies {
            let (source, target) = (self.memory.buffer(from.buffer), self.memory.buffer(to.buffer));
            encoder.copy_buffer_to_buffer(source, from.offset, target, to.offset, from.bytes);
        }
    }

    /// The buffer that an area of this program lies in.
    pub(super) fn buffer(&self, buffer: Buffer) -> &wgpu::Buffer {
        self.memory.buffer(buffer)
    }

    fn encode_upload(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        ring: &Ring,
        host: &[u32; HOST_SLOTS],
        input: &[u8],
    ) -> Result<(), DeviceError> {
        ring.write(bytemuck::cast_slice(host), input)?;
        encoder.copy_buffer_to_buffer(&ring.staging, 0, &self.host, 0, HOST_BYTES);
        if !input.is_empty() {
            let bytes = input.len() as u64;
            encoder.copy_buffer_to_buffer(&ring.staging, HOST_BYTES, &self.memory.input, 0, bytes);
        }
        Ok(())
    }
}

impl Memory {
    fn buffer(&self, buffer: Buffer) -> &wgpu::Buffer {
        match buffer {
            Buffer::Region(i) => {
                self.regions[i].as_ref().expect("the regions that an opened program binds are on the device")
            }
            Buffer::Arena(i) => &self.arenas[i],
            Buffer::Window(i) => &self.windows[i],
            Buffer::Input => &self.input,
            Buffer::Output => &self.output,
        }
    }
}

pub(super) fn encoder(device: &Device) -> wgpu::CommandEncoder {
    device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

/// All parameter words in one buffer, each dispatch's at the next multiple of 256 bytes.
fn upload_params(device: &Device, program: &Program) -> Result<(wgpu::Buffer, u64), DeviceError> {
    let mut bytes = Vec::new();
    for dispatch in &program.dispatches {
        bytes.extend_from_slice(bytemuck::cast_slice(&dispatch.params));
        bytes.resize(bytes.len().max(16).next_multiple_of(ALIGNMENT as usize), 0);
    }
    let size = bytes.len() as u64;
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let buffer = device.buffer("the parameters", size, usage, false)?;
    super::transfer::upload(device, &buffer, 0, &bytes)?;
    Ok((buffer, size))
}

fn params_size(words: usize) -> u64 {
    (words as u64 * 4).max(16)
}

fn binding(buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> wgpu::BindingResource<'_> {
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(bytes) })
}
