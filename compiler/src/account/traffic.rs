//! The bytes that each launch of a program has to read and write: every element that it touches, once.
//!
//! A kernel that finds again in a cache what it has read takes no longer than that many bytes; one that does not takes
//! longer.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::Slot;

use crate::ir::NodeId;
use crate::lower::{Stage, Work};
use crate::passes::Anchor;
use crate::program::Built;

/// The bytes of each launch of each stage: one list a stage, in the order of the dispatches.
#[must_use]
pub fn traffic(built: &Built) -> Vec<Vec<u64>> {
    let stages = built.lowered.stages.iter().enumerate();
    stages.map(|(number, stage)| Traffic::of(built, number, stage).launches()).collect()
}

/// A stage and what it reads.
struct Traffic<'a> {
    built: &'a Built,
    number: usize,
    stage: &'a Stage,
    /// The bytes that it reads of each value that lies in memory.
    read: BTreeMap<NodeId, u64>,
}

impl<'a> Traffic<'a> {
    fn of(built: &'a Built, number: usize, stage: &'a Stage) -> Traffic<'a> {
        let graph = &built.graph;
        let mut regions: BTreeSet<(NodeId, usize, i64, &[i64])> = BTreeSet::new();
        let mut moved: BTreeMap<NodeId, u64> = BTreeMap::new();
        for &member in &stage.cluster.members {
            for (slot, operand) in graph.operands(member).into_iter().enumerate() {
                let layout = &built.lowered.layouts[&operand];
                let extents = layout.shape.iter().zip(&layout.strides);
                let elements: usize =
                    extents.filter(|(_, stride)| **stride != 0).map(|(extent, _)| extent).product();
                regions.insert((layout.base, elements, layout.offset, &layout.strides));
                let is_part = built.lowered.parts.get(&layout.base).is_some_and(|(pack, _)| *pack == member);
                if !built.lowered.homes.is_in_place(member, slot) && !is_part {
                    let element = graph.stored_element(layout.base);
                    *moved.entry(layout.base).or_default() += element.bytes(graph.ty(operand).size()) as u64;
                }
            }
        }
        if matches!(stage.cluster.anchor, Anchor::Move(_)) {
            return Traffic { built, number, stage, read: moved };
        }
        let mut read: BTreeMap<NodeId, u64> = BTreeMap::new();
        for (base, elements, ..) in regions {
            let (element, whole) = (graph.stored_element(base), graph.stored_bytes(base) as u64);
            let bytes = read.entry(base).or_default();
            *bytes = (*bytes + element.bytes(elements) as u64).min(whole);
        }
        Traffic { built, number, stage, read }
    }

    fn launches(&self) -> Vec<u64> {
        let works = self.stage.work.iter().enumerate();
        let launches = works.flat_map(|(place, work)| {
            work.schedule.launches.iter().map(move |launch| match self.stage.cluster.anchor {
                Anchor::Move(_) => self.moved(work),
                _ => self.computed(place, work, &launch.slots),
            })
        });
        launches.collect()
    }

    /// The bytes that a launch with these slots touches. What is read and what is written count each once, also where
    /// they lie in one memory.
    fn computed(&self, place: usize, work: &Work, slots: &[Slot]) -> u64 {
        let (mut read, mut total) = (BTreeSet::new(), 0);
        for slot in slots {
            match *slot {
                Slot::Read(k) => {
                    let value = work.reads[k].expect("a bound read is in memory");
                    if read.insert(value) {
                        let whole = || self.built.graph.stored_bytes(value) as u64;
                        total += self.read.get(&value).copied().unwrap_or_else(whole);
                    }
                }
                // Where the parts of a product's columns are written one by one, each slot has its share.
                Slot::Write(k) => {
                    let value = work.writes[k];
                    let alike = (0..work.writes.len())
                        .filter(|other| (work.writes[*other], work.into[*other]) == (value, work.into[k]));
                    total += self.built.graph.stored_bytes(value) as u64 / alike.count() as u64;
                }
                Slot::Scratch(k) => total += self.built.plan.scratch[self.number][place][k].bytes,
                Slot::Host => {}
            }
        }
        total
    }

    /// What a copy reads and writes: its share of the parts that it takes from its operand.
    fn moved(&self, work: &Work) -> u64 {
        let Some(from) = work.reads.iter().flatten().next() else {
            let written = work.writes.iter().map(|id| self.built.graph.stored_bytes(*id) as u64);
            return written.sum();
        };
        let alike = self.stage.work.iter().filter(|other| other.reads.contains(&Some(*from))).count() as u64;
        2 * self.read.get(from).copied().unwrap_or(0) / alike
    }
}
