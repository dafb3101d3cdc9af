//! Lengths of sequences that no sequence has, and numbers that look up what is not there: in training, measuring and use.

use nnc_runtime::Tensor;
use nnc_tests::device::device;

use crate::workplace::{Workplace, floats, integers};

/// A walk over sequences of up to 4 steps, whose last state goes through a maximum, which may drop what is not a number.
const WALK: &str = r#"model Net(x: f32[N, 4, 2], n: i32[N]) -> y: f32[N, 3] {
  _, h = x -> CELL
  h -> relu -> linear(3)
}

data examples {
  x: f32[4, 2]
  n: i32
"#;

/// Words that are looked up.
const WORDS: &str = r#"model Net(x: i32[N, 2]) -> y: f32[N, 3] { h = x -> LOOK
  h -> linear(4) -> relu -> linear(3) }

data examples {
  x: i32[2]
"#;

/// How both are trained: the rest of `data`, and `train`.
const TRAINED: &str = r#"  label: i32 in 0..3
  train = safetensors("train")
  test  = safetensors("test")
}

train Net on examples {
  batch     = 3
  steps     = 1
  loss      = cross_entropy(y, label)
  optimizer = sgd(lr=0.1)
}
"#;

fn walks(lengths: [i32; 3]) -> [Tensor; 3] {
    [
        floats("x", &[3, 4, 2], |k| (k % 7) as f32 / 7.0 - 0.4),
        integers("n", &[3], move |k| lengths[k]),
        integers("label", &[3], |k| k as i32),
    ]
}

fn words(last: i32) -> [Tensor; 2] {
    let ids = [0, 1, 2, 3, 4, last];
    [integers("x", &[3, 2], move |k| ids[k]), integers("label", &[3], |k| k as i32)]
}

/// A folder with this model, in which `fitting` trains.
fn trained(model: &str, fitting: &[Tensor]) -> Workplace {
    let place = Workplace::new();
    place.write("model.nn", format!("{model}{TRAINED}"));
    place.write_tensors("train", fitting);
    place.write_tensors("test", fitting);
    place.succeeds(&["train", "model.nn", "--out", "run"]);
    place.write("w", place.read("run/weights.safetensors"));
    place
}

/// These examples are refused in use, in training and for a gradient.
fn refused(place: &Workplace, tensors: &[Tensor], parts: &[&str]) {
    let inputs: Vec<Tensor> = tensors.iter().filter(|one| one.path != "label").cloned().collect();
    place.write_tensors("in", &inputs);
    let run = ["run", "model.nn", "--weights", "w", "--input", "in", "--output", "out"];
    place.refuses(2, &run, &[&["the examples 0 to 2: ", "mend the input"], parts].concat());
    place.write_tensors("in", tensors);
    let grad = ["grad", "model.nn", "--weights", "w", "--input", "in", "--output", "out"];
    place.refuses(2, &grad, parts);
    place.write_tensors("train", tensors);
    let train = place.nnc(&["train", "model.nn", "--out", "run", "--overwrite"]);
    place.fails(2, train, &[&["at step 1", "mend the data"], parts].concat());
}

#[test]
fn sequences_of_length_0_and_longer_than_their_steps() {
    if device().is_none() {
        return;
    }
    for cell in
        ["gru(5, lengths=n)", "lstm(5, lengths=n, bidirectional=true)", "rnn(5, lengths=n, reverse=true)"]
    {
        let place = trained(&WALK.replace("CELL", cell), &walks([4, 1, 2]));
        for wrong in [0, 5, -1] {
            let parts = ["does not hold: every one of `lengths` lies in 1..5 (required at model.nn:2:15)"];
            refused(&place, &walks([4, 1, wrong]), &parts);
        }
    }
    // While measuring as well, where what is not a number reaches the loss.
    let text = WALK.replace("CELL", "gru(5, lengths=n)").replace("-> relu ", "");
    let place = trained(&text, &walks([4, 1, 2]));
    place.write_tensors("test", &walks([4, 0, 2]));
    let parts =
        ["`loss` is not a number for the examples 0 to 2 of `test`", "every one of `lengths` lies in 1..5"];
    place.refuses(2, &["eval", "model.nn", "--weights", "w"], &parts);
}

#[test]
fn numbers_that_look_up_what_is_not_there() {
    if device().is_none() {
        return;
    }
    let looks = [
        ("embed(5, 2) -> flatten", "every number that `embed` looks up lies in 0..5"),
        ("one_hot(5) -> flatten", "every index of `one_hot` lies in 0..5"),
    ];
    for (look, text) in looks {
        let place = trained(&WORDS.replace("LOOK", look), &words(2));
        for wrong in [5, -1, i32::MAX, i32::MIN] {
            refused(&place, &words(wrong), &["does not hold: ", text, "(required at model.nn:1:"]);
        }
    }
}

/// What lies outside is a number where the model says which.
#[test]
fn what_is_looked_up_outside_may_be_a_number() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    let model = r#"model Looks(x: f32[N, 3], k: i32[N, 3], i: i32[N, 2]) -> (a: f32[N, 2], b: i32[N, 2], c: f32[N, 2, 3]) {
  gather(x, i, outside=-7), gather(k, i, outside=9), one_hot(i, 3, outside=0)
}
"#;
    place.write("model.nn", model);
    let tensors = [
        floats("x", &[2, 3], |k| k as f32),
        integers("k", &[2, 3], |k| k as i32),
        integers("i", &[2, 2], |k| [2, 3, -1, 0][k]),
    ];
    place.write_tensors("in", &tensors);
    // A model without weights needs no file of them.
    place.succeeds(&["run", "model.nn", "--input", "in", "--output", "out"]);
    let outputs = nnc_runtime::weights::read(&place.path("out")).unwrap();
    let values = |name: &str| outputs.iter().find(|one| one.path == name).unwrap().values();
    assert_eq!(values("a"), [2.0, -7.0, -7.0, 3.0]);
    assert_eq!(values("b"), [2.0, 9.0, 9.0, 3.0]);
    assert_eq!(values("c"), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn boxes_of_images_that_are_not_there() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    let model = r#"model Cuts(x: f32[N, 1, 2, 2], b: f32[N, 4], i: i32[N]) -> y: f32[N, 1, 2, 2] {
  crop_resize(x, b, i, 2)
}
"#;
    place.write("model.nn", model);
    let run = ["run", "model.nn", "--input", "in", "--output", "out"];
    for (image, fits) in [(1, true), (3, false), (-1, false)] {
        let tensors = [
            floats("x", &[3, 1, 2, 2], |k| k as f32),
            floats("b", &[3, 4], |k| [0.0, 0.0, 1.0, 1.0][k % 4]),
            integers("i", &[3], |k| [0, image, 2][k]),
        ];
        place.write_tensors("in", &tensors);
        if fits {
            place.succeeds(&run);
            std::fs::remove_file(place.path("out")).unwrap();
        } else {
            place.refuses(
                2,
                &run,
                &["every image that `crop_resize` cuts from is there (required at model.nn:2:3)"],
            );
        }
    }
}
