//! The runtime keeps its promises: steps in flight, exact resumption, constant memory, typed failures.
//!
//! The network is the hand-written artifact of `nnc_runtime::example`; what it should compute is computed
//! here a second time in f64.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nnc_runtime::artifact::{HostBinary, HostExpr, Role, Save, Training};
use nnc_runtime::checkpoint::CheckpointError;
use nnc_runtime::train::{
    Checkpoints, Ended, Event, Folder, Options, Start, Summary, TrainError, evaluate, train,
};
use nnc_runtime::{Batch, Clock, Device, DeviceError, Session, Tensor, example, weights};
use nnc_tests::device::device;
use nnc_wgsl::Element;

const SEED: u64 = 7;

fn session() -> Option<Session> {
    let mut session = Session::open(&example::linear(), &device()?).unwrap();
    session.initialize(SEED).unwrap();
    Some(session)
}

fn floats(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect()
}

fn batch(session: &Session, role: Role, x: &[f64; 8], t: &[f64; 4]) -> Batch {
    let mut batch = Batch::new(session.program(role).unwrap());
    batch.set("x", &floats(x)).unwrap();
    if role != Role::Infer {
        batch.set("t", &floats(t)).unwrap();
    }
    batch
}

fn tensor(session: &Session, path: &str) -> Vec<f64> {
    session.read_tensors(|t| t.path == path).unwrap()[0].values()
}

/// Linear regression with momentum, as the example's kernels say it, in f64.
struct Reference {
    w: [f64; 2],
    m: [f64; 2],
}

impl Reference {
    fn predict(&self, x: &[f64; 8]) -> [f64; 4] {
        std::array::from_fn(|i| x[2 * i] * self.w[0] + x[2 * i + 1] * self.w[1])
    }

    fn loss(&self, x: &[f64; 8], t: &[f64; 4]) -> f64 {
        self.predict(x).iter().zip(t).map(|(y, t)| (y - t).powi(2)).sum::<f64>() / 4.0
    }

    fn gradient(&self, x: &[f64; 8], t: &[f64; 4]) -> [f64; 2] {
        let y = self.predict(x);
        std::array::from_fn(|k| (0..4).map(|i| (y[i] - t[i]) * x[2 * i + k]).sum::<f64>() / 2.0)
    }

    fn step(&mut self, x: &[f64; 8], t: &[f64; 4], step: f64) {
        let g = self.gradient(x, t);
        for ((w, m), g) in self.w.iter_mut().zip(&mut self.m).zip(g) {
            *m = 0.9 * *m + g;
            *w -= 0.1 / (1.0 + 0.01 * step) * *m;
        }
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 * (1.0 + b.abs())
}

const X: [f64; 8] = [1.0, 2.0, -1.0, 0.5, 0.25, -0.75, 2.0, 1.0];
const T: [f64; 4] = [1.0, 0.0, -1.0, 2.0];

#[test]
fn training_steps_in_flight_compute_what_they_say() {
    let Some(mut session) = session() else { return };
    let w = tensor(&session, "w");
    let mut reference = Reference { w: [w[0], w[1]], m: [0.0; 2] };
    let batch = batch(&session, Role::Train, &X, &T);
    let mut expected = Vec::new();
    let mut collected = Vec::new();
    for step in 1..=9 {
        expected.push(reference.loss(&X, &T));
        let last = reference.predict(&X);
        reference.step(&X, &T, step as f64);
        session.submit(Role::Train, &batch, &Clock { step, ..Clock::single(SEED, 4) }).unwrap();
        if session.in_flight() == Session::DEPTH {
            collected.push(session.collect().unwrap().unwrap());
        }
        if step == 9 {
            collected.extend(session.collect().unwrap());
            let state = tensor(&session, "last");
            assert!(state.iter().zip(last).all(|(a, b)| close(*a, b)), "{state:?} {last:?}");
        }
    }
    assert!(session.collect().unwrap().is_none());
    for (n, (outputs, loss)) in collected.iter().zip(&expected).enumerate() {
        assert_eq!(outputs.ticket.0, n as u64);
        let found = outputs.number("loss").unwrap();
        assert!(close(found, *loss), "step {n}: {found} {loss}");
    }
    assert_eq!(collected.len(), 9);
    let w = tensor(&session, "w");
    assert!(close(w[0], reference.w[0]) && close(w[1], reference.w[1]), "{w:?} {:?}", reference.w);
}

#[test]
fn each_role_gives_its_outputs() {
    let Some(mut session) = session() else { return };
    session
        .write_tensors(&[Tensor {
            path: "w".to_owned(),
            element: Element::F32,
            shape: vec![2],
            bytes: floats(&[0.5, -1.5]),
        }])
        .unwrap();
    let reference = Reference { w: [0.5, -1.5], m: [0.0; 2] };
    let clock = Clock::single(SEED, 4);
    let infer = batch(&session, Role::Infer, &X, &T);
    let y = session.run(Role::Infer, &infer, &clock).unwrap().tensor("y").unwrap().values();
    assert!(y.iter().zip(reference.predict(&X)).all(|(a, b)| close(*a, b)), "{y:?}");

    let gradient = batch(&session, Role::Gradient, &X, &T);
    let outputs = session.run(Role::Gradient, &gradient, &clock).unwrap();
    let g = outputs.tensor("w").unwrap().values();
    let expected = reference.gradient(&X, &T);
    assert!(close(g[0], expected[0]) && close(g[1], expected[1]), "{g:?} {expected:?}");
    assert!(close(outputs.number("loss").unwrap(), reference.loss(&X, &T)));

    let partial = batch(&session, Role::Evaluate, &X, &T);
    let outputs = session.run(Role::Evaluate, &partial, &Clock::single(SEED, 2)).unwrap();
    let y = reference.predict(&X);
    let expected = ((y[0] - T[0]).powi(2) + (y[1] - T[1]).powi(2)) / 2.0;
    assert!(close(outputs.number("loss").unwrap(), expected));
}

#[test]
fn allocated_bytes_equal_planned_bytes() {
    let Some(session) = session() else { return };
    let artifact = example::linear();
    let regions: u64 = artifact.regions.iter().map(|r| r.bytes).sum();
    let arena = artifact.programs.iter().flat_map(|p| p.arenas.first()).max().copied().unwrap();
    let programs: u64 = artifact
        .programs
        .iter()
        .map(|p| {
            let io = p.input_bytes + p.output_bytes + 256;
            p.dispatches.len() as u64 * 256 + io + Session::DEPTH as u64 * io
        })
        .sum();
    let planned = regions + arena + programs;
    assert_eq!(session.allocated_bytes(), planned);
}

#[test]
fn given_values_are_first_values() {
    let Some(device) = device() else { return };
    let mut artifact = example::linear();
    assert!(artifact.give("w", &floats(&[0.5, -1.5])));
    let mut session = Session::open(&artifact, &device).unwrap();
    for seed in [1, 2] {
        session.initialize(seed).unwrap();
        assert_eq!(tensor(&session, "w"), [0.5, -1.5]);
        assert_eq!(tensor(&session, "last"), [0.0; 4]);
    }
}

#[test]
fn what_does_not_fit_is_a_typed_error() {
    let Some(mut session) = session() else { return };
    let clock = Clock::single(SEED, 4);
    let train = batch(&session, Role::Train, &X, &T);
    for _ in 0..Session::DEPTH {
        session.submit(Role::Train, &train, &clock).unwrap();
    }
    assert!(matches!(session.submit(Role::Train, &train, &clock), Err(DeviceError::Busy { in_flight: 2 })));
    while session.collect().unwrap().is_some() {}
    assert!(matches!(session.submit(Role::Infer, &train, &clock), Err(DeviceError::Batch { .. })));
    let mut foreign =
        Tensor { path: "v".to_owned(), element: Element::F32, shape: vec![2], bytes: vec![0; 8] };
    assert!(matches!(session.write_tensors(&[foreign.clone()]), Err(DeviceError::Unknown { .. })));
    foreign.path = "w".to_owned();
    foreign.bytes = vec![0; 4];
    assert!(matches!(session.write_tensors(&[foreign]), Err(DeviceError::Size { .. })));
    let small = Session::open_roles(&example::linear(), session.device(), &[Role::Infer]).unwrap();
    assert!(matches!(small.program(Role::Train), Err(DeviceError::NoProgram { .. })));
    assert!(matches!(Device::open(Some("no such adapter")), Err(DeviceError::NoSuchAdapter { .. })));
}

#[test]
fn dispatches_can_be_run_one_by_one() {
    let Some(mut session) = session() else { return };
    let clock = Clock::single(SEED, 4);
    let batch = batch(&session, Role::Gradient, &X, &T);
    let whole = session.run(Role::Gradient, &batch, &clock).unwrap().tensor("w").unwrap();
    session.prepare(Role::Gradient, &batch, &clock).unwrap();
    let dispatches = session.program(Role::Gradient).unwrap().dispatches.clone();
    for place in 0..dispatches.len() {
        session.dispatch(Role::Gradient, place).unwrap();
    }
    let nnc_runtime::artifact::Bound::Area(area) = dispatches[2].bindings[3] else { panic!("an area") };
    assert_eq!(session.read_area(Role::Gradient, &area).unwrap(), whole.bytes);
    if let Some(times) = session.time_dispatches(Role::Gradient, 3).unwrap() {
        assert_eq!(times.len(), dispatches.len());
        assert!(times.iter().all(|t| t.is_finite() && *t >= 0.0), "{times:?}");
    }
}

#[test]
fn a_run_that_steps_end_within_an_epoch_goes_on_as_if_it_had_not_ended() {
    let Some(mut session) = session() else { return };
    let mut saving = training();
    let loss = HostExpr::Metric { part: "test".to_owned(), name: "loss".to_owned() };
    saving.save = Some(Save::Best { value: HostExpr::Neg(Box::new(loss)), to: None });
    let whole = tempfile::tempdir().unwrap();
    write_data(whole.path(), None);
    let (unbroken, _) = run(&mut session, &saving, whole.path(), Start::New, None).unwrap();
    for steps in [1, 3, 7, 12, 14] {
        let broken = tempfile::tempdir().unwrap();
        write_data(broken.path(), None);
        let short = Training { steps: Some(steps), ..saving.clone() };
        let (first, events) = run(&mut session, &short, broken.path(), Start::New, None).unwrap();
        assert_eq!((first.ended, first.progress.step), (Ended::Finished, steps));
        assert_eq!((first.progress.epoch, first.progress.position), (steps / 5, steps % 5));
        let measured = events.iter().filter(|e| matches!(e, Event::Epoch(_))).count() as u64;
        assert_eq!(measured, steps / 5 + 1, "the last, short epoch is measured as well");
        assert!(broken.path().join("run/best.safetensors").exists());
        let lines = |expected: u64| {
            let log = String::from_utf8(file(broken.path(), "log.jsonl")).unwrap();
            assert_eq!(log.lines().count() as u64, expected, "{log}");
        };
        lines(steps / 5 + 1);
        let (same, _) = run(&mut session, &short, broken.path(), Start::Resume, None).unwrap();
        assert_eq!(same.progress.step, steps);
        lines(steps / 5 + 1);
        let (second, _) = run(&mut session, &saving, broken.path(), Start::Resume, None).unwrap();
        assert_eq!((second.ended, second.progress.step), (Ended::Finished, 15));
        assert_eq!(second.progress.history, unbroken.progress.history, "{steps}");
        for name in ["weights.safetensors", "best.safetensors"] {
            assert!(file(whole.path(), name) == file(broken.path(), name), "{name} after {steps} steps");
        }
        lines(3);
    }
}

#[test]
fn a_run_does_not_go_on_over_other_data() {
    let Some(mut session) = session() else { return };
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), None);
    run(&mut session, &training(), folder.path(), Start::New, Some(9)).unwrap();
    let path = folder.path().join("train.safetensors");
    let shorter: Vec<Tensor> = weights::read(&path)
        .unwrap()
        .into_iter()
        .map(|mut tensor| {
            let example = tensor.bytes.len() / 22;
            tensor.bytes.truncate(10 * example);
            tensor.shape[0] = 10;
            tensor
        })
        .collect();
    weights::write(&path, &shorter).unwrap();
    let error = run(&mut session, &training(), folder.path(), Start::Resume, None).unwrap_err();
    assert!(matches!(error, TrainError::Checkpoint(CheckpointError::Foreign { .. })), "{error}");
    assert!(
        error.to_string().contains("its data is not the same: 22 examples in `train`, now 10"),
        "{error}"
    );
    let before = file(folder.path(), "checkpoint");
    let over = run(&mut session, &training(), folder.path(), Start::Over, None).unwrap();
    assert_eq!(over.0.progress.step, 6);
    assert_ne!(file(folder.path(), "checkpoint"), before);
}

/// 22 examples to train (5 batches, 2 left over) and 10 to test (the last batch of 2), from a fixed formula.
fn write_data(folder: &Path, spoiled: Option<usize>) {
    for (name, examples) in [("train", 22), ("test", 10)] {
        let mut x: Vec<f32> = (0..2 * examples).map(|i| ((i * 37 + 11) % 23) as f32 / 23.0 - 0.5).collect();
        let t: Vec<f32> = (0..examples).map(|i| 0.75 * x[2 * i] - 0.25 * x[2 * i + 1] + 0.125).collect();
        if let (Some(index), "train") = (spoiled, name) {
            x[2 * index] = f32::INFINITY;
        }
        let tensor = |path: &str, shape: &[usize], values: &[f32]| Tensor {
            path: path.to_owned(),
            element: Element::F32,
            shape: shape.to_vec(),
            bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        let tensors = [tensor("x", &[examples, 2], &x), tensor("t", &[examples], &t)];
        weights::write(&folder.join(format!("{name}.safetensors")), &tensors).unwrap();
    }
}

fn training() -> Training {
    example::training("train.safetensors", "test.safetensors")
}

fn run(
    session: &mut Session,
    training: &Training,
    folder: &Path,
    start: Start,
    interrupt_at: Option<u64>,
) -> Result<(Summary, Vec<Event>), TrainError> {
    let flag = AtomicBool::new(false);
    let options = Options {
        base: folder.to_owned(),
        out: Some(Folder::open(&folder.join("run"), start)?),
        checkpoints: Checkpoints::EverySteps(2),
        interrupt: Some(&flag),
        ..Options::default()
    };
    let mut events = Vec::new();
    let summary = train(session, training, &options, &mut |event| {
        if let Event::Step { step, .. } = &event
            && Some(*step) == interrupt_at
        {
            flag.store(true, Ordering::Relaxed);
        }
        events.push(event);
    })?;
    Ok((summary, events))
}

fn file(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join("run").join(name)).unwrap()
}

#[test]
fn an_interrupted_run_ends_with_the_bytes_of_an_unbroken_one() {
    let Some(mut session) = session() else { return };
    let whole = tempfile::tempdir().unwrap();
    write_data(whole.path(), None);
    let (summary, events) = run(&mut session, &training(), whole.path(), Start::New, None).unwrap();
    assert_eq!((summary.ended, summary.progress.step, summary.progress.epoch), (Ended::Finished, 15, 3));
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    let epochs = events.iter().filter(|e| matches!(e, Event::Epoch(_))).count();
    assert_eq!((steps, epochs), (15, 3));
    let losses: Vec<f64> =
        summary.progress.history.iter().map(|e| e.value("test", "loss").unwrap()).collect();
    assert!(losses[2] < losses[0], "{losses:?}");

    for interrupt_at in [1, 4, 5, 9, 14] {
        let broken = tempfile::tempdir().unwrap();
        write_data(broken.path(), None);
        let (first, _) =
            run(&mut session, &training(), broken.path(), Start::New, Some(interrupt_at)).unwrap();
        assert_eq!(first.ended, Ended::Interrupted, "{interrupt_at}");
        assert!(first.progress.step < 15);
        let mut fresh = Session::open(&example::linear(), session.device()).unwrap();
        let (second, _) = run(&mut fresh, &training(), broken.path(), Start::Resume, None).unwrap();
        assert_eq!(second.ended, Ended::Finished);
        assert_eq!(file(whole.path(), "weights.safetensors"), file(broken.path(), "weights.safetensors"));
        let history = |s: &Summary| s.progress.history.clone();
        assert_eq!(history(&summary), history(&second), "{interrupt_at}");
        let log = String::from_utf8(file(broken.path(), "log.jsonl")).unwrap();
        assert_eq!(log.lines().count(), 3, "{log}");
    }
}

#[test]
fn a_run_goes_on_from_any_checkpoint_it_left_behind() {
    let Some(mut session) = session() else { return };
    let whole = tempfile::tempdir().unwrap();
    write_data(whole.path(), None);
    let run_folder = whole.path().join("run");
    let mut left_behind: Vec<Vec<u8>> = Vec::new();
    let options = Options {
        base: whole.path().to_owned(),
        out: Some(Folder::open(&run_folder, Start::New).unwrap()),
        checkpoints: Checkpoints::EverySteps(2),
        ..Options::default()
    };
    train(&mut session, &training(), &options, &mut |_| {
        if let Ok(bytes) = std::fs::read(run_folder.join("checkpoint"))
            && left_behind.last() != Some(&bytes)
        {
            left_behind.push(bytes);
        }
    })
    .unwrap();
    drop(options);
    let weights = file(whole.path(), "weights.safetensors");
    assert!(left_behind.len() >= 5, "{}", left_behind.len());
    for (n, checkpoint) in left_behind.iter().enumerate() {
        // As after a kill: the checkpoint of that moment, and a log that may be ahead of it.
        std::fs::write(run_folder.join("checkpoint"), checkpoint).unwrap();
        let (summary, _) = run(&mut session, &training(), whole.path(), Start::Resume, None).unwrap();
        assert_eq!(summary.progress.step, 15);
        assert_eq!(file(whole.path(), "weights.safetensors"), weights, "checkpoint {n}");
        let log = String::from_utf8(file(whole.path(), "log.jsonl")).unwrap();
        assert_eq!(log.lines().count(), 3, "{log}");
    }
}

#[test]
fn means_over_a_part_are_exact_also_with_a_short_last_batch() {
    let Some(mut session) = session() else { return };
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), None);
    let measured = evaluate(&mut session, &training(), "test", folder.path()).unwrap();
    let w = tensor(&session, "w");
    let x: Vec<f64> = (0..20).map(|i| f64::from(((i * 37 + 11) % 23) as f32 / 23.0 - 0.5)).collect();
    let distance =
        |i: usize| x[2 * i] * w[0] + x[2 * i + 1] * w[1] - (0.75 * x[2 * i] - 0.25 * x[2 * i + 1] + 0.125);
    let loss = (0..10).map(|i| distance(i).powi(2)).sum::<f64>() / 10.0;
    let error = (0..10).map(|i| distance(i).abs()).sum::<f64>() / 10.0;
    assert_eq!((measured[0].name.as_str(), measured[1].name.as_str()), ("loss", "error"));
    assert!(close(measured[0].value, loss), "{measured:?} {loss}");
    assert!(close(measured[1].value, error), "{measured:?} {error}");
}

#[test]
fn stop_and_save_are_looked_at_after_each_epoch() {
    let Some(mut session) = session() else { return };
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), None);
    let two = Box::new(HostExpr::Number(2.0));
    let mut training = training();
    training.stop = Some(HostExpr::Binary(HostBinary::Ge, Box::new(HostExpr::Epoch), two));
    let loss = HostExpr::Metric { part: "test".to_owned(), name: "loss".to_owned() };
    training.save = Some(Save::Best { value: HostExpr::Neg(Box::new(loss)), to: Some("best".to_owned()) });
    let (summary, events) = run(&mut session, &training, folder.path(), Start::New, None).unwrap();
    assert_eq!((summary.ended, summary.progress.epoch), (Ended::Stopped, 2));
    assert!(events.iter().any(|e| matches!(e, Event::Saved { .. })));
    let best = weights::read(&folder.path().join("best/best.safetensors")).unwrap();
    assert_eq!(best.len(), 2);
    let (again, _) = run(&mut session, &training, folder.path(), Start::Resume, None).unwrap();
    assert_eq!((again.ended, again.progress.step), (Ended::Stopped, summary.progress.step));
}

#[test]
fn a_loss_that_is_not_finite_names_its_cause_and_keeps_the_weights() {
    let Some(mut session) = session() else { return };
    let folder = tempfile::tempdir().unwrap();
    // Example 9 is in the third batch.
    write_data(folder.path(), Some(9));
    let error = run(&mut session, &training(), folder.path(), Start::New, None).unwrap_err();
    let TrainError::NotFinite { step, epoch, fault, .. } = &error else { panic!("{error}") };
    assert_eq!((*step, *epoch), (3, 1));
    assert_eq!(fault.as_ref().unwrap().dispatch, 0);
    let message = error.to_string();
    for part in ["at step 3 (epoch 1)", "`y` is not finite", "`predict  x, w -> y` at linear.nn:1:3"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(tensor(&session, "w").iter().all(|v| v.is_finite()));

    // The checkpoint is the state after step 2: with the data mended, the run goes on as if nothing had been.
    write_data(folder.path(), None);
    let (resumed, _) = run(&mut session, &training(), folder.path(), Start::Resume, None).unwrap();
    let whole = tempfile::tempdir().unwrap();
    write_data(whole.path(), None);
    let (unbroken, _) = run(&mut session, &training(), whole.path(), Start::New, None).unwrap();
    assert_eq!(resumed.progress.step, unbroken.progress.step);
    assert_eq!(file(whole.path(), "weights.safetensors"), file(folder.path(), "weights.safetensors"));
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let Some(mut session) = session() else { return };
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), None);
    let none = run(&mut session, &training(), folder.path(), Start::Resume, None).unwrap_err();
    assert!(matches!(none, TrainError::Checkpoint(CheckpointError::Missing { .. })), "{none}");
    run(&mut session, &training(), folder.path(), Start::New, None).unwrap();
    let again = run(&mut session, &training(), folder.path(), Start::New, None).unwrap_err();
    assert!(matches!(again, TrainError::Occupied { .. }), "{again}");
    let mut other = training();
    other.seed += 1;
    let foreign = run(&mut session, &other, folder.path(), Start::Resume, None).unwrap_err();
    assert!(matches!(foreign, TrainError::Checkpoint(CheckpointError::Foreign { .. })), "{foreign}");
}
