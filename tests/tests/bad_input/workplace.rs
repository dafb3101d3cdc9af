//! A folder with a small model and its data, in which the command is called.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nnc_runtime::{Tensor, weights};
use nnc_tests::command::{nnc, succeed};
use nnc_wgsl::Element;
use tempfile::TempDir;

/// A classifier of images of 4 x 4 pixels into 3 classes: 40 examples to train, 10 to test, 5 steps an epoch.
pub(crate) const MODEL: &str = r#"model Tiny(image: f32[N, 1, 4, 4]) -> logits: f32[N, 3] {
  image -> flatten -> linear(8) -> relu -> linear(3)
}

data squares {
  image: f32[1, 4, 4]
  label: i32 in 0..3
  train = idx("images", "labels")
  test  = idx("test-images", "test-labels")
  prepare { image = image / 255 }
}

train Tiny on squares {
  batch     = 8
  epochs    = 3
  seed      = 1
  loss      = cross_entropy(logits, label)
  optimizer = adam(lr=1e-2)
  metrics   { accuracy = accuracy(logits, label) }
}
"#;

/// A folder with `model.nn` and the data it names.
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// The folder as [`MODEL`] needs it.
    pub(crate) fn new() -> Workplace {
        let place = Workplace { folder: tempfile::tempdir().unwrap() };
        place.write("model.nn", MODEL);
        for (prefix, examples) in [("", 40), ("test-", 10)] {
            let pixels: Vec<u8> = (0..examples * 16).map(|i| ((i * 37 + 11) % 256) as u8).collect();
            let labels: Vec<u8> = (0..examples).map(|i| (i * 7 % 3) as u8).collect();
            place.write(&format!("{prefix}images"), idx(0x08, &[examples, 4, 4], &pixels));
            place.write(&format!("{prefix}labels"), idx(0x08, &[examples], &labels));
        }
        place
    }

    /// The folder with `from` replaced by `to` in `model.nn`.
    pub(crate) fn with(from: &str, to: &str) -> Workplace {
        let place = Workplace::new();
        place.replace(from, to);
        place
    }

    /// Replaces `from` by `to` in `model.nn`.
    pub(crate) fn replace(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("model.nn")).unwrap();
        assert!(text.contains(from), "the model has no `{from}`");
        self.write("model.nn", text.replacen(from, to, 1));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Writes a safetensors file.
    pub(crate) fn write_tensors(&self, name: &str, tensors: &[Tensor]) {
        weights::write(&self.path(name), tensors).unwrap();
    }

    /// The command in this folder.
    pub(crate) fn nnc(&self, arguments: &[&str]) -> Command {
        let mut command = nnc(arguments);
        command.current_dir(self.folder.path()).env("RUST_BACKTRACE", "0");
        command
    }

    /// Calls the command and expects success.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> Output {
        succeed(self.nnc(arguments))
    }

    /// Calls the command and expects it to end with `code` and every one of `parts` on stderr, in one line if
    /// the code is 2, while no file of the folder is added, changed or lost.
    pub(crate) fn refuses(&self, code: i32, arguments: &[&str], parts: &[&str]) {
        let before = files(self.folder.path());
        self.fails(code, self.nnc(arguments), parts);
        let after = files(self.folder.path());
        assert!(before.keys().eq(after.keys()), "{arguments:?} made or lost a file: {:?}", after.keys());
        for (path, content) in &before {
            assert!(after[path] == *content, "{arguments:?} changed {}", path.display());
        }
    }

    /// Calls the command and expects it to end with `code` and every one of `parts` on stderr, in one line if
    /// the code is 2.
    pub(crate) fn fails(&self, code: i32, mut command: Command, parts: &[&str]) {
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{command:?}\n{stderr}");
        assert!(!stderr.contains("panicked"), "{command:?}\n{stderr}");
        let said = match code {
            2 => stderr.lines().rfind(|line| line.starts_with("error: ")).unwrap_or_default(),
            _ => stderr.as_str(),
        };
        for part in parts {
            assert!(said.contains(part), "{command:?} does not say `{part}`:\n{stderr}");
        }
    }
}

/// A tensor of `f32`.
pub(crate) fn floats(path: &str, shape: &[usize], value: impl Fn(usize) -> f32) -> Tensor {
    let bytes = (0..shape.iter().product()).flat_map(|i| value(i).to_le_bytes()).collect();
    Tensor { path: path.to_owned(), element: Element::F32, shape: shape.to_vec(), bytes }
}

/// A tensor of `i32`.
pub(crate) fn integers(path: &str, shape: &[usize], value: impl Fn(usize) -> i32) -> Tensor {
    let bytes = (0..shape.iter().product()).flat_map(|i| value(i).to_le_bytes()).collect();
    Tensor { path: path.to_owned(), element: Element::I32, shape: shape.to_vec(), bytes }
}

/// An IDX file.
pub(crate) fn idx(kind: u8, extents: &[usize], numbers: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, kind, extents.len() as u8];
    file.extend(extents.iter().flat_map(|extent| (*extent as u32).to_be_bytes()));
    file.extend(numbers);
    file
}

/// Every file below the folder with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).unwrap();
            found.insert(path, content);
        }
    }
    found
}
