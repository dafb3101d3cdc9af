//! Gradients through a `scan` of fifty steps agree with central differences in f64, for the library's cells and for one
//! that a user writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::{Expansion, Request, elaborate, load};
use nnc::gradient::differentiate;
use nnc::ir::{Environment, Graph, Kind, NodeId, Source, StoredId, Tensor, evaluate};
use nnc::passes;
use nnc::source::NoFiles;
use nnc_tests::graphs::{weighed_sum, weights};
use nnc_wgsl::Profile;

const STEPS: usize = 50;

/// A leaky cell with a gate that sees the carried value, and a second value that counts.
const OWN: &str = "
block own(x: f32[N, T, C], out: int) {
  weight into: f32[C, out] = normal(0, 0.1)
  weight around: f32[out, out] = normal(0, 0.1)
  weight gate: f32[out] = zeros
  scan row in x with h = zeros(N, out), seen = ones(N, out) {
    open = sigmoid(gate * h + row @ into)
    seen = 0.9 * seen + 0.1 * h * h
    h = (1 - open) * h + open * tanh(h @ around + row @ into) / sqrt(1 + seen)
    h + 0.1 * seen
  }
}
";

/// What is differentiated by: inputs by name, weights by place.
#[derive(Clone, Debug)]
enum Variable {
    Input(String),
    Weight(StoredId),
}

/// The graph of the weighed sum of all steps, and its variables.
fn walk(cell: &str) -> (Graph, NodeId, Vec<(Variable, NodeId)>) {
    let text = format!("{OWN}model M(x: f32[N, {STEPS}, 3]) -> y: f32[N, {STEPS}, 4] {{ x -> {cell} }}\n");
    let loaded = load("model.nn", &text, &[], &NoFiles);
    let printed = render_all(&loaded.diagnostics, loaded.value.sources(), Colour::Never);
    assert_eq!(printed, "");
    let bundle = Arc::new(loaded.value);
    let checked = elaborate(&bundle, &Request { batch: Some(1), ..Request::new(Expansion::Training) });
    let printed = render_all(&checked.diagnostics, bundle.sources(), Colour::Never);
    let mut graph = checked.value.unwrap_or_else(|| panic!("{printed}")).graph;
    let y = graph.results[0].1;
    let ty = graph.ty(y).clone();
    let upstream = graph.source(Source::Input { name: "upstream".to_owned(), batched: false }, ty);
    let loss = weighed_sum(&mut graph, y, upstream);
    graph.results = vec![("loss".to_owned(), loss)];
    let variables = graph.nodes().into_iter().filter_map(|node| match &graph.node(node).kind {
        Kind::Source(Source::Input { name, .. }) if name == "x" => {
            Some((Variable::Input(name.clone()), node))
        }
        Kind::Source(Source::Stored(id)) => Some((Variable::Weight(*id), node)),
        _ => None,
    });
    let variables = variables.collect();
    (graph, loss, variables)
}

/// Numbers in (-0.5, 0.5) that differ from place to place.
fn spread(shape: &[usize], salt: usize) -> Tensor {
    let count: usize = shape.iter().product();
    Tensor::new(shape, (0..count).map(|k| ((k * 37 + salt * 11) % 101) as f64 / 101.0 - 0.5).collect())
}

#[test]
fn the_gradient_through_fifty_steps_agrees_with_central_differences() {
    for cell in ["lstm(4)", "gru(4)", "gru(4, reset_after=false)", "own(4)"] {
        let (graph, loss, variables) = walk(cell);
        let stored = graph.stored.iter().enumerate();
        let environment = Environment {
            inputs: BTreeMap::from([
                ("x".to_owned(), spread(&[1, STEPS, 3], 0)),
                ("upstream".to_owned(), weights(&[1, STEPS, 4])),
            ]),
            stored: stored.map(|(k, one)| (StoredId(k), spread(&one.ty.shape, k + 1))).collect(),
            ..Environment::default()
        };
        let mut differentiated = graph.clone();
        let nodes: Vec<NodeId> = variables.iter().map(|(_, node)| *node).collect();
        let gradients = differentiate(&mut differentiated, loss, &nodes).expect("a cell has a gradient");
        let values = evaluate(&differentiated, &environment);
        let mut forward = graph;
        passes::run_one("dead_code", &mut forward, &Profile::named("lavapipe").expect("the profile exists"));
        let (mut measured, mut earliest) = (0, 0.0_f64);
        for ((variable, _), gradient) in variables.iter().zip(gradients) {
            let gradient = &values[&gradient.expect("every variable reaches the loss")];
            for (element, &found) in gradient.data().iter().enumerate() {
                let at = |offset: f64| {
                    let mut moved = environment.clone();
                    let value = match variable {
                        Variable::Input(name) => moved.inputs.get_mut(name),
                        Variable::Weight(id) => moved.stored.get_mut(id),
                    };
                    value.expect("the variable is there").data_mut()[element] += offset;
                    evaluate(&forward, &moved)[&loss].data()[0]
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                let error = (slope - found).abs() / slope.abs().max(1.0);
                assert!(error < 1e-6, "{cell}: d {variable:?}[{element}] is {slope}, derived {found}");
                measured += 1;
                if matches!(variable, Variable::Input(_)) && element < 3 {
                    earliest = earliest.max(found.abs());
                }
            }
        }
        assert!(measured > 150, "{cell}: only {measured} slopes were measured");
        assert!(earliest > 1e-3, "{cell}: hardly anything comes back to the first step");
    }
}
