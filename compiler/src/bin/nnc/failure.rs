//! How a command fails.

use nnc_runtime::cause::cause;

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
    pub(crate) text: String,
    /// With `--json`.
    pub(crate) json: serde_json::Value,
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
