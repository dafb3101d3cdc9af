//! How a command fails.

use nnc::diagnostic::{Colour, Diagnostic, render};
use nnc::source::Sources;
use nnc_runtime::cause::cause;

use crate::output;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A check failed; everything has been said. Exit code 1.
    Wrong,
    /// The model has errors. Exit code 1.
    Mistakes(Vec<Said>),
    /// Anything else, in one line. Exit code 2.
    Stopped(String),
}

/// A diagnostic, as it is printed.
#[derive(Debug)]
pub(crate) struct Said {
    /// For people.
    text: String,
    /// With `--json`.
    json: serde_json::Value,
}

impl Said {
    /// A diagnostic about these texts.
    pub(crate) fn of(diagnostic: &Diagnostic, sources: &Sources) -> Said {
        Said { text: render(diagnostic, sources, Colour::Ansi), json: diagnostic.to_json(sources) }
    }

    /// Prints it: to stderr for people, with `json` one line on stdout.
    pub(crate) fn print(&self, json: bool) {
        if json { output::line(&self.json.to_string()) } else { output::note(&self.text) }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Stopped(error.to_string())
    }
}

impl Failure {
    /// A failure with this line.
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure::Stopped(message.into())
    }

    /// A file that could not be read or written, and why.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Failure {
        Failure::new(format!("`{}`: {}", path.display(), cause(error)))
    }
}
