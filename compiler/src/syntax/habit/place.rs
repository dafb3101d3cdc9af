//! A place that the grammar does not take, with the words around it.

use crate::syntax::token::{Kind, Token};

/// So many words back braces are looked for, lest every mistake of a long body cost the whole of it.
const FARTHEST: usize = 1_000;

/// A place where the text does not go on as the grammar does.
#[derive(Clone, Copy)]
pub(super) struct At<'t> {
    pub(super) tokens: &'t [Token],
    pub(super) place: usize,
    pub(super) found: &'t Token,
    pub(super) before: Option<&'t Token>,
    pub(super) next: Option<&'t Token>,
    pub(super) wanted: &'t [&'static str],
}

impl<'t> At<'t> {
    pub(super) fn wants(&self, wanted: &str) -> bool {
        self.wanted.contains(&wanted)
    }

    pub(super) fn before_is(&self, kind: Kind) -> bool {
        self.before.is_some_and(|token| token.kind == kind)
    }

    pub(super) fn next_is(&self, kind: Kind) -> bool {
        self.next.is_some_and(|token| token.kind == kind)
    }

    /// The places from here back to where the statement begins, or the bracket that it stands in; what stands in
    /// brackets in between is left out.
    pub(super) fn statement(&self) -> impl Iterator<Item = usize> + use<'t> {
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
    pub(super) fn open_braces(&self) -> impl Iterator<Item = usize> + use<'t> {
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
    pub(super) fn inside_stage(&self) -> bool {
        let Some(place) = self.open_braces().next() else { return false };
        let mut words = At { place, ..*self }.statement().map(|place| &self.tokens[place]);
        let stage = words.find(|token| token.kind == Kind::Arrow || is_item(token));
        stage.is_some_and(|token| token.kind == Kind::Arrow)
    }

    /// Whether this place lies in a `train` item.
    pub(super) fn inside_train(&self) -> bool {
        self.inside_item() == Some("train")
    }

    /// The word that begins the item around this place.
    pub(super) fn inside_item(&self) -> Option<&'t str> {
        self.open_braces().find_map(|place| {
            let first = At { place, ..*self }.statement().last().map(|place| &self.tokens[place])?;
            let begins = is_item(first) || matches!(first.text.as_str(), "train" | "data");
            begins.then_some(first.text.as_str())
        })
    }
}

fn is_item(token: &Token) -> bool {
    token.kind == Kind::Name && matches!(token.text.as_str(), "model" | "block" | "fn" | "optimizer")
}
