//! Elementwise work on the values of an anchor while they are in cache.

use nnc_wgsl::Epilogue;

use super::access::{Data, Load, Store};
use super::formula::{BLOCK, Formula};
use super::step::Areas;
use super::team::Needs;
use super::tile::Tile;

/// An epilogue on its memory.
#[derive(Debug)]
pub(super) struct Finish {
    formula: Formula,
    /// Operands of the formula before `loads`.
    values: usize,
    loads: Vec<Load>,
    stores: Vec<Store>,
}

impl Finish {
    /// The epilogue of an anchor with so many values, whose own operands are the first `anchors` reads.
    pub(super) fn new(epilogue: &Epilogue, values: usize, anchors: usize, areas: &Areas<'_>) -> Finish {
        Finish {
            formula: Formula::new(&epilogue.expr),
            values,
            loads: areas.loads(&epilogue.reads, anchors),
            stores: areas.stores(&epilogue.writes, 0),
        }
    }

    pub(super) fn needs(&self) -> Needs {
        Needs { registers: self.formula.registers, ..Needs::default() }
    }

    /// Finishes the points `start..start + count` of a box; `value` fills lanes with those of value `k` from lane
    /// `begin` of them on.
    pub(super) fn finish(
        &self,
        arch: pulp::Arch,
        data: Data<'_>,
        tile: Tile<'_>,
        [start, count]: [usize; 2],
        registers: &mut super::formula::Registers,
        value: impl Fn(usize, usize, &mut [f32]),
    ) {
        for begin in (0..count).step_by(BLOCK) {
            let lanes = (count - begin).min(BLOCK);
            self.formula.evaluate(arch, registers, lanes, |k, into| match k.checked_sub(self.values) {
                None => value(k, begin, into),
                Some(read) => self.loads[read].load(data, tile, start + begin, into),
            });
            for (k, store) in self.stores.iter().enumerate() {
                store.store(data, tile, start + begin, self.formula.result(registers, k, lanes));
            }
        }
    }
}
