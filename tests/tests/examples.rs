//! Every network of `tests/examples` checks, compiles and trains.
//!
//! The texts are those of the examples with smaller extents, and with drawn examples in place of data that is not
//! shipped. What stays is the whole of each network: its layers, its loss, its optimizer, its metrics.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnc::Request;
use nnc::diagnostic::{Colour, Diagnostic, render_all};
use nnc::elaborate::{Bundle, load};
use nnc::source::Loader;
use nnc_runtime::artifact::{Artifact, Field, Role};
use nnc_runtime::train::{Event, Options, train};
use nnc_runtime::{Session, Tensor, weights};
use nnc_tests::device::device;
use nnc_tests::graphs::Draw;
use nnc_wgsl::{Element, Profile};

/// Files of `tests/examples`.
struct Examples;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

impl Loader for Examples {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        let text = fs::read_to_string(folder().join(path)).map_err(|error| error.to_string())?;
        Ok((path.to_owned(), text))
    }
}

fn bundle(name: &str, text: &str) -> Arc<Bundle> {
    let loaded = load(name, text, &[], &Examples);
    assert_eq!(render_all(&loaded.diagnostics, loaded.value.sources(), Colour::Never), "", "{name}");
    Arc::new(loaded.value)
}

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

#[test]
fn every_example_checks_as_it_stands() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".nn") || name == "blocks.nn" {
            continue;
        }
        let bundle = bundle(&name, &text(&name));
        let begin = std::time::Instant::now();
        let request = Request::new(Profile::named("webgpu-default").unwrap(), &[]);
        let mut found = nnc::check(&bundle, &request);
        found.retain(|diagnostic| !["W0503", "W0504"].contains(&diagnostic.code));
        assert_eq!(render_all(&found, bundle.sources(), Colour::Never), "", "{name}");
        let seconds = begin.elapsed().as_secs_f64();
        eprintln!("{name}: checked in {seconds:.2} s");
        assert!(seconds < 20.0, "{name}: checking takes {seconds:.0} s");
        count += 1;
    }
    assert_eq!(count, 12);
}

/// The lines of `train` and `data` that say where examples come from, replaced by two batches of drawn ones.
fn with_drawn_data(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let word = line.trim_start();
        let setting =
            |name: &str| word.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
        if setting("test") || setting("stop") || setting("save") || setting("steps") || setting("epochs") {
            continue;
        }
        if setting("batch") {
            out += "  batch = 2\n  steps = 3\n";
        } else if setting("train") {
            out += "  train = safetensors(\"data.safetensors\")\n";
        } else {
            out += line;
            out.push('\n');
        }
    }
    out
}

fn compiled(name: &str, text: &str, profile: &Profile) -> Artifact {
    let bundle = bundle(name, text);
    let made = nnc::compile(&bundle, &Request::new(profile.clone(), &[Role::Train]));
    let printed = render_all(&made.diagnostics, bundle.sources(), Colour::Never);
    assert!(!made.diagnostics.iter().any(Diagnostic::is_error), "{printed}");
    made.value.unwrap().artifact
}

/// Four examples of a field, as it says they are.
fn drawn(field: &Field, draw: &mut Draw) -> Tensor {
    let mut shape = vec![4];
    shape.extend(&field.shape);
    let size: usize = shape.iter().product();
    let (low, high) = field.range.unwrap_or((0, 2));
    let whole = |draw: &mut Draw| low + draw.below(usize::try_from(high - low).unwrap()) as i64;
    let mut bytes: Vec<u8> = Vec::new();
    for _ in 0..size {
        match field.element {
            Element::F32 => bytes.extend((draw.below(1000) as f32 / 1000.0).to_le_bytes()),
            Element::I32 => bytes.extend(i32::try_from(whole(draw)).unwrap().to_le_bytes()),
            Element::F16 => panic!("a field is no half"),
            Element::Bool => bytes.extend(u32::from(draw.below(2) == 1).to_le_bytes()),
            Element::U8 => bytes.push(u8::try_from(draw.below(256)).unwrap()),
        }
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    Tensor { path: field.name.clone(), element: field.element, shape, bytes }
}

/// Trains the example, after these replacements in its text and with `more` after it, for three steps.
fn trains(name: &str, replaced: &[(&str, &str)], more: &str) {
    let Some(device) = device() else { return };
    let mut text = text(name) + more;
    for (from, to) in replaced {
        assert!(text.contains(from), "{name} has no `{from}`");
        text = text.replace(from, to);
    }
    let begin = std::time::Instant::now();
    let artifact = compiled(name, &with_drawn_data(&text), device.profile());
    let compiled_in = begin.elapsed().as_secs_f64();
    let training = artifact.training.clone().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut draw = Draw::new(11);
    let tensors: Vec<Tensor> = training.data.fields.iter().map(|field| drawn(field, &mut draw)).collect();
    weights::write(&folder.path().join("data.safetensors"), &tensors).unwrap();
    let mut session = Session::open(&artifact, &device).unwrap();
    let opened_in = begin.elapsed().as_secs_f64() - compiled_in;
    let options = Options { base: folder.path().to_owned(), ..Options::default() };
    let mut losses = Vec::new();
    let ended = train(&mut session, &training, &options, &mut |event| {
        if let Event::Step { loss, .. } = event {
            losses.push(loss);
        }
    });
    let summary = ended.unwrap_or_else(|error| panic!("{name}: {error}"));
    let seconds = begin.elapsed().as_secs_f64() - compiled_in - opened_in;
    eprintln!(
        "{name}: {losses:?}; compiled {compiled_in:.1} s, opened {opened_in:.1} s, trained {seconds:.1} s"
    );
    assert_eq!((summary.progress.step, losses.len()), (3, 3), "{name}");
    assert!(losses.iter().all(|loss| loss.is_finite()), "{name}: {losses:?}");
    assert!(losses[0] != losses[1] && losses[1] != losses[2], "{name}: {losses:?}");
    let last: Vec<f64> = summary.progress.history.last().map_or(Vec::new(), |epoch| {
        training.metrics.iter().map(|metric| epoch.value("train", metric).unwrap()).collect()
    });
    assert!(last.iter().all(|value| value.is_finite()), "{name}: {:?} are {last:?}", training.metrics);
}

#[test]
fn digits_train() {
    trains("mnist.nn", &[("linear(1024)", "linear(32)"), ("image / 255", "image * 1.0")], "");
}

#[test]
fn residual_networks_train() {
    let smaller = [
        ("224", "32"),
        ("const classes = 1000", "const classes = 10"),
        ("resize(256) -> center_crop(32) -> ", ""),
        ("random_resized_crop(32) -> ", ""),
    ];
    trains("resnet18.nn", &smaller, "");
}

#[test]
fn inception_trains_with_its_auxiliary_head() {
    let smaller = [
        ("299", "75"),
        ("1000", "10"),
        ("f32[N, 192, 35, 35]", "f32[N, 192, 7, 7]"),
        ("f32[N, 768, 17, 17]", "f32[N, 768, 3, 3]"),
        ("f32[N, 2048, 8, 8]", "f32[N, 2048, 1, 1]"),
        ("avg_pool(5, stride=3)", "avg_pool(2, stride=1)"),
        ("conv_bn(768, 5, pad=0)", "conv_bn(768, 2, pad=0)"),
        ("resize(342) -> center_crop(75) -> ", ""),
        ("random_resized_crop(75) -> ", ""),
    ];
    trains("inception_v3.nn", &smaller, "");
}

#[test]
fn activities_train() {
    trains("activity.nn", &[("2000", "500"), ("lstm(128)", "lstm(16)")], "");
}

#[test]
fn boxes_train() {
    let smaller = [
        ("416, 416", "64, 64"),
        ("13, 13", "2, 2"),
        ("letterbox(416) -> ", ""),
        ("    truth = objects -> to_grid(anchors, cells=13, classes=classes)\n", ""),
        (
            "    image, objects = jitter(image, objects, 0.2)\n    image, objects = random_flip(image, objects)\n",
            "",
        ),
        ("16 * 2 ** i", "4 * 2 ** i"),
        ("conv_bn(512,", "conv_bn(128,"),
        ("conv_bn(1024,", "conv_bn(128,"),
    ];
    trains("tiny_yolo.nn", &smaller, "");
}

#[test]
fn characters_train() {
    let smaller = [
        ("const vocab = 96", "const vocab = 12"),
        ("const width = 512", "const width = 24"),
        ("T = 128", "T = 9"),
    ];
    trains("char_gru.nn", &smaller, "");
}

/// Steps cost the same each, in kernels: the gradient of a walk is no sum over all pairs of steps.
#[test]
fn a_walk_takes_kernels_in_proportion_to_its_length() {
    let text = text("char_gru.nn").replace("const width = 512", "const width = 16");
    let profile = Profile::named("webgpu-default").unwrap();
    let [one, two, four] = [32, 64, 128].map(|length| {
        let text = text.replace("T = 128", &format!("T = {length}"));
        compiled("char_gru.nn", &with_drawn_data(&text), &profile).programs[0].dispatches.len()
    });
    let (first, second) = (two - one, four - two);
    assert!(second <= 2 * first + first / 10, "{one}, {two} and {four} dispatches");
}

#[test]
fn transformers_train() {
    let smaller = [
        ("const vocab   = 8000", "const vocab   = 40"),
        ("T = 256", "T = 8"),
        ("512", "64"),
        ("hidden = 2048", "hidden = 96"),
    ];
    trains("transformer.nn", &smaller, "");
}

#[test]
fn variational_autoencoders_train() {
    trains("vae.nn", &[], "");
}

#[test]
fn adversarial_networks_train() {
    let smaller =
        [("conv_transpose(256,", "conv_transpose(32,"), ("conv_transpose(128,", "conv_transpose(16,")];
    trains("gan.nn", &smaller, "");
}

#[test]
fn segmentation_trains() {
    let more = "
data photos {
  image: f32[3, 16, 16]
  truth: i32[16, 16] in 0..2
  train = none
}
train UNet on photos {
  batch     = 2
  loss      = cross_entropy(mask, truth, axis=1)
  optimizer = adam(lr=1e-3)
  metrics   { accuracy = mean(argmax(mask, axis=1) == truth) }
}
";
    trains("unet.nn", &[("256, 256]", "16, 16]"), ("twice(512)", "twice(64)")], more);
}

#[test]
fn shared_encoders_train_on_sentences_of_two_lengths() {
    let more = "
data pairs {
  a: i32[7] in 0..vocab
  b: i32[5] in 0..vocab
  same: f32
  train = none
}
train Alike on pairs {
  batch     = 2
  loss      = mse(score, same)
  optimizer = rmsprop(lr=1e-3, momentum=0.9)
}
";
    trains("bilstm_siamese.nn", &[("vocab = 5000", "vocab = 30"), ("lstm(128", "lstm(12")], more);
}

#[test]
fn formulas_in_place_of_built_ins_train() {
    trains("custom.nn", &[], "");
}
