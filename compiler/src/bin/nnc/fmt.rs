//! `nnc fmt FILE...`: files in their canonical layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnc::elaborate::{self, Expansion};
use nnc::format;
use nnc::source::Sources;
use nnc_runtime::durable;

use crate::failure::Failure;
use crate::model::{self, Settings};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Writes nothing, and names the files that would change.
    #[arg(long)]
    check: bool,
    /// Writes the checked shapes behind the lines of the model's pipelines.
    #[arg(long)]
    shapes: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut wrong = false;
    for file in &arguments.files {
        let text = model::text(file)?;
        let formatted = match formatted(arguments, file, &text) {
            Err(Failure::Mistakes(said)) => {
                said.iter().for_each(|one| one.print(false));
                wrong = true;
                continue;
            }
            other => other?,
        };
        if formatted == text {
            continue;
        }
        if arguments.check {
            output::line(&file.display().to_string());
            wrong = true;
        } else {
            durable::write(file, formatted.as_bytes())?;
        }
    }
    if wrong { Err(Failure::Wrong) } else { Ok(()) }
}

fn formatted(arguments: &Arguments, file: &Path, text: &str) -> Result<String, Failure> {
    let path = file.to_string_lossy();
    let mut sources = Sources::new();
    let id = sources.add(path.as_ref(), text);
    let plain = model::accept(format::format(sources.source(id)), &sources)?;
    if !arguments.shapes {
        return Ok(plain);
    }
    let bundle = Arc::new(model::finish_load(file, &plain, &arguments.settings)?);
    let trained = model::has_training(&bundle);
    let expansion = if trained { Expansion::Training } else { Expansion::Inference };
    let request = arguments.settings.expansion_of(&bundle, expansion);
    let elaborated = model::finish(elaborate::elaborate(&bundle, &request), &bundle, &arguments.settings)?;
    let main = bundle.sources().source(bundle.main_file());
    let shown = format::with_shapes(main, bundle.main(), &elaborated.model, &elaborated.stages);
    let mut sources = Sources::new();
    let id = sources.add(path.as_ref(), shown);
    model::accept(format::format(sources.source(id)), &sources)
}
