//! What lies in the memory of something else, what is copied, and why.

use std::collections::BTreeSet;

use super::words::{copied, listed};
use super::{FactKind, Place, Teller};
use crate::ir::{Kind, NodeId};
use crate::lower::{Copied, Stage, is_view};
use crate::ops::Lowering;
use crate::passes::Anchor;

impl Teller<'_> {
    pub(super) fn memory(&mut self) {
        for (value, operand) in &self.built.plan.in_place {
            let text = format!(
                "{} writes over {}, which nothing reads later",
                self.name(*value),
                self.name(*operand)
            );
            self.tell(self.line(*value), FactKind::Aliased, text);
        }
        let lowered = &self.built.lowered;
        let packed = lowered.parts.iter().map(|(part, (whole, _))| (*part, *whole));
        for (part, whole) in packed.chain(lowered.homes.parts()) {
            let (by, of) = self.names(part, whole);
            let text = format!("{by} writes straight into its part of {of}");
            self.tell(self.line(part), FactKind::Aliased, text);
        }
    }

    /// What kernels copy: operands of concats and packs, and what has to lie in one piece.
    pub(super) fn copies(&mut self) {
        let mut found: Vec<(Place, String, String)> = Vec::new();
        for (kernel, stage) in self.built.lowered.stages.iter().enumerate() {
            if let Anchor::Move(whole) = stage.cluster.anchor {
                for (slot, operand) in self.graph().operands(whole).into_iter().enumerate() {
                    if let Some(why) = self.why_copied(whole, slot, operand)
                        && let Some(line) = self.line(whole)
                    {
                        let reader = |id: NodeId| self.name(id);
                        let what =
                            format!("k{kernel} copies {} into {}", self.name(operand), self.name(whole));
                        found.push((line, copied(why, reader), what));
                    }
                }
                continue;
            }
            for &copy in stage.cluster.members.iter().filter(|member| self.is_copy(**member)) {
                let readers: Vec<String> =
                    self.graph().readers(copy).into_iter().map(|(reader, _)| self.name(reader)).collect();
                let why = match readers.is_empty() {
                    true => "what leaves the program lies in memory of its own".to_owned(),
                    false => format!("{} needs it in one piece", listed(readers)),
                };
                if let Some(line) = self.line(copy) {
                    found.push((line, why, format!("k{kernel} copies")));
                }
            }
        }
        self.tell_grouped(FactKind::Copied, found);
    }

    fn is_copy(&self, node: NodeId) -> bool {
        let lowering = self.graph().operator(node).map(|op| op.lower());
        matches!(lowering, Some(Lowering::Map(expr)) if expr.is_identity())
    }

    /// Why an operand of a concat or a pack is copied; `None` where it is written in place.
    fn why_copied(&self, whole: NodeId, slot: usize, operand: NodeId) -> Option<Copied> {
        let (graph, lowered) = (self.graph(), &self.built.lowered);
        if !matches!(graph.operator(whole)?.lower(), Lowering::Pack { .. }) {
            return lowered.homes.copied(whole, slot);
        }
        let layout = &lowered.layouts[&operand];
        let base = layout.base;
        if lowered.parts.get(&base).is_some_and(|(pack, _)| *pack == whole) {
            return None;
        }
        Some(match &graph.node(base).kind {
            Kind::Source(_) => Copied::Given,
            Kind::Operator(op) if is_view(&op.lower()) => Copied::Given,
            Kind::Operator(_) if graph.is_output(base) => Copied::Output,
            Kind::Operator(_) if lowered.homes.root(base) != base => Copied::Concat,
            Kind::Operator(_) if graph.ty(base).size() != graph.ty(operand).size() => Copied::View,
            Kind::Operator(_) if !layout.is_contiguous() => Copied::View,
            Kind::Operator(_) => Copied::Writer,
        })
    }

    /// The maps that take memory though they read something of their size at their own point.
    pub(super) fn kept(&mut self) {
        let stages = &self.built.lowered.stages;
        let mut found: Vec<(Place, String, String)> = Vec::new();
        for (kernel, stage) in
            stages.iter().enumerate().filter(|(_, stage)| stage.cluster.anchor == Anchor::Map)
        {
            let plan = &self.built.plan;
            let own = stage.work.iter().flat_map(|work| work.writes.iter().zip(&work.into));
            let own: Vec<NodeId> =
                own.filter(|(value, into)| value == into).map(|(value, _)| *value).collect();
            let is_new =
                |value: &&NodeId| plan.alive.contains_key(value) && !plan.in_place.contains_key(value);
            let Some(&value) = own.iter().find(is_new) else { continue };
            let Some((operand, last)) = self.could_be_written_over(stage, value) else { continue };
            let Some(line) = self.line(value) else { continue };
            let (by, over) = self.names(value, operand);
            let reader =
                (kernel + 1..=last.min(stages.len() - 1)).find(|at| self.reads(&stages[*at], operand));
            if let Some(reader) = reader {
                let why = format!("{by} does not write over {over}, which is read later");
                found.push((line, why, format!("k{kernel} (k{reader} reads)")));
            }
        }
        self.tell_grouped(FactKind::Kept, found);
    }

    /// What a map reads at its own point, of the size of what it writes, and the last kernel that needs that.
    fn could_be_written_over(&self, stage: &Stage, value: NodeId) -> Option<(NodeId, usize)> {
        let size = self.graph().stored_bytes(value);
        let reads = stage.work.iter().flat_map(|work| work.reads.iter().zip(&work.pointwise));
        let mut fitting = reads.filter(|(_, pointwise)| **pointwise).filter_map(|(read, _)| *read);
        let found = fitting
            .find(|id| self.graph().stored_bytes(*id) == size && self.built.plan.alive.contains_key(id))?;
        Some((found, self.built.plan.alive[&found].1))
    }

    fn reads(&self, stage: &Stage, value: NodeId) -> bool {
        let read: BTreeSet<NodeId> =
            stage.work.iter().flat_map(|work| work.reads.iter().flatten().copied()).collect();
        read.iter().any(|id| self.built.lowered.homes.root(*id) == value)
    }
}
