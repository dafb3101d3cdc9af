//! Product rows: values between products are computed again by each kernel that needs them, and never stored.
//!
//! Where products of small operands give a large value (the scores of attention), which is mapped, reduced along an axis
//! and summed by further products, the value costs more to store than to compute. Each product that sums it becomes the
//! end of a row of its own: one kernel opens the row with the first products, reduces and maps it in workgroup memory,
//! and closes it with the last. What a row's reductions give has one element a row; the first row that needs it stores it
//! for the others. Rows along another axis (the gradients of keys and values) read what the first ones stored.
//!
//! The chain between the products is copied for each kernel, whose values carry the number of their row
//! ([`crate::ir::Node::product_row`]). Where one of the kernels would need a longer row than a workgroup holds, more
//! buffers than the profile has, or values that leave the chain or are held against others for equality, everything stays
//! as it is, and the product that opens the chain says why ([`crate::ir::Node::refusal`]).

mod kernels;
mod region;
mod rewrite;
mod soundness;
mod units;

use std::collections::BTreeSet;

use nnc_wgsl::Profile;

use self::kernels::kernels;
use self::region::Region;
use self::soundness::soundness;
use super::{Pass, dead_code};
use crate::ir::{Graph, NodeId, Refusal};
use crate::lower::is_view;

pub(super) use self::units::units;

pub(super) const PASS: Pass = Pass {
    name: "product_rows",
    about: "values between products (attention) are computed again, and stored by none",
    needed: None,
    parts: &[],
    run,
};

fn run(graph: &mut Graph, profile: &Profile) {
    let mut seen: BTreeSet<NodeId> = BTreeSet::new();
    let mut rows = 0;
    for id in graph.order() {
        if seen.contains(&id) || !region::opens(graph, id) {
            continue;
        }
        let region = match Region::around(graph, id) {
            Ok(Some(region)) => region,
            Ok(None) => continue,
            Err(refusal) => {
                graph.node_mut(id).refusal = Some(refusal);
                continue;
            }
        };
        if !graph.allowance.take() {
            break;
        }
        seen.extend(&region.openings);
        let mut refusal = Some(Refusal::Form);
        // Kernels along one axis read the same operands, but may together bind more than there are buffers.
        for together in [true, false] {
            let Some(kernels) = kernels(graph, &region, together) else { continue };
            let mut changed = graph.clone();
            let numbers = rows..rows + u32::try_from(kernels.len()).expect("fewer than 2^32 kernels");
            rewrite::rewrite(&mut changed, &region, &kernels, numbers.start);
            // What the chain was before reads the same values, and nothing reads it.
            let mut cleaned = changed.clone();
            dead_code::remove(&mut cleaned, |_| true);
            match soundness(&cleaned, numbers.clone(), profile) {
                Ok(()) => {
                    *graph = changed;
                    rows = numbers.end;
                    refusal = None;
                    break;
                }
                Err(found) => refusal = Some(found),
            }
        }
        if refusal.is_some() {
            graph.node_mut(id).refusal = refusal;
        }
    }
    if rows > 0 {
        dead_code::remove(graph, |_| true);
    }
}

/// The value that a chain of views looks at.
pub(super) fn base(graph: &Graph, mut id: NodeId) -> NodeId {
    while graph.operator(id).is_some_and(|op| is_view(&op.lower())) {
        id = graph.operands(id)[0];
    }
    id
}
