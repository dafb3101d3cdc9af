//! The networks of `models/` compiled for use, and inputs for them.
//!
//! # Panics
//! All of these, if a model does not compile: no test goes on without it.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "the module says it")]

use std::fs;
use std::sync::Arc;

use nnc::compile::{Compiled, compile};
use nnc::elaborate::{Bundle, load};
use nnc::source::NoFiles;
use nnc_runtime::Batch;
use nnc_runtime::artifact::{Program, Role};
use nnc_wgsl::{Element, Profile, random_uniform};

use crate::workspace::root;

/// The examples of a batch.
pub const BATCH: usize = 2;

/// The programs of use.
pub const USE: [Role; 2] = [Role::Evaluate, Role::Infer];

/// The networks of `models/`, by their files.
#[must_use]
pub fn models() -> Vec<String> {
    let entries = fs::read_dir(root().join("models")).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".nn"));
    names.sort();
    assert!(names.len() > 5, "{names:?}");
    names
}

/// The network of this file of `models/`.
#[must_use]
pub fn bundle(name: &str) -> Arc<Bundle> {
    let text = fs::read_to_string(root().join("models").join(name)).unwrap();
    bundle_of(name, &text)
}

/// The network of this text.
#[must_use]
pub fn bundle_of(name: &str, text: &str) -> Arc<Bundle> {
    let bundle = load(name, text, &[], &NoFiles);
    assert!(!bundle.has_errors(), "{name}: {:?}", bundle.diagnostics);
    Arc::new(bundle.value)
}

/// The programs of these roles, with at most so many bytes of weights on the device.
#[must_use]
pub fn compiled(bundle: &Arc<Bundle>, profile: &Profile, roles: &[Role], budget: Option<u64>) -> Compiled {
    let request = nnc::Request {
        batch: Some(BATCH),
        weight_budget: budget,
        ..nnc::Request::new(profile.clone(), roles)
    };
    let made = compile(bundle, &request);
    made.value.unwrap_or_else(|| panic!("{:?}", made.diagnostics))
}

/// Made-up inputs: integers are 0 or 1, which every field of the models takes.
#[must_use]
pub fn batch(program: &Program, salt: u32) -> Batch {
    let mut batch = Batch::new(program);
    for (place, port) in (0u32..).zip(&program.inputs) {
        let count = port.element.bytes(port.shape.iter().product());
        let uniform = |i: usize| random_uniform(salt, 0, place, u32::try_from(i).unwrap());
        let bytes: Vec<u8> = match port.element {
            Element::F32 => (0..count / 4).flat_map(|i| uniform(i).to_le_bytes()).collect(),
            Element::I32 | Element::Bool => {
                (0..count / 4).flat_map(|i| u32::from(uniform(i) < 0.5).to_le_bytes()).collect()
            }
            Element::U8 => (0..count).map(|i| u8::from(uniform(i) < 0.5)).collect(),
            Element::F16 => panic!("inputs are no halves"),
        };
        let input = batch.input_mut(place as usize);
        input.copy_from_slice(&bytes[..input.len()]);
    }
    batch
}
