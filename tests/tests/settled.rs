//! What depends on weights alone is computed once: later runs leave it out, and their results are those of a first run.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use nnc::plan::Plan;
use nnc_runtime::artifact::{Artifact, Role, StoredKind};
use nnc_runtime::{Clock, Session, Tensor};
use nnc_tests::device::device;
use nnc_tests::in_use::{BATCH, USE, batch, bundle, compiled, models};
use nnc_wgsl::{PROFILES, Profile};

const SEED: u64 = 5;

fn run(session: &mut Session, role: Role, salt: u32) -> Vec<Vec<u8>> {
    let input = batch(session.program(role).unwrap(), salt);
    let outputs = session.run(role, &input, &Clock::single(SEED, BATCH as u64)).unwrap();
    outputs.tensors().into_iter().map(|tensor| tensor.bytes).collect()
}

/// The results of a session that has run nothing before.
fn first(artifact: &Artifact, weights: &[Tensor], role: Role, salt: u32) -> Vec<Vec<u8>> {
    let mut session = Session::open_roles(artifact, &device().unwrap(), &USE).unwrap();
    session.initialize(SEED).unwrap();
    session.write_tensors(weights).unwrap();
    run(&mut session, role, salt)
}

#[test]
fn later_runs_have_the_results_of_first_ones() {
    let Some(device) = device() else { return };
    let mut settled = 0;
    for name in models() {
        let artifact = compiled(&bundle(&name), device.profile(), &USE, None).artifact;
        settled += artifact.programs.iter().map(|program| program.settled).sum::<usize>();
        if artifact.programs.iter().all(|program| program.settled == 0) {
            continue;
        }
        let mut session = Session::open_roles(&artifact, &device, &USE).unwrap();
        session.initialize(SEED).unwrap();
        let mut weights = session.read_tensors(|tensor| tensor.kind == StoredKind::Weight).unwrap();
        for tensor in &mut weights {
            for word in tensor.bytes.as_chunks_mut::<4>().0 {
                *word = (f32::from_le_bytes(*word) * 0.5 + 0.01).to_le_bytes();
            }
        }
        let of = |session: &mut Session, weights: &[Tensor], role, salt| {
            let found = run(session, role, salt);
            assert!(found == first(&artifact, weights, role, salt), "{name}: {role}, batch {salt}");
        };
        for (role, salt) in [(Role::Infer, 1), (Role::Infer, 2), (Role::Evaluate, 3), (Role::Infer, 4)] {
            of(&mut session, &[], role, salt);
        }
        session.write_tensors(&weights).unwrap();
        for (role, salt) in [(Role::Infer, 5), (Role::Infer, 6), (Role::Evaluate, 7), (Role::Evaluate, 8)] {
            of(&mut session, &weights, role, salt);
        }
        session.initialize(SEED).unwrap();
        of(&mut session, &[], Role::Evaluate, 9);
    }
    assert!(settled > 0, "no model has anything to settle");
}

#[test]
fn nothing_is_written_over_what_is_settled() {
    let mut kept = 0;
    for name in PROFILES {
        let profile = Profile::named(name).unwrap();
        for model in models() {
            for built in &compiled(&bundle(&model), &profile, &USE, None).programs {
                let settled = built.lowered.settled;
                let Plan { areas, .. } = &built.plan;
                let stages = built.lowered.stages.iter().enumerate();
                let (first, later): (Vec<_>, Vec<_>) = stages.partition(|(number, _)| *number < settled);
                let read: Vec<_> = later
                    .iter()
                    .flat_map(|(_, stage)| stage.work.iter().flat_map(|work| work.reads.iter().flatten()))
                    .map(|value| built.lowered.homes.root(*value))
                    .collect();
                for (_, stage) in first {
                    for value in stage.work.iter().flat_map(|work| &work.into).filter(|id| read.contains(id))
                    {
                        kept += 1;
                        let mine = areas[value];
                        for (number, stage) in &later {
                            let scratch = built.plan.scratch[*number].iter().flatten().copied();
                            let written = stage.work.iter().flat_map(|work| &work.into);
                            let written = written.filter(|other| *other != value).map(|other| areas[other]);
                            for area in written.chain(scratch) {
                                let apart = area.buffer != mine.buffer
                                    || area.offset + area.bytes <= mine.offset
                                    || mine.offset + mine.bytes <= area.offset;
                                assert!(apart, "{model} on {name}: k{number} writes over {mine:?}");
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(kept > 20, "{kept} values are settled");
}
