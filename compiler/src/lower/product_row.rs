//! Rows between products: which members open and close a row, and the specification of its kernel.

use nnc_wgsl::schedule::{Closing, Factor, Opening, ProductRowSpec, RowStep, Spec};
use nnc_wgsl::{Element, Place, Profile, Write};

use super::Work;
use super::coalesce::word;
use super::formula::{Formulas, Piece};
use super::groups::contract_groups;
use super::hosts::HostTable;
use super::layout::{Layout, signed};
use super::member::{Level, kept, level_of};
use super::spec::{Given, own_place, reductions, written};
use crate::ir::{Graph, NodeId};
use crate::ops::Lowering;
use crate::passes::{Anchor, Cluster};

/// The products of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProducts {
    /// Those whose results are values of the row.
    pub openings: Vec<NodeId>,
    /// Those that take values of the row, with the slot they take them in.
    pub closings: Vec<(NodeId, usize)>,
}

/// The two operands of a product that opens a row, by slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSides {
    /// The operand that belongs to the row.
    pub row: usize,
    /// The operand that belongs to the point, the same for all rows that follow each other along the last kept axis.
    pub stream: usize,
}

/// The products among these members.
#[must_use]
pub fn product_row_parts(graph: &Graph, members: &[NodeId]) -> RowProducts {
    let mut parts = RowProducts { openings: Vec::new(), closings: Vec::new() };
    for &id in members {
        if matches!(graph.operator(id).map(|op| op.lower()), Some(Lowering::Contract { .. })) {
            match graph.operands(id).iter().position(|operand| members.contains(operand)) {
                Some(slot) => parts.closings.push((id, slot)),
                None => parts.openings.push(id),
            }
        }
    }
    parts
}

/// The cluster of the values of a row between products: its space is that of a product that opens it, its axis that
/// over which another one sums its values, or that of a reduction.
///
/// # Panics
/// If no product opens it, or nothing says along which axis it lies: the pass `product_rows` checks that.
#[must_use]
pub fn product_row_cluster(graph: &Graph, members: Vec<NodeId>) -> Cluster {
    let parts = product_row_parts(graph, &members);
    let closed = parts.closings.first().and_then(|&(id, slot)| closing_axis(graph, id, slot));
    let reduced = || {
        members.iter().find_map(|id| match graph.operator(*id)?.lower() {
            Lowering::Reduce { axes, .. } => axes.first().copied(),
            _ => None,
        })
    };
    let axis = closed.or_else(reduced).expect("a row between products is reduced or summed");
    let opening = *parts.openings.first().expect("a row between products is opened by one");
    Cluster { anchor: Anchor::ProductRow(vec![axis]), space: graph.ty(opening).shape.clone(), members }
}

/// The axis of a value over which a product sums it, where that is its only sum and every other axis of the value is
/// one of the result.
#[must_use]
pub fn closing_axis(graph: &Graph, id: NodeId, slot: usize) -> Option<usize> {
    let Letters { operands, result } = Letters::of(graph, id)?;
    let value = &operands[slot];
    let summed: Vec<usize> = (0..value.len()).filter(|&axis| !result.contains(&value[axis])).collect();
    let columns = operands[1 - slot].iter().filter(|c| !value.contains(c)).count();
    match summed[..] {
        [axis] if columns == 1 => Some(axis),
        _ => None,
    }
}

/// Which operand of a product belongs to a row along `axis` of its result, and which to the points; `None` where rows
/// that follow each other have no operand in common, or where more than one axis is summed.
#[must_use]
pub fn opening_sides(graph: &Graph, id: NodeId, axis: usize) -> Option<RowSides> {
    let Letters { operands, result } = Letters::of(graph, id)?;
    let kept: Vec<char> = (0..result.len()).filter(|&a| a != axis).map(|a| result[a]).collect();
    let (point, row) = (result.get(axis)?, kept.last()?);
    let is_row = |letters: &[char]| letters.contains(row) && !letters.contains(point);
    let is_stream = |letters: &[char]| letters.contains(point) && !letters.contains(row);
    let summed = operands[0].iter().filter(|c| !result.contains(c)).count();
    (0..2)
        .map(|row| RowSides { row, stream: 1 - row })
        .find(|sides| summed == 1 && is_row(&operands[sides.row]) && is_stream(&operands[sides.stream]))
}

/// The axes of a product by letter.
struct Letters {
    operands: [Vec<char>; 2],
    result: Vec<char>,
}

impl Letters {
    fn of(graph: &Graph, id: NodeId) -> Option<Letters> {
        match graph.operator(id)?.lower() {
            Lowering::Contract { left, right, result } => Some(Letters { operands: [left, right], result }),
            _ => None,
        }
    }
}

/// The kernel of a row between products.
pub(super) fn work(given: Given<'_>, cluster: &Cluster, hosts: &mut HostTable, profile: &Profile) -> Work {
    let graph = given.graph;
    let RowProducts { openings, closings } = product_row_parts(graph, &cluster.members);
    let reductions = reductions(graph, cluster);
    let before: Vec<Piece> = openings.iter().map(|&id| (id, 0)).collect();
    let after: Vec<NodeId> = reductions.iter().map(|(id, _)| *id).collect();
    let closes = |id: &NodeId| closings.iter().any(|(closing, _)| closing == id);
    let members = cluster.members.iter().copied().filter(|id| !closes(id)).collect();
    let inner = Cluster { members, ..cluster.clone() };
    let formulas = Formulas::new(given, &inner, hosts, before, after);
    let rows: Vec<NodeId> = written(graph, cluster).into_iter().filter(|id| !closes(id)).collect();
    let is_row = |id: &NodeId| level_of(graph, cluster, *id).is_some_and(|member| member.level == Level::Row);
    assert!(rows.iter().all(is_row), "no value of a row between products leaves its kernel");
    let values: Vec<Piece> = closings.iter().map(|&(id, slot)| (graph.operands(id)[slot], 0)).collect();
    let mut factors = Factors { given, cluster, bases: Vec::new(), elements: Vec::new() };
    let opened = openings.iter().map(|&id| factors.opening(id)).collect();
    let closed = closings.iter().map(|&(id, slot)| factors.closing(id, slot)).collect();
    let kept_extents = kept(cluster);
    let (outer, last) = kept_extents.split_at(kept_extents.len() - 1);
    let spec = Spec::ProductRow(ProductRowSpec {
        batch: outer.iter().map(|&extent| word(extent)).collect(),
        rows: word(last[0]),
        length: word(cluster.space[cluster.reduced()[0]]),
        factors: factors.elements,
        openings: opened,
        reads: formulas.reads.clone(),
        steps: reductions
            .iter()
            .enumerate()
            .map(|(k, (id, reduction))| RowStep { reduction: *reduction, expr: formulas.combined(*id, k) })
            .collect(),
        row_expr: formulas.expr(&rows.iter().map(|&id| (id, 0)).collect::<Vec<Piece>>(), reductions.len()),
        row_writes: rows
            .iter()
            .map(|id| Write { element: graph.stored_element(*id), place: own_place(&kept_extents) })
            .collect(),
        values: formulas.expr(&values, reductions.len()),
        closings: closed,
    });
    let reads: Vec<Option<NodeId>> = factors.bases.into_iter().map(Some).chain(formulas.bound).collect();
    let writes: Vec<NodeId> = rows.into_iter().chain(closings.into_iter().map(|(id, _)| id)).collect();
    Work {
        schedule: spec.schedule(profile),
        spec,
        pointwise: vec![false; reads.len()],
        reads,
        into: writes.clone(),
        writes,
    }
}

/// What the products of a cluster read, each tensor once.
struct Factors<'a> {
    given: Given<'a>,
    cluster: &'a Cluster,
    bases: Vec<NodeId>,
    /// What each of them holds in memory.
    elements: Vec<Element>,
}

impl Factors<'_> {
    fn opening(&mut self, id: NodeId) -> Opening {
        let graph = self.given.graph;
        let axis = self.cluster.reduced()[0];
        let sides = opening_sides(graph, id, axis).expect("the pass `product_rows` checked the sides");
        let Letters { operands, result } = Letters::of(graph, id).expect("a product opens the row");
        let groups = contract_groups(&operands[0], &operands[1], &result);
        let over = [self.space_first(&result), groups.k].concat();
        let place = operands[0].iter().position(|c| over.last() == Some(c)).expect("a sum has an axis");
        let depth = word(graph.ty(graph.operands(id)[0]).shape[place]);
        let mut side = |slot: usize| self.factor(graph.operands(id)[slot], &operands[slot], &over);
        Opening { depth, row: side(sides.row), stream: side(sides.stream) }
    }

    fn closing(&mut self, id: NodeId, slot: usize) -> Closing {
        let graph = self.given.graph;
        let Letters { operands, result } = Letters::of(graph, id).expect("a product closes the row");
        let (value, other) = (&operands[slot], &operands[1 - slot]);
        let column = *other.iter().find(|c| !value.contains(c)).expect("a closing product has columns");
        let mut over = self.space_first(value);
        over.push(column);
        let stream = self.factor(graph.operands(id)[1 - slot], other, &over);
        over.remove(over.len() - 2);
        let shape = &graph.ty(id).shape;
        let at = result.iter().position(|&c| c == column).expect("the columns are of the result");
        let place = place_over(&Layout::own(id, shape), &result, &over);
        let write = Write { element: graph.stored_element(id), place };
        Closing { columns: word(shape[at]), stream, write }
    }

    /// The letters of the space: kept axes, then the axis of the row.
    fn space_first(&self, letters: &[char]) -> Vec<char> {
        let axis = self.cluster.reduced()[0];
        let kept = (0..letters.len()).filter(|&a| a != axis);
        kept.chain([axis]).map(|a| letters[a]).collect()
    }

    fn factor(&mut self, operand: NodeId, letters: &[char], over: &[char]) -> Factor {
        let base = self.given.layouts[&operand].base;
        let known = self.bases.iter().position(|&one| one == base);
        let slot = known.unwrap_or_else(|| {
            self.bases.push(base);
            let memory = self.given.homes.memory(operand).base;
            self.elements.push(self.given.graph.stored_element(memory));
            self.bases.len() - 1
        });
        Factor { slot, place: place_over(self.given.homes.memory(operand), letters, over) }
    }
}

/// Where a tensor whose axes have these letters lies over axes of other letters.
fn place_over(layout: &Layout, letters: &[char], over: &[char]) -> Place {
    let stride = |c: &char| {
        let axis = letters.iter().position(|letter| letter == c);
        axis.filter(|&a| layout.shape[a] != 1).map_or(signed(0), |a| layout.strides[a])
    };
    Place { offset: layout.offset, strides: over.iter().map(stride).collect() }
}
