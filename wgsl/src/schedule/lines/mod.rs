//! Work along the lines of one axis: elements looked up by an index, added up by it, put in order, summed up to each
//! place. Nothing is added by atomic operations, so that equal inputs give equal bits: where elements meet, their
//! order is found first ([`order`]), and one invocation adds them one after the other ([`scatter`]).

mod gather;
mod order;
mod running;
mod scatter;

use super::address::Address;
use super::finish::epilogue_space;
use super::source::Source;
use super::stored::stored;
use super::{LineKind, LineSpec};
use crate::kernel::{Schedule, Slot};
use crate::profile::Profile;

/// The launches that compute `spec`. Slots are the operands of the kind, then the epilogue's reads.
#[must_use]
pub fn lines(spec: &LineSpec, profile: &Profile) -> Schedule {
    let space = epilogue_space(&spec.epilogue, &spec.extents, spec.operands.len());
    match spec.kind {
        LineKind::Gather => gather::gather(spec, &space, profile),
        LineKind::ScatterAdd => scatter::scatter(spec, &space, profile),
        LineKind::Order { descending } => order::ordered(spec, &space, descending, profile),
        LineKind::RunningSum { reverse } => running::running(spec, &space, reverse, profile),
    }
}

/// Invocations of a workgroup where each works alone.
fn workgroup(profile: &Profile) -> u32 {
    if profile.cheap_barriers { 128 } else { 32 }
}

/// Binds operand `k` as `operand{k}`; its place.
fn operand(source: &mut Source, spec: &LineSpec, k: usize, wide: bool) -> Address {
    let (element, place) = &spec.operands[k];
    let name = format!("operand{k}");
    source.storage(Slot::Read(k), &name, stored(*element, wide));
    Address::declare(source, &name, place)
}

/// The coordinates with another one along `axis`.
fn moved(coordinates: &[String], axis: usize, to: &str) -> Vec<String> {
    let mut moved = coordinates.to_vec();
    to.clone_into(&mut moved[axis]);
    moved
}
