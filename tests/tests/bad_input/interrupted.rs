//! A run of the command that is interrupted or killed, and resumed: the weights of an unbroken run, byte for byte.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};

use nnc_tests::device::device;

use crate::workplace::Workplace;

/// 60 epochs of 5 steps.
const STEPS: u64 = 300;
const TRAIN: [&str; 6] = ["train", "model.nn", "--set", "epochs=60", "--out", "run"];

/// Trains with a checkpoint after every step, does `end` to the process once it has told `lines` steps, and
/// waits for it.
fn broken(place: &Workplace, resume: bool, lines: usize, end: impl FnOnce(&mut Child)) -> ExitStatus {
    let mut command = place.nnc(&TRAIN);
    command.args(["--checkpoint", "0", "--log-steps"]).args(resume.then_some("--resume"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let steps = told.by_ref().filter(|line| line.as_ref().unwrap().starts_with("step "));
    assert_eq!(steps.take(lines).count(), lines, "the run ended before it was broken");
    end(&mut child);
    // The process writes on until it ends; a pipe that nobody reads would stop it.
    let _ = told.count();
    child.wait().unwrap()
}

/// Resumes the run and compares its weights with those of an unbroken one.
fn goes_on_to_the_same_end(place: &Workplace) {
    let said = place.succeeds(&[&TRAIN[..], &["--resume"]].concat());
    let said = String::from_utf8(said.stderr).unwrap();
    let after = said.split("going on after step ").nth(1).unwrap_or_else(|| panic!("{said}"));
    let after: u64 = after.split(':').next().unwrap().parse().unwrap();
    assert!((1..STEPS).contains(&after), "{said}");
    place.succeeds(&["train", "model.nn", "--set", "epochs=60", "--out", "unbroken"]);
    assert_eq!(place.read("run/weights.safetensors"), place.read("unbroken/weights.safetensors"));
    let log = String::from_utf8(place.read("run/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 60);
    let left = std::fs::read_dir(place.path("run")).unwrap().count();
    assert_eq!(left, 3, "the run left something else than weights, checkpoint and log");
}

#[test]
#[cfg(unix)]
fn by_ctrl_c() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    let status = broken(&place, false, 23, |child| {
        let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
    });
    assert!(status.success(), "{status}");
    goes_on_to_the_same_end(&place);
}

#[test]
fn by_a_kill_and_another_one() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    for (resume, lines) in [(false, 17), (true, 41)] {
        let status = broken(&place, resume, lines, |child| child.kill().unwrap());
        assert!(!status.success(), "{status}");
    }
    goes_on_to_the_same_end(&place);
}
