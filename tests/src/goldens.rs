//! Which definitions of the library are held against numbers from elsewhere, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::workspace::root;

/// Where a definition is called by goldens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Golden {
    /// A file below `tests/goldens/`, and its cases that call the definition.
    pub cases: BTreeMap<String, BTreeSet<String>>,
}

impl Golden {
    /// Markdown for `docs/library.md`: each file, and its cases.
    #[must_use]
    pub fn link(&self) -> String {
        let links = self.cases.iter().map(|(file, cases)| {
            let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
            format!("[`{file}`](../tests/goldens/{file}) ({})", cases.join(", "))
        });
        links.collect::<Vec<_>>().join("; ")
    }
}

/// The goldens that call each name, by name: those of layers, of optimizers and schedules, and of metrics.
///
/// # Panics
/// If a file of goldens cannot be read.
#[must_use]
pub fn goldens() -> BTreeMap<String, Golden> {
    let mut found: BTreeMap<String, Golden> = BTreeMap::new();
    let mut add = |name: &str, file: &str, case: &str| {
        let cases = found.entry(name.to_owned()).or_default().cases.entry(file.to_owned()).or_default();
        let _ = cases.insert(case.to_owned());
    };
    let folder = root().join("tests/goldens");
    let layers = fs::read_dir(folder.join("layers")).expect("there are goldens of layers");
    let paths = layers.map(|entry| entry.expect("an entry can be read").path());
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "nn")) {
        let text = fs::read_to_string(&path).expect("a golden can be read");
        let file = format!("layers/{}", path.file_name().expect("a file has a name").to_string_lossy());
        let mut case = "";
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((model, _)) = line.strip_prefix("model ").and_then(|rest| rest.split_once('(')) {
                case = model;
            }
            let signs = [("@", " @ "), ("x[..]", "[:")];
            let signs = signs.iter().filter(|(_, sign)| line.contains(sign)).map(|(name, _)| *name);
            for name in words(line).chain(signs).filter(|_| !case.is_empty()) {
                add(name, &file, case);
            }
        }
    }
    let text = fs::read(folder.join("optimizers.json")).expect("there are goldens of optimizers");
    let optimizers: Value = serde_json::from_slice(&text).expect("they are JSON");
    for (case, golden) in optimizers["cases"].as_object().expect("an object of cases") {
        for name in words(golden["optimizer"].as_str().expect("an optimizer")) {
            add(name, "optimizers.json", case);
        }
    }
    add("mean_average_precision", "../tests/detection.rs", "drawn boxes");
    found
}

/// The names in a line of `.nn` but those of arguments, `name=`.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    let named = |word: &&str| {
        let behind = word.as_ptr() as usize - line.as_ptr() as usize + word.len();
        !word.is_empty() && !line[behind..].starts_with('=')
    };
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(named)
}
