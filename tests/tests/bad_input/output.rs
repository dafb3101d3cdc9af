//! Folders and files that cannot be written. A disk that fills up while a file is replaced is simulated in
//! `nnc_runtime::durable`.

use nnc_tests::device::device;

use crate::workplace::{Workplace, floats};

#[test]
fn a_file_where_the_folder_should_be() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    let parts = ["`labels` could not be written", "a file stands where a folder is needed", "another folder"];
    place.refuses(2, &["train", "model.nn", "--out", "labels"], &parts);
    let parts = ["`labels/run` could not be written", "a file stands where a folder is needed"];
    place.refuses(2, &["train", "model.nn", "--out", "labels/run"], &parts);
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_nobody_may_write() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    let parts = ["`/sys/nnc` could not be written", "choose another"];
    place.refuses(2, &["train", "model.nn", "--out", "/sys/nnc"], &parts);
    let parts = ["`/proc/model.nna` could not be written", "choose another"];
    place.refuses(2, &["build", "model.nn", "-o", "/proc/model.nna"], &parts);
}

#[test]
fn a_folder_that_does_not_exist_or_is_in_the_place_of_a_file() {
    let place = Workplace::new();
    let parts = ["`absent/model.nna` could not be written: the folder does not exist", "make it"];
    place.refuses(2, &["build", "model.nn", "-o", "absent/model.nna"], &parts);
    std::fs::create_dir(place.path("folder")).unwrap();
    let parts = ["`folder` could not be written: a folder has that name", "another name"];
    place.refuses(2, &["build", "model.nn", "-o", "folder"], &parts);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk() {
    let place = Workplace::new();
    let parts = ["`/dev/full` could not be written: the disk is full", "make room"];
    place.refuses(2, &["build", "model.nn", "-o", "/dev/full"], &parts);
    if device().is_none() {
        return;
    }
    place.succeeds(&["train", "model.nn", "--out", "run", "--set", "epochs=1"]);
    place.write_tensors("in", &[floats("image", &[3, 1, 4, 4], |_| 0.5)]);
    let weights = "run/weights.safetensors";
    let run = ["run", "model.nn", "--weights", weights, "--input", "in", "--output", "/dev/full"];
    place.refuses(2, &run, &parts);
}

/// `save` has a folder of its own, which is made before training begins.
#[test]
fn a_file_where_the_folder_of_save_should_be() {
    if device().is_none() {
        return;
    }
    let place = Workplace::with("seed ", "save      = every(1, to=\"labels\")\n  seed ");
    let parts = ["`labels` could not be written", "a file stands where a folder is needed"];
    place.refuses(2, &["train", "model.nn", "--out", "run"], &parts);
    place.replace("to=\"labels\"", "to=\"saved\"");
    place.succeeds(&["train", "model.nn", "--out", "run"]);
    assert_eq!(place.read("saved/weights-3.safetensors"), place.read("run/weights.safetensors"));
}
