//! What is wrong with a model, said in the terms of its text.
//!
//! A [`Diagnostic`] names a fact, the place that shows it, the places that explain it, and what to write
//! instead. [`render`] prints it; [`Diagnostic::to_json`] gives the same to editors.

mod codes;
mod findings;
mod render;
mod similar;

use serde::Serialize;
use serde_json::{Value, json};

use crate::source::{Sources, Span};

pub use codes::{CODES, explain};
pub use findings::{Findings, MOST};
pub use render::{Colour, render, render_all};
pub use similar::{counted, did_you_mean, nearest};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The model has no meaning.
    Error,
    /// The model has a meaning that is probably not the intended one.
    Warning,
}

/// A place and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The fact, possibly empty.
    pub message: String,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its number, such as `E0301`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, one sentence.
    pub message: String,
    /// Where it shows.
    pub primary: Label,
    /// The places that explain it.
    pub secondary: Vec<Label>,
    /// Further facts.
    pub notes: Vec<String>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// The error `code` at `span`.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: Label { span, message: String::new() },
            secondary: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// The warning `code` at `span`.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message, span) }
    }

    /// With the fact at the primary place.
    #[must_use]
    pub fn fact(mut self, message: impl Into<String>) -> Diagnostic {
        self.primary.message = message.into();
        self
    }

    /// With a further place.
    #[must_use]
    pub fn label(mut self, span: Span, message: impl Into<String>) -> Diagnostic {
        self.secondary.push(Label { span, message: message.into() });
        self
    }

    /// With a further fact.
    #[must_use]
    pub fn note(mut self, message: impl Into<String>) -> Diagnostic {
        self.notes.push(message.into());
        self
    }

    /// With what to write instead.
    #[must_use]
    pub fn help(mut self, message: impl Into<String>) -> Diagnostic {
        self.help = Some(message.into());
        self
    }

    /// With what to write instead, where that is known.
    #[must_use]
    pub fn help_maybe(mut self, message: Option<String>) -> Diagnostic {
        self.help = message.or(self.help);
        self
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same for editors: lines and columns from 1, columns in characters.
    #[must_use]
    pub fn to_json(&self, sources: &Sources) -> Value {
        let place = |label: &Label, primary: bool| {
            let source = sources.source(label.span.file);
            let (line, column) = source.position(label.span.start);
            let (end_line, end_column) = source.position(label.span.end);
            json!({
                "file": source.path(), "line": line, "column": column,
                "end_line": end_line, "end_column": end_column,
                "message": label.message, "primary": primary,
            })
        };
        let mut labels = vec![place(&self.primary, true)];
        labels.extend(self.secondary.iter().map(|label| place(label, false)));
        json!({
            "code": self.code, "severity": self.severity, "message": self.message,
            "labels": labels, "notes": self.notes, "help": self.help,
        })
    }
}

/// A value and what there is to say about the text it came from.
#[derive(Clone, Debug)]
pub struct Checked<T> {
    /// The value; after an error, as much of it as has a meaning.
    pub value: T,
    /// What is wrong, in the order of the places.
    pub diagnostics: Vec<Diagnostic>,
}

impl<T> Checked<T> {
    /// A value without diagnostics.
    pub fn clean(value: T) -> Checked<T> {
        Checked { value, diagnostics: Vec::new() }
    }

    /// Whether any diagnostic is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The same diagnostics with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Checked<U> {
        Checked { value: change(self.value), diagnostics: self.diagnostics }
    }
}
