//! Host scalars: a formula of numbers that only the training loop knows (`lr` schedules, bias corrections) is
//! computed on the host once a step, not on the device once an element.

use nnc_runtime::artifact::HostSymbol;
use nnc_wgsl::{ExprBuilder, Profile, Ref, Scalar};

use super::Pass;
use crate::ir::{Graph, Kind, NodeId, Source};
use crate::ops::Lowering;

pub(super) const PASS: Pass = Pass {
    name: "host_scalars",
    about: "formulas of what only the training loop knows are computed on the host",
    needed: None,
    parts: &[],
    run,
};

fn run(graph: &mut Graph, _: &Profile) {
    for id in graph.order() {
        if let Some(host) = on_host(graph, id) {
            if !graph.allowance.take() {
                return;
            }
            graph.replace(id, host);
        }
    }
}

fn on_host(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let Lowering::Map(expr) = graph.operator(id)?.lower() else { return None };
    let ty = graph.ty(id).clone();
    if ty.rank() != 0 || expr.result_type(0) == Scalar::Bool {
        return None;
    }
    let operands = graph.operands(id);
    let mut b = ExprBuilder::new(&[]);
    let mut symbols: Vec<HostSymbol> = Vec::new();
    let mut arguments: Vec<Ref> = Vec::with_capacity(operands.len());
    for &operand in &operands {
        let Kind::Source(source) = &graph.node(operand).kind else { return None };
        match source {
            Source::Constant(value) => {
                let real = b.real(*value);
                arguments.push(b.cast(graph.ty(operand).element.scalar(), real));
            }
            Source::Host { expr, symbols: of } => {
                let mut inner: Vec<Ref> = Vec::with_capacity(of.len());
                for (k, symbol) in of.iter().enumerate() {
                    let place = symbols.iter().position(|s| s == symbol).unwrap_or_else(|| {
                        symbols.push(*symbol);
                        b.add_operand(expr.operands()[k])
                    });
                    inner.push(b.operand(place));
                }
                arguments.push(b.inline(expr, &inner)[0]);
            }
            _ => return None,
        }
    }
    let results = b.inline(&expr, &arguments);
    let folded = b.finish(&results);
    Some(graph.host(folded, symbols))
}
