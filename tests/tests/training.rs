//! What `train` says about a step, carried out on a device: several updates, gathered batches, weights to start from,
//! layers that stay. The reference is computed here in f64.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nnc::Request;
use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::load;
use nnc::source::NoFiles;
use nnc_runtime::artifact::{Artifact, Role};
use nnc_runtime::train::{Checkpoints, Ended, Event, Folder, Options, Start, Summary, TrainError, train};
use nnc_runtime::{Session, Tensor, weights};
use nnc_tests::device::device;
use nnc_wgsl::{Element, Profile};

const X: [[f64; 2]; 4] = [[1.0, 0.5], [-0.5, 0.25], [0.75, -1.0], [0.25, 1.5]];
const Y: [f64; 4] = [0.5, -0.25, 1.0, 0.75];

fn tensor(path: &str, shape: &[usize], values: &[f64]) -> Tensor {
    let bytes = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
    Tensor { path: path.to_owned(), element: Element::F32, shape: shape.to_vec(), bytes }
}

/// The four examples as `data.safetensors`.
fn write_data(folder: &Path, y: [f64; 4]) {
    let x: Vec<f64> = X.iter().flatten().copied().collect();
    let tensors = [tensor("x", &[4, 2], &x), tensor("y", &[4], &y)];
    weights::write(&folder.join("data.safetensors"), &tensors).unwrap();
}

fn compiled(text: &str, profile: &Profile) -> Artifact {
    let loaded = load("model.nn", text, &[], &NoFiles);
    let printed = render_all(&loaded.diagnostics, loaded.value.sources(), Colour::Never);
    assert_eq!(printed, "");
    let bundle = Arc::new(loaded.value);
    let made = nnc::compile(&bundle, &Request::new(profile.clone(), &[Role::Train]));
    let printed = render_all(&made.diagnostics, bundle.sources(), Colour::Never);
    made.value.unwrap_or_else(|| panic!("{printed}")).artifact
}

/// A run that ended well.
struct Ran {
    summary: Summary,
    events: Vec<Event>,
    session: Session,
}

/// Trains `text` in `folder`; `None` where there is no device.
fn run(text: &str, folder: &Path, out: Option<&str>) -> Option<Result<Ran, (TrainError, Session)>> {
    let device = device()?;
    let artifact = compiled(text, device.profile());
    let mut session = Session::open(&artifact, &device).unwrap();
    let mut events = Vec::new();
    let out = out.map(|name| Folder::open(&folder.join(name), Start::New).unwrap());
    let options = Options { base: folder.to_owned(), out, ..Options::default() };
    let training = artifact.training.unwrap();
    Some(match train(&mut session, &training, &options, &mut |event| events.push(event)) {
        Ok(summary) => Ok(Ran { summary, events, session }),
        Err(error) => Err((error, session)),
    })
}

fn values(session: &Session, path: &str) -> Vec<f64> {
    let found = session.read_tensors(|stored| stored.path == path).unwrap();
    found.first().unwrap_or_else(|| panic!("there is no `{path}`")).values()
}

fn losses(events: &[Event]) -> Vec<f64> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Step { loss, .. } => Some(*loss),
            _ => None,
        })
        .collect()
}

fn close(found: &[f64], wanted: &[f64], within: f64, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() <= within * (1.0 + wanted.abs()), "{what}: {found} for {wanted}");
    }
}

const PAIR: &str = r#"
block scaled(x: f32[N, D]) {
  weight w: f32[D] = ones
  sum(x * w, axis=1)
}
model Pair(x: f32[N, 2]) -> (u: f32[N], v: f32[N]) {
  layer left  = scaled
  layer right = scaled
  u = x -> left
  v = x -> right
  u, v
}
data d {
  x: f32[2]
  y: f32
  train = safetensors("data.safetensors")
}
train Pair on d {
  batch  = 4
  epochs = 5
  update left  { loss = mean((u * v - y) ** 2); optimizer = sgd(lr=0.1) }
  update right { loss = mean((u - v * y) ** 2); optimizer = sgd(lr=0.05, momentum=0.5); clip = 0.75 }
}
"#;

fn dot(x: &[f64; 2], w: &[f64; 2]) -> f64 {
    x[0] * w[0] + x[1] * w[1]
}

/// The mean over the examples.
fn mean(of: impl Fn(usize) -> f64) -> f64 {
    (0..4).map(of).sum::<f64>() / 4.0
}

#[test]
fn a_later_update_sees_the_weights_that_an_earlier_one_left() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), Y);
    let Some(ran) = run(PAIR, folder.path(), None) else { return };
    let ran = ran.unwrap_or_else(|(error, _)| panic!("{error}"));
    let (mut left, mut right, mut momentum) = ([1.0; 2], [1.0; 2], [0.0; 2]);
    let mut expected = Vec::new();
    for _ in 0..5 {
        let (l, r) = (left, right);
        let (u, v) = (|i: usize| dot(&X[i], &l), |i: usize| dot(&X[i], &r));
        let first = mean(|i| (u(i) * v(i) - Y[i]).powi(2));
        let slope = |k: usize| mean(|i| 2.0 * (u(i) * v(i) - Y[i]) * v(i) * X[i][k]);
        left = std::array::from_fn(|k| left[k] - 0.1 * slope(k));
        let l = left;
        let u = |i: usize| dot(&X[i], &l);
        let second = mean(|i| (u(i) - v(i) * Y[i]).powi(2));
        let slope: [f64; 2] = std::array::from_fn(|k| mean(|i| -2.0 * (u(i) - v(i) * Y[i]) * Y[i] * X[i][k]));
        let length = (slope[0].powi(2) + slope[1].powi(2)).sqrt();
        let factor = (0.75 / (length + 1e-6)).min(1.0);
        for k in 0..2 {
            momentum[k] = 0.5 * momentum[k] + factor * slope[k];
            right[k] -= 0.05 * momentum[k];
        }
        expected.push(first + second);
    }
    close(&losses(&ran.events), &expected, 1e-5, "the losses");
    close(&values(&ran.session, "left.w"), &left, 1e-5, "left");
    close(&values(&ran.session, "right.w"), &right, 1e-5, "right");
    let measured = &ran.summary.progress.history[4];
    let parts = ["loss_left", "loss_right"].map(|name| measured.value("train", name).unwrap());
    close(&[parts[0] + parts[1]], &[measured.value("train", "loss").unwrap()], 1e-5, "the parts of the loss");
}

#[test]
fn groups_that_share_a_loss_move_at_once_each_by_its_own_optimizer() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), Y);
    let (train, _) = PAIR.split_once("  update left").unwrap();
    let shared = "  loss = mean((u * v - y) ** 2)\n  optimizer = sgd(lr=0.1)\n";
    let update = "  update right { optimizer = sgd(lr=0.05, momentum=0.5); clip = 0.75 }\n}\n";
    let Some(ran) = run(&format!("{train}{shared}{update}"), folder.path(), None) else { return };
    let ran = ran.unwrap_or_else(|(error, _)| panic!("{error}"));
    let (mut left, mut right, mut momentum) = ([1.0; 2], [1.0; 2], [0.0; 2]);
    let mut expected = Vec::new();
    for _ in 0..5 {
        let (l, r) = (left, right);
        let (u, v) = (|i: usize| dot(&X[i], &l), |i: usize| dot(&X[i], &r));
        let off = |i: usize| u(i) * v(i) - Y[i];
        expected.push(mean(|i| off(i).powi(2)));
        left = std::array::from_fn(|k| left[k] - 0.1 * mean(|i| 2.0 * off(i) * v(i) * X[i][k]));
        let slope: [f64; 2] = std::array::from_fn(|k| mean(|i| 2.0 * off(i) * u(i) * X[i][k]));
        let length = (slope[0].powi(2) + slope[1].powi(2)).sqrt();
        let factor = (0.75 / (length + 1e-6)).min(1.0);
        for k in 0..2 {
            momentum[k] = 0.5 * momentum[k] + factor * slope[k];
            right[k] -= 0.05 * momentum[k];
        }
    }
    close(&losses(&ran.events), &expected, 1e-5, "the losses");
    close(&values(&ran.session, "left.w"), &left, 1e-5, "left");
    close(&values(&ran.session, "right.w"), &right, 1e-5, "right");
}

#[test]
fn a_loss_of_any_update_that_is_not_finite_keeps_the_weights_of_all() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), [f64::INFINITY; 4]);
    let text = PAIR.replace("mean((u * v - y) ** 2)", "mean((u * v - 3) ** 2)");
    let Some(ran) = run(&text, folder.path(), None) else { return };
    let Err((error, session)) = ran else { panic!("an infinite loss was not seen") };
    assert!(matches!(error, TrainError::NotFinite { step: 1, .. }), "{error}");
    assert_eq!(values(&session, "left.w"), [1.0, 1.0]);
    assert_eq!(values(&session, "right.w"), [1.0, 1.0]);
}

const LINE: &str = r#"
model Line(x: f32[N, 2]) -> p: f32[N] {
  layer first  = linear(3) -> tanh
  layer second = linear(1)
  (x -> first -> second)[:, 0]
}
data d {
  x: f32[2]
  y: f32
  train = safetensors("data.safetensors")
}
train Line on d {
  batch     = BATCH
  epochs    = 6
  seed      = 5
  loss      = mean((p - y) ** 2)
  optimizer = adam(lr=0.05 / sqrt(step) * (1 + step / total_steps))
  clip      = 0.3
  MORE
}
"#;

fn line(batch: usize, more: &str) -> String {
    LINE.replace("BATCH", &batch.to_string()).replace("MORE", more)
}

const LINE_WEIGHTS: [&str; 4] = ["first.linear.weight", "first.linear.bias", "second.weight", "second.bias"];

#[test]
fn gathered_batches_move_the_weights_as_one_large_batch_does() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), Y);
    let Some(whole) = run(&line(4, ""), folder.path(), None) else { return };
    let whole = whole.unwrap_or_else(|(error, _)| panic!("{error}"));
    for (batch, count) in [(2, 2), (1, 4)] {
        let text = line(batch, &format!("accumulate = {count}"));
        let parts = run(&text, folder.path(), None).unwrap();
        let parts = parts.unwrap_or_else(|(error, _)| panic!("{error}"));
        assert_eq!(parts.summary.progress.step, 6 * count as u64);
        for path in LINE_WEIGHTS {
            let (found, wanted) = (values(&parts.session, path), values(&whole.session, path));
            close(&found, &wanted, 1e-4, &format!("{path} with batches of {batch}"));
        }
        let expected = losses(&whole.events);
        let found: Vec<f64> =
            losses(&parts.events).chunks(count).map(|some| some.iter().sum::<f64>() / count as f64).collect();
        close(&found, &expected, 1e-4, "the mean of the losses of an update");
    }
}

#[test]
fn a_run_goes_on_in_the_middle_of_an_update() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), Y);
    let text = line(1, "accumulate = 4");
    let Some(whole) = run(&text, folder.path(), Some("whole")) else { return };
    drop(whole.unwrap_or_else(|(error, _)| panic!("{error}")));
    let device = device().unwrap();
    let artifact = compiled(&text, device.profile());
    let training = artifact.training.clone().unwrap();
    let flag = AtomicBool::new(false);
    let mut options = Options {
        base: folder.path().to_owned(),
        out: Some(Folder::open(&folder.path().join("broken"), Start::New).unwrap()),
        checkpoints: Checkpoints::EverySteps(1),
        interrupt: Some(&flag),
        ..Options::default()
    };
    let mut session = Session::open(&artifact, &device).unwrap();
    let first = train(&mut session, &training, &options, &mut |event| {
        if matches!(event, Event::Step { step: 9, .. }) {
            flag.store(true, Ordering::Relaxed);
        }
    });
    let first = first.unwrap();
    assert_eq!(first.ended, Ended::Interrupted);
    assert!(
        !first.progress.step.is_multiple_of(4),
        "the interruption is between updates: {}",
        first.progress.step
    );
    flag.store(false, Ordering::Relaxed);
    options.out = None;
    options.out = Some(Folder::open(&folder.path().join("broken"), Start::Resume).unwrap());
    let mut fresh = Session::open(&artifact, &device).unwrap();
    assert_eq!(train(&mut fresh, &training, &options, &mut |_| {}).unwrap().ended, Ended::Finished);
    let file = |name: &str| std::fs::read(folder.path().join(name).join("weights.safetensors")).unwrap();
    assert_eq!(file("whole"), file("broken"));
}

#[test]
fn a_run_starts_from_the_weights_that_its_file_names() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), Y);
    let shapes: [&[usize]; 4] = [&[3, 2], &[3], &[1, 3], &[1]];
    let start: Vec<Tensor> = LINE_WEIGHTS
        .iter()
        .zip(shapes)
        .map(|(path, shape)| tensor(path, shape, &vec![0.25; shape.iter().product()]))
        .collect();
    let path = folder.path().join("start.safetensors");
    weights::write(&path, &start).unwrap();
    let text =
        line(4, "load = \"start.safetensors\"").replace("optimizer = adam(lr=", "optimizer = sgd(lr=0 * ");
    let Some(ran) = run(&text, folder.path(), None) else { return };
    let ran = ran.unwrap_or_else(|(error, _)| panic!("{error}"));
    for path in LINE_WEIGHTS {
        assert!(values(&ran.session, path).iter().all(|value| *value == 0.25), "{path}");
    }

    weights::write(&path, &start[1..]).unwrap();
    let refused = run(&text, folder.path(), None).unwrap();
    let Err((error, _)) = refused else { panic!("weights that lack one were taken") };
    assert!(error.to_string().contains("it lacks first.linear.weight"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let Err((error, _)) = run(&text, folder.path(), None).unwrap() else {
        panic!("a file that is not there was taken")
    };
    assert!(error.to_string().contains("there is no such file"), "{error}");
}

#[test]
fn frozen_layers_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), Y);
    for (freeze, stays) in
        [("freeze = [first]", &LINE_WEIGHTS[..2]), ("freeze = \"second\"", &LINE_WEIGHTS[2..])]
    {
        let Some(before) = run(&line(4, "steps = 1"), folder.path(), None) else { return };
        let before = before.unwrap_or_else(|(error, _)| panic!("{error}"));
        let text = line(4, freeze);
        let after = run(&text, folder.path(), None).unwrap();
        let mut after = after.unwrap_or_else(|(error, _)| panic!("{error}"));
        let ended: Vec<Vec<f64>> = LINE_WEIGHTS.iter().map(|path| values(&after.session, path)).collect();
        after.session.initialize(5).unwrap();
        for (path, ended) in LINE_WEIGHTS.iter().zip(ended) {
            let begun = values(&after.session, path);
            assert_eq!(stays.contains(path), begun == ended, "{freeze}: {path}");
            assert_ne!(values(&before.session, path), begun, "{path} moves where it is not frozen");
        }
    }
}
