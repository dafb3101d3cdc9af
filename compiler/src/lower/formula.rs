//! The formulas of a cluster: its members inlined into each other, over what the kernel reads.

use std::collections::BTreeMap;

use nnc_wgsl::{Expr, ExprBuilder, Place, Read, Real, Ref, Scalar};

use super::hosts::HostTable;
use super::layout::{Layout, signed};
use super::member::{Level, kept, level_of, member_place, part_at, part_offset};
use super::spec::Given;
use crate::ir::{Graph, Kind, NodeId, Source};
use crate::ops::Lowering;
use crate::passes::Cluster;

/// What the members of a cluster read, and how their formulas refer to it.
pub(super) struct Formulas<'a> {
    graph: &'a Graph,
    given: Given<'a>,
    cluster: &'a Cluster,
    /// The reads, over the space with the kept axes first.
    pub(super) reads: Vec<Read>,
    /// The value in memory that each read binds, if it binds one.
    pub(super) bound: Vec<Option<NodeId>>,
    arguments: BTreeMap<(NodeId, usize), Argument>,
    /// Values the kernel computes otherwise, before the reads among the operands; each with a part of a product's
    /// columns.
    before: Vec<Piece>,
    /// The same, after the reads.
    after: Vec<NodeId>,
}

/// A member, and which part of a product's columns; 0 for all members that have no parts.
pub(super) type Piece = (NodeId, usize);

#[derive(Clone)]
enum Argument {
    /// A read for each part of the reader.
    Reads(Vec<usize>),
    Constant(Real, Scalar),
    /// A member at the reader's point and part.
    Member(NodeId),
    /// A part of a member.
    Part(Piece),
}

impl<'a> Formulas<'a> {
    /// Collects what the maps and reductions of a cluster read. `before` and `after` are members that the
    /// schedule computes: an anchor, reductions.
    pub(super) fn new(
        given: Given<'a>,
        cluster: &'a Cluster,
        hosts: &mut HostTable,
        before: Vec<Piece>,
        after: Vec<NodeId>,
    ) -> Formulas<'a> {
        let mut formulas = Formulas {
            graph: given.graph,
            given,
            cluster,
            reads: Vec::new(),
            bound: Vec::new(),
            arguments: BTreeMap::new(),
            before,
            after,
        };
        for &id in &cluster.members {
            if formulas.before.iter().all(|(anchor, _)| *anchor != id) {
                formulas.collect(id, hosts);
            }
        }
        formulas
    }

    /// The formula of these members; `steps` of the members after the reads are available.
    pub(super) fn expr(&self, results: &[Piece], steps: usize) -> Expr {
        self.expr_of(results, steps, |this, b, memo, piece| this.value(b, memo, piece))
    }

    /// The formula of what a reduction combines.
    pub(super) fn combined(&self, reduction: NodeId, steps: usize) -> Expr {
        self.expr_of(&[(reduction, 0)], steps, |this, b, memo, piece| this.argument(b, memo, piece, 0))
    }

    fn expr_of(
        &self,
        results: &[Piece],
        steps: usize,
        value: impl Fn(&Self, &mut ExprBuilder, &mut BTreeMap<Piece, Ref>, Piece) -> Ref,
    ) -> Expr {
        let scalar = |id: &NodeId| self.graph.ty(*id).element.scalar();
        let mut scalars: Vec<Scalar> = self.before.iter().map(|(id, _)| scalar(id)).collect();
        scalars.extend(self.reads.iter().map(read_scalar));
        scalars.extend(self.after[..steps].iter().map(scalar));
        let mut b = ExprBuilder::new(&scalars);
        let mut memo = BTreeMap::new();
        for (k, &piece) in self.before.iter().enumerate() {
            memo.insert(piece, b.operand(k));
        }
        for (k, &id) in self.after[..steps].iter().enumerate() {
            memo.insert((id, 0), b.operand(self.before.len() + self.reads.len() + k));
        }
        let results: Vec<Ref> = results.iter().map(|&piece| value(self, &mut b, &mut memo, piece)).collect();
        b.finish(&results)
    }

    fn value(&self, b: &mut ExprBuilder, memo: &mut BTreeMap<Piece, Ref>, piece: Piece) -> Ref {
        if let Some(&known) = memo.get(&piece) {
            return known;
        }
        let (id, _) = piece;
        let lowering = self.graph.operator(id).expect("a member is computed").lower();
        let result = match lowering {
            Lowering::Map(expr) => {
                let arguments: Vec<Ref> =
                    (0..expr.operands().len()).map(|slot| self.argument(b, memo, piece, slot)).collect();
                b.inline(&expr, &arguments)[0]
            }
            Lowering::Pad { .. } => self.argument(b, memo, piece, 0),
            other => panic!("{other:?} is computed by its schedule, not by a formula"),
        };
        memo.insert(piece, result);
        result
    }

    fn argument(
        &self,
        b: &mut ExprBuilder,
        memo: &mut BTreeMap<Piece, Ref>,
        (id, part): Piece,
        slot: usize,
    ) -> Ref {
        match self.arguments[&(id, slot)].clone() {
            Argument::Reads(reads) => b.operand(self.before.len() + reads[part]),
            Argument::Constant(value, scalar) => {
                let real = b.real(value.value());
                b.cast(scalar, real)
            }
            Argument::Member(member) => self.value(b, memo, (member, part)),
            Argument::Part(piece) => self.value(b, memo, piece),
        }
    }

    fn collect(&mut self, id: NodeId, hosts: &mut HostTable) {
        let lowering = self.graph.operator(id).expect("a member is computed").lower();
        for (slot, operand) in self.graph.operands(id).into_iter().enumerate() {
            let argument = self.read(id, &lowering, operand, hosts);
            self.arguments.insert((id, slot), argument);
        }
    }

    fn read(&mut self, id: NodeId, lowering: &Lowering, operand: NodeId, hosts: &mut HostTable) -> Argument {
        let seen = &self.given.layouts[&operand];
        let base = seen.base;
        let level = |id| level_of(self.graph, self.cluster, id).expect("a member has a level");
        let reader = level(id);
        if self.cluster.members.contains(&base) {
            if reader.reads != Level::Whole && level(base).level == Level::Whole {
                let part = part_at(self.cluster, &seen.over(&self.cluster.space));
                return Argument::Part((base, part.expect("the pass `fuse` checked the parts")));
            }
            return Argument::Member(base);
        }
        let node = self.graph.node(base);
        let element = node.ty.element;
        let layout = self.given.homes.memory(operand);
        let stored = self.graph.stored_element(layout.base);
        if let Kind::Source(Source::Constant(value)) = &node.kind {
            if let Lowering::Pad { low, value: around } = lowering
                && (low.iter().any(|&l| l != 0) || value.to_bits() != around.to_bits())
            {
                panic!("a padded constant is materialized before it is lowered");
            }
            return Argument::Constant(Real::new(*value), element.scalar());
        }
        let place = self.place(id, layout);
        let parts = if reader.reads == Level::Whole { self.cluster.parts() } else { 1 };
        let of_part = |part: usize| Place {
            offset: place.offset + part_offset(self.cluster, part, &place),
            strides: place.strides.clone(),
        };
        let mut reads = Vec::with_capacity(parts);
        for place in (0..parts).map(of_part).collect::<Vec<Place>>() {
            let (read, bound) = match &node.kind {
                Kind::Source(Source::Host { expr, symbols }) => {
                    (Read::Host { slot: hosts.slot(element, expr, symbols), element }, None)
                }
                Kind::Source(Source::Random { stream }) => (Read::Random { stream: *stream, place }, None),
                Kind::Operator(op) if matches!(op.lower(), Lowering::Iota { .. }) => {
                    (Read::Iota { place }, None)
                }
                Kind::Source(_) | Kind::Operator(_) => {
                    let read = match lowering {
                        Lowering::Pad { low, value } => padded(low, *value, layout, stored),
                        _ => Read::Buffer { element: stored, place },
                    };
                    (read, Some(base))
                }
            };
            reads.push(self.number(read, bound));
        }
        Argument::Reads(reads)
    }

    /// The number of a read among all, which it gets if it is new.
    fn number(&mut self, read: Read, bound: Option<NodeId>) -> usize {
        let known = (0..self.reads.len()).find(|&k| self.reads[k] == read && self.bound[k] == bound);
        known.unwrap_or_else(|| {
            self.reads.push(read);
            self.bound.push(bound);
            self.reads.len() - 1
        })
    }

    /// Where a member reads, over the kept axes and then the reduced ones.
    fn place(&self, id: NodeId, layout: &Layout) -> Place {
        let member = level_of(self.graph, self.cluster, id).expect("a member has a level");
        let place = member_place(self.cluster, member, &self.graph.ty(id).shape, layout);
        let reduced = self.cluster.reduced();
        if reduced.is_empty() {
            return place;
        }
        let strides = match member.reads {
            Level::Row => {
                let mut strides = place.strides;
                strides.resize(kept(self.cluster).len() + reduced.len(), 0);
                strides
            }
            Level::Element | Level::Whole => kept_first(self.cluster, &place.strides),
        };
        Place { offset: place.offset, strides }
    }
}

/// Numbers for each axis of the space, those of the kept axes first.
pub(super) fn kept_first(cluster: &Cluster, numbers: &[i64]) -> Vec<i64> {
    let reduced = cluster.reduced();
    let kept = (0..cluster.space.len()).filter(|a| !reduced.contains(a));
    kept.chain(reduced.iter().copied()).map(|a| numbers[a]).collect()
}

fn padded(low: &[usize], value: f64, layout: &Layout, element: nnc_wgsl::Element) -> Read {
    let shift: i64 = low.iter().zip(&layout.strides).map(|(&l, s)| signed(l) * s).sum();
    let word = |n: usize| u32::try_from(n).expect("an extent fits into 32 bits");
    Read::Padded {
        element,
        place: Place { offset: layout.offset - shift, strides: layout.strides.clone() },
        inside: low.iter().zip(&layout.shape).map(|(&l, &e)| (word(l), word(e))).collect(),
        value: Real::new(value),
    }
}

fn read_scalar(read: &Read) -> Scalar {
    match read {
        Read::Buffer { element, .. } | Read::Padded { element, .. } | Read::Host { element, .. } => {
            element.scalar()
        }
        Read::Iota { .. } => Scalar::I32,
        Read::Random { .. } => Scalar::F32,
    }
}
