//! Siblings: convolutions of one value by several weights become one, by the weights laid one after the other.
//!
//! | several | one | what is made of the result |
//! |---|---|---|
//! | `conv(x, w_i)` | `conv(x, [w_1 w_2 ..])` | its channels, each part a view |
//! | `conv_weight_gradient(x, dy_i)` | `conv_weight_gradient(x, [dy_1 dy_2 ..])` | one part of the packed gradients |
//! | `sum of conv_input_gradient(dy_i, w_i)` | `conv_input_gradient([dy_1 dy_2 ..], [w_1 w_2 ..])` | the sum itself |
//!
//! Each that joins saves a launch and one reading of what it shares with the others, an input gradient also the writing
//! and adding of its result. Nothing is paid for that, because convolutions join only where nothing is copied:
//!
//! * weights lie side by side in their region ([`crate::update`] orders it so), and are read there as one tensor;
//!   weights that kernels compute are written into one;
//! * the gradients `dy_i` are written where the joined kernels read them, and nothing else reads them in one piece;
//! * what reads `conv(x, w_i)` takes it in strides, and it is stored in any case: a map that could end the convolution's
//!   own kernel would otherwise cost a launch, a writing and a reading, more than joining saves;
//! * no binding grows beyond what the profile takes.
//!
//! A convolution with siblings that stays by itself says why ([`crate::ir::Node::refusal`]).

mod backward;
mod concat;
mod forward;
mod order;
mod packs;
mod weights;

use nnc_wgsl::Profile;

use super::{Pass, dead_code};
use crate::ir::{Graph, Lone, NodeId, Refusal};

pub(super) const PASS: Pass = Pass {
    name: "siblings",
    about: "convolutions of one value are one, and so are their gradients",
    needed: None,
    parts: &[],
    run,
};

fn run(graph: &mut Graph, profile: &Profile) {
    let mut places = weights::Places::of(graph, profile);
    let known = graph.len();
    forward::join(graph, &mut places, profile);
    backward::join(graph, &mut places, profile);
    if graph.len() != known {
        dead_code::remove(graph, |_| true);
    }
}

/// Notes why a value stays by itself.
fn refuse(graph: &mut Graph, id: NodeId, why: Lone) {
    graph.node_mut(id).refusal = Some(Refusal::Lone(why));
}

/// Notes which values are joined in one.
fn note(graph: &mut Graph, whole: NodeId, joined: impl IntoIterator<Item = NodeId>) {
    let origins = joined.into_iter().map(|id| graph.node(id).origin.clone()).collect();
    graph.node_mut(whole).joined = origins;
}
