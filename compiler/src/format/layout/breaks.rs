//! Statements over several lines: the loosest operator first, then what stands inside brackets.

use crate::format::WIDTH;
use crate::format::layout::extent::Extent;
use crate::format::layout::{Holds, INDENT, Layout, Place, SEMICOLON};
use crate::format::tree::{Body, Group, Inner, Node};
use crate::syntax::token::Kind;

/// Where a statement may break, the loosest first.
const LEVELS: [&[Kind]; 7] = [
    &[Kind::Comma],
    &[Kind::Arrow],
    &[Kind::Or],
    &[Kind::And],
    &[Kind::Equal, Kind::Unequal, Kind::AtMost, Kind::AtLeast, Kind::Less, Kind::Greater],
    &[Kind::Plus, Kind::Minus],
    &[Kind::Times, Kind::Divide, Kind::FloorDivide, Kind::Remainder, Kind::At],
];

/// The level of arrows.
const ARROWS: usize = 1;

impl Layout<'_> {
    /// `nodes` from the current line on, broken at level `level` or tighter where they must be.
    pub(super) fn lay(&mut self, nodes: &[Node], place: Place, level: usize) {
        let extent = self.extent(nodes);
        let level = (level..LEVELS.len()).find(|level| self.parts(nodes, *level).len() > 1);
        if !extent.forced && !self.overflows(extent, place) {
            self.flat(nodes, place);
            return;
        }
        let Some(level) = level else {
            self.sequence(nodes, place);
            return;
        };
        for (order, part) in self.parts(nodes, level).into_iter().enumerate() {
            if order == 0 {
                self.lay(part, place, level + 1);
                continue;
            }
            let broken = level == ARROWS && self.breaks_at(part);
            if broken || self.overflows(self.extent(part), place.further()) {
                self.ended = true;
            }
            self.lay(part, place.further(), level + 1);
        }
    }

    /// Whether the author broke the line at the arrow that begins `part`.
    pub(super) fn breaks_at(&self, part: &[Node]) -> bool {
        let breaks = |node: &Node| match node {
            Node::Word(place) => self.words[*place].breaks > 0 && !self.words[*place].is_comment(),
            Node::Group(group) => self.words[group.open].breaks > 0,
        };
        part.iter().take(2).any(breaks)
    }

    /// `nodes` cut at the operators of a level that stand among them, not inside brackets.
    fn parts<'n>(&self, nodes: &'n [Node], level: usize) -> Vec<&'n [Node]> {
        let mut parts = Vec::new();
        let mut begin = 0;
        for (at, node) in nodes.iter().enumerate() {
            let Node::Word(place) = node else { continue };
            let word = &self.words[*place];
            let cuts = word.kind.is_some_and(|kind| LEVELS[level].contains(&kind));
            let end = match level {
                _ if !cuts => continue,
                0 => at + 1,
                ARROWS => at,
                _ if word.infix => at + 1,
                _ => continue,
            };
            if end > begin && end < nodes.len() {
                parts.push(&nodes[begin..end]);
                begin = end;
            }
        }
        parts.push(&nodes[begin..]);
        parts
    }

    /// Whether `extent` does not fit behind what stands on the current line.
    fn overflows(&self, extent: Extent, place: Place) -> bool {
        let column = if self.ended { place.first } else { self.column() + 1 };
        column + extent.width + self.reserved > WIDTH
    }

    /// Words and brackets on one line.
    fn flat(&mut self, nodes: &[Node], place: Place) {
        for node in nodes {
            match node {
                Node::Word(word) => self.push(*word, place),
                Node::Group(group) => {
                    self.push(group.open, place);
                    match &group.inner {
                        Inner::List(nodes) => self.flat(nodes, place),
                        Inner::Body(body) => self.one_line(body, place),
                    }
                    self.push(group.close, place);
                }
            }
        }
    }

    /// Statements between braces on one line.
    fn one_line(&mut self, body: &Body, place: Place) {
        for (order, entry) in body.entries.iter().enumerate() {
            if order > 0 {
                self.push(SEMICOLON, place);
            }
            self.flat(&entry.nodes, place);
        }
    }

    /// Words and brackets one after the other; a bracket that does not fit is broken inside.
    pub(super) fn sequence(&mut self, nodes: &[Node], place: Place) {
        let mut place = place;
        for (at, node) in nodes.iter().enumerate() {
            match node {
                Node::Word(word) if self.words[*word].is_comment() => self.comment(*word, place.first),
                Node::Word(word) => {
                    self.push(*word, place);
                    place = place.further();
                }
                Node::Group(group) => {
                    let behind = nodes[at + 1..].iter().take_while(|node| matches!(node, Node::Word(_)));
                    let count = behind.clone().count();
                    let opens = usize::from(at + 1 + count < nodes.len());
                    let columns =
                        |node| self.extent(std::slice::from_ref(node)).width + self.space_before(node);
                    let follow: usize = behind.map(columns).sum::<usize>() + 2 * opens;
                    if self.ended {
                        self.begin(place.first);
                    }
                    let indent = self.lines.last().map_or(0, |line| line.indent);
                    self.group(group, indent, follow, Holds::Statements);
                    place = place.further();
                }
            }
        }
    }

    /// A bracket that opens on the current line, whose indentation is `indent`; `follow` columns come behind it.
    pub(super) fn group(&mut self, group: &Group, indent: usize, follow: usize, holds: Holds) {
        let extent = self.group_extent(group);
        let open = Place::at(indent);
        let space = usize::from(self.words[group.open].space);
        let fits = !extent.forced && self.column() + space + extent.width + follow <= WIDTH;
        self.push(group.open, open);
        match &group.inner {
            Inner::List(nodes) if fits => self.flat(nodes, open),
            Inner::Body(body) if fits => self.one_line(body, open),
            Inner::List(nodes) => {
                self.list(nodes, indent + INDENT, self.words[group.open].is(Kind::OpenBracket));
                self.ended = true;
            }
            Inner::Body(body) => {
                if let Some(comment) = body.opening {
                    self.comment(comment, indent);
                }
                self.entries(body, indent + INDENT, holds);
                self.ended = true;
            }
        }
        self.push(group.close, open);
    }

    /// What stands between `( )` one element a line, what stands between `[ ]` as many as fit.
    fn list(&mut self, nodes: &[Node], indent: usize, fill: bool) {
        let mut begin = 0;
        for end in 0..nodes.len() {
            let next = nodes.get(end + 1);
            let behind = next.is_some_and(|node| match node {
                Node::Word(place) => self.words[*place].is_comment() && self.words[*place].breaks == 0,
                Node::Group(_) => false,
            });
            let comment_ends =
                end > begin && self.is_comment(&nodes[end]) && self.is_word(&nodes[end - 1], &[Kind::Comma]);
            let ends =
                next.is_none() || (self.is_word(&nodes[end], &[Kind::Comma]) && !behind) || comment_ends;
            if !ends {
                continue;
            }
            let element = &nodes[begin..=end];
            let place = Place::at(indent);
            if !fill || begin == 0 || self.overflows(self.extent(element), place) {
                self.ended = true;
            }
            self.lay(element, place, ARROWS);
            begin = end + 1;
        }
    }
}
