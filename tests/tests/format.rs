//! Formatting changes white space only, once, and no graph.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::{Expansion, Request, elaborate, load};
use nnc::format::{content, format};
use nnc::ir;
use nnc::source::{Loader, Sources};
use nnc::syntax::{lex, token::Kind};
use nnc_tests::command::{nnc, succeed};
use nnc_tests::workspace;

/// Every `.nn` file below `folder` of the workspace, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    fn below(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                below(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "nn") {
                out.push(path);
            }
        }
    }
    let mut out = Vec::new();
    below(&workspace::root().join(folder), &mut out);
    out.sort();
    assert!(!out.is_empty(), "{folder} has no models");
    out
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a model is text")
}

/// `text` formatted; `None` where it cannot be read.
fn formatted(text: &str) -> Option<String> {
    let mut sources = Sources::new();
    let id = sources.add("model.nn", text);
    format(sources.source(id)).value
}

fn says(text: &str) -> Vec<String> {
    let mut sources = Sources::new();
    let id = sources.add("model.nn", text);
    let tokens = lex(sources.source(id)).value;
    content(sources.source(id), &tokens)
}

/// Formats, and checks what holds for every result.
fn lawful(text: &str) -> Option<String> {
    let once = formatted(text)?;
    let twice = formatted(&once);
    assert_eq!(twice.as_deref(), Some(once.as_str()), "formatting again changes what came of\n{text}");
    assert_eq!(says(text), says(&once), "the words change in\n{text}");
    assert!(once.is_empty() || once.ends_with('\n') && !once.ends_with("\n\n"), "the end of\n{once}");
    assert!(!once.contains("\n\n\n") && !once.starts_with('\n'), "blank lines in\n{once}");
    assert!(once.lines().all(|line| line.trim_end() == line), "trailing blanks in\n{once}");
    Some(once)
}

#[test]
fn formatting_again_changes_nothing_and_the_words_stay() {
    let mut count = 0;
    for path in ["tests/examples", "compiler/std", "models", "tests/cases"].into_iter().flat_map(files) {
        count += usize::from(lawful(&read(&path)).is_some());
    }
    assert!(count > 100, "only {count} files could be formatted");
}

#[test]
fn columns_do_not_reach_over_a_blank_line_that_the_layout_adds() {
    let text = "fn a(\n  x # first\n) { x          * 2 }\nfn b(x) { x    * 2 }\n";
    let once = lawful(text).expect("the text can be read");
    assert!(once.contains(") { x * 2 }\n\nfn b(x) { x * 2 }"), "{once}");
}

#[test]
fn the_files_of_the_project_are_formatted() {
    for path in ["tests/examples", "compiler/std", "models", "tests/cases"].into_iter().flat_map(files) {
        let text = read(&path);
        if let Some(wanted) = formatted(&text) {
            assert_eq!(text, wanted, "{} is not formatted: nnc fmt {0}", path.display());
        }
    }
}

/// The next number of a fixed sequence (xorshift), so that a failure can be repeated.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).expect("31 bits fit")
}

/// `text` with other white space, `;` for line ends, and further comments, where that does not change its meaning.
fn respaced(text: &str, state: &mut u64, comments: bool) -> String {
    let mut sources = Sources::new();
    let id = sources.add("model.nn", text);
    let tokens = lex(sources.source(id)).value;
    let tokens: Vec<_> = tokens.iter().filter(|token| token.span.start < token.span.end).collect();
    let mut out = String::new();
    let mut end = 0;
    let mut open: Vec<Kind> = Vec::new();
    let mut last: Option<Kind> = None;
    for token in tokens {
        let (start, stop) = (token.span.start as usize, token.span.end as usize);
        let gap = &text[end..start];
        let in_list = matches!(open.last(), Some(Kind::OpenParen | Kind::OpenBracket));
        let may_break = last.is_some()
            && last != Some(Kind::Doc)
            && token.kind != Kind::Doc
            && (in_list
                || last.is_some_and(Kind::continues_the_line)
                || token.kind.continues_the_line_before());
        if may_break && !gap.contains('#') && next(state).is_multiple_of(6) {
            let comment = if comments && next(state).is_multiple_of(3) { "# why\n" } else { "\n" };
            let before = if next(state).is_multiple_of(2) { " " } else { "\n" };
            out.push_str(&format!("{before}{comment}{}", " ".repeat(next(state) % 9)));
        } else if gap.contains('\n') {
            let indent = " ".repeat(next(state) % 7);
            let further = match next(state) % 6 {
                0 => "\n\n\n",
                1 if comments && last != Some(Kind::Doc) => "  # further\n",
                _ => "",
            };
            out.push_str(&format!("{}{further}{indent}", gap.trim_end_matches(' ')));
        } else if gap.is_empty() {
            out.push_str(&" ".repeat(usize::from(next(state).is_multiple_of(5) && !out.is_empty())));
        } else {
            out.push_str(&" ".repeat(1 + (next(state) % 4).saturating_sub(1)));
        }
        out.push_str(&text[start..stop]);
        match token.kind {
            Kind::OpenParen | Kind::OpenBracket | Kind::OpenBrace => open.push(token.kind),
            Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace => {
                open.pop();
            }
            _ => {}
        }
        last = Some(token.kind);
        end = stop;
    }
    out.push_str(&text[end..]);
    out
}

#[test]
fn thousands_of_respaced_texts_are_formatted_lawfully() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut tried, mut formatted) = (0, 0);
    for path in ["tests/examples", "compiler/std", "models", "tests/cases/clean"].into_iter().flat_map(files)
    {
        let text = read(&path);
        for turn in 0..100 {
            let changed = respaced(&text, &mut state, turn % 2 == 0);
            tried += 1;
            formatted += usize::from(lawful(&changed).is_some());
        }
    }
    assert!(tried > 3000 && formatted == tried, "{formatted} of {tried} could be read");
}

#[test]
fn texts_that_make_no_sense_but_can_be_read_are_formatted_lawfully() {
    let mut state = 0x0123_4567_89ab_cdef;
    let mut formatted = 0;
    for path in files("tests/examples") {
        let text = read(&path);
        let mut sources = Sources::new();
        let id = sources.add("model.nn", text.clone());
        let tokens = lex(sources.source(id)).value;
        for _ in 0..300 {
            let [one, other] = [0; 2].map(|_| tokens[next(&mut state) % (tokens.len() - 1)].span);
            let mut changed = text.clone();
            let letters = match next(&mut state) % 4 {
                0 => "",
                1 => ";",
                2 => "\n",
                _ => &text[other.start as usize..other.end as usize],
            };
            changed.replace_range(one.start as usize..one.end as usize, letters);
            formatted += usize::from(lawful(&changed).is_some());
        }
    }
    assert!(formatted > 500, "only {formatted} changed texts could be read");
}

#[test]
fn brackets_on_the_line_below_an_attribute_do_not_become_its_arguments() {
    let text = "block b(x: f32[N, C]) {\n  @host\n  (x + 1) * 2\n}\n";
    assert_eq!(lawful(text).as_deref(), Some(text));
}

/// Files beside the examples.
struct Beside;

impl Loader for Beside {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        let text = fs::read_to_string(workspace::root().join("tests/examples").join(path));
        text.map(|text| (path.to_owned(), text)).map_err(|e| e.to_string())
    }
}

/// The graphs of a model, or what is said about it, without places.
fn meaning(text: &str, dims: &[(String, usize)]) -> Vec<String> {
    let loaded = load("model.nn", text, &[], &Beside);
    assert!(
        !loaded.has_errors(),
        "{}",
        render_all(&loaded.diagnostics, loaded.value.sources(), Colour::Never)
    );
    let bundle = Arc::new(loaded.value);
    let mut out = Vec::new();
    for expansion in [Expansion::Training, Expansion::Inference] {
        let request = Request { dims: dims.to_vec(), batch: Some(2), ..Request::new(expansion) };
        let elaborated = elaborate(&bundle, &request);
        out.push(elaborated.value.map_or(String::new(), |model| ir::print(&model.graph)));
        out.extend(elaborated.diagnostics.iter().map(|one| format!("{} {}", one.code, one.message)));
    }
    out
}

#[test]
fn no_example_means_something_else_after_formatting() {
    let mut state = 0x1234_5678_9abc_def1;
    let dims = [("T".to_owned(), 8), ("S".to_owned(), 6)];
    let mut graphs = 0;
    for path in files("tests/examples") {
        let text = read(&path);
        if path.file_stem().is_some_and(|name| name == "blocks") {
            continue;
        }
        let wanted = meaning(&text, &dims);
        let changed = respaced(&text, &mut state, true);
        let found = formatted(&changed).expect("a respaced example can be read");
        assert_eq!(wanted, meaning(&found, &dims), "{}", path.display());
        graphs += wanted.iter().filter(|text| text.contains('%')).count();
    }
    assert!(graphs > 12, "only {graphs} graphs were compared");
}

#[test]
fn layout_is_as_documented() {
    let text = "use \"blocks.nn\"\nconst  a=1\nconst longer = 2 # why\n\n\n\nfn f(x,k=2)=x**-k+ -x\nfn g(x)=x[ : ,:-1]\n\
        block b(x:f32[N , C],out : int){\n\n  y=x->\n  linear( out , bias = false )\n  ## the rest\n  y -> add{identity;relu}\n\n}\n\
        train M on d {\nbatch = 2; epochs=10\nmetrics {a = accuracy( logits , label )}\nupdate gen {\nloss = x\noptimizer = adam\n}\n}\n";
    let wanted = "\
use \"blocks.nn\"

const a = 1
const longer = 2 # why

fn f(x, k = 2) = x ** -k + -x
fn g(x) = x[:, :-1]

block b(x: f32[N, C], out: int) {
  y = x
    -> linear(out, bias=false)
  ## the rest
  y -> add { identity; relu }
}

train M on d {
  batch   = 2
  epochs  = 10
  metrics { a = accuracy(logits, label) }
  update gen {
    loss      = x
    optimizer = adam
  }
}
";
    assert_eq!(lawful(text).as_deref(), Some(wanted.replace("2 # why", "2  # why").as_str()));
}

#[test]
fn long_lines_break_at_arrows_and_brackets() {
    let stage = "-> conv(64, 3, pad=1) -> batch_norm -> relu ";
    let text = format!(
        "block b(x: f32[N, C, H, W]) {{ x {} }}\nfn f(x) = g(first_argument=x, {})\n",
        stage.repeat(4),
        "another_argument=x, ".repeat(6) + "last=x"
    );
    let wanted = "\
block b(x: f32[N, C, H, W]) {
  x -> conv(64, 3, pad=1) -> batch_norm -> relu -> conv(64, 3, pad=1) -> batch_norm -> relu -> conv(64, 3, pad=1)
    -> batch_norm -> relu -> conv(64, 3, pad=1) -> batch_norm -> relu
}

fn f(x) = g(
  first_argument=x,
  another_argument=x,
  another_argument=x,
  another_argument=x,
  another_argument=x,
  another_argument=x,
  another_argument=x,
  last=x
)
";
    assert_eq!(lawful(&text).as_deref(), Some(wanted));
}

#[test]
fn the_command_formats_checks_and_leaves_broken_files_alone() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("model.nn");
    let name = path.to_string_lossy().into_owned();
    fs::write(&path, "const a=1\n").expect("a file can be written");
    let check = nnc(&["fmt", "--check", &name]).output().expect("it runs");
    assert_eq!(check.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&check.stdout).trim(), name);
    assert_eq!(read(&path), "const a=1\n");
    let _ = succeed(nnc(&["fmt", &name]));
    assert_eq!(read(&path), "const a = 1\n");
    let _ = succeed(nnc(&["fmt", "--check", &name]));
    fs::write(&path, "const a=(1\n").expect("a file can be written");
    let broken = nnc(&["fmt", &name]).output().expect("it runs");
    assert_eq!(broken.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&broken.stderr).contains("E0101"));
    assert_eq!(read(&path), "const a=(1\n");
}

#[test]
fn shapes_are_written_behind_the_lines_of_the_models_pipelines() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("model.nn");
    let name = path.to_string_lossy().into_owned();
    let text = "\
model M(x: f32[N, 1, 8, 8]) -> y: f32[N, 10] {
  x
    -> conv(4, 3) -> relu
    -> repeat 2 { conv(4, 3) } as deep
    -> flatten: f32[N, 16]
    -> linear(10)
}
";
    let wanted = "\
model M(x: f32[N, 1, 8, 8]) -> y: f32[N, 10] {
  x
    -> conv(4, 3) -> relu: f32[N, 4, 6, 6]
    -> repeat 2 { conv(4, 3) } as deep: f32[N, 4, 2, 2]
    -> flatten: f32[N, 16]
    -> linear(10): f32[N, 10]
}
";
    fs::write(&path, text.replace("f32[N, 16]", "f32[N, 64]")).expect("a file can be written");
    let wrong = nnc(&["fmt", "--shapes", &name]).output().expect("it runs");
    assert_eq!(wrong.status.code(), Some(1), "a model that does not check has no shapes");
    fs::write(&path, text).expect("a file can be written");
    let _ = succeed(nnc(&["fmt", "--shapes", &name]));
    assert_eq!(read(&path), wanted);
    let _ = succeed(nnc(&["check", &name]));
    let _ = succeed(nnc(&["fmt", "--shapes", "--check", &name]));
}
