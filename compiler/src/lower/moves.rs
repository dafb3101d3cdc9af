//! The copies of a concat or pack: what no kernel writes in place. Neighbouring operands that lie at equal distances
//! in one value are one copy.

use std::collections::BTreeMap;

use nnc_wgsl::schedule::{MapSpec, Spec};
use nnc_wgsl::{Expr, Place, Profile, Read, Write};

use super::Work;
use super::homes::Homes;
use super::hosts::HostTable;
use super::layout::{Layout, signed};
use super::member::is_in_memory;
use super::spec::{coalesced, own_place};
use crate::ir::{Graph, Kind, NodeId, Source};
use crate::ops::Lowering;

/// Operands that lie at equal distances where they are read and where they are written.
struct Run {
    count: usize,
    /// Where the first lies.
    from: Layout,
    /// From one operand to the next, in elements.
    from_step: i64,
    /// Where the first goes, over its shape.
    to: Place,
    to_step: i64,
}

impl Run {
    /// Whether an operand continues the run; if so it belongs to it.
    fn takes(&mut self, from: &Layout, to: &Place) -> bool {
        let (reads, writes) = (from.offset - self.from.offset, to.offset - self.to.offset);
        let alike = from.base == self.from.base
            && from.shape == self.from.shape
            && from.strides == self.from.strides
            && to.strides == self.to.strides;
        let count = signed(self.count);
        let goes_on = self.count == 1 || (reads == count * self.from_step && writes == count * self.to_step);
        if alike && goes_on {
            if self.count == 1 {
                (self.from_step, self.to_step) = (reads, writes);
            }
            self.count += 1;
        }
        alike && goes_on
    }

    /// The whole run as one layout, and where it goes.
    fn joined(self) -> (Layout, Place) {
        if self.count == 1 {
            return (self.from, self.to);
        }
        let front = |first: i64, rest: &[i64]| [&[first], rest].concat();
        let from = Layout {
            shape: [&[self.count], self.from.shape.as_slice()].concat(),
            strides: front(self.from_step, &self.from.strides),
            ..self.from
        };
        let to = Place { offset: self.to.offset, strides: front(self.to_step, &self.to.strides) };
        (from, to)
    }
}

/// The copies, in order.
pub(super) fn moves(
    graph: &Graph,
    id: NodeId,
    homes: &Homes,
    parts: &BTreeMap<NodeId, (NodeId, usize)>,
    hosts: &mut HostTable,
    profile: &Profile,
) -> Vec<Work> {
    let lowering = graph.operator(id).expect("a move is computed").lower();
    let whole = homes.memory(id);
    let mut runs: Vec<Run> = Vec::new();
    let mut begin = 0;
    for (slot, operand) in graph.operands(id).into_iter().enumerate() {
        let layout = homes.memory(operand);
        let to = match &lowering {
            Lowering::Concat { axis } => {
                let offset = whole.offset + signed(begin) * whole.strides[*axis];
                begin += layout.shape[*axis];
                Place { offset, strides: whole.strides.clone() }
            }
            Lowering::Pack { offsets } => {
                if parts.get(&layout.base).is_some_and(|(pack, _)| *pack == id) {
                    continue;
                }
                Place { offset: signed(offsets[slot]), ..own_place(&layout.shape) }
            }
            other => unreachable!("{other:?} is not a move"),
        };
        if !homes.is_in_place(id, slot) && !runs.last_mut().is_some_and(|run| run.takes(layout, &to)) {
            runs.push(Run { count: 1, from: layout.clone(), from_step: 0, to, to_step: 0 });
        }
    }
    runs.into_iter().map(|run| copy(graph, id, whole.base, run, hosts, profile)).collect()
}

fn copy(graph: &Graph, id: NodeId, into: NodeId, run: Run, hosts: &mut HostTable, profile: &Profile) -> Work {
    let (layout, place) = run.joined();
    let (expr, reads, bound) = copied(graph, &layout, hosts);
    let write = Write { element: graph.stored_element(into), place };
    let (extents, reads, writes) = coalesced(&layout.shape, &reads, &[write]);
    let pointwise = vec![false; reads.len()];
    let spec = Spec::Map(MapSpec { extents, reads, expr, writes });
    Work {
        schedule: spec.schedule(profile),
        spec,
        reads: bound,
        writes: vec![id],
        into: vec![into],
        pointwise,
    }
}

/// A copy of a layout: its formula, read and bound value.
fn copied(graph: &Graph, layout: &Layout, hosts: &mut HostTable) -> (Expr, Vec<Read>, Vec<Option<NodeId>>) {
    let node = graph.node(layout.base);
    let element = node.ty.element;
    let place = layout.over(&layout.shape);
    if is_in_memory(graph, layout.base) {
        let read = Read::Buffer { element: graph.stored_element(layout.base), place };
        return (Expr::identity(element.scalar()), vec![read], vec![Some(layout.base)]);
    }
    let read = match &node.kind {
        Kind::Source(Source::Constant(value)) => {
            let expr = Expr::build(&[], |b, _| {
                let real = b.real(*value);
                b.cast(element.scalar(), real)
            });
            return (expr, Vec::new(), Vec::new());
        }
        Kind::Source(Source::Host { expr, symbols }) => {
            Read::Host { slot: hosts.slot(element, expr, symbols), element }
        }
        Kind::Source(Source::Random { stream }) => Read::Random { stream: *stream, place },
        _ => Read::Iota { place },
    };
    (Expr::identity(element.scalar()), vec![read], vec![None])
}
