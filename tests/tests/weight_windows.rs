//! Networks larger than the memory for weights: whatever comes and goes, and whenever, the results are the same bits.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nnc::compile::{Compiled, compile};
use nnc::plan::{least, readings};
use nnc_runtime::artifact::{Artifact, Bound, Buffer, Load, Program, Role, StoredKind, Written};
use nnc_runtime::weight_file::WeightFile;
use nnc_runtime::{Batch, Clock, Device, Session, format, weights};
use nnc_tests::device::device;
use nnc_tests::in_use::{BATCH, USE, batch, bundle, bundle_of, compiled, models};
use nnc_wgsl::{Element, PROFILES, Profile};

const SEED: u64 = 3;

/// The least budget that will do, and the one that holds all weights.
fn budgets(compiled: &Compiled) -> (u64, u64) {
    let of = |built: &nnc::program::Built| {
        least(&readings(&built.graph, &built.lowered)).map_or(0, |(_, bytes)| bytes)
    };
    let least = compiled.programs.iter().map(of).max().unwrap();
    let weights = compiled.artifact.tensors.iter().filter(|t| t.kind == StoredKind::Weight);
    let all = weights.map(|t| (t.element.bytes(t.shape.iter().product()) as u64).next_multiple_of(256)).sum();
    (least, all)
}

/// The bytes of all outputs of two batches, the second submitted while the first is in flight.
fn outputs(session: &mut Session, role: Role) -> Vec<Vec<u8>> {
    let batches: Vec<Batch> = (0..2).map(|salt| batch(session.program(role).unwrap(), salt)).collect();
    let clock = Clock::single(SEED, BATCH as u64);
    for batch in &batches {
        session.submit(role, batch, &clock).unwrap();
    }
    let mut bytes = Vec::new();
    while let Some(outputs) = session.collect().unwrap() {
        bytes.extend(outputs.tensors().into_iter().map(|tensor| tensor.bytes));
    }
    bytes
}

fn opened(artifact: &Artifact, device: &Device, roles: &[Role]) -> Session {
    let mut session = Session::open_roles(artifact, device, roles).unwrap();
    session.initialize(SEED).unwrap();
    session
}

fn loads(artifact: &Artifact) -> usize {
    artifact.programs.iter().map(|program| program.loads.len()).sum()
}

#[test]
fn weights_that_come_and_go_give_the_bits_of_weights_that_stay() {
    let Some(device) = device() else { return };
    let mut tried = 0;
    for name in models() {
        let bundle = bundle(&name);
        let resident = compiled(&bundle, device.profile(), &USE, None);
        let (least, all) = budgets(&resident);
        let mut session = opened(&resident.artifact, &device, &USE);
        let expected: Vec<_> = USE.iter().map(|role| outputs(&mut session, *role)).collect();
        for budget in [least, least.midpoint(all), all - 256] {
            if budget < least {
                continue;
            }
            let made = compiled(&bundle, device.profile(), &USE, Some(budget));
            assert!(loads(&made.artifact) > 0, "{name}: {budget} of {all} bytes hold all weights");
            let mut session = opened(&made.artifact, &device, &USE);
            for (role, expected) in USE.iter().zip(&expected) {
                assert!(outputs(&mut session, *role) == *expected, "{name}, {role}: {budget} of {all} bytes");
                assert!(
                    session
                        .unmet(*role, &batch(session.program(*role).unwrap(), 0), &Clock::single(SEED, 2))
                        .is_ok()
                );
            }
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn windows_stay_within_the_budget_and_nothing_else_changes() {
    let mut loaded = 0;
    // What is settled keeps its place and comes first where weights stay; where they come and go nothing is.
    let kernels = |artifact: &Artifact| -> BTreeSet<String> {
        artifact.kernels.iter().map(|kernel| kernel.wgsl.clone()).collect()
    };
    for name in PROFILES {
        let profile = Profile::named(name).unwrap();
        for model in ["mnist.nn", "residual.nn", "char_gru.nn"] {
            let bundle = bundle(model);
            let resident = compiled(&bundle, &profile, &USE, None);
            let (least, all) = budgets(&resident);
            assert_eq!(compiled(&bundle, &profile, &USE, Some(all)).artifact, resident.artifact);
            for budget in [least, (least + all) / 2, all - 256] {
                let made = compiled(&bundle, &profile, &USE, Some(budget)).artifact;
                assert_eq!(kernels(&made), kernels(&resident.artifact), "{model} on {name}");
                for (program, before) in made.programs.iter().zip(&resident.artifact.programs) {
                    assert!(program.windows.iter().sum::<u64>() <= budget, "{model} on {name}");
                    let sum = |program: &Program| program.arenas.iter().sum::<u64>();
                    let same = if before.settled == 0 {
                        sum(program) == sum(before)
                    } else {
                        sum(program) <= sum(before)
                    };
                    assert!(same, "{model} on {name}: {:?} for {:?}", program.arenas, before.arenas);
                    assert_eq!((program.settled, program.dispatches.len()), (0, before.dispatches.len()));
                    loaded += program.loads.len();
                }
                assert_eq!(format::read(&format::write(&made)).unwrap(), made);
            }
        }
    }
    assert!(loaded > 200, "{loaded}");
}

/// What a session of one program takes: the regions it binds, arenas, windows, the way of the weights (three buffers of
/// at most 8 MiB), parameters, and input and output with their two places in flight.
fn planned(artifact: &Artifact, role: Role) -> u64 {
    let program = artifact.program(role).unwrap();
    let resident = artifact.resident(&[program]);
    let regions: u64 =
        artifact.regions.iter().zip(&resident).filter(|(_, r)| **r).map(|(r, _)| r.bytes).sum();
    let io = program.input_bytes + program.output_bytes + 256;
    let loaded: u64 = program.loads.iter().map(|load| load.area.bytes).sum();
    let params: u64 =
        program.dispatches.iter().map(|d| (d.params.len() as u64 * 4).max(16).next_multiple_of(256)).sum();
    regions
        + program.arenas.iter().chain(&program.windows).sum::<u64>()
        + 3 * loaded.min(8 << 20)
        + params
        + 3 * io
}

#[test]
fn a_session_takes_the_memory_that_was_planned_before_and_after_its_first_run() {
    let Some(device) = device() else { return };
    let bundle = bundle("mnist.nn");
    let resident = compiled(&bundle, device.profile(), &USE, None);
    let (least, all) = budgets(&resident);
    let made = compiled(&bundle, device.profile(), &USE, Some(least)).artifact;
    let mut session = opened(&made, &device, &[Role::Infer]);
    assert_eq!(session.allocated_bytes(), planned(&made, Role::Infer));
    let kept = opened(&resident.artifact, &device, &[Role::Infer]);
    assert!(
        planned(&made, Role::Infer) < planned(&resident.artifact, Role::Infer) - all + least + (25 << 20)
    );
    drop(kept);
    outputs(&mut session, Role::Infer);
    let taken = device.taken();
    for _ in 0..20 {
        outputs(&mut session, Role::Infer);
    }
    assert_eq!(session.allocated_bytes(), planned(&made, Role::Infer));
    if device.backend() == "vulkan" {
        assert_eq!(device.taken(), taken, "the driver has given more");
    }
}

#[test]
fn a_network_that_is_trained_is_used_with_the_weights_that_it_has_then() {
    let Some(device) = device() else { return };
    let bundle = bundle("mnist.nn");
    let roles = [Role::Train, Role::Evaluate, Role::Infer];
    let resident = compiled(&bundle, device.profile(), &roles, None);
    let (least, _) = budgets(&compiled(&bundle, device.profile(), &USE, None));
    let made = compiled(&bundle, device.profile(), &roles, Some(least)).artifact;
    assert!(made.program(Role::Train).unwrap().loads.is_empty());
    let after = |artifact: &Artifact| {
        let mut session = opened(artifact, &device, &roles);
        let train = outputs(&mut session, Role::Train);
        (train, outputs(&mut session, Role::Evaluate), outputs(&mut session, Role::Infer))
    };
    let (before, after) = (after(&resident.artifact), after(&made));
    assert!(before == after);
    let alone = opened(&made, &device, &[Role::Infer]);
    assert_eq!(alone.allocated_bytes(), planned(&made, Role::Infer));
    let there = made.resident(&[made.program(Role::Infer).unwrap()]);
    let there =
        made.regions.iter().zip(there).filter(|(_, there)| *there).map(|(region, _)| region.name.as_str());
    assert!(there.clone().all(|name| name == "states"), "{:?}", there.collect::<Vec<_>>());
}

/// The weights of `models/mnist.nn` in a file, with an artifact that loads them and what it gives with them.
fn saved(device: &Device, folder: &Path) -> (Artifact, std::path::PathBuf, Vec<Vec<u8>>) {
    let bundle = bundle("mnist.nn");
    let resident = compiled(&bundle, device.profile(), &[Role::Infer], None);
    let mut session = Session::open(&resident.artifact, device).unwrap();
    session.initialize(SEED + 1).unwrap();
    let path = folder.join("w.safetensors");
    weights::write(&path, &session.read_tensors(weights::is_saved).unwrap()).unwrap();
    let expected = outputs(&mut session, Role::Infer);
    let (least, _) = budgets(&resident);
    (compiled(&bundle, device.profile(), &[Role::Infer], Some(least)).artifact, path, expected)
}

#[test]
fn weights_come_from_their_file_and_from_what_was_written_since() {
    let Some(device) = device() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (artifact, path, expected) = saved(&device, folder.path());
    let mut session = opened(&artifact, &device, &[Role::Infer]);
    let first = outputs(&mut session, Role::Infer);
    assert!(first != expected, "the weights of another seed");
    session.take_weights(Box::new(WeightFile::open(&path, session.tensors()).unwrap())).unwrap();
    assert!(outputs(&mut session, Role::Infer) == expected);
    let tensors = weights::load(&path, &artifact.tensors).unwrap();
    assert!(session.read_tensors(weights::is_saved).unwrap() == tensors);
    session.initialize(SEED).unwrap();
    assert!(outputs(&mut session, Role::Infer) == first, "the file is left");
    session.write_tensors(&tensors).unwrap();
    assert!(outputs(&mut session, Role::Infer) == expected, "what was written is loaded");
    let mut given = artifact.clone();
    for tensor in &tensors {
        assert!(given.give(&tensor.path, &tensor.bytes));
    }
    assert!(outputs(&mut opened(&given, &device, &[Role::Infer]), Role::Infer) == expected);
}

#[test]
fn a_file_that_is_cut_short_while_it_is_used_is_named_and_a_whole_one_goes_on() {
    let Some(device) = device() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (artifact, path, expected) = saved(&device, folder.path());
    let mut session = opened(&artifact, &device, &[Role::Infer]);
    session.take_weights(Box::new(WeightFile::open(&path, session.tensors()).unwrap())).unwrap();
    assert!(outputs(&mut session, Role::Infer) == expected);
    let whole = fs::read(&path).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(whole.len() as u64 / 2).unwrap();
    let batch = batch(session.program(Role::Infer).unwrap(), 0);
    for _ in 0..3 {
        let error = session.run(Role::Infer, &batch, &Clock::single(SEED, 2)).unwrap_err().to_string();
        let parts = ["the weight `", ".weight`", "w.safetensors`", "cut short"];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert_eq!(session.in_flight(), 0);
    }
    let other = folder.path().join("whole.safetensors");
    fs::write(&other, whole).unwrap();
    session.take_weights(Box::new(WeightFile::open(&other, session.tensors()).unwrap())).unwrap();
    assert!(outputs(&mut session, Role::Infer) == expected);
}

const WIDE: &str = "\
model Wide(x: f32[N, 64]) -> y: f32[N, 4] {
  x -> linear(32) -> relu -> linear(512) -> relu -> linear(4)
}
";

#[test]
fn a_budget_that_is_too_small_names_the_largest_weight_and_the_least_that_will_do() {
    let bundle = bundle_of("wide.nn", WIDE);
    let profile = Profile::named("webgpu-default").unwrap();
    let (least, _) = budgets(&compiled(&bundle, &profile, &[Role::Infer], None));
    let request = |budget| nnc::Request {
        weight_budget: Some(budget),
        ..nnc::Request::new(profile.clone(), &[Role::Infer])
    };
    let refused = compile(&bundle, &request(least - 1));
    assert!(refused.value.is_none());
    let [diagnostic] = &refused.diagnostics[..] else { panic!("{:?}", refused.diagnostics) };
    let text = nnc::diagnostic::render(diagnostic, bundle.sources(), nnc::diagnostic::Colour::Never);
    let parts = [
        "error[E0509]".to_owned(),
        "wide.nn:2".to_owned(),
        "`linear_2.weight`".to_owned(),
        format!("{least} bytes"),
        format!("`--weight-budget {least}`"),
        "linear(512)".to_owned(),
    ];
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    let made = compile(&bundle, &request(least)).value.unwrap();
    assert_eq!(made.artifact.programs[0].windows, [least]);
}

#[test]
fn an_artifact_whose_weights_are_not_there_when_they_are_read_is_refused() {
    let bundle = bundle("mnist.nn");
    let profile = Profile::named("webgpu-default").unwrap();
    let (least, _) = budgets(&compiled(&bundle, &profile, &[Role::Infer], None));
    let made = compiled(&bundle, &profile, &[Role::Infer], Some(least)).artifact;
    made.validate().unwrap();
    let refused = |change: &dyn Fn(&mut Program), part: &str| {
        let mut altered = made.clone();
        change(&mut altered.programs[0]);
        let message = altered.validate().unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(&|p| p.windows.clear(), "there is no Window(0)");
    refused(&|p| p.windows[0] -= 256, "reach beyond");
    let again = |p: &mut Program, before| {
        let load = p.loads[0].clone();
        p.loads.push(Load { before, ..load });
    };
    refused(&|p| again(p, 0), "out of order");
    refused(&|p| again(p, 999), "after the last dispatch");
    refused(&|p| p.loads.reverse(), "a weight that is not there");
    refused(&|p| p.loads.truncate(p.loads.len() - 1), "a weight that is not there");
    refused(&|p| p.loads.iter_mut().for_each(|load| load.before = 0), "a weight that is not there");
    refused(&|p| p.loads[0].tensor = 99, "no such tensor");
    refused(&|p| p.loads[0].area.buffer = Buffer::Region(0), "into Region(0)");
    let largest = (0..).zip(&made.tensors).max_by_key(|(_, t)| t.shape.iter().product::<usize>()).unwrap().0;
    let small = made.programs[0].loads.iter().position(|load| load.tensor != largest).unwrap();
    refused(&|p| p.loads[small].tensor = largest, "reach beyond");
    refused(
        &|p| {
            let area = p.loads[0].area;
            let dispatch = p.dispatches.iter_mut().find(|d| d.bindings.contains(&Bound::Area(area))).unwrap();
            dispatch.writes.push(Written { area, element: Element::F32, what: "y".to_owned() });
        },
        "is written over weights",
    );
}
