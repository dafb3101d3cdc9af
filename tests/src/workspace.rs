//! The workspace on disk: its root, its packages and their source files, as cargo itself reads the manifests.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder that holds the workspace's manifest.
///
/// # Panics
/// If the tests lie outside a workspace, which cargo does not build.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is a member of the workspace")
}

/// The output of a cargo command run offline in the workspace.
///
/// # Panics
/// If it fails; the message holds what it wrote to stderr.
#[must_use]
pub fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(root())
        .output()
        .expect("cargo runs, since it runs this test");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`cargo {}` failed:\n{stderr}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// A package of the workspace.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name, such as `nnc-runtime`.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The packages that its manifest names: normal, for development and for building.
    pub dependencies: Vec<String>,
}

impl Package {
    /// Its Rust files, sorted by path; not those of packages inside it that are no members of the workspace.
    #[must_use]
    pub fn sources(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.folder, &mut found);
        found.sort();
        found
    }
}

/// The members of the workspace, in its order.
///
/// # Panics
/// If cargo cannot read the manifests.
#[must_use]
pub fn packages() -> Vec<Package> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata is JSON");
    let text_of = |value: &Value| value.as_str().expect("cargo metadata has a string here").to_owned();
    let list_of = |value: &Value| value.as_array().expect("cargo metadata has a list here").clone();
    list_of(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: text_of(&package["name"]),
            folder: PathBuf::from(text_of(&package["manifest_path"])).with_file_name(""),
            dependencies: list_of(&package["dependencies"]).iter().map(|d| text_of(&d["name"])).collect(),
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|e| panic!("cannot list {}: {e}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|e| panic!("cannot list {}: {e}", folder.display())).path();
        if path.is_dir() {
            if !path.join("Cargo.toml").exists() {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}
