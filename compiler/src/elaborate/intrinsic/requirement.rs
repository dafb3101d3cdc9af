//! What formulas require, seen in the loss also where a formula behind them would drop it: what is not a number passes
//! sums and products, but not a maximum, nor a `tanh`, which a device computes within bounds.

use std::collections::BTreeSet;
use std::sync::Arc;

use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Expr, Term, Unary};

use super::Call;
use super::element::requires;
use super::reduction::reduced;
use crate::elaborate::Expansion;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::value::Tensor;
use crate::ir::{Graph, Kind, NodeId};
use crate::ops::Lowering;
use crate::source::Span;

/// When a requirement holds.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// Where these are true.
    Truth(Tensor),
    /// Where these whole numbers lie in 0..`.1`.
    Inside(Tensor, usize),
}

/// What a formula requires.
#[derive(Clone, Debug)]
pub(in crate::elaborate) struct Requirement {
    /// The value that is not a number where it does not hold.
    value: NodeId,
    held: Held,
    text: String,
}

impl<'a> Elaborator<'a> {
    /// Notes what must hold where `value` is computed. Numbers whose range is declared hold by themselves.
    pub(super) fn must_hold(&mut self, value: NodeId, held: Held, text: &str) {
        requires(self, value, text);
        let checked = matches!(&held, Held::Inside(index, _) if index.range.is_some());
        if !checked && self.expansion != Expansion::Inference {
            self.required.push(Requirement { value, held, text: text.to_owned() });
        }
    }

    /// `loss`, which is not a number where something does not hold that it depends on.
    pub(in crate::elaborate) fn with_requirements(&mut self, loss: NodeId, span: Span) -> Outcome<NodeId> {
        if self.required.is_empty() {
            return Ok(loss);
        }
        let shown = reaching(&self.graph, loss, |graph, node, k| shows(graph, node, k, &self.masks));
        let needed = reaching(&self.graph, loss, |_, _, _| true);
        let hidden = |one: &&Requirement| needed.contains(&one.value) && !shown.contains(&one.value);
        let hidden: Vec<Requirement> = self.required.iter().filter(hidden).cloned().collect();
        let mut total = loss;
        for requirement in hidden {
            total = self.with_requirement(total, &requirement, span)?;
        }
        if let Some(weight) = self.weighed.get(&loss).copied() {
            self.weighed.insert(total, weight);
        }
        Ok(total)
    }

    fn with_requirement(&mut self, loss: NodeId, one: &Requirement, span: Span) -> Outcome<NodeId> {
        self.mark(span);
        let (of, inside) = match &one.held {
            Held::Truth(truth) => (truth, None),
            Held::Inside(index, extent) => (index, Some(i32::try_from(*extent).unwrap_or(i32::MAX))),
        };
        let node = self.graph.map(&[of.node], |b, x| {
            let (zero, one) = (b.real(0.0), b.real(1.0));
            let Some(extent) = inside else { return b.select(x[0], zero, one) };
            let (low, high) = (b.int(0), b.int(extent));
            let (below, above) = (b.binary(Binary::Lt, x[0], low), b.binary(Binary::Ge, x[0], high));
            let lost = b.binary(Binary::Or, below, above);
            b.select(lost, one, zero)
        });
        let broken = self.tensor(node, of.dims.clone());
        let call = Call { name: "require", name_span: span, span, rest: Vec::new(), arguments: Vec::new() };
        let axes: Vec<usize> = (0..broken.rank()).collect();
        let broken = reduced(self, &call, &broken, &axes, false, Reduction::Sum)?;
        self.graph.set_origin(Arc::clone(&self.graph.node(one.value).origin));
        let node = self.graph.map(&[loss, broken.node], |b, x| {
            let (zero, none) = (b.real(0.0), b.real(f64::NAN));
            let holds = b.binary(Binary::Eq, x[1], zero);
            let more = b.select(holds, zero, none);
            b.binary(Binary::Add, x[0], more)
        });
        requires(self, node, &one.text);
        Ok(node)
    }
}

/// The values from which `node` can be reached through operands for which `passes` holds, and itself.
fn reaching(graph: &Graph, node: NodeId, passes: impl Fn(&Graph, NodeId, usize) -> bool) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::from([node]);
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        for (k, operand) in graph.operands(node).into_iter().enumerate() {
            if passes(graph, node, k) && found.insert(operand) {
                open.push(operand);
            }
        }
    }
    found
}

/// Whether `node` is not a number somewhere as soon as its operand `k` is not a number anywhere. Those of `masks` leave out
/// what does not count.
fn shows(graph: &Graph, node: NodeId, k: usize, masks: &BTreeSet<NodeId>) -> bool {
    let Kind::Operator(operator) = &graph.node(node).kind else { return false };
    match operator.lower() {
        Lowering::Map(expr) => spoils(&expr, k) || masks.contains(&node),
        Lowering::Reduce { reduction, .. } => matches!(reduction, Reduction::Sum | Reduction::Product),
        Lowering::Reshape | Lowering::Permute(_) | Lowering::Broadcast | Lowering::Contract { .. } => true,
        _ => false,
    }
}

/// Whether the result is not a number where operand `k` is not.
fn spoils(expr: &Expr, k: usize) -> bool {
    let mut spoiled: Vec<bool> = Vec::with_capacity(expr.terms().len());
    for term in expr.terms() {
        spoiled.push(match term {
            Term::Operand(operand, _) => *operand as usize == k,
            Term::Unary(Unary::Neg | Unary::Abs | Unary::Exp | Unary::Log | Unary::Sqrt, x) => {
                spoiled[x.index()]
            }
            Term::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Div, x, y) => {
                spoiled[x.index()] || spoiled[y.index()]
            }
            Term::Select { yes, no, .. } => spoiled[yes.index()] && spoiled[no.index()],
            _ => false,
        });
    }
    expr.results().iter().any(|result| spoiled[result.index()])
}
