//! Recurrence costs one kernel a step forward and one backward for each product that a cell must take after another,
//! whatever the cell and however few buffers a kernel may bind, and a walk of any length is made of the same few kernels.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nnc::compile::{Compiled, compile};
use nnc::elaborate::load;
use nnc::source::NoFiles;
use nnc_runtime::artifact::Role;
use nnc_tests::command::{nnc, succeed};
use nnc_tests::device::device;
use nnc_wgsl::{PROFILES, Profile};

/// Layers that walk over time, as stages of a model, and what they need to be declared.
const CELLS: [(&str, &str, &str); 6] = [
    ("lstm", "lstm(32)", ""),
    ("lstm, all steps shown", "lstm(20) -> lstm(32)", ""),
    ("gru", "gru(32)", ""),
    ("rnn", "rnn(32)", ""),
    ("a minimal gated unit", "minimal(32)", MINIMAL),
    ("peepholes", "peeping(32)", PEEPING),
];

/// Two gates from one product, the second one kept apart from the first.
const MINIMAL: &str = "
block minimal(x: f32[N, T, C], out: int) {
  weight into: f32[2 * out, C] = normal(0, 0.1)
  weight around: f32[2 * out, out] = normal(0, 0.1)
  gates = einsum(\"n t i, o i -> n t o\", x, into)
  scan row in gates with h = zeros(N, out) {
    f, n = split(row + einsum(\"n i, o i -> n o\", h, around), 2)
    keep = sigmoid(f)
    h = (1 - keep) * h + keep * tanh(n)
    h
  }
}
";

/// Gates that see the state through slopes of their own.
const PEEPING: &str = "
block peeping(x: f32[N, T, C], out: int) {
  weight into: f32[4 * out, C] = normal(0, 0.1)
  weight around: f32[4 * out, out] = normal(0, 0.1)
  weight peep: f32[out] = normal(0, 0.1)
  gates = einsum(\"n t i, o i -> n t o\", x, into)
  scan row in gates with h = zeros(N, out), c = zeros(N, out) {
    i, f, g, o = split(row + einsum(\"n i, o i -> n o\", h, around), 4)
    c = sigmoid(f + peep * c) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    h
  }
}
";

fn trained(layers: &str, declared: &str, steps: usize, profile: &str) -> Compiled {
    let text = format!(
        "{declared}
model M(x: f32[N, {steps}, 16]) -> y: f32[N, 6] {{ x -> {layers} -> last -> linear(6) }}
data d {{
  x: f32[{steps}, 16]
  c: i32 in 0..6
  train = safetensors(\"a.safetensors\")
}}
train M on d {{
  batch = 8
  epochs = 1
  optimizer = sgd
  loss = cross_entropy(y, c)
}}
"
    );
    let bundle = load("model.nn", &text, &[], &NoFiles);
    assert!(!bundle.has_errors(), "{:?}", bundle.diagnostics);
    let profile = Profile::named(profile).expect("the profile exists");
    let request = nnc::Request::new(profile, &[Role::Train]);
    compile(&Arc::new(bundle.value), &request).value.expect("the model compiles")
}

fn dispatches(compiled: &Compiled) -> usize {
    compiled.artifact.programs[0].dispatches.len()
}

/// Cells of which one product takes the result of another: between two of them lies a barrier of the whole device.
const TWO_PRODUCTS: [(&str, &str); 4] = [
    ("gru, reset before the product", "gru(32, reset_after=false)"),
    ("mgu", "mgu(32)"),
    ("lstm with a projection", "lstm(32, project=8)"),
    ("lstm with a projection and peepholes", "lstm(32, project=8, peepholes=true)"),
];

/// How many dispatches a walk takes more for each step.
fn each_step(layers: &str, declared: &str, profile: &str) -> usize {
    let of = |steps| dispatches(&trained(layers, declared, steps, profile));
    of(9) - of(8)
}

#[test]
fn a_step_of_a_walk_is_one_kernel_forward_and_one_backward() {
    for (name, layers, declared) in CELLS {
        let walks = 1 + layers.matches("->").count();
        for profile in PROFILES {
            assert_eq!(each_step(layers, declared, profile), 2 * walks, "{name} on {profile}");
        }
    }
}

#[test]
fn a_step_of_a_cell_of_two_products_is_two_kernels_forward_and_two_backward() {
    for (name, layers) in TWO_PRODUCTS {
        for profile in PROFILES {
            assert_eq!(each_step(layers, "", profile), 4, "{name} on {profile}");
        }
    }
}

/// Where a step is cut, only the sums and paddings of the marks come on top, for several steps at once.
#[test]
fn a_walk_that_is_cut_takes_little_more() {
    for profile in PROFILES {
        let of = |steps| dispatches(&trained("lstm(32, truncate=5)", "", steps, profile));
        let (few, many) = (of(20), of(40));
        assert!(2 * (many - few) <= 5 * 20, "{profile}: {few} dispatches, then {many}");
    }
}

/// Memory that is shared by the values of a kernel: no kernel binds more buffers than there are.
#[test]
fn no_kernel_of_a_walk_binds_more_buffers_than_the_profile_has() {
    for profile in PROFILES {
        let compiled = trained("lstm(32, peepholes=true)", "", 9, profile);
        let most = compiled.artifact.kernels.iter().map(nnc_wgsl::storage_buffers).max();
        let limit = compiled.artifact.profile.storage_buffers as usize;
        assert!(most <= Some(limit), "{profile}: {most:?} buffers");
    }
}

#[test]
fn a_walk_of_any_length_is_made_of_the_same_few_kernels() {
    for (name, layers, declared) in CELLS {
        let texts = |steps: usize| -> BTreeSet<String> {
            let compiled = trained(layers, declared, steps, "nvidia-hopper");
            compiled.artifact.kernels.iter().map(|kernel| kernel.wgsl.clone()).collect()
        };
        let (short, long) = (texts(9).len(), texts(30).len());
        assert!(long <= short + 2, "{name}: {short} kernels over 9 steps, {long} over 30");
    }
}

#[test]
fn a_walk_of_two_hundred_steps_compiles_in_seconds() {
    let begin = Instant::now();
    let compiled = trained("lstm(32)", "", 200, "nvidia-hopper");
    let took = begin.elapsed();
    eprintln!("{} dispatches in {took:?}", dispatches(&compiled));
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// The states of a walk are parts of two concats, and the memory of the first is another value's by the time that the
/// second is whole.
#[test]
fn states_that_lie_in_two_concats_are_right_in_both() {
    if device().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("walk.nn");
    let text = "
model M(x: i32[N, 4]) -> y: f32[N, 4, 6] { x -> embed(6, 8) -> gru(16) -> linear(6) }
data d {
  x: i32[4] in 0..6
  c: i32[4] in 0..6
  train = safetensors(\"a.safetensors\")
}
train M on d {
  batch = 8
  epochs = 1
  loss = cross_entropy(y, c)
  optimizer = sgd
}
";
    std::fs::write(&path, text).expect("the folder takes files");
    let _ = succeed(nnc(&["verify", path.to_str().expect("a path in UTF-8")]));
}
