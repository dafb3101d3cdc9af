//! Recomputation: values that are computed a second time, right before they are needed late, instead of being kept.
//!
//! A training step keeps what the gradients will read. Much of it costs less to compute again than to keep: what an
//! activation makes of a normalized value that is kept in any case, a dropout mask, the parts of a concat. The kernels
//! and the plan of the step say when each value is used, and with it at which kernel the most memory is alive. There,
//! of the values that are only kept for later, the one is chosen whose second computation costs the least for each byte
//! of it, again and again (Chen et al. 2016, *Training deep nets with sublinear memory cost*, with costs instead of
//! segments).
//!
//! | which values | when |
//! |---|---|
//! | elementwise ones of 2 MiB and more whose operands are kept anyway | always, while that lowers the peak |
//! | pooled, joined and padded ones, products and convolutions | where the step has a limit (`memory =`) and is above it |
//!
//! A second computation has the formula and the operands of the first, so the step computes the same numbers. Stored
//! quotients, and stored products that are added to something, are not computed again: what a device makes of them depends
//! on what stands around them in a kernel.

mod choice;
mod second;
mod timeline;

use crate::ir::Graph;
use crate::lower::Lowered;
use crate::plan::Plan;

use choice::Chooser;
use second::compute_again;

/// The graph of a step, whose kernels must then be formed anew, with the values that are chosen computed again; `None`
/// where none is. With `limit`, the bytes of arena that may be alive at one time, what it takes to stay below it is chosen
/// as well, as far as that goes.
#[must_use]
pub fn recompute(graph: &Graph, lowered: &Lowered, plan: &Plan, limit: Option<u64>) -> Option<Graph> {
    let mut chooser = Chooser::new(graph, lowered, plan);
    chooser.choose_cheap();
    if let Some(limit) = limit {
        chooser.choose_until(limit);
    }
    let chosen = chooser.finish();
    (!chosen.is_empty()).then(|| compute_again(graph.clone(), lowered, &chosen))
}
