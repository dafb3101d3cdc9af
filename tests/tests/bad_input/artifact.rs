//! Artifacts that are cut short or altered: always an error, or no difference. That no bit of any file goes
//! unnoticed is shown in `nnc_runtime::format`; here the command says so.

use nnc_runtime::format;
use nnc_tests::device::device;

use crate::workplace::{Workplace, floats};

const RUN: [&str; 6] = ["run", "model.nna", "--input", "in", "--output", "out"];

/// A folder with an artifact and an input for it; `None` without an adapter.
fn built() -> Option<Workplace> {
    device()?;
    let place = Workplace::new();
    place.succeeds(&["train", "model.nn", "--out", "run", "--set", "epochs=1"]);
    place.succeeds(&["build", "model.nn", "--weights", "run/weights.safetensors"]);
    place.write_tensors("in", &[floats("image", &[3, 1, 4, 4], |i| (i * 37 % 97) as f32 / 97.0)]);
    Some(place)
}

#[test]
fn a_truncated_artifact() {
    let Some(place) = built() else { return };
    let whole = place.read("model.nna");
    for length in [4, 5, 19, 20, 21, 1000, whole.len() / 2, whole.len() - 1] {
        place.write("model.nna", &whole[..length]);
        let parts = ["`model.nna`", "the artifact is cut short", "copy or compile it again"];
        place.refuses(2, &RUN, &parts);
    }
    place.write("model.nna", [&whole[..], b"\n"].concat());
    place.refuses(2, &RUN, &["`model.nna`", "1 bytes after its end", "copy or compile it again"]);
    // Without its first four bytes it is no artifact any more, but a model's file.
    place.write("model.nna", &whole[..3]);
    place.refuses(1, &RUN, &["expected an item, found `NNC`", "model.nna:1:1"]);
}

#[test]
fn an_altered_artifact() {
    let Some(place) = built() else { return };
    let whole = place.read("model.nna");
    for at in (16..whole.len()).step_by(whole.len() / 10) {
        let mut altered = whole.clone();
        altered[at] ^= 0x20;
        place.write("model.nna", altered);
        let parts = ["`model.nna`", "the artifact was altered", "copy or compile it again"];
        place.refuses(2, &RUN, &parts);
    }
    let mut other = whole.clone();
    other[4] = 9;
    place.write("model.nna", &other);
    let reads = |found: u8| format!("has format {found}, this runtime reads {}", format::VERSION);
    place.refuses(2, &RUN, &["`model.nna`", &reads(9), "update the runtime"]);
    other[4] = 1;
    place.write("model.nna", &other);
    place.refuses(2, &RUN, &["`model.nna`", &reads(1), "compile it again"]);
    place.write("model.nna", whole);
    place.succeeds(&RUN);
}

/// What has a right checksum and a wrong content: an index out of its table, a size that does not fit.
#[test]
fn an_artifact_whose_parts_do_not_fit() {
    let Some(place) = built() else { return };
    let whole = format::read(&place.read("model.nna")).unwrap();
    let refused = |artifact, part| {
        place.write("model.nna", format::write(&artifact));
        place.refuses(2, &RUN, &["`model.nna`: the artifact is inconsistent", part, "compile it again"]);
    };
    let mut artifact = whole.clone();
    artifact.programs[0].dispatches[0].kernel = 999;
    refused(artifact, "there is no kernel 999");
    let mut artifact = whole.clone();
    artifact.tensors[0].shape.push(1 << 20);
    refused(artifact, "the tensor `linear.weight`");
    let mut artifact = whole;
    artifact.programs.retain(|program| !program.outputs.iter().any(|port| port.name == "logits"));
    place.write("model.nna", format::write(&artifact));
    place.refuses(2, &RUN, &["the artifact has no `infer` program", "compile the model with it"]);
}
