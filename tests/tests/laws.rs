//! Laws over the operators: each is a sentence that holds for every example of every operator.

use std::collections::BTreeMap;

use nnc::ir::{NodeId, Tensor, TensorType, evaluate};
use nnc::ops::examples;
use nnc::passes;
use nnc_tests::attentions::attentions;
use nnc_tests::graphs::{Sample, cells, differentiated, joins, random};
use nnc_tests::siblings::{siblings, trained_siblings};
use nnc_tests::slots::{sibling_slots, slots};
use nnc_wgsl::Profile;

/// Graphs for laws about whole graphs: every operator differentiated, and a few hundred drawn ones.
fn samples() -> Vec<Sample> {
    let drawn = (0..200).map(|seed| random(seed, 4 + usize::try_from(seed % 12).expect("small")));
    examples()
        .iter()
        .map(differentiated)
        .chain(joins())
        .chain(cells())
        .chain(attentions())
        .chain(siblings())
        .chain(trained_siblings())
        .chain(slots(1))
        .chain(sibling_slots(1))
        .chain(drawn)
        .collect()
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

/// Whether the slopes of a function to both sides are equal: it is smooth there.
fn smooth(forward: f64, backward: f64) -> bool {
    (forward - backward).abs() <= 1e-3 * forward.abs().max(1.0)
}

/// Where elements are equal, a maximum has no slope by one of them, but one by all of them together.
#[test]
fn the_gradient_at_ties_and_zeros_agrees_along_the_diagonal() {
    let mut measured = 0;
    for example in examples() {
        let mut sample = differentiated(&example);
        if !sample.inputs.contains_key("w") || sample.name.starts_with("window_gradient") {
            continue;
        }
        for value in sample.inputs.iter_mut().filter(|(n, _)| n.starts_with('x')).map(|(_, v)| v) {
            value.data_mut().iter_mut().for_each(|v| *v = v.round());
        }
        let values = evaluate(&sample.graph, &sample.environment());
        let floats = (0..example.types.len()).filter(|k| example.types[*k].element == nnc_wgsl::Element::F32);
        for (position, operand) in floats.enumerate() {
            let name = format!("d{position}");
            let Some((_, derived)) = sample.graph.results.iter().find(|(n, _)| *n == name) else { continue };
            let found: f64 = values[derived].data().iter().sum();
            let input = format!("x{operand}");
            let step = 1e-5;
            let all = |offset: f64| {
                weighed(&sample, |inputs| {
                    let data = inputs.get_mut(&input).expect("the input exists").data_mut();
                    data.iter_mut().for_each(|v| *v += offset);
                })
            };
            let (below, here, above) = (all(-step), all(0.0), all(step));
            if !smooth((above - here) / step, (here - below) / step) {
                continue;
            }
            let slope = (above - below) / (2.0 * step);
            let error = (slope - found).abs() / slope.abs().max(1.0);
            assert!(error < 1e-5, "{}: the slope by all of {input} is {slope}, derived {found}", sample.name);
            measured += 1;
        }
    }
    assert!(measured > 100, "only {measured} slopes were measured");
}

#[test]
fn the_gradient_of_a_drawn_graph_agrees_with_central_differences() {
    let (mut measured, mut kinks) = (0, 0);
    for sample in (0..200).map(|seed| random(seed, 4 + usize::try_from(seed % 12).expect("small"))) {
        let sizes: Vec<(String, usize)> = (0..3)
            .map(|k| format!("x{k}"))
            .map(|name| (name.clone(), sample.inputs[&name].data().len()))
            .collect();
        let packed = &sample.results(&sample.graph)["gradients"];
        let mut forward = sample.clone();
        forward.graph.results.retain(|(n, _)| n == "loss");
        passes::run_one("dead_code", &mut forward.graph, &profile("lavapipe"));
        for (gradient, (name, size)) in sample.gradients.iter().zip(&sizes) {
            for element in (0..*size).step_by(1 + size / 5) {
                let step = 1e-6;
                let at = |offset: f64| {
                    let mut moved = forward.clone();
                    moved.inputs.get_mut(name).expect("the input exists").data_mut()[element] += offset;
                    moved.results(&moved.graph)["loss"].data()[0]
                };
                let (below, here, above) = (at(-step), at(0.0), at(step));
                if !smooth((above - here) / step, (here - below) / step) {
                    kinks += 1;
                    continue;
                }
                let slope = (above - below) / (2.0 * step);
                let found = gradient.map_or(0.0, |offset| packed.data()[offset + element]);
                let error = (slope - found).abs() / slope.abs().max(1.0);
                assert!(
                    error < 1e-4,
                    "{}: d {name}[{element}] is {slope}, the derived gradient {found}\n{}",
                    sample.name,
                    nnc::ir::print(&sample.graph)
                );
                measured += 1;
            }
        }
    }
    assert!(measured > 1500 && kinks * 10 < measured, "{measured} slopes, {kinks} kinks");
}

#[test]
fn the_gradient_of_a_walk_agrees_with_central_differences() {
    let mut measured = 0;
    for sample in cells().into_iter().filter(|sample| sample.name.contains("of 3 by")) {
        let results = sample.results(&sample.graph);
        let mut forward = sample.clone();
        forward.graph.results.retain(|(n, _)| n == "y1");
        passes::run_one("dead_code", &mut forward.graph, &profile("lavapipe"));
        for k in 0..3 {
            let (name, gradient) = (format!("x{k}"), &results[&format!("y{}", 2 + k)]);
            for element in 0..gradient.data().len() {
                let at = |offset: f64| {
                    let mut moved = forward.clone();
                    moved.inputs.get_mut(&name).expect("the input exists").data_mut()[element] += offset;
                    moved.results(&moved.graph)["y1"].data()[0]
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                let found = gradient.data()[element];
                let error = (slope - found).abs() / slope.abs().max(1.0);
                assert!(error < 1e-6, "{}: d {name}[{element}] is {slope}, derived {found}", sample.name);
                measured += 1;
            }
        }
    }
    assert!(measured > 400, "only {measured} slopes were measured");
}

/// `sum(y * w)` of the sample with its inputs changed.
fn weighed(sample: &Sample, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> f64 {
    let mut moved = sample.clone();
    moved.graph.results.retain(|(n, _)| n == "y");
    passes::run_one("dead_code", &mut moved.graph, &profile("lavapipe"));
    change(&mut moved.inputs);
    let y = &moved.results(&moved.graph)["y"];
    y.data().iter().zip(sample.inputs["w"].data()).map(|(y, w)| y * w).sum()
}

/// The central difference of `sum(y * w)` by one element of an input.
fn slope(sample: &Sample, name: &str, element: usize) -> f64 {
    let step = 1e-5;
    let at = |offset: f64| {
        weighed(sample, |inputs| {
            inputs.get_mut(name).expect("the input exists").data_mut()[element] += offset;
        })
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
                    let same = v == e || v.is_nan() && e.is_nan();
                    let near = same || (v - e).abs() <= 1e-9 * e.abs().max(1.0);
                    assert!(near, "{}: `{name}` is {v} after the pass {}, was {e}", sample.name, pass.name);
                }
            }
        });
    }
}
