//! The items of a file.

use nom::Parser as _;
use nom::combinator::opt;

use crate::syntax::ast::{
    Body, Const, Data, Definition, DefinitionKind, Expr, Item, ItemKind, Statement, StatementKind, Train, Use,
};
use crate::syntax::expression::{condition, expression};
use crate::syntax::parser::{Failure, Parsed, Tokens, failure, listed, must, name, text, token, word};
use crate::syntax::setting::settings;
use crate::syntax::statement::{body, docs};
use crate::syntax::token::Kind;
use crate::syntax::types::{annotation, attributes, outputs, parameter};

const ITEM_WORDS: [&str; 8] = ["use", "const", "fn", "block", "model", "optimizer", "data", "train"];

/// All items of a text; one that cannot be read is reported and left out.
pub(super) fn file(mut input: Tokens<'_>) -> Vec<Item> {
    let mut out = Vec::new();
    loop {
        while input.kind() == Kind::Separator {
            input = input.skip(1);
        }
        if input.kind() == Kind::End {
            return out;
        }
        let read = item(input).and_then(|(rest, item)| match rest.kind() {
            Kind::Separator | Kind::End => Ok((rest, item)),
            _ => Err(nom::Err::Failure(Failure { place: rest.place(), wanted: vec!["the end of the item"] })),
        });
        match read {
            Ok((rest, item)) => {
                out.extend(item);
                input = rest;
            }
            Err(error) => {
                let failure = failure(error);
                input.report(failure.clone());
                input = next_item(input, failure.place);
            }
        }
    }
}

/// The first place after the line of `from` where an item begins.
fn next_item(input: Tokens<'_>, from: usize) -> Tokens<'_> {
    let mut rest = input.recover(from);
    loop {
        match rest.kind() {
            Kind::End => return rest,
            Kind::Separator => {
                let next = rest.skip(1);
                let begins = ITEM_WORDS.iter().any(|word| next.at_word(word));
                if begins || matches!(next.kind(), Kind::At | Kind::Doc | Kind::End) {
                    return next;
                }
                rest = if next.kind() == Kind::Separator { next } else { next.recover(next.place()) };
            }
            _ => rest = rest.skip(1),
        }
    }
}

/// One item; `None` for doc comments at the end of the text.
fn item(input: Tokens<'_>) -> Parsed<'_, Option<Item>> {
    let (rest, docs) = docs(input);
    if rest.kind() == Kind::End && !docs.is_empty() {
        return Ok((rest, None));
    }
    let (start, attributes) = attributes(rest)?;
    let Some(found) = ITEM_WORDS.iter().find(|word| start.at_word(word)) else {
        return start.wants("an item");
    };
    let rest = start.skip(1);
    let (rest, mut kind) = match *found {
        "use" => import(rest)?,
        "const" => constant(rest)?,
        "fn" => definition(DefinitionKind::Fn, rest)?,
        "block" => definition(DefinitionKind::Block, rest)?,
        "model" => definition(DefinitionKind::Model, rest)?,
        "optimizer" => definition(DefinitionKind::Optimizer, rest)?,
        "data" => {
            let (rest, name) = must(name)(rest)?;
            let (rest, settings) = must(settings)(rest)?;
            (rest, ItemKind::Data(Data { name, settings }))
        }
        _ => train(rest)?,
    };
    if let ItemKind::Definition(definition) = &mut kind {
        definition.attributes.clone_from(&attributes);
    }
    Ok((rest, Some(Item { docs, attributes, kind, span: rest.span_since(start) })))
}

fn import(input: Tokens<'_>) -> Parsed<'_, ItemKind> {
    let (rest, path) = must(text)(input)?;
    let path_span = input.peek(0).span;
    let (rest, prefix) = opt(|input| {
        let (rest, _) = token(Kind::As)(input)?;
        must(name)(rest)
    })
    .parse_complete(rest)?;
    Ok((rest, ItemKind::Use(Use { path, path_span, prefix })))
}

fn constant(input: Tokens<'_>) -> Parsed<'_, ItemKind> {
    let (rest, name) = must(name)(input)?;
    let (rest, ty) = opt(annotation).parse_complete(rest)?;
    let (rest, _) = must(token(Kind::Assign))(rest)?;
    let (rest, value) = must(expression)(rest)?;
    Ok((rest, ItemKind::Const(Const { name, ty, value })))
}

fn train(input: Tokens<'_>) -> Parsed<'_, ItemKind> {
    let (rest, model) = must(name)(input)?;
    let (rest, data) = opt(|input| {
        let (rest, ()) = word("on", "`on`")(input)?;
        must(name)(rest)
    })
    .parse_complete(rest)?;
    let (rest, settings) = must(settings)(rest)?;
    Ok((rest, ItemKind::Train(Train { model, data, settings })))
}

fn definition(kind: DefinitionKind, input: Tokens<'_>) -> Parsed<'_, ItemKind> {
    let (rest, name) = must(name)(input)?;
    let (rest, parameters) = must(listed(Kind::OpenParen, Kind::CloseParen, parameter))(rest)?;
    let (rest, outputs) =
        if rest.kind() == Kind::Arrow { must(outputs)(rest.skip(1))? } else { (rest, Vec::new()) };
    let (rest, conditions) =
        if rest.kind() == Kind::Where { conditions(rest.skip(1))? } else { (rest, Vec::new()) };
    let (rest, body) = match rest.kind() {
        Kind::Assign => {
            let (rest, value) = must(expression)(rest.skip(1))?;
            (rest, body_of(value))
        }
        Kind::OpenBrace => body(rest)?,
        _ => {
            let wanted = vec!["`{`", "`=`"];
            return Err(nom::Err::Failure(Failure { place: rest.place(), wanted }));
        }
    };
    let attributes = Vec::new();
    let definition = Definition { attributes, kind, name, parameters, outputs, conditions, body };
    Ok((rest, ItemKind::Definition(definition)))
}

fn conditions(input: Tokens<'_>) -> Parsed<'_, Vec<Expr>> {
    let (mut rest, first) = must(condition)(input)?;
    let mut out = vec![first];
    while rest.kind() == Kind::Comma {
        let (after, next) = must(condition)(rest.skip(1))?;
        out.push(next);
        rest = after;
    }
    Ok((rest, out))
}

/// The body that is one value.
fn body_of(value: Expr) -> Body {
    let span = value.span;
    let kind = StatementKind::Value(vec![value]);
    Body { statements: vec![Statement { docs: Vec::new(), attributes: Vec::new(), kind, span }], span }
}
