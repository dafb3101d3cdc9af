//! Every machine makes the same bytes: the sums of artifacts, as they were on the machine that stored them.
//!
//! Compiling twice on one machine is a law of its own (`device_laws.rs`). A change of the compiler changes the sums:
//! `NNC_BLESS=1 cargo test -p nnc-tests --test same_bytes` writes those of this machine, and the diff of
//! `tests/same_bytes.txt` then says which artifacts are other ones.

use std::sync::Arc;

use nnc::elaborate::load;
use nnc::source::NoFiles;
use nnc_runtime::artifact::Role;
use nnc_runtime::format;
use nnc_tests::workspace;
use nnc_wgsl::{PROFILES, Profile};

/// Models in which every kind of kernel occurs.
const MODELS: [&str; 5] = ["mnist.nn", "residual.nn", "char_gru.nn", "transformer.nn", "vae.nn"];

/// FNV-1a with 64 bits.
fn sum(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The artifact of all programs of a model of the repository.
fn artifact(model: &str, profile: &str) -> Vec<u8> {
    let path = workspace::root().join("models").join(model);
    let text = std::fs::read_to_string(&path).expect("the model is in the repository");
    // A checkout may end lines otherwise; places in the text are part of the artifact.
    let bundle = load(model, &text.replace("\r\n", "\n"), &[], &NoFiles);
    assert!(!bundle.has_errors(), "{model} has errors");
    let profile = Profile::named(profile).expect("the profile exists");
    let roles = [Role::Train, Role::Gradient, Role::Evaluate, Role::Infer];
    let compiled = nnc::compile(&Arc::new(bundle.value), &nnc::Request::new(profile, &roles));
    format::write(&compiled.value.expect("the model compiles").artifact)
}

#[test]
fn the_sum_of_nothing_is_the_one_of_the_definition() {
    assert_eq!((sum(b""), sum(b"a")), (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c));
}

#[test]
fn artifacts_have_the_bytes_that_they_had_on_another_machine() {
    let pairs = MODELS.iter().flat_map(|model| PROFILES.iter().map(move |profile| (model, profile)));
    let lines = pairs.map(|(model, profile)| {
        let bytes = artifact(model, profile);
        format!("{model} {profile} {} bytes {:016x}\n", bytes.len(), sum(&bytes))
    });
    let found: String = lines.collect();
    let path = workspace::root().join("tests/same_bytes.txt");
    if std::env::var_os("NNC_BLESS").is_some() {
        std::fs::write(&path, &found).expect("the file can be written");
    }
    let stored = std::fs::read_to_string(&path).expect("the file is in the repository");
    let other: Vec<(&str, &str)> = found.lines().zip(stored.lines()).filter(|(a, b)| a != b).collect();
    assert!(
        other.is_empty() && found.lines().count() == stored.lines().count(),
        "here and there: {other:#?}\nif the compiler has changed: NNC_BLESS=1, and read the diff"
    );
}
