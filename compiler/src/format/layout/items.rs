//! Items: what stands between them, their attributes, and how far their bodies are indented.

use crate::format::WIDTH;
use crate::format::layout::{Holds, Layout, Place};
use crate::format::tree::{Body, Entry, Node};
use crate::syntax::token::Kind;

impl<'a> Layout<'a> {
    /// The items of a file: a blank line between two, unless both are of one line and alike and their author set
    /// them close.
    pub(super) fn items(&mut self, file: &Body) {
        let mut before: Option<(&str, bool)> = None;
        let mut first_of_item: Option<usize> = None;
        let mut separated = true;
        for entry in &file.entries {
            let begin = self.lines.len();
            self.ended = true;
            separated |= entry.blank;
            self.item(entry);
            self.lines[begin].blank = entry.blank;
            first_of_item = first_of_item.or(Some(begin));
            if entry.is_comment {
                continue;
            }
            let start = first_of_item.take().unwrap_or(begin);
            let word = self.item_word(entry);
            let short = self.lines.len() == begin + 1 && start == begin;
            let close = short && before == Some((word, true));
            if before.is_some() && !separated && !close {
                self.lines[start].blank = true;
            }
            before = Some((word, self.lines.len() == begin + 1));
            separated = false;
        }
    }

    /// The word that says what an item is.
    fn item_word(&self, entry: &Entry) -> &'a str {
        let (_, rest) = self.attributes(&entry.nodes);
        match rest.first() {
            Some(Node::Word(place)) => self.words[*place].text,
            _ => "",
        }
    }

    /// The attributes that stand before a statement, and the statement.
    fn attributes<'n>(&self, nodes: &'n [Node]) -> (&'n [Node], &'n [Node]) {
        let closes = |node: &Node| match node {
            Node::Word(place) => self.words[*place].closes_attribute,
            Node::Group(group) => self.words[group.close].closes_attribute,
        };
        let begins = |node: &Node| match node {
            Node::Word(place) => self.words[*place].is(Kind::At),
            Node::Group(_) => false,
        };
        let mut end = 0;
        while nodes.get(end).is_some_and(begins) {
            match nodes[end..].iter().position(closes) {
                Some(length) => end += length + 1,
                None => break,
            }
        }
        nodes.split_at(end)
    }

    fn item(&mut self, entry: &Entry) {
        let place = Place::at(0);
        if entry.is_comment {
            self.sequence(&entry.nodes, place);
            return;
        }
        let (attributes, rest) = self.attributes(&entry.nodes);
        for node in attributes {
            self.sequence(std::slice::from_ref(node), place);
            if self.closes_attribute(node) {
                self.ended = true;
            }
        }
        let holds = match self.item_word(entry) {
            "data" => Holds::Data,
            "train" => Holds::Training,
            _ => Holds::Statements,
        };
        match rest.last() {
            Some(Node::Group(group)) if holds != Holds::Statements => {
                self.sequence(&rest[..rest.len() - 1], place);
                self.group(group, 0, 0, holds);
            }
            _ => self.definition(rest, place),
        }
        self.trailing(entry);
    }

    fn closes_attribute(&self, node: &Node) -> bool {
        match node {
            Node::Word(place) => self.words[*place].closes_attribute,
            Node::Group(group) => self.words[group.close].closes_attribute,
        }
    }

    /// An item that is not settings. A body is indented by one level however its head is broken; a formula that does
    /// not fit goes to the next line as a whole where it can.
    fn definition(&mut self, nodes: &[Node], place: Place) {
        let equals = nodes.iter().position(|node| self.is_word(node, &[Kind::Assign]));
        if let (None, [head @ .., Node::Group(body)]) = (equals, nodes) {
            self.reserved = 2;
            self.lay(head, place, 0);
            self.reserved = 0;
            self.group(body, place.first, 0, Holds::Statements);
            return;
        }
        if let Some(equals) = equals {
            let (head, value) = nodes.split_at(equals + 1);
            let (whole, alone) = (self.extent(nodes), self.extent(value));
            let arrows = value.iter().any(|node| self.is_word(node, &[Kind::Arrow]));
            let too_long = whole.width > WIDTH && !whole.forced;
            if too_long && !arrows && place.rest + alone.width <= WIDTH {
                self.lay(head, place, 0);
                self.ended = true;
                self.lay(value, place.further(), 0);
                return;
            }
        }
        self.lay(nodes, place, 0);
    }
}
