//! Letters to tokens: words, then the rule that decides which line ends count, then brackets.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{digit1, one_of, satisfy};
use nom::combinator::{opt, recognize};
use nom::{IResult, Parser};

use crate::diagnostic::{Checked, Diagnostic};
use crate::source::{FileId, Source, Span};
use crate::syntax::DEEPEST;
use crate::syntax::token::{Kind, Token};

/// The most letters of a name.
const LONGEST_NAME: usize = 255;

/// The tokens of `source`, the last of which is [`Kind::End`].
#[must_use]
pub fn lex(source: &Source) -> Checked<Vec<Token>> {
    let mut words = Words { source, out: Vec::new(), diagnostics: Vec::new() };
    words.run();
    let Words { out, mut diagnostics, .. } = words;
    let mut tokens = settle_lines(out, source);
    let unended = diagnostics.iter().any(|diagnostic| diagnostic.code == "E0102");
    let mut unpaired = Vec::new();
    pair_brackets(&mut tokens, &mut unpaired);
    if !unended {
        diagnostics.extend(unpaired);
    }
    Checked { value: tokens, diagnostics }
}

/// A token and whether a line end stands before it.
struct Word {
    token: Token,
    first_in_line: bool,
}

struct Words<'a> {
    source: &'a Source,
    out: Vec<Word>,
    diagnostics: Vec<Diagnostic>,
}

impl Words<'_> {
    fn run(&mut self) {
        let text = self.source.text();
        let mut rest = text;
        let mut first_in_line = true;
        while let Some(letter) = rest.chars().next() {
            let start = text.len() - rest.len();
            if letter == '\n' {
                first_in_line = true;
                rest = &rest[1..];
            } else if letter.is_whitespace() || letter == '\u{feff}' {
                rest = &rest[letter.len_utf8()..];
            } else if letter == '#' {
                let line = rest.split('\n').next().unwrap_or(rest).trim_end();
                if line.starts_with("##") && first_in_line {
                    self.push(Kind::Doc, start, start + line.len(), first_in_line);
                }
                rest = &rest[line.len()..];
            } else if letter == '"' {
                rest = self.string(rest, start, first_in_line);
                first_in_line = false;
            } else if let Ok((after, kind)) = word(rest) {
                let is_word = letter.is_alphabetic();
                let inside =
                    !first_in_line && self.out.last().is_some_and(|last| last.token.kind == Kind::Dot);
                let kind = if is_word && inside { Kind::Name } else { kind };
                if kind == Kind::Name {
                    self.long_name(&rest[..rest.len() - after.len()], start);
                }
                self.push(kind, start, text.len() - after.len(), first_in_line);
                first_in_line = false;
                rest = after;
            } else {
                let length = quoted(rest).unwrap_or(letter.len_utf8());
                self.stray(letter, start, length);
                rest = &rest[length..];
            }
        }
        self.push(Kind::End, text.len(), text.len(), true);
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, first_in_line: bool) {
        let span = Span::new(self.source.id(), start, end);
        let text = self.source.slice(span).to_owned();
        self.out.push(Word { token: Token { kind, text, span, partner: 0 }, first_in_line });
    }

    /// Reads a string whose opening quote is the first letter of `rest`; it ends in the same line.
    fn string<'t>(&mut self, rest: &'t str, start: usize, first_in_line: bool) -> &'t str {
        let mut escaped = false;
        for (place, letter) in rest.char_indices().skip(1) {
            match letter {
                '\n' => {
                    self.unended(start, start + place);
                    return &rest[place..];
                }
                '"' if !escaped => {
                    self.push(Kind::Text, start, start + place + 1, first_in_line);
                    return &rest[place + 1..];
                }
                letter if escaped => {
                    if !matches!(letter, '"' | '\\' | 'n' | 't') {
                        let at = start + place - 1;
                        let span = Span::new(self.source.id(), at, at + 1 + letter.len_utf8());
                        self.diagnostics.push(
                            Diagnostic::error("E0102", format!("a string has no escape `\\{letter}`"), span)
                                .help("the escapes are `\\\"`, `\\\\`, `\\n` and `\\t`"),
                        );
                    }
                    escaped = false;
                }
                letter => escaped = letter == '\\',
            }
        }
        self.unended(start, start + rest.len());
        ""
    }

    fn unended(&mut self, start: usize, end: usize) {
        let written = self.source.text()[start..end].trim_end();
        let span = Span::new(self.source.id(), start, start + written.len());
        self.diagnostics.push(
            Diagnostic::error("E0102", "this string is not ended", span)
                .fact("the line ends here")
                .help("close it with `\"` in the same line"),
        );
        self.push(Kind::Text, start, start + written.len(), false);
    }

    fn long_name(&mut self, name: &str, start: usize) {
        let letters = name.chars().count();
        if letters > LONGEST_NAME {
            let span = Span::new(self.source.id(), start, start + name.len());
            self.diagnostics.push(
                Diagnostic::error("E0107", format!("this name has {letters} letters"), span)
                    .fact(format!("a name has at most {LONGEST_NAME}")),
            );
        }
    }

    /// Reports `letter`, with which no word begins; what belongs to it takes `length` bytes.
    fn stray(&mut self, letter: char, start: usize, length: usize) {
        let span = Span::new(self.source.id(), start, start + length);
        if let Some(last) = self.diagnostics.last()
            && last.code == "E0103"
            && last.primary.span.end == span.start
        {
            return;
        }
        let before = self.out.last().map(|word| word.token.kind);
        let in_brackets = matches!(before, Some(Kind::OpenBracket | Kind::Comma));
        let help = match letter {
            '^' => Some("power is `**`"),
            '|' => Some("a pipeline is written `->`, a condition `or`"),
            '&' => Some("both of two conditions is `and`"),
            '!' => Some("the opposite of a condition is `not`"),
            '\'' | '`' | '“' | '”' => Some("a string stands in `\"`"),
            '−' | '–' => Some("minus is `-`"),
            '×' | '·' => Some("times is `*`"),
            '?' if in_brackets => Some("a dim that may be any is a name with a capital letter: `f32[N, T]`"),
            '?' => Some("a choice is `if condition { a } else { b }`"),
            '→' => Some("an arrow is `->`"),
            '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{00ad}' => {
                Some("it cannot be seen: delete it")
            }
            _ => None,
        };
        let unseen = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{00ad}');
        let shown = if unseen {
            letter.escape_unicode().to_string()
        } else if letter.is_control() {
            letter.escape_debug().to_string()
        } else {
            letter.to_string()
        };
        self.diagnostics.push(
            Diagnostic::error("E0103", format!("stray character `{shown}`"), span)
                .fact("no word begins with it")
                .help_maybe(help.map(str::to_owned)),
        );
    }
}

/// The bytes of a string in quotes of another kind at the start of `text`, which ends in its line.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|letter| matches!(letter, '\'' | '`'))?;
    let line = text.split('\n').next().unwrap_or(text);
    line[1..].find(quote).map(|place| place + 2)
}

/// One name, number or operator.
fn word(text: &str) -> IResult<&str, Kind> {
    alt((name, number, operator)).parse(text)
}

fn name(text: &str) -> IResult<&str, Kind> {
    let letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let first = satisfy(|letter: char| letter.is_alphabetic() || letter == '_');
    let (rest, word) = recognize((first, take_while(letter))).parse(text)?;
    let fixed = Kind::FIXED.iter().find(|(_, letters)| *letters == word);
    Ok((rest, fixed.map_or(Kind::Name, |(kind, _)| *kind)))
}

fn number(text: &str) -> IResult<&str, Kind> {
    let digits = |text| {
        recognize((digit1, take_while(|letter: char| letter.is_ascii_digit() || letter == '_'))).parse(text)
    };
    let (rest, _) = digits(text)?;
    let fraction = (tag("."), take_while1(|letter: char| letter.is_ascii_digit() || letter == '_'));
    let (rest, fraction) = opt(fraction).parse(rest)?;
    let (rest, exponent) = opt((one_of("eE"), opt(one_of("+-")), digits)).parse(rest)?;
    Ok((rest, if fraction.is_some() || exponent.is_some() { Kind::Float } else { Kind::Integer }))
}

fn operator(text: &str) -> IResult<&str, Kind> {
    if let Some(rest) = text.strip_prefix(';') {
        return Ok((rest, Kind::Separator));
    }
    let found = Kind::FIXED.iter().find(|(_, letters)| text.starts_with(letters));
    match found {
        Some((kind, letters)) => Ok((&text[letters.len()..], *kind)),
        None => Err(nom::Err::Error(nom::error::Error::new(text, nom::error::ErrorKind::Tag))),
    }
}

/// Turns the line ends that end a statement into separators, and drops doc comments that stand where no
/// statement begins.
fn settle_lines(words: Vec<Word>, source: &Source) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(words.len() + 16);
    let mut open: Vec<Kind> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(Word { token, first_in_line }) = words.next() {
        let inside_list = matches!(open.last(), Some(Kind::OpenParen | Kind::OpenBracket));
        let after = tokens.last().map(|last| last.kind);
        if token.kind == Kind::Doc {
            let next = words.peek().map_or(Kind::End, |next| next.token.kind);
            if !inside_list && boundary(after) && !next.continues_the_line_before() {
                if needs_separator(after) {
                    tokens.push(line_end(source.id(), token.span.start));
                }
                tokens.push(token);
            }
            continue;
        }
        let goes_on = token.kind.continues_the_line_before() || token.kind == Kind::End;
        let ends = first_in_line && !inside_list && !goes_on;
        if ends && needs_separator(after) && boundary(after) {
            tokens.push(line_end(source.id(), tokens.last().map_or(0, |last| last.span.end)));
        }
        if token.kind.closing().is_some() {
            open.push(token.kind);
        } else if matches!(token.kind, Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace) {
            open.pop();
        }
        tokens.push(token);
    }
    tokens
}

/// Whether a statement may begin after a token of kind `after`.
fn boundary(after: Option<Kind>) -> bool {
    after.is_none_or(|kind| !kind.continues_the_line() || kind == Kind::OpenBrace)
}

fn needs_separator(after: Option<Kind>) -> bool {
    after.is_some_and(|kind| !matches!(kind, Kind::Separator | Kind::Doc | Kind::OpenBrace))
}

fn line_end(file: FileId, place: u32) -> Token {
    let span = Span { file, start: place, end: place };
    Token { kind: Kind::Separator, text: "\n".to_owned(), span, partner: 0 }
}

/// Finds every bracket's partner and reports those that have none, the first of them only.
fn pair_brackets(tokens: &mut [Token], diagnostics: &mut Vec<Diagnostic>) {
    let mut open: Vec<usize> = Vec::new();
    let mut too_deep = false;
    for place in 0..tokens.len() {
        let kind = tokens[place].kind;
        if kind.closing().is_some() {
            open.push(place);
            if open.len() > usize::from(DEEPEST) && !too_deep {
                too_deep = true;
                diagnostics.push(Diagnostic::error(
                    "E0106",
                    format!("brackets are nested more than {DEEPEST} deep"),
                    tokens[place].span,
                ));
            }
        } else if matches!(kind, Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace) {
            match open.pop() {
                Some(before) if tokens[before].kind.closing() == Some(kind) => {
                    tokens[before].partner = place;
                    tokens[place].partner = before;
                }
                Some(before) if open.iter().any(|other| tokens[*other].kind.closing() == Some(kind)) => {
                    diagnostics.push(unclosed(&tokens[before], &tokens[place]));
                    return;
                }
                around => {
                    diagnostics.push(unopened(&tokens[place], around.map(|before| &tokens[before])));
                    return;
                }
            }
        }
    }
    if let (Some(before), Some(end)) = (open.last(), tokens.last()) {
        diagnostics.push(unclosed(&tokens[*before], end));
    }
}

/// `found` closes no bracket; `around` is the innermost that is open, of another kind.
fn unopened(found: &Token, around: Option<&Token>) -> Diagnostic {
    let diagnostic = Diagnostic::error("E0101", format!("`{}` closes nothing", found.text), found.span);
    match around {
        None => diagnostic.fact("no bracket is open here"),
        Some(around) => {
            let open = Kind::FIXED.iter().find(|(kind, _)| kind.closing() == Some(found.kind));
            let open = open.map_or("", |(_, letters)| letters);
            diagnostic
                .fact(format!("no `{open}` is open here"))
                .label(around.span, format!("inside this `{}`", around.text))
        }
    }
}

fn unclosed(open: &Token, found: &Token) -> Diagnostic {
    let wanted = open.kind.closing().map_or("", Kind::describe);
    let diagnostic = Diagnostic::error("E0101", format!("`{}` is not closed", open.text), open.span)
        .fact(format!("this `{}` needs a {wanted}", open.text));
    if found.kind == Kind::End {
        diagnostic.note("the file ends first")
    } else {
        diagnostic.label(found.span, format!("found `{}` first", found.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn kinds(text: &str) -> Vec<Kind> {
        let mut sources = Sources::new();
        let id = sources.add("t.nn", text);
        lex(sources.source(id)).value.iter().map(|token| token.kind).collect()
    }

    #[test]
    fn a_range_of_integers_is_not_a_float() {
        assert_eq!(kinds("0..4"), [Kind::Integer, Kind::Range, Kind::Integer, Kind::End]);
    }

    #[test]
    fn a_line_that_begins_with_minus_is_a_new_value() {
        assert_eq!(kinds("x\n-y"), [Kind::Name, Kind::Separator, Kind::Minus, Kind::Name, Kind::End]);
    }

    #[test]
    fn a_leading_arrow_goes_on_and_comments_do_not_matter() {
        let goes_on = kinds("x # one\n\n  # two\n  -> y");
        assert_eq!(goes_on, [Kind::Name, Kind::Arrow, Kind::Name, Kind::End]);
    }

    #[test]
    fn a_signature_goes_on_in_a_line_that_begins_with_where() {
        let goes_on = kinds("f(x)\n  where x\n{");
        let words = [Kind::Name, Kind::OpenParen, Kind::Name, Kind::CloseParen, Kind::Where, Kind::Name];
        assert_eq!(goes_on[..6], words);
        assert_eq!(goes_on[6], Kind::Separator);
    }

    #[test]
    fn behind_a_dot_every_word_is_a_name() {
        let names = [Kind::Name, Kind::Dot, Kind::Name, Kind::Separator, Kind::Name, Kind::End];
        assert_eq!(kinds("head.weight\nx"), names);
        assert_eq!(kinds("0..if"), [Kind::Integer, Kind::Range, Kind::If, Kind::End]);
    }

    #[test]
    fn doc_comments_stay_before_statements_only() {
        assert_eq!(kinds("## a\nconst"), [Kind::Doc, Kind::Name, Kind::End]);
        assert_eq!(kinds("(1,\n## a\n2)").iter().filter(|kind| **kind == Kind::Doc).count(), 0);
    }
}
