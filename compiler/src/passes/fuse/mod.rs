//! Fuse: sorts the computed values into kernels.
//!
//! A cluster is a set of values that one kernel computes. Around an anchor (a product, a convolution, a pooling)
//! lie the elementwise maps that follow it; maps over one space lie together; a reduction over trailing, row-sized
//! axes lies with the maps before, between and after it, any other reduction with the maps before it. A value
//! joins the last cluster it reads from when
//!
//! * it reads that cluster's values at the very point it computes,
//! * no other operand depends on the cluster (the clusters stay without cycles),
//! * the kernel binds no more buffers than the profile has.
//!
//! Nothing is rewritten: a cluster is a number on the node, and each value keeps its own meaning and origin.

mod forming;
mod order;
mod separate;
mod soundness;

use std::collections::BTreeMap;

use nnc_wgsl::Profile;

use crate::ir::{Graph, NodeId};
use crate::ops::Lowering;

pub use separate::{Separate, why_separate};

/// The longest row that one workgroup reduces, in elements.
const ROW: usize = 8192;

/// What a kernel is built around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Nothing: elementwise work.
    Map,
    /// Reductions over these axes of the space, each row in one workgroup.
    Row(Vec<usize>),
    /// One reduction over these axes of the space.
    Column(Vec<usize>),
    /// A matrix product.
    Contract(NodeId),
    /// A convolution.
    Conv(NodeId),
    /// A pooling.
    Window(NodeId),
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
            Anchor::Row(axes) | Anchor::Column(axes) => axes,
            _ => &[],
        }
    }
}

pub(super) fn run(graph: &mut Graph, profile: &Profile) {
    for (number, members) in forming::form(graph, profile).into_iter().enumerate() {
        for member in members {
            graph.node_mut(member).cluster = Some(u32::try_from(number).expect("fewer than 2^32 kernels"));
        }
    }
}

/// The clusters that [`run`](super::PIPELINE) formed, in an order in which each comes after those it reads from.
#[must_use]
pub fn clusters(graph: &Graph) -> Vec<Cluster> {
    let mut members: BTreeMap<u32, Vec<NodeId>> = BTreeMap::new();
    for id in graph.order() {
        if let Some(number) = graph.node(id).cluster {
            members.entry(number).or_default().push(id);
        }
    }
    members.into_values().map(|members| cluster_of(graph, members)).collect()
}

/// The cluster of these values: its anchor and space follow from them.
fn cluster_of(graph: &Graph, members: Vec<NodeId>) -> Cluster {
    for &id in &members {
        let lowering = graph.operator(id).expect("a member is computed").lower();
        let anchor = match lowering {
            Lowering::Conv { .. } => Anchor::Conv(id),
            Lowering::Contract { .. } => Anchor::Contract(id),
            Lowering::Window { .. } => Anchor::Window(id),
            Lowering::Concat { .. } | Lowering::Pack { .. } => Anchor::Move(id),
            Lowering::Reduce { axes, .. } => {
                let space = graph.ty(graph.operands(id)[0]).shape.clone();
                return Cluster { anchor: reduction_anchor(&space, axes), space, members };
            }
            _ => continue,
        };
        return Cluster { anchor, space: graph.ty(id).shape.clone(), members };
    }
    Cluster { anchor: Anchor::Map, space: graph.ty(members[0]).shape.clone(), members }
}

fn reduction_anchor(space: &[usize], axes: Vec<usize>) -> Anchor {
    let trailing = axes.iter().rev().zip((0..space.len()).rev()).all(|(&a, b)| a == b);
    let length: usize = axes.iter().map(|&a| space[a]).product();
    if trailing && length <= ROW { Anchor::Row(axes) } else { Anchor::Column(axes) }
}
