//! The files of the data, as far as they are there, held against the fields that they feed.
//!
//! A model is checked where its data may be missing, so that a missing file is a warning; one that is there and feeds
//! other fields is an error, as it is to `nnc train`. The readers of `nnc-runtime` read; nothing here opens a file.

use std::path::Path;

use nnc_runtime::artifact::{Data, Location, Part};
use nnc_runtime::data::{self, DataError};

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::Bundle;
use crate::source::Span;
use crate::syntax::ast::{ItemKind, SettingKind};

/// Files up to this many bytes are read whole; of larger ones the header is.
const READ_WHOLE: u64 = 32 << 20;

/// What the files of `data` are not that the model says of them. Relative paths start at `base`; `bytes_of` tells how
/// long a file is, of a folder the most, and nothing where there is neither.
#[must_use]
pub fn look_into(
    bundle: &Bundle,
    data: &Data,
    base: &Path,
    bytes_of: &dyn Fn(&Path) -> Option<u64>,
) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    for part in &data.parts {
        let span = part.origin.as_ref().and_then(|origin| place_of(bundle, origin));
        let span = span.unwrap_or_else(|| Span::new(bundle.main_file(), 0, 0));
        let lengths: Vec<Option<u64>> = part.paths.iter().map(|path| length(base, path, bytes_of)).collect();
        let missing: Vec<&str> = part
            .paths
            .iter()
            .zip(&lengths)
            .filter(|(_, length)| length.is_none())
            .map(|(path, _)| path.as_str())
            .collect();
        if let Some(first) = missing.first() {
            if !missing.iter().all(|path| told.contains(path)) {
                found.push(not_there(part, first, missing.len() - 1, span));
            }
            told.extend(missing);
            continue;
        }
        let whole = lengths.iter().flatten().all(|length| *length <= READ_WHOLE);
        let alone = Data { parts: vec![part.clone()], ..data.clone() };
        let read = if whole {
            data::open(&alone, &part.name, base).map(|_| ())
        } else {
            data::stored_elements(&alone, base).map(|_| ())
        };
        if let Err(error) = read {
            found.push(does_not_feed(part, error, span));
        }
    }
    found
}

/// The bytes of the file, or of its packed form.
fn length(base: &Path, path: &str, bytes_of: &dyn Fn(&Path) -> Option<u64>) -> Option<u64> {
    bytes_of(&base.join(path)).or_else(|| bytes_of(&base.join(format!("{path}.gz"))))
}

fn not_there(part: &Part, first: &str, others: usize, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::warning("W0505", format!("there is no data file `{first}`"), span)
        .fact(format!("the part `{}` is read from it", part.name))
        .help("put it there, or write its path from the folder of this file; only training and measuring need it");
    if others == 0 { diagnostic } else { diagnostic.note(format!("{others} more of its files are missing")) }
}

fn does_not_feed(part: &Part, error: DataError, span: Span) -> Diagnostic {
    let error = match error {
        DataError::At { error, .. } => *error,
        other => other,
    };
    if let DataError::NoColumn { path, name, available } = &error {
        let file = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
        let similar = did_you_mean(name, available.iter().map(String::as_str));
        return Diagnostic::error("E0405", format!("`{file}` has no column `{name}`"), span)
            .fact(format!("the part `{}` cannot be read", part.name))
            .note(format!("it has {}", available.join(", ")))
            .help(similar.unwrap_or_else(|| "name columns of its header".to_owned()));
    }
    let text = error.to_string();
    let (message, help) = match text.rsplit_once("; ") {
        Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
        None => (text, None),
    };
    Diagnostic::error("E0405", message, span)
        .fact(format!("the part `{}` cannot be read", part.name))
        .help_maybe(help)
}

/// The source that stands at this line and column.
fn place_of(bundle: &Bundle, origin: &Location) -> Option<Span> {
    let settings = bundle.own_items().filter_map(|item| match &item.kind {
        ItemKind::Data(data) => Some(&data.settings.entries),
        _ => None,
    });
    let values = settings.flatten().filter_map(|setting| match &setting.kind {
        SettingKind::Value { value, .. } => Some(value.span),
        _ => None,
    });
    values.into_iter().find(|span| {
        let source = bundle.sources().source(span.file);
        let (line, column) = source.position(span.start);
        source.path() == origin.file
            && u32::try_from(line) == Ok(origin.line)
            && u32::try_from(column) == Ok(origin.column)
    })
}
