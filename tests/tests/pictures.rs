//! Training on folders of pictures of several sizes, through the command.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::fs;
use std::path::Path;
use std::process::Output;

use nnc_tests::command::nnc;
use nnc_tests::device::device;

const MODEL: &str = r#"
model Shades(image: f32[N, 3, 8, 8]) -> logits: f32[N, 2] {
  image -> global_avg_pool -> linear(2)
}

data shades {
  image: f32[3, 8, 8]
  label: i32 in 0..2
  train = images("train")
  test  = images("test")
  prepare { image = image -> resize(10) -> center_crop(8) -> normalize(mean=0.5, std=0.25) }
  augment { image = image -> random_resized_crop(size=8) -> random_flip }
}

train Shades on shades {
  batch     = 4
  epochs    = 12
  loss      = cross_entropy(logits, label)
  optimizer = adam(lr=0.1)
  metrics   { accuracy = accuracy(logits, label) }
}
"#;

/// A picture between dark red and blue (class 0), or between bright red and blue (class 1).
fn picture(path: &Path, height: u32, width: u32, bright: bool) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Rgb);
    let level = if bright { 150 } else { 20 };
    let pixels = (0..height * width).flat_map(|place| {
        let drift = (place * 60 / (height * width)) as u8;
        [level + drift, 10, level + 60 - drift]
    });
    encoder.write_header().unwrap().write_image_data(&pixels.collect::<Vec<u8>>()).unwrap();
}

fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (part, count) in [("train", 8), ("test", 3)] {
        for number in 0..count {
            for (class, bright) in [("dark", false), ("light", true)] {
                let path = folder.path().join(format!("{part}/{class}/{number}.png"));
                picture(&path, 9 + number, 20 - number, bright);
            }
        }
    }
    fs::write(folder.path().join("shades.nn"), MODEL).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = nnc(arguments).current_dir(folder).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn weights(folder: &Path, run: &str) -> Vec<u8> {
    fs::read(folder.join("runs").join(run).join("weights.safetensors")).unwrap()
}

#[test]
fn folders_of_pictures_train_and_a_resumed_run_sees_the_same_crops() {
    if device().is_none() {
        return;
    }
    let place = workplace();
    let folder = place.path();
    let (code, _, said) = run(folder, &["check", "shades.nn"]);
    assert_eq!((code, said.contains("W0504")), (Some(0), false), "{said}");
    let (code, out, said) = run(folder, &["train", "shades.nn", "--out", "runs/whole"]);
    assert_eq!(code, Some(0), "{said}");
    let last = format!("{out}{said}").lines().filter(|line| line.contains("epoch 12/12")).collect::<String>();
    assert!(last.contains("test loss") && last.matches("accuracy 1.0000").count() == 2, "{out}{said}");

    let half = ["train", "shades.nn", "--out", "runs/parts", "--set", "epochs=5"];
    assert_eq!(run(folder, &half).0, Some(0));
    let rest = ["train", "shades.nn", "--out", "runs/parts", "--resume"];
    let (code, _, said) = run(folder, &rest);
    assert_eq!(code, Some(0), "{said}");
    assert!(weights(folder, "whole") == weights(folder, "parts"), "a resumed run has other weights");

    let still =
        MODEL.replace("  augment { image = image -> random_resized_crop(size=8) -> random_flip }\n", "");
    fs::write(folder.join("still.nn"), still).unwrap();
    assert_eq!(run(folder, &["train", "still.nn", "--out", "runs/still"]).0, Some(0));
    assert!(weights(folder, "whole") != weights(folder, "still"), "`augment` changes nothing");
}

#[test]
fn a_damaged_picture_ends_the_run_with_its_name_and_a_checkpoint() {
    if device().is_none() {
        return;
    }
    let place = workplace();
    let folder = place.path();
    let damaged = folder.join("train/light/1.png");
    let whole = fs::read(&damaged).unwrap();
    fs::write(&damaged, &whole[..whole.len() / 2]).unwrap();
    let arguments = ["train", "shades.nn", "--out", "runs/a"];
    let (code, _, said) = run(folder, &arguments);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("1.png` cannot be decoded") && said.contains("replace the file"), "{said}");
    fs::write(&damaged, whole).unwrap();
    let (code, _, said) = run(folder, &[arguments.as_slice(), &["--resume"]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(run(folder, &["train", "shades.nn", "--out", "runs/b"]).0, Some(0));
    assert!(weights(folder, "a") == weights(folder, "b"), "the run did not go on where it ended");
}
