//! What stands in backticks in an answer can be written as it stands there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::names::{CALLS, NAMES};
use super::settings::{DATA_SETTINGS, DATA_WAYS, SETTING_WAYS, SETTINGS};
use super::types::TYPES;
use super::ways::WAYS;
use super::{ARGUMENT_WAYS, ARGUMENTS};
use crate::diagnostic::Diagnostic;
use crate::elaborate::{Expansion, Request, elaborate, load};
use crate::source::NoFiles;

const USES: &str = "use \"std/attention.nn\"\nuse \"std/vision.nn\"\n";

/// The tensors that an answer may speak of, in the order of their ranks.
const INPUTS: [&str; 5] =
    ["f32[N, 8]", "f32[N, 8, 8]", "f32[N, 8, 16, 16]", "f32[N, 3, 32, 32]", "i32[N, 8]"];

/// Words that are no expressions.
const WORDS: [&str; 19] = [
    "block", "layer", "scan", "train", "test", "valid", "data", "const", "self", "prepare", "augment", "use",
    "loss", "seed", "metrics", "u8", "str", "int", "float",
];

fn elaborates(text: &str, expansion: Expansion) -> bool {
    let loaded = load("model.nn", text, &[], &NoFiles);
    if loaded.diagnostics.iter().any(Diagnostic::is_error) {
        return false;
    }
    let checked = elaborate(&Arc::new(loaded.value), &Request::new(expansion));
    checked.value.is_some() && !checked.diagnostics.iter().any(Diagnostic::is_error)
}

fn as_formula(piece: &str) -> bool {
    let calls =
        [format!("a = {piece}\nx"), format!("x -> {piece}"), format!("x {piece}"), format!("{piece}\nx")];
    INPUTS.iter().any(|ty| {
        let model = |body: &String| format!("{USES}model M(x: {ty}, y: {ty}) {{\n{body}\n}}\n");
        calls.iter().any(|body| elaborates(&model(body), Expansion::Inference))
    })
}

fn as_statement(piece: &str) -> bool {
    let block =
        format!("{USES}block b(x: f32[N, C]) {{\n{piece}\nx\n}}\nmodel M(x: f32[N, 8]) {{ x -> b }}\n");
    let parameter = format!("block b({piece}) {{ x }}\nmodel M(x: f32[N, 8]) {{ x -> b }}\n");
    let input = format!("model M(x: {piece}) {{ x }}\n");
    let model = format!("{piece}\nmodel M(x: f32[N, 8]) {{ x -> linear(2) }}\n");
    [block, parameter, input, model].iter().any(|text| elaborates(text, Expansion::Inference))
}

fn as_setting(piece: &str) -> bool {
    let optimizer = format!("optimizer = {piece}");
    let name = piece.split(' ').next().unwrap_or("");
    let data = |entry: &str| format!("data d {{\n  x: f32[8]\n  label: i32 in 0..2\n{entry}\n}}\n");
    let parts = ["train = idx(\"a\", \"b\")", "test = idx(\"a\", \"b\")"];
    let source = data(&parts.join("\n"));
    let in_this = |entry: &str| {
        let name = entry.split(' ').next().unwrap_or("");
        let others: Vec<&str> = parts.into_iter().filter(|one| !one.starts_with(name)).collect();
        data(&format!("{}\n{entry}", others.join("\n")))
    };
    let settings = ["batch = 2", "epochs = 1", "loss = cross_entropy(y, label)", "optimizer = sgd(lr=0.1)"];
    let others: Vec<&str> = settings.into_iter().filter(|one| !one.starts_with(name)).collect();
    let train = |more: &str| {
        format!(
            "model M(x: f32[N, 8]) -> y: f32[N, 2] {{ x -> linear(2) }}\ntrain M on d {{\n{}\n\
         metrics {{ accuracy = accuracy(y, label) }}\n{more}\n}}\n",
            others.join("\n")
        )
    };
    let in_train = format!("{}{source}", train(piece));
    let in_metrics = train("").replace("metrics {", &format!("metrics {{ m = {piece}\n"));
    let in_metrics = format!("{in_metrics}{source}");
    let in_data = format!("{}{}", train(""), in_this(piece));
    let in_optimizer = train(&optimizer).replace("optimizer = sgd(lr=0.1)\n", "");
    let in_optimizer = format!("{in_optimizer}{source}");
    [in_train, in_metrics, in_data, in_optimizer].iter().any(|text| elaborates(text, Expansion::Training))
}

/// Whether `piece` can be written somewhere; `...` stands for a stage or a value.
fn can_be_written(piece: &str) -> bool {
    let command = |piece: &str| piece.strip_prefix("nnc ").is_some_and(|rest| !rest.is_empty());
    if WORDS.contains(&piece) || command(piece) {
        return true;
    }
    [piece.to_owned(), piece.replace("...", "relu"), piece.replace("...", "x")]
        .iter()
        .any(|piece| as_formula(piece) || as_statement(piece) || as_setting(piece))
}

fn pieces(answer: &str) -> Vec<&str> {
    answer.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_answer_can_be_written() {
    let mut answers: Vec<(&str, &str)> = Vec::new();
    for table in [&CALLS[..], &WAYS, &TYPES, &ARGUMENT_WAYS, &SETTING_WAYS, &DATA_WAYS] {
        answers.extend(table);
    }
    let mut known = BTreeMap::new();
    let mut wrong = Vec::new();
    for (theirs, answer) in answers {
        let pieces = pieces(answer);
        assert_eq!(answer.matches('`').count(), 2 * pieces.len(), "{theirs}: {answer}");
        for piece in pieces {
            let written = *known.entry(piece).or_insert_with(|| can_be_written(piece));
            if !written {
                wrong.push(format!("`{theirs}` is answered by `{piece}`, which cannot be written"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_name_of_ours_exists() {
    let model = |name: &str| format!("{USES}const it = {name}\nmodel M(x: f32[N, 8]) {{\nused = it\nx\n}}\n");
    let optimizers = ["sgd", "adam"];
    for (theirs, ours) in NAMES {
        let operator = format!("model M(x: f32[N, 8, 8], y: f32[N, 8, 8]) {{ x {ours} y }}\n");
        let exists = elaborates(&model(ours), Expansion::Inference)
            || elaborates(&operator, Expansion::Inference)
            || optimizers.contains(&ours);
        assert!(exists, "`{theirs}` is answered by `{ours}`, which does not exist");
    }
    for (theirs, ours) in SETTINGS {
        let known = crate::elaborate::settings::VALUES.contains(&ours);
        assert!(known, "`{theirs}` is answered by `{ours}`, which is no setting");
    }
    for (theirs, ours) in DATA_SETTINGS {
        let known = ["train", "test", "valid", "prepare", "augment"].contains(&ours);
        assert!(known, "`{theirs}` is answered by `{ours}`, which is no setting of `data`");
    }
}

#[test]
fn every_argument_of_ours_is_one_of_the_library() {
    let entries = crate::library::entries();
    let parameters: Vec<&str> = entries
        .iter()
        .flat_map(|entry| &entry.definition.parameters)
        .map(|parameter| parameter.name.text.as_str())
        .collect();
    for (theirs, ours) in ARGUMENTS {
        assert!(
            parameters.contains(&ours) || ["axis", "keep", "classes"].contains(&ours),
            "`{theirs}` is answered by `{ours}`, which nothing takes"
        );
    }
}

#[test]
fn no_name_stands_twice() {
    let names: Vec<&str> = NAMES.iter().chain(&WAYS).map(|(theirs, _)| *theirs).collect();
    for (place, name) in names.iter().enumerate() {
        assert!(!names[..place].contains(name), "`{name}` stands twice");
    }
}
