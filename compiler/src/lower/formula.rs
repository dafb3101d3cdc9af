//! The formulas of a cluster: its members inlined into each other, over what the kernel reads.

use std::collections::BTreeMap;

use nnc_wgsl::{Expr, ExprBuilder, Place, Read, Real, Ref, Scalar};

use super::hosts::HostTable;
use super::layout::{Layout, signed};
use super::member::{Level, kept, level_of, member_place};
use crate::ir::{Graph, Kind, NodeId, Source};
use crate::ops::Lowering;
use crate::passes::Cluster;

/// What the members of a cluster read, and how their formulas refer to it.
pub(super) struct Formulas<'a> {
    graph: &'a Graph,
    cluster: &'a Cluster,
    layouts: &'a BTreeMap<NodeId, Layout>,
    /// The reads, over the space with the kept axes first.
    pub(super) reads: Vec<Read>,
    /// The value in memory that each read binds, if it binds one.
    pub(super) bound: Vec<Option<NodeId>>,
    arguments: BTreeMap<(NodeId, usize), Argument>,
    /// Values the kernel computes otherwise, before the reads among the operands.
    before: Vec<NodeId>,
    /// The same, after the reads.
    after: Vec<NodeId>,
}

#[derive(Clone, Copy)]
enum Argument {
    Read(usize),
    Constant(Real, Scalar),
    Member(NodeId),
}

impl<'a> Formulas<'a> {
    /// Collects what the maps and reductions of a cluster read. `before` and `after` are members that the
    /// schedule computes: an anchor, reductions.
    pub(super) fn new(
        graph: &'a Graph,
        cluster: &'a Cluster,
        layouts: &'a BTreeMap<NodeId, Layout>,
        hosts: &mut HostTable,
        before: Vec<NodeId>,
        after: Vec<NodeId>,
    ) -> Formulas<'a> {
        let mut formulas = Formulas {
            graph,
            cluster,
            layouts,
            reads: Vec::new(),
            bound: Vec::new(),
            arguments: BTreeMap::new(),
            before,
            after,
        };
        for &id in &cluster.members {
            if !formulas.before.contains(&id) {
                formulas.collect(id, hosts);
            }
        }
        formulas
    }

    /// The formula of these members; `steps` of the members after the reads are available.
    pub(super) fn expr(&self, results: &[NodeId], steps: usize) -> Expr {
        self.expr_of(results, steps, |this, b, memo, id| this.value(b, memo, id))
    }

    /// The formula of what a reduction combines.
    pub(super) fn combined(&self, reduction: NodeId, steps: usize) -> Expr {
        self.expr_of(&[reduction], steps, |this, b, memo, id| this.argument(b, memo, id, 0))
    }

    fn expr_of(
        &self,
        results: &[NodeId],
        steps: usize,
        value: impl Fn(&Self, &mut ExprBuilder, &mut BTreeMap<NodeId, Ref>, NodeId) -> Ref,
    ) -> Expr {
        let scalar = |id: &NodeId| self.graph.ty(*id).element.scalar();
        let mut scalars: Vec<Scalar> = self.before.iter().map(scalar).collect();
        scalars.extend(self.reads.iter().map(read_scalar));
        scalars.extend(self.after[..steps].iter().map(scalar));
        let mut b = ExprBuilder::new(&scalars);
        let mut memo = BTreeMap::new();
        for (k, &id) in self.before.iter().enumerate() {
            memo.insert(id, b.operand(k));
        }
        for (k, &id) in self.after[..steps].iter().enumerate() {
            memo.insert(id, b.operand(self.before.len() + self.reads.len() + k));
        }
        let results: Vec<Ref> = results.iter().map(|&id| value(self, &mut b, &mut memo, id)).collect();
        b.finish(&results)
    }

    fn value(&self, b: &mut ExprBuilder, memo: &mut BTreeMap<NodeId, Ref>, id: NodeId) -> Ref {
        if let Some(&known) = memo.get(&id) {
            return known;
        }
        let lowering = self.graph.operator(id).expect("a member is computed").lower();
        let result = match lowering {
            Lowering::Map(expr) => {
                let arguments: Vec<Ref> =
                    (0..expr.operands().len()).map(|slot| self.argument(b, memo, id, slot)).collect();
                b.inline(&expr, &arguments)[0]
            }
            Lowering::Pad { .. } => self.argument(b, memo, id, 0),
            other => panic!("{other:?} is computed by its schedule, not by a formula"),
        };
        memo.insert(id, result);
        result
    }

    fn argument(
        &self,
        b: &mut ExprBuilder,
        memo: &mut BTreeMap<NodeId, Ref>,
        id: NodeId,
        slot: usize,
    ) -> Ref {
        match self.arguments[&(id, slot)] {
            Argument::Read(read) => b.operand(self.before.len() + read),
            Argument::Constant(value, scalar) => {
                let real = b.real(value.value());
                b.cast(scalar, real)
            }
            Argument::Member(member) => self.value(b, memo, member),
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
        let layout = &self.layouts[&operand];
        let base = layout.base;
        if self.cluster.members.contains(&base) {
            return Argument::Member(base);
        }
        let node = self.graph.node(base);
        let element = node.ty.element;
        let place = self.place(id, layout);
        let (read, bound) = match &node.kind {
            Kind::Source(Source::Constant(value)) => {
                if let Lowering::Pad { low, value: around } = lowering
                    && (low.iter().any(|&l| l != 0) || value.to_bits() != around.to_bits())
                {
                    panic!("a padded constant is materialized before it is lowered");
                }
                return Argument::Constant(Real::new(*value), element.scalar());
            }
            Kind::Source(Source::Host { expr, symbols }) => {
                (Read::Host { slot: hosts.slot(element, expr, symbols), element }, None)
            }
            Kind::Source(Source::Random { stream }) => (Read::Random { stream: *stream, place }, None),
            Kind::Operator(op) if matches!(op.lower(), Lowering::Iota { .. }) => (Read::Iota { place }, None),
            Kind::Source(_) | Kind::Operator(_) => {
                let read = match lowering {
                    Lowering::Pad { low, value } => padded(low, *value, layout, element),
                    _ => Read::Buffer { element, place },
                };
                (read, Some(base))
            }
        };
        let known = (0..self.reads.len()).find(|&k| self.reads[k] == read && self.bound[k] == bound);
        Argument::Read(known.unwrap_or_else(|| {
            self.reads.push(read);
            self.bound.push(bound);
            self.reads.len() - 1
        }))
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
            Level::Element => kept_first(self.cluster, &place.strides),
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
        value,
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
