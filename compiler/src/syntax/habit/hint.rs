//! What to write in place of words that the grammar does not take, by what stands around them.

use super::answer;
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
    if let Some(answer) = word(Some(found)).or(word(before).filter(|_| found.kind == Kind::Name)) {
        return Some(answer.to_owned());
    }
    let at = At { tokens, place, found, before, next, wanted: &failure.wanted };
    let help = at.setting().or_else(|| at.number()).or_else(|| at.assignment()).or_else(|| at.pipeline());
    help.or_else(|| at.sign().map(str::to_owned))
}

/// So many words back braces are looked for, lest every mistake of a long body cost the whole of it.
const FARTHEST: usize = 1_000;

/// A place where the text does not go on as the grammar does.
struct At<'t> {
    tokens: &'t [Token],
    place: usize,
    found: &'t Token,
    before: Option<&'t Token>,
    next: Option<&'t Token>,
    wanted: &'t [&'static str],
}

impl<'t> At<'t> {
    fn wants(&self, wanted: &str) -> bool {
        self.wanted.contains(&wanted)
    }

    fn before_is(&self, kind: Kind) -> bool {
        self.before.is_some_and(|token| token.kind == kind)
    }

    fn next_is(&self, kind: Kind) -> bool {
        self.next.is_some_and(|token| token.kind == kind)
    }

    /// The places from here back to where the statement begins, or the bracket that it stands in; what stands in
    /// brackets in between is left out.
    fn statement(&self) -> impl Iterator<Item = usize> + use<'t> {
        let tokens = self.tokens;
        let back = move |place: usize| {
            let before = place.checked_sub(1)?;
            let token = &tokens[before];
            match token.kind {
                Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace => Some(token.partner),
                Kind::Separator | Kind::OpenParen | Kind::OpenBracket | Kind::OpenBrace => None,
                _ => Some(before),
            }
        };
        std::iter::successors(back(self.place), move |place| back(*place))
    }

    /// The places of the opening braces around this one, from the innermost out.
    fn open_braces(&self) -> impl Iterator<Item = usize> + use<'t> {
        let mut closed = 0_usize;
        let before = self.tokens[..self.place].iter().enumerate().rev().take(FARTHEST);
        before.filter_map(move |(place, token)| match token.kind {
            Kind::CloseBrace => {
                closed += 1;
                None
            }
            Kind::OpenBrace if closed > 0 => {
                closed -= 1;
                None
            }
            Kind::OpenBrace => Some(place),
            _ => None,
        })
    }

    /// Whether the innermost braces around this place belong to a stage.
    fn inside_stage(&self) -> bool {
        let Some(place) = self.open_braces().next() else { return false };
        let mut words = At { place, ..*self }.statement().map(|place| &self.tokens[place]);
        let stage = words.find(|token| token.kind == Kind::Arrow || is_item(token));
        stage.is_some_and(|token| token.kind == Kind::Arrow)
    }

    /// Whether this place lies in a `train` item.
    fn inside_train(&self) -> bool {
        self.inside_item() == Some("train")
    }

    /// The word that begins the item around this place.
    fn inside_item(&self) -> Option<&'t str> {
        self.open_braces().find_map(|place| {
            let first = At { place, ..*self }.statement().last().map(|place| &self.tokens[place])?;
            let begins = is_item(first) || matches!(first.text.as_str(), "train" | "data");
            begins.then_some(first.text.as_str())
        })
    }

    /// `batch: 8`, `loss: mse(a, b)`
    fn setting(&self) -> Option<String> {
        let colon = match self.found.kind {
            _ if self.before_is(Kind::Colon) && self.wants("a type") => self.place.checked_sub(1)?,
            Kind::OpenParen => self.place.checked_sub(2)?,
            _ => return None,
        };
        let name = self.tokens.get(colon.checked_sub(1)?)?;
        let begins =
            matches!(self.tokens.get(colon.checked_sub(2)?)?.kind, Kind::Separator | Kind::OpenBrace);
        let one = self.tokens[colon].kind == Kind::Colon && name.kind == Kind::Name && begins;
        let ends = self.next_is(Kind::Separator) || self.next_is(Kind::CloseBrace);
        let alone = ends && matches!(self.found.kind, Kind::Integer | Kind::Float);
        (one && self.inside_train()).then(|| {
            let value = if alone { self.found.text.as_str() } else { "..." };
            format!("a setting is written with `=`: `{} = {value}`", name.text)
        })
    }

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
        self.wants("the end of the line").then(|| "a comparison is `==`".to_owned())
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
            Kind::Colon if self.wants("`{`") => "a body stands in `{ }`",
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

fn is_item(token: &Token) -> bool {
    token.kind == Kind::Name && matches!(token.text.as_str(), "model" | "block" | "fn" | "optimizer")
}
