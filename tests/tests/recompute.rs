//! Values that are computed a second time: the step computes the same numbers in less memory, whatever is chosen.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::fs;
use std::sync::Arc;

use nnc::compile::{Compiled, compile};
use nnc::elaborate::load;
use nnc::passes::{Selection, form_kernels};
use nnc::program::{Built, artifact_of, artifact_within};
use nnc::recompute::recompute;
use nnc::source::NoFiles;
use nnc_runtime::Session;
use nnc_runtime::artifact::Role;
use nnc_runtime::train::{Event, Options, train};
use nnc_tests::device::device;
use nnc_tests::graphs::training;
use nnc_tests::workspace::root;
use nnc_wgsl::{PROFILES, Profile};

fn profile(name: &str) -> Profile {
    Profile::named(name).unwrap()
}

/// A network of `models/` for a few examples, within so many bytes.
fn model(name: &str, batch: usize, memory: Option<u64>, profile: &Profile) -> Compiled {
    let mut text = fs::read_to_string(root().join("models").join(name)).unwrap();
    let data = root().join("data").display().to_string();
    text = text.replace("\"../data", &format!("\"{data}"));
    if let Some(memory) = memory {
        assert!(text.contains("\n  batch "));
        text = text.replace("\n  batch ", &format!("\n  memory = {memory}\n  batch "));
    }
    let bundle = load(name, &text, &[], &NoFiles);
    assert!(!bundle.has_errors(), "{:?}", bundle.diagnostics);
    let mut request = nnc::Request::new(profile.clone(), &[Role::Train]);
    request.batch = Some(batch);
    let made = compile(&Arc::new(bundle.value), &request);
    made.value.unwrap_or_else(|| panic!("{name}: {:?}", made.diagnostics))
}

fn seconds(built: &Built) -> usize {
    built.graph.nodes().into_iter().filter(|id| built.graph.node(*id).again).count()
}

/// All device memory of a step, as `memory` counts it.
fn bytes(compiled: &Compiled) -> u64 {
    let regions: u64 = compiled.artifact.regions.iter().map(|region| region.bytes).sum();
    let program = &compiled.artifact.programs[0];
    regions + program.arenas.iter().sum::<u64>() + program.input_bytes + program.output_bytes
}

#[test]
fn a_step_that_computes_again_whatever_it_can_means_the_same() {
    let (mut changed, mut computed) = (0, 0);
    for name in PROFILES {
        let profile = profile(name);
        for seed in 0..150 {
            let sample = training(seed, usize::try_from(seed % 14).unwrap());
            let (built, _) = artifact_of(sample.graph.clone(), Role::Train, &profile);
            assert_eq!(seconds(&built), 0, "small values are kept");
            let again = recompute(&built.graph, &built.lowered, &built.plan, Some(0));
            let Some(mut graph) = again else { continue };
            form_kernels(&mut graph, &profile, &Selection::default());
            assert_eq!(sample.results(&graph), sample.results(&built.graph), "{} on {name}", sample.name);
            changed += 1;
            computed += graph.len() - built.graph.len();
        }
    }
    assert!(changed > 100 && computed > 200, "{changed} graphs with {computed} more values");
}

#[test]
fn a_second_computation_comes_right_before_its_first_reader_and_has_one() {
    let mut found = 0;
    for name in PROFILES {
        let profile = profile(name);
        for file in ["residual.nn", "unet.nn", "patches.nn"] {
            let kept = model(file, 8, None, &profile);
            let wanted = bytes(&kept) - kept.programs[0].plan.lower_bound / 6;
            let less = model(file, 8, Some(wanted), &profile);
            assert!(bytes(&less) <= wanted, "{file} on {name}: {} of {wanted}", bytes(&less));
            let built = &less.programs[0];
            let stages = &built.lowered.stages;
            for (number, stage) in stages.iter().enumerate() {
                let waits = |k: usize| stages[k].cluster.members.iter().all(|id| built.graph.node(*id).again);
                if !waits(number) {
                    continue;
                }
                found += 1;
                let next = (number + 1..stages.len()).find(|k| !waits(*k)).unwrap();
                let between = &stages[number + 1..=next];
                let reads = between.iter().flat_map(|stage| &stage.cluster.members).any(|member| {
                    let operands = built.graph.operands(*member).into_iter();
                    let bases = operands.map(|operand| built.lowered.layouts[&operand].base);
                    bases.into_iter().any(|base| stage.cluster.members.contains(&base))
                });
                assert!(reads, "{file} on {name}: k{number} {} waits for nothing", stage.label);
            }
        }
    }
    assert!(found > 30, "{found} kernels");
}

#[test]
fn large_elementwise_values_are_computed_again_where_they_are_kept_at_the_peak() {
    let profile = profile("nvidia-hopper");
    let large = model("residual.nn", 8192, None, &profile);
    let built = &large.programs[0];
    assert!(seconds(built) > 0);
    let more = recompute(&built.graph, &built.lowered, &built.plan, None);
    assert!(more.is_none(), "nothing that lowers the peak is left");
    assert_eq!(seconds(&model("residual.nn", 64, None, &profile).programs[0]), 0);
}

#[test]
fn plans_stay_within_a_few_percent_of_what_is_alive() {
    for name in PROFILES {
        for file in ["residual.nn", "unet.nn", "patches.nn", "mnist.nn", "transformer.nn", "resnet18.nn"] {
            let compiled = model(file, 32, None, &profile(name));
            let plan = &compiled.programs[0].plan;
            let taken: u64 = plan.arenas.iter().sum();
            assert!(
                taken * 100 <= plan.lower_bound * 104,
                "{file} on {name}: {taken} for {} alive",
                plan.lower_bound
            );
        }
    }
}

#[test]
fn a_limit_of_nothing_still_gives_a_sound_plan() {
    for seed in 0..60 {
        let sample = training(seed, usize::try_from(seed % 12).unwrap());
        let profile = profile("webgpu-default");
        let (built, artifact) = artifact_within(sample.graph.clone(), 0, &profile);
        let (kept, _) = artifact_of(sample.graph.clone(), Role::Train, &profile);
        let arenas = |built: &Built| built.plan.arenas.iter().sum::<u64>();
        assert!(arenas(&built) <= arenas(&kept));
        assert_eq!(artifact.programs[0].arenas, built.plan.arenas);
    }
}

/// The losses of some steps on the device, and the weights after them.
fn trained(compiled: &Compiled) -> Option<(Vec<u64>, Vec<Vec<u8>>)> {
    let device = device()?;
    let mut session = Session::open(&compiled.artifact, &device).unwrap();
    let mut training = compiled.artifact.training.clone().unwrap();
    training.epochs = None;
    training.steps = Some(4);
    training.data.parts.truncate(1);
    let folder = tempfile::tempdir().unwrap();
    let options = Options { base: folder.path().to_owned(), ..Options::default() };
    let mut losses = Vec::new();
    let ended = train(&mut session, &training, &options, &mut |event| {
        if let Event::Step { loss, .. } = event {
            losses.push(loss.to_bits());
        }
    });
    ended.unwrap();
    let tensors = session.read_tensors(|_| true).unwrap();
    Some((losses, tensors.into_iter().map(|tensor| tensor.bytes).collect()))
}

#[test]
fn a_step_in_less_memory_trains_to_the_same_bits() {
    let Some(device) = device() else { return };
    let kept = model("residual.nn", 8, None, device.profile());
    let wanted = bytes(&kept) - kept.programs[0].plan.lower_bound / 6;
    let less = model("residual.nn", 8, Some(wanted), device.profile());
    assert!(seconds(&less.programs[0]) > 0 && bytes(&less) <= wanted);
    assert_eq!(trained(&kept), trained(&less));
}
