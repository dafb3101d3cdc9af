//! What a formula requires of its operands and no reader can check: labels that were computed or given by hand,
//! probabilities that do not sum to 1, sequences that do not fit.

use std::sync::Arc;

use nnc::Request;
use nnc::elaborate::load;
use nnc::source::NoFiles;
use nnc_runtime::artifact::Role;
use nnc_runtime::{Batch, Clock, Session, Tensor};
use nnc_tests::device::device;

use crate::workplace::{MODEL, Workplace, floats, integers};

/// A model of rows with a loss of its own, over 8 rows to train and 5 to test.
const ROWS: &str = r#"model Rows(x: f32[N, 4]) -> (logits: f32[N, 3], p: f32[N, 3]) {
  h = x -> linear(3)
  h, softmax(h)
}

data rows {
  x:     f32[4]
  share: f32[3]
  train = safetensors("train.safetensors")
  test  = safetensors("test.safetensors")
}

train Rows on rows {
  batch     = 4
  epochs    = 1
  loss      = LOSS
  optimizer = sgd(lr=0.1)
}
"#;

/// Rows whose shares sum to 1, but for those of row `wrong`.
fn rows(count: usize, wrong: Option<usize>) -> [Tensor; 2] {
    let share = move |k: usize| {
        let part = [0.2, 0.3, 0.5][k % 3];
        if wrong == Some(k / 3) { 1.5 * part } else { part }
    };
    [floats("x", &[count, 4], |k| (k % 7) as f32 / 7.0), floats("share", &[count, 3], share)]
}

fn place(loss: &str, train: Option<usize>, test: Option<usize>) -> Workplace {
    let place = Workplace::new();
    place.write("model.nn", ROWS.replace("LOSS", loss));
    place.write_tensors("train.safetensors", &rows(8, train));
    place.write_tensors("test.safetensors", &rows(5, test));
    place
}

/// Training ends at step 1 with `parts`, at the line of the loss.
fn unmet(loss: &str, wrong: Option<usize>, parts: &[&str]) {
    let place = place(loss, wrong, None);
    let command = place.nnc(&["train", "model.nn", "--out", "run"]);
    let known =
        ["the loss is NaN at step 1", "does not hold: ", "(required at model.nn:16:15)", "train anew"];
    place.fails(2, command, &[&known, parts].concat());
}

#[test]
fn labels_that_were_computed_out_of_range() {
    if device().is_none() {
        return;
    }
    let place = Workplace::with("image = image / 255", "image = image / 255; label = to_int(label ** 2)");
    let parts = [
        "the loss is NaN at step 1 (epoch 1): this does not hold: every label of `cross_entropy` lies in 0..3",
        "(required at model.nn:17:15); mend the data, `prepare` or the formula",
    ];
    place.fails(2, place.nnc(&["train", "model.nn", "--out", "run"]), &parts);
    // The same while measuring, and for the gradient of one batch.
    place.replace("; label = to_int(label ** 2)", "");
    place.succeeds(&["train", "model.nn", "--out", "run", "--overwrite"]);
    place.replace("image = image / 255", "image = image / 255; label = to_int(-(label ** 2))");
    let eval = ["eval", "model.nn", "--weights", "run/weights.safetensors"];
    let parts = [
        "`loss` is not a number for the examples 0 to 7 of `test`: this does not hold: every label of `cross_entropy`",
        "(required at model.nn:17:15)",
    ];
    place.refuses(2, &eval, &parts);
    place.write_tensors("in", &[floats("image", &[4, 1, 4, 4], |_| 0.5), integers("label", &[4], |_| 1)]);
    let grad = ["grad", "model.nn", "--input", "in", "--output", "out"];
    let parts = [
        "the loss is NaN: this does not hold: every label of `cross_entropy` lies in 0..3",
        "mend the input",
    ];
    place.refuses(2, &grad, &parts);
}

/// A program that embeds the runtime gives labels that nobody has looked at.
#[test]
fn labels_that_a_program_gives_out_of_range() {
    let Some(device) = device() else { return };
    let bundle = load("model.nn", MODEL, &[], &NoFiles);
    let request = Request::new(device.profile().clone(), &[Role::Train]);
    let compiled = nnc::compile(&Arc::new(bundle.value), &request).value.unwrap();
    let mut session = Session::open(&compiled.artifact, &device).unwrap();
    session.initialize(1).unwrap();
    let mut batch = Batch::new(session.program(Role::Train).unwrap());
    let image: Vec<u8> = (0..8 * 16).flat_map(|k| (k as f32).to_le_bytes()).collect();
    batch.set("image", &image).unwrap();
    for (wrong, label) in [(false, 2i32), (true, 3), (true, -1), (true, i32::MAX)] {
        let labels: Vec<u8> =
            [0, 1, 2, 0, label, 1, 2, 0].iter().flat_map(|l: &i32| l.to_le_bytes()).collect();
        batch.set("label", &labels).unwrap();
        session.initialize(1).unwrap();
        let before = session.read_tensors(|_| true).unwrap();
        let outputs = session.run(Role::Train, &batch, &Clock::single(1, 8)).unwrap();
        assert_eq!(outputs.number("loss").unwrap().is_nan(), wrong, "{label}");
        let after = session.read_tensors(|stored| stored.path != "halted").unwrap();
        let before: Vec<Tensor> = before.into_iter().filter(|one| one.path != "halted").collect();
        assert_eq!(before == after, wrong, "{label}: a step with a wrong label moves nothing");
        session.initialize(1).unwrap();
        let fault = session.trace(Role::Train, &batch, &Clock::single(1, 8)).unwrap();
        let said = fault.map(|fault| fault.unmet.iter().map(|one| one.text.clone()).collect::<Vec<_>>());
        let wanted = wrong.then(|| vec!["every label of `cross_entropy` lies in 0..3".to_owned()]);
        assert_eq!(said, wanted, "{label}");
    }
}

#[test]
fn probabilities_that_do_not_sum_to_1() {
    if device().is_none() {
        return;
    }
    for (loss, text) in [
        (
            "categorical_cross_entropy(p, share)",
            "this does not hold: `p` and `target` sum to 1 along axis -1",
        ),
        ("soft_cross_entropy(logits, share)", "this does not hold: `target` sums to 1 along axis -1"),
        (
            "kl_divergence(log_softmax(logits), share)",
            "this does not hold: `exp(logp)` and `target` sum to 1 along axis -1",
        ),
    ] {
        unmet(loss, Some(2), &[text]);
        place(loss, None, None).succeeds(&["train", "model.nn", "--out", "run"]);
    }
    // Logits where probabilities are wanted, and probabilities where their logarithms are.
    unmet("categorical_cross_entropy(logits, share)", None, &["`p` and `target` sum to 1 along axis -1"]);
    unmet("kl_divergence(p, share)", None, &["`exp(logp)` and `target` sum to 1 along axis -1"]);
    // Only the last batch of the test part is wrong, which is short.
    let place = place("soft_cross_entropy(logits, share)", None, Some(4));
    let parts =
        ["`loss` is not a number for the examples 4 to 4 of `test`", "`target` sums to 1", "model.nn:16:15"];
    place.fails(2, place.nnc(&["train", "model.nn", "--out", "run"]), &parts);
}

#[test]
fn targets_that_a_loss_cannot_take() {
    if device().is_none() {
        return;
    }
    unmet("bce_logits(logits, 3 * share)", None, &["`target` of `bce_logits` lies between 0 and 1"]);
    unmet("focal(logits, -share)", None, &["`target` of `focal` lies between 0 and 1"]);
    unmet(
        "binary_cross_entropy(p, 3 * share)",
        None,
        &["`target` of `binary_cross_entropy` lies between 0 and 1"],
    );
    unmet(
        "binary_cross_entropy(p + 1, share)",
        None,
        &["`p` of `binary_cross_entropy` lies between 0 and 1"],
    );
    unmet("log_loss(p + 1, share)", None, &["`p` of `log_loss` lies between 0 and 1"]);
    unmet("hinge(logits, to_float(share > 0.4))", None, &["`target` of `hinge` is -1 or 1"]);
    let parts = ["`target` sums to 1 along axis -1 and has no negative parts"];
    unmet("soft_cross_entropy(logits, 0 * share + vector([2, -1, 0]))", None, &parts);
    let none = ["a label of `cross_entropy` counts"];
    unmet("cross_entropy(logits, to_int(floor(share[:, 0])), ignore=0)", None, &none);
    unmet("cross_entropy(logits, to_int(floor(share[:, 0])), class_weight=[0, 1, 1])", None, &none);
    for loss in [
        "bce_logits(logits, share)",
        "binary_cross_entropy(p, share)",
        "log_loss(p, share)",
        "hinge(logits, 2 * to_float(share > 0.4) - 1)",
        "cross_entropy(logits, to_int(2 * share[:, 2]), ignore=0)",
    ] {
        place(loss, None, None).succeeds(&["train", "model.nn", "--out", "run"]);
    }
}

#[test]
fn sequences_that_do_not_fit() {
    if device().is_none() {
        return;
    }
    let walk = "rearrange(logits, \"n k -> n 1 k\")";
    let parts = [
        "this does not hold: `ctc` has labels in 0..3 other than the blank 0",
        "fit into its steps with a blank between two equal ones",
    ];
    unmet(&format!("ctc({walk}, to_int(ones(N, 2)))"), None, &parts);
    unmet(&format!("ctc({walk}, to_int(floor(share[:, 0:1])))"), None, &parts);
    unmet(&format!("ctc({walk}, to_int(ones(N, 1)), to_int(floor(share[:, 0]) + 2))"), None, &parts);
}

/// A maximum, and what a device computes within bounds, drop what is not a number: the loss shows it all the same.
#[test]
fn what_is_required_right_before_a_maximum() {
    if device().is_none() {
        return;
    }
    let small = "require(logits, new_axis(share[:, 0]) < 0.25, \"the first share is small\")";
    let found = "gather(logits, new_axis(to_int(floor(10 * share[:, 0]))))";
    let text = "every number that `gather` looks up lies in 0..3";
    for (loss, text) in [
        (format!("mean(relu({small}))"), "the first share is small"),
        (format!("mean(min({small}, 0.5) + tanh(logits))"), "the first share is small"),
        (format!("mean(max({found}, 0))"), text),
        (format!("mean(tanh({found}) ** 2)"), text),
    ] {
        let train = ["train", "model.nn", "--out", "run"];
        let wrong = place(&loss, Some(1), None);
        let parts = ["the loss is NaN at step 1", "this does not hold: ", text, "(required at model.nn:16:"];
        wrong.fails(2, wrong.nnc(&train), &parts);
        let measured = place(&loss, None, Some(4));
        let parts = ["`loss` is not a number for the examples 4 to 4 of `test`", text];
        measured.fails(2, measured.nnc(&train), &parts);
        place(&loss, None, None).succeeds(&train);
    }
}

#[test]
fn what_a_model_requires_itself() {
    if device().is_none() {
        return;
    }
    let loss = "mean(require(logits ** 2, new_axis(share[:, 0]) < 0.25, \"the first share is less than a quarter\"))";
    let train = ["train", "model.nn", "--out", "run"];
    let parts = ["this does not hold: the first share is less than a quarter (required at model.nn:16:20)"];
    let wrong = place(loss, Some(1), None);
    wrong.fails(2, wrong.nnc(&train), &parts);
    place(loss, None, None).succeeds(&train);
}
