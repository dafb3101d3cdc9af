//! What stands after an arrow, and chains of it.

use nom::Parser as _;
use nom::branch::alt;
use nom::combinator::opt;

use crate::syntax::ast::{Argument, Chain, Name, Stage, StageKind};
use crate::syntax::expression::{arguments, condition, label};
use crate::syntax::parser::{Parsed, Tokens, lines, must, name, name_as, token};
use crate::syntax::token::Kind;
use crate::syntax::types::annotation;

/// `-> stage` any number of times.
pub(super) fn stages(mut input: Tokens<'_>) -> Parsed<'_, Vec<Stage>> {
    let mut out = Vec::new();
    while input.kind() == Kind::Arrow {
        let (rest, stage) = must(stage)(input.skip(1))?;
        out.push(stage);
        input = rest;
    }
    Ok((input, out))
}

/// `stage -> stage`
pub(super) fn chain(input: Tokens<'_>) -> Parsed<'_, Chain> {
    let (rest, first) = stage(input)?;
    let (rest, more) = stages(rest)?;
    let stages = std::iter::once(first).chain(more).collect();
    Ok((rest, Chain { stages, span: rest.span_since(input) }))
}

/// `operation as label: type`
pub(super) fn stage(input: Tokens<'_>) -> Parsed<'_, Stage> {
    let (rest, kind) = alt((call, repeat, choice)).parse_complete(input)?;
    let span = rest.span_since(input);
    let (rest, label) = opt(label).parse_complete(rest)?;
    let (rest, ty) = opt(annotation).parse_complete(rest)?;
    Ok((rest, Stage { kind, label, ty, span }))
}

/// `repeat i in count { chain }`
fn repeat(input: Tokens<'_>) -> Parsed<'_, StageKind> {
    let (rest, _) = token(Kind::Repeat)(input)?;
    let named = rest.kind() == Kind::Name && rest.peek(1).kind == Kind::In;
    let (rest, variable): (Tokens<'_>, Option<Name>) = if named {
        let (rest, name) = name(rest)?;
        (rest.skip(1), Some(name))
    } else {
        (rest, None)
    };
    let (rest, count) = must(condition)(rest)?;
    let (rest, chain) = must(braced)(rest)?;
    Ok((rest, StageKind::Repeat { variable, count, chain }))
}

/// `if condition { chain } else { chain }`
fn choice(input: Tokens<'_>) -> Parsed<'_, StageKind> {
    let (rest, _) = token(Kind::If)(input)?;
    let (rest, condition) = must(condition)(rest)?;
    let (rest, then) = must(braced)(rest)?;
    let (rest, otherwise) = if rest.kind() == Kind::Else {
        let (rest, chain) = rest.skip(1).deeper(|input| must(alternative)(input))?;
        (rest, Some(chain))
    } else {
        (rest, None)
    };
    Ok((rest, StageKind::If { condition, then, otherwise }))
}

fn alternative(input: Tokens<'_>) -> Parsed<'_, Chain> {
    if input.kind() == Kind::OpenBrace {
        return braced(input);
    }
    let (rest, kind) = alt((call, repeat, choice)).parse_complete(input)?;
    let span = rest.span_since(input);
    Ok((rest, Chain { stages: vec![Stage { kind, label: None, ty: None, span }], span }))
}

/// `{ chain }`
fn braced(input: Tokens<'_>) -> Parsed<'_, Chain> {
    let (mut rest, _) = token(Kind::OpenBrace)(input)?;
    while rest.kind() == Kind::Separator {
        rest = rest.skip(1);
    }
    let (mut rest, chain) = must(chain)(rest)?;
    while rest.kind() == Kind::Separator {
        rest = rest.skip(1);
    }
    let (rest, _) = must(token(Kind::CloseBrace))(rest)?;
    Ok((rest, chain))
}

/// `prefix.name(arguments) { chain; chain }`
fn call(input: Tokens<'_>) -> Parsed<'_, StageKind> {
    let (mut rest, first) = name_as("a layer name")(input)?;
    let mut path = vec![first];
    while rest.kind() == Kind::Dot {
        let (after, next) = must(name)(rest.skip(1))?;
        path.push(next);
        rest = after;
    }
    let (rest, arguments): (Tokens<'_>, Option<Vec<Argument>>) = opt(arguments).parse_complete(rest)?;
    let (rest, branches) = opt(lines(chain)).parse_complete(rest)?;
    Ok((rest, StageKind::Call { path, arguments, branches }))
}
