//! What PyTorch, Keras, JAX and ONNX call things, and what is written here.
//!
//! Whatever an answer has in backticks exists in the language; `law.rs` holds the tables to it.

#[cfg(test)]
mod law;
mod names;
mod readers;
mod settings;
mod types;
mod ways;

pub(super) use readers::{option_of_reader, reader_help};

use names::{CALLS, NAMES};
use settings::{DATA_SETTINGS, DATA_WAYS, SETTING_WAYS, SETTINGS};
use types::TYPES;
use ways::WAYS;

use crate::elaborate::bundle::shelf_file_of;

/// Prefixes under which other frameworks keep their layers.
const PREFIXES: [&str; 13] =
    ["nn", "F", "torch", "functional", "tf", "keras", "layers", "np", "numpy", "jnp", "jax", "flax", "onnx"];

/// Arguments that are called differently here, in the order of what they may mean.
const ARGUMENTS: [(&str, &str); 41] = [
    ("class_weights", "class_weight"),
    ("sample_weight", "weigh"),
    ("pos_weight", "positive"),
    ("kernel_size", "kernel"),
    ("kernel_shape", "kernel"),
    ("kernel_size", "size"),
    ("pool_size", "size"),
    ("padding", "pad"),
    ("pads", "pad"),
    ("strides", "stride"),
    ("dilation_rate", "dilation"),
    ("dilations", "dilation"),
    ("group", "groups"),
    ("num_groups", "groups"),
    ("out_channels", "out"),
    ("out_features", "out"),
    ("filters", "out"),
    ("units", "out"),
    ("features", "out"),
    ("hidden_size", "out"),
    ("embedding_dim", "out"),
    ("output_dim", "out"),
    ("num_embeddings", "count"),
    ("input_dim", "count"),
    ("num_layers", "layers"),
    ("num_heads", "heads"),
    ("scale_factor", "by"),
    ("use_bias", "bias"),
    ("kernel_initializer", "init"),
    ("bias_initializer", "init_bias"),
    ("negative_slope", "slope"),
    ("rate", "p"),
    ("epsilon", "eps"),
    ("learning_rate", "lr"),
    ("weight_decay", "decay"),
    ("label_smoothing", "smooth"),
    ("rho", "alpha"),
    ("dim", "axis"),
    ("keepdim", "keep"),
    ("keepdims", "keep"),
    ("num_classes", "classes"),
];

/// Arguments without a counterpart.
const ARGUMENT_WAYS: [(&str, &str); 15] = [
    ("start_dim", "all dims behind the first are joined; fewer by `rearrange(\"n c h w -> n c (h w)\")`"),
    ("end_dim", "all dims behind the first are joined; fewer by `rearrange(\"n c h w -> n c (h w)\")`"),
    ("in_channels", "the input says how many channels come in: leave it out"),
    ("in_features", "the input says how many features come in: leave it out"),
    ("input_size", "the input says how many features come in: leave it out"),
    ("input_shape", "the model's signature says what comes in: leave it out"),
    ("num_features", "the input says how many channels come in: leave it out"),
    ("normalized_shape", "it normalizes along the last dim: leave it out"),
    ("activation", "an activation is a stage of its own: `-> relu`"),
    ("inplace", "the compiler decides what takes over memory: leave it out"),
    ("name", "a name is written behind the stage: `as stem`"),
    ("batch_first", "sequences are [N, T, C]: leave it out"),
    ("return_sequences", "`seq, h = x -> gru(64)` gives all steps and the last"),
    ("betas", "they are two arguments: `adam(beta1=0.9, beta2=0.999)`"),
    ("reduction", "a loss is the mean; write the formula for another: `sum(...)`"),
];

/// Parameters that take a number which elsewhere stands for something else.
const NUMBERS: [(&str, &str); 3] = [
    (
        "shared",
        "the input says how many channels come in: `prelu` has a slope for each, `prelu(shared=true)` one for all",
    ),
    ("eps", "the input says how many channels or features come in: leave their number out"),
    ("bias", "the input says how much comes in: of two sizes write the second, `linear(10)`"),
];

/// What to write where a number cannot be the parameter `name`.
pub(super) fn number_help(name: &str) -> Option<&'static str> {
    NUMBERS.iter().find(|(known, _)| *known == name).map(|(_, help)| *help)
}

/// What is written here for a layer, function or value that is called `name` elsewhere.
pub(super) fn name_help(name: &str) -> Option<String> {
    let folded = fold(name);
    if let Some(way) = entry(&WAYS, &folded) {
        return Some(way.to_owned());
    }
    if PREFIXES.contains(&name) {
        return Some("layers and functions need no prefix: `linear`, `relu`".to_owned());
    }
    let ours = translated(&folded)?;
    if ours.starts_with(|letter: char| !letter.is_alphabetic()) || matches!(ours, "and" | "or") {
        return Some(format!("write `a {ours} b`"));
    }
    Some(format!("here it is called `{ours}`{}", remarks(ours)))
}

/// How `ours` is called and where it comes from, as the end of a sentence.
fn remarks(ours: &str) -> String {
    let call = entry(&CALLS, ours).map(|call| format!(", {call}"));
    let file = shelf_file_of(ours).map(|file| format!(", of `use \"{file}\"`"));
    call.into_iter().chain(file).collect()
}

/// What is written here for a type that is called `name` elsewhere.
pub(super) fn type_help(name: &str) -> Option<&'static str> {
    entry(&TYPES, name)
}

/// What is written here for a setting of `train` that is called `name` elsewhere.
pub(super) fn setting_help(name: &str) -> Option<String> {
    renamed(&SETTINGS, &SETTING_WAYS, name)
}

/// The setting of `train` that is called `name` elsewhere.
pub(super) fn setting_name(name: &str) -> Option<&'static str> {
    entry(&SETTINGS, name)
}

/// What is written here for a setting of `data` that is called `name` elsewhere.
pub(super) fn data_setting_help(name: &str) -> Option<String> {
    renamed(&DATA_SETTINGS, &DATA_WAYS, name)
}

fn renamed(names: &[(&str, &str)], ways: &[(&'static str, &'static str)], name: &str) -> Option<String> {
    if let Some((_, ours)) = names.iter().find(|(theirs, _)| *theirs == name) {
        return Some(format!("did you mean `{ours}`?"));
    }
    entry(ways, name).map(str::to_owned)
}

fn entry(table: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)
}

/// What is written here for `owner.field`, a method or a function with a prefix elsewhere.
pub(super) fn field_help(owner: &str, field: &str, is_known: impl Fn(&str) -> bool) -> Option<String> {
    if owner == "self" {
        return name_help("self");
    }
    if matches!(field, "shape" | "size") {
        return Some("dims are names of the signature (`x: f32[N, C]`), or `size(x, 1)`".to_owned());
    }
    let folded = fold(field);
    if let Some(way) = entry(&WAYS, &folded) {
        return Some(way.to_owned());
    }
    let lower = field.to_lowercase();
    let ours = match translated(&folded) {
        Some(ours) if !is_known(ours) && shelf_file_of(ours).is_none() => return name_help(field),
        Some(ours) => ours.to_owned(),
        None if field == "T" => "transpose".to_owned(),
        None if is_known(field) => field.to_owned(),
        None if is_known(&lower) => lower,
        None => return name_help(owner),
    };
    if PREFIXES.contains(&owner) {
        return Some(format!("layers and functions need no prefix: `{ours}`{}", remarks(&ours)));
    }
    Some(format!("a value goes into a function: `{owner} -> {ours}`"))
}

/// What is written here for the argument `name` of something that has the parameters `known`.
pub(super) fn argument_help(name: &str, known: &[&str]) -> Option<String> {
    let fits = |(theirs, ours): &&(&str, &str)| *theirs == name && known.iter().any(|known| known == ours);
    if let Some((_, ours)) = ARGUMENTS.iter().find(fits) {
        return Some(format!("did you mean `{ours}`?"));
    }
    ARGUMENT_WAYS.iter().find(|(theirs, _)| *theirs == name).map(|(_, way)| (*way).to_owned())
}

fn translated(folded: &str) -> Option<&'static str> {
    entry(&NAMES, folded)
}

fn fold(name: &str) -> String {
    name.to_lowercase().replace('_', "")
}
