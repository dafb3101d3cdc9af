//! Homes: where each value lies in memory, and which operands of a concat are written in place.
//!
//! The operand of a concat that a kernel computes has its home in the concat, where every reader can read it there;
//! readers find it by the stride of the whole. An operand that must lie elsewhere (a reader walks it in one piece, it
//! leaves the program, it has its home in another concat) is written once more, by the kernel that computes it. What
//! no kernel computes is copied.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::contract_groups;
use super::layout::{Layout, is_view, signed, view_of};
use super::member::{contract_place, planes_place};
use crate::ir::{Allowance, Graph, NodeId, Part};
use crate::ops::Lowering;

/// The most places at which a kernel writes one value.
const PLACES: usize = 3;

/// Where every value lies in memory.
#[derive(Clone, Debug, Default)]
pub struct Homes {
    memory: BTreeMap<NodeId, Layout>,
    links: BTreeMap<NodeId, Vec<Link>>,
    parts: BTreeMap<NodeId, Vec<NodeId>>,
    in_place: BTreeSet<(NodeId, usize)>,
    copied: BTreeMap<(NodeId, usize), Copied>,
}

/// Why an operand of a concat is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// No kernel computes it: it is an input, a weight, a constant.
    Given,
    /// It is a part of a value, or that in another order.
    View,
    /// It is a row between products, whose kernel writes it in one piece.
    BetweenProducts,
    /// The kernel that computes it writes it in one piece.
    Writer,
    /// It must lie elsewhere, because this value reads it in one piece, and its kernel cannot write it here as well.
    Reader(NodeId),
    /// It leaves the program, and its kernel cannot write it here as well.
    Output,
    /// It is a concat that has its place in another one.
    Concat,
    /// Its kernel writes it at so many places already.
    Places(usize),
    /// In-place writing was left out.
    LeftOut,
}

/// A value's place in a concat.
#[derive(Clone, Debug)]
struct Link {
    whole: NodeId,
    axis: usize,
    begin: usize,
    /// The operand's shape, which is the value's up to a reshape.
    shape: Vec<usize>,
    /// Whether readers find the value there.
    home: bool,
}

impl Link {
    /// The value, of this shape, in the whole; `None` where no strides say where its elements lie.
    fn place(&self, whole: &Layout, shape: &[usize]) -> Option<Layout> {
        let offset = whole.offset + signed(self.begin) * whole.strides[self.axis];
        let part =
            Layout { base: whole.base, offset, shape: self.shape.clone(), strides: whole.strides.clone() };
        part.reshaped(shape)
    }
}

/// The homes of the values of a graph; `layouts` are those of its views.
#[must_use]
pub fn homes(graph: &Graph, layouts: &BTreeMap<NodeId, Layout>) -> Homes {
    let mut homes = Homes { memory: layouts.clone(), ..Homes::default() };
    let mut allowance = graph.allowance.clone();
    for id in graph.order() {
        let Some(Lowering::Concat { axis }) = graph.operator(id).map(|op| op.lower()) else { continue };
        let mut begin = 0;
        for (slot, operand) in graph.operands(id).into_iter().enumerate() {
            let shape = graph.ty(operand).shape.clone();
            let link = Link { whole: id, axis, begin, shape, home: false };
            begin += link.shape[axis];
            match homes.put(graph, &layouts[&operand], link, &mut allowance) {
                Ok(()) => {
                    homes.in_place.insert((id, slot));
                }
                Err(copied) => {
                    homes.copied.insert((id, slot), copied);
                }
            }
        }
    }
    homes
}

impl Homes {
    /// Where the elements of a value lie; the base is the value whose memory holds them.
    #[must_use]
    pub fn memory(&self, id: NodeId) -> &Layout {
        &self.memory[&id]
    }

    /// The value whose memory holds the elements of a computed value or a source.
    #[must_use]
    pub fn root(&self, id: NodeId) -> NodeId {
        self.memory.get(&id).map_or(id, |layout| layout.base)
    }

    /// Every place that the kernel of a value writes, the one that readers find first.
    #[must_use]
    pub fn places(&self, graph: &Graph, id: NodeId) -> Vec<Layout> {
        let again = self.links.get(&id).into_iter().flatten().filter(|link| !link.home);
        let again = again.map(|link| {
            let place = link.place(&self.memory[&link.whole], &graph.ty(id).shape);
            place.expect("a place in a concat was checked when it was given")
        });
        std::iter::once(self.memory[&id].clone()).chain(again).collect()
    }

    /// Whether the kernel that computes this operand of a concat writes it there.
    #[must_use]
    pub fn is_in_place(&self, concat: NodeId, slot: usize) -> bool {
        self.in_place.contains(&(concat, slot))
    }

    /// Why this operand of a concat is copied; `None` where it is written in place.
    #[must_use]
    pub fn copied(&self, concat: NodeId, slot: usize) -> Option<Copied> {
        self.copied.get(&(concat, slot)).copied()
    }

    /// Each value that is written in place, with the concat that it is part of.
    pub fn parts(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        self.links.iter().flat_map(|(part, links)| links.iter().map(|link| (*part, link.whole)))
    }

    /// Writes the operand with this layout in place if that can be.
    fn put(
        &mut self,
        graph: &Graph,
        operand: &Layout,
        link: Link,
        allowance: &mut Allowance,
    ) -> Result<(), Copied> {
        let base = operand.base;
        let lowering = graph.operator(base).map(|op| op.lower()).ok_or(Copied::Given)?;
        let size = link.shape.iter().product::<usize>();
        if !operand.is_contiguous() || operand.offset != 0 || graph.ty(base).size() != size {
            return Err(Copied::View);
        }
        if graph.node(base).product_row.is_some() {
            return Err(Copied::BetweenProducts);
        }
        if is_view(&lowering) || matches!(lowering, Lowering::Iota { .. }) {
            return Err(Copied::Given);
        }
        if matches!(lowering, Lowering::Pack { .. }) {
            return Err(Copied::Writer);
        }
        if !allowance.take_part(Part::Concats) {
            return Err(Copied::LeftOut);
        }
        let known = self.links.get(&base).is_some_and(|links| links.iter().any(|known| known.home));
        let refused = if graph.is_output(base) {
            Copied::Output
        } else if known {
            Copied::Concat
        } else {
            match self.move_in(graph, base, &link) {
                Ok(()) => {
                    self.add(base, Link { home: true, ..link });
                    return Ok(());
                }
                Err(refused) => refused,
            }
        };
        let places = self.links.get(&base).map_or(1, |links| links.len() + 1);
        if places >= PLACES {
            return Err(Copied::Places(places));
        }
        let place = link.place(&self.memory[&link.whole], &graph.ty(base).shape);
        if place.is_none_or(|place| !is_writable(graph, base, &place)) {
            return Err(if refused == Copied::Concat { Copied::Writer } else { refused });
        }
        if matches!(lowering, Lowering::Concat { .. }) {
            return Err(refused);
        }
        self.add(base, link);
        Ok(())
    }

    fn add(&mut self, part: NodeId, link: Link) {
        self.parts.entry(link.whole).or_default().push(part);
        self.links.entry(part).or_default().push(link);
    }

    /// Gives a value its home in a concat, with all its views and parts, if each reader can read it there.
    fn move_in(&mut self, graph: &Graph, value: NodeId, link: &Link) -> Result<(), Copied> {
        let place = link.place(&self.memory[&link.whole], &graph.ty(value).shape).ok_or(Copied::Writer)?;
        let mut moved: BTreeMap<NodeId, Layout> = [(value, place)].into();
        let mut open = vec![value];
        while let Some(at) = open.pop() {
            let layout = moved[&at].clone();
            if !is_view_node(graph, at) && !is_writable(graph, at, &layout) {
                return Err(Copied::Writer);
            }
            for (reader, slot) in graph.readers(at) {
                if is_view_node(graph, reader) {
                    let view = view_of(graph, reader, &layout).ok_or(Copied::Reader(reader))?;
                    moved.insert(reader, view);
                    open.push(reader);
                } else if !is_readable(graph, reader, slot, &layout) {
                    return Err(Copied::Reader(reader));
                }
            }
            for part in self.parts.get(&at).into_iter().flatten() {
                for link in self.links[part].iter().filter(|link| link.whole == at) {
                    let place = link.place(&layout, &graph.ty(*part).shape).ok_or(Copied::Writer)?;
                    if !is_writable(graph, *part, &place) {
                        return Err(Copied::Writer);
                    }
                    if link.home {
                        moved.insert(*part, place);
                        open.push(*part);
                    }
                }
            }
        }
        self.memory.extend(moved);
        Ok(())
    }
}

fn is_view_node(graph: &Graph, id: NodeId) -> bool {
    graph.operator(id).is_some_and(|op| is_view(&op.lower()))
}

/// Whether the kernel of a value can write it at this place.
fn is_writable(graph: &Graph, id: NodeId, layout: &Layout) -> bool {
    let place = layout.over(&graph.ty(id).shape);
    match graph.operator(id).map(|op| op.lower()) {
        Some(Lowering::Contract { .. }) => contract_place(graph, id, &place).is_some(),
        Some(Lowering::Window { .. }) => planes_place(graph, id, &place).is_some(),
        _ => true,
    }
}

/// Whether a reader can read its operand at this place.
fn is_readable(graph: &Graph, reader: NodeId, slot: usize, layout: &Layout) -> bool {
    match graph.operator(reader).map(|op| op.lower()) {
        _ if graph.node(reader).product_row.is_some() => true,
        Some(Lowering::Conv { .. } | Lowering::Window { .. }) => layout.is_contiguous(),
        Some(Lowering::Contract { left, right, result }) => {
            let groups = contract_groups(&left, &right, &result);
            let (letters, outer) = if slot == 0 { (&left, &groups.m) } else { (&right, &groups.n) };
            let collapses = |group: &[char]| groups.collapse(letters, layout, group).is_some();
            collapses(&groups.batch) && collapses(outer) && collapses(&groups.k)
        }
        Some(Lowering::Pack { .. }) => false,
        _ => true,
    }
}
