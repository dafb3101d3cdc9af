//! `nnc check FILE...`: everything that can be known without a device.

use std::path::PathBuf;
use std::sync::Arc;

use nnc::diagnostic::{Checked, Colour, Diagnostic, render};
use nnc_wgsl::PROFILES;

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
    /// One JSON object for each diagnostic on stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut errors = 0;
    for file in &arguments.files {
        let Checked { value: bundle, mut diagnostics } = model::load(file, &arguments.settings)?;
        let bundle = Arc::new(bundle);
        if !diagnostics.iter().any(Diagnostic::is_error) {
            let request = arguments.settings.request(&model::profile(PROFILES[0])?, &[], None);
            diagnostics.extend(nnc::check(&bundle, &request));
        }
        for diagnostic in &diagnostics {
            if arguments.json {
                output::line(&diagnostic.to_json(bundle.sources()).to_string());
            } else {
                output::note(&render(diagnostic, bundle.sources(), Colour::Ansi));
            }
        }
        errors += diagnostics.iter().filter(|d| d.is_error()).count();
        if !arguments.json && diagnostics.is_empty() {
            output::note(&format!("{}: no errors", file.display()));
        }
    }
    if errors == 0 { Ok(()) } else { Err(Failure::Wrong) }
}
