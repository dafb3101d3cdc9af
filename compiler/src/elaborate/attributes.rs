//! Attributes: which mean something before what, and what each takes.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::bundle::Bundle;
use crate::elaborate::lint::statements;
use crate::source::Span;
use crate::syntax::ast::{
    Attribute, Definition, DefinitionKind, ExprKind, Item, ItemKind, Statement, StatementKind,
};

/// The attributes, and before what they mean something.
const ATTRIBUTES: [(&str, &[&str]); 8] = [
    ("init", &["`model`", "`block`"]),
    ("training", &["output of a `model`"]),
    ("name", &["`weight`", "`state` of a model or block"]),
    ("shape", &["parameter of a `fn` or `block`"]),
    ("inline", &["`block`"]),
    ("private", &["`fn`", "`block`", "`const`", "`optimizer`"]),
    ("host", &["`fn`"]),
    ("precision", &["`model`", "`block`", "`layer`", "binding"]),
];

/// What `@precision` takes.
const PRECISIONS: [&str; 3] = ["f32", "f16", "mixed"];

/// Whether these attributes say `@precision(f32)`.
pub(super) fn is_wide(attributes: &[Attribute]) -> bool {
    let precision = attributes.iter().filter(|attribute| attribute.name.text == "precision");
    let mut given = precision.filter_map(|attribute| attribute.arguments.first());
    given.any(|one| matches!(&one.value.kind, ExprKind::Name(name) if name == "f32"))
}

/// What attributes stand before.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// In words: `` `weight` ``.
    noun: &'static str,
    /// The declaration, where it is a statement.
    statement: Option<&'a Statement>,
}

/// Attributes of the files of `bundle` that do not exist, mean nothing where they stand, or take something else.
pub(super) fn misused_attributes(bundle: &Bundle) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for item in bundle.own_items() {
        judge(bundle, &item.attributes, Place { noun: item_noun(item), statement: None }, &mut out);
        let ItemKind::Definition(definition) = &item.kind else { continue };
        let (parameter, output) = border_nouns(definition.kind);
        for one in &definition.parameters {
            judge(bundle, &one.attributes, Place { noun: parameter, statement: None }, &mut out);
        }
        for one in &definition.outputs {
            judge(bundle, &one.attributes, Place { noun: output, statement: None }, &mut out);
        }
        for statement in statements(&definition.body) {
            let noun = statement_noun(statement, definition);
            judge(bundle, &statement.attributes, Place { noun, statement: Some(statement) }, &mut out);
        }
    }
    out
}

fn item_noun(item: &Item) -> &'static str {
    match &item.kind {
        ItemKind::Use(_) => "`use`",
        ItemKind::Const(_) => "`const`",
        ItemKind::Data(_) => "`data`",
        ItemKind::Train(_) => "`train`",
        ItemKind::Definition(one) => match one.kind {
            DefinitionKind::Fn => "`fn`",
            DefinitionKind::Block => "`block`",
            DefinitionKind::Model => "`model`",
            DefinitionKind::Optimizer => "`optimizer`",
        },
    }
}

/// What a parameter and an output of a definition are called.
fn border_nouns(kind: DefinitionKind) -> (&'static str, &'static str) {
    match kind {
        DefinitionKind::Fn | DefinitionKind::Block => {
            ("parameter of a `fn` or `block`", "output of a `fn` or `block`")
        }
        DefinitionKind::Model => ("input of a `model`", "output of a `model`"),
        DefinitionKind::Optimizer => ("parameter of an `optimizer`", "output of an `optimizer`"),
    }
}

fn statement_noun(statement: &Statement, definition: &Definition) -> &'static str {
    match &statement.kind {
        StatementKind::Layer { .. } => "`layer`",
        StatementKind::Weight { .. } => "`weight`",
        StatementKind::State { .. } if definition.kind == DefinitionKind::Optimizer => {
            "`state` of an optimizer"
        }
        StatementKind::State { .. } => "`state` of a model or block",
        StatementKind::Grad { .. } => "`grad`",
        StatementKind::Bind { .. } => "binding",
        StatementKind::Value(_) => "value",
    }
}

/// Holds the attributes before one thing against what they are.
fn judge(bundle: &Bundle, attributes: &[Attribute], place: Place<'_>, out: &mut Vec<Diagnostic>) {
    let mut known: BTreeMap<&str, Span> = BTreeMap::new();
    for attribute in attributes {
        let name = attribute.name.text.as_str();
        let Some((_, places)) = ATTRIBUTES.iter().find(|(known, _)| *known == name) else {
            let names = ATTRIBUTES.iter().map(|(name, _)| *name);
            let diagnostic =
                Diagnostic::error("E0201", format!("unknown attribute `@{name}`"), attribute.name.span);
            out.push(diagnostic.fact("not found").help_maybe(did_you_mean(name, names)));
            continue;
        };
        if !places.contains(&place.noun) {
            let message = format!("`@{name}` means nothing before {} {}", article(place.noun), place.noun);
            let takes: Vec<String> = places.iter().map(|one| format!("{} {one}", article(one))).collect();
            let diagnostic = Diagnostic::error("E0204", message, attribute.span)
                .fact(format!("it stands before {}", takes.join(" or ")));
            out.push(diagnostic.help(instead(bundle, attribute, place)));
            continue;
        }
        if let Some(before) = known.insert(name, attribute.span) {
            let diagnostic = Diagnostic::error("E0212", format!("`@{name}` is given twice"), attribute.span);
            out.push(diagnostic.fact("again here").label(before, "here first").help("keep one of them"));
            continue;
        }
        out.extend(arguments(attribute));
    }
}

/// `an` before a vowel.
fn article(noun: &str) -> &'static str {
    let vowel = noun.trim_start_matches('`').starts_with(['a', 'e', 'i', 'o', 'u']) && noun != "`use`";
    if vowel { "an" } else { "a" }
}

/// What to write in place of an attribute that means nothing before `place`.
fn instead(bundle: &Bundle, attribute: &Attribute, place: Place<'_>) -> String {
    let text = |span| bundle.sources().slice(span);
    let first = attribute.arguments.first().map(|one| text(one.value.span));
    match (attribute.name.text.as_str(), place.statement.map(|one| &one.kind)) {
        ("init", Some(StatementKind::Weight { name, ty, .. })) => {
            format!("how a weight begins stands behind it: `weight {}: {} = {}`", name.text, text(ty.span), first.unwrap_or("he"))
        }
        ("init", Some(StatementKind::State { name, ty: Some(ty), .. })) => {
            format!("how a state begins stands behind it: `state {}: {} = {}`", name.text, text(ty.span), first.unwrap_or("zeros"))
        }
        ("training", _) => {
            "an output for losses alone is marked in the signature: `-> (y: f32[N, 3], @training side: f32[N, 3])`"
                .to_owned()
        }
        ("name", Some(StatementKind::Layer { .. })) => {
            "the weights of a layer are named by the layer: choose its name".to_owned()
        }
        ("name", Some(StatementKind::Bind { .. } | StatementKind::Value(_))) => {
            "the weights of a stage are named by a label: `x -> linear(8) as stem`".to_owned()
        }
        ("inline", _) if place.noun == "`fn`" => "a `fn` owns no weights that a scope could name: leave it out".to_owned(),
        _ => "leave it out".to_owned(),
    }
}

/// What is wrong with the arguments of an attribute in its place.
fn arguments(attribute: &Attribute) -> Option<Diagnostic> {
    let name = attribute.name.text.as_str();
    let given = attribute.arguments.as_slice();
    let (most, such) = match name {
        "init" => (1, "such as `@init(he)`"),
        "name" => (1, "such as `@name(\"gain\")`"),
        "shape" => (1, "such as `@shape(\"[N, C]\")`"),
        "precision" => (1, "such as `@precision(f32)`"),
        _ => (0, ""),
    };
    if let Some(further) = given.get(most) {
        let takes = if most == 0 { "no argument" } else { "one argument" };
        let message = format!("`@{name}` takes {takes}");
        let help = if most == 0 { format!("write `@{name}`") } else { "keep one of them".to_owned() };
        return Some(Diagnostic::error("E0202", message, further.span).fact("one too many").help(help));
    }
    match (name, given.first().map(|one| (&one.value.kind, one.span))) {
        ("precision", Some((ExprKind::Name(one), _))) if PRECISIONS.contains(&one.as_str()) => None,
        ("precision", found) => {
            let span = found.map_or(attribute.span, |(_, span)| span);
            let help = format!("write one of {}", PRECISIONS.join(", "));
            let diagnostic = Diagnostic::error("E0204", "`@precision` takes a precision", span);
            Some(diagnostic.fact("this is none").help(help))
        }
        ("init", None) => {
            Some(Diagnostic::error("E0203", "`@init` needs an init", attribute.span).fact(such))
        }
        ("name" | "shape", None) => {
            Some(Diagnostic::error("E0203", format!("`@{name}` needs a text"), attribute.span).fact(such))
        }
        ("name", Some((ExprKind::Text(text), span))) if !is_path(text) => {
            let diagnostic = Diagnostic::error("E0204", "`@name` takes the name of a weight in files", span);
            Some(diagnostic.fact("letters, digits, `_` and `-`, and `.` between them").help(such))
        }
        ("shape", Some((ExprKind::Text(text), _))) if are_patterns(text) => None,
        ("shape", Some((_, span))) => {
            let diagnostic = Diagnostic::error("E0204", "`@shape` takes patterns of dims", span);
            Some(diagnostic.fact("this is none").help("such as `@shape(\"[N, C, W] or [N, C, H, W]\")`"))
        }
        _ => None,
    }
}

/// Whether `text` can name a weight in a file: `scale.0`.
fn is_path(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|one| one.is_alphanumeric() || matches!(one, '_' | '-'))
    };
    text.split('.').all(part)
}

/// Whether `text` is patterns such as `[N, C] or [N, C, W]`.
fn are_patterns(text: &str) -> bool {
    let mut between = String::new();
    let mut rest = text;
    let mut count = 0;
    while let Some((before, behind)) = rest.split_once('[') {
        let Some((dims, behind)) = behind.split_once(']') else { return false };
        if dims.split(',').any(|dim| dim.trim().is_empty() || dim.contains('[')) {
            return false;
        }
        between.push_str(before);
        rest = behind;
        count += 1;
    }
    between.push_str(rest);
    let words: Vec<&str> = between.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    count > 0 && words.iter().all(|word| *word == "or")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_lists_of_dims_in_brackets() {
        for text in ["[N, C]", "[N, C, W] or [N, C, H, W]", "[N, C, W], [N, C, H, W] or [N, C, D, H, W]"] {
            assert!(are_patterns(text), "{text}");
        }
        for text in ["", "x", "[N", "[]", "[N,]", "[N] and [N, C]", "N, C", "[[N]]"] {
            assert!(!are_patterns(text), "{text}");
        }
    }

    #[test]
    fn names_in_files_are_words_between_points() {
        assert!(["weight", "scale.0", "a-b.c_d"].iter().all(|text| is_path(text)));
        assert!(["", "a b", "a/b", "c..d", ".a", "a."].iter().all(|text| !is_path(text)));
    }
}
