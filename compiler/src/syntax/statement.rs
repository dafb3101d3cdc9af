//! The statements of a body.

use nom::Parser as _;
use nom::combinator::opt;

use crate::syntax::ast::{Body, Expr, Name, Statement, StatementKind, Target};
use crate::syntax::expression::expression;
use crate::syntax::habit;
use crate::syntax::parser::{Parsed, Tokens, lines, must, name, token};
use crate::syntax::stage::chain;
use crate::syntax::token::Kind;
use crate::syntax::types::{annotation, attributes};

/// `{ statement SEP statement }`
pub(super) fn body(input: Tokens<'_>) -> Parsed<'_, Body> {
    let (rest, statements) = lines(statement)(input)?;
    Ok((rest, Body { statements, span: rest.span_since(input) }))
}

/// The doc comments before an item, a statement or a setting.
pub(super) fn docs(mut input: Tokens<'_>) -> (Tokens<'_>, Vec<String>) {
    let mut out = Vec::new();
    while input.kind() == Kind::Doc {
        out.push(input.peek(0).text.trim_start_matches('#').trim().to_owned());
        input = input.skip(1);
        while input.kind() == Kind::Separator {
            input = input.skip(1);
        }
    }
    (input, out)
}

fn statement(input: Tokens<'_>) -> Parsed<'_, Statement> {
    let (rest, docs) = docs(input);
    let (start, attributes) = attributes(rest)?;
    let (rest, kind) = match start.kind() {
        Kind::Layer => layer(start.skip(1))?,
        Kind::Weight => weight(start.skip(1))?,
        Kind::State => state(start.skip(1))?,
        Kind::Grad => grad(start.skip(1))?,
        _ if habit::begins_statement(start) => return start.wants("a layer name"),
        _ => bind_or_value(start)?,
    };
    Ok((rest, Statement { docs, attributes, kind, span: rest.span_since(start) }))
}

fn layer(input: Tokens<'_>) -> Parsed<'_, StatementKind> {
    let (rest, name) = must(name)(input)?;
    let (rest, _) = must(token(Kind::Assign))(rest)?;
    let (rest, chain) = must(chain)(rest)?;
    Ok((rest, StatementKind::Layer { name, chain }))
}

fn weight(input: Tokens<'_>) -> Parsed<'_, StatementKind> {
    let (rest, name) = must(name)(input)?;
    let (rest, ty) = must(annotation)(rest)?;
    let (rest, init) = opt(assigned).parse_complete(rest)?;
    Ok((rest, StatementKind::Weight { name, ty, init }))
}

fn state(input: Tokens<'_>) -> Parsed<'_, StatementKind> {
    let (rest, name) = must(name)(input)?;
    let (rest, ty) = opt(annotation).parse_complete(rest)?;
    let (rest, init) = opt(assigned).parse_complete(rest)?;
    Ok((rest, StatementKind::State { name, ty, init }))
}

fn grad(input: Tokens<'_>) -> Parsed<'_, StatementKind> {
    let (rest, name) = must(name)(input)?;
    let (rest, value) = must(assigned)(rest)?;
    Ok((rest, StatementKind::Grad { name, value }))
}

/// `= value`
fn assigned(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, _) = token(Kind::Assign)(input)?;
    must(expression)(rest)
}

fn bind_or_value(input: Tokens<'_>) -> Parsed<'_, StatementKind> {
    if let (rest, Some(targets)) = opt(targets).parse_complete(input)? {
        let (rest, values) = values(rest)?;
        return Ok((rest, StatementKind::Bind { targets, values }));
    }
    let (rest, values) = values(input)?;
    Ok((rest, StatementKind::Value(values)))
}

/// `target, target =`
fn targets(input: Tokens<'_>) -> Parsed<'_, Vec<Target>> {
    let mut out = Vec::new();
    let mut rest = input;
    loop {
        let (after, name): (Tokens<'_>, Name) = name(rest)?;
        let (after, ty) = opt(annotation).parse_complete(after)?;
        out.push(Target { name, ty });
        if after.kind() != Kind::Comma {
            let (rest, _) = token(Kind::Assign)(after)?;
            return Ok((rest, out));
        }
        rest = after.skip(1);
    }
}

/// `value, value`
fn values(input: Tokens<'_>) -> Parsed<'_, Vec<Expr>> {
    let (mut rest, first) = must(expression)(input)?;
    let mut out = vec![first];
    while rest.kind() == Kind::Comma {
        let (after, value) = must(expression)(rest.skip(1))?;
        out.push(value);
        rest = after;
    }
    Ok((rest, out))
}
