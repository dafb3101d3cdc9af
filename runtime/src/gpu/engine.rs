//! The programs of an artifact on an adapter: what a session asks for, in commands of wgpu.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use nnc_wgsl::HOST_SLOTS;

use super::device::Device;
use super::limits;
use super::loading::Loading;
use super::pipelines::{self, Pipeline};
use super::program::{Loaded, encoder};
use super::timing::time_dispatches;
use super::transfer;
use crate::artifact::{Area, Artifact, Buffer, Program};
use crate::session::{self, DEPTH, DeviceError, Given, Weights, shared};

/// Bytes that are written without waiting for them.
const SMALL: usize = 1 << 20;

/// The programs and their memory.
#[derive(Debug)]
pub(crate) struct Engine {
    device: Device,
    /// `None` where the tensors of a region come when a program loads them.
    regions: Vec<Option<wgpu::Buffer>>,
    loading: Loading,
    programs: Vec<Loaded>,
    in_flight: VecDeque<InFlight>,
    shared_bytes: u64,
}

#[derive(Debug)]
struct InFlight {
    program: usize,
    ring: usize,
    submission: wgpu::SubmissionIndex,
}

impl Engine {
    /// Opens programs of a valid artifact.
    pub(crate) fn open(
        device: &Device,
        artifact: &Artifact,
        programs: &[Arc<Program>],
    ) -> Result<Engine, DeviceError> {
        let arena_bytes = shared(programs, |program| &program.arenas);
        let window_bytes = shared(programs, |program| &program.windows);
        let opened: Vec<&Program> = programs.iter().map(Arc::as_ref).collect();
        limits::check(device, artifact, &opened, &arena_bytes, &window_bytes)?;
        let resident = artifact.resident(&opened);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let regions = artifact
            .regions
            .iter()
            .zip(&resident)
            .map(|(r, resident)| {
                let make = || device.buffer(&format!("the region `{}`", r.name), r.bytes, usage, false);
                resident.then(make).transpose()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let arenas = (0..)
            .zip(&arena_bytes)
            .map(|(i, &bytes): (usize, _)| device.buffer(&format!("the arena {i}"), bytes, usage, false))
            .collect::<Result<Vec<_>, _>>()?;
        let windows = window_bytes
            .iter()
            .map(|&bytes| device.buffer("the window of the weights", bytes, usage, false))
            .collect::<Result<Vec<_>, _>>()?;
        let loading = Loading::new(device, artifact, &opened, &resident)?;
        let pipelines = compile_used(device, artifact, &opened)?;
        let programs = programs
            .iter()
            .map(|program| Loaded::new(device, program, &pipelines, &regions, &arenas, &windows))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Engine {
            device: device.clone(),
            shared_bytes: regions.iter().flatten().map(wgpu::Buffer::size).sum::<u64>()
                + arena_bytes.iter().chain(&window_bytes).sum::<u64>()
                + loading.allocated(),
            regions,
            loading,
            programs,
            in_flight: VecDeque::with_capacity(DEPTH),
        })
    }

    fn on_device(&self, region: usize) -> &wgpu::Buffer {
        self.regions[region].as_ref().expect("a session asks for regions that are on the device")
    }

    fn submit_and_wait(&self, encoder: wgpu::CommandEncoder) -> Result<(), DeviceError> {
        self.device.queue.submit([encoder.finish()]);
        self.device.wait(None)
    }
}

impl session::Engine for Engine {
    fn regions(&self) -> usize {
        self.regions.len()
    }

    fn region(&self, region: usize) -> Option<u64> {
        self.regions[region].as_ref().map(wgpu::Buffer::size)
    }

    fn clear_region(&mut self, region: usize) -> Result<(), DeviceError> {
        let mut encoder = encoder(&self.device);
        encoder.clear_buffer(self.on_device(region), 0, None);
        self.device.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn write_region(&mut self, region: usize, offset: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        // What is small waits for the others that are written with it.
        if bytes.len() <= SMALL {
            self.device.queue.write_buffer(self.on_device(region), offset, bytes);
            return Ok(());
        }
        transfer::upload(&self.device, self.on_device(region), offset, bytes)
    }

    fn read_region(&self, region: usize) -> Result<Vec<u8>, DeviceError> {
        let buffer = self.on_device(region);
        transfer::download(&self.device, buffer, 0, buffer.size())
    }

    fn wait(&self) -> Result<(), DeviceError> {
        self.device.queue.submit([]);
        self.device.wait(None)
    }

    fn submit(&mut self, program: usize, given: Given<'_>, weights: Weights<'_>) -> Result<(), DeviceError> {
        let loaded = &self.programs[program];
        let taken = |ring| self.in_flight.iter().any(|f| f.program == program && f.ring == ring);
        let ring = usize::from(taken(0));
        let submission = loaded.submit(&self.device, ring, given, &mut self.loading, weights)?;
        self.in_flight.push_back(InFlight { program, ring, submission });
        Ok(())
    }

    fn collect(&mut self) -> Result<Vec<u8>, DeviceError> {
        let InFlight { program, ring, submission } =
            self.in_flight.pop_front().expect("a session collects the steps that it began");
        self.programs[program].collect(&self.device, ring, submission, <[u8]>::to_vec)
    }

    fn prepare(&mut self, program: usize, host: &[u32; HOST_SLOTS], input: &[u8]) -> Result<(), DeviceError> {
        self.programs[program].prepare(&self.device, host, input);
        self.device.check()
    }

    fn dispatch(
        &mut self,
        program: usize,
        dispatches: Range<usize>,
        weights: Weights<'_>,
    ) -> Result<(), DeviceError> {
        let mut encoder = encoder(&self.device);
        let loaded = &self.programs[program];
        loaded.encode_loaded(&self.device, &mut encoder, dispatches, &mut self.loading, weights)?;
        self.loading.submit(&self.device, encoder);
        self.device.wait(None)
    }

    fn copies(&mut self, program: usize) -> Result<(), DeviceError> {
        let mut encoder = encoder(&self.device);
        self.programs[program].encode_copies(&mut encoder);
        self.submit_and_wait(encoder)
    }

    fn clear_arenas(&mut self, program: usize) -> Result<(), DeviceError> {
        let mut encoder = encoder(&self.device);
        let loaded = &self.programs[program];
        for arena in 0..loaded.program.arenas.len() {
            encoder.clear_buffer(loaded.buffer(Buffer::Arena(arena)), 0, None);
        }
        self.submit_and_wait(encoder)
    }

    fn read_area(&self, program: usize, area: &Area) -> Result<Vec<u8>, DeviceError> {
        let buffer = self.programs[program].buffer(area.buffer);
        transfer::download(&self.device, buffer, area.offset, area.bytes)
    }

    fn write_area(&mut self, program: usize, area: &Area, bytes: &[u8]) -> Result<(), DeviceError> {
        transfer::upload(&self.device, self.programs[program].buffer(area.buffer), area.offset, bytes)
    }

    fn time_dispatches(&mut self, program: usize, times: usize) -> Result<Option<Vec<f64>>, DeviceError> {
        time_dispatches(&self.device, &self.programs[program], times)
    }

    fn allocated_bytes(&self) -> u64 {
        self.shared_bytes + self.programs.iter().map(|p| p.allocated).sum::<u64>()
    }
}

fn compile_used(
    device: &Device,
    artifact: &Artifact,
    programs: &[&Program],
) -> Result<Vec<Option<Pipeline>>, DeviceError> {
    let mut used = vec![false; artifact.kernels.len()];
    for dispatch in programs.iter().flat_map(|p| &p.dispatches) {
        used[dispatch.kernel] = true;
    }
    let kernels: Vec<_> = artifact.kernels.iter().zip(&used).filter(|(_, u)| **u).map(|(k, _)| k).collect();
    let mut compiled = pipelines::compile(device, &kernels)?.into_iter();
    Ok(used.iter().map(|used| if *used { compiled.next() } else { None }).collect())
}
