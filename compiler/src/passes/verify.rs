//! The invariants of a graph, checked after every pass.

use crate::ir::{Graph, Kind, TensorType};

/// Checks that every node has the type its operator infers, and that results and assignments are in the graph
/// with fitting types.
///
/// # Errors
/// The first broken invariant, in words.
pub fn verify(graph: &Graph) -> Result<(), String> {
    for id in graph.order() {
        let node = graph.node(id);
        let Kind::Operator(op) = &node.kind else { continue };
        let operands = graph.operands(id);
        let types: Vec<&TensorType> = operands.iter().map(|&v| graph.ty(v)).collect();
        match op.infer(&types) {
            Ok(ty) if ty == node.ty => {}
            Ok(ty) => return Err(format!("`{}` makes {ty}, its node says {}", op.label(), node.ty)),
            Err(error) => return Err(format!("`{}`: {error}", op.label())),
        }
    }
    for assignment in &graph.assignments {
        let (target, value) = (graph.ty(assignment.target), graph.ty(assignment.value));
        if target != value {
            return Err(format!("{target} is given the next value {value}"));
        }
    }
    Ok(())
}
