//! Checkpoints that are cut short, altered, or of another run: an error, and the run can still be resumed from
//! the whole one. That no byte of any file goes unnoticed is shown in `nnc_runtime::checkpoint`.

use nnc_tests::device::device;

use crate::workplace::Workplace;

const RESUME: [&str; 5] = ["train", "model.nn", "--out", "run", "--resume"];

/// A folder with a run of one epoch; `None` without an adapter.
fn begun() -> Option<Workplace> {
    device()?;
    let place = Workplace::new();
    place.succeeds(&["train", "model.nn", "--out", "run", "--set", "epochs=1"]);
    Some(place)
}

#[test]
fn a_truncated_or_altered_checkpoint() {
    let Some(place) = begun() else { return };
    let whole = place.read("run/checkpoint");
    let parts = ["the checkpoint `run/checkpoint` is damaged", "start the training without `--resume`"];
    for length in [0, 1, 8, 200, whole.len() / 2, whole.len() - 1] {
        place.write("run/checkpoint", &whole[..length]);
        place.refuses(2, &RESUME, &parts);
    }
    for at in (0..whole.len()).step_by(whole.len() / 8) {
        let mut altered = whole.clone();
        altered[at] ^= 0x04;
        place.write("run/checkpoint", altered);
        place.refuses(2, &RESUME, &parts);
    }
    place.write("run/checkpoint", whole);
    place.succeeds(&RESUME);
    place.succeeds(&["train", "model.nn", "--out", "unbroken"]);
    assert_eq!(place.read("run/weights.safetensors"), place.read("unbroken/weights.safetensors"));
}

#[test]
fn no_checkpoint() {
    let Some(place) = begun() else { return };
    let arguments = ["train", "model.nn", "--out", "other", "--resume"];
    place.refuses(2, &arguments, &["no checkpoint `other/checkpoint`", "without `--resume`"]);
    std::fs::remove_file(place.path("run/checkpoint")).unwrap();
    std::fs::create_dir(place.path("run/checkpoint")).unwrap();
    place.refuses(2, &RESUME, &["the checkpoint `run/checkpoint` cannot be read: it is a folder"]);
}

#[test]
fn a_checkpoint_of_another_run() {
    let Some(place) = begun() else { return };
    let changed = |setting: &str, parts: &[&str]| {
        let arguments = [&RESUME[..], &["--set", setting]].concat();
        place.refuses(2, &arguments, &[&["`run/checkpoint` is of another run"], parts].concat());
    };
    changed("seed=2", &["its seed is 1, now it is 2", "restore that, or start without `--resume`"]);
    changed("batch=4", &["its batch is 8, now it is 4"]);
    place.replace("linear(8)", "linear(9)");
    place.refuses(2, &RESUME, &["is of another run: its model is"]);
    place.replace("linear(9)", "linear(8)");
    place.replace("test  = idx(\"test-images\"", "test  = idx(\"./test-images\"");
    place.refuses(2, &RESUME, &["is of another run: its data is"]);
    place.write("run/checkpoint", place.read("run/weights.safetensors"));
    place.refuses(2, &RESUME, &["`run/checkpoint` is damaged", "without `--resume`"]);
}
