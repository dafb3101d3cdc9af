//! The laws of kernels, over one table of specifications: each is valid on every profile and translates to
//! every driver's language, and on a device it computes what the specification says.

#[path = "kernels/product_rows.rs"]
mod product_rows;
#[path = "kernels/reference.rs"]
mod reference;
#[path = "kernels/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use nnc_runtime::gpu::{Device, raw};
use nnc_wgsl::schedule::{ConvKind, LineKind, Spec, WindowKind};
use nnc_wgsl::{
    Element, HOST_SLOTS, PROFILES, Profile, Schedule, Slot, Target, half_bits, half_value, random_uniform,
    to_half, translate, validate, workgroup_bytes,
};

use reference::{Inputs, Reference, Values};
use table::{Case, cases};

/// What an element holds that no kernel may write.
const UNTOUCHED: f32 = -77.25;

fn profiles() -> Vec<Profile> {
    PROFILES.iter().map(|name| Profile::named(name).expect("a named profile exists")).collect()
}

#[test]
fn every_kernel_is_valid_and_translates() {
    let cases = cases();
    for profile in profiles() {
        let mut texts = BTreeSet::new();
        for case in cases.iter().filter(|case| profile.f16 || !case.has_halves()) {
            for launch in &case.spec.schedule(&profile).launches {
                let kernel = &launch.kernel;
                let told =
                    |error: &dyn std::fmt::Display| format!("{} on {}: {error}", case.name, profile.name);
                assert_eq!(launch.params.len(), kernel.params.len(), "{}", case.name);
                assert_eq!(launch.slots.len(), kernel.bindings.len(), "{}", case.name);
                assert!(launch.workgroups.iter().all(|&g| (1..=65_535).contains(&g)), "{}", case.name);
                assert!(kernel.workgroup.iter().product::<u32>() <= profile.invocations, "{}", case.name);
                if !texts.insert(kernel.wgsl.clone()) {
                    continue;
                }
                validate(kernel).unwrap_or_else(|e| panic!("{}", told(&e)));
                let bytes = workgroup_bytes(kernel).expect("a valid kernel declares its memory");
                assert!(bytes <= profile.workgroup_memory, "{}: {bytes} bytes shared", case.name);
                for target in [Target::Msl, Target::Spirv, Target::Hlsl] {
                    translate(kernel, target).unwrap_or_else(|e| panic!("{}", told(&e)));
                }
            }
        }
        eprintln!("{}: {} kernels of {} specifications", profile.name, texts.len(), cases.len());
    }
}

#[test]
fn extents_and_offsets_do_not_change_the_text() {
    let pairs = [
        (
            Spec::Contract(table::product(1, 2048, 2048, 256, false, true)),
            Spec::Contract(table::product(1, 4096, 2304, 512, false, true)),
        ),
        (
            Spec::Conv(table::conv_spec(ConvKind::Forward, table::geometry(64, 64, [28, 28], 128, 3, 1))),
            Spec::Conv(table::conv_spec(ConvKind::Forward, table::geometry(128, 128, [16, 28], 256, 3, 1))),
        ),
        (
            Spec::Window(table::window_spec(
                WindowKind::Max,
                [4, 16],
                [28, 28],
                [2; 2],
                [2; 2],
                [0; 2],
                [1; 2],
            )),
            Spec::Window(table::window_spec(
                WindowKind::Max,
                [3, 3],
                [15, 13],
                [2; 2],
                [2; 2],
                [0; 2],
                [1; 2],
            )),
        ),
    ];
    for profile in profiles() {
        for (one, other) in &pairs {
            let texts = |spec: &Spec| -> Vec<String> {
                spec.schedule(&profile).launches.into_iter().map(|launch| launch.kernel.wgsl).collect()
            };
            assert!(texts(one) == texts(other), "{one:?} and {other:?} on {}", profile.name);
        }
    }
}

#[test]
fn every_kernel_computes_its_specification() {
    let device = match Device::open(None) {
        Ok(device) => device,
        Err(error) => {
            assert!(std::env::var_os("NNC_REQUIRE_GPU").is_none_or(|v| v != "1"), "{error}");
            eprintln!("skipped: no adapter");
            return;
        }
    };
    let limits = device.profile();
    let cases = cases();
    let mut seen: Vec<Vec<Schedule>> = cases.iter().map(|_| Vec::new()).collect();
    let mut kernels: Vec<(String, &Case, Schedule)> = Vec::new();
    for profile in profiles().into_iter().filter(|profile| profile.name != "cpu") {
        if profile.invocations > limits.invocations.max(256) {
            eprintln!("{}: skipped, the adapter is smaller", profile.name);
            continue;
        }
        for (case, seen) in cases.iter().zip(&mut seen) {
            if case.has_halves() && !(profile.f16 && limits.f16) {
                continue;
            }
            let schedule = case.spec.schedule(&profile);
            if !seen.contains(&schedule) {
                seen.push(schedule.clone());
                kernels.push((profile.name.clone(), case, schedule));
            }
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some((profile, case, schedule)) = kernels.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = check(&device, case, schedule) {
                failures.push(format!("{} on {profile}: {failure}", case.name));
            }
        }
        failures
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("the kernels run")).collect()
    });
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_processor_computes_every_specification() {
    let failures: Vec<String> = cases()
        .into_iter()
        .filter_map(|case| {
            let run = |bytes: &[Vec<u8>], writes: &mut [Vec<u8>], host: &[u32; HOST_SLOTS]| {
                nnc_runtime::cpu::raw::run(&case.spec, bytes, writes, host, &case.in_place)
            };
            computes(&case, run).err().map(|failure| format!("{}: {failure}", case.name))
        })
        .collect();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

fn check(device: &Device, case: &Case, schedule: &Schedule) -> Result<(), String> {
    let fits = schedule.launches.iter().all(|launch| {
        workgroup_bytes(&launch.kernel).expect("kernels are valid") <= device.profile().workgroup_memory
    });
    if !fits {
        return Ok(());
    }
    for launch in &schedule.launches {
        for slot in &launch.slots {
            let known = match *slot {
                Slot::Read(i) => i < case.spec.reads().len(),
                Slot::Write(i) => i < case.spec.writes().len(),
                Slot::Scratch(i) => i < schedule.scratch.len(),
                Slot::Host => true,
            };
            if !known {
                return Err(format!("{slot:?} is not there"));
            }
        }
    }
    computes(case, |bytes, writes, host| {
        raw::run_in_place(device, schedule, bytes, writes, host, &case.in_place)
            .map_err(|error| error.to_string())
    })
}

/// Holds what `run` writes, given the reads, the writes as they are before and the host block, against the meaning.
fn computes(
    case: &Case,
    run: impl FnOnce(&[Vec<u8>], &mut [Vec<u8>], &[u32; HOST_SLOTS]) -> Result<(), String>,
) -> Result<(), String> {
    let mut host = [0u32; HOST_SLOTS];
    host[0] = 1234;
    host[1] = 3;
    host[4] = 0.01f32.to_bits();
    host[5] = 1.5f32.to_bits();
    host[6] = 2.0f32.to_bits();
    let kinds = case.spec.reads();
    let mut reads: Vec<Values> = kinds
        .iter()
        .enumerate()
        .map(|(slot, &(element, length))| (0..length).map(|e| sample(element, slot, e)).collect())
        .collect();
    if matches!(&case.spec, Spec::Lines(spec) if matches!(spec.kind, LineKind::Order { .. })) {
        reads[0]
            .iter_mut()
            .skip(1)
            .step_by(3)
            .zip(HARD_TO_ORDER.iter().cycle())
            .for_each(|(key, hard)| *key = *hard);
    }
    let write_kinds = case.spec.writes();
    let mut expected: Vec<Values> =
        write_kinds.iter().map(|&(element, length)| vec![untouched(element); length + 5]).collect();
    for &(read, write) in &case.in_place {
        reads[read].resize(expected[write].len(), 0.5);
        expected[write].clone_from(&reads[read]);
    }
    let bytes: Vec<Vec<u8>> = reads.iter().zip(&kinds).map(|(v, k)| stored(v, k.0)).collect();
    let mut writes: Vec<Vec<u8>> = expected.iter().zip(&write_kinds).map(|(v, k)| stored(v, k.0)).collect();
    let bytes: Vec<Vec<u8>> = bytes.into_iter().map(|b| if b.is_empty() { vec![0; 4] } else { b }).collect();
    case.spec.evaluate(&Inputs { reads: &reads, host: &host }, &mut expected);
    run(&bytes, &mut writes, &host)?;
    for (k, ((bytes, expected), (element, _))) in writes.iter().zip(&expected).zip(&write_kinds).enumerate() {
        let size = if *element == Element::F16 { 2 } else { 4 };
        for (place, (word, &want)) in bytes.chunks_exact(size).zip(expected).enumerate() {
            let bits = word.iter().rev().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
            let have = match element {
                Element::F16 => half_value(u16::try_from(bits).expect("a half has two bytes")),
                Element::F32 => f64::from(f32::from_bits(bits)),
                Element::I32 => f64::from(bits.cast_signed()),
                Element::Bool | Element::U8 => f64::from(bits),
            };
            // A half is within 2^-11 of its number.
            let tolerance = if *element == Element::F16 { 6e-4 } else { 1e-4 };
            let near = (have - want).abs() <= tolerance * (1.0 + want.abs()) || have == to_half(want);
            if !near {
                return Err(format!("result {k}, element {place} is {have}, not {want}"));
            }
        }
    }
    Ok(())
}

/// Keys of which a comparison of floats makes no order, or the wrong one.
const HARD_TO_ORDER: [f64; 7] = [f64::NAN, 0.0, f64::INFINITY, -0.0, -f64::NAN, f64::NEG_INFINITY, 1e-40];

/// A number that a tensor holds: never twice the same by position, some equal, of both signs.
fn sample(element: Element, slot: usize, place: usize) -> f64 {
    let number = |n: usize| u32::try_from(n).expect("tables are small");
    let unit = random_uniform(99, 0, number(slot), number(place));
    let unit = f64::from(unit);
    match element {
        Element::F32 | Element::F16 => f64::from(((unit * 2.0 - 1.0) * 64.0).round() as f32 / 64.0),
        Element::I32 => (unit * 20.0 - 10.0).floor(),
        Element::Bool => f64::from(u8::from(unit < 0.5)),
        Element::U8 => (unit * 256.0).floor(),
    }
}

fn untouched(element: Element) -> f64 {
    match element {
        Element::F32 | Element::F16 => f64::from(UNTOUCHED),
        Element::I32 | Element::U8 => 77.0,
        Element::Bool => 1.0,
    }
}

fn stored(values: &[f64], element: Element) -> Vec<u8> {
    match element {
        Element::F32 => values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect(),
        Element::F16 => {
            let mut bytes: Vec<u8> = values.iter().flat_map(|&v| half_bits(v).to_le_bytes()).collect();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        }
        Element::I32 => values.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect(),
        Element::Bool => values.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect(),
        Element::U8 => {
            let mut bytes: Vec<u8> = values.iter().map(|&v| v as u8).collect();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        }
    }
}
