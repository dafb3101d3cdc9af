//! `nnc check FILE...`: everything that can be known without a device.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnc::diagnostic::{Checked, Findings};
use nnc::elaborate::Bundle;
use nnc::syntax::ast::{DefinitionKind, ItemKind};
use nnc_wgsl::PROFILES;

use crate::failure::{Failure, Said};
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
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut errors = 0;
    for file in &arguments.files {
        let Checked { value: bundle, diagnostics } = model::load(file, &arguments.settings)?;
        let bundle = Arc::new(bundle);
        let mut found = Findings::default();
        found.extend(diagnostics);
        if !found.has_errors() {
            let request = arguments.settings.request(&model::profile(PROFILES[0])?, &[], None);
            let examined = nnc::examine(&bundle, &request);
            found.extend(examined.diagnostics);
            let base = file.parent().unwrap_or(Path::new(""));
            for data in &examined.value {
                found.extend(nnc::look_into(&bundle, data, base, &|path| bytes_of(path)));
            }
        }
        let diagnostics = found.finish();
        for diagnostic in &diagnostics {
            Said::of(diagnostic, bundle.sources()).print(arguments.json);
        }
        errors += diagnostics.iter().filter(|d| d.is_error()).count();
        if !arguments.json && diagnostics.is_empty() {
            let none = if has_model(&bundle) { "" } else { "; it has no model" };
            output::note(&format!("{}: no errors{none}", file.display()));
        }
    }
    if errors == 0 { Ok(()) } else { Err(Failure::Wrong) }
}

/// The bytes of a file, more than any has for a folder; nothing where there is neither.
fn bytes_of(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|about| if about.is_file() { about.len() } else { u64::MAX })
}

fn has_model(bundle: &Bundle) -> bool {
    bundle.main().items.iter().any(|item| match &item.kind {
        ItemKind::Definition(definition) => definition.kind == DefinitionKind::Model,
        ItemKind::Train(_) => true,
        ItemKind::Use(_) | ItemKind::Const(_) | ItemKind::Data(_) => false,
    })
}
