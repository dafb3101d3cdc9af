//! Weights that another framework trained run here: Silero's voice activity detector, rebuilt as a model, says of a
//! spoken sentence what its ONNX file says under onnxruntime (`tests/goldens/silero/make.py`).

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::collections::BTreeMap;

use nnc_tests::command::{nnc, succeed};
use nnc_tests::device::device;
use nnc_tests::tensors::{Values, read};
use nnc_tests::tolerance::{ELSEWHERE, distance};
use nnc_tests::workspace::root;

const MODEL: &str = "tests/goldens/silero/silero_vad.nn";
const WEIGHTS: &str = "tests/goldens/silero/silero_vad.safetensors";
const SENTENCE: &str = "tests/goldens/silero/sentence.safetensors";

/// What `nnc run` says of the sentence, with these arguments more.
fn said(more: &[&str]) -> BTreeMap<String, Values> {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("said.safetensors");
    let arguments =
        ["run", MODEL, "--weights", WEIGHTS, "--input", SENTENCE, "--output", output.to_str().unwrap()];
    let _ = succeed(nnc(&[&arguments, more].concat()));
    read(&output)
}

#[test]
fn a_voice_is_heard_where_the_onnx_file_hears_it() {
    if device().is_none() {
        return;
    }
    let said = said(&["--dim", "T=94"]);
    let expected = read(&root().join("tests/goldens/silero/speech.safetensors"));
    assert_eq!(said.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, expected) in &expected {
        assert_eq!(said[name].shape, expected.shape, "`{name}`");
        let apart = distance(&said[name].data, &expected.data);
        assert!(apart < ELSEWHERE, "`{name}` is {apart:.1e} away");
    }
    let probabilities = &said["speech"].data;
    assert!(probabilities.iter().any(|p| *p > 0.9) && probabilities.iter().any(|p| *p < 0.1));
}
