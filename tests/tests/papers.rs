//! What the papers show is what is there: the README's network is the file, links lead somewhere, nothing is left to fill in.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::path::{Path, PathBuf};

use nnc_tests::workspace::root;

#[test]
fn the_readme_shows_the_digits_network_as_it_is() {
    let readme = text(&root().join("README.md"));
    let model = text(&root().join("models/mnist.nn"));
    assert!(
        readme.contains(&format!("```\n{model}```\n")),
        "README.md shows another network than models/mnist.nn"
    );
}

#[test]
fn the_checks_run_the_readme_s_test_command() {
    let command = "cargo test --workspace";
    assert!(text(&root().join("README.md")).contains(&format!("```sh\n{command}\n```")));
    assert!(text(&root().join(".ci/run")).lines().any(|line| line == format!("step {command}")));
}

#[test]
fn links_lead_to_files_of_the_repository() {
    for paper in papers() {
        let folder = paper.parent().unwrap();
        for target in links(&text(&paper)) {
            assert!(folder.join(&target).exists(), "{}: `{target}` does not exist", paper.display());
        }
    }
}

#[test]
fn nothing_is_left_to_fill_in() {
    for paper in papers() {
        assert!(!text(&paper).contains("<!--"), "{} has a place to fill in", paper.display());
    }
}

/// The README, the changelog and every document.
fn papers() -> Vec<PathBuf> {
    let mut papers =
        vec![root().join("README.md"), root().join("CHANGELOG.md"), root().join("data/README.md")];
    let documents = std::fs::read_dir(root().join("docs")).unwrap();
    papers.extend(documents.map(|entry| entry.unwrap().path()));
    papers
}

/// The targets of `[text](target)` that are no web addresses, without `#fragment`; what is set as code holds none.
fn links(markdown: &str) -> Vec<String> {
    let prose: String = markdown.split("```").step_by(2).collect();
    let plain: String = prose.split('`').step_by(2).collect();
    let targets = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let paths = targets.map(|(target, _)| target.split('#').next().unwrap().to_owned());
    paths.filter(|path| !path.is_empty() && !path.contains("://")).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}
