//! `nnc build FILE`: one artifact file with all programs of a model.

use std::path::PathBuf;

use nnc::Request;
use nnc::compile::compile_observed;
use nnc_runtime::artifact::{Artifact, StoredKind};
use nnc_runtime::{durable, format, weights};
use serde_json::json;

use crate::budget::BudgetArguments;
use crate::failure::Failure;
use crate::model::{self, ModelArguments};
use crate::output;
use crate::passes::{self, PassArguments, Watch};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The artifact's file; FILE with the ending `.nna` if left out.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// The kind of device.
    #[arg(long, value_name = "PROFILE", default_value = "webgpu-default")]
    target: String,
    /// Weights to put into the artifact.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Examples a step.
    #[arg(long, value_parser = model::batch)]
    batch: Option<usize>,
    /// Adds what each pass of the first program takes and saves: milliseconds, values before and after, and the
    /// dispatches and bytes of arenas where the passes end with it, and without it alone.
    #[arg(long)]
    passes: bool,
    #[command(flatten)]
    budget: BudgetArguments,
    #[command(flatten)]
    selection: PassArguments,
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let profile = model::profile(&arguments.target)?;
    let bundle = arguments.model.load()?;
    let roles = model::all_roles(&bundle);
    let request = arguments.model.request(&profile, &roles, arguments.batch);
    let request = arguments.budget.apply(Request { selection: arguments.selection.selection()?, ..request });
    let mut watch = Watch::new(roles[0]);
    let checked = compile_observed(&bundle, &request, |role, step, graph| {
        if arguments.passes {
            watch.see(role, step, graph);
        }
    });
    let compiled = model::finish(checked, &bundle, &arguments.model.settings)?;
    let bounds: Vec<u64> = compiled.programs.iter().map(|built| built.plan.lower_bound).collect();
    let mut artifact = compiled.artifact;
    let passes = arguments.passes.then(|| {
        let batch = artifact.programs[0].batch;
        passes::measured(watch, bundle.sources(), batch, &profile)
    });
    let passes = passes.flatten();
    if let Some(path) = &arguments.weights {
        put_weights(&mut artifact, path)?;
    }
    let out = arguments.output.clone().unwrap_or_else(|| arguments.model.file.with_extension("nna"));
    let bytes = format::write(&artifact);
    durable::write(&out, &bytes)?;
    let region = |kind| -> u64 { kind_bytes(&artifact, kind) };
    if arguments.json {
        let programs: serde_json::Map<String, serde_json::Value> = artifact
            .programs
            .iter()
            .zip(&bounds)
            .map(|(p, b)| (p.role.to_string(), program_json(p, *b)))
            .collect();
        let mut line = json!({
            "file": out.to_string_lossy(), "bytes": bytes.len(), "kernels": artifact.kernels.len(),
            "weight_bytes": region(StoredKind::Weight), "programs": programs,
        });
        if let Some(passes) = passes {
            line["passes"] = passes.json();
        }
        output::line(&line.to_string());
        return Ok(());
    }
    output::line(&format!("{}: {}", out.display(), output::size(bytes.len() as u64)));
    output::line(&format!(
        "{} kernels, weights {}, states {}, optimizer {}",
        artifact.kernels.len(),
        output::size(region(StoredKind::Weight)),
        output::size(region(StoredKind::State)),
        output::size(region(StoredKind::Optimizer) + region(StoredKind::Average)),
    ));
    let mut rows =
        vec![["program", "batch", "dispatches", "alive", "arenas", "peak"].map(str::to_owned).to_vec()];
    for (program, bound) in artifact.programs.iter().zip(bounds) {
        rows.push(vec![
            program.role.to_string(),
            program.batch.to_string(),
            program.dispatches.len().to_string(),
            output::size(bound),
            output::size(program.arenas.iter().sum()),
            output::size(peak(&artifact, program)),
        ]);
    }
    output::write(&output::table(&rows, &[1, 2, 3, 4, 5]));
    for program in artifact.programs.iter().filter(|program| !program.loads.is_empty()) {
        let (loads, window) = (program.loads.len(), program.windows.iter().sum());
        output::line(&format!("{}: {loads} loads of weights into {}", program.role, output::size(window)));
    }
    if let Some(passes) = passes {
        output::write(&format!("\n{}, pass by pass\n{}", artifact.programs[0].role, passes.text()));
    }
    Ok(())
}

/// All device memory that a program works in, in bytes.
pub(crate) fn peak(artifact: &Artifact, program: &nnc_runtime::artifact::Program) -> u64 {
    let resident = artifact.resident(&[program]);
    let regions = artifact.regions.iter().zip(resident).filter(|(_, resident)| *resident);
    let regions: u64 = regions.map(|(region, _)| region.bytes).sum();
    let working: u64 = program.arenas.iter().chain(&program.windows).sum();
    regions + working + program.input_bytes + program.output_bytes
}

fn program_json(program: &nnc_runtime::artifact::Program, bound: u64) -> serde_json::Value {
    let mut line = json!({
        "batch": program.batch, "dispatches": program.dispatches.len(),
        "alive_bytes": bound, "arena_bytes": program.arenas.iter().sum::<u64>(),
        "input_bytes": program.input_bytes, "output_bytes": program.output_bytes,
    });
    if !program.loads.is_empty() {
        line["window_bytes"] = program.windows.iter().sum::<u64>().into();
        line["loads"] = program.loads.len().into();
    }
    line
}

fn kind_bytes(artifact: &Artifact, kind: StoredKind) -> u64 {
    let tensors = artifact.tensors.iter().filter(|t| t.kind == kind);
    tensors.map(|t| t.element.bytes(t.shape.iter().product()) as u64).sum()
}

fn put_weights(artifact: &mut Artifact, path: &std::path::Path) -> Result<(), Failure> {
    for tensor in weights::load(path, &artifact.tensors)? {
        let given = artifact.give(&tensor.path, &tensor.bytes);
        assert!(given, "loaded weights have the paths and sizes of the artifact's");
    }
    Ok(())
}
