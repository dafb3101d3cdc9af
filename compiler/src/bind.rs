//! What each launch binds: the memory of each of its tensors, or, where it has more of them than the device has storage
//! buffers, the stretches of the arenas in which they lie.

use nnc_runtime::artifact::{Area, Bound, Buffer};
use nnc_wgsl::{Kernel, Launch, Profile, share, storage_buffers};

/// A launch and the memory it runs on.
#[derive(Clone, Debug)]
pub struct BoundLaunch {
    /// The kernel.
    pub kernel: Kernel,
    /// Its parameter words.
    pub params: Vec<u32>,
    /// What each of the kernel's bindings is.
    pub bindings: Vec<Bound>,
    /// Whether the device has as many buffers, and takes bindings as long.
    pub fits: bool,
}

/// Binds a launch to the areas of its slots, of which `None` is the host block.
#[must_use]
pub fn bind(launch: &Launch, areas: &[Option<Area>], profile: &Profile) -> BoundLaunch {
    let most = profile.storage_buffers as usize;
    if storage_buffers(&launch.kernel) <= most {
        return BoundLaunch {
            kernel: launch.kernel.clone(),
            params: launch.params.clone(),
            bindings: areas.iter().map(|area| area.map_or(Bound::Host, Bound::Area)).collect(),
            fits: true,
        };
    }
    let arena = |area: &Option<Area>| match area.as_ref()?.buffer {
        Buffer::Arena(arena) => Some(arena),
        Buffer::Region(_) | Buffer::Input | Buffer::Output | Buffer::Window(_) => None,
    };
    let memories: Vec<Option<usize>> = areas.iter().map(arena).collect();
    let shared = share(launch, &memories);
    let stretches: Vec<Option<Area>> = shared.held.iter().map(|slots| stretch(slots, areas)).collect();
    let fits = |area: &Area| area.bytes <= profile.binding_bytes;
    let bound = |slot: usize| shared.held.iter().position(|slots| slots.contains(&slot));
    let params = shared.params(|slot| {
        let place = bound(slot).expect("every slot is held by a binding");
        match (areas[slot], stretches[place]) {
            (Some(area), Some(stretch)) => area.offset - stretch.offset,
            _ => 0,
        }
    });
    BoundLaunch {
        params,
        bindings: stretches.iter().map(|area| area.map_or(Bound::Host, Bound::Area)).collect(),
        fits: storage_buffers(&shared.kernel) <= most && stretches.iter().flatten().all(fits),
        kernel: shared.kernel,
    }
}

/// The memory from the first to the last of these slots, which lie in one buffer.
fn stretch(slots: &[usize], areas: &[Option<Area>]) -> Option<Area> {
    let areas = slots.iter().filter_map(|&slot| areas[slot]);
    areas.reduce(|a, b| {
        let offset = a.offset.min(b.offset);
        let end = (a.offset + a.bytes).max(b.offset + b.bytes);
        Area { buffer: a.buffer, offset, bytes: end - offset }
    })
}
