//! The reference of the standard library is made from it, and every definition says what it is and where from.

use std::collections::BTreeSet;
use std::fs;

use nnc::elaborate::primitives;
use nnc::library::{entries, reference};
use nnc_tests::goldens::{goldens, words};
use nnc_tests::workspace;

#[test]
fn the_committed_reference_is_made_from_the_library() {
    let path = workspace::root().join("docs/library.md");
    let links = goldens().into_iter().map(|(name, golden)| (name, golden.link())).collect();
    let made = reference(&links);
    if std::env::var_os("NNC_BLESS").is_some() {
        fs::write(&path, &made).expect("the reference can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "docs/library.md is out of date: NNC_BLESS=1 cargo test -p nnc-tests --test library_reference"
    );
}

#[test]
fn every_definition_of_the_library_says_what_it_does_and_where_it_is_from() {
    let entries = entries();
    assert!(entries.len() > 60, "only {} definitions were found", entries.len());
    for entry in entries {
        let name = &entry.definition.name.text;
        let prose = entry.docs.iter().any(|line| !line.is_empty() && !line.starts_with("source: "));
        let source = entry.docs.iter().any(|line| line.starts_with("source: "));
        assert!(prose, "`{name}` of {} has no doc comment", entry.file);
        assert!(source, "`{name}` of {} does not say where it is from: `## source: ...`", entry.file);
    }
}

/// What numbers from elsewhere cannot be held against: each draws at random, or is the work of a reader that only names
/// it here.
const WITHOUT: [&str; 14] = [
    "dropout",
    "dropout_channels",
    "normal_like",
    "random_flip",
    "random_crop",
    "shifted",
    "plus_where",
    "color_jitter",
    "resize",
    "center_crop",
    "random_resized_crop",
    "letterbox",
    "to_grid",
    "jitter",
];

#[test]
fn every_definition_has_a_golden_or_is_part_of_one_that_has() {
    let goldens = goldens();
    let mut held: BTreeSet<String> = goldens.into_keys().chain(WITHOUT.map(str::to_owned)).collect();
    let entries = entries();
    loop {
        let before = held.len();
        for entry in &entries {
            if held.contains(&entry.definition.name.text) {
                let code = entry.text.lines().filter(|line| !line.starts_with("##"));
                held.extend(code.flat_map(words).map(str::to_owned));
            }
        }
        if held.len() == before {
            break;
        }
    }
    let names = entries.iter().map(|entry| &entry.definition.name.text);
    let bare: Vec<&String> = names.filter(|name| !held.contains(*name)).collect();
    assert!(bare.is_empty(), "without a golden: {bare:?}");
}

/// Primitives that are known at build time, draw at random or concern a measurement: laws, cases and runs hold them.
const NO_NUMBERS: [&str; 14] = [
    "averaged",
    "constant",
    "is_list",
    "is_tensor",
    "len",
    "normal",
    "others",
    "paired",
    "random_each",
    "random_like",
    "rank",
    "sides",
    "size",
    "uniform",
];

#[test]
fn every_primitive_has_a_golden() {
    let goldens = goldens();
    let bare = |name: &&str| !goldens.contains_key(*name) && !NO_NUMBERS.contains(name);
    let bare: Vec<&str> = primitives().into_iter().chain(["@", "x[..]", "scan"]).filter(bare).collect();
    assert!(bare.is_empty(), "without a golden: {bare:?}");
}
