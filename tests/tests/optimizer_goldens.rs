//! Optimizers and schedules train as PyTorch's do: `tests/goldens/optimizers.json` holds losses and weights of short runs;
//! see `tests/goldens/make_optimizers.py` for how they are made.

use std::fs;
use std::path::Path;

use nnc_runtime::{Tensor, weights};
use nnc_tests::command::{nnc, succeed};
use nnc_tests::device::device;
use nnc_tests::tensors::read;
use nnc_tests::tolerance::{LAYER_ON_DEVICE, distance};
use nnc_tests::workspace::root;
use nnc_wgsl::Element;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().expect("a list").iter();
    numbers.map(|number| number.as_f64().expect("a number")).collect()
}

fn tensor(path: &str, shape: &[usize], values: &[f64]) -> Tensor {
    #[allow(clippy::cast_possible_truncation)]
    let bytes = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
    Tensor { path: path.to_owned(), element: Element::F32, shape: shape.to_vec(), bytes }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path is text")
}

const MODEL: &str = "
model M(x: f32[N, 5]) -> y: f32[N, 3] { x -> linear(3) }

data d {
  x: f32[5]
  t: f32[3]
  train = safetensors(\"batches.safetensors\")
}

train M on d {
  batch     = 4
  epochs    = 3
  loss      = mse(y, t)
  optimizer = OPTIMIZER
}
";

/// Losses of all steps and the weights at the end.
fn trained(folder: &Path, optimizer: &str) -> (Vec<f64>, Vec<f64>) {
    let model = folder.join("model.nn");
    fs::write(&model, MODEL.replace("OPTIMIZER", optimizer)).expect("the folder takes files");
    let (start, out) = (folder.join("start.safetensors"), folder.join("run"));
    let arguments = [
        "train",
        text(&model),
        "--weights",
        text(&start),
        "--out",
        text(&out),
        "--overwrite",
        "--log-steps",
        "--json",
    ];
    let output = succeed(nnc(&arguments));
    let lines = String::from_utf8(output.stdout).expect("the log is text");
    let steps = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let losses =
        steps.filter(|line| line.get("step").is_some()).map(|line| line["loss"].as_f64().expect("a loss"));
    let after = read(&out.join("weights.safetensors"));
    let all = ["linear.weight", "linear.bias"].iter().flat_map(|name| after[*name].data.clone());
    (losses.collect(), all.collect())
}

#[test]
fn optimizers_and_schedules_train_as_pytorchs() {
    if device().is_none() {
        return;
    }
    let json =
        fs::read_to_string(root().join("tests/goldens/optimizers.json")).expect("the numbers are there");
    let golden: Value = serde_json::from_str(&json).expect("the numbers are JSON");
    let folder = tempfile::tempdir().expect("a folder for the runs");
    let of = |name: &str| numbers(&golden["data"][name]);
    let batches = [tensor("x", &[16, 5], &of("x")), tensor("t", &[16, 3], &of("y"))];
    weights::write(&folder.path().join("batches.safetensors"), &batches).expect("the batches are written");
    let start = [tensor("linear.weight", &[3, 5], &of("weight")), tensor("linear.bias", &[3], &of("bias"))];
    weights::write(&folder.path().join("start.safetensors"), &start).expect("the weights are written");
    let cases = golden["cases"].as_object().expect("the cases");
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    let mut complaints = Vec::new();
    for (name, case) in cases {
        let optimizer = case["optimizer"].as_str().expect("an optimizer");
        let (losses, after) = trained(folder.path(), optimizer);
        let wanted: Vec<f64> = ["weight", "bias"].iter().flat_map(|key| numbers(&case[*key])).collect();
        let known = numbers(&case["losses"]);
        assert_eq!(losses.len(), known.len(), "{name}: the steps of {optimizer}");
        for (what, apart) in [("losses", distance(&losses, &known)), ("weights", distance(&after, &wanted))] {
            if apart > LAYER_ON_DEVICE {
                complaints.push(format!("{name}: the {what} of {optimizer} are off by {apart:.1e}"));
            }
            eprintln!("{name}: {what} {apart:.1e}");
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
