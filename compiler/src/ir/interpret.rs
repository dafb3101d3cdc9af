//! The meaning of a graph, in f64, one node at a time.

use std::collections::BTreeMap;

use nnc_runtime::artifact::HostSymbol;
use nnc_wgsl::random_uniform;

use super::graph::{Graph, Kind, NodeId, Source};
use super::stored::StoredId;
use super::tensor::Tensor;

/// What a program finds when it starts.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The inputs, by name.
    pub inputs: BTreeMap<String, Tensor>,
    /// The stored tensors.
    pub stored: BTreeMap<StoredId, Tensor>,
    /// The regions that are not made of stored tensors (optimizer moments); zero where absent.
    pub regions: BTreeMap<String, Tensor>,
    /// The numbers the training loop knows.
    pub symbols: BTreeMap<HostSymbol, f64>,
    /// The seed, as the device sees it.
    pub seed: u32,
}

/// The value of every node.
///
/// # Panics
/// If the environment lacks something the graph reads, or has it in another shape.
#[must_use]
pub fn evaluate(graph: &Graph, environment: &Environment) -> BTreeMap<NodeId, Tensor> {
    let mut values: BTreeMap<NodeId, Tensor> = BTreeMap::new();
    for id in graph.order() {
        let operands: Vec<&Tensor> = graph.operands(id).iter().map(|v| &values[v]).collect();
        let value = evaluate_node(graph, id, &operands, environment);
        values.insert(id, value);
    }
    values
}

/// The value of one node from those of its operands.
///
/// # Panics
/// As [`evaluate`].
#[must_use]
pub fn evaluate_node(graph: &Graph, id: NodeId, operands: &[&Tensor], environment: &Environment) -> Tensor {
    let node = graph.node(id);
    let value = match &node.kind {
        Kind::Operator(op) => op.evaluate(operands),
        Kind::Source(source) => evaluate_source(graph, source, &node.ty.shape, environment),
    };
    assert_eq!(value.shape(), node.ty.shape, "the type of node {} says the shape of its value", id.index());
    value
}

fn evaluate_source(graph: &Graph, source: &Source, shape: &[usize], environment: &Environment) -> Tensor {
    let size = shape.iter().product();
    match source {
        Source::Input { name, .. } => environment.inputs[name].clone(),
        Source::Stored(id) => environment.stored[id].clone(),
        Source::Region(name) => {
            if let Some(value) = environment.regions.get(name) {
                return value.clone();
            }
            let mut data = vec![0.0; size];
            if let Some(region) = graph.regions.iter().find(|r| r.name == *name) {
                for (id, offset) in &region.members {
                    let part = &environment.stored[id];
                    data[*offset..offset + part.data().len()].copy_from_slice(part.data());
                }
            }
            Tensor::new(shape, data)
        }
        Source::Host { expr, symbols } => {
            let operands: Vec<f64> = symbols.iter().map(|s| environment.symbols[s]).collect();
            Tensor::new(shape, expr.evaluate(&operands))
        }
        Source::Constant(value) => Tensor::new(shape, vec![*value; size]),
        Source::Random { stream } => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let step = environment.symbols.get(&HostSymbol::Step).copied().unwrap_or(1.0) as u32;
            let draw = |element: usize| {
                let element = u32::try_from(element).expect("a random tensor has fewer than 2^32 elements");
                f64::from(random_uniform(environment.seed, step, *stream, element))
            };
            Tensor::new(shape, (0..size).map(draw).collect())
        }
    }
}
