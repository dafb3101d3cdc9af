//! Mixed precision: networks follow their curves in f32, and the loss scale does what its page says.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nnc::diagnostic::{Colour, Diagnostic, render_all};
use nnc::elaborate::load;
use nnc::source::NoFiles;
use nnc::{Compiled, Precision, Request};
use nnc_runtime::artifact::{Field, HALTED, LOSS_SCALE, Role, SKIPPED, StoredKind};
use nnc_runtime::train::{Checkpoints, Event, Folder, Options, Start, TrainError, train};
use nnc_runtime::{Batch, Clock, Device, Session, Tensor, weights};
use nnc_tests::device::device;
use nnc_tests::graphs::Draw;
use nnc_tests::workspace;
use nnc_wgsl::{Element, Kernel, Profile};

/// Batch norm, Adam, an average and a state: all that a step keeps.
const MODEL: &str = r#"
model Points(x: f32[N, 12]) -> logits: f32[N, 3] {
  x -> linear(24) -> batch_norm -> relu -> linear(16) -> tanh -> linear(3)
}
data points {
  x: f32[12]
  y: i32 in 0..3
  train = safetensors("data.safetensors")
}
train Points on points {
  batch     = 8
  steps     = 12
  seed      = 3
  loss      = cross_entropy(logits, y)
  optimizer = adam(lr=0.01)
  precision { storage = f16; accumulate = f32; master = f32; loss_scale = dynamic }
}
"#;

fn compiled(
    text: &str,
    profile: &Profile,
    precision: Option<Precision>,
    roles: &[Role],
) -> (Compiled, String) {
    let loaded = load("model.nn", text, &[], &NoFiles);
    let bundle = Arc::new(loaded.value);
    assert_eq!(render_all(&loaded.diagnostics, bundle.sources(), Colour::Never), "");
    let request = Request { precision, ..Request::new(profile.clone(), roles) };
    let made = nnc::compile(&bundle, &request);
    let printed = render_all(&made.diagnostics, bundle.sources(), Colour::Never);
    assert!(!made.diagnostics.iter().any(Diagnostic::is_error), "{printed}");
    (made.value.unwrap(), printed)
}

/// The device, if it has 16-bit floats.
fn with_halves() -> Option<Device> {
    device().filter(|device| device.profile().f16)
}

/// So many examples of a field; labels are what a fixed rule makes of the place.
fn drawn(field: &Field, count: usize, draw: &mut Draw) -> Tensor {
    let shape = [&[count], field.shape.as_slice()].concat();
    let size: usize = shape.iter().product();
    let (low, high) = field.range.unwrap_or((0, 2));
    let whole = |draw: &mut Draw| (low as i32) + draw.below((high - low) as usize) as i32;
    let bytes: Vec<u8> = match field.element {
        Element::F32 => {
            (0..size).flat_map(|_| (draw.below(1000) as f32 / 500.0 - 1.0).to_le_bytes()).collect()
        }
        Element::U8 => (0..size).map(|_| draw.below(256) as u8).collect(),
        _ => (0..size).flat_map(|_| whole(draw).to_le_bytes()).collect(),
    };
    Tensor { path: field.name.clone(), element: field.element, shape, bytes }
}

fn write_data(folder: &Path, fields: &[Field], count: usize) {
    let mut draw = Draw::new(5);
    let tensors: Vec<Tensor> = fields.iter().map(|field| drawn(field, count, &mut draw)).collect();
    weights::write(&folder.join("data.safetensors"), &tensors).unwrap();
}

/// What a run came to: the events, and what is stored at its end.
struct Ran {
    events: Vec<Event>,
    session: Session,
    folder: tempfile::TempDir,
}

fn run(text: &str, device: &Device, precision: Option<Precision>) -> Result<Ran, TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let artifact = compiled(text, device.profile(), precision, &[Role::Train]).0.artifact;
    let training = artifact.training.clone().unwrap();
    write_data(folder.path(), &training.data.fields, 2 * training.batch);
    let mut session = Session::open(&artifact, device).unwrap();
    let out = Some(Folder::open(&folder.path().join("out"), Start::New).unwrap());
    let options = Options { base: folder.path().to_owned(), out, ..Options::default() };
    let mut events = Vec::new();
    train(&mut session, &training, &options, &mut |event| events.push(event))?;
    Ok(Ran { events, session, folder })
}

fn losses(ran: &Ran) -> Vec<f64> {
    let loss = |event: &Event| match event {
        Event::Step { loss, .. } => Some(*loss),
        _ => None,
    };
    ran.events.iter().filter_map(loss).collect()
}

/// The scale of each step, and whether it was left out.
fn scales(ran: &Ran) -> Vec<(f64, bool)> {
    let scale = |event: &Event| match event {
        Event::Step { loss_scale, skipped, .. } => loss_scale.map(|scale| (scale, *skipped)),
        _ => None,
    };
    ran.events.iter().filter_map(scale).collect()
}

fn example(name: &str, replaced: &[(&str, &str)]) -> String {
    let path = workspace::root().join("models").join(name);
    let mut text = fs::read_to_string(path).unwrap();
    for (from, to) in replaced {
        assert!(text.contains(from), "{name} has no `{from}`");
        text = text.replace(from, to);
    }
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let word = line.trim_start();
        let setting =
            |name: &str| word.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
        if word.ends_with("csv(") {
            lines.by_ref().find(|line| line.trim() == ")");
        }
        if ["test", "stop", "save", "steps", "epochs"].iter().any(|name| setting(name)) {
            continue;
        }
        let line = match word {
            _ if setting("batch") => "  batch = 8\n  steps = 14",
            _ if setting("train") => "  train = safetensors(\"data.safetensors\")",
            _ => line,
        };
        out += line;
        out.push('\n');
    }
    out
}

/// Trains an example in both precisions; each step's losses are within `tolerance` of each other.
fn follows(name: &str, replaced: &[(&str, &str)], tolerance: f64) {
    let Some(device) = with_halves() else { return };
    let text = example(name, replaced);
    let wide = losses(&run(&text, &device, None).unwrap());
    let mixed = run(&text, &device, Some(Precision::Mixed)).unwrap();
    let (narrow, scales) = (losses(&mixed), scales(&mixed));
    eprintln!("{name}: f32 {wide:?}, mixed {narrow:?}, scales {scales:?}");
    assert_eq!(narrow.len(), wide.len(), "{name}");
    assert_ne!(narrow, wide, "{name} stores nothing in halves");
    let left_out = scales.iter().filter(|(_, skipped)| *skipped).count();
    for (step, loss) in narrow.iter().enumerate().skip(left_out) {
        let near = (loss - wide[step - left_out]).abs() <= tolerance * (1.0 + wide[step].abs());
        assert!(near, "{name}, step {step}: {loss} for {}", wide[step - left_out]);
    }
    assert!(left_out <= 2, "{name}: {left_out} steps were left out");
    let pair = |from: usize| wide[from] + wide[from + 1];
    assert!(pair(12) < 0.97 * pair(0), "{name} learns nothing to follow: {wide:?}");
}

#[test]
fn digits_follow_their_curve_in_f32() {
    follows("mnist.nn", &[("linear(1024)", "linear(64)"), ("-> dropout(0.5)", "")], 5e-3);
}

#[test]
fn activities_follow_their_curve_in_f32() {
    follows("activity.nn", &[("lstm(200)", "lstm(24)"), ("-> dropout(0.2)", "")], 5e-3);
}

#[test]
fn residual_networks_follow_their_curve_in_f32() {
    let smaller = [
        ("conv_bn(64, 3) as stem", "conv_bn(16, 3) as stem"),
        ("basic(64)", "basic(16)"),
        ("basic(128", "basic(24"),
        ("[N, 128, 14, 14]", "[N, 24, 14, 14]"),
        ("basic(256", "basic(32"),
        ("[N, 256, 7, 7]", "[N, 32, 7, 7]"),
        ("basic(512", "basic(40"),
        ("[N, 512, 4, 4]", "[N, 40, 4, 4]"),
        ("cosine(0.1, warmup=60)", "0.01"),
    ];
    follows("resnet18.nn", &smaller, 5e-2);
}

/// A session of [`MODEL`] with this scale at first, and one batch.
fn opened(device: &Device, text: &str) -> (Session, Batch) {
    let artifact = compiled(text, device.profile(), None, &[Role::Train]).0.artifact;
    let fields = &artifact.training.as_ref().unwrap().data.fields;
    let mut session = Session::open(&artifact, device).unwrap();
    session.initialize(3).unwrap();
    let program = artifact.program(Role::Train).unwrap();
    let mut batch = Batch::new(program);
    let mut draw = Draw::new(5);
    for field in fields {
        batch.set(&field.name, &drawn(field, 8, &mut draw).bytes).unwrap();
    }
    (session, batch)
}

fn number(session: &Session, path: &str) -> f64 {
    session.read_tensors(|stored| stored.path == path).unwrap()[0].values()[0]
}

#[test]
fn an_overflow_halves_the_scale_and_leaves_all_else_as_it_is() {
    let Some(device) = with_halves() else { return };
    let (mut session, batch) = opened(&device, &MODEL.replace("dynamic", "1e12"));
    let kept =
        |session: &Session| session.read_tensors(|stored| stored.kind != StoredKind::Constant).unwrap();
    let but_scale = |tensors: &[Tensor]| -> Vec<Tensor> {
        tensors.iter().filter(|tensor| !tensor.path.starts_with("loss_scale")).cloned().collect()
    };
    let first = kept(&session);
    assert!(first.iter().any(|one| one.path.contains("mean")), "batch norm has moving averages");
    let outputs = session.run(Role::Train, &batch, &Clock::single(3, 1)).unwrap();
    assert_eq!(outputs.number(SKIPPED), Some(1.0));
    assert_eq!(outputs.number(HALTED), Some(0.0));
    assert!(outputs.number("loss").unwrap().is_finite());
    assert_eq!(f64::from(1e12f32), outputs.number(LOSS_SCALE).unwrap());
    assert_eq!(but_scale(&kept(&session)), but_scale(&first), "a step that is left out changes nothing");
    assert_eq!(number(&session, "loss_scale"), f64::from(1e12f32) / 2.0);
    let mut step = 1;
    loop {
        step += 1;
        assert!(step < 40, "the scale never comes down");
        let outputs = session.run(Role::Train, &batch, &Clock::single(3, step)).unwrap();
        if outputs.number(SKIPPED) == Some(0.0) {
            break;
        }
    }
    let good = kept(&session);
    let moved = first.iter().zip(&good).filter(|(a, b)| a.bytes != b.bytes).count();
    assert!(moved >= first.len() - 1, "a good step moves all: {moved} of {}", first.len());
    assert_eq!(number(&session, "loss_scale.good_steps"), 1.0);
}

#[test]
fn a_long_run_of_good_steps_doubles_the_scale() {
    let Some(device) = with_halves() else { return };
    let (mut session, batch) = opened(&device, MODEL);
    assert_eq!(number(&session, "loss_scale"), 65_536.0);
    let count = |good: f32| Tensor {
        path: "loss_scale.good_steps".to_owned(),
        element: Element::F32,
        shape: Vec::new(),
        bytes: good.to_le_bytes().to_vec(),
    };
    session.write_tensors(&[count(1998.0)]).unwrap();
    for (step, (scale, good)) in (1..).zip([(65_536.0, 1999.0), (131_072.0, 0.0), (131_072.0, 1.0)]) {
        let outputs = session.run(Role::Train, &batch, &Clock::single(3, step)).unwrap();
        assert_eq!(outputs.number(SKIPPED), Some(0.0));
        assert_eq!(
            (number(&session, "loss_scale"), number(&session, "loss_scale.good_steps")),
            (scale, good)
        );
    }
}

#[test]
fn gradients_that_are_not_finite_by_themselves_end_the_run() {
    let Some(device) = with_halves() else { return };
    let text = MODEL.replace("cross_entropy(logits, y)", "mean(sqrt(relu(logits)))").replace("dynamic", "2");
    let error = run(&text, &device, None).err().expect("the slope of a root at 0 is infinite");
    assert!(matches!(error, TrainError::NotFinite { step: 2, .. }), "{error}");
}

#[test]
fn the_scale_is_in_the_log_with_the_steps_that_were_left_out() {
    let Some(device) = with_halves() else { return };
    let ran = run(&MODEL.replace("dynamic", "1e9"), &device, None).unwrap();
    let scales = scales(&ran);
    let left_out = scales.iter().take_while(|(_, skipped)| *skipped).count();
    assert!(left_out > 2 && scales[left_out..].iter().all(|(_, skipped)| !skipped), "{scales:?}");
    for pair in scales.windows(2) {
        assert_eq!(pair[1].0, if pair[0].1 { pair[0].0 / 2.0 } else { pair[0].0 });
    }
    let log = fs::read_to_string(ran.folder.path().join("out/log.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let skipped: u64 = lines.iter().map(|line| line["skipped"].as_u64().unwrap()).sum();
    assert_eq!(skipped, left_out as u64);
    assert_eq!(lines.last().unwrap()["loss_scale"].as_f64(), Some(scales.last().unwrap().0));
    let saved = weights::read(&ran.folder.path().join("out/weights.safetensors")).unwrap();
    assert!(saved.iter().all(|tensor| !tensor.path.starts_with("loss_scale")));
    assert!(ran.session.tensors().iter().any(|tensor| tensor.path == "loss_scale"));
}

#[test]
fn a_resumed_run_has_the_bytes_of_an_unbroken_one() {
    let Some(device) = with_halves() else { return };
    let text = MODEL.replace("dynamic", "1e9");
    let whole = run(&text, &device, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut last = None;
    // Broken off while the scale still comes down, and again after.
    for (steps, start) in [("3", Start::New), ("9", Start::Resume), ("12", Start::Resume)] {
        let text = text.replace("steps     = 12", &format!("steps     = {steps}"));
        let artifact = compiled(&text, device.profile(), None, &[Role::Train]).0.artifact;
        let training = artifact.training.clone().unwrap();
        write_data(folder.path(), &training.data.fields, 16);
        let mut session = Session::open(&artifact, &device).unwrap();
        let out = Some(Folder::open(&folder.path().join("out"), start).unwrap());
        let checkpoints = Checkpoints::EverySteps(1);
        let options = Options { base: folder.path().to_owned(), out, checkpoints, ..Options::default() };
        train(&mut session, &training, &options, &mut |_| {}).unwrap();
        last = Some(session);
    }
    let all = |session: &Session| session.read_tensors(|_| true).unwrap();
    assert_eq!(all(&last.unwrap()), all(&whole.session));
}

#[test]
fn several_updates_and_gathered_batches_go_on_after_an_overflow() {
    let Some(device) = with_halves() else { return };
    let pair = r#"
model Pair(x: f32[N, 12]) -> (u: f32[N, 3], v: f32[N, 3]) {
  layer left  = linear(24) -> tanh -> linear(3)
  layer right = linear(24) -> tanh -> linear(3)
  u = x -> left
  v = x -> right
  u, v
}
data points {
  x: f32[12]
  y: i32 in 0..3
  train = safetensors("data.safetensors")
}
train Pair on points {
  batch  = 8
  steps  = 40
  update left  { loss = cross_entropy(u + v, y); optimizer = sgd(lr=0.1) }
  update right { loss = cross_entropy(v - u, y); optimizer = sgd(lr=0.1) }
  precision { storage = f16; loss_scale = 1e10 }
}
"#;
    let gathered =
        MODEL.replace("dynamic", "1e10").replace("steps     = 12", "steps     = 40\n  accumulate = 2");
    for text in [pair.to_owned(), gathered] {
        let ran = run(&text, &device, None).unwrap();
        let (scales, losses) = (scales(&ran), losses(&ran));
        let left_out = scales.iter().filter(|(_, skipped)| *skipped).count();
        assert!((3..30).contains(&left_out), "{scales:?}");
        assert!(losses[38] + losses[39] < losses[0] + losses[1], "{losses:?}");
        assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    }
}

fn needs_f16(compiled: &Compiled) -> bool {
    compiled.artifact.kernels.iter().any(Kernel::needs_f16)
}

#[test]
fn a_device_without_halves_gets_floats_and_a_warning() {
    let named = |name: &str| Profile::named(name).unwrap();
    let (made, said) = compiled(MODEL, &named("webgpu-default"), None, &[Role::Train]);
    assert!(!needs_f16(&made));
    assert!(said.contains("warning[W0503]: `webgpu-default` has no f16: values are stored in f32"), "{said}");
    let (made, said) = compiled(MODEL, &named("apple-m1"), None, &[Role::Train]);
    assert!(needs_f16(&made) && said.is_empty(), "{said}");
    let (made, said) = compiled(MODEL, &named("apple-m1"), Some(Precision::F32), &[Role::Train]);
    assert!(!needs_f16(&made) && said.is_empty(), "{said}");
}

#[test]
fn use_is_in_halves_only_where_the_command_says_so() {
    let apple = Profile::named("apple-m1").unwrap();
    for (precision, narrow) in [(None, false), (Some(Precision::Mixed), false), (Some(Precision::F16), true)]
    {
        let (made, _) = compiled(MODEL, &apple, precision, &[Role::Infer]);
        assert_eq!(needs_f16(&made), narrow, "{precision:?}");
    }
}

#[test]
fn what_says_so_stays_in_floats_with_its_gradients() {
    let text = r#"
@precision(f32)
block careful(x: f32[N, D]) { x -> linear(24) -> sigmoid -> linear(24) }
block careless(x: f32[N, D]) { x -> linear(24) -> sigmoid -> linear(24) }
model Points(x: f32[N, 12]) -> logits: f32[N, 3] {
  layer one = careful
  layer two = careless
  @precision(f32)
  layer three = linear(24) -> tanh
  x -> one -> relu -> two -> relu -> three -> linear(3)
}
data points {
  x: f32[12]
  y: i32 in 0..3
  train = safetensors("data.safetensors")
}
train Points on points {
  batch     = 8
  steps     = 12
  loss      = cross_entropy(logits, y)
  optimizer = sgd(lr=0.1)
  precision = mixed
}
"#;
    let (made, _) = compiled(text, &Profile::named("nvidia-hopper").unwrap(), None, &[Role::Train]);
    let graph = &made.programs[0].graph;
    let narrow = |scope: &str| {
        let nodes = graph.nodes().into_iter().map(|id| graph.node(id));
        nodes.filter(|node| node.narrow && node.origin.path.starts_with(scope)).count()
    };
    assert_eq!((narrow("one"), narrow("three")), (0, 0), "{}", nnc::ir::print(graph));
    assert!(narrow("two") >= 2, "{}", nnc::ir::print(graph));
}

#[test]
fn the_arenas_of_a_step_in_halves_are_little_more_than_half_as_large() {
    let hopper = Profile::named("nvidia-hopper").unwrap();
    // Partial sums of split convolutions are f32 in both, and few examples have little else.
    let text =
        example("resnet18.nn", &[("cosine(0.1, warmup=60)", "0.01")]).replace("batch = 8", "batch = 128");
    let arenas = |precision| -> u64 {
        let (made, _) = compiled(&text, &hopper, Some(precision), &[Role::Train]);
        made.artifact.programs[0].arenas.iter().sum()
    };
    let (wide, narrow) = (arenas(Precision::F32), arenas(Precision::Mixed));
    assert!(narrow * 100 < wide * 60, "{narrow} bytes for {wide}");
}
