//! The reference of the standard library, `docs/library.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::elaborate::{library_files, primitives};
use crate::library::{Entry, entries, needed};

const HEAD: &str = "# The standard library

Everything here is `.nn` text that is shipped inside the compiler; `nnc show --std NAME` prints a definition with the
private ones that it needs, and a copy of that under another name compiles to the same kernels. Only what no formula can express is built in: `docs/language.md`,
section 5. Below a definition stands what it is held against: numbers that PyTorch or a formula of a paper gave, on at
least three shapes (`tests/goldens/`). What stands in `std/attention.nn` and `std/vision.nn` comes with
`use \"std/attention.nn\"`; the rest is there without a word. This file is made from `compiler/std/` by
`NNC_BLESS=1 cargo test -p nnc-tests --test library_reference`.
";

const PRIMITIVES: &str = "
## Primitives

What no formula can say; what each takes stands in `docs/language.md`, section 5. Those that draw at random are held
against laws (`tests/tests/library.rs`), those known at build time against cases.

| primitive | golden |
|---|---|
";

/// What is written in signs, and the walk.
const SIGNS: [&str; 3] = ["@", "x[..]", "scan"];

/// What each definition is called, takes and gives, how it is computed, where it comes from, and what it is held
/// against: `goldens` has lines of Markdown by the definition's name.
#[must_use]
pub fn reference(goldens: &BTreeMap<String, String>) -> String {
    let mut out = HEAD.to_owned();
    let mut by_file: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
    for entry in entries() {
        by_file.entry(entry.file).or_default().push(entry);
    }
    for (file, text) in library_files() {
        let _ = write!(out, "\n## `{file}`\n\n{}\n", about(text));
        for entry in by_file.remove(file).unwrap_or_default() {
            describe(&mut out, &entry, goldens);
        }
    }
    out.push_str(PRIMITIVES);
    for name in SIGNS.into_iter().chain(primitives()) {
        if let Some(golden) = goldens.get(name) {
            let _ = writeln!(out, "| `{name}` | {golden} |");
        }
    }
    out
}

/// The doc comment at the head of a file.
fn about(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.starts_with("##"));
    lines.map(|line| line.trim_start_matches('#').trim()).collect::<Vec<_>>().join("\n")
}

fn describe(out: &mut String, entry: &Entry, goldens: &BTreeMap<String, String>) {
    let _ = write!(out, "\n### {}\n\n", entry.definition.name.text);
    let marked = |mark: &str| entry.docs.iter().find_map(|line| line.strip_prefix(mark));
    let marks = ["shape: ", "source: "];
    let prose = entry.docs.iter().filter(|line| !marks.iter().any(|mark| line.starts_with(mark)));
    let prose: Vec<&str> = prose.map(String::as_str).collect();
    let _ = writeln!(out, "{}\n", prose.join("\n"));
    for (mark, title) in marks.iter().zip(["Shapes", "Source"]) {
        if let Some(said) = marked(mark) {
            let _ = writeln!(out, "{title}: {said}\n");
        }
    }
    if let Some(golden) = goldens.get(&entry.definition.name.text) {
        let _ = writeln!(out, "Golden: {golden}\n");
    }
    let needs = needed(entry).into_iter().map(|one| one.definition.name.text);
    let needs: Vec<String> = needs.map(|name| format!("[`{name}`](#{name})")).collect();
    if !needs.is_empty() {
        let _ = writeln!(out, "Needs, private to its file: {}\n", needs.join(", "));
    }
    let formula: Vec<&str> = entry.text.lines().filter(|line| !line.starts_with("##")).collect();
    let _ = writeln!(out, "```nn\n{}\n```", formula.join("\n"));
}
