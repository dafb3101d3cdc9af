//! The second computation of the chosen values: nodes of the same operators, which the late readers read instead.

use std::collections::BTreeMap;

use super::choice::Again;
use crate::ir::{Graph, NodeId, Origin};
use crate::lower::{Homes, Lowered, is_view};

/// A graph whose kernels are formed, with the second computations and without its kernels.
pub(super) fn compute_again(mut graph: Graph, lowered: &Lowered, chosen: &BTreeMap<NodeId, Again>) -> Graph {
    let order = graph.order();
    let rank: BTreeMap<NodeId, usize> = order.iter().enumerate().map(|(rank, id)| (*id, rank)).collect();
    let stages = lowered.stages.iter().enumerate();
    let stage_of =
        stages.flat_map(|(number, stage)| stage.cluster.members.iter().map(move |id| (*id, number)));
    let mut writer = Writer {
        graph: &mut graph,
        homes: &lowered.homes,
        stage_of: stage_of.collect(),
        chosen,
        seconds: BTreeMap::new(),
    };
    let mut values: Vec<NodeId> = chosen.keys().copied().collect();
    values.sort_by_key(|id| rank[id]);
    for value in values {
        writer.compute(value, &chosen[&value], &rank);
    }
    for id in graph.order().into_iter().rev() {
        let is_added = graph.node(id).again || graph.operator(id).is_some_and(|op| is_view(&op.lower()));
        if is_added && graph.readers(id).is_empty() && !graph.is_output(id) {
            graph.remove(id);
        } else {
            graph.node_mut(id).cluster = None;
        }
    }
    graph
}

struct Writer<'a> {
    graph: &'a mut Graph,
    homes: &'a Homes,
    /// The kernel of each value that was there before.
    stage_of: BTreeMap<NodeId, usize>,
    chosen: &'a BTreeMap<NodeId, Again>,
    /// The second computation of each chosen value and of the parts that lie in it.
    seconds: BTreeMap<NodeId, NodeId>,
}

impl Writer<'_> {
    fn compute(&mut self, value: NodeId, again: &Again, rank: &BTreeMap<NodeId, usize>) {
        let mut computed: Vec<NodeId> = again.computed.iter().copied().collect();
        computed.sort_by_key(|id| rank[id]);
        let mut copies: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for id in computed {
            let op = self.graph.operator(id).expect("what is computed again has an operator").clone();
            self.graph.set_origin(Origin::of_derived(&self.graph.node(id).origin));
            let operands = self.graph.operands(id);
            let operands: Vec<NodeId> =
                operands.into_iter().map(|operand| self.operand(operand, again, &copies)).collect();
            let copy = self.graph.must_shared(op, &operands);
            self.graph.node_mut(copy).again = true;
            copies.insert(id, copy);
        }
        copies.retain(|id, _| self.homes.root(*id) == value);
        for (id, copy) in copies {
            self.hand_over(id, copy, again.after);
            self.seconds.insert(id, copy);
        }
    }

    /// What a second computation reads for an operand of the first.
    fn operand(&mut self, operand: NodeId, again: &Again, copies: &BTreeMap<NodeId, NodeId>) -> NodeId {
        if let Some(copy) = copies.get(&operand) {
            return *copy;
        }
        if let Some(second) = self.seconds.get(&operand)
            && again.until > self.chosen[&self.homes.root(operand)].after
        {
            return *second;
        }
        match self.view(operand) {
            Some(of) => {
                let read = self.operand(of, again, copies);
                if read == of { operand } else { self.view_of(operand, read) }
            }
            None => operand,
        }
    }

    /// The operand of a view.
    fn view(&self, id: NodeId) -> Option<NodeId> {
        self.graph.operator(id).filter(|op| is_view(&op.lower()))?;
        self.graph.operands(id).first().copied()
    }

    /// The same view of another value.
    fn view_of(&mut self, view: NodeId, value: NodeId) -> NodeId {
        let op = self.graph.operator(view).expect("a view is an operator").clone();
        self.graph.set_origin(self.graph.node(view).origin.clone());
        self.graph.must_shared(op, &[value])
    }

    /// Lets the readers of a value after a stage read another one, through the same views.
    fn hand_over(&mut self, from: NodeId, to: NodeId, after: usize) {
        for (reader, slot) in self.graph.readers(from) {
            if self.view(reader).is_some() {
                if self.is_read_after(reader, after) {
                    let view = self.view_of(reader, to);
                    self.hand_over(reader, view, after);
                }
                if self.graph.readers(reader).is_empty() && !self.graph.is_output(reader) {
                    self.graph.remove(reader);
                }
            } else if self.stage_of.get(&reader).is_some_and(|stage| *stage > after) {
                self.graph.set_operand(reader, slot, to);
            }
        }
    }

    /// Whether a kernel after this stage reads the value through a view.
    fn is_read_after(&self, view: NodeId, after: usize) -> bool {
        self.graph.readers(view).into_iter().any(|(reader, _)| match self.view(reader) {
            Some(_) => self.is_read_after(reader, after),
            None => self.stage_of.get(&reader).is_some_and(|stage| *stage > after),
        })
    }
}
