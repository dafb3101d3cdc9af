//! Every layer computes what PyTorch's does, and has its gradients: `tests/goldens/layers/` holds the cases.
//!
//! Each runs twice: as the meaning of its graph, in f64, and on the device. `NNC_LAYERS=pooling` runs one file alone.

use std::collections::BTreeMap;

use nnc::ir::{Kind, Source, evaluate};
use nnc::program::artifact_from;
use nnc::verify::{encode, open};
use nnc_runtime::artifact::Role;
use nnc_runtime::{Batch, Clock, Device};
use nnc_tests::device::device;
use nnc_tests::layer_cases::{LayerCase, LayerProgram, layer_cases};
use nnc_tests::tolerance::{LAYER_MEANING, LAYER_ON_DEVICE, distance};

/// What a program gave: outputs, `grad.NAME` and `after.PATH`.
type Found = BTreeMap<String, Vec<f64>>;

#[test]
fn the_meaning_of_every_layer_is_pytorchs() {
    let cases = layer_cases();
    assert!(!cases.is_empty(), "no case was found");
    let complaints: Vec<String> =
        cases.iter().flat_map(|case| complaints(case, &meant(&case.program()), LAYER_MEANING)).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_layer_on_the_device_is_pytorchs() {
    let Some(device) = device() else { return };
    let cases = layer_cases();
    let complaints_of = |cases: &[LayerCase]| -> Vec<String> {
        let found = |case: &LayerCase| computed(case, &case.program(), &device);
        cases.iter().flat_map(|case| complaints(case, &found(case), LAYER_ON_DEVICE)).collect()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let complaints: Vec<String> = std::thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(threads));
        let running: Vec<_> = parts.map(|part| scope.spawn(|| complaints_of(part))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("the cases run")).collect()
    });
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn meant(program: &LayerProgram) -> Found {
    let graph = &program.graph;
    let values = evaluate(graph, &program.environment());
    let results = graph.results.iter().map(|(name, node)| (name.clone(), values[node].data().to_vec()));
    let left = graph.assignments.iter().map(|assignment| {
        let Kind::Source(Source::Stored(id)) = &graph.node(assignment.target).kind else {
            panic!("a layer assigns its states");
        };
        let data = values[&assignment.value].data().to_vec();
        (format!("after.{}", graph.stored[id.0].path), data)
    });
    results.chain(left).collect()
}

fn computed(case: &LayerCase, program: &LayerProgram, device: &Device) -> Found {
    let role = if program.graph.assignments.is_empty() { Role::Infer } else { Role::Train };
    let (graph, sources) = (program.graph.clone(), program.bundle.sources());
    let (_, artifact) = artifact_from(graph, sources, program.batch, role, device.profile());
    let mut session = open(&artifact, device, 0).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let tensors: Vec<nnc_runtime::Tensor> = program
        .stored
        .iter()
        .map(|(id, value)| {
            let stored = &program.graph.stored[id.0];
            let (path, element) = (stored.path.clone(), stored.ty.element);
            let shape = stored.ty.shape.clone();
            nnc_runtime::Tensor { path, element, shape, bytes: encode(value, element) }
        })
        .collect();
    session.write_tensors(&tensors).expect("the tensors fit");
    let built = artifact.program(role).expect("the program was built");
    let mut batch = Batch::new(built);
    for port in &built.inputs {
        let bytes = encode(&program.inputs[&port.name], port.element);
        batch.set(&port.name, &bytes).expect("the input fits");
    }
    let outputs =
        session.run(role, &batch, &Clock::single(0, program.batch as u64)).expect("the program runs");
    let mut found: Found =
        outputs.tensors().iter().map(|tensor| (tensor.path.clone(), tensor.values())).collect();
    for tensor in session.read_tensors(|_| true).expect("the device answers") {
        found.insert(format!("after.{}", tensor.path), tensor.values());
    }
    found
}

/// What is not as PyTorch has it, one line each. A gradient that is not there is 0.
fn complaints(case: &LayerCase, found: &Found, tolerance: f64) -> Vec<String> {
    let mut complaints = Vec::new();
    for (kind, prefix) in [("out", ""), ("grad", "grad."), ("after", "after.")] {
        for (name, golden) in case.tensors(kind) {
            let zeros = vec![0.0; golden.data.len()];
            let values = match found.get(&format!("{prefix}{name}")) {
                Some(values) => values,
                None if kind == "grad" => &zeros,
                None => {
                    complaints.push(format!("{}: no {kind} {name}", case.name));
                    continue;
                }
            };
            if values.len() != golden.data.len() {
                let (has, wants) = (values.len(), golden.data.len());
                complaints.push(format!("{}: {kind} {name} has {has} elements, not {wants}", case.name));
                continue;
            }
            let apart = distance(values, &golden.data);
            if apart > tolerance {
                let pairs = values.iter().zip(&golden.data).take(6);
                let shown: Vec<String> = pairs.map(|(f, g)| format!("{f:.4} ({g:.4})")).collect();
                let shown = shown.join(", ");
                complaints.push(format!("{}: {kind} {name} is off by {apart:.1e}: {shown}", case.name));
            }
        }
    }
    complaints
}
