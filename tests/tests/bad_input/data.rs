//! Data files that are not what the model says.

use std::io::Write;

use nnc_tests::device::device;

use crate::workplace::{Workplace, idx};

/// `nnc train` in this folder names the line of the source, and `parts`.
fn refused(place: &Workplace, parts: &[&str]) {
    if device().is_some() {
        place.refuses(2, &["train", "model.nn"], &[&["model.nn:8:11: "], parts].concat());
    }
}

fn images(content: &[u8], parts: &[&str]) {
    let place = Workplace::new();
    place.write("images", content);
    refused(&place, &[&["`images`"], parts].concat());
}

#[test]
fn a_missing_file() {
    let place = Workplace::with("\"images\"", "\"imagse\"");
    refused(&place, &["no data file `imagse` (nor `imagse.gz`)", "relative to its file"]);
}

#[test]
fn a_folder_in_the_place_of_a_file() {
    refused(&Workplace::with("\"images\"", "\".\""), &["`.` cannot be read: it is a folder"]);
}

#[test]
fn a_truncated_file() {
    let whole = Workplace::new().read("images");
    let parts = ["is cut short: its header says 656 bytes, it has 400", "download it again"];
    images(&whole[..400], &parts);
    images(&whole[..7], &["it ends within its header"]);
    images(&[], &["it ends within its header"]);
    images(&[&whole[..], &[0]].concat(), &["goes on after the 656 bytes that its header says"]);
}

#[test]
fn a_truncated_or_altered_gzip() {
    let gzipped = gzip(&Workplace::new().read("images"));
    images(&gzipped[..gzipped.len() / 2], &["cannot be unpacked", "download it again"]);
    let mut altered = gzipped.clone();
    altered[gzipped.len() / 2] ^= 0x55;
    images(&altered, &[]);
}

#[test]
fn a_gzip_without_its_ending_is_read() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    place.write("images", gzip(&place.read("images")));
    place.succeeds(&["train", "model.nn"]);
}

#[test]
fn a_file_of_another_format() {
    images(b"these are no images\n", &["is no IDX file: it begins with 74 68, not 00 00"]);
    images(&idx(0x07, &[1], &[1]), &["is no IDX file: its type byte is 07"]);
    images(&idx(0x08, &[], &[]), &["is no IDX file: it has no axis"]);
    images(&idx(0x08, &[u32::MAX as usize; 3], &[]), &["is no IDX file", "too large"]);
}

#[test]
fn files_that_changed_places() {
    let place = Workplace::with("\"images\", \"labels\"", "\"labels\", \"images\"");
    refused(
        &place,
        &["field `image` has the shape [1, 4, 4]", "examples of `labels` have []", "file that was meant"],
    );
    let place = Workplace::with("\"labels\"", "\"images\"");
    refused(&place, &["field `label` has the shape []", "examples of `images` have [4, 4]"]);
    let place = Workplace::with("\"labels\"", "\"test-labels\"");
    refused(&place, &["`image` has 40 examples, but `label` has 10", "belong together"]);
}

#[test]
fn a_file_too_few() {
    let place = Workplace::with(", \"labels\"", "");
    let parts = ["E0203", "model.nn:8:11", "one file for each field: 2, not 1"];
    place.refuses(1, &["check", "model.nn"], &parts);
}

#[test]
fn floats_for_labels() {
    let place = Workplace::new();
    place.write("labels", idx(0x0d, &[40], &[0; 160]));
    refused(&place, &["the field `label` is i32, but `labels` holds 32-bit floats", "convert the file"]);
}

#[test]
fn labels_out_of_range() {
    let place = Workplace::new();
    let mut labels = place.read("labels");
    labels[8 + 17] = 3;
    place.write("labels", labels);
    refused(&place, &["field `label` is in 0..3", "example 17 of `labels` has 3", "mend the file"]);
}

#[test]
fn images_of_another_size() {
    images(&idx(0x08, &[40, 5, 4], &[0; 800]), &["[1, 4, 4]", "[5, 4]", "declare the field so"]);
}

#[test]
fn a_reader_or_an_argument_that_does_not_exist() {
    let diagnosed = |from: &str, to: &str, parts: &[&str]| {
        let place = Workplace::with(from, to);
        place.refuses(1, &["check", "model.nn"], parts);
        if device().is_some() {
            place.refuses(1, &["train", "model.nn"], parts);
        }
    };
    let parts = [
        "E0201",
        "model.nn:8:11",
        "unknown reader `ixd`",
        "characters, cifar10, csv, idx, images, safetensors",
    ];
    diagnosed("idx(\"images\"", "ixd(\"images\"", &parts);
    let parts = ["E0202", "model.nn:8:35", "`idx` has no argument `tkae`", "did you mean `take`?"];
    diagnosed("\"labels\")", "\"labels\", tkae=0..0.5)", &parts);
    let parts = ["E0508", "model.nn:10:30", "`idx` does not carry out `resize`"];
    let place = Workplace::with("image = image / 255", "image = image -> resize(4) -> scale(1 / 255)");
    let said = String::from_utf8(place.succeeds(&["check", "model.nn"]).stderr).unwrap();
    assert!(said.contains("W0504"), "{said}");
    if device().is_some() {
        place.refuses(1, &["train", "model.nn"], &parts);
    }
    let place = Workplace::with("\"labels\")", "\"labels\", take=0..100)");
    refused(&place, &["`idx`: `take` asks for examples 0 to 100 of 40"]);
}

#[test]
fn fewer_examples_than_a_batch() {
    if device().is_none() {
        return;
    }
    let place = Workplace::with("batch     = 8", "batch     = 41");
    let parts = ["the part `train` has 40 examples", "less than one batch of 41", "use a smaller batch"];
    place.refuses(2, &["train", "model.nn"], &parts);
}

#[test]
fn a_part_without_examples() {
    let place = Workplace::new();
    place.write("images", idx(0x08, &[0, 4, 4], &[]));
    place.write("labels", idx(0x08, &[0], &[]));
    refused(&place, &["the part `train` has no examples: nothing is in `images`"]);
}

#[test]
fn a_part_that_the_data_does_not_have() {
    if device().is_none() {
        return;
    }
    let place = Workplace::new();
    place.succeeds(&["train", "model.nn", "--out", "run"]);
    let arguments = ["eval", "model.nn", "--weights", "run/weights.safetensors", "--part", "valid"];
    place.refuses(2, &arguments, &["the data `squares` has no part `valid`; it has: train, test"]);
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
