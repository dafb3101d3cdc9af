//! A copy of the chain between products for each kernel.

use std::collections::{BTreeMap, BTreeSet};

use super::kernels::RowKernel;
use super::region::Region;
use crate::ir::{Graph, Kind, NodeId, Source};
use crate::lower::is_view;
use crate::ops::{Broadcast, Contract, Lowering};

/// Gives each kernel, numbered from `first` on, values of its own.
pub(super) fn rewrite(graph: &mut Graph, region: &Region, kernels: &[RowKernel], first: u32) {
    for (number, kernel) in (first..).zip(kernels) {
        let mut copies = Copies { graph, values: &region.values, number, known: BTreeMap::new() };
        for &row in &kernel.rows {
            let operand = copies.graph.operands(row)[0];
            if region.values.contains(&operand) {
                let own = copies.of(operand);
                copies.graph.set_operand(row, 0, own);
            }
            copies.graph.node_mut(row).product_row = Some(number);
        }
        for &closing in &kernel.closings {
            copies.close(closing);
        }
    }
}

/// The values of one kernel.
struct Copies<'a> {
    graph: &'a mut Graph,
    values: &'a BTreeSet<NodeId>,
    number: u32,
    known: BTreeMap<NodeId, NodeId>,
}

impl Copies<'_> {
    /// The kernel's own copy of a value of the region.
    fn of(&mut self, value: NodeId) -> NodeId {
        if let Some(&known) = self.known.get(&value) {
            return known;
        }
        let operands = self.graph.operands(value);
        let own: Vec<NodeId> = operands
            .into_iter()
            .map(|operand| {
                if self.values.contains(&operand) {
                    self.of(operand)
                } else if is_narrow_generator(self.graph, operand) {
                    let space = self.graph.ty(value).shape.clone();
                    self.widened(operand, &space)
                } else {
                    operand
                }
            })
            .collect();
        self.apply(value, &own)
    }

    /// A generator of fewer elements over the whole space.
    fn widened(&mut self, generator: NodeId, space: &[usize]) -> NodeId {
        if let Some(&known) = self.known.get(&generator) {
            return known;
        }
        let operands = self.graph.operands(generator);
        let wide: Vec<NodeId> = operands
            .into_iter()
            .map(|operand| {
                if is_narrow_generator(self.graph, operand) {
                    self.widened(operand, space)
                } else {
                    self.graph.must(Broadcast::new(space), &[operand])
                }
            })
            .collect();
        self.apply(generator, &wide)
    }

    /// The operator of `of` again, on other operands, as a value of the kernel.
    fn apply(&mut self, of: NodeId, operands: &[NodeId]) -> NodeId {
        let op = self.graph.operator(of).expect("a value between products is computed").clone();
        self.graph.set_origin(self.graph.node(of).origin.clone());
        let copy = self.graph.must_shared(op, operands);
        self.graph.node_mut(copy).product_row = Some(self.number);
        self.known.insert(of, copy);
        copy
    }

    /// The kernel's own copy of a product that closes its rows; the axes of the result are those that its one reader
    /// wants, because the kernel writes them in any order.
    fn close(&mut self, closing: NodeId) {
        let Some(Lowering::Contract { left, right, mut result }) =
            self.graph.operator(closing).map(|op| op.lower())
        else {
            unreachable!("a product closes a row");
        };
        let mut last = closing;
        while !self.graph.is_output(last)
            && let [(reader, _)] = self.graph.readers(last)[..]
            && let Some(Lowering::Permute(order)) = self.graph.operator(reader).map(|op| op.lower())
        {
            result = order.iter().map(|&axis| result[axis]).collect();
            last = reader;
        }
        let operands = self.graph.operands(closing);
        let own: Vec<NodeId> = operands
            .into_iter()
            .map(|operand| if self.values.contains(&operand) { self.of(operand) } else { operand })
            .collect();
        let text = |letters: &[char]| letters.iter().collect::<String>();
        self.graph.set_origin(self.graph.node(closing).origin.clone());
        let op = Contract::new(&text(&left), &text(&right), &text(&result));
        let copy = self.graph.must(op, &own);
        self.graph.node_mut(copy).product_row = Some(self.number);
        self.graph.replace(last, copy);
    }
}

/// Whether a value is a map of what needs no memory, such as a mask of coordinates.
fn is_narrow_generator(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.operator(id).map(|op| op.lower()), Some(Lowering::Map(_)))
        && graph.operands(id).into_iter().all(|operand| is_generated(graph, operand))
}

fn is_generated(graph: &Graph, id: NodeId) -> bool {
    match &graph.node(id).kind {
        Kind::Source(source) => {
            matches!(source, Source::Random { .. } | Source::Host { .. } | Source::Constant(_))
        }
        Kind::Operator(op) => match op.lower() {
            Lowering::Iota { .. } => true,
            Lowering::Map(_) => is_narrow_generator(graph, id),
            lowering => {
                is_view(&lowering) && !is_map_below(graph, id) && is_generated(graph, super::base(graph, id))
            }
        },
    }
}

/// Whether a view looks at a map, which would have to be widened below it.
fn is_map_below(graph: &Graph, id: NodeId) -> bool {
    let below = super::base(graph, id);
    matches!(graph.operator(below).map(|op| op.lower()), Some(Lowering::Map(_)))
}
