//! Every diagnostic has a page whose examples do what it says; every line of a model is accounted for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use nnc::account::{FactKind, LineAccount, account};
use nnc::diagnostic::{CODES, Colour, Diagnostic, render_all};
use nnc::elaborate::load;
use nnc::source::NoFiles;
use nnc::{Request, check};
use nnc_runtime::artifact::{Bound, Dispatch, Role};
use nnc_tests::command::{nnc, succeed};
use nnc_tests::workspace;
use nnc_wgsl::Profile;

/// What the text alone does not show: `train` and `eval` refuse it, the files of the data are looked into, or it is said
/// of a kind of device.
const WITHOUT_EXAMPLE: [&str; 4] = ["E0405", "E0508", "W0503", "W0505"];

fn profile() -> Profile {
    Profile::named("webgpu-default").expect("the profile exists")
}

/// What checking `text` finds, and the same as printed.
fn problems(text: &str) -> (Vec<Diagnostic>, String) {
    let loaded = load("model.nn", text, &[], &NoFiles);
    let mut found = loaded.diagnostics;
    let bundle = Arc::new(loaded.value);
    if !found.iter().any(Diagnostic::is_error) {
        found.extend(check(&bundle, &Request::new(profile(), &[])));
    }
    let printed = render_all(&found, bundle.sources(), Colour::Never);
    (found, printed)
}

/// The texts between "```{fence}" and "```".
fn blocks<'a>(page: &'a str, fence: &str) -> Vec<&'a str> {
    let starts = format!("```{fence}\n");
    page.split(&starts).skip(1).map(|rest| rest.split("```").next().unwrap_or("")).collect()
}

#[test]
fn the_examples_of_every_page_cause_what_they_explain_and_mend_it() {
    for (code, page) in CODES {
        let (wrong, right) = (blocks(page, "nn wrong"), blocks(page, "nn"));
        if WITHOUT_EXAMPLE.contains(code) {
            continue;
        }
        assert_eq!((wrong.len(), right.len()), (1, 1), "{code} has one wrong and one right example");
        let (found, printed) = problems(wrong[0]);
        assert!(found.iter().any(|one| one.code == *code), "the wrong example of {code} finds:\n{printed}");
        let errors = found.iter().filter(|one| one.is_error() && one.code != *code).count();
        assert_eq!(errors, 0, "the wrong example of {code} has other errors as well:\n{printed}");
        let (found, printed) = problems(right[0]);
        let fine = !found.iter().any(|one| one.code == *code || one.is_error());
        assert!(fine, "the right example of {code} finds:\n{printed}");
    }
}

/// Every code that a source file of the compiler names.
fn codes_in_sources() -> BTreeSet<String> {
    fn below(folder: &Path, out: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                below(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file is text");
                let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
                let words = text[..tests].split('"').skip(1).step_by(2);
                let is_code = |word: &&str| {
                    let digits = word.strip_prefix(['E', 'W']).unwrap_or("");
                    digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
                };
                out.extend(words.filter(is_code).map(str::to_owned));
            }
        }
    }
    let mut out = BTreeSet::new();
    below(&workspace::root().join("compiler/src"), &mut out);
    out
}

#[test]
fn every_code_that_a_source_file_can_emit_has_a_page() {
    let pages: BTreeSet<String> = CODES.iter().map(|(code, _)| (*code).to_owned()).collect();
    let emitted = codes_in_sources();
    assert!(emitted.len() > 45, "only {} codes were found", emitted.len());
    let missing: Vec<&String> = emitted.difference(&pages).collect();
    assert!(missing.is_empty(), "without a page: {missing:?}");
}

#[test]
fn the_command_prints_pages_and_refuses_unknown_codes() {
    let output = succeed(nnc(&["explain", "e0301"]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("```nn wrong"));
    let unknown = nnc(&["explain", "E0999"]).output().expect("it runs");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no diagnostic `E0999`"));
}

const MODEL: &str = "\
model M(x: f32[N, 1, 28, 28]) -> y: f32[N, 10] {
  x
    -> conv(8, 5, pad=same) -> relu
    -> max_pool(2)
    -> flatten
    -> dropout(0.5)
    -> linear(10)
    -> softmax
}
";

fn accounts(text: &str, role: Role) -> (Vec<LineAccount>, usize) {
    let bundle = Arc::new(load("model.nn", text, &[], &NoFiles).value);
    let compiled = nnc::compile(&bundle, &Request::new(profile(), &[role]));
    let printed = render_all(&compiled.diagnostics, bundle.sources(), Colour::Never);
    let compiled = compiled.value.unwrap_or_else(|| panic!("{printed}"));
    let built = &compiled.programs[0];
    (account(built, &compiled.rows, bundle.sources(), &profile()), built.lowered.stages.len())
}

/// The facts of this kind about the line that contains `part`.
fn facts(lines: &[LineAccount], part: &str, kind: FactKind) -> Vec<String> {
    let line = lines.iter().find(|line| line.text.contains(part)).expect("the line is accounted for");
    line.facts.iter().filter(|fact| fact.kind == kind).map(|fact| fact.text.clone()).collect()
}

#[test]
fn every_line_says_what_became_of_it() {
    let (lines, _) = accounts(MODEL, Role::Infer);
    let conv = facts(&lines, "conv(", FactKind::Kernel);
    assert!(conv.len() == 1 && conv[0].contains("`conv` and `relu`"), "{conv:?}");
    let pool = facts(&lines, "max_pool", FactKind::Apart);
    assert!(pool.len() == 1 && pool[0].contains("which must lie in memory"), "{pool:?}");
    assert_eq!(facts(&lines, "flatten", FactKind::Elided).len(), 1);
    let dropout = facts(&lines, "dropout", FactKind::Gone);
    assert_eq!(dropout, ["nothing is left of `dropout(0.5)` in this program"]);
}

/// Every fact of this kind, of whatever line.
fn all_facts(lines: &[LineAccount], kind: FactKind) -> Vec<String> {
    let facts = lines.iter().flat_map(|line| &line.facts).filter(|fact| fact.kind == kind);
    facts.map(|fact| fact.text.clone()).collect()
}

/// Trains this body of a model over images.
fn trained(body: &str) -> String {
    format!(
        "model M(x: f32[N, 4, 8, 8]) -> y: f32[N, 10] {{\n{body}\n}}\n\
         data d {{\n  x: f32[4, 8, 8]\n  label: i32 in 0..10\n  train = csv(\"d.csv\")\n}}\n\
         train M on d {{\n  batch = 4\n  epochs = 1\n  loss = cross_entropy(y, label)\n  optimizer = sgd\n}}\n"
    )
}

#[test]
fn a_concat_says_of_each_operand_that_is_copied_why() {
    let text = trained(
        "  concat(x -> conv(3, 1), x, conv(x, 2, 1) -> upsample(1), axis=1) -> conv(2, 3) -> flatten -> linear(10)",
    );
    let (lines, _) = accounts(&text, Role::Infer);
    let copied = all_facts(&lines, FactKind::Copied);
    assert!(copied.len() == 1 && copied[0].ends_with(": no kernel computes it"), "{copied:?}");
    let aliased = all_facts(&lines, FactKind::Aliased);
    assert!(aliased.iter().any(|fact| fact.contains("straight into its part")), "{aliased:?}");
}

#[test]
fn a_map_that_takes_memory_of_its_own_says_who_still_reads_what_it_could_write_over() {
    let text = |last: &str| {
        format!(
            "model M(x: f32[N, 64]) -> y: f32[N, 64] {{
  weight w: f32[64, 64] = normal(0, 1)
  h = einsum(\"a b, b c -> a c\", w, w)
  s = h / sum(h, axis=0)
  z = einsum(\"a b, b c -> a c\", s, w)
  {last}
}}
"
        )
    };
    let (lines, _) = accounts(&text("einsum(\"n a, a b -> n b\", x, z)"), Role::Infer);
    let over = facts(&lines, "s = h", FactKind::Aliased);
    assert!(over.iter().any(|fact| fact.ends_with("which nothing reads later")), "{over:?}");
    assert!(all_facts(&lines, FactKind::Kept).is_empty());
    let again = "q = einsum(\"a b, b c -> a c\", h, z)\n  einsum(\"n a, a b -> n b\", x, q)";
    let (lines, _) = accounts(&text(again), Role::Infer);
    let kept = facts(&lines, "s = h", FactKind::Kept);
    assert!(kept.len() == 1 && kept[0].contains("which is read later"), "{kept:?}");
}

#[test]
fn convolutions_of_one_value_say_that_they_are_one_or_why_they_are_not() {
    let branches = |second: &str| {
        trained(&format!(
            "  h = x -> conv(16, 1) -> relu\n  a = h -> conv(16, 1, bias=false) -> batch_norm -> relu\n  \
             b = h -> conv(32, 1, bias=false) {second}\n  concat(a, b, axis=1) -> flatten -> linear(10)"
        ))
    };
    let (lines, _) = accounts(&branches("-> batch_norm -> relu"), Role::Train);
    for line in ["a = h", "b = h"] {
        let fused = facts(&lines, line, FactKind::Fused);
        for operator in ["conv", "conv_weight_gradient", "conv_input_gradient"] {
            let start = format!("one {operator} for `");
            assert!(fused.iter().any(|fact| fact.starts_with(&start)), "{operator} of {line}: {fused:?}");
        }
    }
    let (lines, _) = accounts(&branches("-> relu"), Role::Train);
    let apart = facts(&lines, "b = h", FactKind::Apart);
    let why =
        "is no one conv with others of the same value, because maps alone read it, which end its own kernel";
    assert!(apart.iter().any(|fact| fact.ends_with(why)), "{apart:?}");
    let (lines, _) = accounts(&branches("-> conv(3, 1)"), Role::Train);
    let apart = facts(&lines, "b = h", FactKind::Apart);
    let why = "is no one conv with others of the same value, because something reads it in one piece";
    assert!(apart.iter().any(|fact| fact.ends_with(why)), "{apart:?}");
}

#[test]
fn a_mask_that_is_computed_twice_and_a_row_between_products_say_so() {
    let text = trained("  x -> conv(4, 3) -> dropout(0.5) -> conv(4, 3) -> flatten -> linear(10)");
    let (lines, _) = accounts(&text, Role::Train);
    let again = facts(&lines, "dropout", FactKind::Again);
    assert!(again.iter().any(|fact| fact.starts_with("the random mask of `dropout`")), "{again:?}");
    let text =
        attention(50, "").replace("  scores", "  q = linear(x, 8)\n  scores").replace("x, x)", "q, q)");
    let (lines, _) = accounts(&text, Role::Train);
    let again = all_facts(&lines, FactKind::Again);
    assert!(again.iter().any(|fact| fact.starts_with("the product before `softmax`")), "{again:?}");
}

#[test]
fn dispatches_and_bytes_of_the_lines_are_those_of_the_program() {
    let text = trained("  x -> conv(4, 3, pad=same) -> relu -> flatten -> linear(10)");
    let bundle = Arc::new(load("model.nn", &text, &[], &NoFiles).value);
    let compiled =
        nnc::compile(&bundle, &Request::new(profile(), &[Role::Train])).value.expect("it compiles");
    let built = &compiled.programs[0];
    let lines = account(built, &compiled.rows, bundle.sources(), &profile());
    let dispatches = compiled.artifact.programs[0].dispatches.len();
    assert_eq!(lines.iter().map(LineAccount::dispatches).sum::<usize>(), dispatches);
    let traffic: Vec<u64> = nnc::account::traffic(built).into_iter().flatten().collect();
    assert_eq!(traffic.len(), dispatches);
    assert_eq!(lines.iter().map(LineAccount::bytes).sum::<u64>(), traffic.iter().sum::<u64>());
    // The first kernel reads 4 images and 148 weights and writes 4 images.
    let first = built.lowered.stages.iter().position(|stage| stage.label.starts_with("conv + map"));
    let images = 4 * 4 * 8 * 8 * 4;
    let wanted = 2 * images + (4 * 4 * 9 + 4) * 4;
    assert_eq!(traffic[first.expect("the convolution has a kernel")], wanted);
}

/// What a kernel reads and writes does not depend on whether its values share a binding.
#[test]
fn bytes_are_those_of_the_values_whatever_is_bound() {
    let text = fs::read_to_string(workspace::root().join("models/char_gru.nn")).expect("it is text");
    let bundle = Arc::new(load("char_gru.nn", &text, &[], &NoFiles).value);
    let steps = ["webgpu-default", "nvidia-hopper"].map(|name| {
        let profile = Profile::named(name).expect("the profile exists");
        let compiled =
            nnc::compile(&bundle, &Request::new(profile, &[Role::Train])).value.expect("it compiles");
        let built = &compiled.programs[0];
        let traffic = nnc::account::traffic(built);
        let stages = built.lowered.stages.iter().zip(&traffic);
        let steps = stages.filter(|(stage, _)| stage.label.starts_with("contract + map x"));
        let steps: Vec<u64> = steps.map(|(_, bytes)| bytes.iter().sum()).collect();
        let dispatches = compiled.artifact.programs[0].dispatches.iter().zip(traffic.iter().flatten());
        let bound = |dispatch: &Dispatch| -> u64 {
            let areas = dispatch.bindings.iter().filter_map(|bound| match bound {
                Bound::Area(area) => Some(area.bytes),
                Bound::Host => None,
            });
            areas.sum()
        };
        let long = dispatches.filter(|(dispatch, bytes)| bound(dispatch) > 2 * *bytes).count();
        (steps, long)
    });
    assert!(steps[0].0.len() > 50 && steps[0].1 > 50, "{} long stretches are bound", steps[0].1);
    assert_eq!(steps[0].0[10], steps[1].0[10], "a step of the cell touches the same values");
}

/// Attention over so many steps; `bias` is added to the scores.
fn attention(steps: usize, bias: &str) -> String {
    format!(
        "model M(x: f32[N, {steps}, 8]) -> y: f32[N, {steps}, 8] {{
  weight b: f32[{steps}] = normal(0, 1)
  scores = einsum(\"n t c, n s c -> n t s\", x, x)
  einsum(\"n t s, n s c -> n t c\", softmax(scores{bias}, axis=2), x)
}}
data d {{
  x: f32[{steps}, 8]
  train = safetensors(\"d.safetensors\")
}}
train M on d {{
  batch = 2
  epochs = 1
  loss = mean(y * y)
  optimizer = sgd
}}
"
    )
}

#[test]
fn scores_that_are_stored_say_why() {
    for (text, role, wanted) in [
        (attention(4000, ""), Role::Infer, Some("a row of 4000 is longer than")),
        (attention(50, " + b"), Role::Train, Some("summed along several axes")),
        (attention(50, " + b"), Role::Infer, None),
        (attention(50, ""), Role::Infer, None),
    ] {
        let (lines, _) = accounts(&text, role);
        let facts = lines.iter().flat_map(|line| &line.facts).map(|fact| fact.text.as_str());
        let stored: Vec<&str> = facts.filter(|text| text.contains("are stored:")).collect();
        match wanted {
            Some(reason) => assert!(stored.iter().any(|text| text.contains(reason)), "{stored:?}"),
            None => assert!(stored.is_empty(), "{stored:?}"),
        }
    }
}

#[test]
fn every_kernel_is_accounted_for_once() {
    let trained = format!(
        "{MODEL}\ndata d {{\n  x: f32[1, 28, 28]\n  label: i32 in 0..10\n  train = csv(\"d.csv\")\n}}\n\n\
         train M on d {{\n  batch = 4\n  epochs = 1\n  loss = cross_entropy(y, label)\n  optimizer = adam\n}}\n"
    );
    for (text, role) in [(MODEL, Role::Infer), (trained.as_str(), Role::Train)] {
        let (lines, kernels) = accounts(text, role);
        let mut named: Vec<usize> = lines
            .iter()
            .flat_map(|line| &line.facts)
            .filter(|fact| fact.kind == FactKind::Kernel)
            .filter_map(|fact| fact.text.strip_prefix('k')?.split(' ').next()?.parse().ok())
            .collect();
        named.sort_unstable();
        assert_eq!(named, (0..kernels).collect::<Vec<_>>(), "{role:?}");
    }
}
