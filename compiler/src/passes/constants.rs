//! Constants: formulas of constants are computed, products with zeros are zeros, constants move into the formulas that
//! read them.

use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Expr, ExprBuilder, Profile, Ref, Scalar};

use super::Pass;
use crate::ir::{Graph, Kind, NodeId, Source, broadcast_shape};
use crate::lower::is_view;
use crate::ops::{Lowering, Map};

pub(super) const PASS: Pass = Pass {
    name: "constants",
    about: "formulas of constants are computed, constants move into formulas",
    needed: None,
    parts: &[],
    run,
};

fn run(graph: &mut Graph, _: &Profile) {
    for id in graph.order() {
        // A broken requirement is said by the kernel that computes the value.
        let required = graph.node(id).origin.requires.is_some();
        if let Some(folded) = fold(graph, id)
            && !(required && constant(graph, folded).is_some())
        {
            if !graph.allowance.take() {
                return;
            }
            graph.replace(id, folded);
        }
    }
}

fn constant(graph: &Graph, id: NodeId) -> Option<f64> {
    match &graph.node(id).kind {
        Kind::Source(Source::Constant(value)) => Some(*value),
        _ => None,
    }
}

fn fold(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let lowering = graph.operator(id)?.lower();
    let operands = graph.operands(id);
    let ty = graph.ty(id).clone();
    graph.set_origin(graph.node(id).origin.clone());
    match lowering {
        Lowering::Map(expr) => fold_map(graph, id, &expr, &operands),
        Lowering::Reduce { reduction, .. } => {
            let value = constant(graph, operands[0])?;
            #[allow(clippy::cast_precision_loss)]
            let count = (graph.ty(operands[0]).size() / ty.size().max(1)) as f64;
            let value = match reduction {
                Reduction::Sum => value * count,
                Reduction::Product => value.powf(count),
                Reduction::Max | Reduction::Min => value,
            };
            Some(graph.constant(value, ty))
        }
        Lowering::Contract { .. } => {
            let zero = operands.iter().any(|&v| constant(graph, v) == Some(0.0));
            zero.then(|| graph.constant(0.0, ty))
        }
        view if is_view(&view) => {
            let value = constant(graph, operands[0])?;
            Some(graph.constant(value, ty))
        }
        _ => None,
    }
}

/// The map with its constant operands inside the formula, where its shape does not depend on them.
fn fold_map(graph: &mut Graph, id: NodeId, expr: &Expr, operands: &[NodeId]) -> Option<NodeId> {
    let ty = graph.ty(id).clone();
    let values: Vec<Option<f64>> = operands.iter().map(|&v| constant(graph, v)).collect();
    let repeated = (1..operands.len()).any(|k| operands[..k].contains(&operands[k]));
    let unused = (0..operands.len()).any(|k| !expr.uses(k));
    if values.iter().all(Option::is_none) && !repeated && !unused {
        return None;
    }
    let mut kept: Vec<NodeId> = Vec::new();
    for (k, &v) in operands.iter().enumerate() {
        if values[k].is_none() && expr.uses(k) && !kept.contains(&v) {
            kept.push(v);
        }
    }
    let scalars: Vec<Scalar> = kept.iter().map(|&v| graph.ty(v).element.scalar()).collect();
    let mut b = ExprBuilder::new(&scalars);
    let mut arguments: Vec<Ref> = Vec::with_capacity(operands.len());
    for (k, v) in operands.iter().enumerate() {
        arguments.push(match values[k] {
            Some(value) => literal(&mut b, value, expr.operands()[k]),
            None => match kept.iter().position(|kept| kept == v) {
                Some(place) => b.operand(place),
                None => literal(&mut b, 0.0, expr.operands()[k]),
            },
        });
    }
    let results = b.inline(expr, &arguments);
    let folded = b.finish(&results);
    if let Some(value) = folded.as_constant() {
        return Some(graph.constant(value, ty));
    }
    let (folded, used) = folded.compact();
    let kept: Vec<NodeId> = used.into_iter().map(|k| kept[k]).collect();
    let shapes: Vec<&[usize]> = kept.iter().map(|&v| graph.ty(v).shape.as_slice()).collect();
    if broadcast_shape(&shapes)? != ty.shape {
        return None;
    }
    Some(graph.must(Map::new(folded), &kept))
}

fn literal(b: &mut ExprBuilder, value: f64, scalar: Scalar) -> Ref {
    let real = b.real(value);
    b.cast(scalar, real)
}
