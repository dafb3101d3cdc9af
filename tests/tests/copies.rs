//! The standard library has no privileges: a file with copies of all its definitions under other names, and a model
//! written with those, compiles to the kernels of the original; so does a copy of each of them alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nnc::compile::compile;
use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::{library_files, load};
use nnc::library::{Entry, entries, printed};
use nnc::source::{NoFiles, Sources};
use nnc::syntax::ast::{DefinitionKind, Item, ItemKind};
use nnc::syntax::token::Kind;
use nnc::syntax::{lex, parse};
use nnc_runtime::artifact::Role;
use nnc_tests::workspace;
use nnc_wgsl::Profile;

/// `text` with `my_` before each of `names`, without the lines that use the library's files.
fn renamed(text: &str, names: &BTreeSet<String>) -> String {
    let mut sources = Sources::new();
    let id = sources.add("copy.nn", text);
    let mut out = String::new();
    let mut end = 0;
    for token in lex(sources.source(id)).value {
        let (start, stop) = (token.span.start as usize, token.span.end as usize);
        if token.kind == Kind::Name && names.contains(&token.text) {
            out.push_str(&text[end..start]);
            out.push_str("my_");
            out.push_str(&text[start..stop]);
            end = stop;
        }
    }
    out.push_str(&text[end..]);
    out.lines().filter(|line| !line.starts_with("use \"std/")).map(|line| format!("{line}\n")).collect()
}

/// The text of every kernel of a model, in order, for training and for use.
fn kernels(text: &str) -> Vec<String> {
    let bundle = load("model.nn", text, &[], &NoFiles);
    assert!(
        !bundle.has_errors(),
        "{}",
        render_all(&bundle.diagnostics, bundle.value.sources(), Colour::Never)
    );
    let profile = Profile::named("webgpu-default").expect("the profile exists");
    let bundle = Arc::new(bundle.value);
    let compiled = compile(&bundle, &nnc::Request::new(profile, &[Role::Train, Role::Evaluate, Role::Infer]));
    let printed = render_all(&compiled.diagnostics, bundle.sources(), Colour::Never);
    let compiled = compiled.value.unwrap_or_else(|| panic!("{printed}"));
    compiled.artifact.kernels.into_iter().map(|kernel| kernel.wgsl).collect()
}

#[test]
fn a_copy_of_the_library_under_other_names_compiles_to_the_same_kernels() {
    let names: BTreeSet<String> = entries().into_iter().map(|entry| entry.definition.name.text).collect();
    let library: String = library_files().iter().map(|(_, text)| renamed(text, &names)).collect();
    for file in ["mnist.nn", "residual.nn", "rows.nn", "vae.nn", "patches.nn"] {
        let path = workspace::root().join("models").join(file);
        let text = std::fs::read_to_string(path).expect("the model is in the repository");
        let hidden =
            |name: &String| ["fn", "block"].iter().any(|kind| text.contains(&format!("{kind} {name}(")));
        let used = names.iter().filter(|name| !hidden(name)).cloned().collect();
        let model = renamed(&text, &used);
        assert!(names.iter().filter(|name| model.contains(&format!("my_{name}"))).count() >= 4, "{model}");
        assert!(
            kernels(&text) == kernels(&format!("{library}\n{model}")),
            "{file} compiles to other kernels"
        );
    }
}

/// What a definition is used by where no golden calls it: each of these draws at random, or measures.
const USES: [(&str, &str); 8] = [
    ("dropout", "model M(x: f32[N, 4]) -> y: f32[N, 1] { x -> linear(4) -> dropout(0.3) -> linear(1) }"),
    (
        "dropout_channels",
        "model M(x: f32[N, 4]) -> y: f32[N, 1] { x -> linear(4) -> dropout_channels(0.3) -> linear(1) }",
    ),
    ("normal_like", "model M(x: f32[N, 4]) -> y: f32[N, 1] { x + normal_like(x) -> linear(1) }"),
    (
        "present",
        "model M(x: f32[N, 4]) -> y: f32[N, 1] {\n  y = x -> linear(1)\n  y * present(y * y, 2.0)\n}",
    ),
    ("random_flip", "augment { x = x -> random_flip }"),
    ("random_crop", "augment { x = x -> random_crop(4, pad=1) }"),
    ("color_jitter", "augment { x = x -> color_jitter(0.2) }"),
    ("mean_average_precision", "metrics { a = mean_average_precision(y, t, [(1, 1)], levels=10) }"),
];

/// A file that trains a small model on `data` with `optimizer`.
fn trained(model: &str, data: &str, optimizer: &str) -> String {
    format!(
        "{model}\ndata d {{\n{data}\n  train = safetensors(\"d.safetensors\")\n}}\ntrain M on d {{\n  batch = 2\n  steps = 40\n  loss = mse(y, t)\n  optimizer = {optimizer}\n}}\n"
    )
}

/// The file of one line of [`USES`].
fn used_by(line: &str) -> String {
    const IMAGES: &str = "model M(x: f32[N, 3, 4, 4]) -> y: f32[N, 1] { x -> flatten -> linear(1) }";
    const GRIDS: &str = "model M(x: f32[N, 3, 4, 4]) -> y: f32[N, 6, 4, 4] { x -> conv(6, 1) }";
    if line.starts_with("model") {
        trained(line, "  x: f32[4]\n  t: f32[1]", "sgd(lr=0.1)")
    } else if line.starts_with("augment") {
        trained(IMAGES, &format!("  x: f32[3, 4, 4]\n  t: f32[1]\n  {line}"), "sgd(lr=0.1)")
    } else {
        let text = trained(GRIDS, "  x: f32[3, 4, 4]\n  t: f32[1, 4, 4, 6]", "sgd(lr=0.1)");
        text.replace("  loss = mse(y, t)\n", &format!("  loss = mean(y)\n  {line}\n"))
    }
}

/// Every model of the goldens of layers with the rest of its file, and a training with every optimizer of theirs.
fn golden_uses() -> Vec<String> {
    let folder = workspace::root().join("tests/goldens");
    let files = std::fs::read_dir(folder.join("layers")).expect("there are goldens of layers");
    let mut paths: Vec<_> = files.map(|entry| entry.expect("an entry can be read").path()).collect();
    paths.sort();
    let mut uses = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "nn")) {
        let text = std::fs::read_to_string(path).expect("a golden can be read");
        let mut sources = Sources::new();
        let id = sources.add("golden.nn", &text);
        let items = parse(sources.source(id)).value.items;
        let slice = |item: &Item| text[item.span.start as usize..item.span.end as usize].to_owned() + "\n";
        let is_model = |item: &&Item| matches!(&item.kind, ItemKind::Definition(one) if one.kind == DefinitionKind::Model);
        let rest: String = items.iter().filter(|item| !is_model(item)).map(slice).collect();
        uses.extend(items.iter().filter(is_model).map(|item| format!("{rest}{}", slice(item))));
    }
    let text = std::fs::read(folder.join("optimizers.json")).expect("there are goldens of optimizers");
    let goldens: serde_json::Value = serde_json::from_slice(&text).expect("they are JSON");
    for golden in goldens["cases"].as_object().expect("an object of cases").values() {
        let model = "model M(x: f32[N, 4]) -> y: f32[N, 1] { x -> linear(1) }";
        let optimizer = golden["optimizer"].as_str().expect("an optimizer");
        uses.push(trained(model, "  x: f32[4]\n  t: f32[1]", optimizer));
    }
    uses.sort_by_key(String::len);
    uses
}

/// `text` with `my_` before `name` wherever it is called, and how often that is.
fn called_mine(text: &str, name: &str) -> (String, usize) {
    let mut sources = Sources::new();
    let id = sources.add("use.nn", text);
    let tokens = lex(sources.source(id)).value;
    let (mut out, mut end, mut count) = (String::new(), 0, 0);
    for (place, token) in tokens.iter().enumerate() {
        let next = tokens.get(place + 1).map(|token| token.kind);
        let before = place.checked_sub(1).map(|place| tokens[place].kind);
        let called = next == Some(Kind::OpenParen) || before == Some(Kind::Arrow);
        if token.kind == Kind::Name && token.text == name && called {
            out.push_str(&text[end..token.span.start as usize]);
            out.push_str("my_");
            end = token.span.start as usize;
            count += 1;
        }
    }
    out.push_str(&text[end..]);
    (out, count)
}

/// The text of every kernel of a file, for training and measuring where it is trained, else for use.
fn kernels_of(name: &str, text: &str) -> Vec<String> {
    let bundle = load("model.nn", text, &[], &NoFiles);
    let printed = render_all(&bundle.diagnostics, bundle.value.sources(), Colour::Never);
    assert!(!bundle.has_errors(), "{name}: {printed}");
    let roles: &[Role] =
        if text.contains("\ntrain ") { &[Role::Train, Role::Evaluate] } else { &[Role::Infer] };
    let profile = Profile::named("webgpu-default").expect("the profile exists");
    let bundle = Arc::new(bundle.value);
    let compiled = compile(&bundle, &nnc::Request::new(profile, roles));
    let printed = render_all(&compiled.diagnostics, bundle.sources(), Colour::Never);
    let compiled = compiled.value.unwrap_or_else(|| panic!("{name}: {printed}\n{text}"));
    compiled.artifact.kernels.into_iter().map(|kernel| kernel.wgsl).collect()
}

/// What `nnc show --std NAME` prints, under another name in a file of its own, computes what the library's does. Steps
/// of a reader (`@host`) have no kernels, and what is private is copied with what needs it.
#[test]
fn what_is_shown_of_each_definition_compiles_by_itself_to_the_same_kernels() {
    let uses = golden_uses();
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let is_host = |entry: &Entry| entry.definition.attributes.iter().any(|one| one.name.text == "host");
    let mut copied = 0;
    for entry in entries().iter().filter(|entry| !entry.is_private() && !is_host(entry)) {
        let name = entry.definition.name.text.as_str();
        let by_hand = USES.iter().find(|(used, _)| *used == name).map(|(_, line)| used_by(line));
        let text = by_hand.or_else(|| uses.iter().find(|text| called_mine(text, name).1 > 0).cloned());
        let text = text.unwrap_or_else(|| panic!("`{name}` is used by no golden: give it a line in USES"));
        let (copy, _) = called_mine(&printed(name).expect("the definition is there"), name);
        let (used, count) = called_mine(&text, name);
        assert!(count > 0, "{name} is not called:\n{text}");
        let mut lines: Vec<&str> = Vec::new();
        for line in copy.lines().chain(used.lines()) {
            if !line.starts_with("use ") || !lines.contains(&line) {
                lines.push(line);
            }
        }
        let original = known.entry(text.clone()).or_insert_with(|| kernels_of(name, &text));
        assert!(*original == kernels_of(name, &lines.join("\n")), "a copy of `{name}` has other kernels");
        copied += 1;
    }
    assert!(copied > 100, "only {copied} definitions were copied");
}
