//! The reference of the standard library is made from it, and every definition says what it is and where from.

use std::fs;

use nnc::library::{entries, reference};
use nnc_tests::workspace;

#[test]
fn the_committed_reference_is_made_from_the_library() {
    let path = workspace::root().join("docs/library.md");
    let made = reference();
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
