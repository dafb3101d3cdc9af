//! Mistakes in the model's text or on the command line; every diagnostic by itself is a case in `tests/cases`.

use nnc_tests::command::nnc;
use nnc_tests::device::device;

use crate::workplace::Workplace;

/// The model with `from` replaced by `to` is refused by `nnc check`, and by `nnc train` before it writes anything.
fn mistake(from: &str, to: &str, parts: &[&str]) {
    let place = Workplace::with(from, to);
    place.refuses(1, &["check", "model.nn"], parts);
    if device().is_some() {
        place.refuses(1, &["train", "model.nn"], parts);
    }
}

#[test]
fn a_typo_in_a_layer() {
    let parts = ["E0201", "model.nn:2:23", "`linaer`", "did you mean `linear`?"];
    mistake("linear(8)", "linaer(8)", &parts);
}

#[test]
fn a_typo_in_an_argument() {
    let parts = ["E0202", "model.nn:2:33", "`linear` has no argument `biass`", "did you mean `bias`?"];
    mistake("linear(8)", "linear(8, biass=true)", &parts);
}

#[test]
fn a_typo_in_a_setting() {
    let parts = ["E0505", "model.nn:15:3", "unknown setting `epcohs`", "did you mean `epochs`?"];
    mistake("epochs ", "epcohs ", &parts);
}

#[test]
fn a_wrong_rank() {
    let parts = ["E0303", "model.nn:2:23", "found f32[N, 16]", "made by `flatten` here", "move `flatten`"];
    mistake("linear(8)", "conv(8, 3)", &parts);
}

#[test]
fn a_wrong_shape() {
    let parts = ["E0302", "model.nn:2:44", "output `logits`", "declared 3 here", "found [N, 4]"];
    mistake("linear(3)", "linear(4)", &parts);
}

#[test]
fn an_unclosed_bracket() {
    let parts = ["E0101", "model.nn:2:19", "`(` is not closed", "this `(` needs a `)`"];
    mistake("flatten", "flatten(", &parts);
}

#[test]
fn a_weight_that_no_kernel_can_address() {
    let parts = ["E0316", "model.nn:2:23", "the weight `linear.weight`", "[2000000000000000000, 16]"];
    mistake("linear(8)", "linear(2000000000000000000)", &parts);
    let parts = ["E0316", "the tensor of all weights", "at most 2147483648", "make the layer"];
    mistake("linear(8)", "linear(120000000)", &parts);
}

#[test]
fn an_image_that_the_model_does_not_take() {
    let parts = ["E0403", "model.nn", "`image`", "[1, 5, 5]", "[N, 1, 4, 4]"];
    mistake("image: f32[1, 4, 4]", "image: f32[1, 5, 5]", &parts);
}

#[test]
fn no_training_where_training_is_asked_for() {
    let place = Workplace::new();
    let text = String::from_utf8(place.read("model.nn")).unwrap();
    place.write("model.nn", text.split("train Tiny").next().unwrap());
    place.succeeds(&["check", "model.nn"]);
    if device().is_none() {
        return;
    }
    for command in ["train", "bench"] {
        place.refuses(1, &[command, "model.nn"], &["E0505", "model.nn:1:7", "no `train`", "add `train"]);
    }
}

#[test]
fn a_file_that_is_no_model() {
    let place = Workplace::new();
    place.succeeds(&["build", "model.nn"]);
    place.refuses(2, &["check", "absent.nn"], &["`absent.nn`: there is no such file"]);
    place.refuses(2, &["check", "."], &["`.`: it is a folder"]);
    place.refuses(2, &["check", "images"], &["`images`: it is not text"]);
    let parts = ["`model.nna`: it is a compiled artifact", "`nnc run`", "takes a model's file"];
    place.refuses(2, &["check", "model.nna"], &parts);
}

#[test]
fn a_typo_on_the_command_line() {
    let place = Workplace::new();
    let build = |arguments: &[&'static str]| [&["build", "model.nn"], arguments].concat();
    let parts = ["E0505", "--set btach", "no setting `btach`", "did you mean `batch`?"];
    place.refuses(1, &build(&["--set", "btach=3"]), &parts);
    let parts = ["E0202", "--set optimizer.lrr", "`adam` has no argument `lrr`", "did you mean `lr`?"];
    place.refuses(1, &build(&["--set", "optimizer.lrr=3"]), &parts);
    place.refuses(1, &build(&["--set", "dims.T=3"]), &["E0505", "no setting `dims.T`"]);
    place.refuses(1, &build(&["--set", "batch=0"]), &["E0204", "--set batch:1:1", "at least one example"]);
    place.refuses(1, &build(&["--set", "batch=("]), &["E0101", "--set batch:1:1", "needs a `)`"]);
    place.refuses(2, &build(&["--set", "batch"]), &["'--set <NAME=VALUE>'", "write NAME=VALUE"]);
    place.refuses(2, &build(&["--dim", "T=3"]), &["`--dim T`", "`model.nn`", "it has none"]);
    place.refuses(2, &build(&["--batch", "0"]), &["--batch", "at least one example"]);
    place.refuses(
        1,
        &build(&["--model", "Tinny"]),
        &["E0201", "unknown model `Tinny`", "did you mean `Tiny`?"],
    );
    place.refuses(1, &build(&["--model", "Digits"]), &["unknown model `Digits`", "there is: Tiny"]);
    place.refuses(2, &build(&["--target", "m1"]), &["no profile `m1`", "apple-m1", "lavapipe"]);
    place.refuses(2, &["biuld", "model.nn"], &["'biuld'"]);
}

#[test]
fn every_command_says_all_mistakes_as_check_does_and_in_json_if_asked() {
    let model = "model M(x: f32[N, 8]) {\n  y = 3\n  x -> linear(8, foo=1) -> bar\n}\n";
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("m.nn"), model).unwrap();
    let run = |arguments: &[&str]| {
        let output = nnc(arguments).current_dir(place.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (_, checked) = run(&["check", "m.nn"]);
    assert!(checked.contains("E0202") && checked.contains("E0201"), "{checked}");
    let (json, nothing) = run(&["check", "m.nn", "--json"]);
    assert_eq!(nothing, "");
    for command in ["build", "show", "weights"] {
        assert_eq!(run(&[command, "m.nn"]), (String::new(), checked.clone()), "{command}");
        assert_eq!(run(&[command, "m.nn", "--json"]), (json.clone(), String::new()), "{command}");
    }
    assert_eq!(run(&["dump", "graph", "m.nn"]), (String::new(), checked));
    for line in json.lines() {
        let one: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(one["code"].is_string() && one["message"].is_string(), "{line}");
    }
}
