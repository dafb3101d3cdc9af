//! Inputs that are not those of the model: `nnc run` on its file and on its artifact, and `nnc grad`.

use nnc_runtime::{Tensor, weights};
use nnc_tests::device::device;

use crate::workplace::{Workplace, floats, integers};

/// A folder with weights and an artifact that holds them; `None` without an adapter.
fn built() -> Option<Workplace> {
    device()?;
    let place = Workplace::new();
    place.succeeds(&["train", "model.nn", "--out", "run", "--set", "epochs=1"]);
    place.write("w", place.read("run/weights.safetensors"));
    place.succeeds(&["build", "model.nn", "--weights", "w", "--batch", "4"]);
    Some(place)
}

const FILE: [&str; 8] = ["run", "model.nn", "--weights", "w", "--input", "in", "--output", "out"];
const ARTIFACT: [&str; 6] = ["run", "model.nna", "--input", "in", "--output", "out"];
const GRAD: [&str; 8] = ["grad", "model.nn", "--weights", "w", "--input", "in", "--output", "out"];

fn image(examples: usize) -> Tensor {
    floats("image", &[examples, 1, 4, 4], |i| (i * 37 % 97) as f32 / 97.0)
}

fn label(examples: usize) -> Tensor {
    integers("label", &[examples], |i| (i % 3) as i32)
}

/// `in` with these tensors is refused by `nnc run`, on the model's file and on its artifact.
fn run_refuses(place: &Workplace, tensors: &[Tensor], parts: &[&str]) {
    place.write_tensors("in", tensors);
    place.refuses(2, &FILE, &[&["`in`"], parts].concat());
    place.refuses(2, &ARTIFACT, &[&["`in`"], parts].concat());
}

fn grad_refuses(place: &Workplace, tensors: &[Tensor], parts: &[&str]) {
    place.write_tensors("in", tensors);
    place.refuses(2, &GRAD, parts);
}

/// The only output of the last run.
fn output(place: &Workplace) -> Tensor {
    let mut outputs = weights::read(&place.path("out")).unwrap();
    assert_eq!(outputs.len(), 1);
    outputs.remove(0)
}

#[test]
fn a_missing_input() {
    let Some(place) = built() else { return };
    run_refuses(&place, &[floats("imgae", &[4, 1, 4, 4], |_| 0.5)], &["takes: image; the file has: imgae"]);
    run_refuses(&place, &[], &["takes: image; the file has: none"]);
    grad_refuses(&place, &[image(4)], &["`in` has no tensor `label`; it has: image"]);
    grad_refuses(&place, &[floats("x", &[4], |_| 0.5)], &["takes: image, label; the file has: x"]);
}

#[test]
fn no_file_of_inputs() {
    let Some(place) = built() else { return };
    for call in [&FILE[..], &ARTIFACT, &GRAD] {
        place.refuses(2, call, &["`in`: there is no such file"]);
    }
    place.write("in", "these are no inputs\n");
    for call in [&FILE[..], &ARTIFACT, &GRAD] {
        place.refuses(2, call, &["`in` is no safetensors file", "is it the file that was meant?"]);
    }
    place.write_tensors("in", &[image(4)]);
    let arguments = ["run", "model.nn", "--input", "in", "--output", "out"];
    place.refuses(2, &arguments, &["`--weights` is missing: a model's file holds none"]);
}

#[test]
fn no_examples() {
    let Some(place) = built() else { return };
    run_refuses(&place, &[image(0)], &["has no examples: `image` has the shape [0, 1, 4, 4]"]);
    run_refuses(&place, &[floats("image", &[], |_| 0.5)], &["has no examples", "axis to count them along"]);
    grad_refuses(&place, &[image(0), label(0)], &["has no examples: `image` has the shape [0, 1, 4, 4]"]);
}

#[test]
fn an_input_of_another_shape() {
    let Some(place) = built() else { return };
    let wide = floats("image", &[4, 1, 4, 5], |_| 0.5);
    run_refuses(&place, std::slice::from_ref(&wide), &["shape [1, 4, 4]", "examples of `in` have [1, 4, 5]"]);
    grad_refuses(&place, &[wide, label(4)], &["shape [1, 4, 4]", "examples of `in` have [1, 4, 5]"]);
    grad_refuses(&place, &[image(4), label(3)], &["`image` has 4 examples, but `label` has 3"]);
}

#[test]
fn an_input_of_another_type() {
    let Some(place) = built() else { return };
    let fractions = floats("label", &[4], |i| i as f32);
    grad_refuses(&place, &[image(4), fractions], &["`label` is i32, but `in` holds 32-bit floats"]);
    let beyond = integers("label", &[4], |i| i as i32);
    grad_refuses(&place, &[image(4), beyond], &["`label` is in 0..3, but example 3 of `in` has 3"]);
}

#[test]
fn numbers_of_other_widths_are_converted() {
    let Some(place) = built() else { return };
    for call in [&FILE[..], &ARTIFACT] {
        place.write_tensors("in", &[floats("image", &[6, 1, 4, 4], |i| (i % 5) as f32)]);
        place.succeeds(call);
        let expected = output(&place);
        place.write_tensors("in", &[integers("image", &[6, 1, 4, 4], |i| (i % 5) as i32)]);
        place.succeeds(call);
        assert_eq!(output(&place).values(), expected.values());
    }
}

#[test]
fn what_the_model_does_not_take_is_named_and_left_out() {
    let Some(place) = built() else { return };
    // `a` comes first in the file and has another number of examples.
    let more = [floats("a", &[3], |_| 0.5), image(10), label(10)];
    for call in [&FILE[..], &ARTIFACT] {
        place.write_tensors("in", &[image(10)]);
        place.succeeds(call);
        let expected = output(&place);
        assert_eq!(expected.shape, [10, 3]);
        place.write_tensors("in", &more);
        let said = String::from_utf8(place.succeeds(call).stderr).unwrap();
        assert!(said.contains("`in`: left out, the program does not take it: a, label"), "{said}");
        assert_eq!(output(&place), expected);
    }
    place.write_tensors("in", &more[1..]);
    place.succeeds(&GRAD);
    let expected = place.read("out");
    place.write_tensors("in", &more);
    place.succeeds(&GRAD);
    assert_eq!(place.read("out"), expected);
}

#[test]
fn an_artifact_is_used_as_it_was_built() {
    let Some(place) = built() else { return };
    place.write_tensors("in", &[image(4)]);
    for more in [["--batch", "3"], ["--set", "seed=3"], ["--model", "Tiny"], ["--dim", "T=3"]] {
        let parts = [more[0], "`model.nna` is compiled", "`nnc build`"];
        place.refuses(2, &[&ARTIFACT[..], &more].concat(), &parts);
    }
    place.succeeds(&["build", "model.nn"]);
    place.refuses(2, &ARTIFACT, &["`model.nna` holds no weights", "`--weights`"]);
    place.succeeds(&[&ARTIFACT[..], &["--weights", "w"]].concat());
}
