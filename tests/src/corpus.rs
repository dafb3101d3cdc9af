//! The model texts of the project: the examples, the models, the cases, the library, and the reference's blocks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nnc::source::Loader;

use crate::workspace;

/// Folders with models.
const FOLDERS: [&str; 5] = ["tests/examples", "models", "tests/goldens", "tests/cases", "compiler/std"];

/// A text.
#[derive(Clone, Debug)]
pub struct Text {
    /// Where it stands in the workspace.
    pub path: String,
    /// Its letters.
    pub text: String,
}

/// All texts, in the order of their paths.
///
/// # Panics
/// If one cannot be read.
#[must_use]
pub fn corpus() -> Vec<Text> {
    let mut out = Vec::new();
    for folder in FOLDERS {
        let mut paths = Vec::new();
        below(&workspace::root().join(folder), &mut paths);
        paths.sort();
        out.extend(paths.iter().map(|path| Text { path: shown(path), text: read(path) }));
    }
    let path = "docs/language.md";
    let blocks = blocks(&read(&workspace::root().join(path)));
    out.extend(blocks.into_iter().map(|(line, text)| Text { path: format!("{path}:{line}"), text }));
    out
}

/// A loader of the texts of `corpus` by their file names: what one of them uses stands beside it.
#[must_use]
pub fn shelf(corpus: &[Text]) -> impl Loader + use<> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    Shelf(corpus.iter().map(|text| (name(&text.path), text.text.clone())).collect())
}

struct Shelf(BTreeMap<String, String>);

impl Loader for Shelf {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        let text = self.0.get(path).ok_or_else(|| "there is no such file".to_owned())?;
        Ok((path.to_owned(), text.clone()))
    }
}

/// Line and text of every fenced block of models in `text`.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match &mut open {
            None if line == "```nn" => open = Some((number + 1, String::new())),
            None => {}
            Some(_) if line.starts_with("```") => out.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    out
}

fn below(folder: &Path, out: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("cannot list {}: {e}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|e| panic!("cannot list {}: {e}", folder.display())).path();
        if path.is_dir() {
            below(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "nn") {
            out.push(path);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(workspace::root()).unwrap_or(path).display().to_string()
}
