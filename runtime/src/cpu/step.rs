//! The steps of a program as they are executed: each specification on its memory.

use nnc_wgsl::schedule::Spec;
use nnc_wgsl::{Read, Write};

use super::access::{Data, Load, Store, Tensor};
use super::contract::Contract;
use super::conv::Conv;
use super::lines::Lines;
use super::map::Map;
use super::memory::Memory;
use super::product_rows::ProductRows;
use super::rows::Rows;
use super::team::{Needs, Team};
use super::tile::AXES;
use super::window::Window;

/// Where the tensors of a step lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Areas<'a> {
    /// By the slots of reads.
    pub(super) reads: &'a [Option<Tensor>],
    /// By the slots of writes.
    pub(super) writes: &'a [Tensor],
}

impl Areas<'_> {
    /// The tensor of an anchor's operand.
    pub(super) fn read(&self, slot: usize) -> Tensor {
        self.reads[slot].expect("a valid step gives its anchor all operands")
    }

    /// The operands of formulas whose slots begin at `first`.
    pub(super) fn loads(&self, reads: &[Read], first: usize) -> Vec<Load> {
        (first..).zip(reads).map(|(slot, read)| Load::new(read, self.reads[slot])).collect()
    }

    /// The results of formulas whose slots begin at `first`.
    pub(super) fn stores(&self, writes: &[Write], first: usize) -> Vec<Store> {
        (first..).zip(writes).map(|(slot, write)| Store::new(write, self.writes[slot])).collect()
    }
}

/// A specification on its memory.
#[derive(Debug)]
pub(super) enum Work {
    Map(Map),
    Rows(Rows),
    ProductRows(ProductRows),
    Contract(Box<Contract>),
    Conv(Box<Conv>),
    Window(Window),
    Lines(Lines),
}

impl Work {
    /// Prepares a valid specification.
    pub(super) fn new(spec: &Spec, areas: &Areas<'_>) -> Work {
        match spec {
            Spec::Map(spec) => Work::Map(Map::new(spec, areas)),
            Spec::Row(spec) | Spec::Column(spec) => Work::Rows(Rows::new(spec, areas)),
            Spec::ProductRow(spec) => Work::ProductRows(ProductRows::new(spec, areas)),
            Spec::Contract(spec) => Work::Contract(Box::new(Contract::new(spec, areas))),
            Spec::Conv(spec) => Work::Conv(Box::new(Conv::new(spec, areas))),
            Spec::Window(spec) => Work::Window(Window::new(spec, areas)),
            Spec::Lines(spec) => Work::Lines(Lines::new(spec, areas)),
        }
    }

    /// What it takes of a thread's memory; `width` is that of the core of products.
    pub(super) fn needs(&self, width: usize) -> Needs {
        match self {
            Work::Map(work) => work.needs(),
            Work::Rows(work) => work.needs(),
            Work::ProductRows(work) => work.needs(width),
            Work::Contract(work) => work.needs(width),
            Work::Conv(work) => work.needs(width),
            Work::Window(work) => work.needs(),
            Work::Lines(work) => work.needs(),
        }
    }

    /// Does it, and returns when all of it is done.
    pub(super) fn run(&self, team: &Team, data: Data<'_>, shared: &Memory) {
        match self {
            Work::Map(work) => work.run(team, data),
            Work::Rows(work) => work.run(team, data, shared),
            Work::ProductRows(work) => work.run(team, data),
            Work::Contract(work) => work.run(team, data, shared),
            Work::Conv(work) => work.run(team, data, shared),
            Work::Window(work) => work.run(team, data),
            Work::Lines(work) => work.run(team, data),
        }
    }
}

/// Whether the spaces of a specification have no more axes than an executor walks.
pub(super) fn has_few_axes(spec: &Spec) -> bool {
    let axes = match spec {
        Spec::Map(spec) => spec.extents.len(),
        Spec::Row(spec) | Spec::Column(spec) => spec.kept.len() + spec.reduced.len(),
        Spec::ProductRow(spec) => spec.batch.len() + 3,
        Spec::Contract(_) | Spec::Conv(_) | Spec::Window(_) => 5,
        Spec::Lines(spec) => spec.extents.len(),
    };
    axes <= AXES
}
