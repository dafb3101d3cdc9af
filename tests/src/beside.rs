//! The files beside a model, for its `use` lines.

use std::fs;
use std::path::PathBuf;

use nnc::source::Loader;

/// A folder.
#[derive(Clone, Debug)]
pub struct Beside(pub PathBuf);

impl Loader for Beside {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        let text = fs::read_to_string(self.0.join(path)).map_err(|error| error.to_string())?;
        Ok((path.to_owned(), text))
    }
}
