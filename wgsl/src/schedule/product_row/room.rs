//! The memory for rows between products: how many of them lie side by side.

use crate::print::Width;
use crate::profile::Profile;

/// The longest row of an invocation by itself: a software driver keeps all of it across every barrier, and takes minutes to
/// compile rows of a few thousand points.
const ALONE: u32 = 512;

/// What a workgroup has at once, or, where barriers are dear, each invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Rows side by side: one, or four.
    width: Width,
    /// The invocations of a workgroup, a power of 2.
    pub(super) threads: u32,
}

impl Room {
    /// The room for rows of `length` points between products of these depths and so many closing ones; `None` where
    /// not one row fits. An invocation by itself has as much memory as a workgroup, and one row: four would share what
    /// they load, and take a software driver four times as long to compile.
    pub(super) fn choose(
        rows: u32,
        length: u32,
        depths: &[u32],
        closings: usize,
        profile: &Profile,
    ) -> Option<Room> {
        if !profile.cheap_barriers && length > ALONE {
            return None;
        }
        let threads = threads(length, profile);
        let arrays = depths.len().max(closings) as u64;
        let stashed: u64 = depths.iter().map(|&depth| u64::from(stash(depth))).sum();
        let words = arrays * u64::from(points(length, threads)) + stashed + u64::from(threads);
        let fits = |rows: u64| words * rows * 4 <= u64::from(profile.workgroup_memory);
        match (rows > 1 && profile.cheap_barriers && fits(4), fits(1)) {
            (true, _) => Some(Room { width: Width::Four, threads }),
            (false, true) => Some(Room { width: Width::One, threads }),
            (false, false) => None,
        }
    }

    /// The points for which it has memory.
    pub(super) fn points(self, length: u32) -> u32 {
        points(length, self.threads)
    }

    /// How many rows lie side by side.
    pub(super) fn lanes(self) -> u32 {
        match self.width {
            Width::One => 1,
            Width::Four => 4,
        }
    }
}

/// Whole strides of the invocations, and so many points that rows of nearly the same length share a kernel's text.
fn points(length: u32, threads: u32) -> u32 {
    length.next_multiple_of(threads.max(64))
}

/// The terms of a sum for which a kernel has memory.
pub(super) fn stash(depth: u32) -> u32 {
    depth.next_multiple_of(16)
}

/// Where barriers are dear a workgroup is one subgroup.
fn threads(length: u32, profile: &Profile) -> u32 {
    if !profile.cheap_barriers {
        return profile.subgroup.clamp(1, 64).next_power_of_two();
    }
    match length {
        0..=128 => 64,
        129..=512 => 128,
        _ => 256,
    }
}
