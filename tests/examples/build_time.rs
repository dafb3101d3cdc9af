//! Where the time of `nnc build` goes, and how it grows with the length of a network.
//!
//! ```sh
//! cargo run --release -p nnc-tests --example build_time [FILE...]
//! ```
//!
//! Without files: chains of 50, 100, 200 and 400 convolutions, each with batch norm and an activation, with gradients and
//! an optimizer. Every figure is the least of some runs, in milliseconds. A step that takes more than four times as much
//! time for each layer of the longest chain as for each of the shortest is named, and the exit code is 1: one that grows
//! with the square takes eight times as much, and one that no longer fits into the processor's caches two or three times.

#![allow(clippy::print_stdout, reason = "its output is the table")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use nnc::compile::{Step, compile_observed};
use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::load;
use nnc::{Compiled, Request};
use nnc_runtime::artifact::Role;
use nnc_runtime::format;
use nnc_tests::beside::Beside;
use nnc_wgsl::Profile;

/// How often a network is built.
const RUNS: usize = 3;

/// Lengths of the chains, in layers.
const LAYERS: [usize; 4] = [50, 100, 200, 400];

/// Growth of the time for a layer, from the shortest chain to the longest, that is still linear.
const LINEAR: f64 = 4.0;

/// Steps that take less than this share of the longest chain are not held against it.
const NOTHING: f64 = 0.01;

/// What each step takes, in milliseconds, and the sum.
type Times = BTreeMap<String, f64>;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        return chains();
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
        let (times, compiled) = least(&file, &text);
        let dispatches = compiled.artifact.programs[0].dispatches.len();
        println!("{file}: {dispatches} dispatches, {} kernels", compiled.artifact.kernels.len());
        times.iter().for_each(|(step, ms)| println!("  {step:<28} {ms:9.1}"));
    }
    ExitCode::SUCCESS
}

fn chains() -> ExitCode {
    let columns: Vec<Times> = LAYERS.iter().map(|&layers| least("chain.nn", &chain(layers)).0).collect();
    let heading: String = LAYERS.iter().map(|layers| format!("{layers:>10}")).collect();
    println!("{:<28}{heading}  growth of the time for a layer", "layers");
    let (short, long) = (&columns[0], &columns[columns.len() - 1]);
    let mut wrong = false;
    for step in long.keys() {
        let times: String = columns.iter().map(|times| format!("{:>10.1}", times[step])).collect();
        let layers = LAYERS.map(|layers| layers as f64);
        let growth = (long[step] / layers[layers.len() - 1]) / (short[step] / layers[0]);
        let is_wrong = growth > LINEAR && long[step] > NOTHING * long["all"];
        println!("{step:<28}{times}  {growth:.2}{}", if is_wrong { "  NOT LINEAR" } else { "" });
        wrong |= is_wrong;
    }
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A network of so many convolutions.
fn chain(layers: usize) -> String {
    let mut text =
        "use \"std/vision.nn\"\n\nmodel Chain(x: f32[N, 3, 16, 16]) -> y: f32[N, 10] {\n  x\n".to_owned();
    for _ in 0..layers {
        writeln!(text, "    -> conv_bn(16, 3, pad=1)").expect("a string takes text");
    }
    text + "    -> global_avg_pool -> linear(10)\n}\n\ndata d {\n  x: f32[3, 16, 16]\n  label: i32 in 0..10\n  \
            train = csv(\"d.csv\")\n}\n\ntrain Chain on d {\n  batch = 8\n  epochs = 1\n  \
            loss = cross_entropy(y, label)\n  optimizer = sgd(lr=0.1, momentum=0.9)\n}\n"
}

/// The least times of some runs.
fn least(path: &str, text: &str) -> (Times, Compiled) {
    let runs: Vec<(Times, Compiled)> = (0..RUNS).map(|_| built(path, text)).collect();
    let mut least = runs[0].0.clone();
    for (times, _) in &runs {
        for (step, ms) in times {
            let known = least.entry(step.clone()).or_insert(*ms);
            *known = known.min(*ms);
        }
    }
    (least, runs.into_iter().next_back().expect("there are runs").1)
}

/// What building the training step takes. What a step verifies counts for the next one.
fn built(path: &str, text: &str) -> (Times, Compiled) {
    let begin = Instant::now();
    let bundle = load(path, text, &[], &Beside(Path::new(path).with_file_name("")));
    let diagnostics = render_all(&bundle.diagnostics, bundle.value.sources(), Colour::Never);
    assert!(!bundle.has_errors(), "{path} has errors:\n{diagnostics}");
    let bundle = Arc::new(bundle.value);
    let profile = Profile::named("webgpu-default").expect("the profile exists");
    let request = Request::new(profile, &[Role::Train]);
    let mut times = Times::new();
    let mut last = begin;
    let checked = compile_observed(&bundle, &request, |_, step, _| {
        let name = match step {
            Step::Elaborated => "0 read and elaborate",
            Step::Differentiated => "1 gradients",
            Step::Before(_) => "3 verify",
            Step::Optimized(run) => &format!("2 {}", run.name),
            Step::Lowered => "4 lower",
            Step::Planned => "5 plan",
            Step::Assembled => "6 assemble",
        };
        *times.entry(name.to_owned()).or_default() += last.elapsed().as_secs_f64() * 1e3;
        last = Instant::now();
    });
    let compiled = checked.value.expect("the model compiles");
    let bytes = format::write(&compiled.artifact);
    times.insert("7 write".to_owned(), last.elapsed().as_secs_f64() * 1e3);
    assert!(!bytes.is_empty(), "an artifact has bytes");
    times.insert("all".to_owned(), begin.elapsed().as_secs_f64() * 1e3);
    (times, compiled)
}
