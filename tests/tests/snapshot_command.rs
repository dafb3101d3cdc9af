//! `nnc snapshot`: what it writes it finds unchanged, and what has changed it shows.

use std::fs;
use std::path::{Path, PathBuf};

use nnc_tests::command::{nnc, succeed};

const MODEL: &str = "\
model M(x: f32[N, 1, 8, 8]) -> y: f32[N, 10] {
  x -> conv(4, 3, pad=same) -> relu -> flatten -> linear(10)
}

data d {
  x: f32[1, 8, 8]
  label: i32 in 0..10
  train = csv(\"d.csv\")
}

train M on d {
  batch = 4
  epochs = 1
  loss = cross_entropy(y, label)
  optimizer = sgd
}
";

/// A folder with the model in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::write(folder.path().join("m.nn"), MODEL).expect("a file can be written");
    folder
}

fn snapshot(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let path = folder.join("m.nn");
    let output =
        nnc(&[&["snapshot", &path.to_string_lossy()], arguments].concat()).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).expect("the folder can be read") {
            let path = entry.expect("an entry can be read").path();
            match path.is_dir() {
                true => open.push(path),
                false => {
                    let bytes = fs::read(&path).expect("it can be read");
                    found.push((path.strip_prefix(folder).expect("it lies there").to_owned(), bytes));
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_written_is_found_unchanged_and_is_the_same_from_everywhere() {
    let (here, there) = (folder(), folder());
    let (code, said, _) = snapshot(here.path(), &["--target", "webgpu-default", "--target", "lavapipe"]);
    assert_eq!(code, Some(0), "{said}");
    let written = files(here.path());
    assert_eq!(written.len(), 1 + 2 * 9, "the model, and for each profile kernels and two texts a program");
    assert_eq!(snapshot(here.path(), &["--check"]).0, Some(0));
    let (_, said, _) = snapshot(here.path(), &[]);
    assert!(said.lines().count() == 2 && said.lines().all(|line| line.ends_with(", 0 written")), "{said}");
    let mut command = nnc(&["snapshot", "m.nn", "--target", "webgpu-default", "--target", "lavapipe"]);
    command.current_dir(there.path());
    let _ = succeed(command);
    assert_eq!(files(there.path()), written, "the folder that the command is called in does not matter");
    let texts = written.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes));
    let folder = here.path().to_string_lossy().into_owned();
    assert!(texts.into_iter().all(|text| !text.contains(&folder)), "no text names the folder");
}

#[test]
fn a_change_is_shown_with_its_file_its_line_and_the_remedy() {
    let folder = folder();
    assert_eq!(snapshot(folder.path(), &[]).0, Some(0));
    let before = files(folder.path());
    fs::write(folder.path().join("m.nn"), MODEL.replace("relu", "tanh")).expect("a file can be written");
    let (code, shown, said) = snapshot(folder.path(), &["--check"]);
    assert_eq!(code, Some(1));
    let place = "m.snap/webgpu-default/kernels.wgsl:";
    let line = shown.lines().find(|line| line.contains(place)).unwrap_or_else(|| panic!("{shown}"));
    let number: usize = line.rsplit(':').next().and_then(|n| n.parse().ok()).expect("a line");
    let kernels = before.iter().find(|(path, _)| path.ends_with("webgpu-default/kernels.wgsl"));
    let kernels = String::from_utf8_lossy(&kernels.expect("it was written").1).into_owned();
    let changed = kernels.lines().nth(number - 1).expect("the line exists");
    assert!(shown.contains(&format!("\n-{changed}\n")) && shown.contains("\n+"), "{changed}\n{shown}");
    assert!(said.contains("if that is meant: nnc snapshot ") && said.contains("m.nn"), "{said}");
    let model = files(folder.path()).into_iter().filter(|(path, _)| !path.ends_with("m.nn"));
    assert!(model.eq(before.into_iter().filter(|(path, _)| !path.ends_with("m.nn"))), "nothing is written");
    assert_eq!(snapshot(folder.path(), &[]).0, Some(0));
    assert_eq!(snapshot(folder.path(), &["--check"]).0, Some(0));
}

#[test]
fn a_missing_a_damaged_and_a_left_over_file_are_each_named() {
    let folder = folder();
    let (code, _, said) = snapshot(folder.path(), &["--check"]);
    assert!(
        code == Some(2) && said.contains("there are no snapshots in") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(snapshot(folder.path(), &[]).0, Some(0));
    let of = |name: &str| folder.path().join("m.snap/webgpu-default").join(name);
    let whole = fs::read(of("train.plan")).expect("it can be read");
    fs::remove_file(of("train.plan")).expect("it can be removed");
    fs::write(of("infer.plan"), [0xff, 0xfe, 0]).expect("a file can be written");
    fs::write(of("infer.dispatches"), "").expect("a file can be written");
    fs::write(of("old.plan"), "of another program").expect("a file can be written");
    fs::write(of("notes.txt"), "of somebody").expect("a file can be written");
    let (code, shown, _) = snapshot(folder.path(), &["--check"]);
    assert_eq!(code, Some(1));
    for wanted in
        ["train.plan is missing", "infer.plan is no text", "infer.dispatches:1", "old.plan is of a program"]
    {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    assert!(!shown.contains("notes.txt"), "{shown}");
    assert_eq!(snapshot(folder.path(), &[]).0, Some(0));
    assert_eq!(snapshot(folder.path(), &["--check"]).0, Some(0));
    assert_eq!(fs::read(of("train.plan")).expect("it can be read"), whole);
    assert!(of("notes.txt").exists() && !of("old.plan").exists());
}

#[test]
fn lines_that_end_as_another_system_ends_them_are_the_same() {
    let folder = folder();
    assert_eq!(snapshot(folder.path(), &[]).0, Some(0));
    let path = folder.path().join("m.snap/webgpu-default/kernels.wgsl");
    let text = fs::read_to_string(&path).expect("it is text");
    fs::write(&path, text.replace('\n', "\r\n")).expect("a file can be written");
    assert_eq!(snapshot(folder.path(), &["--check"]).0, Some(0));
}

#[test]
fn what_cannot_be_written_is_said_in_one_line_and_leaves_what_was_there() {
    let folder = folder();
    fs::write(folder.path().join("m.snap"), "a file").expect("a file can be written");
    let (code, _, said) = snapshot(folder.path(), &[]);
    assert!(code == Some(2) && said.lines().count() == 1 && said.contains("m.snap"), "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("m.snap")).expect("it is text"), "a file");
    let (code, _, said) = snapshot(folder.path(), &["--target", "vulkan"]);
    assert!(code == Some(2) && said.contains("there is no profile `vulkan`; there are:"), "{said}");
    let (code, _, said) = snapshot(folder.path(), &["--out", "/dev/full"]);
    assert!(code == Some(2) && said.lines().count() == 1, "{said}");
    fs::write(folder.path().join("m.nn"), "model M(").expect("a file can be written");
    assert_eq!(snapshot(folder.path(), &["--out", "other"]).0, Some(1));
}

#[test]
fn a_text_that_is_on_a_full_disk_stays_as_it_was() {
    let folder = folder();
    assert_eq!(snapshot(folder.path(), &[]).0, Some(0));
    let of = |name: &str| folder.path().join("m.snap/webgpu-default").join(name);
    // A link to a device that is always full stands for a full disk.
    #[cfg(target_os = "linux")]
    {
        fs::remove_file(of("train.plan")).expect("it can be removed");
        std::os::unix::fs::symlink("/dev/full", of("train.plan")).expect("a link can be made");
        let before = fs::read(of("infer.plan")).expect("it can be read");
        let (code, _, said) = snapshot(folder.path(), &["--batch", "2"]);
        let one_line = said.lines().count() == 1;
        assert!(code == Some(2) && one_line && said.contains("the disk is full"), "{said}");
        assert_eq!(fs::read(of("infer.plan")).expect("it can be read"), before, "later files are untouched");
    }
    let left: Vec<_> = fs::read_dir(folder.path().join("m.snap/webgpu-default"))
        .expect("the folder can be read")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
