//! Rows between products, in one launch: the values of a row are products of stored operands, are reduced and mapped,
//! and go into further products, and are never stored themselves.
//!
//! Up to four rows lie side by side, and what is streamed past them is loaded once for all. They belong to a workgroup
//! that keeps their values in its memory, or, where barriers are dear, to one invocation. Every sum has one order: the
//! same operands give the same bytes.

mod alone;
mod frame;
mod room;
mod side_by_side;
mod spec;
mod together;

use self::room::Room;
pub use self::spec::{Closing, Factor, Opening, ProductRowSpec};
use crate::kernel::Schedule;
use crate::profile::Profile;

/// Whether there is memory for rows of `length` points between products of these depths and so many closing ones.
#[must_use]
pub fn product_row_fits(length: usize, depths: &[usize], closings: usize, profile: &Profile) -> bool {
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).min(1 << 24);
    let depths: Vec<u32> = depths.iter().map(|&depth| word(depth)).collect();
    Room::choose(1, word(length), &depths, closings, profile).is_some()
}

/// The launch that computes `spec`.
///
/// # Panics
/// If not one row fits into the memory that there is, which [`product_row_fits`] says.
#[must_use]
pub fn product_row(spec: &ProductRowSpec, profile: &Profile) -> Schedule {
    let depths: Vec<u32> = spec.openings.iter().map(|opening| opening.depth).collect();
    let room = Room::choose(spec.rows, spec.length, &depths, spec.closings.len(), profile);
    let room = room.expect("rows were found to fit before a kernel was made of them");
    if profile.cheap_barriers { together::together(spec, room) } else { alone::alone(spec, room) }
}
