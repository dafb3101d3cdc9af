//! The `nnc` command, built as the tests were.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::workspace;

/// A call of the `nnc` command, in the workspace's root. The first call builds it: cargo builds the libraries that
/// tests need, but no other package's command.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn nnc(arguments: &[&str]) -> Command {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(BINARY.get_or_init(build));
    command.args(arguments).current_dir(workspace::root());
    command
}

/// Runs it and expects success.
///
/// # Panics
/// If it does not run, or ends with another code than 0; the message holds what it wrote.
#[must_use]
pub fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not run: {e}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Builds the command and returns where it lies: beside the `deps` folder that holds this test.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("tests lie in PROFILE/deps");
    let release = profile.file_name().is_some_and(|name| name == "release");
    let mut arguments = vec!["build", "--quiet", "--workspace", "--bin", "nnc"];
    arguments.extend(release.then_some("--release"));
    let _ = workspace::cargo(&arguments);
    profile.join(format!("nnc{}", std::env::consts::EXE_SUFFIX))
}
