//! Work along the lines of an axis: lookups, sums of what stands at an index, order, running sums.

use nnc_wgsl::schedule::{LineKind, LineSpec};
use nnc_wgsl::{Element, Place};

use super::access::{Data, Tensor, first, load_run, place_of};
use super::epilogue::Finish;
use super::formula::BLOCK;
use super::memory::Run;
use super::step::Areas;
use super::team::{Needs, Scratch, Team};
use super::tile::{AXES, Axes, Tile, coordinates};

/// Lines on their memory.
#[derive(Debug)]
pub(super) struct Lines {
    kind: LineKind,
    extents: Vec<u32>,
    /// The extents but for the axis, which is 1.
    others: Vec<u32>,
    axis: usize,
    length: usize,
    operands: Vec<(Element, Tensor, Place)>,
    finish: Finish,
}

impl Lines {
    pub(super) fn new(spec: &LineSpec, areas: &Areas<'_>) -> Lines {
        let mut others = spec.extents.clone();
        others[spec.axis] = 1;
        let operands = spec.operands.iter().enumerate();
        Lines {
            kind: spec.kind,
            extents: spec.extents.clone(),
            others,
            axis: spec.axis,
            length: spec.length as usize,
            operands: operands
                .map(|(k, (element, place))| (*element, areas.read(k), place.clone()))
                .collect(),
            finish: Finish::new(&spec.epilogue, 1, spec.operands.len(), areas),
        }
    }

    pub(super) fn needs(&self) -> Needs {
        let line = self.length.max(self.extents[self.axis] as usize);
        match self.kind {
            LineKind::Gather => Needs { tile: BLOCK, left: BLOCK, ..self.finish.needs() },
            LineKind::ScatterAdd => Needs { tile: line, left: line, right: line, ..self.finish.needs() },
            LineKind::RunningSum { .. } => Needs { tile: line, left: line, ..self.finish.needs() },
            LineKind::Order { .. } => Needs { tile: line, left: line, order: line, ..self.finish.needs() },
        }
    }

    pub(super) fn run(&self, team: &Team, data: Data<'_>) {
        let points: usize = self.extents.iter().map(|&extent| extent as usize).product();
        if self.kind == LineKind::Gather {
            return team.each(points.div_ceil(BLOCK), points * 4, |task, scratch| {
                let start = task * BLOCK;
                self.look_up(team, data, start, (points - start).min(BLOCK), scratch);
            });
        }
        let count = points / self.extents[self.axis] as usize;
        let longest = self.length.max(self.extents[self.axis] as usize);
        let bunch = (2048 / longest).max(1);
        team.each(count.div_ceil(bunch), count * longest * 4, |task, scratch| {
            for line in task * bunch..(task * bunch + bunch).min(count) {
                self.line(team, data, line, scratch);
            }
        });
    }

    /// Points of a lookup, wherever they lie.
    fn look_up(&self, team: &Team, data: Data<'_>, start: usize, count: usize, scratch: &mut Scratch) {
        let Scratch { registers, tile: values, left: indices, .. } = scratch;
        let (element, tensor, place) = &self.operands[1];
        let memory = &data.memories[tensor.memory];
        let base = place.offset + first(*element, tensor);
        Axes::new(&self.extents, &place.strides).runs(base, start, count, |lane, many, run| {
            load_run(memory, *element, run, &mut indices[lane..lane + many]);
        });
        let (element, tensor, place) = &self.operands[0];
        let memory = &data.memories[tensor.memory];
        let base = place.offset + first(*element, tensor);
        let step = place.strides[self.axis];
        let mut still = [0; AXES];
        still[..place.strides.len()].copy_from_slice(&place.strides);
        still[self.axis] = 0;
        let still = &still[..place.strides.len()];
        let length = self.length as i64;
        Axes::new(&self.extents, still).runs(base, start, count, |lane, many, run| {
            let at = |k: usize| i64::from(indices[lane + k].to_bits().cast_signed());
            let mut k = 0;
            while k < many {
                let index = at(k);
                // Neighbours with one index are neighbours in memory.
                let same = (k..many).take_while(|other| at(*other) == index).count();
                let values = &mut values[lane + k..lane + k + same];
                if (0..length).contains(&index) {
                    let first = run.first + k as i64 * run.stride + index * step;
                    load_run(memory, *element, Run { first, stride: run.stride }, values);
                } else {
                    values.fill(0.0);
                }
                k += same;
            }
        });
        let origin = [0; AXES];
        let place = Tile { origin: &origin[..self.extents.len()], extents: &self.extents };
        self.finish.finish(team.arch, data, place, [start, count], registers, |_, begin, into| {
            into.copy_from_slice(&values[begin..begin + into.len()]);
        });
    }

    /// A whole line.
    fn line(&self, team: &Team, data: Data<'_>, line: usize, scratch: &mut Scratch) {
        let Scratch { registers, tile: result, left: values, right: indices, order, .. } = scratch;
        let mut origin = [0; AXES];
        let origin = &mut origin[..self.extents.len()];
        coordinates(&self.others, line, origin);
        let load = |k: usize, into: &mut [f32]| {
            let (element, tensor, place) = &self.operands[k];
            let run = Run {
                first: place_of(place, origin) + first(*element, tensor),
                stride: place.strides[self.axis],
            };
            load_run(&data.memories[tensor.memory], *element, run, into);
        };
        let extent = self.extents[self.axis] as usize;
        let (values, result) = (&mut values[..self.length], &mut result[..extent]);
        load(0, values);
        match self.kind {
            LineKind::Gather => unreachable!("lookups are made point by point"),
            LineKind::ScatterAdd => {
                let indices = &mut indices[..self.length];
                load(1, indices);
                result.fill(0.0);
                for (index, value) in indices.iter().zip(&*values) {
                    let index = usize::try_from(index.to_bits().cast_signed());
                    if let Some(to) = index.ok().and_then(|index| result.get_mut(index)) {
                        *to += value;
                    }
                }
            }
            LineKind::RunningSum { reverse } => {
                let mut sum = 0.0;
                let mut add = |(to, value): (&mut f32, &f32)| {
                    sum += f64::from(*value);
                    *to = sum as f32;
                };
                match reverse {
                    false => result.iter_mut().zip(&*values).for_each(&mut add),
                    true => result.iter_mut().zip(&*values).rev().for_each(&mut add),
                }
            }
            LineKind::Order { descending } => {
                let order = &mut order[..self.length];
                (0..).zip(&mut *order).for_each(|(place, to)| *to = place);
                let whole = self.operands[0].0 == Element::I32;
                order.sort_unstable_by(|&i, &j| {
                    let (first, second) = if descending { (j, i) } else { (i, j) };
                    let (first, second) = (values[first as usize], values[second as usize]);
                    let keys = match whole {
                        true => Some(first.to_bits().cast_signed().cmp(&second.to_bits().cast_signed())),
                        false => first.partial_cmp(&second),
                    };
                    keys.unwrap_or_else(|| first.is_nan().cmp(&second.is_nan())).then(i.cmp(&j))
                });
                for (to, place) in result.iter_mut().zip(order) {
                    *to = f32::from_bits(*place);
                }
            }
        }
        let mut extents = [1; AXES];
        extents[self.axis] = self.extents[self.axis];
        let place = Tile { origin, extents: &extents[..self.extents.len()] };
        self.finish.finish(team.arch, data, place, [0, extent], registers, |_, begin, into| {
            into.copy_from_slice(&result[begin..begin + into.len()]);
        });
    }
}
