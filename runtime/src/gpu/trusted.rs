//! The calls that wgpu marks unsafe: kernels without run-time checks, and pipeline caches from disk.
//!
//! Kernels are written by our compiler, which keeps every access in range and every loop finite by
//! construction; wgpu's own checks cost up to a hundred times the kernel. Cache files are written by this
//! runtime alone, carry a checksum, and are looked up by the adapter's own key.
#![allow(unsafe_code)]

/// A module whose loops and accesses are not checked at run time.
pub(super) fn shader_module(device: &wgpu::Device, name: &str, wgsl: &str) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(name),
        source: wgpu::ShaderSource::Wgsl(std::borrow::Cow::Borrowed(wgsl)),
    };
    // SAFETY: the text comes from nnc-wgsl, whose schedules keep accesses in range and loops finite.
    unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
}

/// A pipeline cache that begins with `data`, which an earlier cache for the same adapter key returned.
pub(super) fn pipeline_cache(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("nnc"), data, fallback: true };
    // SAFETY: `data` is what `PipelineCache::get_data` gave for this adapter key, proven by its checksum.
    unsafe { device.create_pipeline_cache(&descriptor) }
}
