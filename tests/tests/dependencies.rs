//! The direction of dependency: `wgsl <- runtime <- compiler <- tests`, and one home for each large dependency.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use nnc_tests::rust_paths::{NamedPath, paths};
use nnc_tests::workspace::{cargo, packages, root};

/// The packages from left to right; each may use those before it.
const LINE: [&str; 4] = ["nnc-wgsl", "nnc-runtime", "nnc", "nnc-tests"];

/// The crates that only one place may name.
const HOMES: [(&str, &str); 6] = [
    ("pulp", "runtime/src/cpu/"),
    ("rayon", "runtime/src/cpu/"),
    ("nom", "compiler/src/syntax/"),
    ("petgraph", "compiler/src/ir/graph.rs"),
    ("naga", "wgsl/src/validate.rs"),
    ("wgpu", "runtime/src/gpu/"),
];

/// What makes a library depend on more than its arguments.
const IMPURE: [[&str; 2]; 7] = [
    ["std", "fs"],
    ["std", "io"],
    ["std", "env"],
    ["std", "net"],
    ["std", "time"],
    ["std", "thread"],
    ["std", "process"],
];

#[test]
fn manifests_name_only_what_stands_to_the_left() {
    for package in packages() {
        let place = place(&package.name);
        for other in package.dependencies.iter().filter(|d| LINE.contains(&d.as_str())) {
            assert!(LINE[..place].contains(&other.as_str()), "{} depends on {other}", package.name);
        }
    }
}

#[test]
fn sources_name_only_what_stands_to_the_left() {
    for package in packages() {
        let forbidden: Vec<String> =
            LINE[place(&package.name) + 1..].iter().map(|n| n.replace('-', "_")).collect();
        for (file, path) in references(&package.sources()) {
            let first = &path.segments[0];
            assert!(!forbidden.contains(first), "{file}:{}: `{first}` stands to the right", path.line);
        }
    }
}

#[test]
fn each_large_dependency_has_one_home() {
    let files: Vec<PathBuf> = packages().iter().flat_map(|p| p.sources()).collect();
    let all = references(&files);
    for (name, home) in HOMES {
        let uses: Vec<_> = all.iter().filter(|(_, path)| path.segments.iter().any(|s| s == name)).collect();
        assert!(!uses.is_empty(), "nothing uses `{name}`: has its home moved?");
        for (file, path) in uses {
            assert!(file.starts_with(home), "{file}:{}: `{name}` belongs in {home}", path.line);
        }
    }
}

#[test]
fn declared_dependencies_are_used() {
    for package in packages() {
        let used: BTreeSet<String> =
            references(&package.sources()).into_iter().map(|(_, path)| path.segments[0].clone()).collect();
        for name in &package.dependencies {
            assert!(
                used.contains(&name.replace('-', "_")),
                "{} declares `{name}` and never names it",
                package.name
            );
        }
    }
}

#[test]
fn each_dependency_earns_its_place_with_a_sentence() {
    let manual = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for package in packages() {
        for name in package.dependencies.iter().filter(|d| !LINE.contains(&d.as_str())) {
            let row = format!("| `{name}` |");
            assert!(
                manual.contains(&row),
                "docs/architecture.md has no row for `{name}` of {}",
                package.name
            );
        }
    }
}

#[test]
fn the_compiler_library_is_pure() {
    let compiler = packages().into_iter().find(|p| p.name == "nnc").unwrap();
    let (all, command) = (compiler.folder.join("src"), compiler.folder.join("src/bin"));
    let in_library = |file: &PathBuf| file.starts_with(&all) && !file.starts_with(&command);
    let library: Vec<PathBuf> = compiler.sources().into_iter().filter(in_library).collect();
    for (file, path) in references(&library) {
        let impure = IMPURE.iter().any(|i| path.segments.starts_with(&i.map(String::from)));
        assert!(!impure, "{file}:{}: `{}` in the library", path.line, path.segments.join("::"));
    }
}

#[test]
fn without_features_the_runtime_is_the_format_alone() {
    let left_out = ["wgpu", "naga", "pollster", "bytemuck", "flate2", "memmap2", "safetensors"];
    assert_absent("nnc-runtime", &left_out);
}

#[test]
fn without_features_the_compiler_has_no_gpu_and_no_command_line() {
    let left_out = [
        "wgpu",
        "naga",
        "pollster",
        "bytemuck",
        "flate2",
        "memmap2",
        "safetensors",
        "clap",
        "ctrlc",
        "indicatif",
    ];
    assert_absent("nnc", &left_out);
}

/// Checks that cargo resolves `package` with these crates, and without default features to none of them.
fn assert_absent(package: &str, left_out: &[&str]) {
    let (bare, whole) = (tree(package, true), tree(package, false));
    for name in left_out {
        assert!(whole.contains_key(*name), "{package} never has `{name}`: is this list out of date?");
        assert!(!bare.contains_key(*name), "{package} has `{name}` without default features");
    }
}

/// The packages that `package` is built with, normal dependencies only: name to version.
fn tree(package: &str, bare: bool) -> BTreeMap<String, String> {
    let mut arguments = vec!["tree", "--package", package, "--edges", "normal", "--prefix", "none"];
    arguments.extend(bare.then_some("--no-default-features"));
    let text = cargo(&arguments);
    let mut words = text.lines().map(|line| line.split_whitespace());
    std::iter::from_fn(|| words.next())
        .filter_map(|mut line| Some((line.next()?.to_owned(), line.next()?.to_owned())))
        .collect()
}

/// Where a package stands in the line.
fn place(name: &str) -> usize {
    LINE.iter()
        .position(|n| *n == name)
        .unwrap_or_else(|| panic!("package `{name}` has no place in the line"))
}

/// Every path that these files name, with the file relative to the workspace.
fn references(files: &[PathBuf]) -> Vec<(String, NamedPath)> {
    files
        .iter()
        .flat_map(|file| {
            let name = file.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(file).unwrap();
            paths(&text).into_iter().map(move |path| (name.clone(), path))
        })
        .collect()
}
