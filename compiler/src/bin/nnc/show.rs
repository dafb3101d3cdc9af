//! `nnc show FILE`: the layer table; `nnc show --std NAME`: a definition of the standard library.

use std::path::PathBuf;

use nnc::elaborate::{self, Expansion, Row};
use nnc::source::NoFiles;
use nnc_runtime::artifact::StoredKind;

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
    /// Prints the definition of this name in the standard library.
    #[arg(long, value_name = "NAME")]
    std: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(name) = &arguments.std {
        let library = elaborate::load("empty.nn", "", &[], &NoFiles).value;
        let text = library.library_text(name);
        let text = text.ok_or_else(|| Failure::new(format!("the standard library has no `{name}`")))?;
        output::line(text);
        return Ok(());
    }
    let Some(file) = &arguments.file else { return Err(Failure::new("FILE is missing")) };
    let checked = model::load(file, &arguments.settings)?;
    model::report(&checked.diagnostics, checked.value.sources())?;
    let bundle = std::sync::Arc::new(checked.value);
    let request = arguments.settings.expansion(Expansion::Inference);
    let elaborated = model::finish(elaborate::elaborate(&bundle, &request), bundle.sources())?;
    let stored = &elaborated.graph.stored;
    let count = |row: &Row| -> usize {
        let own = stored.iter().filter(|t| t.kind == StoredKind::Weight && row.weights.contains(&t.path));
        own.map(|t| t.ty.size()).sum()
    };
    let mut rows = vec![["name", "operation", "output", "weights"].map(str::to_owned).to_vec()];
    for row in &elaborated.rows {
        let weights = match count(row) {
            0 => String::new(),
            n => grouped(n),
        };
        rows.push(vec![row.path.clone(), row.operation.clone(), row.shape.clone(), weights]);
    }
    output::write(&output::table(&rows, &[3]));
    let total: usize = stored.iter().filter(|t| t.kind == StoredKind::Weight).map(|t| t.ty.size()).sum();
    output::line(&format!("{}: {} weights", elaborated.model, grouped(total)));
    Ok(())
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
