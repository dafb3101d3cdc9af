//! Syntax errors as sentences, with an answer to habits brought along from other languages.

use crate::diagnostic::Diagnostic;
use crate::syntax::DEEPEST;
use crate::syntax::parser::{Failure, Tokens};
use crate::syntax::token::{Kind, Token};

/// Words that begin a statement elsewhere, and what is written here.
const HABITS: [(&str, &str); 18] = [
    ("return", "there is no `return`: the last line of a body is its value"),
    ("for", "a chain is repeated with `-> repeat i in 0..4 { ... }`"),
    ("while", "a chain is repeated with `-> repeat 4 { ... }`; a walk over time is `scan`"),
    ("def", "a formula is `fn name(x) = ...`, a layer with weights `block name(x: f32[..]) { ... }`"),
    ("class", "a network is `model Name(x: f32[N, 3, 32, 32]) -> y: f32[N, 10] { ... }`"),
    ("import", "the items of another file come with `use \"file.nn\"`"),
    ("from", "the items of another file come with `use \"file.nn\"`"),
    ("include", "the items of another file come with `use \"file.nn\"`"),
    ("let", "a value is bound with `name = ...`"),
    ("var", "a value is bound with `name = ...`"),
    ("elif", "write `else if`"),
    ("lambda", "a formula is `fn name(x) = ...`"),
    ("function", "a formula is `fn name(x) = ...`"),
    ("func", "a formula is `fn name(x) = ...`"),
    ("network", "a network is `model Name(x: f32[N, 3, 32, 32]) -> y: f32[N, 10] { ... }`"),
    ("module", "a layer with weights is `block name(x: f32[..]) { ... }`"),
    ("pass", "a body ends with its value; what changes nothing is `identity`"),
    ("with", "a body needs no `with`"),
];

const CONTINUED: &str =
    "a line goes on where an operator ends it, and a formula in parentheses over any lines";

/// Whether a statement begins with a word of another language, followed by what makes it one.
pub(super) fn begins_statement(input: Tokens<'_>) -> bool {
    let next = input.peek(1).kind;
    let binds = matches!(next, Kind::Assign | Kind::Comma | Kind::Colon | Kind::Arrow | Kind::Dot);
    input.kind() == Kind::Name && !binds && answer(&input.peek(0).text).is_some()
}

fn answer(word: &str) -> Option<&'static str> {
    HABITS.iter().find(|(habit, _)| *habit == word).map(|(_, answer)| *answer)
}

/// The diagnostic of `failure`.
pub(super) fn explain(failure: &Failure, tokens: &[Token]) -> Diagnostic {
    let place = failure.place.min(tokens.len().saturating_sub(1));
    let found = &tokens[place];
    let before = place.checked_sub(1).map(|place| &tokens[place]);
    if failure.wanted.contains(&"less nesting") {
        return Diagnostic::error("E0106", "this is nested too deeply", found.span)
            .note(format!("at most {DEEPEST} brackets, and 256 operators in a row"))
            .help("bind a part of it to a name");
    }
    let message = format!("expected {}, found {}", one_of(&failure.wanted), found.describe());
    let mut diagnostic = Diagnostic::error("E0104", message, found.span);
    if found.kind == Kind::Separator && before.is_some() {
        diagnostic = diagnostic.fact("the line ends here");
    }
    diagnostic.help_maybe(hint(failure, tokens, place))
}

fn hint(failure: &Failure, tokens: &[Token], place: usize) -> Option<String> {
    let found = &tokens[place];
    let before = place.checked_sub(1).map(|place| &tokens[place]);
    let wants = |wanted: &str| failure.wanted.contains(&wanted);
    if found.kind == Kind::Name
        && let Some(answer) = answer(&found.text)
    {
        return Some(answer.to_owned());
    }
    let operator_before = before.filter(|token| {
        matches!(token.kind, Kind::Plus | Kind::Minus | Kind::Times | Kind::Divide | Kind::Power)
    });
    let assigns_field = |token: &Token| token.kind == Kind::Name && token.text == "self";
    let statement = tokens[..place].iter().rev().take_while(|token| token.kind != Kind::Separator);
    let next = tokens.get(place + 1).map(|token| token.kind);
    let begins_line = before.is_none_or(|token| token.kind == Kind::Separator);
    let comment = matches!(next, Some(Kind::Divide | Kind::Times));
    let help = match found.kind {
        Kind::Separator if wants("`{`") && next == Some(Kind::OpenBrace) => {
            "`{` stands on the line of what it belongs to"
        }
        Kind::Plus | Kind::Times | Kind::Power | Kind::Remainder | Kind::And | Kind::Or if begins_line => {
            CONTINUED
        }
        Kind::Divide if begins_line && !comment => CONTINUED,
        Kind::Assign if statement.clone().any(assigns_field) => {
            "there is no `self`: a call owns its weights, and `layer name = ...` shares them"
        }
        Kind::Assign if before.is_some_and(|token| token.kind == Kind::Colon) => "a value is bound with `=`",
        Kind::Greater if before.is_some_and(|token| token.kind == Kind::Assign) => "an arrow is `->`",
        Kind::Assign if tokens.get(place + 1).is_some_and(|token| token.kind == Kind::Greater) => {
            "an arrow is `->`"
        }
        Kind::FloorDivide | Kind::Divide if wants("a value") || wants("a layer name") || wants("an item") => {
            "a comment begins with `#`"
        }
        Kind::Assign if operator_before.is_some() => {
            let sign = operator_before.map_or("", |token| &token.text);
            return Some(format!("there is no `{sign}=`: write `x = x {sign} ...`"));
        }
        Kind::Assign if wants("the end of the line") => "a comparison is `==`",
        Kind::Colon if wants("`,`") => "an argument is named with `=`",
        Kind::Colon if wants("`{`") => "a body stands in `{ }`",
        Kind::Less | Kind::Greater | Kind::Equal | Kind::Unequal | Kind::AtMost | Kind::AtLeast => {
            "comparisons do not chain: join two with `and`"
        }
        Kind::Layer | Kind::Weight | Kind::State | Kind::Grad | Kind::Where | Kind::Repeat
            if wants("a name") =>
        {
            "this word is reserved: choose another name"
        }
        Kind::Weight if wants("a value") || wants("a parameter") => {
            "this word is reserved: choose another name"
        }
        Kind::Name if before.is_some_and(|token| token.kind == Kind::Name && token.text == "print") => {
            "a value is shown with `nnc run`"
        }
        Kind::Arrow if wants("a value") => "a pipeline begins with a value: `x -> ...`",
        Kind::Name | Kind::Integer | Kind::Float if wants("`,`") => "arguments are separated by `,`",
        _ => return None,
    };
    Some(help.to_owned())
}

/// `a`, `a or b`, `a, b or c`.
fn one_of(wanted: &[&'static str]) -> String {
    match wanted {
        [] => "something else".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
