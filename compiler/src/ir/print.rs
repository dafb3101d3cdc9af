//! A graph as text, for `nnc dump` and snapshots: one line a value, numbered in schedule order.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::graph::{Graph, Kind, NodeId, Source};

/// The graph, one value a line: `%7 = conv{stride=2}(%3, %5): f32[64, 32, 14, 14]   # conv`.
/// Where kernels have been formed, each line begins with the kernel's number; before that, that of a row between
/// products with the row's.
#[must_use]
pub fn print(graph: &Graph) -> String {
    let order = graph.order();
    let number: BTreeMap<NodeId, usize> = order.iter().enumerate().map(|(n, &id)| (id, n)).collect();
    print_numbered(graph, &order, &number)
}

/// [`print()`] with numbers that a pass keeps, for comparing what was before it with what is after it.
#[must_use]
pub fn print_stable(graph: &Graph) -> String {
    let order = graph.order();
    let number: BTreeMap<NodeId, usize> = order.iter().map(|&id| (id, id.index())).collect();
    print_numbered(graph, &order, &number)
}

fn print_numbered(graph: &Graph, order: &[NodeId], number: &BTreeMap<NodeId, usize>) -> String {
    let mut text = String::new();
    for &id in order {
        let node = graph.node(id);
        let operands: Vec<String> = graph.operands(id).iter().map(|v| format!("%{}", number[v])).collect();
        let what = match &node.kind {
            Kind::Source(source) => source_label(graph, source),
            Kind::Operator(op) => format!("{}({})", op.label(), operands.join(", ")),
        };
        let row = node.product_row.map_or(String::new(), |row| format!("row{row:<2} "));
        let kernel = node.cluster.map_or(row, |k| format!("k{k:<3} "));
        let path =
            if node.origin.path.is_empty() { String::new() } else { format!("   # {}", node.origin.path) };
        let again = if node.again { " again" } else { "" };
        let stored = if node.narrow { " in f16" } else { "" };
        writeln!(text, "{kernel}%{} = {what}: {}{stored}{again}{path}", number[&id], node.ty)
            .expect("a string takes text");
    }
    for assignment in &graph.assignments {
        let target = match &graph.node(assignment.target).kind {
            Kind::Source(source) => source_label(graph, source),
            Kind::Operator(op) => op.label(),
        };
        writeln!(text, "{target} <- %{}", number[&assignment.value]).expect("a string takes text");
    }
    for (name, value) in &graph.results {
        writeln!(text, "result {name} = %{}", number[value]).expect("a string takes text");
    }
    text
}

fn source_label(graph: &Graph, source: &Source) -> String {
    match source {
        Source::Input { name, .. } => format!("input {name}"),
        Source::Stored(id) => format!("stored {}", graph.stored[id.0].path),
        Source::Region(name) => format!("region {name}"),
        Source::Host { expr, symbols } => {
            let symbols: Vec<String> = symbols.iter().map(|s| format!("{s:?}").to_lowercase()).collect();
            format!("host ({expr}) of [{}]", symbols.join(", "))
        }
        Source::Constant(value) => format!("constant {value:?}"),
        Source::Random { stream } => format!("random {stream}"),
    }
}
