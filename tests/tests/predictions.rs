//! One network, one answer: the artifact in a program that links nnc-runtime alone gives, number for number, what
//! `nnc run` gives from the artifact and from the model's file, and the accuracy that `nnc eval` gives.
//!
//! The digits network, narrower, on 500 test digits. The artifact is built for batches of 7, so that the last batch
//! has three digits and four places of padding.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nnc_runtime::artifact::{Artifact, Role};
use nnc_runtime::data::{self, Feed};
use nnc_runtime::{Clock, Device, Session, Tensor, format, weights};
use nnc_tests::command::{nnc, succeed};
use nnc_tests::device::device;
use nnc_tests::workspace::{cargo, root};
use nnc_wgsl::Element;
use serde_json::Value;

const DIGITS: usize = 500;
const BATCH: usize = 7;

/// `models/mnist.nn` with fewer channels and fewer digits, its data where it is.
fn narrow(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(root().join("models/mnist.nn")).unwrap();
    let data = root().join("data").display().to_string();
    let text = text
        .replace("conv(32, 5", "conv(4, 5")
        .replace("conv(64, 5", "conv(6, 5")
        .replace("linear(1024)", "linear(16)")
        .replace("adam(lr=1e-3)", "adam(lr=1e-2)")
        .replace("train-labels-idx1-ubyte\")", "train-labels-idx1-ubyte\", take=2000)")
        .replace("t10k-labels-idx1-ubyte\")", &format!("t10k-labels-idx1-ubyte\", take={DIGITS})"))
        .replace("\"../data", &format!("\"{data}"));
    let path = folder.join("narrow.nn");
    std::fs::write(&path, text).unwrap();
    path
}

/// The pixels of the test digits as the model takes them, and their labels.
fn digits(artifact: &Artifact, folder: &Path) -> (Vec<u8>, Vec<usize>) {
    let training = artifact.training.as_ref().unwrap();
    let test = Arc::new(data::open(&training.data, "test", folder).unwrap());
    let program = artifact.program(Role::Evaluate).unwrap();
    let feed = Feed::evaluation(test, program).unwrap();
    let order = feed.order(0);
    let mut batch = feed.empty();
    let place = |name: &str| program.inputs.iter().position(|port| port.name == name).unwrap();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for index in 0..feed.batches() {
        feed.fill(&order, index, &mut batch).unwrap();
        let examples = batch.examples;
        let words = batch.input_mut(place("image")).as_chunks::<4>().0;
        let images = words[..examples * 28 * 28].iter().map(|word| f32::from_le_bytes(*word) / 255.0);
        pixels.extend(images.flat_map(f32::to_le_bytes));
        let words = batch.input_mut(place("label")).as_chunks::<4>().0;
        labels.extend(words[..examples].iter().map(|word| u32::from_le_bytes(*word) as usize));
    }
    (pixels, labels)
}

/// The artifact's outputs for these digits through the library, as an embedding program computes them.
fn embedded(file: &Path, device: &Device, folder: &Path) -> Vec<f32> {
    let artifact = format::read(&std::fs::read(file).unwrap()).unwrap();
    let training = artifact.training.as_ref().unwrap();
    let mut session = Session::open_roles(&artifact, device, &[Role::Infer]).unwrap();
    session.initialize(training.seed).unwrap();
    let program = session.program(Role::Infer).unwrap();
    assert_eq!(program.batch, BATCH);
    assert!(program.inputs.iter().chain(&program.outputs).all(|port| port.batched));
    let test = Arc::new(data::open(&training.data, "test", folder).unwrap());
    let feed = Feed::evaluation(test, program).unwrap();
    let order = feed.order(0);
    let mut batch = feed.empty();
    let mut scores = Vec::new();
    for index in 0..feed.batches() {
        feed.fill(&order, index, &mut batch).unwrap();
        for pixel in batch.input_mut(0).as_chunks_mut::<4>().0 {
            *pixel = (f32::from_le_bytes(*pixel) / 255.0).to_le_bytes();
        }
        let clock = Clock::single(training.seed, batch.examples as u64);
        let outputs = session.run(Role::Infer, &batch, &clock).unwrap();
        let logits = outputs.tensor("logits").unwrap();
        assert_eq!(logits.shape, [BATCH, 10]);
        scores.extend(floats(&logits).into_iter().take(batch.examples * 10));
    }
    scores
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

fn bits(scores: &[f32]) -> Vec<u32> {
    scores.iter().map(|score| score.to_bits()).collect()
}

/// The first class of the largest score in each row.
fn classes(scores: &[f32]) -> Vec<usize> {
    let best = |row: &[f32]| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    scores.chunks_exact(10).map(best).collect()
}

#[test]
fn every_way_to_use_a_network_gives_the_same_predictions() {
    let Some(device) = device() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let model = narrow(folder.path());
    let model = model.to_str().unwrap();
    let (weights_file, artifact_file) = (path("run/weights.safetensors"), path("narrow.nna"));
    let _ = succeed(nnc(&["train", model, "--out", &path("run"), "--set", "epochs=1", "--set", "batch=20"]));
    let batch = BATCH.to_string();
    let target = device.profile().name.clone();
    let build = ["build", model, "--weights", &weights_file, "--batch", &batch, "--target", &target];
    let _ = succeed(nnc(&[&build[..], &["-o", &artifact_file]].concat()));
    let artifact = format::read(&std::fs::read(&artifact_file).unwrap()).unwrap();

    let (pixels, labels) = digits(&artifact, folder.path());
    assert_eq!(labels.len(), DIGITS);
    assert_ne!(DIGITS % BATCH, 0);
    let image = Tensor {
        path: "image".to_owned(),
        element: Element::F32,
        shape: vec![DIGITS, 1, 28, 28],
        bytes: pixels,
    };
    weights::write(Path::new(&path("in")), &[image]).unwrap();
    let run = |name: &str, more: &[&str]| -> Vec<f32> {
        let (input, output) = (path("in"), path(name));
        let arguments =
            [&["run", "--device", "gpu"], more, &["--input", &input, "--output", &output]].concat();
        let _ = succeed(nnc(&arguments));
        let outputs = weights::read(Path::new(&output)).unwrap();
        assert_eq!((outputs.len(), outputs[0].path.as_str()), (1, "logits"));
        assert_eq!(outputs[0].shape, [DIGITS, 10]);
        floats(&outputs[0])
    };

    let scores = embedded(Path::new(&artifact_file), &device, folder.path());
    assert_eq!(bits(&scores), bits(&run("from-artifact", &[&artifact_file])));
    let file = ["--weights", &weights_file, "--batch", &batch];
    let from_file = run("from-file", &[&[model][..], &file].concat());
    let largest = scores.iter().fold(0f32, |most, score| most.max(score.abs()));
    let apart = scores.iter().zip(&from_file).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart <= 1e-5 * largest, "the logits are {apart} apart");
    if artifact.profile == *device.profile() {
        assert_eq!(bits(&scores), bits(&from_file));
    }
    let predicted = classes(&scores);
    assert_eq!(predicted, classes(&from_file));
    let other_batch = run("other-batch", &[model, "--weights", &weights_file, "--batch", "64"]);
    assert_eq!(predicted, classes(&other_batch));

    let right = predicted.iter().zip(&labels).filter(|(class, label)| class == label).count();
    let accuracy = right as f64 / DIGITS as f64;
    assert!(accuracy > 0.5, "{accuracy} is no better than a network that was not trained");
    let eval = succeed(nnc(&["eval", model, "--weights", &weights_file, "--json"]));
    let line: Value = serde_json::from_slice(&eval.stdout).unwrap();
    let measured = line["test"]["accuracy"].as_f64().unwrap();
    assert!((measured - accuracy).abs() < 1e-6, "`nnc eval` measured {measured}, {right} digits are right");

    let program = classify(&artifact_file, &weights_file, folder.path());
    assert_eq!(program, predicted);
}

/// What the example program of nnc-runtime prints: one class a line.
fn classify(artifact: &str, weights: &str, base: &Path) -> Vec<usize> {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let release = profile.file_name().is_some_and(|name| name == "release");
    let mut arguments = vec!["build", "--quiet", "--workspace", "--example", "classify"];
    arguments.extend(release.then_some("--release"));
    let _ = cargo(&arguments);
    let mut command =
        Command::new(profile.join(format!("examples/classify{}", std::env::consts::EXE_SUFFIX)));
    command.args([artifact, weights]).arg(base);
    let lines = String::from_utf8(succeed(command).stdout).unwrap();
    lines.lines().map(|line| line.parse().unwrap()).collect()
}
