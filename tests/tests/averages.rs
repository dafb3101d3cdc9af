//! The moving average of the weights: measured and saved in their place, kept in checkpoints, moved once an update.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::fs;
use std::path::Path;

use nnc_tests::command::{nnc, succeed};
use nnc_tests::device::device;
use nnc_tests::tensors::read;
use serde_json::Value;

const MODEL: &str = r#"
model Points(x: f32[N, 2]) -> y: f32[N, 3] {
  x -> linear(4) -> batch_norm -> relu -> linear(3)
}

data points {
  x: f32[2]
  label: i32 in 0..3
  train = csv("points.csv", columns=["a", "b"], label="c", take=0..24)
  test  = csv("points.csv", columns=["a", "b"], label="c", take=24..30)
  prepare { x = x / 8 }
}

train Points on points {
  batch     = 4
  epochs    = 2
  seed      = 5
  loss      = cross_entropy(y, label)
  optimizer = sgd(lr=0.2, momentum=0.9)
  average   = min(0.95, (1 + step) / (4 + step))
  metrics   { accuracy = accuracy(y, label) }
  save      = every(1)
}
"#;

/// A folder with the model and 30 points.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..30).map(|i| format!("{},{},{}\n", i % 7, (i * 5) % 11, (i % 7 + i * 5 % 11) % 3));
    fs::write(folder.path().join("points.csv"), "a,b,c\n".to_owned() + &rows.collect::<String>()).unwrap();
    fs::write(folder.path().join("points.nn"), MODEL).unwrap();
    folder
}

fn said(folder: &Path, arguments: &[&str]) -> String {
    let mut command = nnc(arguments);
    command.current_dir(folder);
    String::from_utf8(succeed(command).stdout).unwrap()
}

#[test]
fn what_is_measured_is_what_is_saved() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let folder = folder.path();
    let log = said(folder, &["train", "points.nn", "--out", "run", "--json"]);
    let epochs: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (file, epoch) in [("run/weights-1.safetensors", 0), ("run/weights.safetensors", 1)] {
        let line = said(folder, &["eval", "points.nn", "--json", "--weights", file]);
        let found: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(found["test"], epochs[epoch]["test"], "{file}");
    }
    let text = fs::read_to_string(folder.join("points.nn")).unwrap();
    let plain: String =
        text.lines().filter(|line| !line.contains("average")).flat_map(|line| [line, "\n"]).collect();
    fs::write(folder.join("plain.nn"), plain).unwrap();
    let log = said(folder, &["train", "plain.nn", "--out", "plain", "--json"]);
    let others: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (with, without) in epochs.iter().zip(&others) {
        assert_eq!(with["train"], without["train"], "an average changes no step");
        assert_ne!(with["test"], without["test"]);
    }
    // The last weights themselves are in the checkpoint, beside their averages; states have none.
    let kept = read(&folder.join("run/checkpoint"));
    let (saved, last) =
        (read(&folder.join("run/weights.safetensors")), read(&folder.join("plain/weights.safetensors")));
    for (path, value) in &saved {
        assert_eq!(kept[path].data, last[path].data, "{path}");
        match kept.get(&format!("average of {path}")) {
            Some(average) => assert!(average.data == value.data && value.data != last[path].data, "{path}"),
            None => assert!(path.contains("running") && value.data == last[path].data, "{path}"),
        }
    }
}

#[test]
fn a_resumed_run_ends_with_the_bytes_of_an_unbroken_one() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let folder = folder.path();
    said(folder, &["train", "points.nn", "--out", "whole"]);
    said(folder, &["train", "points.nn", "--out", "broken", "--set", "steps=4"]);
    said(folder, &["train", "points.nn", "--out", "broken", "--resume"]);
    let bytes = |name: &str| fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes("whole/weights.safetensors"), bytes("broken/weights.safetensors"));
    let arguments = ["train", "points.nn", "--out", "broken", "--resume", "--set", "average=0.5"];
    let output = nnc(&arguments).current_dir(folder).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("its training is not the same"), "{stderr}");
}

/// An update that gathers several batches moves the average once, with its weights.
#[test]
fn gathered_batches_move_the_average_once() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let folder = folder.path();
    let text = fs::read_to_string(folder.join("points.nn")).unwrap().replace(" -> batch_norm", "");
    let text = text.replace("csv(\"points.csv\",", "safetensors(\"points.safetensors\") # ");
    let values = |shape: &[usize], of: fn(usize) -> f32| -> Vec<u8> {
        (0..shape.iter().product()).flat_map(|k| of(k).to_le_bytes()).collect()
    };
    let x = nnc_runtime::Tensor {
        path: "x".to_owned(),
        element: nnc_wgsl::Element::F32,
        shape: vec![24, 2],
        bytes: values(&[24, 2], |k| (k * 37 % 17) as f32),
    };
    let label = nnc_runtime::Tensor {
        path: "label".to_owned(),
        element: nnc_wgsl::Element::I32,
        shape: vec![24],
        bytes: (0..24i32).flat_map(|k| (k * 5 % 3).to_le_bytes()).collect(),
    };
    nnc_runtime::weights::write(&folder.join("points.safetensors"), &[x, label]).unwrap();
    fs::write(folder.join("points.nn"), text).unwrap();
    said(folder, &["train", "points.nn", "--out", "large", "--set", "batch=8"]);
    said(folder, &["train", "points.nn", "--out", "small", "--set", "accumulate=2"]);
    let (large, small) =
        (read(&folder.join("large/weights.safetensors")), read(&folder.join("small/weights.safetensors")));
    for (path, value) in &large {
        for (a, b) in value.data.iter().zip(&small[path].data) {
            assert!((a - b).abs() < 1e-5, "{path}: {a} and {b}");
        }
    }
}

/// A run that starts from weights averages from there on.
#[test]
fn an_average_begins_as_its_weight() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let folder = folder.path();
    said(folder, &["train", "points.nn", "--out", "first"]);
    let weights = "first/weights.safetensors";
    // A share so large that nothing moves in these steps.
    let still = ["--weights", weights, "--set", "average=0.9999999999", "--set", "steps=3"];
    said(folder, &[&["train", "points.nn", "--out", "second"], &still[..]].concat());
    let (first, second) = (read(&folder.join(weights)), read(&folder.join("second/weights.safetensors")));
    for (path, value) in first.iter().filter(|(path, _)| !path.contains("running")) {
        for (a, b) in value.data.iter().zip(&second[path].data) {
            assert!((a - b).abs() < 1e-6, "{path}: {a} and {b}");
        }
    }
}
