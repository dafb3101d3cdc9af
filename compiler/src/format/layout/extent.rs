//! How many columns words take.

use crate::format::layout::Layout;
use crate::format::tree::{Group, Inner, Node};
use crate::syntax::token::Kind;

/// The width of nodes up to their first break that must be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    pub(super) width: usize,
    pub(super) forced: bool,
}

impl Layout<'_> {
    /// The columns that `nodes` take on one line, up to the first break that must be.
    pub(super) fn extent(&self, nodes: &[Node]) -> Extent {
        let mut total = Extent::default();
        for (order, node) in nodes.iter().enumerate() {
            let (next, first) = match node {
                Node::Word(place) => {
                    let word = &self.words[*place];
                    let follows =
                        nodes.get(order + 1).is_some_and(|next| self.breaks_at(std::slice::from_ref(next)));
                    let leads = word.is(Kind::Arrow) && order > 0 && (word.breaks > 0 || follows);
                    if word.is_comment() || leads {
                        return Extent { forced: true, ..total };
                    }
                    (Extent { width: word.width(), forced: false }, *place)
                }
                Node::Group(group) => (self.group_extent(group), group.open),
            };
            total.width += next.width + usize::from(order > 0 && self.words[first].space);
            total.forced = next.forced;
            if next.forced {
                break;
            }
        }
        total
    }

    pub(super) fn group_extent(&self, group: &Group) -> Extent {
        let open = Extent { width: 1, forced: true };
        let (inside, between) = match &group.inner {
            Inner::List(nodes) => (self.extent(nodes), 0),
            Inner::Body(body) => {
                let broken = self.words[group.open].line != self.words[group.close].line;
                let mut total = Extent { width: 0, forced: broken || body.opening.is_some() };
                for (order, entry) in body.entries.iter().enumerate() {
                    let next = self.extent(&entry.nodes);
                    total.width += next.width + if order > 0 { 2 } else { 0 };
                    total.forced |= next.forced || entry.is_comment || entry.trailing.is_some();
                }
                (total, if body.entries.is_empty() { 0 } else { 2 })
            }
        };
        if inside.forced { open } else { Extent { width: inside.width + between + 2, forced: false } }
    }

    /// The column behind the current line's last word, from 0.
    pub(super) fn column(&self) -> usize {
        let Some(line) = self.lines.last() else { return 0 };
        let width = |(order, word): (usize, &usize)| match self.words.get(*word) {
            Some(word) => word.width() + usize::from(order > 0 && word.space),
            None => 1,
        };
        line.indent + line.words.iter().enumerate().map(width).sum::<usize>()
    }

    pub(super) fn space_before(&self, node: &Node) -> usize {
        match node {
            Node::Word(place) => usize::from(self.words[*place].space),
            Node::Group(group) => usize::from(self.words[group.open].space),
        }
    }
}
