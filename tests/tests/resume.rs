//! Runs through the command: no run is lost to another, a resumed one goes on only with what it began with, and what
//! goes in and out of files is checked.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use nnc::elaborate::load;
use nnc::source::NoFiles;
use nnc::{Request, compile};
use nnc_runtime::artifact::{Meaning, Role};
use nnc_runtime::{Tensor, weights};
use nnc_tests::command::nnc;
use nnc_tests::device::device;
use nnc_wgsl::{Element, Profile};

const MODEL: &str = r#"
model Points(x: f32[N, 2]) -> y: f32[N, 3] {
  x -> linear(4) -> relu -> linear(3)
}

data points {
  x: f32[2]
  label: i32 in 0..3
  train = csv("points.csv", columns=["a", "b"], label="c", take=0..24)
  test  = csv("points.csv", columns=["a", "b"], label="c", take=24..30)
  prepare { x = x / 8 }
}

train Points on points {
  batch     = 4
  epochs    = 2
  seed      = 5
  loss      = cross_entropy(y, label)
  optimizer = sgd(lr=0.05, momentum=0.9)
  metrics   { accuracy = accuracy(y, label) }
  save      = best(-test.loss)
}
"#;

/// A folder with the model and 30 points.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..30).map(|i| format!("{},{},{}\n", i % 7, (i * 5) % 11, (i % 7 + i * 5 % 11) % 3));
    fs::write(folder.path().join("points.csv"), "a,b,c\n".to_owned() + &rows.collect::<String>()).unwrap();
    fs::write(folder.path().join("points.nn"), MODEL).unwrap();
    folder
}

/// The command in this folder: its exit code and what it wrote to stderr.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = nnc(arguments).current_dir(folder).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let (code, said) = run(folder, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

/// Runs what must end with exit code 2 and these words, without a panic.
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let (code, said) = run(folder, arguments);
    assert_eq!(code, Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} says nothing of `{word}`: {said}");
    }
}

/// Every file below `folder` with its bytes, but for locks.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| !path.ends_with(".lock"))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_second_run_leaves_the_first_alone() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let (runs, place) = (folder.path().join("runs"), folder.path());
    succeeds(place, &["train", "points.nn"]);
    let first = contents(&runs.join("points"));
    let names: Vec<_> = first.iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["best.safetensors", "checkpoint", "log.jsonl", "weights.safetensors"]);

    let said = succeeds(place, &["train", "points.nn", "--set", "seed=6"]);
    assert!(said.contains("`runs/points-2`"), "{said}");
    let said = succeeds(place, &["train", "points.nn", "--set", "seed=6", "--set", "epochs=3", "--resume"]);
    assert!(
        said.contains("the latest run is `runs/points-2`") && said.contains("epoch 3, step 18"),
        "{said}"
    );
    assert_eq!(contents(&runs.join("points")), first);

    let named = ["train", "points.nn", "--out", "runs/points"];
    refused(place, &named, &["`runs/points` holds", "--resume", "--overwrite", "--out"]);
    refused(place, &[&named[..], &["--set", "epochs=1"]].concat(), &["`runs/points` holds"]);
    assert_eq!(contents(&runs.join("points")), first, "what was refused touched nothing");
    fs::rename(place.join("points.csv"), place.join("away.csv")).unwrap();
    refused(place, &[&named[..], &["--overwrite"]].concat(), &["points.csv"]);
    assert_eq!(contents(&runs.join("points")), first, "nor did a run that could not begin");
    fs::rename(place.join("away.csv"), place.join("points.csv")).unwrap();

    succeeds(place, &[&named[..], &["--overwrite", "--set", "seed=6"]].concat());
    assert_ne!(contents(&runs.join("points"))[3], first[3]);
    succeeds(place, &["train", "points.nn", "--out", "elsewhere"]);
    assert_eq!(fs::read(place.join("elsewhere/weights.safetensors")).unwrap(), first[3].1);
}

#[test]
fn best_weights_in_a_folder_of_their_own_are_an_earlier_runs_or_the_same_runs() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let place = folder.path();
    fs::write(place.join("points.nn"), MODEL.replace("best(-test.loss)", "best(epoch, to=\"kept\")"))
        .unwrap();
    let train = ["train", "points.nn", "--out", "run"];
    let earlier = "in place of an earlier run's";
    let said = succeeds(place, &[&train[..], &["--set", "epochs=1"]].concat());
    assert!(said.contains("saved `kept") && !said.contains(earlier), "{said}");
    let said = succeeds(place, &[&train[..], &["--resume"]].concat());
    assert!(said.contains("saved `kept") && !said.contains(earlier), "{said}");
    let said = succeeds(place, &["train", "points.nn", "--out", "another", "--set", "epochs=1"]);
    assert!(said.contains(earlier), "{said}");
}

#[test]
fn settings_given_as_arguments_are_answered_with_set() {
    let folder = workplace();
    for (argument, path) in [
        ("--epochs", "epochs"),
        ("--lr", "optimizer.lr"),
        ("--batch-size", "batch"),
        ("--learning-rate", "optimizer.lr"),
        ("--weight-decay", "optimizer.decay"),
    ] {
        let words = ["unexpected argument", &format!("`--set {path}=..`")];
        refused(folder.path(), &["train", "points.nn", argument, "1"], &words);
        let name = argument.trim_start_matches('-').replace('-', "_");
        if name != path {
            let (code, said) = run(folder.path(), &["check", "points.nn", "--set", &format!("{name}=1")]);
            assert!(code == Some(1) && said.contains(words[1]), "{said}");
        }
    }
    refused(folder.path(), &["train", "points.nn", "--deviec", "cpu"], &["--device"]);
}

#[test]
fn a_run_goes_on_only_with_what_it_began_with() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let place = folder.path();
    let resume = ["train", "points.nn", "--out", "run", "--resume"];
    succeeds(place, &["train", "points.nn", "--out", "run", "--set", "steps=8"]);
    let before = contents(&place.join("run"));
    for (was, is, words) in [
        ("x / 8", "x / 9", "its data is prepared in another way"),
        ("0..24", "0..20", "its data is not the same: other fields or sources"),
        ("relu", "tanh", "its model is not the same: it computes something else"),
        ("linear(4)", "linear(5)", "its model is not the same: other weights"),
        ("lr=0.05", "lr=0.5", "its training is not the same"),
        ("cross_entropy(y, label)", "cross_entropy(y, label, smooth=0.1)", "its training is not the same"),
        ("seed      = 5", "seed      = 6", "its seed is 5, now it is 6"),
        ("batch     = 4", "batch     = 8", "its batch is 4, now it is 8"),
    ] {
        assert!(MODEL.contains(was), "{was}");
        fs::write(place.join("points.nn"), MODEL.replacen(was, is, 1)).unwrap();
        refused(place, &resume, &["`run/checkpoint` is of another run", words]);
    }
    assert_eq!(contents(&place.join("run")), before);
    let commented = MODEL.replace("epochs    = 2", "epochs    = 2   # as before");
    fs::write(place.join("points.nn"), "## Points.\n".to_owned() + &commented).unwrap();
    succeeds(place, &resume);
    succeeds(place, &["train", "points.nn", "--out", "whole"]);
    let weights = |run: &str| fs::read(place.join(run).join("weights.safetensors")).unwrap();
    assert!(weights("run") == weights("whole"), "eight steps and the rest are not twelve steps");
}

#[test]
fn the_meaning_of_a_step_is_the_same_on_every_device_and_for_every_length() {
    let meaning = |text: &str, profile: &str| -> Meaning {
        let loaded = load("points.nn", text, &[], &NoFiles);
        assert!(!loaded.has_errors());
        let request = Request::new(Profile::named(profile).unwrap(), &[Role::Train]);
        let compiled = compile(&Arc::new(loaded.value), &request).value.unwrap();
        compiled.artifact.training.unwrap().meaning
    };
    let here = meaning(MODEL, "webgpu-default");
    for profile in nnc_wgsl::PROFILES {
        assert_eq!(meaning(MODEL, profile), here, "{profile}");
    }
    for (was, is) in [
        ("epochs    = 2", "epochs    = 9"),
        ("save      = best(-test.loss)", "stop      = test.accuracy > 0.9"),
        ("x -> linear(4)", "x -> linear(4)   # wide\n    "),
    ] {
        assert_eq!(meaning(&MODEL.replacen(was, is, 1), "webgpu-default"), here, "{is}");
    }
    let changed = |was: &str, is: &str| meaning(&MODEL.replacen(was, is, 1), "webgpu-default");
    let prepared = changed("x / 8", "x / 9");
    assert!(prepared.data != here.data && prepared.model == here.model);
    let scheduled = changed("lr=0.05", "lr=cosine(0.05)");
    assert_eq!((scheduled.data, scheduled.model), (here.data, here.model));
    assert_ne!(scheduled.step, here.step);
    assert_ne!(changed("relu", "tanh").model, here.model);
}

#[test]
fn a_seed_that_the_generator_cannot_hold_is_an_error() {
    let folder = workplace();
    let text = MODEL.replace("seed      = 5", "seed      = 4294967338");
    fs::write(folder.path().join("points.nn"), text).unwrap();
    let (code, said) = run(folder.path(), &["check", "points.nn"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a seed is less than 2^32") && said.contains("points.nn:17:15"), "{said}");
}

#[test]
fn labels_out_of_range_are_refused_wherever_they_come_from() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let tensor = |path: &str, element, shape: &[usize], bytes| Tensor {
        path: path.to_owned(),
        element,
        shape: shape.to_vec(),
        bytes,
    };
    let x = tensor("x", Element::F32, &[2, 2], vec![0; 16]);
    let labels = |last: i32| [0, last].iter().flat_map(|v| v.to_le_bytes()).collect();
    let grad = ["grad", "points.nn", "--input", "in.safetensors", "--output", "out.safetensors"];
    for (last, right) in [(2, true), (3, false), (99, false), (-1, false)] {
        let input = [x.clone(), tensor("label", Element::I32, &[2], labels(last))];
        weights::write(&folder.path().join("in.safetensors"), &input).unwrap();
        if right {
            succeeds(folder.path(), &grad);
        } else {
            refused(folder.path(), &grad, &["`label` is in 0..3", "example 1", &format!("has {last}")]);
        }
    }
}

#[test]
fn weights_in_an_artifact_are_as_large_as_in_their_file_and_give_the_same_outputs() {
    if device().is_none() {
        return;
    }
    let folder = workplace();
    let place = folder.path();
    fs::write(place.join("points.nn"), MODEL.replace("linear(4)", "linear(20000)")).unwrap();
    succeeds(place, &["train", "points.nn", "--out", "run", "--set", "steps=2"]);
    let file = "run/weights.safetensors";
    succeeds(place, &["build", "points.nn", "-o", "plain.nna"]);
    succeeds(place, &["build", "points.nn", "-o", "with.nna", "--weights", file]);
    let size = |name: &str| fs::metadata(place.join(name)).unwrap().len();
    let grown = size("with.nna").abs_diff(size("plain.nna"));
    assert!(grown.abs_diff(size(file)) < 1000, "{grown} bytes for {} of weights", size(file));
    let bytes = [1.0f32, -2.0, 0.5, 3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let x = Tensor { path: "x".to_owned(), element: Element::F32, shape: vec![2, 2], bytes };
    weights::write(&place.join("in.safetensors"), &[x]).unwrap();
    succeeds(place, &["run", "with.nna", "--input", "in.safetensors", "--output", "a.safetensors"]);
    let (input, output) = (["--input", "in.safetensors"], ["--output", "b.safetensors"]);
    succeeds(place, &[&["run", "plain.nna", "--weights", file], &input[..], &output[..]].concat());
    let outputs = |name: &str| weights::read(&place.join(name)).unwrap();
    assert_eq!(outputs("a.safetensors"), outputs("b.safetensors"));
    assert!(outputs("a.safetensors")[0].values().iter().any(|v| *v != 0.0));
}
