//! Entries of `data` and `train` as other configurations write them.

use super::place::At;
use crate::syntax::token::Kind;

impl<'t> At<'t> {
    /// `batch: 8`, `loss: mse(a, b)`
    pub(super) fn setting(&self) -> Option<String> {
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

    /// `batch = 8 // so many examples`, `x -> linear(3) // the head`
    pub(super) fn comment(&self) -> Option<&'static str> {
        let words = self.found.kind == Kind::Name
            && self.before_is(Kind::Name)
            && self.place.checked_sub(2).is_some_and(|place| self.tokens[place].kind == Kind::FloorDivide);
        let behind_chain = self.found.kind == Kind::FloorDivide && self.next_is(Kind::Name);
        let ends = self.wants("the end of the line") || self.wants("`}`");
        (ends && (words || behind_chain)).then_some("a comment begins with `#`; `//` divides whole numbers")
    }

    /// `metrics { accuracy }`, `augment { random_flip }`, `a, b: f32[8]`
    pub(super) fn entry(&self) -> Option<String> {
        let alone = self.wants("`=`") && self.wants("`{`");
        let named = self.before.filter(|token| token.kind == Kind::Name);
        match (self.found.kind, named) {
            (Kind::CloseBrace | Kind::Separator, Some(name)) if alone => {
                let group = self.group();
                let name = name.text.as_str();
                match group? {
                    "metrics" => Some(format!("a metric has a name: `{name} = {name}(logits, label)`")),
                    "prepare" | "augment" => {
                        Some(format!("what is done to a field is bound to it: `image = image -> {name}`"))
                    }
                    _ => None,
                }
            }
            (Kind::OpenParen, Some(name)) if alone && self.group() == Some("metrics") => {
                let name = &name.text;
                Some(format!("a metric has a name: `{name} = {name}(logits, label)`"))
            }
            (
                Kind::OpenParen
                | Kind::Plus
                | Kind::Minus
                | Kind::Times
                | Kind::Divide
                | Kind::Arrow
                | Kind::OpenBracket,
                Some(name),
            ) if alone && matches!(self.group(), Some("prepare" | "augment")) => {
                let (name, sign) = (&name.text, &self.found.text);
                Some(match self.found.kind {
                    Kind::OpenParen => {
                        format!("what is done to a field is bound to it: `image = {name}(image)`")
                    }
                    _ => format!("what is done to a field is bound to it: `{name} = {name} {sign} ...`"),
                })
            }
            (Kind::Comma, _)
                if self.wants("the end of the line")
                    && matches!(self.inside_item(), Some("data" | "train")) =>
            {
                Some("an entry ends with its line, without a `,`".to_owned())
            }
            (Kind::Text, _) if self.wants("a setting") => {
                let name = self.found.text.trim_matches('"');
                Some(format!("names stand without quotes, and values behind `=`: `{name} = ...`"))
            }
            (Kind::Name, _) if self.wants("the end of the line") && self.next_is(Kind::Colon) => {
                Some("every field has a line of its own, or a `;` before it".to_owned())
            }
            (Kind::Colon, Some(_)) if self.wants("`=`") && self.inside_item() == Some("data") => {
                let words: Vec<usize> = self.statement().collect();
                let first = self.tokens.get(*words.last()?)?;
                Some(format!("every field has a line of its own: `{}: f32[8]`", first.text))
            }
            (Kind::OpenParen, Some(name))
                if self.wants("`=`")
                    && self.place.checked_sub(2).is_some_and(|at| self.tokens[at].kind == Kind::Layer) =>
            {
                let name = &name.text;
                Some(format!(
                    "a layer is a chain with a name, by what goes out of it: `layer {name} = linear(4)`"
                ))
            }
            _ => None,
        }
    }

    /// `freeze = [body.1.conv.weight]`
    pub(super) fn path(&self) -> Option<String> {
        if self.found.kind != Kind::Integer || !self.before_is(Kind::Dot) || !self.wants("a name") {
            return None;
        }
        let part = |place: &usize| {
            let token = &self.tokens[*place];
            matches!(token.kind, Kind::Dot | Kind::Name | Kind::Integer | Kind::Float)
        };
        let first = (0..self.place).rev().take_while(part).last()?;
        let rest = (self.place..self.tokens.len()).take_while(part);
        let path: String =
            (first..self.place).chain(rest).map(|place| self.tokens[place].text.as_str()).collect();
        Some(format!("a path with numbers in it stands in quotes: `\"{path}\"`"))
    }

    /// The word before the innermost braces around this place.
    fn group(&self) -> Option<&'t str> {
        self.open_braces().next()?.checked_sub(1).map(|place| self.tokens[place].text.as_str())
    }
}
