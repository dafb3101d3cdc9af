//! A text as one list of words: tokens, and the comments between them.

use crate::source::Source;
use crate::syntax::token::{Kind, Token};

/// A token or a comment.
#[derive(Clone, Debug)]
pub(super) struct Word<'a> {
    /// The token's kind; `None` for comments and doc comments.
    pub(super) kind: Option<Kind>,
    /// As written.
    pub(super) text: &'a str,
    /// Line breaks between the word before and this one.
    pub(super) breaks: usize,
    /// Its line, from 0.
    pub(super) line: usize,
    /// Its first column, from 0, in characters.
    pub(super) column: usize,
    /// Columns between the word before and this one, if they share a line.
    pub(super) gap: usize,
    /// Whether a statement ends before it.
    pub(super) ends_statement_before: bool,
    /// Whether a space stands before it when it is not the first of a line.
    pub(super) space: bool,
    /// Whether it is an operator between two values.
    pub(super) infix: bool,
    /// Whether it is the last word of an attribute.
    pub(super) closes_attribute: bool,
}

impl Word<'_> {
    /// Columns it takes.
    pub(super) fn width(&self) -> usize {
        self.text.chars().count()
    }

    /// Whether it is a comment.
    pub(super) fn is_comment(&self) -> bool {
        self.kind.is_none()
    }

    /// Whether it is a token of kind `kind`.
    pub(super) fn is(&self, kind: Kind) -> bool {
        self.kind == Some(kind)
    }
}

/// The words of `source`, whose tokens are `tokens`. A separator is a mark on the word behind it.
pub(super) fn words<'a>(source: &'a Source, tokens: &[Token]) -> Vec<Word<'a>> {
    let mut reader = Reader { source, out: Vec::new(), cursor: Cursor::default(), end: 0, separated: false };
    for token in tokens {
        let (start, end) = (token.span.start as usize, token.span.end as usize);
        match token.kind {
            Kind::Separator if start == end => reader.separated = true,
            Kind::Separator => {
                reader.comments(start);
                reader.separated = true;
                reader.end = end;
            }
            Kind::End => reader.comments(start),
            Kind::Doc => {
                reader.comments(start);
                reader.push(None, start, end);
            }
            kind => {
                reader.comments(start);
                reader.push(Some(kind), start, end);
            }
        }
    }
    mark_attributes(&mut reader.out);
    reader.out
}

struct Reader<'a> {
    source: &'a Source,
    out: Vec<Word<'a>>,
    /// Where the last word began.
    cursor: Cursor,
    /// Where the last word ended, in bytes.
    end: usize,
    separated: bool,
}

impl<'a> Reader<'a> {
    /// The comments from the last word up to byte `to`.
    fn comments(&mut self, to: usize) {
        while let Some(place) = self.source.text()[self.end..to].find('#') {
            let start = self.end + place;
            let line = self.source.text()[start..].split('\n').next().unwrap_or("");
            self.push(None, start, start + line.trim_end().len());
        }
    }

    fn push(&mut self, kind: Option<Kind>, start: usize, end: usize) {
        let text = self.source.text();
        self.cursor.advance(text, start);
        let Cursor { line, column, .. } = self.cursor;
        let before = self.out.last();
        let breaks = if before.is_some() { text[self.end..start].matches('\n').count() } else { 1 };
        let gap = column.saturating_sub(before.map_or(0, |word| word.column + word.width()));
        self.out.push(Word {
            kind,
            text: &text[start..end],
            breaks,
            line,
            column,
            gap: if breaks == 0 { gap } else { 0 },
            ends_statement_before: kind.is_some() && self.separated,
            space: false,
            infix: false,
            closes_attribute: false,
        });
        self.separated &= kind.is_none();
        self.end = end;
    }
}

/// A place in a text, which is walked through once: to look each word's column up by itself would take the square of a
/// line's length.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// In bytes.
    offset: usize,
    /// From 0.
    line: usize,
    /// From 0, in characters.
    column: usize,
}

impl Cursor {
    /// Goes on to byte `to` of `text`.
    fn advance(&mut self, text: &str, to: usize) {
        let passed = &text[self.offset..to];
        let begun = passed.rfind('\n').map(|last| &passed[last + 1..]);
        self.line += passed.matches('\n').count();
        self.column = begun.map_or(self.column, |_| 0) + begun.unwrap_or(passed).chars().count();
        self.offset = to;
    }
}

/// Finds the attributes: an `@` where no value has ended begins one.
fn mark_attributes(words: &mut [Word<'_>]) {
    let mut value_ended = false;
    let mut place = 0;
    while place < words.len() {
        let Some(kind) = words[place].kind else {
            place += 1;
            continue;
        };
        value_ended &= !words[place].ends_statement_before;
        if kind == Kind::At && !value_ended {
            place = end_of_attribute(words, place);
            words[place].closes_attribute = true;
            value_ended = false;
        } else {
            value_ended = ends_value(kind);
        }
        place += 1;
    }
}

/// The last word of the attribute that begins at `place`.
fn end_of_attribute(words: &[Word<'_>], place: usize) -> usize {
    let token = |from: usize| (from..words.len()).find(|at| !words[*at].is_comment());
    let Some(name) = token(place + 1) else { return place };
    match token(name + 1) {
        Some(open) if words[open].is(Kind::OpenParen) && !words[open].ends_statement_before => {
            let mut depth = 0;
            for (at, word) in words.iter().enumerate().skip(open) {
                depth += i32::from(word.is(Kind::OpenParen)) - i32::from(word.is(Kind::CloseParen));
                if depth == 0 {
                    return at;
                }
            }
            name
        }
        _ => name,
    }
}

/// Whether a value may end with a token of kind `kind`, so that an operator or a bracket behind it belongs to it.
pub(super) fn ends_value(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Name
            | Kind::Integer
            | Kind::Float
            | Kind::Text
            | Kind::True
            | Kind::False
            | Kind::CloseParen
            | Kind::CloseBracket
            | Kind::CloseBrace
    )
}
