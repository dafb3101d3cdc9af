//! Laws over the operators: each is a sentence that holds for every example of every operator.

use std::collections::BTreeMap;

use nnc::ir::{NodeId, Tensor, TensorType, evaluate};
use nnc::ops::examples;
use nnc::passes;
use nnc_tests::graphs::{Sample, differentiated, random};
use nnc_wgsl::Profile;

/// Graphs for laws about whole graphs: every operator differentiated, and a few hundred drawn ones.
fn samples() -> Vec<Sample> {
    let drawn = (0..200).map(|seed| random(seed, 4 + usize::try_from(seed % 12).expect("small")));
    examples().iter().map(differentiated).chain(drawn).collect()
}

#[test]
fn the_inferred_type_is_the_type_of_the_result() {
    for example in examples() {
        let types: Vec<&TensorType> = example.types.iter().collect();
        let operands: Vec<&Tensor> = example.operands.iter().collect();
        let label = example.op.label();
        let inferred = example.op.infer(&types).unwrap_or_else(|e| panic!("{label}: {e}"));
        assert_eq!(example.op.evaluate(&operands).shape(), inferred.shape, "{label}");
    }
}

#[test]
fn the_gradient_agrees_with_central_differences() {
    let mut measured = 0;
    for example in examples() {
        let sample = differentiated(&example);
        let gradients: BTreeMap<&str, NodeId> = sample
            .graph
            .results
            .iter()
            .filter(|(n, _)| n.starts_with('d'))
            .map(|(n, v)| (n.as_str(), *v))
            .collect();
        let label = &sample.name;
        if !sample.inputs.contains_key("w") || label.starts_with("window_gradient") {
            continue;
        }
        let values = evaluate(&sample.graph, &sample.environment());
        let names: Vec<String> = sample.inputs.keys().filter(|n| n.starts_with('x')).cloned().collect();
        let floats =
            names.iter().enumerate().filter(|(k, _)| example.types[*k].element == nnc_wgsl::Element::F32);
        for (position, (_, name)) in floats.enumerate() {
            let derived = gradients.get(format!("d{position}").as_str()).map(|id| values[id].clone());
            let size = sample.inputs[name].data().len();
            for element in 0..size {
                let slope = slope(&sample, name, element);
                let found = if label.starts_with("stop_gradient") {
                    assert!(derived.is_none(), "{label} lets a gradient through");
                    continue;
                } else {
                    derived.as_ref().map_or(0.0, |d| d.data()[element])
                };
                let error = (slope - found).abs() / slope.abs().max(1.0);
                assert!(
                    error < 1e-6,
                    "{label}: d {name}[{element}] is {slope}, the derived gradient {found}"
                );
                measured += 1;
            }
        }
    }
    assert!(measured > 2000, "only {measured} slopes were measured");
}

/// The central difference of `sum(y * w)` by one element of an input.
fn slope(sample: &Sample, name: &str, element: usize) -> f64 {
    let step = 1e-5;
    let at = |offset: f64| {
        let mut moved = sample.clone();
        moved.graph.results.retain(|(n, _)| n == "y");
        passes::run_one("dead_code", &mut moved.graph, &profile("lavapipe"));
        moved.inputs.get_mut(name).expect("the input exists").data_mut()[element] += offset;
        let y = &moved.results(&moved.graph)["y"];
        y.data().iter().zip(sample.inputs["w"].data()).map(|(y, w)| y * w).sum::<f64>()
    };
    (at(step) - at(-step)) / (2.0 * step)
}

fn profile(name: &str) -> Profile {
    Profile::named(name).expect("the profile exists")
}

#[test]
fn every_pass_preserves_meaning() {
    for sample in samples() {
        let before = sample.results(&sample.graph);
        let mut graph = sample.graph.clone();
        passes::optimize(&mut graph, &profile("webgpu-default"), |pass, graph| {
            for (name, value) in sample.results(graph) {
                let expected = &before[&name];
                assert_eq!(
                    value.shape(),
                    expected.shape(),
                    "{}: `{}` after {}",
                    sample.name,
                    name,
                    pass.name
                );
                for (v, e) in value.data().iter().zip(expected.data()) {
                    let near = (v - e).abs() <= 1e-9 * e.abs().max(1.0);
                    assert!(near, "{}: `{name}` is {v} after the pass {}, was {e}", sample.name, pass.name);
                }
            }
        });
    }
}
