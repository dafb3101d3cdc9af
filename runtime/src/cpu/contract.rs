//! Matrix products with their epilogues.

use nnc_wgsl::schedule::{ContractSpec, Matrix};

use super::access::{Data, Tensor};
use super::epilogue::Finish;
use super::memory::Memory;
use super::product::{self, Dense, Extents, Tiling};
use super::step::Areas;
use super::team::{Needs, Team};
use super::tile::{Axes, Tile};

/// A product on its memory.
#[derive(Debug)]
pub(super) struct Contract {
    extents: Extents,
    tiling: Tiling,
    left: Dense,
    right: Dense,
    finish: Finish,
}

impl Contract {
    pub(super) fn new(spec: &ContractSpec, areas: &Areas<'_>) -> Contract {
        let &ContractSpec { batch, m, n, parts, k, .. } = spec;
        let [left, right] = [areas.read(0), areas.read(1)];
        let [batch, m, n, parts, k] = [batch, m, n, parts, k].map(|extent| extent as usize);
        let extents = Extents { batch, m, n, parts, k };
        let operand = |matrix: &Matrix, tensor: Tensor, [lines, line]: [i64; 2], term: i64| Dense {
            element: matrix.element,
            tensor,
            offset: matrix.offset,
            batch: matrix.batch,
            lines: Axes::line(lines as usize, line),
            terms: Axes::line(k, term),
        };
        Contract {
            tiling: Tiling::new(&extents),
            left: operand(&spec.left, left, [m as i64, spec.left.row], spec.left.column),
            right: operand(&spec.right, right, [(n * parts) as i64, spec.right.column], spec.right.row),
            finish: Finish::new(&spec.epilogue, parts, 2, areas),
            extents,
        }
    }

    pub(super) fn needs(&self, width: usize) -> Needs {
        product::needs(&self.extents, &self.tiling, width).or(self.finish.needs())
    }

    pub(super) fn run(&self, team: &Team, data: Data<'_>, shared: &Memory) {
        let operands: [&dyn product::Operand; 2] = [&self.left, &self.right];
        product::multiply(team, data, &self.extents, &self.tiling, operands, shared, |tile, registers| {
            let ([i, rows], [j, columns]) = (tile.rows, tile.columns);
            let origin = [tile.batch, i, j].map(|at| at as u32);
            let extents = [1, rows as u32, columns as u32];
            let lanes = [0, rows * columns];
            let place = Tile { origin: &origin, extents: &extents };
            self.finish.finish(team.arch, data, place, lanes, registers, |part, begin, into| {
                tile.lanes(part, begin, into);
            });
        });
    }
}
