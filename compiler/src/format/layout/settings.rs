//! The entries of braces, each on lines of its own, and which of their words form a column.

use crate::format::layout::{Holds, Layout, Place};
use crate::format::tree::{Body, Entry, Inner, Node};
use crate::syntax::token::Kind;

impl Layout<'_> {
    /// Entries of braces on lines of their own.
    pub(super) fn entries(&mut self, body: &Body, indent: usize, holds: Holds) {
        let mut column: Option<(usize, bool)> = None;
        for (order, entry) in body.entries.iter().enumerate() {
            self.ended = true;
            let begin = self.lines.len();
            let place = Place::at(indent);
            let key = if holds == Holds::Statements { None } else { self.key(entry, holds) };
            match entry.nodes.as_slice() {
                [Node::Word(place), rest @ .., Node::Group(group)]
                    if holds != Holds::Statements
                        && rest.len() < 2
                        && matches!(group.inner, Inner::Body(_)) =>
                {
                    self.push(*place, Place::at(indent));
                    self.sequence(rest, Place::at(indent));
                    self.group(group, indent, 0, Holds::Training);
                }
                nodes => self.lay(nodes, place, 0),
            }
            self.trailing(entry);
            self.lines[begin].blank = entry.blank && order > 0;
            let one_line = self.lines.len() == begin + 1;
            if entry.is_comment {
                continue;
            }
            let Some(key) = key.filter(|key| one_line || !key.group) else {
                column = None;
                continue;
            };
            let goes_on = column.is_some_and(|(_, field)| field == key.field) && !entry.blank;
            if !goes_on {
                self.columns += 1;
            }
            column = Some((self.columns, key.field));
            if let Some(at) = self.lines[begin].words.iter().position(|word| *word == key.word) {
                self.lines[begin].column = Some((at, self.columns));
            }
            if !one_line {
                column = None;
            }
        }
    }

    /// What is aligned in a setting.
    fn key(&self, entry: &Entry, holds: Holds) -> Option<Key> {
        match entry.nodes.as_slice() {
            [Node::Word(_), Node::Group(group)] if holds == Holds::Training => {
                Some(Key { word: group.open, field: false, group: true })
            }
            [Node::Word(_), Node::Word(colon), Node::Word(ty), ..] if self.words[*colon].is(Kind::Colon) => {
                Some(Key { word: *ty, field: true, group: false })
            }
            nodes => nodes.iter().find_map(|node| match node {
                Node::Word(place) if self.words[*place].is(Kind::Assign) => {
                    Some(Key { word: *place, field: false, group: false })
                }
                _ => None,
            }),
        }
    }
}

/// The part of a setting that stands under that of the setting before.
#[derive(Clone, Copy, Debug)]
struct Key {
    word: usize,
    /// Whether it is a field of `data`.
    field: bool,
    /// Whether it is a group.
    group: bool,
}
