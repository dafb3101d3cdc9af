//! Tokens and syntax trees as text for people, one entry a line.

use std::fmt::Write as _;

use crate::source::Source;
use crate::syntax::ast::{File, Item, ItemKind, Setting, SettingKind, Settings, Statement, StatementKind};
use crate::syntax::token::Token;

/// Every token with its line and column.
#[must_use]
pub fn dump_tokens(tokens: &[Token], source: &Source) -> String {
    let mut out = String::new();
    for token in tokens {
        let (line, column) = source.position(token.span.start);
        let _ = writeln!(out, "{line}:{column} {:?} {:?}", token.kind, token.text);
    }
    out
}

/// The tree of a file: items, their statements and settings, the text of each on one line.
#[must_use]
pub fn dump_file(file: &File, source: &Source) -> String {
    let mut out = String::new();
    for item in &file.items {
        dump_item(&mut out, item, source);
    }
    out
}

fn dump_item(out: &mut String, item: &Item, source: &Source) {
    let (line, _) = source.position(item.span.start);
    for attribute in &item.attributes {
        let _ = writeln!(out, "{}", flat(source.slice(attribute.span)));
    }
    match &item.kind {
        ItemKind::Use(one) => {
            let _ = writeln!(out, "use {:?} (line {line})", one.path);
        }
        ItemKind::Const(one) => {
            let value = flat(source.slice(one.value.span));
            let _ = writeln!(out, "const {} (line {line})\n  value {value}", one.name.text);
        }
        ItemKind::Definition(one) => {
            let _ = writeln!(out, "{} {} (line {line})", one.kind.word(), one.name.text);
            for parameter in &one.parameters {
                let ty = parameter.ty.as_ref().map_or(String::new(), |ty| flat(source.slice(ty.span)));
                let default = parameter.default.as_ref().map(|value| flat(source.slice(value.span)));
                let default = default.map_or(String::new(), |value| format!(" = {value}"));
                let colon = if ty.is_empty() { "" } else { ": " };
                let _ = writeln!(out, "  parameter {}{colon}{ty}{default}", parameter.name.text);
            }
            for output in &one.outputs {
                let name = output.name.as_ref().map_or("_", |name| &name.text);
                let _ = writeln!(out, "  output {name}: {}", flat(source.slice(output.ty.span)));
            }
            for condition in &one.conditions {
                let _ = writeln!(out, "  where {}", flat(source.slice(condition.span)));
            }
            for statement in &one.body.statements {
                dump_statement(out, statement, source);
            }
        }
        ItemKind::Data(one) => {
            let _ = writeln!(out, "data {} (line {line})", one.name.text);
            dump_settings(out, &one.settings, source, 1);
        }
        ItemKind::Train(one) => {
            let data = one.data.as_ref().map_or(String::new(), |data| format!(" on {}", data.text));
            let _ = writeln!(out, "train {}{data} (line {line})", one.model.text);
            dump_settings(out, &one.settings, source, 1);
        }
    }
}

fn dump_statement(out: &mut String, statement: &Statement, source: &Source) {
    let kind = match &statement.kind {
        StatementKind::Layer { .. } => "layer",
        StatementKind::Weight { .. } => "weight",
        StatementKind::State { .. } => "state",
        StatementKind::Grad { .. } => "grad",
        StatementKind::Bind { .. } => "bind",
        StatementKind::Value(_) => "value",
    };
    let _ = writeln!(out, "  {kind} {}", flat(source.slice(statement.span)));
}

fn dump_settings(out: &mut String, settings: &Settings, source: &Source, depth: usize) {
    for Setting { kind, span, .. } in &settings.entries {
        let indent = "  ".repeat(depth);
        match kind {
            SettingKind::Value { .. } => {
                let _ = writeln!(out, "{indent}setting {}", flat(source.slice(*span)));
            }
            SettingKind::Field { .. } => {
                let _ = writeln!(out, "{indent}field {}", flat(source.slice(*span)));
            }
            SettingKind::Group { name, subject, settings } => {
                let subject = subject.as_ref().map_or(String::new(), |subject| format!(" {}", subject.text));
                let _ = writeln!(out, "{indent}group {}{subject}", name.text);
                dump_settings(out, settings, source, depth + 1);
            }
        }
    }
}

/// `text` with every run of white space as one space.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
