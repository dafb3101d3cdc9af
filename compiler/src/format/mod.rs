//! A file in its canonical layout.
//!
//! | step | module |
//! |---|---|
//! | tokens and the comments between them, one list | `words` |
//! | which two words have a space between them | `spacing` |
//! | brackets and statements as a tree | `tree` |
//! | lines: where they break and how far they are indented | `layout` |
//! | columns: `=` under `=` | `align` |
//!
//! The layout: two spaces a level; one blank line between items and at most one inside a body; a pipeline that does not
//! fit a line, or was broken by its author, goes down the page with leading arrows; `=` is aligned in `data` and
//! `train`, and elsewhere where the author aligned it; comments stay where they are. A body, an update or a group
//! stays on one line if it was written on one and fits. Formatting changes neither words nor comments, only the white
//! space and `;` between them, and formatting again changes nothing.

mod align;
mod layout;
mod print;
mod shapes;
mod spacing;
mod tree;
mod words;

use crate::diagnostic::Checked;
use crate::source::{Source, Sources};
use crate::syntax;
use crate::syntax::token::{Kind, Token};

pub use shapes::with_shapes;

/// Columns of a line; a longer one is broken where that is possible.
pub const WIDTH: usize = 120;

/// A body that had to be broken because it did not fit is one that its author broke when it is laid out again, and what
/// stands around it can then stand closer. So a text is laid out until nothing changes, which takes two turns, or one
/// more for every few levels of nesting; so many at most.
const SETTLED: usize = 12;

/// `source` in its canonical layout. The value is absent where the text cannot be read.
///
/// # Panics
///
/// When the result would say something else than `source`, which is a mistake of this module.
#[must_use]
pub fn format(source: &Source) -> Checked<Option<String>> {
    let parsed = syntax::parse(source);
    if parsed.has_errors() {
        return parsed.map(|_| None);
    }
    let tokens = syntax::lex(source).value;
    let mut text = laid_out(source, &tokens);
    for _ in 0..SETTLED {
        let mut sources = Sources::new();
        let id = sources.add(source.path(), text.clone());
        let found = syntax::lex(sources.source(id)).value;
        assert!(
            content(source, &tokens) == content(sources.source(id), &found),
            "formatting changes white space only, and not in `{}`",
            source.path()
        );
        let again = laid_out(sources.source(id), &found);
        if again == text {
            break;
        }
        text = again;
    }
    Checked { value: Some(text), diagnostics: parsed.diagnostics }
}

fn laid_out(source: &Source, tokens: &[Token]) -> String {
    let mut words = words::words(source, tokens);
    spacing::settle(&mut words);
    let lines = layout::layout(&words, &tree::file(&words));
    let pads = align::pads(&words, &lines);
    print::print(&words, &lines, &pads)
}

/// What a text says: its words, its comments and where its statements end.
#[must_use]
pub fn content(source: &Source, tokens: &[Token]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let (mut begins, mut after_attribute) = (true, false);
    for word in words::words(source, tokens) {
        if let Some(kind) = word.kind {
            if word.ends_statement_before && !begins && !after_attribute && kind != Kind::CloseBrace {
                out.push(";".to_owned());
            }
            begins = kind == Kind::OpenBrace;
            after_attribute = word.closes_attribute;
        }
        out.push(word.text.to_owned());
    }
    out
}
