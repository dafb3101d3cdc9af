//! Syntax errors as sentences, with an answer to habits brought along from other languages.

mod entry;
mod hint;
mod item;
mod place;

use hint::hint;

use crate::diagnostic::Diagnostic;
use crate::syntax::DEEPEST;
use crate::syntax::parser::{Failure, Tokens};
use crate::syntax::token::{Kind, Token};

/// Words that begin a statement elsewhere, and what is written here.
const HABITS: [(&str, &str); 19] = [
    ("assert", "what must hold of parameters stands in `where`, of values in `require(x, x > 0, \"why\")`"),
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

/// Whether a statement begins with a word of another language, followed by what makes it one.
pub(super) fn begins_statement(input: Tokens<'_>) -> bool {
    let next = input.peek(1).kind;
    let binds = matches!(next, Kind::Assign | Kind::Comma | Kind::Colon | Kind::Arrow | Kind::Dot);
    let calls = input.at_word("var") && next == Kind::OpenParen;
    input.kind() == Kind::Name && !binds && !calls && answer(&input.peek(0).text).is_some()
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
    if let Some(diagnostic) = fraction(tokens, place) {
        return diagnostic;
    }
    let message = format!("expected {}, found {}", one_of(&failure.wanted), found.describe());
    let mut diagnostic = Diagnostic::error("E0104", message, found.span);
    if found.kind == Kind::Separator && before.is_some() {
        diagnostic = diagnostic.fact("the line ends here");
    }
    diagnostic.help_maybe(hint(failure, tokens, place))
}

/// `2.` and `.5`
fn fraction(tokens: &[Token], place: usize) -> Option<Diagnostic> {
    let dot = |place: usize| tokens.get(place).filter(|token| token.kind == Kind::Dot);
    let integer = |place: usize| tokens.get(place).filter(|token| token.kind == Kind::Integer);
    let (span, meant) = match (place.checked_sub(1).and_then(dot), dot(place)) {
        (Some(dot), _) => {
            let number = integer(place.checked_sub(2)?)?;
            (number.span.to(dot.span), format!("{}.0", number.text))
        }
        (None, Some(dot)) => {
            let number = integer(place + 1)?;
            (dot.span.to(number.span), format!("0.{}", number.text))
        }
        (None, None) => return None,
    };
    let message = "a fraction has digits on both sides of its point";
    let fact = "on one side only";
    Some(Diagnostic::error("E0104", message, span).fact(fact).help(format!("write `{meant}`")))
}

/// `a`, `a or b`, `a, b or c`.
fn one_of(wanted: &[&'static str]) -> String {
    match wanted {
        [] => "something else".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
