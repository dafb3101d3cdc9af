//! `nnc train FILE`: trains the model as its `train` block says.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nnc_runtime::Session;
use nnc_runtime::artifact::{Role, Training};
use nnc_runtime::host::Measured;
use nnc_runtime::train::{Checkpoints, Ended, EpochReport, Event, Folder, Options, Start, train};
use serde_json::json;

use crate::device::DeviceArguments;
use crate::failure::Failure;
use crate::model::ModelArguments;
use crate::output;
use crate::progress::Progress;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// The folder for weights, checkpoint and log; if left out, `runs/` and the file's name, numbered from the second
    /// run on.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Goes on from the checkpoint in that folder, or else in that of the latest run.
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,
    /// Replaces the files of an earlier run in that folder.
    #[arg(long)]
    overwrite: bool,
    /// Weights and states to start from.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    weights: Option<PathBuf>,
    /// Seconds between checkpoints within an epoch.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    checkpoint: u64,
    /// Writes the loss of every step.
    #[arg(long)]
    log_steps: bool,
    /// One JSON object for each epoch (and step) on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let device = arguments.device.open()?;
    let begin = Instant::now();
    let roles = [Role::Train, Role::Evaluate];
    let compiled = arguments.model.compile_for_data(device.profile(), &roles, None)?;
    let training = training_of(compiled.artifact.training.as_ref())?.clone();
    let compiled_in = begin.elapsed();
    let folder = arguments.folder()?;
    let out = folder.path().to_owned();
    let mut session = Session::open(&compiled.artifact, &device)?;
    output::note(&format!(
        "compiled in {:.1} s, ready in {:.1} s: {} dispatches a step, {} on the device",
        compiled_in.as_secs_f64(),
        begin.elapsed().as_secs_f64(),
        session.program(Role::Train)?.dispatches.len(),
        output::size(session.allocated_bytes()),
    ));
    let interrupt = interrupt_flag()?;
    let options = Options {
        base: arguments.model.base(),
        out: Some(folder),
        weights: arguments.weights.clone(),
        checkpoints: Checkpoints::Every(Duration::from_secs(arguments.checkpoint)),
        interrupt: Some(&interrupt),
    };
    let mut progress = Progress::new();
    let epochs = training.epochs;
    let summary = train(&mut session, &training, &options, &mut |event| {
        show(arguments, epochs, &mut progress, &event);
    });
    progress.finish();
    let summary = summary?;
    let epoch = summary.progress.epoch + u64::from(summary.progress.position > 0);
    let place = format!("epoch {epoch}, step {}", summary.progress.step);
    let weights = out.join("weights.safetensors");
    let end = match summary.ended {
        Ended::Finished => format!("finished: {place}"),
        Ended::Stopped => format!("stopped by the rule of `stop`: {place}"),
        Ended::Interrupted => format!("interrupted: {place}; go on with `--resume`"),
    };
    output::note(&format!("{end}; weights in `{}`", weights.display()));
    Ok(())
}

impl Arguments {
    /// The folder of the run, held against others.
    fn folder(&self) -> Result<Folder, Failure> {
        let default = PathBuf::from("runs").join(self.model.stem());
        let folder = match (&self.out, self.resume, self.overwrite) {
            (Some(out), true, _) => Folder::open(out, Start::Resume)?,
            (Some(out), _, true) => Folder::open(out, Start::Over)?,
            (Some(out), false, false) => Folder::open(out, Start::New)?,
            (None, true, _) => Folder::latest(&default)?,
            (None, _, true) => Folder::open(&default, Start::Over)?,
            (None, false, false) => Folder::next(&default)?,
        };
        if folder.path() != default && self.out.is_none() {
            let what =
                if self.resume { "the latest run is" } else { "earlier runs are kept; this one goes into" };
            output::note(&format!("{what} `{}`", folder.path().display()));
        }
        Ok(folder)
    }
}

/// How the model is trained, or what to do where the file does not say.
pub(crate) fn training_of(training: Option<&Training>) -> Result<&Training, Failure> {
    training.ok_or_else(|| Failure::new("the file has no `train` block for this model"))
}

/// `loss 0.25  accuracy 0.91`
pub(crate) fn values<'a>(measured: impl Iterator<Item = &'a Measured>) -> String {
    measured.map(|m| format!("{} {:.4}", m.name, m.value)).collect::<Vec<_>>().join(" ")
}

fn show(arguments: &Arguments, epochs: Option<u64>, progress: &mut Progress, event: &Event) {
    match event {
        Event::Started { step, steps_per_epoch, total_steps, batch } => {
            progress.start(*step, *steps_per_epoch, *batch);
            let from = if *step > 0 { format!("going on after step {step}: ") } else { String::new() };
            let length = format!("{total_steps} steps of {batch} examples, {steps_per_epoch} an epoch");
            progress.note(&format!("{from}{length}"));
        }
        Event::Step { step, epoch, position, loss, loss_scale, skipped } => {
            progress.step(*step, *epoch, *position, *loss);
            if arguments.log_steps {
                let loss = *loss as f32;
                let text = match (arguments.json, loss_scale) {
                    (true, None) => json!({ "step": step, "loss": loss }).to_string(),
                    (true, Some(scale)) => {
                        json!({ "step": step, "loss": loss, "loss_scale": scale, "skipped": skipped })
                            .to_string()
                    }
                    (false, None) => format!("step {step}  loss {loss:?}"),
                    (false, Some(scale)) => {
                        let left_out = if *skipped { ", left out" } else { "" };
                        format!("step {step}  loss {loss:?}  loss scale {scale}{left_out}")
                    }
                };
                progress.line(&text);
            }
        }
        Event::Epoch(report) => {
            let text = if arguments.json { report.to_json() } else { epoch_line(report, epochs) };
            progress.line(&text);
        }
        Event::Saved { path, replaced } => {
            let earlier = *replaced && !arguments.resume;
            let instead = if earlier { ", in place of an earlier run's" } else { "" };
            progress.note(&format!("saved `{}`{instead}", path.display()));
        }
        _ => {}
    }
}

fn epoch_line(report: &EpochReport, epochs: Option<u64>) -> String {
    let of = epochs.map(|n| format!("/{n}")).unwrap_or_default();
    let mut parts: Vec<&str> = Vec::new();
    for measured in &report.measured {
        if !parts.contains(&measured.part.as_str()) {
            parts.push(&measured.part);
        }
    }
    let mut text = format!("epoch {}{of}", report.epoch);
    for part in parts {
        text += &format!("  {part} {}", values(report.measured.iter().filter(|m| m.part == part)));
    }
    if let Some(scale) = report.loss_scale {
        text += &format!("  loss scale {scale}");
        if report.skipped > 0 {
            text += &format!(" ({} steps left out)", report.skipped);
        }
    }
    text + &format!("  {:.1} s", report.seconds)
}

/// Set by the first Ctrl-C; the second ends the process.
fn interrupt_flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        output::note("finishing the step and saving; once more ends at once");
    })?;
    Ok(flag)
}
