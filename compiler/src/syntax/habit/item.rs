//! Items and their heads as other languages write them.

use super::place::At;
use crate::syntax::token::Kind;

/// The words that begin items.
const ITEMS: [&str; 8] = ["model", "block", "fn", "optimizer", "data", "train", "const", "use"];

impl At<'_> {
    /// `Model M(..)`, `classes = 10`, `model M { .. }`, `fn f(x) -> x * 2`, `train M(d)`
    pub(super) fn item(&self) -> Option<String> {
        let found = self.found.text.as_str();
        let word = |place: usize| self.place.checked_sub(place).map(|place| self.tokens[place].text.as_str());
        match self.found.kind {
            Kind::Name if self.wants("an item") => {
                let small = found.to_lowercase();
                if ITEMS.contains(&small.as_str()) {
                    return Some(format!("the words of items have small letters: `{small}`"));
                }
                self.next_is(Kind::Assign).then(|| format!("a value for the whole file is a constant: `const {found} = ...`"))
            }
            Kind::Name if self.wants("a string") && word(1) == Some("use") => Some(
                "a file stands in quotes, `use \"blocks.nn\"`; what the library has needs no `use` but `std/attention.nn` \
                 and `std/vision.nn`"
                    .to_owned(),
            ),
            Kind::Integer | Kind::Float if word(2) == Some("const") && self.wants("`=`") => {
                Some(format!("a constant is bound with `=`: `const {} = {found}`", word(1)?))
            }
            Kind::Integer | Kind::Float if word(3) == Some("const") && self.wants("a type") => {
                Some(format!("a constant is bound with `=`: `const {} = {found}`", word(2)?))
            }
            Kind::Integer if self.wants("a name") && !self.before_is(Kind::Dot) => {
                Some("a name begins with a letter".to_owned())
            }
            Kind::Minus if self.wants("`(`") => Some("a name has letters, digits and `_`".to_owned()),
            Kind::OpenBrace if self.wants("`(`") && ITEMS.contains(&word(2)?) => {
                let (kind, name) = (word(2)?, word(1)?);
                Some(format!("what goes in stands in parentheses: `{kind} {name}(x: f32[N, 8]) {{ ... }}`"))
            }
            Kind::OpenParen if self.wants("`{`") && word(2) == Some("train") => {
                Some(format!("the data is named behind `on`: `train {} on d {{ ... }}`", word(1)?))
            }
            Kind::Name if self.wants("`{`") && word(2) == Some("train") => {
                Some(format!("the data is named behind `on`: `train {} on d {{ ... }}`", word(1)?))
            }
            Kind::Dot if word(2) == Some("train") || word(2) == Some("on") => Some(
                "`train` takes items of this file, and of files that are used without a prefix: `use \"file.nn\"`"
                    .to_owned(),
            ),
            Kind::Name if self.wants("`,`") && self.before_is(Kind::Name) && self.inside_head() => {
                let dims = if self.next_is(Kind::OpenBracket) { "[..]" } else { "" };
                Some(format!("a type stands behind `:`: `{}: {found}{dims}`", word(1)?))
            }
            Kind::Greater if self.before_is(Kind::Assign) => {
                let first = self.statement().last()?;
                let (kind, name) = (self.tokens[first].text.as_str(), self.tokens.get(first + 1)?);
                (kind == "fn").then(|| format!("a formula stands behind `=`: `fn {}(..) = ...`", name.text))
            }
            Kind::Times | Kind::Power if self.wants("a parameter") => {
                Some("every parameter has a name; several values come as a list: `fn f(values) = sum(values)`".to_owned())
            }
            Kind::Grad if self.wants("a parameter") => {
                Some("this word is reserved: the gradient of an optimizer is called `g`".to_owned())
            }
            Kind::Integer | Kind::Float | Kind::True | Kind::False if self.wants("a type") && self.inside_head() => {
                Some(format!("a default stands behind `=`: `{} = {found}`", word(2)?))
            }
            _ if self.wants("`{`") && self.wants("`=`") && !self.wants("`:`") => {
                let arrow = self.statement().any(|place| self.tokens[place].kind == Kind::Arrow);
                let formula = self.statement().last().is_some_and(|place| self.tokens[place].text == "fn");
                let operator = matches!(
                    self.found.kind,
                    Kind::Plus | Kind::Minus | Kind::Times | Kind::Divide | Kind::Power | Kind::OpenParen | Kind::Arrow
                );
                (arrow && formula && operator).then(|| "a formula stands behind `=`: `fn name(x) = ...`".to_owned())
            }
            _ => None,
        }
    }

    /// Whether this place stands in the parentheses of a definition's head.
    fn inside_head(&self) -> bool {
        let open = self.tokens[..self.place].iter().rposition(|token| token.kind == Kind::OpenParen);
        let head = open.and_then(|open| open.checked_sub(2)).map(|place| self.tokens[place].text.as_str());
        head.is_some_and(|word| ITEMS.contains(&word))
    }

    /// `weight w = randn(3)`, `w = weight(3)`, `layer l: linear(8)`, `0.5x`, `sigmoid x`
    pub(super) fn formula(&self) -> Option<String> {
        let before = self.before?;
        let kind = |back: usize| self.place.checked_sub(back).map(|place| self.tokens[place].kind);
        let ends = self.wants("the end of the line") || self.wants("the end of the item");
        let (name, found) = (before.text.as_str(), self.found.text.as_str());
        match (self.found.kind, before.kind) {
            (Kind::Assign, Kind::Name) if kind(2) == Some(Kind::Weight) => {
                Some(format!("a weight has a type, and then how it begins: `weight {name}: f32[16, 8] = he`"))
            }
            (Kind::Weight, Kind::Assign) if self.next_is(Kind::OpenParen) && kind(2) == Some(Kind::Name) => {
                let name = &self.tokens[self.place - 2].text;
                Some(format!("a weight is declared: `weight {name}: f32[16, 8] = he`"))
            }
            (Kind::Colon, Kind::Name) if kind(2) == Some(Kind::Layer) => {
                Some(format!("a layer is bound with `=`: `layer {name} = linear(8)`"))
            }
            (Kind::Name, Kind::Float) if ends && before.span.end == self.found.span.start => {
                Some(format!("a product is written with `*`: `{name} * {found}`"))
            }
            (Kind::Name | Kind::Integer | Kind::Float, Kind::Name) if ends && !self.next_is(Kind::Assign) => {
                Some(format!("arguments stand in parentheses: `{name}({found})`"))
            }
            (Kind::Dot, Kind::CloseParen | Kind::Name) if ends && self.next_is(Kind::Name) => {
                let next = self.next.map_or("relu", |next| next.text.as_str());
                Some(format!("stages follow one another by arrows: `-> {next}`"))
            }
            (Kind::OpenBracket, Kind::CloseParen | Kind::Name) if ends => Some(
                "of a chain no part is taken: bind it, `y = x -> ...`, and then `y[:, 0]`; the last step is `-> last`"
                    .to_owned(),
            ),
            (Kind::Less | Kind::Greater | Kind::AtLeast | Kind::AtMost | Kind::Equal | Kind::Unequal, _)
                if self.wants("`]`") =>
            {
                Some("by a condition values are chosen, never left out: `select(x > 0, x, 0)`".to_owned())
            }
            _ => None,
        }
    }

    /// `x - > relu`, `x -> conv 32, 3`, `x -> (relu)`, `x -> relu ->`
    pub(super) fn stage(&self) -> Option<&'static str> {
        let wants_stage = self.wants("a layer name");
        Some(match self.found.kind {
            Kind::Greater if self.before_is(Kind::Minus) => "an arrow is `->`, without a space in it",
            Kind::Integer | Kind::Float
                if self.wants("the end of the line")
                    && self.before_is(Kind::Name)
                    && self
                        .place
                        .checked_sub(2)
                        .is_some_and(|place| self.tokens[place].kind == Kind::Arrow) =>
            {
                "arguments stand in parentheses: `-> conv(32, 3)`"
            }
            Kind::OpenParen if wants_stage && self.before_is(Kind::Arrow) => {
                "a stage is the name of a layer or function, without parentheses around it: `-> relu`"
            }
            Kind::OpenBracket if wants_stage && self.before_is(Kind::Arrow) => {
                "stages follow one another by arrows, `-> relu -> tanh`; branches are joined, `-> add { relu; tanh }`"
            }
            Kind::CloseBrace | Kind::Separator | Kind::End if wants_stage && self.before_is(Kind::Arrow) => {
                "behind an arrow stands a layer or a function; leave the last arrow out"
            }
            Kind::If if self.wants("`,`") => {
                "a choice is `if condition { a } else { b }`; of what is known while training `select(epoch < 5, a, b)`"
            }
            _ => return None,
        })
    }
}
