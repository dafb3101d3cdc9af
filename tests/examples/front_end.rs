//! Times of the front end: reading a text, expanding it for training and for use, and all of `nnc check`.
//!
//! ```sh
//! cargo run --release -p nnc-tests --example front_end [FILE...]
//! ```
//!
//! Without files: Inception v3, and networks of 2,500, 5,000 and 10,000 layers. Every figure is the least of some runs,
//! in milliseconds, so that other work on the machine hardly matters.

#![allow(clippy::print_stdout, reason = "its output is the table")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use nnc::diagnostic::{Colour, Diagnostic, render_all};
use nnc::elaborate::{Expansion, elaborate, load};
use nnc_tests::beside::Beside;
use nnc_tests::long_models::long_model;
use nnc_wgsl::Profile;

/// How often a text is measured.
const RUNS: usize = 5;

/// Lengths of the networks that are measured, in layers.
const LAYERS: [usize; 3] = [2_500, 5_000, 10_000];

/// What a text takes, in milliseconds.
#[derive(Clone, Copy)]
struct Times {
    read: f64,
    training: f64,
    inference: f64,
    check: f64,
}

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    println!("{:24} {:>8} {:>8} {:>8} {:>9} {:>8}", "ms", "read", "training", "use", "front end", "check");
    let inception = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/inception_v3.nn").to_owned();
    let named = if files.is_empty() { vec![inception] } else { files.clone() };
    for path in &named {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let path = Path::new(path);
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if !row(&name, &text, path.parent().unwrap_or(Path::new("")), 0) {
            return ExitCode::FAILURE;
        }
    }
    for layers in LAYERS.into_iter().filter(|_| files.is_empty()) {
        if !row(&format!("{layers} layers"), &long_model(layers), Path::new(""), layers) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Prints what `text` takes; false where it has errors.
fn row(name: &str, text: &str, folder: &Path, layers: usize) -> bool {
    let mut least: Option<Times> = None;
    for _ in 0..RUNS {
        match measured(text, folder) {
            Ok(now) => least = Some(least.map_or(now, |before| least_of(before, now))),
            Err(printed) => {
                eprintln!("{name}:\n{printed}");
                return false;
            }
        }
    }
    let Some(Times { read, training, inference, check }) = least else { return false };
    let front = read + training + inference;
    let each = if layers == 0 {
        String::new()
    } else {
        let layers = layers as f64;
        format!("  {:.1} and {:.1} us a layer", front * 1e3 / layers, check * 1e3 / layers)
    };
    println!("{name:24} {read:8.1} {training:8.1} {inference:8.1} {front:9.1} {check:8.1}{each}");
    true
}

fn measured(text: &str, folder: &Path) -> Result<Times, String> {
    let begin = Instant::now();
    let loaded = load("model.nn", text, &[], &Beside(folder.to_owned()));
    let read = since(begin);
    let bundle = Arc::new(loaded.value);
    let failed = |found: &[Diagnostic]| {
        let failed = found.iter().any(Diagnostic::is_error);
        if failed { Err(render_all(found, bundle.sources(), Colour::Never)) } else { Ok(()) }
    };
    failed(&loaded.diagnostics)?;
    let expanded = |expansion| {
        let begin = Instant::now();
        let expanded = elaborate(&bundle, &nnc::elaborate::Request::new(expansion));
        let time = since(begin);
        failed(&expanded.diagnostics)?;
        Ok::<f64, String>(time)
    };
    let (training, inference) = (expanded(Expansion::Training)?, expanded(Expansion::Inference)?);
    let profile = Profile::named("webgpu-default").ok_or("the profile is missing")?;
    let begin = Instant::now();
    let found = nnc::check(&bundle, &nnc::Request::new(profile, &[]));
    let check = read + since(begin);
    failed(&found)?;
    Ok(Times { read, training, inference, check })
}

fn since(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

fn least_of(a: Times, b: Times) -> Times {
    Times {
        read: a.read.min(b.read),
        training: a.training.min(b.training),
        inference: a.inference.min(b.inference),
        check: a.check.min(b.check),
    }
}
