//! Values without a place of their own: from when to when each is needed, which take over another's memory, and their
//! places in the arenas.

use std::collections::{BTreeMap, BTreeSet};

use nnc_runtime::artifact::{Area, Buffer};
use nnc_wgsl::Profile;

use super::arena::lower_bound;
use super::{Planner, Request, pack};
use crate::ir::{NodeId, Part};
use crate::passes::Anchor;

/// The largest arena, in bytes; larger needs are split over several.
const ARENA: u64 = 1 << 30;

impl Planner<'_> {
    /// Packs every value that has no place yet into arenas.
    pub(super) fn place_the_rest(&mut self, profile: &Profile) {
        let alive = self.lifetimes();
        let shared = self.share_in_place(&alive);
        let mut requests: Vec<Request> = Vec::new();
        let mut roots: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (&id, &lifetime) in &alive {
            let root = root_of(&shared, id);
            match roots.get(&root) {
                Some(&k) => {
                    let whole = &mut requests[k].alive;
                    *whole = (whole.0.min(lifetime.0), whole.1.max(lifetime.1));
                }
                None => {
                    roots.insert(root, requests.len());
                    requests.push(Request { bytes: self.bytes(root), alive: lifetime });
                }
            }
        }
        let mut scratch: Vec<Vec<Vec<usize>>> = Vec::new();
        for (number, stage) in self.lowered.stages.iter().enumerate() {
            let mut of_stage = Vec::new();
            for work in &stage.work {
                let of_work = work
                    .schedule
                    .scratch
                    .iter()
                    .map(|words| {
                        let bytes = (*words as u64 * 4).next_multiple_of(16).max(16);
                        requests.push(Request { bytes, alive: (number, number) });
                        requests.len() - 1
                    })
                    .collect();
                of_stage.push(of_work);
            }
            scratch.push(of_stage);
        }
        let (spots, arenas) = pack(&requests, ARENA.min(profile.binding_bytes.max(128 << 20)));
        let area = |k: usize| Area {
            buffer: Buffer::Arena(spots[k].arena),
            offset: spots[k].offset,
            bytes: requests[k].bytes,
        };
        for &id in alive.keys() {
            let whole = area(roots[&root_of(&shared, id)]);
            self.plan.areas.insert(id, Area { bytes: self.bytes(id), ..whole });
        }
        self.plan.scratch = scratch
            .iter()
            .map(|stage| stage.iter().map(|work| work.iter().map(|&k| area(k)).collect()).collect())
            .collect();
        self.plan.lower_bound = lower_bound(&requests);
        self.plan.arenas = arenas;
        self.plan.alive = alive;
        self.plan.in_place = shared;
    }

    /// The first and last stage of every value that has no place yet. What is settled stays for the next run.
    fn lifetimes(&self) -> BTreeMap<NodeId, (usize, usize)> {
        let mut alive: BTreeMap<NodeId, (usize, usize)> = BTreeMap::new();
        for (number, stage) in self.lowered.stages.iter().enumerate() {
            for id in stage.work.iter().flat_map(|work| work.into.iter().copied()) {
                if !self.plan.areas.contains_key(&id) {
                    alive.entry(id).or_insert((number, number));
                }
            }
            for id in self.reads(stage) {
                if let Some(lifetime) = alive.get_mut(&id) {
                    lifetime.1 = number;
                }
            }
        }
        let end = self.lowered.stages.len();
        let settled = self.lowered.settled;
        for lifetime in alive.values_mut().filter(|(first, last)| *first < settled && settled <= *last) {
            lifetime.1 = end;
        }
        for assignment in &self.graph.assignments {
            if let Some(lifetime) = alive.get_mut(&assignment.value) {
                lifetime.1 = end;
            }
        }
        alive
    }

    /// Results of elementwise kernels that take the memory of an operand nothing reads afterwards.
    fn share_in_place(&self, alive: &BTreeMap<NodeId, (usize, usize)>) -> BTreeMap<NodeId, NodeId> {
        let mut shared: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        let mut allowance = self.graph.allowance.clone();
        for (number, stage) in self.lowered.stages.iter().enumerate() {
            if stage.cluster.anchor != Anchor::Map {
                continue;
            }
            for work in &stage.work {
                let mut given: BTreeSet<NodeId> = BTreeSet::new();
                let home = |id: NodeId| self.lowered.homes.root(id);
                let own = work.writes.iter().zip(&work.into).filter(|(value, into)| value == into);
                for &value in own.map(|(value, _)| value).filter(|v| alive.contains_key(v)) {
                    let taken = work.reads.iter().zip(&work.pointwise).find_map(|(read, pointwise)| {
                        let id = (*read)?;
                        let only =
                            work.reads.iter().flatten().filter(|other| home(**other) == id).count() == 1;
                        let fits = *pointwise
                            && only
                            && !given.contains(&id)
                            && alive.get(&id).is_some_and(|lifetime| lifetime.1 == number)
                            && self.graph.stored_element(id) == self.graph.stored_element(value)
                            && self.graph.stored_bytes(id) == self.graph.stored_bytes(value);
                        fits.then_some(id)
                    });
                    if let Some(id) = taken.filter(|_| allowance.take_part(Part::InPlace)) {
                        given.insert(id);
                        shared.insert(value, id);
                    }
                }
            }
        }
        shared
    }
}

fn root_of(shared: &BTreeMap<NodeId, NodeId>, mut id: NodeId) -> NodeId {
    while let Some(&operand) = shared.get(&id) {
        id = operand;
    }
    id
}
