//! `nnc eval --per-example`: loss and metrics of each example, in the order of the data, with the averages of `nnc eval`.

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
  train = csv("points.csv", columns=["a", "b"], label="c", take=0..20)
  test  = csv("points.csv", columns=["a", "b"], label="c", take=20..33)
  prepare { x = x / 8 }
}

train Points on points {
  batch     = 5
  epochs    = 2
  loss      = cross_entropy(y, label)
  optimizer = adam(lr=0.05)
  metrics   { right = accuracy(y, label); sure = mean(max(softmax(y), axis=-1)) }
}
"#;

/// A folder with a trained model.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..33).map(|i| format!("{},{},{}\n", i % 7, (i * 5) % 11, (i % 7 + i * 5 % 11) % 3));
    fs::write(folder.path().join("points.csv"), "a,b,c\n".to_owned() + &rows.collect::<String>()).unwrap();
    fs::write(folder.path().join("points.nn"), MODEL).unwrap();
    said(folder.path(), &["train", "points.nn", "--out", "run"]);
    folder
}

fn said(folder: &Path, arguments: &[&str]) -> String {
    let mut command = nnc(arguments);
    command.current_dir(folder);
    String::from_utf8(succeed(command).stdout).unwrap()
}

fn eval(folder: &Path, more: &[&str]) -> Value {
    let weights = ["eval", "points.nn", "--json", "--weights", "run/weights.safetensors"];
    serde_json::from_str(&said(folder, &[&weights, more].concat())).unwrap()
}

/// The columns of a table, by name in order.
fn columns(text: &str) -> Vec<(String, Vec<f64>)> {
    let mut lines = text.lines();
    let names = lines.next().unwrap().split(',').map(str::to_owned);
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    names.enumerate().map(|(k, name)| (name, rows.iter().map(|row| row[k]).collect())).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 * a.abs().max(1.0)
}

#[test]
fn every_example_has_a_line_and_the_averages_are_those_of_eval() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let folder = folder.path();
    let whole = eval(folder, &[]);
    let averages = eval(folder, &["--per-example", "each.csv"]);
    let table = columns(&fs::read_to_string(folder.join("each.csv")).unwrap());
    let names: Vec<&str> = table.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["example", "loss", "right", "sure"]);
    assert_eq!(table[0].1, (0..13).map(f64::from).collect::<Vec<f64>>());
    for (name, values) in &table[1..] {
        let mean = values.iter().sum::<f64>() / 13.0;
        let (known, printed) =
            (whole["test"][name].as_f64().unwrap(), averages["test"][name].as_f64().unwrap());
        assert!(near(mean, known) && near(printed, known), "{name}: {mean}, {printed}, not {known}");
    }
    assert!(table[1].1.iter().any(|loss| !near(*loss, table[1].1[0])), "the examples differ");
    // The order is that of the data: the outputs of the model, example by example, give the same losses.
    let images: Vec<f32> =
        (20..33).flat_map(|i| [(i % 7) as f32 / 8.0, ((i * 5) % 11) as f32 / 8.0]).collect();
    let bytes = images.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (path, element) = ("x".to_owned(), nnc_wgsl::Element::F32);
    let tensor = nnc_runtime::Tensor { path, element, shape: vec![13, 2], bytes };
    nnc_runtime::weights::write(&folder.join("in.safetensors"), &[tensor]).unwrap();
    let run = ["run", "points.nn", "--weights", "run/weights.safetensors", "--input", "in.safetensors"];
    said(folder, &[&run[..], &["--output", "out.safetensors"]].concat());
    let logits = read(&folder.join("out.safetensors"))["y"].data.clone();
    for (example, row) in logits.chunks(3).enumerate() {
        let i = example + 20;
        let label = (i % 7 + i * 5 % 11) % 3;
        let loss = row.iter().map(|v| v.exp()).sum::<f64>().ln() - row[label];
        assert!(
            near(loss, table[1].1[example]),
            "example {example}: {} instead of {loss}",
            table[1].1[example]
        );
    }
}

/// An example whose label is left out has no loss of its own: an empty cell, which is said, and none in the averages.
#[test]
fn an_example_without_a_loss_has_an_empty_cell() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let folder = folder.path();
    let text = MODEL.replace("cross_entropy(y, label)", "cross_entropy(y, label, ignore=1)");
    fs::write(folder.join("points.nn"), text).unwrap();
    let whole = eval(folder, &[]);
    let weights = ["eval", "points.nn", "--json", "--weights", "run/weights.safetensors"];
    let command = nnc(&[&weights[..], &["--per-example", "each.csv"]].concat()).current_dir(folder).output();
    let output = command.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let averages: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(averages, whole);
    assert!(whole["test"]["loss"].as_f64().unwrap().is_finite());
    let text = fs::read_to_string(folder.join("each.csv")).unwrap();
    let left = |i: usize| (i % 7 + i * 5 % 11) % 3 == 1;
    for (line, example) in text.lines().skip(1).zip(20..33) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[1].is_empty(), left(example), "{line}");
        assert!(cells[2..].iter().all(|cell| cell.parse::<f64>().unwrap().is_finite()), "{line}");
    }
    let count = (20..33).filter(|i| left(*i)).count();
    assert!(count > 0);
    assert!(said.contains(&format!("{count} examples have values that are not numbers")), "{said}");
    assert!(said.contains("a label of `cross_entropy` counts (required at points.nn:17:15)"), "{said}");
}

#[test]
fn a_file_of_tensors_holds_what_the_table_does() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let folder = folder.path();
    eval(folder, &["--per-example", "each.csv", "--part", "train"]);
    eval(folder, &["--per-example", "each.safetensors", "--part", "train"]);
    let tensors = read(&folder.join("each.safetensors"));
    let table = columns(&fs::read_to_string(folder.join("each.csv")).unwrap());
    assert_eq!(tensors.len(), 3);
    for (name, values) in &table[1..] {
        assert_eq!(tensors[name].shape, [20], "{name}");
        let written = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<f32>>();
        assert_eq!(written(&tensors[name].data), written(values), "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_refused_and_nothing_is_left() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let names = || {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for (out, parts) in [
        ("absent/each.csv", "`absent/each.csv` could not be written: the folder does not exist; make it"),
        ("run", "`run` could not be written: a folder has that name; choose another name"),
    ] {
        let arguments = ["eval", "points.nn", "--weights", "run/weights.safetensors", "--per-example", out];
        let output = nnc(&arguments).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(parts), "{said}");
        assert_eq!(names(), before, "{out}");
    }
}

/// Labels are left out, classes weigh differently, and batches differ in both: the mean is that of all examples at once.
#[test]
fn a_mean_that_labels_weigh_is_that_of_the_whole_part() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let text = MODEL
        .replace("cross_entropy(y, label)", "cross_entropy(y, label, ignore=2, class_weight=[1, 5, 2])")
        .replace("sure =", "plain = cross_entropy(y, label); sure =");
    fs::write(folder.path().join("points.nn"), text).unwrap();
    let measured = |batch: usize| eval(folder.path(), &["--set", &format!("batch={batch}")]);
    let whole = measured(13);
    for batch in [1, 2, 5, 12] {
        let parts = measured(batch);
        for name in ["loss", "right", "plain", "sure"] {
            let (whole, parts) = (&whole["test"][name], &parts["test"][name]);
            let (whole, parts) = (whole.as_f64().unwrap(), parts.as_f64().unwrap());
            assert!(near(whole, parts), "{name} is {whole} at once, {parts} in batches of {batch}");
        }
    }
}
