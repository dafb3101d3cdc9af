//! Kernels to pipelines: compiled in parallel, with one bind group layout for each list of bindings.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nnc_wgsl::{Binding, Kernel};

use super::cache;
use super::device::Device;
use super::trusted;
use crate::session::DeviceError;

/// A compiled kernel.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// Compiles the kernels, as many at a time as the host has processors, in the order given.
pub(super) fn compile(device: &Device, kernels: &[&Kernel]) -> Result<Vec<Pipeline>, DeviceError> {
    for kernel in kernels {
        check_limits(device, kernel)?;
    }
    let cache = cache::open(device);
    let done: Mutex<Vec<Option<Result<Pipeline, DeviceError>>>> = Mutex::new(vec![None; kernels.len()]);
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(kernels.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((place, kernel)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    kernels.get(place).map(|k| (place, *k))
                } {
                    let result = compile_one(device, kernel, cache.as_ref().map(|c| &c.cache));
                    if let Ok(mut done) = done.lock() {
                        done[place] = Some(result);
                    }
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let pipelines = done
        .into_iter()
        .map(|result| result.expect("every kernel was taken by one of the threads"))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(cache) = cache {
        cache::save(cache);
    }
    Ok(pipelines)
}

fn compile_one(
    device: &Device,
    kernel: &Kernel,
    cache: Option<&wgpu::PipelineCache>,
) -> Result<Pipeline, DeviceError> {
    let made = device.guarded(&kernel.name, 0, || {
        let layout = layout(&device.device, kernel);
        let module = trusted::shader_module(&device.device, &kernel.name, &kernel.wgsl);
        let pipeline_layout = device.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&kernel.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&kernel.name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache,
        });
        Pipeline { pipeline, layout }
    });
    made.map_err(|error| match error {
        DeviceError::Command { cause } => DeviceError::Kernel { kernel: kernel.name.clone(), cause },
        other => other,
    })
}

fn layout(device: &wgpu::Device, kernel: &Kernel) -> wgpu::BindGroupLayout {
    let uniform = wgpu::BufferBindingType::Uniform;
    let storage = wgpu::BufferBindingType::Storage { read_only: false };
    let types = std::iter::once(uniform).chain(kernel.bindings.iter().map(|binding| match binding {
        Binding::Storage => storage,
        Binding::Host => uniform,
    }));
    let entries: Vec<wgpu::BindGroupLayoutEntry> = (0..)
        .zip(types)
        .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}

fn check_limits(device: &Device, kernel: &Kernel) -> Result<(), DeviceError> {
    if kernel.needs_f16() && !device.device.features().contains(wgpu::Features::SHADER_F16) {
        return Err(DeviceError::NoF16 { adapter: device.name().to_owned() });
    }
    let limits = device.device.limits();
    let storage = kernel.bindings.iter().filter(|b| **b == Binding::Storage).count() as u64;
    let invocations: u64 = kernel.workgroup.iter().map(|&n| u64::from(n)).product();
    for (unit, needed, allowed) in [
        ("storage buffers", storage, limits.max_storage_buffers_per_shader_stage),
        ("invocations", invocations, limits.max_compute_invocations_per_workgroup),
    ] {
        if needed > u64::from(allowed) {
            return Err(DeviceError::OverLimit {
                what: format!("the kernel `{}`, in {unit},", kernel.name),
                needed,
                allowed: u64::from(allowed),
                adapter: device.name().to_owned(),
            });
        }
    }
    Ok(())
}
