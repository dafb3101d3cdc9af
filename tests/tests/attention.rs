//! Attention is rows between products: no value of the scores' space lies in memory where a row fits, forward and
//! backward, on every profile; where it does not fit, everything stays as it was.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::sync::Arc;

use nnc::compile::{Compiled, compile};
use nnc::elaborate::load;
use nnc::passes::Anchor;
use nnc::program::{Built, artifact_of};
use nnc::source::NoFiles;
use nnc::verify::{Verifiable, encode, open, verify};
use nnc_runtime::artifact::Role;
use nnc_runtime::{Batch, Clock};
use nnc_tests::attentions::{Attention, attentions, biased};
use nnc_tests::command::{nnc, succeed};
use nnc_tests::device::device;
use nnc_tests::graphs::Sample;
use nnc_tests::workspace;
use nnc_wgsl::{PROFILES, Profile};

fn profile(name: &str) -> Profile {
    Profile::named(name).expect("the profile exists")
}

/// A model of `models/` with a constant or a dim changed, so that the scores have a number of elements of their own.
fn model(name: &str, changed: [&str; 2], role: Role, target: &str) -> Compiled {
    let path = workspace::root().join("models").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(changed[0]), "{name} says `{}`", changed[0]);
    let bundle = load(name, &text.replace(changed[0], changed[1]), &[], &NoFiles);
    assert!(!bundle.has_errors(), "{:?}", bundle.diagnostics);
    let mut request = nnc::Request::new(profile(target), &[role]);
    request.batch = Some(3);
    compile(&Arc::new(bundle.value), &request).value.expect("the model compiles")
}

/// The values in the memory plan that have so many elements, and the scratch memory of kernels of that size.
fn planned(built: &Built, elements: usize) -> Vec<String> {
    let values = built.plan.areas.keys().filter(|id| built.graph.ty(**id).size() == elements);
    let mut found: Vec<String> = values.map(|id| built.graph.ty(*id).to_string()).collect();
    let scratch = built.plan.scratch.iter().flatten().flatten();
    let scratch = scratch.filter(|area| area.bytes == elements as u64 * 4);
    found.extend(scratch.map(|area| format!("{} bytes of scratch", area.bytes)));
    found
}

/// How many kernels are rows between products.
fn rows(built: &Built) -> usize {
    let is_row = |anchor: &Anchor| matches!(anchor, Anchor::ProductRow(_));
    built.lowered.stages.iter().filter(|stage| is_row(&stage.cluster.anchor)).count()
}

#[test]
fn no_scores_are_planned_in_training_and_use() {
    let models = [
        ("transformer.nn", ["T = 64", "T = 40"], 3 * 4 * 40 * 40, 3),
        ("patches.nn", ["width = 64", "width = 96"], 3 * 4 * 16 * 16, 2),
    ];
    for (name, changed, scores, layers) in models {
        for target in PROFILES {
            for role in [Role::Train, Role::Gradient, Role::Evaluate, Role::Infer] {
                let compiled = model(name, changed, role, target);
                let built = &compiled.programs[0];
                let found = planned(built, scores);
                assert!(found.is_empty(), "{name}, {role:?} on {target}: {found:?}");
                let trains = matches!(role, Role::Train | Role::Gradient);
                let kernels = layers * if trains { 3 } else { 1 };
                assert_eq!(rows(built), kernels, "{name}, {role:?} on {target}");
            }
        }
    }
}

/// The artifact's program of a sample and how many dispatches it has.
fn built(sample: &Sample, profile: &Profile) -> (Built, usize) {
    let (built, artifact) = artifact_of(sample.graph.clone(), Role::Infer, profile);
    let dispatches = artifact.programs[0].dispatches.len();
    (built, dispatches)
}

#[test]
fn attention_is_one_kernel_and_its_gradient_two() {
    let fits = Attention { heads_inside: true, ..Attention::plain([1, 2, 50, 60, 8, 8]) };
    let too_long = Attention { length: 20_000, ..fits };
    for target in PROFILES {
        let profile = profile(target);
        let of = |attention: Attention, trained: bool| built(&attention.sample(trained), &profile);
        let (forward, before) = (of(fits, false).1, of(too_long, false).1);
        assert_eq!(forward, 1, "{target}");
        assert!(before > 3, "{target}: {before} dispatches where a row is too long");
        let (trained, stored) = (of(fits, true), of(too_long, true));
        eprintln!("{target}: {} dispatches forward and backward, {} with stored scores", trained.1, stored.1);
        assert_eq!(trained.1, 3, "{target}");
        assert_eq!((rows(&trained.0), rows(&stored.0)), (3, 0), "{target}");
        assert!(trained.1 + 9 <= stored.1, "{target}: {} and {} dispatches", trained.1, stored.1);
    }
}

#[test]
fn rows_of_thousands_fit_and_longer_ones_are_left() {
    let is_fused = |length: usize, trained: bool, target: &str| {
        let attention = Attention::plain([1, 2, 8, length, 8, 8]);
        rows(&built(&attention.sample(trained), &profile(target)).0) > 0
    };
    for target in PROFILES {
        if profile(target).cheap_barriers {
            assert!(is_fused(3000, false, target) && is_fused(1500, true, target), "{target}");
        } else {
            assert!(is_fused(512, true, target) && !is_fused(513, false, target), "{target}");
        }
    }
    assert!(!is_fused(4000, false, "webgpu-default") && !is_fused(2100, true, "webgpu-default"));
    assert!(is_fused(4000, false, "nvidia-hopper") && is_fused(2100, true, "nvidia-hopper"));
}

#[test]
fn scores_that_something_else_needs_are_stored() {
    for target in PROFILES {
        let profile = profile(target);
        assert_eq!(
            rows(&built(&biased(true), &profile).0),
            0,
            "{target}: a gradient sums them over other axes"
        );
        assert_ne!(rows(&built(&biased(false), &profile).0), 0, "{target}");
        let winners = Attention { through_largest: true, ..Attention::plain([2, 2, 6, 7, 3, 3]) };
        assert_eq!(rows(&built(&winners.sample(true), &profile).0), 0, "{target}: the largest is looked for");
        let mut shown = Attention::plain([2, 2, 6, 7, 3, 3]).sample(false);
        let scores = shown.graph.order().into_iter().find(|id| shown.graph.ty(*id).shape == [2, 2, 6, 7]);
        shown.graph.results.push(("scores".to_owned(), scores.unwrap()));
        assert_eq!(rows(&built(&shown, &profile).0), 0, "{target}: they are a result");
    }
}

/// The bytes of all results of a sample's program, and that its kernels compute its meaning.
fn run(sample: &Sample, profile: &Profile, device: &nnc_runtime::Device) -> Vec<Vec<u8>> {
    let (built, artifact) = artifact_of(sample.graph.clone(), Role::Infer, profile);
    let mut session = open(&artifact, device, 0).unwrap();
    let program = artifact.program(Role::Infer).unwrap();
    let mut batch = Batch::new(program);
    for port in &program.inputs {
        batch.set(&port.name, &encode(&sample.inputs[&port.name], port.element)).unwrap();
    }
    let verifiable = Verifiable { graph: &built.graph, lowered: &built.lowered, plan: &built.plan };
    let clock = Clock::single(0, 1);
    for finding in verify(&mut session, &artifact, Role::Infer, &verifiable, &batch, &clock).unwrap() {
        assert!(finding.is_right(), "{} on {}: {finding:?}", sample.name, profile.name);
    }
    let outputs = session.run(Role::Infer, &batch, &clock).unwrap();
    program.outputs.iter().map(|port| outputs.tensor(&port.name).unwrap().bytes.clone()).collect()
}

#[test]
fn the_same_operands_give_the_same_bytes() {
    let Some(device) = device() else { return };
    for target in PROFILES {
        let sample = Attention { masked: true, ..Attention::plain([1, 2, 33, 45, 5, 7]) }.sample(true);
        let once = run(&sample, &profile(target), &device);
        assert_eq!(once, run(&sample, &profile(target), &device), "{target}");
    }
}

/// A device with little memory for a workgroup, on which no row of these fits.
#[test]
fn rows_that_do_not_fit_are_right() {
    let Some(device) = device() else { return };
    for target in ["webgpu-default", "lavapipe"] {
        let small = Profile { workgroup_memory: 256, ..profile(target) };
        for sample in attentions() {
            assert_eq!(rows(&built(&sample, &small).0), 0, "{}", sample.name);
        }
        let sample = Attention { masked: true, ..Attention::plain([1, 2, 9, 37, 4, 6]) }.sample(true);
        let lavapipe = Profile { workgroup_memory: 256, ..profile("lavapipe") };
        run(&sample, &lavapipe, &device);
    }
}

#[test]
fn layers_of_odd_shapes_are_right_in_training_and_use() {
    if device().is_none() {
        return;
    }
    for (width, layer) in [
        (12, "attention(heads=4, drop=0.2, causal=true)"),
        (16, "attention(heads=4, drop=0.2, causal=true, turn=rotary)"),
        (12, "positions(9) -> encoder(heads=3, hidden=10, drop=0.3)"),
    ] {
        let text = format!(
            "use \"std/attention.nn\"
model M(x: f32[N, T, {width}]) -> y: f32[N, 3] {{ x -> {layer} -> mean(axis=1) -> linear(3) }}
data d {{
  x: f32[T, {width}]
  c: i32 in 0..3
  train = safetensors(\"a.safetensors\")
}}
train M on d {{
  batch = 3
  dims {{ T = 5 }}
  epochs = 1
  loss = cross_entropy(y, c)
  optimizer = sgd
}}
"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer.nn");
        std::fs::write(&path, text).unwrap();
        let said = succeed(nnc(&["dump", "kernels", path.to_str().unwrap(), "--target", "lavapipe"]));
        let kernels = String::from_utf8_lossy(&said.stdout);
        assert!(kernels.contains("product row"), "{layer}: {kernels}");
        let _ = succeed(nnc(&["verify", path.to_str().unwrap()]));
    }
}
