//! Products of matrices, tile by tile: parts of both operands are packed into panels that stay in cache, and a core of
//! vector instructions multiplies panels in registers.
//!
//! Where the operands come from (matrices, the patches of images) and what becomes of a tile is the caller's. The sum of
//! an element has one order, whatever computes its tile.

mod core;
mod operand;
mod tiling;

pub(super) use self::core::{ROWS, columns};
pub(super) use self::operand::{Dense, EachLine, Operand};
pub(super) use self::tiling::Tiling;

use super::access::Data;
use super::formula::Registers;
use super::memory::{Memory, Run};
use super::team::{Needs, Scratch, Team};

/// Terms of a sum that are packed at a time.
pub(super) const DEPTH: usize = 256;

/// The extents of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    /// Independent products.
    pub(super) batch: usize,
    /// Rows.
    pub(super) m: usize,
    /// Columns of each part.
    pub(super) n: usize,
    /// Parts of the columns that belong together.
    pub(super) parts: usize,
    /// Terms of a sum.
    pub(super) k: usize,
}

/// A finished tile: rows and columns of one product.
#[derive(Debug)]
pub(super) struct Finished<'a> {
    /// Which product.
    pub(super) batch: usize,
    /// The first row, and how many.
    pub(super) rows: [usize; 2],
    /// The first column, and how many.
    pub(super) columns: [usize; 2],
    values: &'a [f32],
    pitch: usize,
    part: usize,
}

impl Finished<'_> {
    /// The values of a row of the tile, of a part of the columns.
    pub(super) fn row(&self, part: usize, row: usize) -> &[f32] {
        &self.values[part * self.part + row * self.pitch..][..self.columns[1]]
    }

    /// Fills lanes with the values of a part from number `begin` on, row by row.
    pub(super) fn lanes(&self, part: usize, begin: usize, into: &mut [f32]) {
        let columns = self.columns[1];
        let (mut row, mut column, mut lane) = (begin / columns, begin % columns, 0);
        while lane < into.len() {
            let count = (columns - column).min(into.len() - lane);
            into[lane..lane + count].copy_from_slice(&self.row(part, row)[column..column + count]);
            (row, column, lane) = (row + 1, 0, lane + count);
        }
    }
}

/// What the tiles of a product take of a thread's memory.
pub(super) fn needs(extents: &Extents, tiling: &Tiling, width: usize) -> Needs {
    let (rows, columns) = (tiling.rows.next_multiple_of(ROWS), tiling.columns.next_multiple_of(width));
    let depth = extents.k.min(DEPTH);
    let shared = if shares(extents, tiling) { extents.batch * packed(extents, tiling) } else { 0 };
    Needs {
        shared,
        tile: extents.parts * rows * columns,
        left: rows * depth,
        right: columns * depth,
        ..Needs::default()
    }
}

/// Floats of a left operand that is packed once for all tiles, at most.
const SHARED: usize = 4 << 20;

/// Whether the left operand is packed once for all tiles: several tiles take each row of it.
fn shares(extents: &Extents, tiling: &Tiling) -> bool {
    let work = extents.m * extents.n * extents.parts * extents.k;
    work > 1 << 18 && extents.n > 2 * tiling.columns && extents.batch * packed(extents, tiling) <= SHARED
}

/// Floats of the packed left operand of one product.
fn packed(extents: &Extents, tiling: &Tiling) -> usize {
    let rows = tiling.rows.next_multiple_of(ROWS);
    extents.m.div_ceil(tiling.rows) * rows * extents.k.next_multiple_of(DEPTH)
}

/// A tile to be computed: first and count of its rows and columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Which product.
    pub(super) batch: usize,
    /// Rows.
    pub(super) rows: [usize; 2],
    /// Columns.
    pub(super) columns: [usize; 2],
    /// Terms of a sum.
    pub(super) terms: usize,
}

impl Block {
    /// Computes the tile, whose rows lie as many floats apart as its columns take whole panels; `packed` is memory for the
    /// panels of both operands.
    pub(super) fn multiply(
        self,
        arch: pulp::Arch,
        data: Data<'_>,
        operands: [&dyn Operand; 2],
        packed: [&mut [f32]; 2],
        tile: &mut [f32],
    ) {
        self.multiply_packed(arch, data, operands, packed, tile, None);
    }

    /// The same; where the left operand is packed already, `known` is where, and the place of its rows there.
    fn multiply_packed(
        self,
        arch: pulp::Arch,
        data: Data<'_>,
        [left, right]: [&dyn Operand; 2],
        packed: [&mut [f32]; 2],
        tile: &mut [f32],
        known: Option<(&Memory, usize)>,
    ) {
        let [packed_left, packed_right] = packed;
        let rows = self.rows[1].next_multiple_of(ROWS);
        let width = columns(arch);
        for begin in (0..self.terms).step_by(DEPTH) {
            let depth = (self.terms - begin).min(DEPTH);
            match known {
                Some((memory, place)) => {
                    let run = Run { first: (place + rows * begin) as i64, stride: 1 };
                    memory.load_words(run, &mut packed_left[..rows * depth]);
                }
                None => operand::pack(left, data, self.batch, self.rows, [begin, depth], ROWS, packed_left),
            }
            operand::pack(right, data, self.batch, self.columns, [begin, depth], width, packed_right);
            let panels = core::Panels {
                left: packed_left,
                right: packed_right,
                depth,
                rows: self.rows[1].div_ceil(ROWS),
                columns: self.columns[1].div_ceil(width),
                begins: begin == 0,
            };
            core::multiply(arch, &panels, tile);
        }
    }
}

/// Computes all tiles; `finish` takes each of them while it is in cache.
pub(super) fn multiply(
    team: &Team,
    data: Data<'_>,
    extents: &Extents,
    tiling: &Tiling,
    [left, right]: [&dyn Operand; 2],
    shared: &Memory,
    finish: impl Fn(&Finished<'_>, &mut Registers) + Sync,
) {
    let &Extents { batch, m, n, parts, k } = extents;
    let width = columns(team.arch);
    let (across, down) = (n.div_ceil(tiling.columns), m.div_ceil(tiling.rows));
    let work = batch * m * n * parts * k.max(4) / 4;
    let whole = packed(extents, tiling);
    // The rows of a tile begin where those of all tiles before it end, padded.
    let place = |z: usize, i: usize| z * whole + i * k.next_multiple_of(DEPTH);
    let known = shares(extents, tiling).then_some(shared);
    if let Some(shared) = known {
        let blocks = k.div_ceil(DEPTH);
        team.each(batch * down * blocks, work, |task, scratch| {
            let (z, row, block) = (task / (down * blocks), task / blocks % down, task % blocks);
            let (i, begin) = (row * tiling.rows, block * DEPTH);
            let (rows, depth) = ((m - i).min(tiling.rows), (k - begin).min(DEPTH));
            operand::pack(left, data, z, [i, rows], [begin, depth], ROWS, &mut scratch.left);
            let rows = rows.next_multiple_of(ROWS);
            let run = Run { first: (place(z, i) + rows * begin) as i64, stride: 1 };
            shared.store_words(run, &scratch.left[..rows * depth]);
        });
    }
    team.each(batch * across * down, work, |task, scratch| {
        let (z, row, column) = (task / (across * down), task / across % down, task % across);
        let (i, j) = (row * tiling.rows, column * tiling.columns);
        let (rows, columns) = ((m - i).min(tiling.rows), (n - j).min(tiling.columns));
        let pitch = columns.next_multiple_of(width);
        let part = rows.next_multiple_of(ROWS) * pitch;
        let Scratch { tile, left: packed_left, right: packed_right, registers, .. } = scratch;
        for p in 0..parts {
            let tile = &mut tile[p * part..(p + 1) * part];
            let block = Block { batch: z, rows: [i, rows], columns: [p * n + j, columns], terms: k };
            let known = known.map(|shared| (shared, place(z, i)));
            block.multiply_packed(team.arch, data, [left, right], [packed_left, packed_right], tile, known);
        }
        let finished =
            Finished { batch: z, rows: [i, rows], columns: [j, columns], values: tile, pitch, part };
        finish(&finished, registers);
    });
}
