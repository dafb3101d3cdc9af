//! Weights have torchvision's names and shapes, up to the prefixes that a map leads from one to the other.
//!
//! `tests/torchvision/NAME.txt` is torchvision's state dict, written by `names.py` beside it; `NAME.map` is the map.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use nnc::elaborate::{Expansion, Request, elaborate, load};
use nnc::source::Loader;
use nnc_tests::workspace::root;

/// Files beside the examples.
struct Examples;

impl Loader for Examples {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        let text = fs::read_to_string(root().join("tests/examples").join(path)).map_err(|e| e.to_string())?;
        Ok((path.to_owned(), text))
    }
}

/// The names and shapes of what an example keeps, in one training step.
fn kept(example: &str) -> BTreeMap<String, String> {
    let (name, text) = Examples.load(&format!("{example}.nn"), "").expect("the example is there");
    let bundle = Arc::new(load(&name, &text, &[], &Examples).value);
    let elaborated =
        elaborate(&bundle, &Request::new(Expansion::Training)).value.expect("the example elaborates");
    let stored = elaborated.graph.stored.iter();
    let by = |shape: &[usize]| shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
    stored.map(|one| (one.path.clone(), by(&one.ty.shape))).collect()
}

/// The pairs of words of a file, without its comments.
fn pairs(file: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).expect("the list is there");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = lines.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.map(|words| (words[0].clone(), words.get(1).cloned().unwrap_or_default())).collect()
}

fn compare(example: &str, parameters: usize) {
    let folder = root().join("tests/torchvision");
    let map: BTreeMap<String, String> = pairs(&folder.join(format!("{example}.map"))).into_iter().collect();
    let renamed: BTreeMap<String, String> = kept(example)
        .into_iter()
        .map(|(path, shape)| {
            let (prefix, last) = path.rsplit_once('.').expect("a weight has a place");
            let to = map.get(prefix).unwrap_or_else(|| panic!("the map says nothing of `{path}`"));
            (format!("{to}.{last}"), shape)
        })
        .collect();
    // torchvision counts batches, which nothing reads where the momentum is a number.
    let expected: BTreeMap<String, String> = pairs(&folder.join(format!("{example}.txt")))
        .into_iter()
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .collect();
    assert_eq!(renamed, expected);
    assert_eq!(renamed.len(), parameters, "no two of ours became one");
}

#[test]
fn resnet_18_keeps_what_torchvisions_does() {
    compare("resnet18", 102);
}

#[test]
fn inception_v3_keeps_what_torchvisions_does() {
    compare("inception_v3", 484);
}
