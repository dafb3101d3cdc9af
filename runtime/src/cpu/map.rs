//! Elementwise work: blocks of lanes over the whole space.

use nnc_wgsl::schedule::MapSpec;

use super::access::{Data, Load, Store};
use super::formula::{BLOCK, Formula};
use super::step::Areas;
use super::team::{Needs, Scratch, Team};
use super::tile::Tile;

/// Lanes of a task.
const TASK: usize = 32 * BLOCK;

/// A map on its memory.
#[derive(Debug)]
pub(super) struct Map {
    extents: Vec<u32>,
    origin: Vec<u32>,
    points: usize,
    formula: Formula,
    loads: Vec<Load>,
    stores: Vec<Store>,
}

impl Map {
    pub(super) fn new(spec: &MapSpec, areas: &Areas<'_>) -> Map {
        Map {
            extents: spec.extents.clone(),
            origin: vec![0; spec.extents.len()],
            points: spec.extents.iter().map(|&extent| extent as usize).product(),
            formula: Formula::new(&spec.expr),
            loads: areas.loads(&spec.reads, 0),
            stores: areas.stores(&spec.writes, 0),
        }
    }

    pub(super) fn needs(&self) -> Needs {
        Needs { registers: self.formula.registers, ..Needs::default() }
    }

    pub(super) fn run(&self, team: &Team, data: Data<'_>) {
        let tile = Tile { origin: &self.origin, extents: &self.extents };
        let work = self.points * (self.formula.instructions.len() + self.stores.len());
        team.each(self.points.div_ceil(TASK), work, |task, scratch| {
            let end = (task * TASK + TASK).min(self.points);
            for start in (task * TASK..end).step_by(BLOCK) {
                let count = (end - start).min(BLOCK);
                self.block(team.arch, data, tile, start, count, scratch);
            }
        });
    }

    fn block(
        &self,
        arch: pulp::Arch,
        data: Data<'_>,
        tile: Tile<'_>,
        start: usize,
        count: usize,
        scratch: &mut Scratch,
    ) {
        let registers = &mut scratch.registers;
        self.formula.evaluate(arch, registers, count, |k, into| self.loads[k].load(data, tile, start, into));
        for (k, store) in self.stores.iter().enumerate() {
            store.store(data, tile, start, self.formula.result(registers, k, count));
        }
    }
}
