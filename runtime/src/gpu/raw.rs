//! Runs one schedule on given tensors: what kernel tests and `nnc verify` are built on.

use std::time::{Duration, Instant};

use nnc_wgsl::{HOST_SLOTS, Schedule, Slot};

use super::device::Device;
use super::pipelines;
use crate::session::DeviceError;

const STORAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// Runs the schedule once. `reads[i]` is what [`Slot::Read`]`(i)` sees (empty where that read is no buffer);
/// `writes[i]` is what [`Slot::Write`]`(i)` holds before and, on return, after. All in bytes as stored.
///
/// # Errors
/// If the device does not take a kernel or a buffer.
pub fn run(
    device: &Device,
    schedule: &Schedule,
    reads: &[Vec<u8>],
    writes: &mut [Vec<u8>],
    host: &[u32; HOST_SLOTS],
) -> Result<(), DeviceError> {
    run_in_place(device, schedule, reads, writes, host, &[])
}

/// [`run`], where for each `(read, write)` of `in_place` the read sees the memory of that write.
///
/// # Errors
/// As [`run`].
pub fn run_in_place(
    device: &Device,
    schedule: &Schedule,
    reads: &[Vec<u8>],
    writes: &mut [Vec<u8>],
    host: &[u32; HOST_SLOTS],
    in_place: &[(usize, usize)],
) -> Result<(), DeviceError> {
    let prepared = Prepared::new(device, schedule, reads, writes, host, in_place)?;
    prepared.submit(1)?;
    prepared.read_writes(writes)
}

/// A schedule with its pipelines and tensors on the device.
#[derive(Debug)]
pub struct Prepared {
    device: Device,
    dispatches: Vec<(wgpu::ComputePipeline, wgpu::BindGroup, [u32; 3])>,
    writes: Vec<wgpu::Buffer>,
}

impl Prepared {
    /// Compiles the kernels and uploads the tensors; arguments as in [`run_in_place`].
    ///
    /// # Errors
    /// As [`run`].
    ///
    /// # Panics
    /// If a slot names a tensor that was not given.
    pub fn new(
        device: &Device,
        schedule: &Schedule,
        reads: &[Vec<u8>],
        writes: &[Vec<u8>],
        host: &[u32; HOST_SLOTS],
        in_place: &[(usize, usize)],
    ) -> Result<Prepared, DeviceError> {
        let kernels: Vec<_> = schedule.launches.iter().map(|launch| &launch.kernel).collect();
        let pipelines = pipelines::compile(device, &kernels)?;
        let write_buffers = upload_all(device, "a result", writes, STORAGE)?;
        let mut read_buffers = upload_all(device, "an operand", reads, STORAGE)?;
        for &(read, write) in in_place {
            read_buffers[read] = write_buffers[write].clone();
        }
        let scratch = schedule
            .scratch
            .iter()
            .map(|&words| device.buffer("scratch memory", words as u64 * 4, STORAGE, false))
            .collect::<Result<Vec<_>, _>>()?;
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let host = upload(device, "the host scalars", bytemuck::cast_slice(host), uniform)?;
        let mut dispatches = Vec::new();
        for (launch, pipeline) in schedule.launches.iter().zip(pipelines) {
            let params = upload(device, "parameters", bytemuck::cast_slice(&launch.params), uniform)?;
            let bound = std::iter::once(&params).chain(launch.slots.iter().map(|slot| match *slot {
                Slot::Read(i) => &read_buffers[i],
                Slot::Write(i) => &write_buffers[i],
                Slot::Scratch(i) => &scratch[i],
                Slot::Host => &host,
            }));
            let entries: Vec<_> = (0..)
                .zip(bound)
                .map(|(binding, buffer)| wgpu::BindGroupEntry {
                    binding,
                    resource: buffer.as_entire_binding(),
                })
                .collect();
            let group = device.guarded(&launch.kernel.name, 0, || {
                device.device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some(&launch.kernel.name),
                    layout: &pipeline.layout,
                    entries: &entries,
                })
            })?;
            dispatches.push((pipeline.pipeline, group, launch.workgroups));
        }
        Ok(Prepared { device: device.clone(), dispatches, writes: write_buffers })
    }

    /// Runs all launches `times` in a row and waits; the time from submission to the end.
    ///
    /// # Errors
    /// If the device refuses a command or is lost.
    pub fn submit(&self, times: usize) -> Result<Duration, DeviceError> {
        let mut encoder =
            self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for (pipeline, group, [x, y, z]) in std::iter::repeat_n(&self.dispatches, times).flatten() {
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(*x, *y, *z);
            }
        }
        let commands = encoder.finish();
        let begin = Instant::now();
        self.device.queue.submit([commands]);
        self.device.wait(None)?;
        Ok(begin.elapsed())
    }

    /// Copies the results back; each of `writes` as long as it was when uploaded.
    ///
    /// # Errors
    /// If the device refuses a command or is lost.
    ///
    /// # Panics
    /// If there are more of them than were uploaded.
    pub fn read_writes(&self, writes: &mut [Vec<u8>]) -> Result<(), DeviceError> {
        for (buffer, bytes) in self.writes.iter().zip(writes) {
            let read = super::transfer::download(&self.device, buffer, 0, buffer.size())?;
            let length = bytes.len();
            bytes.copy_from_slice(&read[..length]);
        }
        Ok(())
    }
}

fn upload_all(
    device: &Device,
    what: &str,
    tensors: &[Vec<u8>],
    usage: wgpu::BufferUsages,
) -> Result<Vec<wgpu::Buffer>, DeviceError> {
    tensors.iter().map(|bytes| upload(device, what, bytes, usage)).collect()
}

fn upload(
    device: &Device,
    what: &str,
    bytes: &[u8],
    usage: wgpu::BufferUsages,
) -> Result<wgpu::Buffer, DeviceError> {
    let buffer = device.buffer(what, bytes.len() as u64, usage, false)?;
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(4), 0);
    device.queue.write_buffer(&buffer, 0, &padded);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use nnc_wgsl::{Binding, Kernel, Launch};

    use super::*;

    const DOUBLE: &str = "
@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> host: array<vec4<u32>, 16>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.x { y[id.x] = x[id.x] * bitcast<f32>(host[1].x); }
}";

    fn scale_by_host() -> Schedule {
        let kernel = Kernel {
            name: "scale".to_owned(),
            wgsl: DOUBLE.to_owned(),
            workgroup: [64, 1, 1],
            bindings: vec![Binding::Storage, Binding::Storage, Binding::Host],
            params: ["n", "_1", "_2", "_3"].map(str::to_owned).to_vec(),
        };
        let slots = vec![Slot::Read(0), Slot::Write(0), Slot::Host];
        let launch = Launch { kernel, params: vec![5, 0, 0, 0], slots, workgroups: [1, 1, 1] };
        Schedule { launches: vec![launch], scratch: Vec::new() }
    }

    fn floats(bytes: &[u8]) -> Vec<f32> {
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    #[test]
    fn a_launch_sees_operands_parameters_and_host_scalars() {
        let Some(device) = crate::gpu::test_device() else { return };
        let x: Vec<u8> = [1f32, 2.0, 3.0, 4.0, 5.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut host = [0; HOST_SLOTS];
        host[4] = 3f32.to_bits();
        let mut writes = [vec![0; 24]];
        run(&device, &scale_by_host(), std::slice::from_ref(&x), &mut writes, &host).unwrap();
        assert_eq!(floats(&writes[0]), [3.0, 6.0, 9.0, 12.0, 15.0, 0.0]);

        let mut writes = [x];
        run_in_place(&device, &scale_by_host(), &[Vec::new()], &mut writes, &host, &[(0, 0)]).unwrap();
        assert_eq!(floats(&writes[0]), [3.0, 6.0, 9.0, 12.0, 15.0]);
    }

    #[test]
    fn a_kernel_that_is_not_wgsl_is_named() {
        let Some(device) = crate::gpu::test_device() else { return };
        let mut schedule = scale_by_host();
        schedule.launches[0].kernel.wgsl = "fn main(".to_owned();
        let error = run(&device, &schedule, &[vec![0; 20]], &mut [vec![0; 20]], &[0; HOST_SLOTS]);
        assert!(matches!(error, Err(DeviceError::Kernel { kernel, .. }) if kernel == "scale"));
    }
}
