//! `nnc explain CODE`: the long form of a diagnostic.

use nnc::diagnostic::explain;

use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The code, such as `E0301`.
    #[arg(value_name = "CODE")]
    code: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let code = arguments.code.to_uppercase();
    let text = explain(&code).ok_or_else(|| {
        Failure::new(format!("there is no diagnostic `{code}`; codes stand in `[ ]` before each message"))
    })?;
    output::line(text.trim_end());
    Ok(())
}
