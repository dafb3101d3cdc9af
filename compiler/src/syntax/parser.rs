//! What the grammar's parsers share: tokens as nom input, and the error that remembers what was wanted.

use std::cell::RefCell;

use nom::IResult;
use nom::error::{ErrorKind, ParseError};

use crate::source::Span;
use crate::syntax::DEEPEST;
use crate::syntax::ast::Name;
use crate::syntax::token::{Kind, Token};

/// The tokens from one place on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens<'a> {
    all: &'a [Token],
    place: usize,
    depth: u16,
    failures: &'a RefCell<Vec<Failure>>,
}

/// A place where the text does not go on as the grammar does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    /// The token that does not fit.
    pub(super) place: usize,
    /// What would have.
    pub(super) wanted: Vec<&'static str>,
}

/// The result of a parser.
pub(super) type Parsed<'a, T> = IResult<Tokens<'a>, T, Failure>;

impl<'a> Tokens<'a> {
    pub(super) fn new(all: &'a [Token], failures: &'a RefCell<Vec<Failure>>) -> Tokens<'a> {
        Tokens { all, place: 0, depth: 0, failures }
    }

    /// The token `ahead` places on.
    pub(super) fn peek(self, ahead: usize) -> &'a Token {
        &self.all[(self.place + ahead).min(self.all.len() - 1)]
    }

    pub(super) fn kind(self) -> Kind {
        self.peek(0).kind
    }

    pub(super) fn place(self) -> usize {
        self.place
    }

    /// The same tokens from `ahead` places on.
    pub(super) fn skip(self, ahead: usize) -> Tokens<'a> {
        Tokens { place: (self.place + ahead).min(self.all.len() - 1), ..self }
    }

    /// The text from the token at `start` up to the last token before this place.
    pub(super) fn span_since(self, start: Tokens<'a>) -> Span {
        let first = start.peek(0).span;
        if self.place > start.place { first.to(self.all[self.place - 1].span) } else { first }
    }

    /// Whether the next token is the name `word`.
    pub(super) fn at_word(self, word: &str) -> bool {
        self.kind() == Kind::Name && self.peek(0).text == word
    }

    /// A failure here that another alternative may mend.
    pub(super) fn wants<T>(self, wanted: &'static str) -> Parsed<'a, T> {
        Err(nom::Err::Error(Failure { place: self.place, wanted: vec![wanted] }))
    }

    /// Runs `parser` one level deeper.
    pub(super) fn deeper<T>(self, parser: impl Fn(Tokens<'a>) -> Parsed<'a, T>) -> Parsed<'a, T> {
        if self.depth >= DEEPEST * 2 {
            let wanted = vec!["less nesting"];
            return Err(nom::Err::Failure(Failure { place: self.place, wanted }));
        }
        let (rest, value) = parser(Tokens { depth: self.depth + 1, ..self })?;
        Ok((Tokens { depth: self.depth, ..rest }, value))
    }

    /// Notes a failure from which reading recovers.
    pub(super) fn report(self, failure: Failure) {
        self.failures.borrow_mut().push(failure);
    }

    /// The place of the next separator, or of the bracket that closes this list, at or after `from`.
    pub(super) fn recover(self, from: usize) -> Tokens<'a> {
        let mut place = self.place;
        loop {
            let token = &self.all[place];
            let resume = match token.kind {
                Kind::End | Kind::CloseBrace | Kind::CloseParen | Kind::CloseBracket => true,
                Kind::Separator => place >= from,
                _ => false,
            };
            if resume {
                return Tokens { place, ..self };
            }
            place = if token.kind.closing().is_some() { token.partner + 1 } else { place + 1 };
        }
    }
}

impl<'a> ParseError<Tokens<'a>> for Failure {
    fn from_error_kind(input: Tokens<'a>, _kind: ErrorKind) -> Failure {
        Failure { place: input.place, wanted: Vec::new() }
    }

    fn append(_input: Tokens<'a>, _kind: ErrorKind, other: Failure) -> Failure {
        other
    }

    /// The failure that got furthest; of two equally far both wants.
    fn or(mut self, other: Failure) -> Failure {
        match self.place.cmp(&other.place) {
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Equal => {
                for wanted in other.wanted {
                    if !self.wanted.contains(&wanted) {
                        self.wanted.push(wanted);
                    }
                }
                self
            }
        }
    }
}

/// The failure inside `error`.
pub(super) fn failure(error: nom::Err<Failure>) -> Failure {
    match error {
        nom::Err::Error(failure) | nom::Err::Failure(failure) => failure,
        nom::Err::Incomplete(_) => Failure { place: 0, wanted: Vec::new() },
    }
}

/// A token of kind `kind`.
pub(super) fn token<'a>(kind: Kind) -> impl Fn(Tokens<'a>) -> Parsed<'a, &'a Token> {
    move |input| {
        if input.kind() == kind { Ok((input.skip(1), input.peek(0))) } else { input.wants(kind.describe()) }
    }
}

/// An identifier, which a failure calls `what`.
pub(super) fn name_as<'a>(what: &'static str) -> impl Fn(Tokens<'a>) -> Parsed<'a, Name> {
    move |input| {
        if input.kind() != Kind::Name {
            return input.wants(what);
        }
        let found = input.peek(0);
        Ok((input.skip(1), Name { text: found.text.clone(), span: found.span }))
    }
}

/// An identifier.
pub(super) fn name(input: Tokens<'_>) -> Parsed<'_, Name> {
    name_as("a name")(input)
}

/// The contextual word `word`, which a failure calls `what`.
pub(super) fn word<'a>(word: &'static str, what: &'static str) -> impl Fn(Tokens<'a>) -> Parsed<'a, ()> {
    move |input| if input.at_word(word) { Ok((input.skip(1), ())) } else { input.wants(what) }
}

/// A string without its quotes and escapes.
pub(super) fn text(input: Tokens<'_>) -> Parsed<'_, String> {
    let (rest, found) = token(Kind::Text)(input)?;
    let written = found.text.trim_matches('"');
    let inner = found.text.get(1..found.text.len().saturating_sub(1)).unwrap_or(written);
    let mut out = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok((rest, out))
}

/// `open entry, entry, close`, a last comma allowed.
pub(super) fn listed<'a, T>(
    open: Kind,
    close: Kind,
    entry: impl Fn(Tokens<'a>) -> Parsed<'a, T>,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Vec<T>> {
    move |input| {
        let (mut rest, _) = token(open)(input)?;
        let mut out = Vec::new();
        loop {
            if rest.kind() == close {
                return Ok((rest.skip(1), out));
            }
            let (after, value) = must(&entry)(rest)?;
            out.push(value);
            if after.kind() == Kind::Comma {
                rest = after.skip(1);
            } else if after.kind() == close {
                rest = after;
            } else {
                let wanted = vec!["`,`", close.describe()];
                return Err(nom::Err::Failure(Failure { place: after.place, wanted }));
            }
        }
    }
}

/// `{ entry SEP entry }`; an entry that cannot be read is reported and left out.
pub(super) fn lines<'a, T>(
    entry: impl Fn(Tokens<'a>) -> Parsed<'a, T>,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Vec<T>> {
    move |input| {
        let (mut rest, _) = token(Kind::OpenBrace)(input)?;
        let mut out = Vec::new();
        loop {
            while rest.kind() == Kind::Separator {
                rest = rest.skip(1);
            }
            match rest.kind() {
                Kind::CloseBrace => return Ok((rest.skip(1), out)),
                Kind::End => {
                    return Err(nom::Err::Failure(Failure { place: rest.place, wanted: vec!["`}`"] }));
                }
                _ => {}
            }
            let read = entry(rest).and_then(|(after, value)| match after.kind() {
                Kind::Separator | Kind::CloseBrace => Ok((after, value)),
                _ => Err(nom::Err::Failure(Failure {
                    place: after.place,
                    wanted: vec!["the end of the line"],
                })),
            });
            match read {
                Ok((after, value)) => {
                    out.push(value);
                    rest = after;
                }
                Err(error) => {
                    let failure = failure(error);
                    let resume = rest.recover(failure.place);
                    rest.report(failure);
                    rest = resume;
                    if matches!(rest.kind(), Kind::CloseParen | Kind::CloseBracket) {
                        rest = rest.skip(1);
                    }
                }
            }
        }
    }
}

/// `parser`, after which no other alternative is tried.
pub(super) fn must<'a, T>(
    parser: impl Fn(Tokens<'a>) -> Parsed<'a, T>,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, T> {
    move |input| match parser(input) {
        Err(nom::Err::Error(failure)) => Err(nom::Err::Failure(failure)),
        other => other,
    }
}
