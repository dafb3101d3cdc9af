//! Which two neighbours have a space between them.

use crate::format::words::{Word, ends_value};
use crate::syntax::token::Kind;

/// What a bracket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    /// The parameters or outputs of a definition, or values in parentheses: `k = 2`.
    Parameters,
    /// The arguments of a call: `k=2`.
    Arguments,
    /// The places between `[` and `]` behind a value: `0:2`.
    Index,
    /// A list.
    List,
    /// A body.
    Braces,
}

/// Decides for every word whether a space stands before it, and whether it is an operator of two values.
pub(super) fn settle(words: &mut [Word<'_>]) {
    let mut open: Vec<Inside> = Vec::new();
    let mut before = Before::default();
    for word in words.iter_mut() {
        let Some(kind) = word.kind else {
            word.space = true;
            continue;
        };
        if word.ends_statement_before {
            before = Before { words: 0, ..Before::default() };
        }
        let value = before.value();
        let inside = open.last().copied();
        word.space = space(before, kind, inside);
        word.infix = infix(kind) && value;
        match kind {
            Kind::OpenParen if value && !(open.is_empty() && before.defines) => open.push(Inside::Arguments),
            Kind::OpenParen if before.attribute => open.push(Inside::Arguments),
            Kind::OpenParen => open.push(Inside::Parameters),
            Kind::OpenBracket => open.push(if value { Inside::Index } else { Inside::List }),
            Kind::OpenBrace => open.push(Inside::Braces),
            Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace => {
                open.pop();
            }
            _ => {}
        }
        let defines = match before.words {
            0 => matches!(word.text, "fn" | "block" | "model" | "optimizer"),
            count => before.defines && count < 2,
        };
        before = Before {
            kind: Some(kind),
            prefix: !word.infix && matches!(kind, Kind::Minus),
            attribute: (kind == Kind::At && !value)
                || (before.attribute && kind == Kind::Name && before.at()),
            attribute_ended: word.closes_attribute,
            words: if word.closes_attribute { 0 } else { before.words + 1 },
            defines,
        };
    }
}

/// What stands before a word.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    kind: Option<Kind>,
    /// A minus of one value.
    prefix: bool,
    /// The `@` or the name of an attribute.
    attribute: bool,
    attribute_ended: bool,
    /// Words since the statement began, attributes apart.
    words: usize,
    /// Whether the statement is a definition whose parameters are still to come.
    defines: bool,
}

impl Before {
    /// Whether a value has ended.
    fn value(self) -> bool {
        !self.attribute_ended && self.kind.is_some_and(ends_value)
    }

    fn at(self) -> bool {
        self.kind == Some(Kind::At)
    }
}

fn space(before: Before, next: Kind, inside: Option<Inside>) -> bool {
    let Some(last) = before.kind else { return true };
    let tight_equals = inside == Some(Inside::Arguments);
    let tight_colon = inside == Some(Inside::Index);
    match (last, next) {
        (Kind::Comma, Kind::Colon) => true,
        (_, Kind::Comma | Kind::CloseParen | Kind::CloseBracket | Kind::Dot)
        | (Kind::OpenParen | Kind::OpenBracket | Kind::Dot, _)
        | (Kind::OpenBrace, Kind::CloseBrace)
        | (_, Kind::Colon) => false,
        (Kind::At, _) if before.attribute => false,
        (_, Kind::OpenParen) if before.attribute => false,
        _ if before.prefix => false,
        (Kind::Colon, _) => !tight_colon,
        (Kind::Assign, _) | (_, Kind::Assign) => !tight_equals,
        (_, Kind::OpenParen | Kind::OpenBracket | Kind::Range) => !before.value(),
        (Kind::Range, _) => false,
        _ => true,
    }
}

/// Whether a line may break behind a token of kind `kind` that has a value on either side.
fn infix(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Or
            | Kind::And
            | Kind::Equal
            | Kind::Unequal
            | Kind::AtMost
            | Kind::AtLeast
            | Kind::Less
            | Kind::Greater
            | Kind::Plus
            | Kind::Minus
            | Kind::Times
            | Kind::Divide
            | Kind::FloorDivide
            | Kind::Remainder
            | Kind::At
            | Kind::Power
    )
}
