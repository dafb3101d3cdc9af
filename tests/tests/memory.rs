//! After the first steps a run takes no more memory, and measuring examples none either: neither from the system nor from
//! the driver.
//!
//! One test, alone in its process, because the memory that the system counts is that of the whole process.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::path::Path;

use nnc_runtime::artifact::Training;
use nnc_runtime::session::Taken;
use nnc_runtime::train::{Event, Options, evaluate_each, train};
use nnc_runtime::{Device, Session, Tensor, example, weights};
use nnc_tests::device::devices;
use nnc_wgsl::Element;

/// Steps until the allocators of the driver and of the system have what they want.
const SETTLED: u64 = 200;

/// Steps in which nothing may be added.
const STEPS: u64 = 2_000;

/// What the pages of two moments may differ by though nothing is kept: less than 32 bytes a step.
const NOISE_BYTES: u64 = 64 << 10;

#[test]
fn two_thousand_steps_and_measures_take_no_more_memory_than_the_first() {
    devices().iter().for_each(takes_no_more);
}

fn takes_no_more(device: &Device) {
    let folder = tempfile::tempdir().unwrap();
    let examples = (SETTLED + STEPS) as usize * example::BATCH;
    write(folder.path(), examples);
    let mut session = Session::open(&example::linear(), device).unwrap();
    let mut training = example::training("train.safetensors", "train.safetensors");
    training.data.parts.truncate(1);
    let training = Training { epochs: Some(1), ..training };
    let options = Options { base: folder.path().to_owned(), ..Options::default() };
    let mut seen: Vec<(u64, Option<u64>, Option<Taken>)> = Vec::new();
    let progress = train(&mut session, &training, &options, &mut |event| {
        if let Event::Step { step, .. } = event
            && (step == 1 || step == SETTLED || step == SETTLED + STEPS)
        {
            seen.push((step, resident_bytes(), device.taken()));
        }
    });
    assert_eq!(progress.unwrap().progress.step, SETTLED + STEPS);
    let [(1, _, first), (SETTLED, early, settled), (_, late, last)] = seen[..] else { panic!("{seen:?}") };
    assert_eq!(first, settled);
    assert_eq!(settled, last, "the driver has given more");
    if device.backend() == "vulkan" {
        assert!(last.unwrap().allocations > 0, "the driver's account is kept");
    }
    if let (Some(early), Some(late)) = (early, late) {
        eprintln!("resident {early} bytes after {SETTLED} steps, {late} after {STEPS} more");
        assert!(late <= early + NOISE_BYTES, "{} bytes more after {STEPS} steps", late - early);
    }
    measures_take_no_more(&mut session, &training, folder.path());
}

/// The same for what is shown of examples one after the other.
fn measures_take_no_more(session: &mut Session, training: &Training, folder: &Path) {
    let mut seen: Vec<Option<u64>> = Vec::new();
    let measured = evaluate_each(session, training, "train", folder, &mut |example| {
        let step = example.place / example::BATCH as u64 + 1;
        if step == SETTLED || step == SETTLED + STEPS {
            seen.push(resident_bytes());
        }
        Ok(())
    });
    assert_eq!(measured.unwrap().count, 0, "all examples are measured");
    let [early, late] = seen[..] else { panic!("{seen:?}") };
    if let (Some(early), Some(late)) = (early, late) {
        assert!(late <= early + NOISE_BYTES, "{} bytes more after {STEPS} measures", late - early);
    }
}

fn write(folder: &Path, examples: usize) {
    let tensor = |path: &str, shape: &[usize]| {
        let count: usize = shape.iter().product();
        let values = (0..count).map(|i| ((i * 37 + 11) % 23) as f32 / 23.0 - 0.5);
        let bytes = values.flat_map(f32::to_le_bytes).collect();
        Tensor { path: path.to_owned(), element: Element::F32, shape: shape.to_vec(), bytes }
    };
    let tensors = [tensor("x", &[examples, 2]), tensor("t", &[examples])];
    weights::write(&folder.join("train.safetensors"), &tensors).unwrap();
}

/// The process's pages in memory, in bytes, without those of mapped files; `None` where the system does not say.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}
