//! Rows between products: so many rows at a time that their values stay in cache between the products that open and
//! those that close them.

use nnc_wgsl::schedule::{Factor, ProductRowSpec, Reduction};

use super::access::{Data, Load, Store};
use super::formula::{BLOCK, Formula};
use super::product::{Block, Dense, Operand, ROWS};
use super::rows::initial;
use super::step::Areas;
use super::team::{Needs, Scratch, Team};
use super::tile::{AXES, Axes, Tile, coordinates};
use super::vector::{Combine, combine};

/// Floats of the values of a block of rows.
const VALUES: usize = 32 << 10;

/// The most rows of a block.
const MOST_ROWS: usize = 48;

/// The most columns of a product at a time.
const COLUMNS: usize = 256;

/// Rows on their memory.
#[derive(Debug)]
pub(super) struct ProductRows {
    batch: Vec<u32>,
    rows: usize,
    length: usize,
    /// Rows of a block.
    block: usize,
    openings: Vec<[Side; 2]>,
    depths: Vec<usize>,
    loads: Vec<Load>,
    steps: Vec<(Reduction, Formula)>,
    row: Formula,
    row_stores: Vec<Store>,
    values: Formula,
    closings: Vec<(Side, Store, usize)>,
}

/// An operand of a product over the batch.
#[derive(Debug)]
struct Side {
    dense: Dense,
    /// From one point of the batch to the next, along each axis.
    batch: Vec<i64>,
    /// From one row to the next.
    row: i64,
}

impl Side {
    /// The operand at a point of the batch, from a row on.
    fn at(&self, batch: &[u32], row: usize) -> Dense {
        let mut dense = self.dense.clone();
        dense.offset += batch.iter().zip(&self.batch).map(|(&c, s)| i64::from(c) * s).sum::<i64>();
        dense.offset += row as i64 * self.row;
        dense
    }
}

/// Values of a block of rows as an operand.
struct Values<'a> {
    values: &'a [f32],
    pitch: usize,
}

impl Operand for Values<'_> {
    fn is_by_term(&self) -> bool {
        false
    }

    fn fill(&self, _: Data<'_>, _: usize, line: usize, term: usize, into: &mut [f32]) {
        into.copy_from_slice(&self.values[line * self.pitch + term..][..into.len()]);
    }
}

impl ProductRows {
    pub(super) fn new(spec: &ProductRowSpec, areas: &Areas<'_>) -> ProductRows {
        let axes = spec.batch.len();
        let (rows, length) = (spec.rows as usize, spec.length as usize);
        let side = |factor: &Factor, [lines, line]: [i64; 2], terms: usize, term: i64| {
            let strides = &factor.place.strides;
            let dense = Dense {
                element: spec.factors[factor.slot],
                tensor: areas.read(factor.slot),
                offset: factor.place.offset,
                batch: 0,
                lines: Axes::line(lines as usize, line),
                terms: Axes::line(terms, term),
            };
            Side { dense, batch: strides[..axes].to_vec(), row: strides[axes] }
        };
        let openings = spec.openings.iter().map(|opening| {
            let depth = opening.depth as usize;
            let (row, stream) = (&opening.row.place.strides, &opening.stream.place.strides);
            [
                side(&opening.row, [i64::from(spec.rows), row[axes]], depth, row[axes + 2]),
                side(&opening.stream, [i64::from(spec.length), stream[axes + 1]], depth, stream[axes + 2]),
            ]
        });
        let closings = spec.closings.iter().enumerate().map(|(k, closing)| {
            let stream = &closing.stream.place.strides;
            let lines = [i64::from(closing.columns), stream[axes + 2]];
            let store = &areas.stores(std::slice::from_ref(&closing.write), spec.row_writes.len() + k)[0];
            (side(&closing.stream, lines, length, stream[axes + 1]), store.clone(), closing.columns as usize)
        });
        ProductRows {
            batch: spec.batch.clone(),
            rows,
            length,
            block: (VALUES / length / ROWS * ROWS).clamp(ROWS, MOST_ROWS).min(rows.next_multiple_of(ROWS)),
            openings: openings.collect(),
            depths: spec.openings.iter().map(|opening| opening.depth as usize).collect(),
            loads: areas.loads(&spec.reads, spec.factors.len()),
            steps: spec.steps.iter().map(|step| (step.reduction, Formula::new(&step.expr))).collect(),
            row: Formula::new(&spec.row_expr),
            row_stores: areas.stores(&spec.row_writes, 0),
            values: Formula::new(&spec.values),
            closings: closings.collect(),
        }
    }

    /// Floats from one row of values to the next.
    fn pitch(&self, width: usize) -> usize {
        self.length.next_multiple_of(width)
    }

    pub(super) fn needs(&self, width: usize) -> Needs {
        let formulas = self.steps.iter().map(|(_, formula)| formula).chain([&self.row, &self.values]);
        let arrays = self.openings.len().max(self.closings.len());
        let widest = self.closings.iter().map(|(.., columns)| *columns).max().unwrap_or(0).min(COLUMNS);
        let columns = COLUMNS.next_multiple_of(width);
        Needs {
            registers: formulas.map(|formula| formula.registers).max().unwrap_or(0),
            totals: self.steps.len() + 1,
            tile: self.block * (arrays * self.pitch(width) + widest.max(COLUMNS).next_multiple_of(width)),
            left: self.block * super::product::DEPTH,
            right: columns * super::product::DEPTH,
            ..Needs::default()
        }
    }

    pub(super) fn run(&self, team: &Team, data: Data<'_>) {
        let batch: usize = self.batch.iter().map(|&extent| extent as usize).product();
        let blocks = self.rows.div_ceil(self.block);
        let work = batch * self.rows * self.length * self.depths.iter().sum::<usize>().max(8);
        team.each(batch * blocks, work, |task, scratch| {
            let mut origin = [0; AXES];
            coordinates(&self.batch, task / blocks, &mut origin[..self.batch.len()]);
            let first = task % blocks * self.block;
            self.rows(team, data, &mut origin, first, (self.rows - first).min(self.block), scratch);
        });
    }

    fn rows(
        &self,
        team: &Team,
        data: Data<'_>,
        origin: &mut [u32; AXES],
        first: usize,
        rows: usize,
        scratch: &mut Scratch,
    ) {
        let width = super::product::columns(team.arch);
        let pitch = self.pitch(width);
        let axes = self.batch.len();
        let arrays = self.openings.len().max(self.closings.len());
        let Scratch { registers, totals, tile, left, right, .. } = scratch;
        let (values, product) = tile.split_at_mut(arrays * self.block * pitch);
        for (o, [row, stream]) in self.openings.iter().enumerate() {
            let (row, stream) = (row.at(&origin[..axes], first), stream.at(&origin[..axes], 0));
            let values = &mut values[o * self.block * pitch..][..self.block * pitch];
            self.product(
                team,
                data,
                [&row, &stream],
                rows,
                [self.length, self.depths[o]],
                [left, right],
                product,
                |row, column, from| values[row * pitch + column..][..from.len()].copy_from_slice(from),
            );
        }
        let mut extents = [1; AXES];
        extents[axes + 1] = self.length as u32;
        let at = |k: usize, row: usize, lane: usize| k * self.block * pitch + row * pitch + lane;
        for row in 0..rows {
            origin[axes] = (first + row) as u32;
            let tile = Tile { origin: &origin[..axes + 2], extents: &extents[..axes + 2] };
            let stretches =
                || (0..self.length).step_by(BLOCK).map(|start| (start, (self.length - start).min(BLOCK)));
            for s in 0..self.steps.len() {
                let (reduction, formula) = &self.steps[s];
                let mut total = std::mem::take(&mut totals[s]);
                let mut lanes = self.length.min(BLOCK);
                total[..lanes].fill(initial(*reduction));
                for (start, count) in stretches() {
                    formula.evaluate(team.arch, registers, count, |k, into| {
                        self.operand(data, tile, start, k, totals, &values[at(0, row, start)..], pitch, into);
                    });
                    let more = formula.result(registers, 0, count);
                    let total = &mut total[..count];
                    team.arch.dispatch(Combine { reduction: *reduction, total, more });
                }
                while lanes > 1 {
                    let half = lanes.div_ceil(2);
                    let (low, high) = total.split_at_mut(half);
                    combine(*reduction, &mut low[..lanes - half], &high[..lanes - half]);
                    lanes = half;
                }
                totals[s] = total;
            }
            if !self.row_stores.is_empty() {
                self.row.evaluate(team.arch, registers, 1, |k, into| {
                    self.operand(data, tile, 0, k, totals, &values[at(0, row, 0)..], pitch, into);
                });
                let kept = Tile { origin: &origin[..=axes], extents: &extents[..=axes] };
                for (k, store) in self.row_stores.iter().enumerate() {
                    store.store(data, kept, 0, self.row.result(registers, k, 1));
                }
            }
            for (start, count) in stretches() {
                self.values.evaluate(team.arch, registers, count, |k, into| {
                    self.operand(data, tile, start, k, totals, &values[at(0, row, start)..], pitch, into);
                });
                for k in 0..self.closings.len() {
                    let from = self.values.result(registers, k, count);
                    values[at(k, row, start)..][..count].copy_from_slice(from);
                }
            }
        }
        for (k, (stream, store, columns)) in self.closings.iter().enumerate() {
            let values = Values { values: &values[k * self.block * pitch..], pitch };
            let stream = stream.at(&origin[..axes], 0);
            self.product(
                team,
                data,
                [&values, &stream],
                rows,
                [*columns, self.length],
                [left, right],
                product,
                |row, column, from| {
                    let mut place = *origin;
                    (place[axes], place[axes + 1]) = ((first + row) as u32, column as u32);
                    let mut extents = [1; AXES];
                    extents[axes + 1] = from.len() as u32;
                    let tile = Tile { origin: &place[..axes + 2], extents: &extents[..axes + 2] };
                    store.store(data, tile, 0, from);
                },
            );
        }
    }

    /// An operand of a formula at points of a row; `values` are those of the first opening from there on.
    #[allow(clippy::too_many_arguments)]
    fn operand(
        &self,
        data: Data<'_>,
        tile: Tile<'_>,
        start: usize,
        k: usize,
        totals: &[Vec<f32>],
        values: &[f32],
        pitch: usize,
        into: &mut [f32],
    ) {
        let openings = self.openings.len();
        if k < openings {
            into.copy_from_slice(&values[k * self.block * pitch..][..into.len()]);
        } else if let Some(load) = self.loads.get(k - openings) {
            load.load(data, tile, start, into);
        } else {
            into.fill(totals[k - openings - self.loads.len()][0]);
        }
    }

    /// A product of `rows` rows with `[columns, terms]`, shown row by row in pieces: the row, the first column, the values.
    #[allow(clippy::too_many_arguments)]
    fn product(
        &self,
        team: &Team,
        data: Data<'_>,
        operands: [&dyn Operand; 2],
        rows: usize,
        [columns, terms]: [usize; 2],
        [left, right]: [&mut [f32]; 2],
        tile: &mut [f32],
        mut show: impl FnMut(usize, usize, &[f32]),
    ) {
        let width = super::product::columns(team.arch);
        for begin in (0..columns).step_by(COLUMNS) {
            let count = (columns - begin).min(COLUMNS);
            let pitch = count.next_multiple_of(width);
            let block = Block { batch: 0, rows: [0, rows], columns: [begin, count], terms };
            let tile = &mut tile[..rows.next_multiple_of(ROWS) * pitch];
            block.multiply(team.arch, data, operands, [left, right], tile);
            for (row, values) in tile.chunks(pitch).enumerate().take(rows) {
                show(row, begin, &values[..count]);
            }
        }
    }
}
