//! The adapters of this machine, which one is used, and the compiler profile that fits each.

use nnc_wgsl::Profile;

use crate::session::{DeviceError, DeviceSummary};

/// All adapters, best first.
pub(crate) fn summaries() -> Vec<DeviceSummary> {
    ranked().iter().map(summary).collect()
}

/// The adapter that `wanted` names: `gpu` or nothing for the best one, else a part of its name in any case.
pub(super) fn choose(wanted: Option<&str>) -> Result<wgpu::Adapter, DeviceError> {
    let adapters = ranked();
    let Some(wanted) = wanted.filter(|w| !w.eq_ignore_ascii_case("gpu")) else {
        return adapters.into_iter().next().ok_or(DeviceError::NoAdapter);
    };
    let available: Vec<String> = adapters.iter().map(|a| a.get_info().name).collect();
    if available.is_empty() {
        return Err(DeviceError::NoAdapter);
    }
    let part = wanted.to_lowercase();
    adapters
        .into_iter()
        .find(|a| a.get_info().name.to_lowercase().contains(&part))
        .ok_or(DeviceError::NoSuchAdapter { wanted: wanted.to_owned(), available })
}

/// The best adapter of hardware, if there is one.
pub(super) fn hardware() -> Option<wgpu::Adapter> {
    ranked().into_iter().find(|adapter| !is_software(&adapter.get_info()))
}

/// The profile for this adapter: that of its family, within its real limits.
pub(super) fn profile(adapter: &wgpu::Adapter) -> Profile {
    let (info, limits) = (&adapter.get_info(), adapter.limits());
    let named = |name| Profile::named(name).expect("the built-in profiles have names");
    let binding_bytes = limits.max_storage_buffer_binding_size & !3;
    let lockstep = match (info.subgroup_min_size, info.subgroup_max_size) {
        (least, most) if adapter.features().contains(wgpu::Features::SUBGROUP) && least == most => {
            least.max(1)
        }
        _ => 1,
    };
    let family = if is_software(info) {
        Profile { subgroup: lockstep, ..named("lavapipe") }
    } else if info.vendor == 0x10de {
        named("nvidia-hopper")
    } else if info.backend == wgpu::Backend::Metal {
        named("apple-m1")
    } else {
        Profile {
            subgroup: info.subgroup_min_size.max(1),
            workgroup_memory: limits.max_compute_workgroup_storage_size.min(48 << 10),
            invocations: limits.max_compute_invocations_per_workgroup.min(1024),
            storage_buffers: limits.max_storage_buffers_per_shader_stage.min(28),
            binding_bytes,
            processors: 32,
            f16: true,
            ..named("webgpu-default")
        }
    };
    Profile {
        workgroup_memory: family.workgroup_memory.min(limits.max_compute_workgroup_storage_size),
        invocations: family.invocations.min(limits.max_compute_invocations_per_workgroup),
        storage_buffers: family.storage_buffers.min(limits.max_storage_buffers_per_shader_stage),
        binding_bytes: family.binding_bytes.min(binding_bytes),
        f16: family.f16 && adapter.features().contains(wgpu::Features::SHADER_F16),
        ..family
    }
}

/// The features asked for where the adapter has them, and their names.
pub(super) const FEATURES: [(wgpu::Features, &str); 5] = [
    (wgpu::Features::PIPELINE_CACHE, "pipeline-cache"),
    (wgpu::Features::TIMESTAMP_QUERY, "timestamp-query"),
    (wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES, "timestamp-query-inside-passes"),
    (wgpu::Features::SHADER_F16, "shader-f16"),
    (wgpu::Features::SUBGROUP, "subgroup"),
];

/// Adapters that compute, best first. GL is looked at only where nothing better is: it lists the same GPUs
/// again, with fewer abilities, and its loaders write to stderr.
fn ranked() -> Vec<wgpu::Adapter> {
    let native = on(wgpu::Backends::PRIMARY);
    if native.is_empty() { on(wgpu::Backends::GL) } else { native }
}

fn on(backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
    adapters.retain(|a| a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
    adapters.sort_by_key(|a| rank(&a.get_info()));
    adapters
}

fn rank(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        _ if is_software(info) => 4,
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    let software = ["llvmpipe", "SwiftShader", "Basic Render Driver"];
    info.device_type == wgpu::DeviceType::Cpu || software.iter().any(|name| info.name.contains(name))
}

fn summary(adapter: &wgpu::Adapter) -> DeviceSummary {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let features = adapter.features();
    DeviceSummary {
        kind: match info.device_type {
            _ if is_software(&info) => "software",
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        },
        backend: info.backend.to_str().to_owned(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        profile: profile(adapter),
        limits: vec![
            ("buffer bytes", limits.max_buffer_size),
            ("binding bytes", limits.max_storage_buffer_binding_size),
            ("storage buffers", u64::from(limits.max_storage_buffers_per_shader_stage)),
            ("workgroup memory bytes", u64::from(limits.max_compute_workgroup_storage_size)),
            ("invocations a workgroup", u64::from(limits.max_compute_invocations_per_workgroup)),
            ("workgroups an axis", u64::from(limits.max_compute_workgroups_per_dimension)),
        ],
        features: FEATURES.iter().filter(|(f, _)| features.contains(*f)).map(|(_, name)| *name).collect(),
        name: info.name,
    }
}
