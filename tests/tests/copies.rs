//! The standard library has no privileges: a file with copies of all its definitions under other names, and a model
//! written with those, compiles to the kernels of the original.

use std::collections::BTreeSet;
use std::sync::Arc;

use nnc::compile::compile;
use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::{library_files, load};
use nnc::library::entries;
use nnc::source::{NoFiles, Sources};
use nnc::syntax::lex;
use nnc::syntax::token::Kind;
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
