//! `nnc explain CODE`: the long form of a diagnostic; `nnc explain FILE`: what became of every line of a model.

use std::path::PathBuf;

use nnc::Request;
use nnc::account::{LineAccount, account};
use nnc::diagnostic::explain;
use nnc_runtime::artifact::Role;
use serde_json::json;

use crate::dump::{RoleName, role};
use crate::failure::Failure;
use crate::model::{self, Settings};
use crate::output;
use crate::passes::PassArguments;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A code, such as `E0301`, or a model's file.
    #[arg(value_name = "CODE|FILE")]
    subject: String,
    #[command(flatten)]
    settings: Settings,
    /// Which program; the training step if the file has one.
    #[arg(long)]
    role: Option<RoleName>,
    /// The kind of device.
    #[arg(long, value_name = "PROFILE", default_value = "webgpu-default")]
    target: String,
    /// Examples a step.
    #[arg(long)]
    batch: Option<usize>,
    #[command(flatten)]
    passes: PassArguments,
    /// One JSON object for each line of the model on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let code = arguments.subject.to_uppercase();
    if let Some(text) = explain(&code) {
        output::line(text.trim_end());
        return Ok(());
    }
    if is_code(&code) {
        let message = format!("there is no diagnostic `{code}`; codes stand in `[ ]` before each message");
        return Err(Failure::new(message));
    }
    lines(arguments)
}

/// Whether it is a letter and four digits.
fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix(['E', 'W']);
    digits.is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn lines(arguments: &Arguments) -> Result<(), Failure> {
    let checked = model::load(&PathBuf::from(&arguments.subject), &arguments.settings)?;
    model::report(&checked.diagnostics, checked.value.sources())?;
    let bundle = std::sync::Arc::new(checked.value);
    let profile = model::profile(&arguments.target)?;
    let role = role(arguments.role, &bundle);
    let request = arguments.settings.request(&profile, &[role], arguments.batch);
    let request = Request { selection: arguments.passes.selection()?, ..request };
    let compiled = model::finish(nnc::compile(&bundle, &request), &bundle, &arguments.settings)?;
    for built in &compiled.programs {
        let lines = account(built, &compiled.rows, bundle.sources(), &profile);
        if arguments.json {
            lines.iter().for_each(|line| print_json(line, role, bundle.sources()));
            continue;
        }
        let kernels = built.lowered.stages.len();
        output::line(&format!("{role}: {kernels} kernels"));
        for line in &lines {
            output::line(&format!("\n{}  {}", place(line, bundle.sources()), line.text));
            if !line.kernels.is_empty() {
                let dispatches = line.dispatches();
                output::line(&format!(
                    "  {dispatches} dispatches, {} read and written",
                    output::size(line.bytes())
                ));
            }
            for fact in &line.facts {
                output::line(&format!("  {:<8}{}", fact.kind.word(), fact.text));
            }
        }
    }
    Ok(())
}

/// `model.nn:5`
fn place(line: &LineAccount, sources: &nnc::source::Sources) -> String {
    let source = sources.source(line.span.file);
    format!("{}:{}", source.path(), source.line_of(line.span.start) + 1)
}

fn print_json(line: &LineAccount, role: Role, sources: &nnc::source::Sources) {
    let facts: Vec<_> =
        line.facts.iter().map(|fact| json!({ "kind": fact.kind.word(), "text": fact.text })).collect();
    let text = json!({
        "program": role.to_string(), "at": place(line, sources), "line": line.text, "facts": facts,
        "dispatches": line.dispatches(), "bytes": line.bytes(),
    });
    output::line(&text.to_string());
}
