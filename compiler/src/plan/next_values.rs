//! The next values of stored tensors: written straight over the present ones where no kernel reads those any more.

use std::collections::BTreeMap;

use nnc_runtime::artifact::{Area, Buffer};

use super::{Planner, overlap};
use crate::ir::{NodeId, Part};
use crate::passes::Anchor;

/// When the values of a program are written and read, and where those lie that have a place.
#[derive(Default)]
struct Uses {
    /// The stage that computes each value.
    writer: BTreeMap<NodeId, usize>,
    /// The first and the last stage that reads each value.
    read: BTreeMap<NodeId, (usize, usize)>,
    /// The places of what is read, with the last stage that reads it.
    placed: BTreeMap<Buffer, Vec<(Area, usize)>>,
}

impl Uses {
    /// Takes note of where a value lies, if it is read.
    fn place(&mut self, id: NodeId, area: Area) {
        if let Some(&(_, last)) = self.read.get(&id) {
            self.placed.entry(area.buffer).or_default().push((area, last));
        }
    }

    /// Whether something in this memory is read after a stage.
    fn is_read_after(&self, area: Area, stage: usize) -> bool {
        let mut placed = self.placed.get(&area.buffer).into_iter().flatten();
        placed.any(|(other, last)| *last > stage && overlap(*other, area))
    }

    /// Whether a stage other than the writer reads the value: it would see a stored tensor change under it.
    fn is_read_elsewhere(&self, value: NodeId, writer: usize) -> bool {
        self.read.get(&value).is_some_and(|stages| *stages != (writer, writer))
    }
}

impl Planner<'_> {
    /// Puts next values over present ones where that is right; the others are returned.
    pub(super) fn place_next_values(&mut self) -> Vec<(NodeId, NodeId)> {
        let mut late = Vec::new();
        let mut allowance = self.graph.allowance.clone();
        let mut uses = self.uses();
        for assignment in &self.graph.assignments {
            let target = self.plan.areas[&assignment.target];
            if self.may_overwrite(&uses, assignment.target, assignment.value)
                && allowance.take_part(Part::NextValues)
            {
                let area = Area { bytes: self.bytes(assignment.value), ..target };
                self.plan.areas.insert(assignment.value, area);
                uses.place(assignment.value, area);
            } else {
                late.push((assignment.target, assignment.value));
            }
        }
        late
    }

    fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        for (number, stage) in self.lowered.stages.iter().enumerate() {
            uses.writer.extend(stage.cluster.members.iter().map(|member| (*member, number)));
            for id in self.reads(stage) {
                uses.read.entry(id).or_insert((number, number)).1 = number;
            }
        }
        for (id, area) in &self.plan.areas {
            uses.place(*id, *area);
        }
        uses
    }

    fn may_overwrite(&self, uses: &Uses, target: NodeId, value: NodeId) -> bool {
        let Some(&writer) = uses.writer.get(&value) else { return false };
        let stage = &self.lowered.stages[writer];
        if matches!(
            stage.cluster.anchor,
            Anchor::ProductRow(_)
                | Anchor::Contract(_)
                | Anchor::Parts(..)
                | Anchor::Conv(_)
                | Anchor::Window(_)
                | Anchor::Lines(_)
                | Anchor::Move(_)
        ) {
            return false;
        }
        let area = self.plan.areas[&target];
        let touches = |id: &NodeId| self.plan.areas.get(id).is_some_and(|other| overlap(*other, area));
        let own_point = stage.work.iter().all(|work| {
            work.reads.iter().zip(&work.pointwise).all(|(read, pointwise)| match read {
                Some(id) if touches(&self.lowered.homes.root(*id)) => *pointwise && *id == target,
                _ => true,
            })
        });
        let row_target =
            !stage.cluster.reduced().is_empty() && self.graph.ty(value).shape == stage.cluster.space;
        let is_free = !uses.is_read_after(area, writer) && !uses.is_read_elsewhere(value, writer);
        is_free && own_point && !row_target
    }
}
