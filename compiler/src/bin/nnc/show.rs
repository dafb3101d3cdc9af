//! `nnc show FILE`: the layer table, and a picture; `nnc show --std NAME`: a definition of the standard library.

use std::path::{Path, PathBuf};

use nnc::diagnostic::did_you_mean;
use nnc::elaborate::{self, Elaborated, Expansion};
use nnc::figure::{dot, figure, svg};
use nnc::library;
use nnc::summary::{Summary, summarize};
use nnc_runtime::durable;
use serde_json::json;

use crate::failure::Failure;
use crate::model::{self, Settings};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model's file.
    #[arg(value_name = "FILE", required_unless_present = "std")]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Prints the definition of this name in the standard library, and the private ones that it needs.
    #[arg(long, value_name = "NAME")]
    std: Option<String>,
    /// Draws the model into a file that ends in `.svg`, or in `.dot` for Graphviz.
    #[arg(long, value_name = "OUT")]
    graph: Option<PathBuf>,
    /// With `--graph`: how many levels of blocks are opened.
    #[arg(long, value_name = "LEVELS", default_value_t = 2)]
    depth: usize,
    /// One JSON object for each layer on stdout, and one with the sums.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(name) = &arguments.std {
        return definition(name);
    }
    let Some(file) = &arguments.file else { return Err(Failure::new("FILE is missing")) };
    let checked = model::load(file, &arguments.settings)?;
    model::report(&checked.diagnostics, checked.value.sources())?;
    let bundle = std::sync::Arc::new(checked.value);
    let request = arguments.settings.expansion_of(&bundle, Expansion::Inference);
    let request = elaborate::Request { batch: Some(1), ..request };
    let elaborated = model::finish(elaborate::elaborate(&bundle, &request), &bundle, &arguments.settings)?;
    if let Some(out) = &arguments.graph {
        return draw(&elaborated, out, arguments.depth);
    }
    let summary = summarize(&elaborated);
    if arguments.json {
        print_json(&summary)
    } else {
        print_table(&summary)
    }
    Ok(())
}

fn definition(name: &str) -> Result<(), Failure> {
    let Some(text) = library::printed(name) else {
        let entries = library::entries();
        let names = entries.iter().map(|entry| entry.definition.name.text.as_str());
        let hint = did_you_mean(name, names).map_or(String::new(), |hint| format!("; {hint}"));
        return Err(Failure::new(format!("the standard library has no `{name}`{hint}")));
    };
    output::line(&text);
    Ok(())
}

fn draw(elaborated: &Elaborated, out: &Path, depth: usize) -> Result<(), Failure> {
    let figure = figure(elaborated, depth.max(1));
    let text = match out.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => svg(&figure),
        Some("dot" | "gv") => dot(&figure),
        _ => return Err(Failure::new(format!("`{}` ends in neither `.svg` nor `.dot`", out.display()))),
    };
    durable::write(out, text.as_bytes())?;
    output::note(&format!("{}: {} boxes, {} arrows", out.display(), figure.boxes.len(), figure.edges.len()));
    Ok(())
}

fn print_table(summary: &Summary) {
    let head = ["name", "operation", "output", "weights", "FLOPs", "bytes"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let number = |n: u64| if n == 0 { String::new() } else { grouped(n as usize) };
    for row in &summary.rows {
        let only = if row.training_only { " (training)" } else { "" };
        rows.push(vec![
            row.path.clone(),
            format!("{}{only}", row.operation),
            row.shape.clone(),
            number(row.weights as u64),
            number(row.flops),
            number(row.bytes),
        ]);
    }
    output::write(&output::table(&rows, &[3, 4, 5]));
    output::line(&format!(
        "{}: {} weights, {} states; one example takes {} FLOPs and {} of outputs",
        summary.model,
        grouped(summary.weights),
        grouped(summary.states),
        grouped(summary.flops as usize),
        output::size(summary.bytes),
    ));
}

fn print_json(summary: &Summary) {
    for row in &summary.rows {
        let line = json!({
            "name": row.path, "operation": row.operation, "output": row.shape, "weights": row.weights,
            "flops": row.flops, "bytes": row.bytes, "training_only": row.training_only,
        });
        output::line(&line.to_string());
    }
    let line = json!({
        "model": summary.model, "weights": summary.weights, "states": summary.states, "flops": summary.flops,
        "bytes": summary.bytes,
    });
    output::line(&line.to_string());
}

/// `11,689,512`
pub(crate) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for group in digits.as_bytes()[first..].chunks(3) {
        if !text.is_empty() {
            text.push(',');
        }
        text.extend(group.iter().map(|b| char::from(*b)));
    }
    text
}
