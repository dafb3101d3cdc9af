//! `nnc verify FILE`: every kernel against its meaning in f64, on this device.

use nnc::Request;
use nnc::verify::{TOLERANCE, Verifiable, verify};
use nnc_runtime::session::place;
use nnc_runtime::{Clock, Session};
use serde_json::json;

use crate::bisect;
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
    /// Examples a step; the meaning is computed one number at a time, so few are enough.
    #[arg(long, default_value_t = 4, value_parser = model::batch)]
    batch: usize,
    #[command(flatten)]
    passes: PassArguments,
    /// Finds the pass, and its rewrite, that makes a result differ from its meaning.
    #[arg(long, conflicts_with_all = ["skip", "until"])]
    bisect: bool,
    /// One JSON object for each value on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let device = arguments.device.open()?;
    let bundle = arguments.model.load()?;
    let roles = model::all_roles(&bundle);
    let request = arguments.model.request(device.profile(), &roles, Some(arguments.batch));
    let request = Request { selection: arguments.passes.selection()?, ..request };
    if arguments.bisect {
        return bisect::run(&arguments.model, &bundle, &request, &device, arguments.json);
    }
    let compiled = model::finish(nnc::compile(&bundle, &request), &bundle, &arguments.model.settings)?;
    let mut session = Session::open(&compiled.artifact, &device)?;
    let seed = compiled.artifact.training.as_ref().map_or(0, |t| t.seed);
    let (mut checked, mut wrong) = (0, 0);
    for built in &compiled.programs {
        session.initialize(seed)?;
        let Some(batch) = sample::batch(&compiled.artifact, built.role) else { continue };
        let clock = Clock::single(seed, batch.examples as u64);
        let program = Verifiable { graph: &built.graph, lowered: &built.lowered, plan: &built.plan };
        let findings = verify(&mut session, &compiled.artifact, built.role, &program, &batch, &clock)?;
        let (mut worst, mut failed) = (0.0_f64, 0);
        for finding in &findings {
            worst = worst.max(finding.error);
            let right = finding.is_right();
            failed += usize::from(!right);
            let at = place(finding.origin.as_ref());
            if arguments.json {
                let line = json!({
                    "program": built.role.to_string(), "kernel": finding.stage, "label": finding.label,
                    "operator": finding.operator, "at": at, "error": finding.error, "right": right,
                });
                output::line(&line.to_string());
            } else if !right {
                output::line(&format!(
                    "wrong: {} kernel {} (`{}`), `{}` at {at}: off by {:.1e}, more than {TOLERANCE:.0e}",
                    built.role, finding.stage, finding.label, finding.operator, finding.error
                ));
            }
        }
        let role = built.role.to_string();
        output::note(&format!("{role}: {} values, {failed} wrong, worst error {worst:.1e}", findings.len()));
        checked += findings.len();
        wrong += failed;
    }
    if wrong > 0 {
        output::note(&format!("{wrong} of {checked} values are wrong on {}", device.name()));
        return Err(Failure::Wrong);
    }
    if !arguments.json {
        output::line(&format!("all {checked} values of all kernels are right on {}", device.name()));
    }
    Ok(())
}
