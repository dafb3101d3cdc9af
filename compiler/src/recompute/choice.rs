//! Which values are computed again: at the kernel where the most is alive, the one that is cheapest for its bytes.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::Expr;
use nnc_wgsl::schedule::{ConvKind, Reduction, WindowKind};

use super::timeline::Timeline;
use crate::ir::{Allowance, Graph, Kind, NodeId, Part};
use crate::lower::{Lowered, is_view};
use crate::ops::Lowering;
use crate::plan::Plan;
use crate::summary::flops;

/// Elementwise values of this size are computed again wherever that lowers the peak, in bytes. It takes no launch, because
/// the kernel that reads the value computes it of what is kept anyway; smaller ones are not worth the longer texts.
const WORTH: u64 = 2 << 20;

/// An operand is small, and kept, where the value is this many times as large.
const SMALL: u64 = 32;

/// The most values that are computed again for one.
const TOGETHER: usize = 64;

/// How many operations take as long as moving one byte.
const OPERATIONS: u64 = 6;

/// A value that is computed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Again {
    /// The last stage that uses what was computed first; those after it use the second.
    pub(super) after: usize,
    /// The first stage that uses the second.
    pub(super) until: usize,
    /// What is computed for it, itself among them.
    pub(super) computed: BTreeSet<NodeId>,
}

/// What it takes to compute a value again.
#[derive(Debug, Default)]
struct Bill {
    computed: BTreeSet<NodeId>,
    /// Values in whose memory lies what is read.
    read: BTreeSet<NodeId>,
    /// Those of them that were to go before.
    kept: BTreeSet<NodeId>,
    /// Bytes read and written.
    bytes: u64,
    /// Operations of products.
    operations: u64,
}

impl Bill {
    /// What it costs for each byte that is not kept, in thousandths of a byte moved.
    fn price(&self, bytes: u64) -> u64 {
        (self.bytes + self.operations / OPERATIONS).saturating_mul(1000) / bytes.max(1)
    }
}

/// Which operators may be computed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// Elementwise ones.
    Maps,
    /// Those whose kernels always sum in the same order.
    All,
}

/// Chooses values of one step.
pub(super) struct Chooser<'a> {
    graph: &'a Graph,
    lowered: &'a Lowered,
    timeline: Timeline,
    /// What some kernel writes to memory.
    written: BTreeSet<NodeId>,
    chosen: BTreeMap<NodeId, Again>,
    allowance: Allowance,
}

impl<'a> Chooser<'a> {
    /// Nothing is chosen yet.
    pub(super) fn new(graph: &'a Graph, lowered: &'a Lowered, plan: &Plan) -> Chooser<'a> {
        let works = lowered.stages.iter().flat_map(|stage| &stage.work);
        let written = works.flat_map(|work| work.writes.iter().copied()).collect();
        let timeline = Timeline::new(graph, lowered, plan);
        let allowance = graph.allowance.clone();
        Chooser { graph, lowered, timeline, written, chosen: BTreeMap::new(), allowance }
    }

    /// Chooses large elementwise values while that lowers the peak.
    pub(super) fn choose_cheap(&mut self) {
        while self.choose_at_peak(Means::Maps, WORTH) {}
    }

    /// Chooses values until no more than this many bytes are alive at one time, or nothing lowers the peak.
    pub(super) fn choose_until(&mut self, limit: u64) {
        while self.timeline.peak().1 > limit && self.choose_at_peak(Means::All, 1) {}
    }

    /// What was chosen, by value.
    pub(super) fn finish(self) -> BTreeMap<NodeId, Again> {
        self.chosen
    }

    /// Chooses the cheapest of the values of at least this size that are only kept where the most is alive.
    fn choose_at_peak(&mut self, means: Means, least: u64) -> bool {
        let (peak, _) = self.timeline.peak();
        let mut best: Option<(u64, NodeId, (usize, usize), Bill)> = None;
        for value in self.timeline.values() {
            let bytes = self.timeline.life(value).map_or(0, |life| life.bytes);
            let gap = self.timeline.gap(value, peak).filter(|gap| gap.1 > peak);
            let Some(gap) = gap.filter(|_| bytes >= least && !self.chosen.contains_key(&value)) else {
                continue;
            };
            let Some(bill) = self.bill(value, gap.1, means) else { continue };
            let price = bill.price(bytes);
            if best.as_ref().is_none_or(|(known, ..)| price < *known) {
                best = Some((price, value, gap, bill));
            }
        }
        let Some((_, value, gap, bill)) = best.filter(|_| self.allowance.take_part(Part::Recompute)) else {
            return false;
        };
        self.take(value, gap, bill);
        true
    }

    fn take(&mut self, value: NodeId, gap: (usize, usize), bill: Bill) {
        let (after, until) = gap;
        self.timeline.let_go(value, gap);
        for read in bill.read {
            match self.chosen.get_mut(&read).filter(|other| until > other.after) {
                Some(other) if until < other.until => {
                    self.timeline.bring_forward(read, until, other.until);
                    other.until = until;
                }
                Some(_) => {}
                None => self.timeline.use_at(read, until),
            }
        }
        self.chosen.insert(value, Again { after, until, computed: bill.computed });
    }

    /// What it takes to compute a value again for this stage, if it can be done.
    fn bill(&self, value: NodeId, stage: usize, means: Means) -> Option<Bill> {
        let mut bill = Bill::default();
        self.compute(value, value, stage, means, &mut bill)?;
        let bytes = self.timeline.life(value)?.bytes;
        bill.bytes += bytes;
        let kept: u64 =
            bill.kept.iter().filter_map(|id| self.timeline.life(*id)).map(|life| life.bytes).sum();
        (kept * SMALL / 4 < bytes).then_some(bill)
    }

    /// Adds one computed value to the bill, with what it reads.
    fn compute(&self, value: NodeId, of: NodeId, stage: usize, means: Means, bill: &mut Bill) -> Option<()> {
        if !bill.computed.insert(value) {
            return Some(());
        }
        if bill.computed.len() > TOGETHER || self.graph.node(value).product_row.is_some() {
            return None;
        }
        let lowering = self.graph.operator(value)?.lower();
        match lowering {
            Lowering::Map(formula) if self.written.contains(&value) && self.is_rounded(value, &formula) => {
                return None;
            }
            Lowering::Map(_) => {}
            _ if means == Means::Maps => return None,
            Lowering::Concat { .. }
            | Lowering::Pad { .. }
            | Lowering::Window { kind: WindowKind::Max | WindowKind::Mean { .. }, .. }
            | Lowering::Contract { .. }
            | Lowering::Conv { kind: ConvKind::Forward, .. } => {
                bill.operations += flops(self.graph, value);
                bill.bytes += 2 * self.graph.stored_bytes(value) as u64;
            }
            _ => return None,
        }
        self.graph
            .operands(value)
            .into_iter()
            .try_for_each(|operand| self.read(operand, of, stage, means, bill))
    }

    /// Adds what it takes to have an operand at a stage.
    fn read(&self, operand: NodeId, of: NodeId, stage: usize, means: Means, bill: &mut Bill) -> Option<()> {
        let value = self.lowered.layouts[&operand].base;
        let Kind::Operator(op) = &self.graph.node(value).kind else { return Some(()) };
        if matches!(op.lower(), Lowering::Iota { .. }) {
            return Some(());
        }
        if is_view(&op.lower()) {
            return None;
        }
        let holder = self.lowered.homes.root(value);
        let bytes = self.graph.stored_bytes(value) as u64;
        let is_small = bytes * SMALL <= self.timeline.life(of)?.bytes;
        if holder != of && self.written.contains(&value) {
            let Some(life) = self.timeline.life(holder) else { return Some(()) };
            let is_there = life.uses.last().is_some_and(|last| *last >= stage);
            if is_there || is_small {
                bill.read.insert(holder);
                if !is_there {
                    bill.kept.insert(holder);
                }
                bill.bytes += bytes;
                return Some(());
            }
        } else if holder != of && is_small {
            return Some(());
        }
        self.compute(value, of, stage, means, bill)
    }

    /// Whether a kernel that computes the value by this formula and reads it at once may find another number than one that
    /// has it from memory.
    fn is_rounded(&self, value: NodeId, formula: &Expr) -> bool {
        formula.ends_in_quotient() || (formula.ends_in_product() && self.is_added(value))
    }

    /// Whether some reader adds the value to something.
    fn is_added(&self, value: NodeId) -> bool {
        self.graph.readers(value).into_iter().any(|(reader, slot)| {
            match self.graph.operator(reader).map(|op| op.lower()) {
                Some(Lowering::Map(formula)) => formula.adds(slot),
                Some(Lowering::Reduce { reduction: Reduction::Sum, .. }) => true,
                Some(lowering) => is_view(&lowering) && self.is_added(reader),
                None => false,
            }
        })
    }
}
