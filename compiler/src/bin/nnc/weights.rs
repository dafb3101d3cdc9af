//! `nnc weights FILE`: names and shapes of all weights and states.

use nnc::elaborate::{self, Expansion};
use nnc_runtime::artifact::StoredKind;
use serde_json::json;

use crate::failure::Failure;
use crate::model::{self, ModelArguments};
use crate::output;
use crate::show::grouped;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// One JSON object for each weight on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let bundle = arguments.model.load()?;
    let trained = model::has_training(&bundle);
    let expansion = if trained { Expansion::Training } else { Expansion::Inference };
    let request = arguments.model.settings.expansion(expansion);
    let elaborated =
        model::finish(elaborate::elaborate(&bundle, &request), &bundle, &arguments.model.settings)?;
    let stored = &elaborated.graph.stored;
    let mut rows = Vec::new();
    let mut total = 0;
    for tensor in stored.iter().filter(|t| matches!(t.kind, StoredKind::Weight | StoredKind::State)) {
        let kind = if tensor.kind == StoredKind::Weight { "weight" } else { "state" };
        if tensor.kind == StoredKind::Weight {
            total += tensor.ty.size();
        }
        if arguments.json {
            let element = tensor.ty.element.to_string();
            let line =
                json!({ "name": tensor.path, "kind": kind, "element": element, "shape": tensor.ty.shape });
            output::line(&line.to_string());
        }
        rows.push(vec![
            tensor.path.clone(),
            tensor.ty.to_string(),
            grouped(tensor.ty.size()),
            kind.to_owned(),
        ]);
    }
    if !arguments.json {
        output::write(&output::table(&rows, &[2]));
        output::line(&format!("{}: {} weights", elaborated.model, grouped(total)));
    }
    Ok(())
}
