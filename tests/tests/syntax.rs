//! The examples parse, and no damage done to them brings the parser down.

use std::fs;
use std::path::Path;

use nnc::diagnostic::{Colour, render_all};
use nnc::source::{Sources, Span};
use nnc::syntax::{self, token::Token};

/// Path and text of every network in `tests/examples`.
fn examples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut out: Vec<(String, String)> = fs::read_dir(folder)
        .expect("tests/examples is there")
        .map(|entry| entry.expect("its entries can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "nn"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("an example is text");
            (path.file_name().expect("a file has a name").to_string_lossy().into_owned(), text)
        })
        .collect();
    out.sort();
    assert_eq!(out.len(), 13);
    out
}

/// What parsing `text` says, printed.
fn problems(text: &str) -> String {
    let mut sources = Sources::new();
    let file = sources.add("model.nn", text);
    let checked = syntax::parse(sources.source(file));
    render_all(&checked.diagnostics, &sources, Colour::Never)
}

#[test]
fn every_example_parses_without_diagnostics() {
    for (path, text) in examples() {
        let mut sources = Sources::new();
        let file = sources.add(path.clone(), text);
        let checked = syntax::parse(sources.source(file));
        assert!(
            checked.diagnostics.is_empty(),
            "{path}:\n{}",
            render_all(&checked.diagnostics, &sources, Colour::Never)
        );
        assert!(!checked.value.items.is_empty(), "{path} has no items");
    }
}

#[test]
fn item_names_and_counts_of_the_digits_network_are_right() {
    let (_, text) = examples().into_iter().find(|(path, _)| path == "mnist.nn").expect("it is there");
    let mut sources = Sources::new();
    let file = sources.add("mnist.nn", text);
    let source = sources.source(file);
    let dump = syntax::dump_file(&syntax::parse(source).value, source);
    let heads: Vec<&str> = dump.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(heads, ["model Mnist (line 3)", "data digits (line 12)", "train Mnist on digits (line 20)"]);
    assert!(dump.contains("  setting stop = test.accuracy >= 0.992\n"), "{dump}");
}

#[test]
fn a_condition_may_stand_on_a_line_of_its_own() {
    assert_eq!(problems("block f(x: f32[N, C])\n  where C > 2 { x }\n"), "");
    assert_eq!(problems("fn f(x, k = 2)\n  # why\n  where k > 1 = k * x\n"), "");
}

#[test]
fn an_open_bracket_is_shown_with_what_came_first() {
    let text = "\
model Mnist(image: f32[N, 1, 28, 28]) -> logits: f32[N, 10] {
  image
    -> conv(32, 5, pad=same -> relu -> max_pool(2)
    -> flatten -> linear(10)
}
";
    let expected = "\
error[E0101]: `(` is not closed
 --> model.nn:3:12
  |
3 |     -> conv(32, 5, pad=same -> relu -> max_pool(2)
  |            ^ this `(` needs a `)`
4 |     -> flatten -> linear(10)
5 | }
  | - found `}` first
";
    assert_eq!(problems(text), expected);
}

#[test]
fn a_return_is_answered() {
    let text = "\
block twice(x: f32[N, C]) {
  y = x -> relu
  return x
}
";
    let expected = "\
error[E0104]: expected a layer name, found `return`
 --> model.nn:3:3
  |
3 |   return x
  |   ^^^^^^
  |
  = help: there is no `return`: the last line of a body is its value
";
    assert_eq!(problems(text), expected);
}

#[test]
fn several_mistakes_are_reported_in_one_run() {
    let text = "\
block a(x: f32[N, C]) {
  y = x -> -> relu
  z = x +
}

block b(x f32[N]) { x }

block c(x: f32[N, C]) { x -> conv(3 4) }

train M on d {
  batch 64
  loss = x == y == z
}
";
    let printed = problems(text);
    let heads: Vec<&str> = printed.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(
        heads,
        [
            "error[E0104]: expected a layer name, `repeat` or `if`, found `->`",
            "error[E0104]: expected a value, found `}`",
            "error[E0104]: expected `,` or `)`, found `f32`",
            "error[E0104]: expected `,` or `)`, found `4`",
            "error[E0104]: expected `=`, `:` or `{`, found `64`",
            "error[E0104]: expected the end of the line, found `==`",
        ],
        "{printed}"
    );
}

#[test]
fn deep_nesting_is_a_diagnostic() {
    let nested = |open: &str, close: &str, count: usize| {
        format!("const a = {}1{}\n", open.repeat(count), close.repeat(count))
    };
    for text in [
        nested("(", ")", 50_000),
        nested("[", "]", 50_000),
        nested("-", "", 50_000),
        nested("not ", "", 50_000),
        nested("2 ** ", "", 50_000),
        nested("1 + ", "", 50_000),
        nested("if a { 1 } else ", "", 50_000),
        nested("f", "", 1) + &format!("const b = f{}\n", "()".repeat(50_000)),
    ] {
        let printed = problems(&text);
        assert!(printed.contains("error[E0106]"), "{}", &printed[..printed.len().min(300)]);
    }
    assert_eq!(problems(&nested("(", ")", 36)), "");
}

/// The next number of a fixed sequence (xorshift), so that a failure can be repeated.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).expect("31 bits fit")
}

/// `text` with one token dropped, doubled, swapped with its neighbour or replaced by another of the text.
fn damaged(text: &str, tokens: &[Token], state: &mut u64) -> String {
    let place = next(state) % (tokens.len() - 1);
    let range = |span: Span| span.start as usize..span.end as usize;
    let this = range(tokens[place].span);
    let other = range(tokens[next(state) % tokens.len()].span);
    let mut out = text.to_owned();
    match next(state) % 4 {
        0 => out.replace_range(this, ""),
        1 => out.insert_str(this.start, &format!("{} ", &text[this.clone()])),
        2 => {
            let after = range(tokens[place + 1].span);
            out.replace_range(after.clone(), &text[this.clone()]);
            out.replace_range(this, &text[after]);
        }
        _ => out.replace_range(this, &text[other]),
    }
    out
}

#[test]
fn damage_never_brings_the_parser_down() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut rejected = 0;
    for (path, text) in examples() {
        let mut sources = Sources::new();
        let file = sources.add(path, text.clone());
        let tokens = syntax::lex(sources.source(file)).value;
        for _ in 0..400 {
            let mut changed = damaged(&text, &tokens, &mut state);
            if next(&mut state).is_multiple_of(3) {
                let cut = next(&mut state) % changed.len();
                changed.truncate((0..=cut).rev().find(|at| changed.is_char_boundary(*at)).unwrap_or(0));
            }
            let mut sources = Sources::new();
            let file = sources.add("damaged.nn", changed.clone());
            let checked = syntax::parse(sources.source(file));
            rejected += usize::from(checked.has_errors());
            for diagnostic in &checked.diagnostics {
                let labels = std::iter::once(&diagnostic.primary).chain(&diagnostic.secondary);
                for label in labels {
                    let (start, end) = (label.span.start as usize, label.span.end as usize);
                    assert!(start <= end && end <= changed.len(), "{diagnostic:?} of\n{changed}");
                }
            }
            let printed = render_all(&checked.diagnostics, &sources, Colour::Never);
            assert_eq!(printed.is_empty(), checked.diagnostics.is_empty());
        }
    }
    assert!(rejected > 1000, "only {rejected} of the damaged texts were rejected");
}
