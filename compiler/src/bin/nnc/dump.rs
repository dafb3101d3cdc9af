//! `nnc dump STAGE FILE`: what a model becomes on its way.

use nnc::compile::{Step, compile_observed};
use nnc::diff::diff;
use nnc::elaborate::Bundle;
use nnc::{Compiled, Request, ir, plan, syntax};
use nnc_runtime::artifact::Role;
use nnc_runtime::session::place;
use nnc_wgsl::{Profile, Target, Translation, translate};

use crate::failure::Failure;
use crate::model::{self, ModelArguments};
use crate::output;
use crate::passes::{self, PassArguments};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to print.
    stage: Stage,
    #[command(flatten)]
    model: ModelArguments,
    /// Which program; the training step if the file has one.
    #[arg(long)]
    role: Option<RoleName>,
    /// The kind of device.
    #[arg(long, value_name = "PROFILE", default_value = "webgpu-default")]
    target: String,
    /// Examples a step.
    #[arg(long)]
    batch: Option<usize>,
    /// With `optimized`: the graph after this pass instead of the last one.
    #[arg(long, value_name = "PASS", conflicts_with_all = ["before", "changes"])]
    after: Option<String>,
    /// With `optimized`: the graph before this pass.
    #[arg(long, value_name = "PASS", conflicts_with = "changes")]
    before: Option<String>,
    /// With `optimized`: what this pass changes in the graph, line by line.
    #[arg(long, value_name = "PASS")]
    changes: Option<String>,
    #[command(flatten)]
    passes: PassArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Stage {
    /// The words of the text.
    Tokens,
    /// The syntax tree.
    Ast,
    /// The typed graph.
    Graph,
    /// The graph with gradients and the update.
    Gradient,
    /// The graph after the passes.
    Optimized,
    /// The dispatches.
    Kernels,
    /// The text of all kernels.
    Wgsl,
    /// All kernels in the Metal shading language.
    Msl,
    /// All kernels as SPIR-V words.
    Spirv,
    /// All kernels in HLSL.
    Hlsl,
    /// The memory plan.
    Plan,
}

/// A program of a model.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum RoleName {
    Train,
    Evaluate,
    Infer,
    Gradient,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = match arguments.stage {
        Stage::Tokens => return tokens(arguments),
        Stage::Ast => {
            let bundle = arguments.model.load()?;
            syntax::dump_file(bundle.main(), bundle.sources().source(bundle.main_file()))
        }
        Stage::Graph | Stage::Gradient | Stage::Optimized => graph(arguments)?,
        Stage::Kernels => kernels(&compiled(arguments)?),
        Stage::Wgsl => sources(&compiled(arguments)?, |kernel| Ok(kernel.wgsl.clone()))?,
        Stage::Msl => translated(&compiled(arguments)?, Target::Msl)?,
        Stage::Spirv => translated(&compiled(arguments)?, Target::Spirv)?,
        Stage::Hlsl => translated(&compiled(arguments)?, Target::Hlsl)?,
        Stage::Plan => {
            let compiled = compiled(arguments)?;
            let printed = compiled
                .programs
                .iter()
                .map(|b| plan::print(&b.graph, &b.lowered, &b.plan, &compiled.storage));
            printed.collect()
        }
    };
    output::write(&text);
    Ok(())
}

fn tokens(arguments: &Arguments) -> Result<(), Failure> {
    let file = &arguments.model.file;
    let text = std::fs::read_to_string(file).map_err(|e| Failure::file(file, &e))?;
    let mut sources = nnc::source::Sources::new();
    let id = sources.add(file.to_string_lossy(), text);
    let lexed = syntax::lex(sources.source(id));
    output::write(&syntax::dump_tokens(&lexed.value, sources.source(id)));
    model::report(&lexed.diagnostics, &sources)
}

/// The program that is named, or else the training step if the file has one.
pub(crate) fn role(name: Option<RoleName>, bundle: &Bundle) -> Role {
    match name {
        Some(RoleName::Train) => Role::Train,
        Some(RoleName::Evaluate) => Role::Evaluate,
        Some(RoleName::Infer) => Role::Infer,
        Some(RoleName::Gradient) => Role::Gradient,
        None if model::has_training(bundle) => Role::Train,
        None => Role::Infer,
    }
}

fn compiled(arguments: &Arguments) -> Result<Compiled, Failure> {
    let bundle = arguments.model.load()?;
    let profile = model::profile(&arguments.target)?;
    let request = request(arguments, &profile, &bundle)?;
    model::finish(nnc::compile(&bundle, &request), &bundle, &arguments.model.settings)
}

fn request(arguments: &Arguments, profile: &Profile, bundle: &Bundle) -> Result<Request, Failure> {
    let request = arguments.model.request(profile, &[role(arguments.role, bundle)], arguments.batch);
    Ok(Request { selection: arguments.passes.selection()?, ..request })
}

fn graph(arguments: &Arguments) -> Result<String, Failure> {
    let bundle = arguments.model.load()?;
    let profile = model::profile(&arguments.target)?;
    let request = request(arguments, &profile, &bundle)?;
    let pass = [&arguments.after, &arguments.before, &arguments.changes].into_iter().flatten().next();
    let runs = pass.map(|name| passes::runs_of(name)).transpose()?;
    let print = if arguments.changes.is_some() { ir::print_stable } else { ir::print };
    let (mut before, mut after) = (None, None);
    let compiled = compile_observed(&bundle, &request, |_, step, graph| {
        let is_wanted = |name: &String| runs.as_ref().is_none_or(|runs| runs.contains(name));
        match (step, arguments.stage) {
            (Step::Elaborated, Stage::Graph) | (Step::Differentiated, Stage::Gradient) => {
                after = Some(print(graph));
            }
            (Step::Before(run), Stage::Optimized) if before.is_none() && is_wanted(&run.name) => {
                before = Some(print(graph));
            }
            (Step::Optimized(run), Stage::Optimized) if is_wanted(&run.name) => after = Some(print(graph)),
            _ => {}
        }
    });
    model::finish(compiled, &bundle, &arguments.model.settings)?;
    let missing = || match pass {
        Some(name) => Failure::new(format!("`{name}` was left out; name another pass")),
        None => Failure::new("this program has no such stage; name another with `--role`"),
    };
    let (before, after) = (before.ok_or_else(missing), after.ok_or_else(missing));
    match (&arguments.before, &arguments.changes) {
        (Some(_), _) => before,
        (None, Some(_)) => Ok(diff(&before?, &after?)),
        (None, None) => after,
    }
}

fn kernels(compiled: &Compiled) -> String {
    let mut text = String::new();
    for program in &compiled.artifact.programs {
        let header = ["#", "kernel", "workgroups", "computes", "at"].map(str::to_owned).to_vec();
        let rows = program.dispatches.iter().enumerate().map(|(place_in_program, dispatch)| {
            let [x, y, z] = dispatch.workgroups;
            vec![
                place_in_program.to_string(),
                compiled.artifact.kernels[dispatch.kernel].name.clone(),
                format!("{x}x{y}x{z}"),
                dispatch.label.clone(),
                place(dispatch.origin.as_ref()),
            ]
        });
        text += &output::table(&std::iter::once(header).chain(rows).collect::<Vec<_>>(), &[0]);
    }
    text
}

fn sources(
    compiled: &Compiled,
    print: impl Fn(&nnc_wgsl::Kernel) -> Result<String, Failure>,
) -> Result<String, Failure> {
    let mut text = String::new();
    for (place, kernel) in compiled.artifact.kernels.iter().enumerate() {
        text += &format!("// kernel {place}: {}\n{}\n", kernel.name, print(kernel)?.trim_end());
    }
    Ok(text)
}

fn translated(compiled: &Compiled, target: Target) -> Result<String, Failure> {
    sources(compiled, |kernel| {
        Ok(match translate(kernel, target)? {
            Translation::Text(text) => text,
            Translation::Words(words) => {
                let lines = words
                    .chunks(8)
                    .map(|line| line.iter().map(|word| format!("{word:08x}")).collect::<Vec<_>>().join(" "));
                lines.collect::<Vec<_>>().join("\n")
            }
        })
    })
}
