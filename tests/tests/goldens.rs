//! Losses, gradients and training runs agree with JAX in f64; see `tests/goldens/make.py` for how its numbers are made.
//!
//! Two networks: the digits network, narrower and without dropout, and a small residual network with batch norm.
//! Tolerances, and the measure they apply to, stand in `nnc_tests::tolerance`.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nnc_tests::command::{nnc, succeed};
use nnc_tests::device::device;
use nnc_tests::tensors::{Values, read};
use nnc_tests::tolerance::{AFTER_TRAINING, GRADIENT, LOSS_CURVE, distance};
use nnc_tests::workspace::root;
use serde_json::Value;

#[test]
fn digits_gradients_agree_with_jax() {
    gradients_agree(&committed(), "digits", "digits.nn");
}

#[test]
fn residual_gradients_agree_with_jax() {
    gradients_agree(&committed(), "residual", "residual_sgd.nn");
}

#[test]
fn digits_follow_the_loss_curve_of_jax_under_adam() {
    training_agrees(&committed(), "digits.nn", "digits", "adam");
}

#[test]
fn residual_follows_the_loss_curve_of_jax_under_sgd() {
    training_agrees(&committed(), "residual_sgd.nn", "residual", "sgd");
}

#[test]
fn residual_follows_the_loss_curve_of_jax_under_adam() {
    training_agrees(&committed(), "residual_adam.nn", "residual", "adam");
}

/// The digits network in full width is too large to commit: `make.py --full FOLDER`, and `NNC_GOLDENS=FOLDER` here.
#[test]
fn full_digits_agree_with_jax() {
    let Some(folder) = std::env::var_os("NNC_GOLDENS").map(PathBuf::from) else {
        eprintln!("skipped: `NNC_GOLDENS` names no folder");
        return;
    };
    gradients_agree(&folder, "digits", "digits.nn");
    training_agrees(&folder, "digits.nn", "digits", "adam");
}

/// `nnc grad` on the first batch: the loss and the gradient of every weight, and of nothing else.
fn gradients_agree(folder: &Path, network: &str, model: &str) {
    if device().is_none() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let output = out.path().join("gradient.safetensors");
    let _ = succeed(nnc(&[
        "grad",
        &text(&folder.join(model)),
        "--weights",
        &text(&folder.join(format!("{network}.weights.safetensors"))),
        "--input",
        &text(&folder.join(format!("{network}.batch.safetensors"))),
        "--output",
        &text(&output),
    ]));
    let expected = read(&folder.join(format!("{network}.gradient.safetensors")));
    let found = read(&output);
    assert!(found.keys().eq(expected.keys()), "found {:?}\nexpected {:?}", found.keys(), expected.keys());
    all_near(&found, &expected, GRADIENT);
}

/// `nnc train` from the golden weights over the golden batches, step by step.
fn training_agrees(folder: &Path, model: &str, network: &str, optimizer: &str) {
    if device().is_none() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let output = succeed(nnc(&[
        "train",
        &text(&folder.join(model)),
        "--weights",
        &text(&folder.join(format!("{network}.weights.safetensors"))),
        "--out",
        &text(out.path()),
        "--log-steps",
        "--json",
    ]));
    let losses = step_losses(&String::from_utf8(output.stdout).unwrap());
    let mut expected = read(&folder.join(format!("{network}.{optimizer}.safetensors")));
    let curve = expected.remove("losses").unwrap().data;
    assert_eq!(losses.len(), curve.len(), "steps logged: {losses:?}");
    for (step, (found, golden)) in losses.iter().zip(&curve).enumerate() {
        let apart = (found / golden - 1.0).abs();
        assert!(apart <= LOSS_CURVE, "step {}: loss {found}, golden {golden}", step + 1);
    }
    let after = read(&out.path().join("weights.safetensors"));
    all_near(&after, &expected, AFTER_TRAINING);
}

/// Every tensor of `expected` is in `found`, with its shape and within the tolerance.
fn all_near(found: &BTreeMap<String, Values>, expected: &BTreeMap<String, Values>, tolerance: f64) {
    for (name, golden) in expected {
        let values = found.get(name).unwrap_or_else(|| panic!("no `{name}` among {:?}", found.keys()));
        let scalar = golden.data.len() == 1 && values.data.len() == 1;
        assert!(
            scalar || values.shape == golden.shape,
            "`{name}` is {:?}, not {:?}",
            values.shape,
            golden.shape
        );
        let apart = distance(&values.data, &golden.data);
        eprintln!("{name}: {apart:.1e}");
        assert!(apart <= tolerance, "`{name}` is off by {apart:.1e}, more than {tolerance:.0e}");
    }
}

/// The losses of the lines `{"step":1,"loss":2.28}`, which must count from 1 without a gap.
fn step_losses(lines: &str) -> Vec<f64> {
    let values = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps: Vec<Value> = values.filter(|value| value.get("step").is_some()).collect();
    for (place, line) in steps.iter().enumerate() {
        assert_eq!(line["step"].as_u64(), Some(place as u64 + 1), "{line}");
    }
    steps.iter().map(|line| line["loss"].as_f64().unwrap()).collect()
}

/// The goldens of the repository.
fn committed() -> PathBuf {
    root().join("tests/goldens")
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
