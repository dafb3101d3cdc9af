//! When the values of a step are used, and how many bytes of arena are alive at each kernel.

use std::collections::{BTreeMap, BTreeSet};

use crate::ir::{Graph, NodeId};
use crate::lower::Lowered;
use crate::plan::Plan;

/// The uses of a value that has memory of its own in an arena.
#[derive(Debug)]
pub(super) struct Life {
    /// Its size.
    pub(super) bytes: u64,
    /// The last stage that writes it.
    pub(super) written: usize,
    /// The stages that write or read it.
    pub(super) uses: BTreeSet<usize>,
}

/// The values of a step and the bytes alive.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Bytes alive at each stage.
    alive: Vec<u64>,
    /// The values in whose memory something lies.
    lives: BTreeMap<NodeId, Life>,
}

impl Timeline {
    /// That of a plan.
    pub(super) fn new(graph: &Graph, lowered: &Lowered, plan: &Plan) -> Timeline {
        let mut alive = vec![0; lowered.stages.len() + 1];
        for (stage, works) in plan.scratch.iter().enumerate() {
            alive[stage] += works.iter().flatten().map(|area| area.bytes).sum::<u64>();
        }
        let mut ranges: BTreeMap<NodeId, (usize, usize)> = BTreeMap::new();
        for (&value, &(first, last)) in &plan.alive {
            let mut holder = value;
            while let Some(&operand) = plan.in_place.get(&holder) {
                holder = operand;
            }
            let range = ranges.entry(holder).or_insert((first, last));
            *range = (range.0.min(first), range.1.max(last));
        }
        for (holder, (first, last)) in ranges {
            let bytes = plan.areas[&holder].bytes;
            alive[first..=last].iter_mut().for_each(|sum| *sum += bytes);
        }
        let mut lives: BTreeMap<NodeId, Life> = BTreeMap::new();
        for (stage, of) in lowered.stages.iter().enumerate() {
            for work in &of.work {
                let reads = work.reads.iter().flatten().map(|id| (lowered.homes.root(*id), false));
                for (value, is_write) in reads.chain(work.into.iter().map(|id| (*id, true))) {
                    if !plan.alive.contains_key(&value) {
                        continue;
                    }
                    let bytes = graph.stored_bytes(value) as u64;
                    let life =
                        lives.entry(value).or_insert(Life { bytes, written: stage, uses: BTreeSet::new() });
                    life.uses.insert(stage);
                    if is_write {
                        life.written = stage;
                    }
                }
            }
        }
        Timeline { alive, lives }
    }

    /// The first stage at which the most bytes are alive, and how many.
    pub(super) fn peak(&self) -> (usize, u64) {
        let stages = self.alive.iter().copied().enumerate();
        stages.max_by_key(|(stage, bytes)| (*bytes, std::cmp::Reverse(*stage))).unwrap_or_default()
    }

    /// The values with memory of their own.
    pub(super) fn values(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.lives.keys().copied()
    }

    /// The uses of a value.
    pub(super) fn life(&self, value: NodeId) -> Option<&Life> {
        self.lives.get(&value)
    }

    /// The uses before and after a stage at which a complete value is only kept.
    pub(super) fn gap(&self, value: NodeId, stage: usize) -> Option<(usize, usize)> {
        let life = self.life(value)?;
        let before = *life.uses.range(..=stage).next_back()?;
        let after = *life.uses.range(stage..).next()?;
        (before < stage && life.written <= before).then_some((before, after))
    }

    /// Lets a value go between two uses of it.
    pub(super) fn let_go(&mut self, value: NodeId, (before, after): (usize, usize)) {
        let bytes = self.lives[&value].bytes;
        for sum in &mut self.alive[before + 1..after] {
            *sum = sum.saturating_sub(bytes);
        }
    }

    /// Adds a use of a value, which keeps it until then.
    pub(super) fn use_at(&mut self, value: NodeId, until: usize) {
        if let Some(life) = self.lives.get_mut(&value) {
            let last = life.uses.last().copied().unwrap_or(until);
            for sum in self.alive.iter_mut().take(until + 1).skip(last + 1) {
                *sum += life.bytes;
            }
            life.uses.insert(until);
        }
    }

    /// Lets the second computation of a value, chosen for `from`, be there at `stage` before it.
    pub(super) fn bring_forward(&mut self, value: NodeId, stage: usize, from: usize) {
        let bytes = self.lives[&value].bytes;
        self.alive[stage..from].iter_mut().for_each(|sum| *sum += bytes);
    }
}
