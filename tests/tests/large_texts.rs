//! Texts that are deep, long or ask for much: refused with the numbers, or read in time that grows with their length.

use std::sync::Arc;
use std::time::Duration;

use nnc::diagnostic::{Colour, Diagnostic, MOST, render_all};
use nnc::elaborate::load;
use nnc::format::format;
use nnc::source::{NoFiles, Sources};
use nnc::{Request, check};
use nnc_tests::any_text::examine;
use nnc_tests::long_models::long_model;
use nnc_tests::thread_time::thread_time;
use nnc_wgsl::Profile;

/// The longest that any text here may take, computed by the thread of a debug build.
const LONGEST: Duration = Duration::from_secs(20);

/// What checking `text` says, and as printed; it takes no longer than [`LONGEST`].
fn checked(text: &str) -> (Vec<Diagnostic>, String) {
    let begin = thread_time();
    let loaded = load("model.nn", text, &[], &NoFiles);
    let failed = loaded.has_errors();
    let mut found = loaded.diagnostics;
    let bundle = Arc::new(loaded.value);
    if !failed {
        let profile = Profile::named("webgpu-default").expect("the profile exists");
        found.extend(check(&bundle, &Request::new(profile, &[])));
    }
    let printed = render_all(&found, bundle.sources(), Colour::Never);
    let time = thread_time() - begin;
    assert!(time < LONGEST, "{time:?} for {} bytes that begin\n{}", text.len(), start_of(text));
    (found, printed)
}

/// Checking `text` finds an error of `code` whose print holds `parts`.
fn refused(text: &str, code: &str, parts: &[&str]) {
    let (found, printed) = checked(text);
    assert!(found.iter().any(|one| one.code == code), "{code} for\n{}\n{printed}", start_of(text));
    for part in parts {
        assert!(printed.contains(part), "`{part}` for\n{}\n{printed}", start_of(text));
    }
}

fn clean(text: &str) {
    let (_, printed) = checked(text);
    assert_eq!(printed, "", "{}", start_of(text));
}

fn start_of(text: &str) -> &str {
    text.get(..300).unwrap_or(text)
}

/// A model of `lines` in front of an input.
fn model(items: &str, body: &str) -> String {
    format!("{items}\nmodel M(x: f32[N, 4]) -> y: f32[N, 4] {{\n{body}\n}}\n")
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn every_kind_of_nesting_ends_in_a_diagnostic() {
    for depth in [100, 20_000] {
        for value in [
            nested("(", "x", ")", depth),
            nested("[", "x", "]", depth),
            nested("relu(", "x", ")", depth),
            nested("x[", "0", "]", depth),
            nested("-", "x", "", depth),
            nested("not ", "true", "", depth),
            nested("x ** ", "2", "", depth),
            nested("x ** -", "2", "", depth),
            nested("1 + (", "x", ")", depth),
            nested("if true { ", "x", " } else { x }", depth),
            nested("if true { x } else ", "{ x }", "", depth),
            format!("x -> {}", nested("add { ", "relu", "; identity }", depth)),
            format!("x -> {}", nested("if true { ", "relu", " }", depth)),
            format!("x -> {}", nested("if true { relu } else ", "{ relu }", "", depth)),
            format!("x -> {}", nested("repeat 1 { ", "relu", " }", depth)),
            nested("scan r in x with h = 0 { ", "x", " }", depth),
        ] {
            refused(&model("", &value), "E0106", &["40"]);
        }
        refused(&nested("data d { a ", "", "}", depth).replace("a data d", "a"), "E0106", &["40"]);
        refused(&model("", &format!("y: f32{} = x\ny", nested("[", "4", "]", depth))), "E0106", &["40"]);
        refused(&model(&format!("@init({})", nested("(", "he", ")", depth)), "x"), "E0106", &["40"]);
    }
    for chain in ["1 + ", "x * ", "true and ", "x -> "] {
        let text = model("", &format!("{}x", chain.repeat(20_000)));
        let (found, printed) = checked(&text);
        assert!(found.iter().any(Diagnostic::is_error), "{printed}");
    }
}

/// What a text says may be deep though no line of it is: each block uses the next from inside as much as is allowed.
#[test]
fn blocks_within_blocks_end_in_a_diagnostic() {
    for (open, close) in [
        ("", ""),
        ("-(", ")"),
        ("relu(", ")"),
        ("x + (", ")"),
        ("if true { ", " } else { x }"),
        ("add { identity; ", " }"),
    ] {
        let chain = open.starts_with("add {");
        let value =
            nested(open, if chain { "next" } else { "next(x)" }, close, if open.is_empty() { 0 } else { 18 });
        let value = if chain { format!("x -> {value}") } else { value };
        let mut items = String::new();
        for place in 0..200 {
            let value = value.replace("next", &format!("b{}", place + 1));
            items += &format!("block b{place}(x: f32[N, 4]) {{ {value} }}\n");
        }
        items += "block b200(x: f32[N, 4]) { x }\n";
        refused(&model(&items, "b0(x)"), "E0209", &["deep"]);
    }
    refused(&model("block b(x: f32[N, 4]) { b(x) }", "b(x)"), "E0209", &["deep"]);
    refused(
        &model("block a(x: f32[N, 4]) { b(x) }\nblock b(x: f32[N, 4]) { a(x) }", "a(x)"),
        "E0209",
        &["deep"],
    );
    refused(&model("const a = b\nconst b = a", "x * a"), "E0208", &["defined by itself"]);
    let constants: String = (0..5000).map(|place| format!("const c{place} = c{} + 1\n", place + 1)).collect();
    refused(&model(&constants, "x * c0"), "E0209", &["deep"]);
}

#[test]
fn what_takes_too_much_work_is_refused_with_the_numbers() {
    refused(&model("", "x -> repeat 1000000 { relu }"), "E0204", &["1000000 turns", "10000"]);
    refused(
        &model("", "x -> repeat 9223372036854775807 { relu }"),
        "E0204",
        &["9223372036854775807", "10000"],
    );
    refused(
        &model("", "x -> repeat i in -9223372036854775807..9223372036854775807 { relu }"),
        "E0204",
        &["10000"],
    );
    let square = "x -> repeat 10000 { repeat 10000 { linear(4) -> relu } }";
    refused(&model("", square), "E0213", &["500000"]);
    let empty = "x -> repeat 10000 { repeat 10000 { repeat 10000 { identity } } }";
    refused(&model("", empty), "E0213", &["500000"]);
    let tree = "fn f(x, k) = if k == 0 { x } else { f(x, k - 1) + f(x, k - 1) }";
    refused(&model(tree, "f(x, 40)"), "E0213", &["500000"]);
    let word = (0..40).map(|_| "a = a + a\n").collect::<String>();
    refused(&model("", &format!("a = \"word\"\n{word}x")), "E0213", &["65536"]);
    let list = (0..40).map(|_| "a = [a, a]\n").collect::<String>();
    refused(&model("", &format!("a = [1, 2]\n{list}x")), "E0213", &["65536"]);
}

#[test]
fn dims_that_no_tensor_has_are_refused_with_the_numbers() {
    let largest = "9223372036854775807";
    let input = |dims: &str| format!("model M(x: f32[{dims}]) -> y: f32[{dims}] {{ x }}\n");
    refused(&input(&format!("N, {largest}, {largest}")), "E0316", &["at most 2147483648"]);
    refused(&input("N, 65536, 65536"), "E0316", &["4294967296", "at most 2147483648"]);
    refused(&input(&format!("N, {largest} + 1")), "E0204", &["64 bits"]);
    refused(&input(&format!("N, 2 * {largest}")), "E0204", &["64 bits"]);
    refused(&input("N, -4"), "E0317", &["-4"]);
    refused(&input("N, 9223372036854775808"), "E0104", &["2 ** 63"]);
    refused(&input("N, 4 // 0"), "E0204", &["division by 0"]);
    refused(&model("", &format!("x -> linear({largest})")), "E0316", &[largest]);
    refused(&model("", "x -> linear(65536) -> linear(65536)"), "E0316", &["4294967296"]);
    let wide: Vec<String> = ('A'..='Z').map(|letter| format!("{letter}{letter}")).collect();
    let sum = wide.join(" + ");
    let items = format!("block b(x: f32[{}]) {{\n  s = {sum}\n", wide.join(", "))
        + &(0..40).map(|_| "  s = s * s\n").collect::<String>()
        + "  x\n}\n";
    let body = format!("b(zeros({}))\nx", vec!["1"; wide.len()].join(", "));
    let (found, printed) = checked(&model(&items, &body));
    assert!(found.iter().any(Diagnostic::is_error) || found.iter().all(|one| !one.is_error()), "{printed}");
}

/// The lines of a long file.
const LINES: usize = 100_000;

fn lines(line: impl Fn(usize) -> String) -> String {
    (0..LINES).map(|place| line(place) + "\n").collect()
}

#[test]
fn long_files_without_mistakes_are_read() {
    let plain = model("", "x");
    clean(&(lines(|place| format!("# {place}")) + &plain));
    clean(&(lines(|place| format!("const c{place} = {place}")) + &plain));
    clean(&(lines(|place| format!("fn f{place}(x) = x + {place}")) + &plain));
    clean(
        &(lines(|place| format!("## What it does.\n@inline\nblock b{place}(x: f32[N, C]) {{ x }}")) + &plain),
    );
    clean(&model("", &format!("y = x\n{}y", lines(|_| "y = y".to_owned()))));
    clean(&model("", &format!("{}x", lines(|place| format!("v{place} = {place}\n_ = v{place}")))));
    clean(&long_model(3000));
}

#[test]
fn long_files_with_a_mistake_in_every_line_say_the_first_hundred() {
    let plain = model("", "x");
    let body = |line: fn(usize) -> String| model("", &format!("{}x", lines(line)));
    for text in [
        lines(|_| "^".to_owned()),
        lines(|_| "\"open".to_owned()),
        lines(|_| ")".to_owned()),
        lines(|_| "(".to_owned()),
        lines(|place| format!("def f{place}(x):")),
        lines(|place| format!("const = {place}")),
        lines(|_| "const a = 1".to_owned()) + &plain,
        lines(|place| format!("use \"file{place}.nn\"")) + &plain,
        lines(|_| "@nothing const a = 1".to_owned()) + &plain,
        lines(|place| format!("model M{place}(x: f32[N, 4]) -> y: f32[N, 5] {{ x }}")),
        lines(|place| format!("model M{place}(x: f32[N, 4]) -> y: f32[N, 4] {{ x }}")),
        lines(|place| format!("train M{place} on d {{ batch = 1 }}")) + &plain,
        body(|_| "return x".to_owned()),
        body(|place| format!("a{place} = nothing{place}")),
        body(|place| format!("a{place} = conv2d(x, {place})")),
        body(|place| format!("x{place} = x")),
        body(|_| "x".to_owned()),
        body(|_| "weight w: f32[4] = ones".to_owned()),
    ] {
        let (found, printed) = checked(&text);
        let (start, count) = (start_of(&text), found.len());
        assert!(count > 0 && count <= 2 * MOST, "{count} diagnostics for\n{start}");
        assert!(printed.len() < 1 << 20, "{} bytes for\n{start}", printed.len());
        if count >= MOST {
            assert!(printed.contains("further "), "what is left out is not counted for\n{start}");
        }
    }
}

#[test]
fn long_lines_are_read_and_shown_in_part() {
    let wide = |word: &str| word.repeat(200_000);
    for text in [
        model("", &format!("x + {}", wide("abc "))),
        model("", &format!("x -> {}", wide("relu -> "))),
        model("", &format!("concat(x, {})", wide("x, "))),
        format!("const a = \"{}\"", wide("word ")),
        format!("const a = [{}]", wide("1, ")),
        format!("const {} = 1", wide("a")),
        format!("const a = {}", wide("9")),
        wide("("),
        wide("\""),
        wide("é"),
        wide("->"),
    ] {
        let (found, printed) = checked(&text);
        assert!(
            printed.len() < 1 << 20,
            "{} bytes of {} for\n{}",
            printed.len(),
            found.len(),
            start_of(&text)
        );
    }
}

#[test]
fn long_lines_are_laid_out() {
    let wide = |word: &str| word.repeat(300_000);
    for text in [
        model("", &format!("x{}", wide(" -> relu"))),
        model("", &format!("concat(x, {}x)", wide("x, "))),
        model("", &format!("{}x", wide("a = x; "))),
        format!("const a = [{}]", wide("1, ")),
        format!("train M on d {{ {}}}", wide("batch = 1; ")),
    ] {
        let mut sources = Sources::new();
        let id = sources.add("model.nn", text.clone());
        let begin = thread_time();
        let formatted = format(sources.source(id)).value;
        let time = thread_time() - begin;
        assert!(formatted.is_some_and(|formatted| formatted.lines().count() > 1000), "{}", start_of(&text));
        assert!(time < LONGEST, "{time:?} for\n{}", start_of(&text));
    }
}

#[test]
fn nothing_long_or_deep_brings_the_formatter_down() {
    for text in [
        lines(|place| format!("const c{place} = {place}")),
        model("", &format!("{}x", lines(|place| format!("v{place} = {place}")))),
        model("", &nested("(", "x", ")", 36)),
        model("", &format!("concat(x, {}x)", "x, ".repeat(20_000))),
        model("", &format!("x{}", " -> relu".repeat(20_000))),
    ] {
        let begin = thread_time();
        let _ = examine(&text, &[], &NoFiles);
        let time = thread_time() - begin;
        assert!(time < LONGEST * 2, "{time:?} for\n{}", start_of(&text));
    }
}
