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
model M(x: f32[N, COLUMNS]) -> y: f32[N, ROWS] { x -> linear(ROWS) }

data d {
  x: f32[COLUMNS]
  t: f32[ROWS]
  train = safetensors(\"batches.safetensors\")
}

train M on d {
  batch     = BATCH
  epochs    = 3
  loss      = mse(y, t)
  optimizer = OPTIMIZER
}
";

/// A linear layer with the examples that it is trained on.
struct Layer {
    name: String,
    columns: usize,
    rows: usize,
    batch: usize,
}

impl Layer {
    /// The layer that the goldens describe, its first weights and its batches in the folder.
    fn written(folder: &Path, name: &str, golden: &Value) -> Layer {
        let number = |key: &str| {
            let number = golden[key].as_u64().expect("a number");
            usize::try_from(number).expect("a small number")
        };
        let (columns, rows, batch) = (number("columns"), number("rows"), number("batch"));
        let of = |name: &str| numbers(&golden[name]);
        let examples = of("x").len() / columns;
        let batches = [tensor("x", &[examples, columns], &of("x")), tensor("t", &[examples, rows], &of("y"))];
        weights::write(&folder.join("batches.safetensors"), &batches).expect("the batches are written");
        let start = [
            tensor("linear.weight", &[rows, columns], &of("weight")),
            tensor("linear.bias", &[rows], &of("bias")),
        ];
        weights::write(&folder.join("start.safetensors"), &start).expect("the weights are written");
        Layer { name: name.to_owned(), columns, rows, batch }
    }

    fn text(&self, optimizer: &str) -> String {
        let extents = [
            ("COLUMNS", self.columns.to_string()),
            ("ROWS", self.rows.to_string()),
            ("BATCH", self.batch.to_string()),
        ];
        let text = MODEL.replace("OPTIMIZER", optimizer);
        extents.iter().fold(text, |text, (name, extent)| text.replace(name, extent))
    }
}

/// Losses of all steps and the weights at the end.
fn trained(folder: &Path, layer: &Layer, optimizer: &str) -> (Vec<f64>, Vec<f64>) {
    let model = folder.join("model.nn");
    fs::write(&model, layer.text(optimizer)).expect("the folder takes files");
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
    let cases = golden["cases"].as_object().expect("the cases");
    assert!(cases.len() >= 31, "only {} cases", cases.len());
    let layers = golden["layers"].as_object().expect("the layers");
    assert!(layers.len() >= 3, "only {} layers", layers.len());
    let mut complaints = Vec::new();
    for (layer, described) in layers {
        let layer = Layer::written(folder.path(), layer, described);
        for (name, case) in cases {
            complaints.extend(complaints_of(folder.path(), &layer, name, case));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// What is not as PyTorch has it, one line each.
fn complaints_of(folder: &Path, layer: &Layer, name: &str, case: &Value) -> Vec<String> {
    let optimizer = case["optimizer"].as_str().expect("an optimizer");
    let (losses, after) = trained(folder, layer, optimizer);
    let run = &case["runs"][&layer.name];
    let wanted: Vec<f64> = ["weight", "bias"].iter().flat_map(|key| numbers(&run[*key])).collect();
    let known = numbers(&run["losses"]);
    let layer = &layer.name;
    assert_eq!(losses.len(), known.len(), "{name}, {layer}: the steps of {optimizer}");
    let mut complaints = Vec::new();
    for (what, apart) in [("losses", distance(&losses, &known)), ("weights", distance(&after, &wanted))] {
        if apart > LAYER_ON_DEVICE {
            complaints.push(format!("{name}, {layer}: the {what} of {optimizer} are off by {apart:.1e}"));
        }
        eprintln!("{name}, {layer}: {what} {apart:.1e}");
    }
    complaints
}
