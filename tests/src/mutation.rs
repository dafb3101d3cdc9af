//! Texts that people nearly wrote: the project's models with words changed, dropped, doubled, moved and mixed.

use nnc::source::{Sources, Span};
use nnc::syntax::lex;
use nnc::syntax::token::{Kind, Token};

use crate::corpus::Text;
use crate::graphs::Draw;

/// Numbers that lie at the edge of something.
const NUMBERS: [&str; 26] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "-1",
    "-2",
    "16",
    "31",
    "255",
    "1000",
    "65536",
    "1000000",
    "2147483647",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "0.0",
    "0.5",
    "-0.5",
    "1e-300",
    "1e308",
    "1e309",
    "3 GiB",
    "1 // 0",
];

/// Words that a text may lack.
const WORDS: [&str; 50] = [
    "layer",
    "weight",
    "state",
    "grad",
    "if",
    "else",
    "repeat",
    "in",
    "as",
    "and",
    "or",
    "not",
    "true",
    "false",
    "where",
    "use",
    "const",
    "fn",
    "block",
    "model",
    "optimizer",
    "data",
    "train",
    "scan",
    "N",
    "T",
    "..",
    "->",
    "//",
    "**",
    "@",
    "_",
    "x",
    "weights",
    "training",
    "step",
    "epoch",
    "f32",
    "i32",
    "bool",
    "int",
    "f32[N, 3]",
    "identity",
    "softmax",
    "\"n c h w -> n (c h w)\"",
    "{",
    "}",
    "(",
    ")",
    "[0:2]",
];

/// Letters with which no word begins, or which take several bytes.
const LETTERS: [&str; 12] = ["\"", "\\", "\u{0}", "é", "→", "\u{feff}", "\r", "\t", "\n", "#", "`", "🙂"];

/// How many kinds of mutation there are.
const KINDS: usize = 23;

/// Kinds after which a text can often be read still: lines, items, numbers and names.
const GENTLE: [usize; 10] = [5, 9, 10, 11, 12, 13, 14, 15, 16, 21];

/// The text with the number `number`: one of `corpus` after a few mutations. The same number gives the same text.
#[must_use]
pub fn mutant(corpus: &[Text], number: u64) -> String {
    let mut draw = Draw::new(number);
    let mut text = pick(corpus, &mut draw).text.clone();
    let gentle = draw.below(3) < 2;
    let mut count = 1;
    while count < 8 && draw.below(2) == 1 {
        count += 1;
    }
    for _ in 0..count {
        let other = &pick(corpus, &mut draw).text;
        let kind = if gentle { GENTLE[draw.below(GENTLE.len())] } else { draw.below(KINDS) };
        text = mutated(&text, other, kind, &mut draw);
    }
    text
}

/// A text: the networks as often as the many small ones.
fn pick<'c>(corpus: &'c [Text], draw: &mut Draw) -> &'c Text {
    let networks = corpus.iter().filter(|text| !text.path.starts_with("tests/cases/")).count();
    let small = corpus.len() - networks;
    let wanted = draw.below(2) == 0;
    let place = draw.below(if wanted { networks } else { small });
    let mut fitting = corpus.iter().filter(|text| text.path.starts_with("tests/cases/") != wanted);
    fitting.nth(place).unwrap_or(&corpus[0])
}

/// The words of a text.
struct Words<'t> {
    text: &'t str,
    tokens: Vec<Token>,
}

impl<'t> Words<'t> {
    fn of(text: &'t str) -> Words<'t> {
        let mut sources = Sources::new();
        let id = sources.add("model.nn", text);
        let mut tokens = lex(sources.source(id)).value;
        tokens.retain(|token| token.span.start < token.span.end);
        Words { text, tokens }
    }

    fn slice(&self, span: Span) -> &'t str {
        &self.text[span.start as usize..span.end as usize]
    }

    fn any(&self, draw: &mut Draw) -> Span {
        self.tokens[draw.below(self.tokens.len())].span
    }

    /// A word of one of these kinds, or any.
    fn any_of(&self, kinds: &[Kind], draw: &mut Draw) -> Span {
        let fitting: Vec<&Token> = self.tokens.iter().filter(|token| kinds.contains(&token.kind)).collect();
        if fitting.is_empty() { self.any(draw) } else { fitting[draw.below(fitting.len())].span }
    }

    /// A few words in a row.
    fn stretch(&self, draw: &mut Draw) -> Span {
        let first = draw.below(self.tokens.len());
        let last = (first + draw.below(12)).min(self.tokens.len() - 1);
        self.tokens[first].span.to(self.tokens[last].span)
    }

    /// What stands between two brackets, or a few words.
    fn group(&self, draw: &mut Draw) -> Span {
        let open: Vec<&Token> = self.tokens.iter().filter(|token| token.kind.closing().is_some()).collect();
        if open.is_empty() {
            return self.stretch(draw);
        }
        let first = open[draw.below(open.len())];
        let mut depth = 0_usize;
        for token in self.tokens.iter().filter(|token| token.span.start >= first.span.start) {
            if token.kind.closing().is_some() {
                depth += 1;
            } else if matches!(token.kind, Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace) {
                depth -= 1;
            }
            if depth == 0 {
                return first.span.to(token.span);
            }
        }
        first.span
    }

    /// A line.
    fn line(&self, draw: &mut Draw) -> Span {
        let word = self.any(draw);
        let (before, after) = (&self.text[..word.start as usize], &self.text[word.start as usize..]);
        let start = before.rfind('\n').map_or(0, |place| place + 1);
        let end = word.start as usize + after.find('\n').map_or(after.len(), |place| place + 1);
        Span::new(word.file, start, end)
    }

    /// An item, from its first word to the next item's.
    fn item(&self, draw: &mut Draw) -> Span {
        let begins = ["use", "const", "fn", "block", "model", "optimizer", "data", "train"];
        let starts: Vec<usize> = self
            .tokens
            .iter()
            .filter(|token| begins.contains(&token.text.as_str()))
            .map(|token| token.span.start as usize)
            .filter(|start| *start == 0 || self.text.as_bytes()[start - 1] == b'\n')
            .collect();
        if starts.is_empty() {
            return self.line(draw);
        }
        let place = draw.below(starts.len());
        let end = starts.get(place + 1).copied().unwrap_or(self.text.len());
        Span::new(self.tokens[0].span.file, starts[place], end)
    }
}

/// `text` after one mutation of a kind; `other` is what it is mixed with.
fn mutated(text: &str, other: &str, kind: usize, draw: &mut Draw) -> String {
    let (words, others) = (Words::of(text), Words::of(other));
    if words.tokens.is_empty() || others.tokens.is_empty() {
        return other.to_owned();
    }
    let replaced = |span: Span, with: &str| {
        let mut out = text.to_owned();
        out.replace_range(span.start as usize..span.end as usize, with);
        out
    };
    let inserted = |at: u32, what: &str| {
        let mut out = text.to_owned();
        out.insert_str(at as usize, what);
        out
    };
    match kind {
        0 => replaced(words.any(draw), ""),
        1 => replaced(words.stretch(draw), ""),
        2 => swapped(text, words.any(draw), words.any(draw)),
        3 => swapped(text, words.stretch(draw), words.stretch(draw)),
        4 => {
            let word = words.stretch(draw);
            inserted(word.start, &format!("{} ", words.slice(word)))
        }
        5 => {
            let line = words.line(draw);
            inserted(line.start, words.slice(line))
        }
        6 => replaced(words.any(draw), others.slice(others.any(draw))),
        7 => replaced(words.stretch(draw), others.slice(others.stretch(draw))),
        8 => replaced(words.group(draw), others.slice(others.group(draw))),
        9 => replaced(words.line(draw), others.slice(others.line(draw))),
        10 => inserted(words.line(draw).start, others.slice(others.line(draw))),
        11 => inserted(words.item(draw).start, others.slice(others.item(draw))),
        12 => replaced(words.item(draw), others.slice(others.item(draw))),
        13 | 14 => replaced(words.any_of(&[Kind::Integer, Kind::Float], draw), NUMBERS[draw.below(26)]),
        15 | 16 => {
            let name = words.any_of(&[Kind::Name], draw);
            replaced(name, words.slice(words.any_of(&[Kind::Name], draw)))
        }
        17 => inserted(words.any(draw).start, &format!("{} ", WORDS[draw.below(WORDS.len())])),
        18 => {
            const BRACKETS: [Kind; 6] = [
                Kind::OpenParen,
                Kind::CloseParen,
                Kind::OpenBracket,
                Kind::CloseBracket,
                Kind::OpenBrace,
                Kind::CloseBrace,
            ];
            replaced(words.any_of(&BRACKETS, draw), "")
        }
        21 => {
            let name = words.any_of(&[Kind::Name], draw);
            replaced(name, others.slice(others.any_of(&[Kind::Name], draw)))
        }
        19 => nested(words.group(draw), text, draw),
        20 => {
            let what = words.stretch(draw);
            let times = 1 + draw.below(40);
            replaced(what, &format!("{} ", words.slice(what)).repeat(times))
        }
        _ => {
            let at = draw.below(text.len() + 1);
            let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            if draw.below(3) == 0 {
                text[..at].to_owned()
            } else {
                inserted(u32::try_from(at).unwrap_or(0), LETTERS[draw.below(LETTERS.len())])
            }
        }
    }
}

/// `text` with the texts of two places exchanged, where they do not overlap.
fn swapped(text: &str, one: Span, other: Span) -> String {
    let (first, second) = if one.start <= other.start { (one, other) } else { (other, one) };
    let range = |span: Span| span.start as usize..span.end as usize;
    if first.end > second.start {
        return text.to_owned();
    }
    let mut out = text.to_owned();
    out.replace_range(range(second), &text[range(first)]);
    out.replace_range(range(first), &text[range(second)]);
    out
}

/// `text` with what stands at `span` put deep into something.
fn nested(span: Span, text: &str, draw: &mut Draw) -> String {
    let (open, close) =
        [("(", ")"), ("[", "]"), ("{", "}"), ("-", ""), ("not ", ""), ("if true { ", " }"), ("2 ** ", "")]
            [draw.below(7)];
    let depth = 1 + draw.below(60);
    let mut out = text.to_owned();
    out.insert_str(span.end as usize, &close.repeat(depth));
    out.insert_str(span.start as usize, &open.repeat(depth));
    out
}
