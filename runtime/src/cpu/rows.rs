//! Reductions with the maps around them.
//!
//! Where the values of a row lie side by side, lanes run along it, and their totals are folded in a fixed order. Where
//! neighbouring rows do, or rows are short, lanes run across the rows. Where there are few rows and they are long, each
//! is cut into parts of a fixed length, whose totals are combined in order.

use nnc_wgsl::schedule::{Reduction, RowSpec};

use super::access::{Data, Load, Store};
use super::formula::{BLOCK, Formula, Registers};
use super::memory::{Memory, Run};
use super::step::Areas;
use super::team::{Needs, Scratch, Team};
use super::tile::{AXES, Tile, coordinates};
use super::vector::{Combine, combine};

/// Rows of so many points are cut, where there are few of them.
const LONG: usize = 1 << 14;

/// The fewest tasks for which rows are not cut.
const TASKS: usize = 16;

/// A row this short is not worth lanes of its own.
const SHORT: usize = 24;

/// Rows on their memory.
#[derive(Debug)]
pub(super) struct Rows {
    kept: Vec<u32>,
    reduced: Vec<u32>,
    rows: usize,
    length: usize,
    across: bool,
    /// Points of the reduced axes in each part.
    part: usize,
    loads: Vec<Load>,
    steps: Vec<(Reduction, Formula)>,
    row: Formula,
    row_stores: Vec<Store>,
    element: Formula,
    element_stores: Vec<Store>,
}

/// A task: the rows of a block, and the points of a part.
#[derive(Clone, Copy)]
struct Block {
    row: usize,
    rows: usize,
    first: usize,
    points: usize,
    part: usize,
}

impl Rows {
    pub(super) fn new(spec: &RowSpec, areas: &Areas<'_>) -> Rows {
        let count = |extents: &[u32]| extents.iter().map(|&extent| extent as usize).product::<usize>();
        let (rows, length) = (count(&spec.kept), count(&spec.reduced));
        let loads = areas.loads(&spec.reads, 0);
        let last = |extents: &[u32]| extents.iter().rposition(|&extent| extent > 1);
        let dense =
            |axis: Option<usize>| loads.iter().filter(|load| axis.is_some_and(|a| load.is_dense(a))).count();
        let along = dense(last(&spec.reduced).map(|axis| spec.kept.len() + axis));
        let across = rows > 1 && (length <= SHORT || dense(last(&spec.kept)) > along);
        let blocks = if across { rows.div_ceil(BLOCK) } else { rows };
        let cut = blocks < TASKS && rows.min(BLOCK) * length > LONG && length > 1;
        let lanes = if across { rows.min(BLOCK) } else { 1 };
        let part = if cut { (LONG / lanes).clamp(1, length) } else { length };
        Rows {
            rows,
            length,
            across,
            part,
            steps: spec.steps.iter().map(|step| (step.reduction, Formula::new(&step.expr))).collect(),
            row: Formula::new(&spec.row_expr),
            row_stores: areas.stores(&spec.row_writes, 0),
            element: Formula::new(&spec.element_expr),
            element_stores: areas.stores(&spec.element_writes, spec.row_writes.len()),
            kept: spec.kept.clone(),
            reduced: spec.reduced.clone(),
            loads,
        }
    }

    pub(super) fn needs(&self) -> Needs {
        let formulas = self.steps.iter().map(|(_, formula)| formula).chain([&self.row, &self.element]);
        let shared = self.steps.len() * self.parts() * self.rows.next_multiple_of(BLOCK);
        Needs {
            registers: formulas.map(|formula| formula.registers).max().unwrap_or(0),
            totals: self.steps.len() + 1,
            shared: if self.parts() > 1 { shared } else { 0 },
            ..Needs::default()
        }
    }

    fn parts(&self) -> usize {
        self.length.div_ceil(self.part)
    }

    pub(super) fn run(&self, team: &Team, data: Data<'_>, shared: &Memory) {
        let lanes = if self.across { BLOCK.min(self.rows.div_ceil(TASKS).max(64)) } else { 1 };
        let blocks = self.rows.div_ceil(lanes);
        let parts = self.parts();
        let block = |task: usize| {
            let (row, part) = (task / parts * lanes, task % parts);
            let (rows, first) = ((self.rows - row).min(lanes), part * self.part);
            Block { row, rows, first, points: (self.length - first).min(self.part), part }
        };
        let work = self.rows * self.length * (1 + self.steps.len());
        if parts == 1 {
            // Rows of one lane are taken many at a time.
            let bunch = (4096 / (lanes * self.length)).max(1);
            return team.each(blocks.div_ceil(bunch), work, |task, scratch| {
                for number in task * bunch..(task * bunch + bunch).min(blocks) {
                    let block = block(number);
                    for s in 0..self.steps.len() {
                        self.reduce(team, data, block, s, scratch);
                    }
                    self.write_rows(team, data, block, scratch);
                    self.write_elements(team, data, block, scratch);
                }
            });
        }
        for s in 0..self.steps.len() {
            team.each(blocks * parts, work, |task, scratch| {
                let block = block(task);
                self.known(shared, block, s, scratch);
                self.reduce(team, data, block, s, scratch);
                let place = self.partial(s, block.part, block.row);
                shared.store_words(Run { first: place, stride: 1 }, &scratch.totals[s][..block.rows]);
            });
        }
        team.each(blocks, 0, |task, scratch| {
            let block = block(task * parts);
            self.known(shared, block, self.steps.len(), scratch);
            self.write_rows(team, data, block, scratch);
        });
        if !self.element_stores.is_empty() {
            team.each(blocks * parts, work, |task, scratch| {
                let block = block(task);
                self.known(shared, block, self.steps.len(), scratch);
                self.write_elements(team, data, block, scratch);
            });
        }
    }

    /// Where the totals of a step over a part lie.
    fn partial(&self, step: usize, part: usize, row: usize) -> i64 {
        ((step * self.parts() + part) * self.rows.next_multiple_of(BLOCK) + row) as i64
    }

    /// The totals of the first `steps` steps, from those of their parts in order.
    fn known(&self, shared: &Memory, block: Block, steps: usize, scratch: &mut Scratch) {
        let (totals, spare) = scratch.totals.split_at_mut(self.steps.len());
        let spare = &mut spare[0][..block.rows];
        for (s, total) in totals.iter_mut().enumerate().take(steps) {
            let total = &mut total[..block.rows];
            let load = |part: usize, into: &mut [f32]| {
                shared.load_words(Run { first: self.partial(s, part, block.row), stride: 1 }, into);
            };
            load(0, total);
            for part in 1..self.parts() {
                load(part, spare);
                combine(self.steps[s].0, total, spare);
            }
        }
    }

    /// The total of step `s` for each row of the block.
    fn reduce(&self, team: &Team, data: Data<'_>, block: Block, s: usize, scratch: &mut Scratch) {
        let (reduction, formula) = &self.steps[s];
        let Scratch { registers, totals, .. } = scratch;
        let mut total = std::mem::take(&mut totals[s]);
        if self.across {
            total[..block.rows].fill(initial(*reduction));
            self.each_point(block, |tile| {
                self.evaluate(team, data, formula, tile, [block.row, block.rows], registers, totals);
                let values = formula.result(registers, 0, block.rows);
                let total = &mut total[..block.rows];
                team.arch.dispatch(Combine { reduction: *reduction, total, more: values });
            });
        } else {
            let lanes = block.points.min(BLOCK);
            total[..lanes].fill(initial(*reduction));
            self.each_stretch(block, |tile, start, count| {
                self.evaluate(team, data, formula, tile, [start, count], registers, totals);
                let values = formula.result(registers, 0, count);
                let total = &mut total[..count];
                team.arch.dispatch(Combine { reduction: *reduction, total, more: values });
            });
            let mut lanes = lanes;
            while lanes > 1 {
                let half = lanes.div_ceil(2);
                let (low, high) = total.split_at_mut(half);
                combine(*reduction, &mut low[..lanes - half], &high[..lanes - half]);
                lanes = half;
            }
        }
        totals[s] = total;
    }

    fn write_rows(&self, team: &Team, data: Data<'_>, block: Block, scratch: &mut Scratch) {
        if self.row_stores.is_empty() {
            return;
        }
        let Scratch { registers, totals, .. } = scratch;
        let mut origin = [0; AXES];
        let mut extents = [1; AXES];
        let axes = self.kept.len() + self.reduced.len();
        extents[..self.kept.len()].copy_from_slice(&self.kept);
        let tile = Tile { origin: &origin[..axes], extents: &extents[..axes] };
        let lanes = [block.row, block.rows];
        self.row.evaluate(team.arch, registers, block.rows, |k, into| {
            match k.checked_sub(self.loads.len()) {
                None => self.loads[k].load(data, tile, lanes[0], into),
                Some(step) => into.copy_from_slice(&totals[step][..into.len()]),
            }
        });
        origin = [0; AXES];
        let kept = Tile { origin: &origin[..self.kept.len()], extents: &self.kept };
        for (k, store) in self.row_stores.iter().enumerate() {
            store.store(data, kept, block.row, self.row.result(registers, k, block.rows));
        }
    }

    fn write_elements(&self, team: &Team, data: Data<'_>, block: Block, scratch: &mut Scratch) {
        if self.element_stores.is_empty() {
            return;
        }
        let Scratch { registers, totals, .. } = scratch;
        let mut write = |tile: Tile<'_>, start: usize, count: usize| {
            self.evaluate(team, data, &self.element, tile, [start, count], registers, totals);
            for (k, store) in self.element_stores.iter().enumerate() {
                store.store(data, tile, start, self.element.result(registers, k, count));
            }
        };
        if self.across {
            self.each_point(block, |tile| write(tile, block.row, block.rows));
        } else {
            self.each_stretch(block, write);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn evaluate(
        &self,
        team: &Team,
        data: Data<'_>,
        formula: &Formula,
        tile: Tile<'_>,
        [start, count]: [usize; 2],
        registers: &mut Registers,
        totals: &Registers,
    ) {
        formula.evaluate(team.arch, registers, count, |k, into| match k.checked_sub(self.loads.len()) {
            None => self.loads[k].load(data, tile, start, into),
            Some(step) if self.across => into.copy_from_slice(&totals[step][..into.len()]),
            Some(step) => into.fill(totals[step][0]),
        });
    }

    /// The boxes of all rows at each point of a part.
    fn each_point(&self, block: Block, mut each: impl FnMut(Tile<'_>)) {
        let (kept, axes) = (self.kept.len(), self.kept.len() + self.reduced.len());
        let (mut origin, mut extents) = ([0; AXES], [1; AXES]);
        extents[..kept].copy_from_slice(&self.kept);
        coordinates(&self.reduced, block.first, &mut origin[kept..axes]);
        for _ in 0..block.points {
            each(Tile { origin: &origin[..axes], extents: &extents[..axes] });
            for axis in (kept..axes).rev() {
                origin[axis] += 1;
                if origin[axis] < self.reduced[axis - kept] {
                    break;
                }
                origin[axis] = 0;
            }
        }
    }

    /// The box of a row, and blocks of its points.
    fn each_stretch(&self, block: Block, mut each: impl FnMut(Tile<'_>, usize, usize)) {
        let (kept, axes) = (self.kept.len(), self.kept.len() + self.reduced.len());
        let (mut origin, mut extents) = ([0; AXES], [1; AXES]);
        extents[kept..axes].copy_from_slice(&self.reduced);
        coordinates(&self.kept, block.row, &mut origin[..kept]);
        let tile = Tile { origin: &origin[..axes], extents: &extents[..axes] };
        let end = block.first + block.points;
        for start in (block.first..end).step_by(BLOCK) {
            each(tile, start, (end - start).min(BLOCK));
        }
    }
}

/// The reduction of nothing.
pub(super) fn initial(reduction: Reduction) -> f32 {
    match reduction {
        Reduction::Sum => 0.0,
        Reduction::Product => 1.0,
        Reduction::Max => f32::NEG_INFINITY,
        Reduction::Min => f32::INFINITY,
    }
}
