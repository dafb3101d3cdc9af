//! A loss that is not finite: which value, which line, which step, and a checkpoint from which the run goes on.

use nnc_tests::device::device;

use crate::workplace::Workplace;

/// The bytes of the weights of an unbroken run.
fn unbroken(place: &Workplace, more: &[&str]) -> Vec<u8> {
    place.succeeds(&[&["train", "model.nn", "--out", "unbroken"], more].concat());
    place.read("unbroken/weights.safetensors")
}

#[test]
fn at_the_beginning_it_goes_on_from_the_beginning() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    let train = ["train", "model.nn", "--out", "run", "--set", "optimizer.lr=1e30"];
    let parts = [
        "the loss is NaN at step 2 (epoch 1)",
        "in linear_2` is not finite (24 elements)",
        "at model.nn:2:44",
        "lower the learning rate or set `clip`, and go on from step 0 with `--resume`",
    ];
    // Also where the state after step 1 was taken: it leads to the same loss again.
    for checkpoint in ["30", "0"] {
        let command = place.nnc(&[&train[..], &["--overwrite", "--checkpoint", checkpoint]].concat());
        place.fails(2, command, &parts);
    }
    place.succeeds(&["train", "model.nn", "--out", "run", "--resume"]);
    assert_eq!(place.read("run/weights.safetensors"), unbroken(&place, &[]));
}

#[test]
fn later_it_goes_on_from_the_last_good_checkpoint() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    // The rate is too high in the third epoch alone.
    let steep = "adam(lr=1e-2 + 1e30 * max(epoch - 1, 0))";
    place.replace("adam(lr=1e-2)", steep);
    let command = place.nnc(&["train", "model.nn", "--out", "run", "--checkpoint", "0"]);
    place.fails(2, command, &["at step 12 (epoch 3)", "go on from step 10 with `--resume`"]);
    place.replace(steep, "adam(lr=1e-2)");
    let resume = ["train", "model.nn", "--out", "run", "--resume"];
    let said = String::from_utf8(place.succeeds(&resume).stderr).unwrap();
    assert!(said.contains("going on after step 10"), "{said}");
    assert_eq!(place.read("run/weights.safetensors"), unbroken(&place, &[]));
}

/// Where the run started from weights, so does the one that goes on.
#[test]
fn the_beginning_may_be_a_weight_file() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    place.succeeds(&["train", "model.nn", "--out", "first"]);
    let weights = ["--weights", "first/weights.safetensors"];
    let train = ["train", "model.nn", "--out", "run", "--set", "optimizer.lr=1e30"];
    place.fails(2, place.nnc(&[&train[..], &weights].concat()), &["go on from step 0"]);
    place.succeeds(&["train", "model.nn", "--out", "run", "--resume"]);
    assert_eq!(place.read("run/weights.safetensors"), unbroken(&place, &weights));
}
