//! What to write in place of words that the grammar does not take, by what stands around them.

use super::answer;
use super::place::At;
use crate::syntax::parser::Failure;
use crate::syntax::token::{Kind, Token};

const CONTINUED: &str =
    "a line goes on where an operator ends it, and a formula in parentheses over any lines";

/// What to write in place of the token at `place`, where `failure` is.
pub(super) fn hint(failure: &Failure, tokens: &[Token], place: usize) -> Option<String> {
    let found = &tokens[place];
    let before = place.checked_sub(1).map(|place| &tokens[place]);
    let next = tokens.get(place + 1);
    let word = |token: Option<&Token>| {
        token.filter(|token| token.kind == Kind::Name).and_then(|token| answer(&token.text))
    };
    let at = At { tokens, place, found, before, next, wanted: &failure.wanted };
    let in_train = found.text == "with" && at.item().is_some();
    if let Some(answer) =
        word(Some(found)).or(word(before).filter(|_| found.kind == Kind::Name)).filter(|_| !in_train)
    {
        return Some(answer.to_owned());
    }
    let help = at.item().or_else(|| at.stage().map(str::to_owned));
    if help.is_some() {
        return help;
    }
    let help = at.comment().map(str::to_owned).or_else(|| at.setting()).or_else(|| at.entry());
    let help = help.or_else(|| at.number()).or_else(|| at.path()).or_else(|| at.assignment());
    let help = help.or_else(|| at.pipeline()).or_else(|| at.formula());
    help.or_else(|| at.sign().map(str::to_owned))
}

impl At<'_> {
    /// `0xFF`, `3d`
    fn number(&self) -> Option<String> {
        let number = self.before.filter(|token| token.kind == Kind::Integer)?;
        if self.found.kind != Kind::Name || number.span.end != self.found.span.start {
            return None;
        }
        let (base, digits) = match self.found.text.split_at_checked(1)? {
            ("x", digits) => (16, digits),
            ("b", digits) => (2, digits),
            ("o", digits) => (8, digits),
            _ => return Some("a name begins with a letter".to_owned()),
        };
        match i64::from_str_radix(digits, base) {
            Ok(value) if number.text == "0" => {
                Some(format!("whole numbers are written with ten digits: `{value}`"))
            }
            _ => Some("a name begins with a letter".to_owned()),
        }
    }

    /// `a, (b, c) = x`, `x[0] = y`, `x += y`, `x -> f { a = b }`
    fn assignment(&self) -> Option<String> {
        if self.found.kind != Kind::Assign {
            return None;
        }
        if self.next_is(Kind::Greater) {
            return Some("an arrow is `->`".to_owned());
        }
        let words: Vec<usize> = self.statement().collect();
        if words.iter().any(|place| self.tokens[*place].text == "self") {
            return Some(
                "there is no `self`: a call owns its weights, and `layer name = ...` shares them".to_owned(),
            );
        }
        let operator = self.before.filter(|token| {
            matches!(token.kind, Kind::Plus | Kind::Minus | Kind::Times | Kind::Divide | Kind::Power)
        });
        if let Some(sign) = operator {
            return Some(format!("there is no `{0}=`: write `x = x {0} ...`", sign.text));
        }
        if self.before_is(Kind::Colon) {
            return Some("a value is bound with `=`".to_owned());
        }
        if !self.wants("the end of the line") && !self.wants("`}`") {
            return None;
        }
        let one = |token: &Token| matches!(token.kind, Kind::Name | Kind::Comma);
        if self.inside_stage() {
            let chain = "between these braces stand chains of stages and no bindings: `linear(8) -> relu`";
            return Some(chain.to_owned());
        }
        let first = words.last().copied()?;
        let targets = &self.tokens[first..self.place];
        let brackets = [Kind::OpenParen, Kind::CloseParen, Kind::OpenBracket, Kind::CloseBracket];
        let apart = targets.iter().filter(|token| brackets.contains(&token.kind)).count();
        let after_comma = |place: usize| place == 0 || targets[place - 1].kind != Kind::Name;
        let groups = targets.iter().enumerate().all(|(place, token)| match token.kind {
            Kind::OpenParen | Kind::OpenBracket => after_comma(place),
            _ => one(token) || brackets.contains(&token.kind),
        });
        if apart > 0 && groups {
            let names = targets.iter().filter(|token| token.kind == Kind::Name);
            let names: Vec<&str> = names.map(|token| token.text.as_str()).collect();
            return Some(format!("names are bound without brackets: `{} = ...`", names.join(", ")));
        }
        if self.before_is(Kind::CloseBracket) {
            return Some(
                "no part of a value is set: bind the whole, made by `concat` or `select`".to_owned(),
            );
        }
        if !self.wants("the end of the line") {
            return None;
        }
        let binds = |token: &Token| token.kind == Kind::Assign;
        let chained = targets.iter().any(binds) && targets.iter().all(|token| binds(token) || one(token));
        let part = targets.len() == 3 && targets[1].kind == Kind::Dot;
        Some(match (chained, part) {
            (true, _) => "a line binds its names once: each `=` stands on a line of its own".to_owned(),
            (_, true) => {
                format!(
                    "values have no parts that are set: bind a name of its own, `{} = ...`",
                    targets[2].text
                )
            }
            _ => "a comparison is `==`".to_owned(),
        })
    }

    /// `x -> f + y`
    fn pipeline(&self) -> Option<String> {
        let operator = matches!(
            self.found.kind,
            Kind::Plus
                | Kind::Minus
                | Kind::Times
                | Kind::Divide
                | Kind::FloorDivide
                | Kind::Remainder
                | Kind::Power
                | Kind::At
                | Kind::Equal
                | Kind::Unequal
                | Kind::Less
                | Kind::Greater
                | Kind::AtMost
                | Kind::AtLeast
                | Kind::And
                | Kind::Or
        );
        let behind_arrow = || self.statement().any(|place| self.tokens[place].kind == Kind::Arrow);
        (operator && !self.before_is(Kind::Separator) && !self.wants("a value") && behind_arrow()).then(
            || {
                let sign = &self.found.text;
                format!(
                    "a pipeline is looser than every operator: put it in parentheses, `(x -> ...) {sign} y`"
                )
            },
        )
    }

    fn sign(&self) -> Option<&'static str> {
        let begins_line = self.before.is_none_or(|token| token.kind == Kind::Separator);
        let comment = matches!(self.next.map(|token| token.kind), Some(Kind::Divide | Kind::Times));
        Some(match self.found.kind {
            Kind::Separator if self.wants("`{`") && self.next_is(Kind::OpenBrace) => {
                "`{` stands on the line of what it belongs to"
            }
            Kind::Plus | Kind::Times | Kind::Power | Kind::Remainder | Kind::And | Kind::Or
                if begins_line =>
            {
                CONTINUED
            }
            Kind::Divide if begins_line && !comment => CONTINUED,
            Kind::Greater if self.before_is(Kind::Assign) || self.before_is(Kind::Greater) => {
                "an arrow is `->`"
            }
            Kind::FloorDivide | Kind::Divide
                if self.wants("a value") || self.wants("a layer name") || self.wants("an item") =>
            {
                "a comment begins with `#`"
            }
            Kind::Text if self.wants("an item") || self.before.is_some_and(|token| token.text == "\"\"") => {
                "a comment begins with `#`, one that describes what follows with `##`"
            }
            Kind::Colon if self.wants("`,`") => "an argument is named with `=`",
            Kind::Colon if self.wants("`{`") => "a body stands in `{ }`, a formula behind `=`",
            Kind::Dot if self.before_is(Kind::Range) => "the dims that stay as they are, are `..`",
            Kind::Where
                if (self.wants("a value") || self.wants("a layer name")) && self.next_is(Kind::OpenParen) =>
            {
                "here it is called `select`: `select(x > 0, x, y)`"
            }
            Kind::If if self.wants("the end of the line") => "a choice is `if condition { a } else { b }`",
            Kind::Repeat if self.wants("a value") => {
                "a chain is repeated behind an arrow: `x = x -> repeat 3 { ... }`"
            }
            Kind::OpenBrace if self.wants("`with`") => {
                "a walk names what it carries: `scan row in x with h = zeros(N, 8) { ... }`"
            }
            Kind::OpenBrace if self.wants("a layer name") => {
                "branches belong to the function that joins them: `-> add { relu; identity }`"
            }
            Kind::OpenBrace if self.wants("a value") => {
                "a list stands in `[ ]`; there are no values with keys, and no body by itself"
            }
            Kind::OpenParen if self.before.is_some_and(|token| ELEMENTS.contains(&token.text.as_str())) => {
                "dims stand in brackets: `f32[N, 8]`"
            }
            Kind::OpenParen | Kind::OpenBracket if self.wants("a type") => {
                "a tensor is `f32[N, 8]`: what its elements are, then its dims"
            }
            Kind::Less | Kind::Greater | Kind::Equal | Kind::Unequal | Kind::AtMost | Kind::AtLeast => {
                "comparisons do not chain: join two with `and`"
            }
            Kind::Layer | Kind::Weight | Kind::State | Kind::Grad | Kind::Where | Kind::Repeat
                if self.wants("a name") || self.wants("a label") =>
            {
                "this word is reserved: choose another name"
            }
            Kind::Weight if self.wants("a value") && self.next_is(Kind::Assign) => {
                "the weight of each class is `class_weight=[1, 2]`, that of each example `weigh=`"
            }
            Kind::Weight if self.wants("a value") || self.wants("a parameter") => {
                "this word is reserved: choose another name"
            }
            Kind::Name
                if self.before.is_some_and(|token| token.kind == Kind::Name && token.text == "print") =>
            {
                "a value is shown with `nnc run`"
            }
            Kind::Arrow if self.wants("a value") => "a pipeline begins with a value: `x -> ...`",
            Kind::Name | Kind::Integer | Kind::Float if self.wants("`,`") => "arguments are separated by `,`",
            _ => return None,
        })
    }
}

/// Types that other languages call as functions.
const ELEMENTS: [&str; 7] = ["f32", "i32", "u8", "bool", "float32", "int32", "Tensor"];
