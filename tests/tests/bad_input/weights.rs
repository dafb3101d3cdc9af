//! Weights of another model, and files that hold none.

use nnc_tests::device::device;

use crate::workplace::{Workplace, floats};

/// The folder after a training run; `None` without an adapter.
fn trained() -> Option<Workplace> {
    device()?;
    let place = Workplace::new();
    place.succeeds(&["train", "model.nn", "--out", "run"]);
    place.write("w", place.read("run/weights.safetensors"));
    Some(place)
}

/// `w` is refused by every command that takes weights.
fn refused(place: &Workplace, parts: &[&str]) {
    place.refuses(2, &["eval", "model.nn", "--weights", "w"], parts);
    place.refuses(2, &["train", "model.nn", "--weights", "w", "--out", "other"], parts);
    place.refuses(2, &["build", "model.nn", "--weights", "w"], parts);
}

#[test]
fn weights_that_fit_are_taken() {
    let Some(place) = trained() else { return };
    place.succeeds(&["eval", "model.nn", "--weights", "w"]);
    place.succeeds(&["train", "model.nn", "--weights", "w"]);
    place.succeeds(&["build", "model.nn", "--weights", "w"]);
}

#[test]
fn a_missing_file() {
    let Some(place) = trained() else { return };
    std::fs::remove_file(place.path("w")).unwrap();
    refused(&place, &["`w` cannot be read: there is no such file"]);
    std::fs::create_dir(place.path("w")).unwrap();
    refused(&place, &["`w` cannot be read: it is a folder"]);
}

#[test]
fn a_layer_of_another_width() {
    let Some(place) = trained() else { return };
    place.replace("linear(8)", "linear(9)");
    let shape = "`linear.weight` is f32 [9, 16] in the model and f32 [8, 16] in the file";
    refused(&place, &["`w` does not fit the model", shape, "give weights that were saved from this model"]);
}

#[test]
fn a_layer_more_and_a_layer_less() {
    let Some(place) = trained() else { return };
    place.replace("linear(8)", "linear(8) -> relu -> linear(8)");
    refused(&place, &["it lacks linear_3.weight, linear_3.bias", "give weights"]);
    place.replace("linear(8) -> relu -> linear(8) -> relu -> ", "");
    refused(&place, &["the model has no linear_2.bias, linear_2.weight", "give weights"]);
}

#[test]
fn another_name() {
    let Some(place) = trained() else { return };
    let mut tensors = nnc_runtime::weights::read(&place.path("w")).unwrap();
    tensors[1].path = "linear.wieght".to_owned();
    place.write_tensors("w", &tensors);
    refused(&place, &["it lacks linear.weight", "has no linear.wieght (did you mean linear.weight?)"]);
}

#[test]
fn a_file_of_something_else() {
    let Some(place) = trained() else { return };
    let images = place.read("images");
    for content in [&b"these are no weights\n"[..], &[], &images] {
        place.write("w", content);
        refused(&place, &["`w` is no whole safetensors file", "copy or save it again"]);
    }
    place.write_tensors("w", &[floats("image", &[4, 16], |i| i as f32)]);
    refused(&place, &["it lacks linear.weight", "the model has no image"]);
    place.write("w", place.read("run/checkpoint"));
    refused(&place, &["`w` is a checkpoint", "`weights.safetensors` beside it"]);
}

#[test]
fn a_truncated_file() {
    let Some(place) = trained() else { return };
    let whole = place.read("w");
    for length in [1, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        place.write("w", &whole[..length]);
        let parts = ["`w` is no whole safetensors file", "copy or save it again"];
        place.refuses(2, &["eval", "model.nn", "--weights", "w"], &parts);
    }
}

#[test]
fn a_budget_for_weights() {
    let Some(place) = trained() else { return };
    let eval = |extra: &[&str]| {
        place.succeeds(&[&["eval", "model.nn", "--weights", "w", "--json"], extra].concat()).stdout
    };
    assert_eq!(eval(&["--weight-budget", "768"]), eval(&[]));
    place.write_tensors("x", &[floats("image", &[10, 1, 4, 4], |i| i as f32 / 160.0)]);
    let run = |file: &str, extra: &[&str]| {
        place.succeeds(&[&["run", file, "--input", "x", "--output", "y"], extra].concat());
        place.read("y")
    };
    let expected = run("model.nn", &["--weights", "w"]);
    assert_eq!(run("model.nn", &["--weights", "w", "--weight-budget", "768"]), expected);
    let build = ["build", "model.nn", "--weights", "w", "--batch", "10"];
    place.succeeds(&build);
    let expected = run("model.nna", &[]);
    let said = place.succeeds(&[&build[..], &["--weight-budget", "1 KiB"]].concat()).stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("loads of weights into 1.0 KiB"), "{said}");
    assert_eq!(run("model.nna", &[]), expected);
    assert_eq!(run("model.nna", &["--weights", "w"]), expected);
}

#[test]
fn a_budget_that_is_none_or_too_small() {
    let Some(place) = trained() else { return };
    for text in ["much", "12 MB", "-1", "1.5GiB", "99999999999GiB"] {
        place.refuses(
            2,
            &["build", "model.nn", &format!("--weight-budget={text}")],
            &["is no size; write bytes"],
        );
    }
    let parts = ["E0509", "`linear.weight`", "model.nn:2", "`--weight-budget 768` is the least"];
    place.refuses(1, &["build", "model.nn", "--weight-budget", "767"], &parts);
    place.refuses(1, &["eval", "model.nn", "--weights", "w", "--weight-budget", "256"], &parts);
    place.succeeds(&["build", "model.nn"]);
    place.write_tensors("x", &[floats("image", &[1, 1, 4, 4], |_| 0.0)]);
    let run = ["run", "model.nna", "--input", "x", "--output", "y", "--weight-budget", "1KiB"];
    place.refuses(2, &run, &["`--weight-budget` is for a model's file", "`nnc build`"]);
}
