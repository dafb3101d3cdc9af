//! Types, parameters, outputs and attributes.

use nom::combinator::opt;
use nom::{Parser as _, branch::alt};

use crate::syntax::ast::{Argument, Attribute, Dim, Name, Output, Parameter, Type};
use crate::syntax::expression::{arguments, expression, range, sum};
use crate::syntax::parser::{Parsed, Tokens, listed, must, name, name_as, token};
use crate::syntax::token::Kind;

/// `f32[N, 3] in 0..10`
pub(super) fn ty(input: Tokens<'_>) -> Parsed<'_, Type> {
    let (rest, name) = name_as("a type")(input)?;
    let (rest, dims) = opt(listed(Kind::OpenBracket, Kind::CloseBracket, dim)).parse_complete(rest)?;
    let (rest, range) = opt(|input| {
        let (rest, _) = token(Kind::In)(input)?;
        must(range)(rest)
    })
    .parse_complete(rest)?;
    Ok((rest, Type { name, dims, range, span: rest.span_since(input) }))
}

fn dim(input: Tokens<'_>) -> Parsed<'_, Dim> {
    let rest_of_dims = |input| {
        let (rest, dots) = token(Kind::Range)(input)?;
        Ok((rest, Dim::Rest(dots.span)))
    };
    alt((rest_of_dims, |input| sum(input).map(|(rest, value)| (rest, Dim::One(value))))).parse_complete(input)
}

/// `: type`
pub(super) fn annotation(input: Tokens<'_>) -> Parsed<'_, Type> {
    let (rest, _) = token(Kind::Colon)(input)?;
    must(ty)(rest)
}

/// `@name(arguments)` any number of times, each on its own line or not.
pub(super) fn attributes(mut input: Tokens<'_>) -> Parsed<'_, Vec<Attribute>> {
    let mut out = Vec::new();
    while input.kind() == Kind::At {
        let (rest, attribute) = attribute(input)?;
        out.push(attribute);
        input = rest;
        while input.kind() == Kind::Separator {
            input = input.skip(1);
        }
    }
    Ok((input, out))
}

fn attribute(input: Tokens<'_>) -> Parsed<'_, Attribute> {
    let (rest, _) = token(Kind::At)(input)?;
    let (rest, name) = must(name_as("the name of an attribute"))(rest)?;
    let (rest, given) = opt(arguments).parse_complete(rest)?;
    let given: Option<Vec<Argument>> = given;
    Ok((rest, Attribute { name, arguments: given.unwrap_or_default(), span: rest.span_since(input) }))
}

/// `@attribute name: type = default`
pub(super) fn parameter(input: Tokens<'_>) -> Parsed<'_, Parameter> {
    let (rest, attributes) = attributes(input)?;
    let (rest, name) = name_as("a parameter")(rest)?;
    let (rest, ty) = opt(annotation).parse_complete(rest)?;
    let (rest, default) = opt(|input| {
        let (rest, _) = token(Kind::Assign)(input)?;
        must(expression)(rest)
    })
    .parse_complete(rest)?;
    Ok((rest, Parameter { attributes, name, ty, default }))
}

/// `output: type` or `(a: type, b: type)`
pub(super) fn outputs(input: Tokens<'_>) -> Parsed<'_, Vec<Output>> {
    if input.kind() == Kind::OpenParen {
        return listed(Kind::OpenParen, Kind::CloseParen, output)(input);
    }
    let (rest, one) = output(input)?;
    Ok((rest, vec![one]))
}

fn output(input: Tokens<'_>) -> Parsed<'_, Output> {
    let (rest, attributes) = attributes(input)?;
    let named = rest.kind() == Kind::Name && rest.peek(1).kind == Kind::Colon;
    let (rest, name): (Tokens<'_>, Option<Name>) = if named {
        let (rest, name) = name(rest)?;
        (rest.skip(1), Some(name))
    } else {
        (rest, None)
    };
    let (rest, ty) = must(ty)(rest)?;
    Ok((rest, Output { attributes, name, ty }))
}
