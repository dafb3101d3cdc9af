//! What holds for every text whatever, a model or not: it is read, checked, formatted and complained about without a
//! panic, and every place that is named lies in it.
//!
//! The fuzz target in `tests/fuzz` includes this file as it is, so it names nothing but the compiler library.

use std::sync::Arc;

use nnc::diagnostic::{Colour, Diagnostic, render_all};
use nnc::elaborate::load;
use nnc::format::{content, format};
use nnc::source::{Loader, Sources, Span};
use nnc::syntax::{lex, parse};
use nnc::{Request, check};
use nnc_wgsl::Profile;

/// What was said about a text.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Whether it can be read.
    pub reads: bool,
    /// The codes of all diagnostics, in order.
    pub codes: Vec<&'static str>,
}

impl Said {
    /// Whether nothing is wrong with the text; warnings do not count.
    #[must_use]
    pub fn checks(&self) -> bool {
        !self.codes.iter().any(|code| code.starts_with('E'))
    }
}

/// Does to `text` what the commands that read a model do, and holds it against what holds for every text.
///
/// # Panics
/// When something does not hold: a mistake of the compiler.
pub fn examine(text: &str, dims: &[(String, usize)], loader: &dyn Loader) -> Said {
    let loaded = load("model.nn", text, &[], loader);
    let reads = !loaded.has_errors();
    let mut found = loaded.diagnostics;
    let bundle = Arc::new(loaded.value);
    if reads {
        let profile = Profile::named("webgpu-default").expect("the profile exists");
        let request = Request { dims: dims.to_vec(), ..Request::new(profile, &[]) };
        found.extend(check(&bundle, &request));
    }
    printable(&found, bundle.sources());
    formatted(text);
    Said { reads, codes: found.iter().map(|diagnostic| diagnostic.code).collect() }
}

/// Every place that `found` names lies in its text, and all of it can be printed.
fn printable(found: &[Diagnostic], sources: &Sources) {
    for diagnostic in found {
        for label in std::iter::once(&diagnostic.primary).chain(&diagnostic.secondary) {
            let Span { file, start, end } = label.span;
            let source = sources.iter().find(|source| source.id() == file);
            let inside =
                source.is_some_and(|source| source.text().get(start as usize..end as usize).is_some());
            assert!(inside, "{:?} lies in no text: {diagnostic:?}", label.span);
        }
        let json = diagnostic.to_json(sources);
        assert!(json["labels"][0]["line"].as_u64() >= Some(1), "{json}");
    }
    for colour in [Colour::Never, Colour::Ansi] {
        let printed = render_all(found, sources, colour);
        assert!(printed.is_empty() == found.is_empty(), "{printed}");
    }
}

/// What can be read can be formatted, says the same then, and is not changed by formatting it again.
fn formatted(text: &str) {
    let mut sources = Sources::new();
    let id = sources.add("model.nn", text);
    let source = sources.source(id);
    let Some(once) = format(source).value else { return };
    let words = content(source, &lex(source).value);
    let mut sources = Sources::new();
    let id = sources.add("model.nn", once.clone());
    let source = sources.source(id);
    assert!(!parse(source).has_errors(), "what was formatted cannot be read any more:\n{once}");
    assert!(words == content(source, &lex(source).value), "formatting changes the words:\n{once}");
    let twice = format(source).value;
    assert!(twice.as_deref() == Some(once.as_str()), "formatting again changes:\n{once}\nto:\n{twice:?}");
}
