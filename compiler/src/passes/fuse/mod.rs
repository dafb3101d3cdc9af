//! Fuse: sorts the computed values into kernels.
//!
//! A cluster is a set of values that one kernel computes. Around an anchor (a product, a convolution, a pooling)
//! lie the elementwise maps that follow it; maps over one space lie together; a reduction over trailing, row-sized
//! axes, or over a channel in its pieces, lies with the maps before, between and after it, any other reduction with the
//! maps before it. A product whose
//! columns are read in equal parts by maps (the gates of a recurrent cell) has them over the space of one part: the
//! maps find the columns of all parts at one point. A value
//! joins the last cluster it reads from when
//!
//! * it reads that cluster's values at the very point it computes,
//! * no other operand depends on the cluster (the clusters stay without cycles),
//! * the kernel binds no more buffers than the profile has.
//!
//! The values of a row between products are a cluster before any other is formed; nothing joins it.
//!
//! Nothing is rewritten: a cluster is a number on the node, and each value keeps its own meaning and origin.

mod forming;
mod neighbours;
mod order;
mod separate;
mod sinking;
mod soundness;

use std::collections::BTreeMap;

use nnc_wgsl::{Profile, schedule};

use super::Pass;
use crate::ir::{Graph, NodeId, Part};
use crate::lower::{contract_groups, product_row_cluster};
use crate::ops::Lowering;

pub use separate::{Separate, why_separate};

/// The longest row that one workgroup reduces, in elements.
const ROW: usize = 8192;

/// The most elements of a row for each invocation of its workgroup, where the row lies in pieces of which each is in
/// order, as a channel of a batch of images does: what one workgroup then takes longer than many would, it saves in
/// launches and in values that never leave it.
const EACH: usize = 64;

/// The most parts of columns of which an invocation holds one of each.
const PARTS: usize = 8;

/// What a kernel is built around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Nothing: elementwise work.
    Map,
    /// Reductions over these axes of the space, each row in one workgroup.
    Row(Vec<usize>),
    /// One reduction over these axes of the space.
    Column(Vec<usize>),
    /// Products, reductions along these axes of the space, and products of the results; the pass `product_rows` found it.
    ProductRow(Vec<usize>),
    /// A matrix product.
    Contract(NodeId),
    /// A matrix product whose columns are read in equal parts: a point has one column of every part.
    Parts(NodeId, usize),
    /// A convolution.
    Conv(NodeId),
    /// A pooling.
    Window(NodeId),
    /// Work along the lines of an axis: a lookup, sums by an index, an order, running sums.
    Lines(NodeId),
    /// A concat or pack: one copy for each operand.
    Move(NodeId),
}

/// The values that one kernel computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// What it is built around.
    pub anchor: Anchor,
    /// The iteration space.
    pub space: Vec<usize>,
    /// The values, each after those it reads.
    pub members: Vec<NodeId>,
}

impl Cluster {
    /// The axes that are reduced.
    #[must_use]
    pub fn reduced(&self) -> &[usize] {
        match &self.anchor {
            Anchor::Row(axes) | Anchor::Column(axes) | Anchor::ProductRow(axes) => axes,
            _ => &[],
        }
    }

    /// How many parts of a product's columns a point has.
    #[must_use]
    pub fn parts(&self) -> usize {
        if let Anchor::Parts(_, parts) = self.anchor { parts } else { 1 }
    }

    /// The space with the columns of all parts.
    #[must_use]
    pub fn whole_space(&self) -> Vec<usize> {
        let mut space = self.space.clone();
        if let Some(columns) = space.last_mut() {
            *columns *= self.parts();
        }
        space
    }
}

pub(super) const PASS: Pass = Pass {
    name: "fuse",
    about: "values are sorted into kernels",
    needed: Some("it says which kernel computes a value"),
    parts: &[
        Part::Maps,
        Part::Epilogues,
        Part::Gates,
        Part::Rows,
        Part::Channels,
        Part::Columns,
        Part::Sinking,
        Part::Neighbours,
    ],
    run,
};

fn run(graph: &mut Graph, profile: &Profile) {
    for (number, members) in forming::form(graph, profile).into_iter().enumerate() {
        for member in members {
            graph.node_mut(member).cluster = Some(u32::try_from(number).expect("fewer than 2^32 kernels"));
        }
    }
}

/// The clusters that [`run`](super::PIPELINE) formed, in an order in which each comes after those it reads from.
#[must_use]
pub fn clusters(graph: &Graph, profile: &Profile) -> Vec<Cluster> {
    let mut members: BTreeMap<u32, Vec<NodeId>> = BTreeMap::new();
    for id in graph.order() {
        if let Some(number) = graph.node(id).cluster {
            members.entry(number).or_default().push(id);
        }
    }
    members.into_values().map(|members| cluster_of(graph, members, profile)).collect()
}

/// The cluster of these values: its anchor and space follow from them.
fn cluster_of(graph: &Graph, members: Vec<NodeId>, profile: &Profile) -> Cluster {
    if graph.node(members[0]).product_row.is_some() {
        return product_row_cluster(graph, members);
    }
    for &id in &members {
        let lowering = graph.operator(id).expect("a member is computed").lower();
        let anchor = match lowering {
            Lowering::Conv { .. } => Anchor::Conv(id),
            Lowering::Contract { .. } => return product_cluster(graph, id, members),
            Lowering::Window { .. } => Anchor::Window(id),
            Lowering::Lines { .. } => Anchor::Lines(id),
            Lowering::Concat { .. } | Lowering::Pack { .. } => Anchor::Move(id),
            Lowering::Reduce { axes, .. } => {
                let space = graph.ty(graph.operands(id)[0]).shape.clone();
                return Cluster { anchor: reduction_anchor(&space, axes, profile), space, members };
            }
            _ => continue,
        };
        return Cluster { anchor, space: graph.ty(id).shape.clone(), members };
    }
    Cluster { anchor: Anchor::Map, space: graph.ty(members[0]).shape.clone(), members }
}

/// The cluster of a product: in parts where a member has a part of its columns.
fn product_cluster(graph: &Graph, id: NodeId, members: Vec<NodeId>) -> Cluster {
    let whole = &graph.ty(id).shape;
    let part = members.iter().map(|member| &graph.ty(*member).shape).find(|shape| *shape != whole);
    match part.and_then(|shape| columns_in_parts(graph, id, shape)) {
        Some(parts) => {
            let mut space = whole.clone();
            if let Some(columns) = space.last_mut() {
                *columns /= parts;
            }
            Cluster { anchor: Anchor::Parts(id, parts), space, members }
        }
        None => Cluster { anchor: Anchor::Contract(id), space: whole.clone(), members },
    }
}

/// Into how many equal parts of this shape the columns of a product fall, if its last axis is all of its columns.
fn columns_in_parts(graph: &Graph, id: NodeId, shape: &[usize]) -> Option<usize> {
    let Lowering::Contract { left, right, result } = graph.operator(id)?.lower() else { return None };
    let whole = &graph.ty(id).shape;
    let (&columns, rows) = whole.split_last()?;
    let (&each, same_rows) = shape.split_last()?;
    let letter = *result.last()?;
    let only = contract_groups(&left, &right, &result).n == [letter];
    let even = each > 0 && columns.is_multiple_of(each) && (2..=PARTS).contains(&(columns / each));
    (only && rows == same_rows && even).then(|| columns / each)
}

/// Whether a product of this size is computed as fast in parts of columns as in one piece.
fn parts_pay(graph: &Graph, id: NodeId, profile: &Profile) -> bool {
    let Some(Lowering::Contract { left, right, result }) = graph.operator(id).map(|op| op.lower()) else {
        return false;
    };
    let groups = contract_groups(&left, &right, &result);
    let shape = &graph.ty(graph.operands(id)[0]).shape;
    let extent = |group: &[char]| -> usize {
        left.iter()
            .zip(shape)
            .filter(|(letter, _)| group.contains(letter))
            .map(|(_, extent)| extent)
            .product()
    };
    let (batch, m, k) = (extent(&groups.batch), extent(&groups.m), extent(&groups.k));
    let n = graph.ty(id).size() / (batch * m).max(1);
    schedule::parts_pay([batch, m, n, k], profile)
}

/// What it is called to put a value or a cluster into a cluster of this kind.
fn part_of(anchor: &Anchor, space: &[usize]) -> Part {
    match anchor {
        Anchor::Map => Part::Maps,
        Anchor::Row(axes) if is_trailing(axes, space) => Part::Rows,
        Anchor::Row(_) => Part::Channels,
        Anchor::Column(_) => Part::Columns,
        Anchor::Parts(..) => Part::Gates,
        Anchor::ProductRow(_)
        | Anchor::Contract(_)
        | Anchor::Conv(_)
        | Anchor::Window(_)
        | Anchor::Lines(_)
        | Anchor::Move(_) => Part::Epilogues,
    }
}

/// Whether these are the last axes of a space.
fn is_trailing(axes: &[usize], space: &[usize]) -> bool {
    axes.iter().rev().zip((0..space.len()).rev()).all(|(&a, b)| a == b)
}

fn reduction_anchor(space: &[usize], axes: Vec<usize>, profile: &Profile) -> Anchor {
    let trailing = is_trailing(&axes, space);
    let in_pieces = axes.last().is_some_and(|&a| a + 1 == space.len()) && profile.cheap_barriers;
    let length: usize = axes.iter().map(|&a| space[a]).product();
    let pieces = EACH * profile.invocations.min(1024) as usize;
    let longest = if trailing {
        ROW
    } else if in_pieces {
        pieces
    } else {
        0
    };
    if length <= longest { Anchor::Row(axes) } else { Anchor::Column(axes) }
}
