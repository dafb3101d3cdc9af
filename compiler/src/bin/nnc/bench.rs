//! `nnc bench FILE`: the time of a step with its data already on the device.
//!
//! A GPU that was idle, or that compiled kernels, runs slowly at first: steps are run for a while before any is
//! timed. Two steps are in flight, as in training; the time of a step is that between two results.

use std::time::{Duration, Instant};

use nnc::account::{KernelAccount, account, traffic};
use nnc::source::Sources;
use nnc::{Compiled, Request};
use nnc_runtime::artifact::Role;
use nnc_runtime::session::place;
use nnc_runtime::{Clock, Session};
use nnc_wgsl::Kernel;
use serde_json::json;

use crate::build;
use crate::device::DeviceArguments;
use crate::failure::Failure;
use crate::model::{self, ModelArguments};
use crate::output;
use crate::passes::PassArguments;
use crate::sample;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// Examples a step.
    #[arg(long, value_parser = model::batch)]
    batch: Option<usize>,
    #[command(flatten)]
    passes: PassArguments,
    /// Steps to time.
    #[arg(long, default_value_t = 50)]
    steps: usize,
    /// Times inference instead of training.
    #[arg(long)]
    infer: bool,
    /// Adds tables of all dispatches and of the lines of the model: time, and the bytes to be read and written.
    #[arg(long)]
    kernels: bool,
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How long the device is kept busy before anything is timed.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long single dispatches are timed, about.
const KERNELS: Duration = Duration::from_secs(2);

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let device = arguments.device.open()?;
    let role = if arguments.infer { Role::Infer } else { Role::Train };
    let begin = Instant::now();
    let bundle = arguments.model.load()?;
    let request = arguments.model.request(device.profile(), &[role], arguments.batch);
    let request = Request { selection: arguments.passes.selection()?, ..request };
    let checked = nnc::compile(&bundle, &request);
    let compiled = model::finish(checked, &bundle, &arguments.model.settings)?;
    let artifact = &compiled.artifact;
    let compile_ms = milliseconds(begin.elapsed());
    let mut session = Session::open(artifact, &device)?;
    session.initialize(artifact.training.as_ref().map_or(0, |t| t.seed))?;
    let batch = sample::batch(artifact, role).ok_or_else(|| Failure::new("the model has no such program"))?;
    let clock = Clock::single(1, batch.examples as u64);
    session.run(role, &batch, &clock)?;
    let first_step_ms = milliseconds(begin.elapsed());
    let mut times = time_steps(&mut session, role, &clock, arguments.steps.max(1))?;
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let program = session.program(role)?;
    if arguments.json {
        let line = json!({
            "model": artifact.model, "device": device.name(), "role": role.to_string(),
            "batch": program.batch, "precision": if artifact.kernels.iter().any(Kernel::needs_f16) { "f16" } else { "f32" }, "steps": times.len(),
            "median_ms": median, "min_ms": times[0], "max_ms": times[times.len() - 1],
            "dispatches": program.dispatches.len(), "kernels": artifact.kernels.len(),
            "planned_bytes": build::peak(artifact, program), "allocated_bytes": session.allocated_bytes(),
            "compile_ms": compile_ms, "first_step_ms": first_step_ms,
        });
        output::line(&line.to_string());
    } else {
        output::line(&format!(
            "{} {}, batch {}: {median:.3} ms a step (min {:.3}, max {:.3}, {} steps), {:.0} examples/s",
            artifact.model,
            role,
            program.batch,
            times[0],
            times[times.len() - 1],
            times.len(),
            program.batch as f64 / median * 1e3,
        ));
        output::line(&format!(
            "{} dispatches, {} kernels, {} planned; compiled in {compile_ms:.0} ms, first step after {first_step_ms:.0} ms",
            program.dispatches.len(),
            artifact.kernels.len(),
            output::size(build::peak(artifact, program)),
        ));
    }
    if !arguments.kernels {
        return Ok(());
    }
    let rounds = ((KERNELS.as_secs_f64() * 1e3 / median) as usize).clamp(1, 50);
    table(&mut session, &compiled, bundle.sources(), role, rounds, arguments.json)
}

/// The times between results, in milliseconds.
fn time_steps(session: &mut Session, role: Role, clock: &Clock, steps: usize) -> Result<Vec<f64>, Failure> {
    let mut step = clock.step;
    let mut submit = |session: &mut Session| {
        step += 1;
        session.submit_again(role, &Clock { step, ..*clock })
    };
    let warm_until = Instant::now() + WARM_UP;
    submit(session)?;
    let mut warm = 0;
    while Instant::now() < warm_until || warm < 2 {
        submit(session)?;
        session.collect()?;
        warm += 1;
    }
    let mut times = Vec::with_capacity(steps);
    let mut last = Instant::now();
    for _ in 0..steps {
        submit(session)?;
        session.collect()?;
        times.push(milliseconds(last.elapsed()));
        last = Instant::now();
    }
    while session.collect()?.is_some() {}
    Ok(times)
}

/// A row for each dispatch, then one for each line of the model: time, share, the bytes that are to be read and
/// written, and these by the time.
fn table(
    session: &mut Session,
    compiled: &Compiled,
    sources: &Sources,
    role: Role,
    rounds: usize,
    json: bool,
) -> Result<(), Failure> {
    let Some(times) = session.time_dispatches(role, rounds)? else {
        output::note("this adapter cannot time single dispatches");
        return Ok(());
    };
    let (artifact, built) = (&compiled.artifact, &compiled.programs[0]);
    let program = session.program(role)?;
    let total: f64 = times.iter().sum();
    let bytes: Vec<u64> = traffic(built).into_iter().flatten().collect();
    let heading = ["ms", "%", "MB", "GB/s", "kernel", "computes", "at"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for ((dispatch, nanoseconds), bytes) in program.dispatches.iter().zip(&times).zip(bytes) {
        let kernel = &artifact.kernels[dispatch.kernel].name;
        let at = place(dispatch.origin.as_ref());
        if json {
            let line = json!({
                "kernel": kernel, "computes": dispatch.label, "at": at, "ms": nanoseconds / 1e6, "bytes": bytes,
                "gb_per_s": bytes as f64 / nanoseconds,
            });
            output::line(&line.to_string());
        }
        let measured = measured(*nanoseconds, bytes, total);
        rows.push([measured.to_vec(), vec![kernel.clone(), dispatch.label.clone(), at]].concat());
    }
    let heading = ["ms", "%", "MB", "GB/s", "dispatches", "at", "line"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for line in account(built, &compiled.rows, sources, session.device().profile()) {
        let of_kernel = |kernel: &KernelAccount| kernel.first..kernel.first + kernel.dispatches;
        let nanoseconds: f64 = line.kernels.iter().flat_map(of_kernel).map(|at| times[at]).sum();
        let (dispatches, bytes) = (line.dispatches(), line.bytes());
        if dispatches == 0 {
            continue;
        }
        let source = sources.source(line.span.file);
        let at = format!("{}:{}", source.path(), source.line_of(line.span.start) + 1);
        if json {
            let line = json!({
                "at": at, "line": line.text, "dispatches": dispatches, "ms": nanoseconds / 1e6,
                "share": nanoseconds / total, "bytes": bytes, "gb_per_s": bytes as f64 / nanoseconds,
            });
            output::line(&line.to_string());
        }
        let measured = measured(nanoseconds, bytes, total);
        lines.push([measured.to_vec(), vec![dispatches.to_string(), at, line.text]].concat());
    }
    if !json {
        output::write(&output::table(&rows, &[0, 1, 2, 3]));
        output::line("");
        output::write(&output::table(&lines, &[0, 1, 2, 3, 4]));
        output::line(&format!("{:.3} ms in all dispatches", total / 1e6));
    }
    Ok(())
}

/// Milliseconds, per cent of the whole, megabytes, and gigabytes a second.
fn measured(nanoseconds: f64, bytes: u64, total: f64) -> [String; 4] {
    let bytes = bytes as f64;
    [
        format!("{:.4}", nanoseconds / 1e6),
        format!("{:.1}", nanoseconds / total * 100.0),
        format!("{:.2}", bytes / 1e6),
        // What is done together with a dispatch before takes no time of its own.
        format!("{:.1}", if nanoseconds > 0.0 { bytes / nanoseconds } else { 0.0 }),
    ]
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
