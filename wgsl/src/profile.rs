//! What a kind of device is good at: the limits and habits that choose tiles.

use serde::{Deserialize, Serialize};

/// A kind of device. Profiles exist without a device, so that a model can be compiled for one that is absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Profile {
    /// Its name, as `--target` takes it.
    pub name: String,
    /// Invocations that run in lockstep. Without `cheap_barriers` kernels broadcast between exactly so many,
    /// so it is the adapter's real size there, or 1 where it has no subgroup operations.
    pub subgroup: u32,
    /// Memory shared by a workgroup, in bytes.
    pub workgroup_memory: u32,
    /// The most invocations of a workgroup.
    pub invocations: u32,
    /// The most storage buffers of a kernel.
    pub storage_buffers: u32,
    /// The largest range a binding may have, in bytes.
    pub binding_bytes: u64,
    /// Whether a workgroup barrier costs about as much as arithmetic; false on software drivers, where
    /// tiles live in registers and each invocation works alone.
    pub cheap_barriers: bool,
    /// Whether kernels may bind 16-bit floats.
    #[serde(default)]
    pub f16: bool,
    /// Processors that run workgroups at the same time; how far work is split.
    pub processors: u32,
}

/// The names [`Profile::named`] knows.
pub const PROFILES: [&str; 5] = ["webgpu-default", "apple-m1", "nvidia-hopper", "lavapipe", "cpu"];

impl Profile {
    /// The profile of this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Profile> {
        let gpu = Profile {
            name: name.to_owned(),
            subgroup: 32,
            workgroup_memory: 16 << 10,
            invocations: 256,
            storage_buffers: 8,
            binding_bytes: 128 << 20,
            cheap_barriers: true,
            f16: false,
            processors: 16,
        };
        Some(match name {
            "webgpu-default" => gpu,
            "apple-m1" => Profile {
                workgroup_memory: 32 << 10,
                invocations: 1024,
                storage_buffers: 28,
                binding_bytes: 1 << 30,
                f16: true,
                processors: 8,
                ..gpu
            },
            "nvidia-hopper" => Profile {
                workgroup_memory: 48 << 10,
                invocations: 1024,
                storage_buffers: 28,
                binding_bytes: (2 << 30) - 4,
                f16: true,
                processors: 132,
                ..gpu
            },
            "lavapipe" => Profile {
                subgroup: 8,
                workgroup_memory: 32 << 10,
                invocations: 1024,
                storage_buffers: 28,
                binding_bytes: 128 << 20,
                cheap_barriers: false,
                f16: true,
                processors: 2,
                ..gpu
            },
            // The processor by itself reads no kernels; those of its artifacts are for software drivers.
            "cpu" => Profile {
                subgroup: 1,
                workgroup_memory: 32 << 10,
                invocations: 1024,
                storage_buffers: 28,
                binding_bytes: 1 << 40,
                cheap_barriers: false,
                f16: true,
                processors: 2,
                ..gpu
            },
            _ => return None,
        })
    }
}
