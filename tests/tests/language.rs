//! Every example of the reference of the language is a model that checks, and every message in it is one that is said.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use nnc::diagnostic::{Colour, Diagnostic, render_all};
use nnc::elaborate::load;
use nnc::format::format;
use nnc::source::{Loader, Sources};
use nnc::{Request, check};
use nnc_tests::workspace;
use nnc_wgsl::Profile;

/// Files beside the examples.
struct Beside;

impl Loader for Beside {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        let text = fs::read_to_string(workspace::root().join("tests/examples").join(path));
        text.map(|text| (path.to_owned(), text)).map_err(|e| e.to_string())
    }
}

/// Line, fence and text of every fenced block of the reference.
fn blocks() -> Vec<(usize, String, String)> {
    let text = fs::read_to_string(workspace::root().join("docs/language.md")).expect("the reference is text");
    let mut out = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(fence)) => open = Some((number + 1, fence.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => out.extend(open.take()),
            (Some((_, _, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    out
}

fn problems(text: &str) -> (Vec<Diagnostic>, String) {
    let loaded = load("model.nn", text, &[], &Beside);
    let mut found = loaded.diagnostics;
    let bundle = Arc::new(loaded.value);
    if !found.iter().any(Diagnostic::is_error) {
        let profile = Profile::named("webgpu-default").expect("the profile exists");
        let dims = vec![("T".to_owned(), 8)];
        found.extend(check(&bundle, &Request { dims, ..Request::new(profile, &[]) }));
    }
    let printed = render_all(&found, bundle.sources(), Colour::Never);
    (found, printed)
}

#[test]
fn every_block_says_what_it_is() {
    let known = ["nn", "text", "ebnf", "sh"];
    for (line, fence, _) in blocks() {
        assert!(known.contains(&fence.as_str()), "docs/language.md:{line}: a block of kind `{fence}`");
    }
}

#[test]
fn every_example_checks_and_is_formatted() {
    let mut count = 0;
    for (line, _, text) in blocks().into_iter().filter(|(_, fence, _)| fence == "nn") {
        count += 1;
        let (found, printed) = problems(&text);
        assert!(!found.iter().any(Diagnostic::is_error), "docs/language.md:{line}:\n{printed}");
        let mut sources = Sources::new();
        let id = sources.add("model.nn", text.clone());
        let formatted = format(sources.source(id)).value;
        assert_eq!(formatted.as_deref(), Some(text.as_str()), "docs/language.md:{line} is not formatted");
    }
    assert!(count >= 8, "only {count} examples were found");
}

#[test]
fn every_message_of_the_reference_is_one_that_a_case_causes() {
    let folder: PathBuf = workspace::root().join("tests/cases/design");
    let said: BTreeSet<String> = fs::read_dir(folder)
        .expect("the cases can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "stderr"))
        .map(|path| fs::read_to_string(path).expect("a message is text"))
        .collect();
    let shown: Vec<(usize, String)> = blocks()
        .into_iter()
        .filter(|(_, fence, text)| {
            fence == "text" && (text.starts_with("error[") || text.starts_with("warning["))
        })
        .map(|(line, _, text)| (line, text))
        .collect();
    assert!(shown.len() >= 16, "only {} messages are shown", shown.len());
    for (line, text) in shown {
        assert!(
            said.contains(&text),
            "docs/language.md:{line}: no case of tests/cases/design prints\n{text}"
        );
    }
}
