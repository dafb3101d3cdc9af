//! A program that embeds a compiled network and links nothing of the compiler.
//!
//! `classify ARTIFACT WEIGHTS DATA_BASE` classifies the test part of the artifact's data and prints one
//! predicted class a line. `DATA_BASE` is the folder that the data's paths are relative to. The network must have
//! one `f32` input of bytes over 255, and one output of `[batch, classes]`: `nnc build models/mnist.nn -o mnist.nna`
//! makes such an artifact.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use nnc_runtime::artifact::Role;
use nnc_runtime::data::{self, Feed};
use nnc_runtime::{Clock, Device, Session, format, weights};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [artifact, weights_file, base] = arguments.as_slice() else {
        return Err("usage: classify ARTIFACT WEIGHTS DATA_BASE".into());
    };
    let artifact = format::read(&std::fs::read(artifact)?)?;
    let training = artifact.training.as_ref().ok_or("the artifact names no data")?;
    let device = Device::open(None)?;
    let mut session = Session::open_roles(&artifact, &device, &[Role::Infer])?;
    session.initialize(training.seed)?;
    let tensors = weights::load(Path::new(weights_file), session.tensors())?;
    session.write_tensors(&tensors)?;

    let test = Arc::new(data::open(&training.data, "test", Path::new(base))?);
    let feed = Feed::evaluation(test, session.program(Role::Infer)?)?;
    let order = feed.order(0);
    let mut batch = feed.empty();
    let mut out = std::io::stdout().lock();
    for index in 0..feed.batches() {
        feed.fill(&order, index, &mut batch)?;
        for pixel in batch.input_mut(0).as_chunks_mut::<4>().0 {
            *pixel = (f32::from_le_bytes(*pixel) / 255.0).to_le_bytes();
        }
        let examples = batch.examples;
        let outputs = session.run(Role::Infer, &batch, &Clock::single(training.seed, examples as u64))?;
        let scores = outputs.tensors().into_iter().next().ok_or("the network has no output")?;
        let classes = scores.shape.last().copied().unwrap_or(1);
        for row in scores.values().chunks(classes).take(examples) {
            let best = (0..classes).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
            writeln!(out, "{best}")?;
        }
    }
    Ok(())
}
