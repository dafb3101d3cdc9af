//! The entries of `data` and `train`.

use crate::syntax::ast::{Name, Setting, SettingKind, Settings};
use crate::syntax::expression::expression;
use crate::syntax::parser::{Failure, Parsed, Tokens, lines, must, name, name_as, text, token};
use crate::syntax::statement::docs;
use crate::syntax::token::Kind;
use crate::syntax::types::ty;

/// `{ setting SEP setting }`
pub(super) fn settings(input: Tokens<'_>) -> Parsed<'_, Settings> {
    let (rest, entries) = lines(setting)(input)?;
    Ok((rest, Settings { entries, span: rest.span_since(input) }))
}

fn setting(input: Tokens<'_>) -> Parsed<'_, Setting> {
    let (start, docs) = docs(input);
    let (rest, first) = name_as("a setting")(start)?;
    let (rest, kind) = match rest.kind() {
        Kind::Colon => {
            let (rest, ty) = must(ty)(rest.skip(1))?;
            (rest, SettingKind::Field { name: first, ty })
        }
        Kind::Name if rest.peek(1).kind == Kind::OpenBrace => {
            let (rest, subject) = name(rest)?;
            let (rest, settings) = must(settings)(rest)?;
            (rest, SettingKind::Group { name: first, subject: Some(subject), settings })
        }
        Kind::Text if rest.peek(1).kind == Kind::OpenBrace => {
            let (after, written) = text(rest)?;
            let subject = Name { text: written, span: after.span_since(rest) };
            let (rest, settings) = must(settings)(after)?;
            (rest, SettingKind::Group { name: first, subject: Some(subject), settings })
        }
        Kind::OpenBrace => {
            let (rest, settings) = must(settings)(rest)?;
            (rest, SettingKind::Group { name: first, subject: None, settings })
        }
        Kind::Assign | Kind::Comma => {
            let mut names = vec![first];
            let mut rest = rest;
            while rest.kind() == Kind::Comma {
                let (after, next) = must(name)(rest.skip(1))?;
                names.push(next);
                rest = after;
            }
            let (rest, _) = must(token(Kind::Assign))(rest)?;
            let (rest, value) = must(expression)(rest)?;
            (rest, SettingKind::Value { names, value })
        }
        _ => {
            let wanted = vec!["`=`", "`:`", "`{`"];
            return Err(nom::Err::Failure(Failure { place: rest.place(), wanted }));
        }
    };
    Ok((rest, Setting { docs, kind, span: rest.span_since(start) }))
}
