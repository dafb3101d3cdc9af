//! The operands and results of formulas: blocks of lanes from memory, and back into it.

use half::slice::HalfFloatSliceExt;
use nnc_wgsl::{Element, HOST_SEED, HOST_SLOTS, HOST_STEP, Place, Read, Write, random_uniforms};

use super::formula::BLOCK;
use super::memory::{Memory, Run};
use super::tile::{Axes, Tile};

/// A tensor in memory: which block, and where it begins there, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    /// The block, by its place among those of the program.
    pub(super) memory: usize,
    /// Where its first element lies, a multiple of 4.
    pub(super) begin: u64,
}

/// What a step works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a> {
    /// The blocks of memory of the program.
    pub(super) memories: &'a [std::sync::Arc<Memory>],
    /// The host scalars.
    pub(super) host: &'a [u32; HOST_SLOTS],
}

/// An operand of a formula over a space.
#[derive(Clone, Debug)]
pub(super) struct Load {
    kind: Kind,
    place: Place,
}

#[derive(Clone, Debug)]
enum Kind {
    Tensor(Element, Tensor),
    Padded {
        element: Element,
        tensor: Tensor,
        inside: Vec<(u32, u32)>,
        value: f32,
    },
    Host {
        slot: usize,
    },
    Iota,
    Random {
        stream: u32,
    },
    /// It is not used.
    Nothing,
}

impl Load {
    /// The operand for a read of a checked specification; `tensor` is where it lies if it is in memory.
    pub(super) fn new(read: &Read, tensor: Option<Tensor>) -> Load {
        let nowhere = || Load { kind: Kind::Nothing, place: Place { offset: 0, strides: Vec::new() } };
        let (kind, place) = match (read, tensor) {
            (Read::Buffer { element, place }, Some(tensor)) => {
                (Kind::Tensor(*element, tensor), place.clone())
            }
            (Read::Padded { element, place, inside, value }, tensor) => {
                let beyond = inside.iter().any(|(_, extent)| *extent == 0);
                let tensor = tensor.or(beyond.then_some(Tensor { memory: 0, begin: 0 }));
                let Some(tensor) = tensor else { return nowhere() };
                let outside = match element {
                    Element::F32 | Element::F16 | Element::U8 => value.value() as f32,
                    Element::I32 | Element::Bool => f32::from_bits((value.value() as i32).cast_unsigned()),
                };
                let kind = Kind::Padded { element: *element, tensor, inside: inside.clone(), value: outside };
                (kind, place.clone())
            }
            (Read::Host { slot, .. }, _) => {
                (Kind::Host { slot: *slot as usize }, Place { offset: 0, strides: Vec::new() })
            }
            (Read::Iota { place }, _) => (Kind::Iota, place.clone()),
            (Read::Random { stream, place }, _) => (Kind::Random { stream: *stream }, place.clone()),
            (Read::Buffer { .. }, None) => return nowhere(),
        };
        Load { kind, place }
    }

    /// Whether it is a tensor whose neighbours along this axis are neighbours in memory.
    pub(super) fn is_dense(&self, axis: usize) -> bool {
        let in_memory = matches!(self.kind, Kind::Tensor(..) | Kind::Padded { .. });
        in_memory && self.place.strides.get(axis) == Some(&1)
    }

    /// Fills lanes with the points of a box from number `start` on.
    pub(super) fn load(&self, data: Data<'_>, tile: Tile<'_>, start: usize, into: &mut [f32]) {
        let count = into.len();
        match &self.kind {
            Kind::Nothing => into.fill(0.0),
            Kind::Host { slot } => into.fill(f32::from_bits(data.host[*slot])),
            Kind::Tensor(element, tensor) => {
                let memory = &data.memories[tensor.memory];
                let base = self.base(tile) + first(*element, tensor);
                Axes::new(tile.extents, &self.place.strides).runs(base, start, count, |lane, many, run| {
                    load_run(memory, *element, run, &mut into[lane..lane + many]);
                });
            }
            Kind::Padded { element, tensor, inside, value } => {
                let memory = &data.memories[tensor.memory];
                self.padded(tile, inside, start, into, *value, |run, lanes| {
                    let run = Run { first: run.first + first(*element, tensor), ..run };
                    load_run(memory, *element, run, lanes);
                });
            }
            Kind::Iota => {
                let base = self.base(tile);
                Axes::new(tile.extents, &self.place.strides).runs(base, start, count, |lane, many, run| {
                    for (k, to) in (0..).zip(&mut into[lane..lane + many]) {
                        *to = f32::from_bits(((run.first + k * run.stride) as i32).cast_unsigned());
                    }
                });
            }
            Kind::Random { stream } => {
                let base = self.base(tile);
                let (seed, step) = (data.host[HOST_SEED as usize], data.host[HOST_STEP as usize]);
                Axes::new(tile.extents, &self.place.strides).runs(base, start, count, |lane, many, run| {
                    let lanes = &mut into[lane..lane + many];
                    random_uniforms([seed, step, *stream], run.first as u32, run.stride as u32, lanes);
                });
            }
        }
    }

    /// The place of the first point of a box.
    fn base(&self, tile: Tile<'_>) -> i64 {
        place_of(&self.place, tile.origin)
    }

    /// Runs over the innermost axis, of which those parts that lie inside are loaded and the others filled.
    fn padded(
        &self,
        tile: Tile<'_>,
        inside: &[(u32, u32)],
        start: usize,
        into: &mut [f32],
        value: f32,
        load: impl Fn(Run, &mut [f32]),
    ) {
        let axes = tile.extents.len();
        let Some(last) = axes.checked_sub(1) else {
            return load(Run { first: self.place.offset, stride: 0 }, into);
        };
        let mut at = [0u32; super::tile::AXES];
        let at = &mut at[..axes];
        super::tile::coordinates(tile.extents, start, at);
        let mut lane = 0;
        while lane < into.len() {
            let count = ((tile.extents[last] - at[last]) as usize).min(into.len() - lane);
            let lanes = &mut into[lane..lane + count];
            let is_inside = |axis: usize| {
                let (low, extent) = inside[axis];
                (tile.origin[axis] + at[axis]).checked_sub(low).is_some_and(|c| c < extent)
            };
            let begin = i64::from(tile.origin[last] + at[last]);
            let (low, extent) = (i64::from(inside[last].0), i64::from(inside[last].1));
            let from = (low - begin).clamp(0, count as i64) as usize;
            let to = (low + extent - begin).clamp(0, count as i64) as usize;
            if from < to && (0..last).all(is_inside) {
                lanes[..from].fill(value);
                lanes[to..].fill(value);
                let place = self.place.offset
                    + (0..axes)
                        .map(|a| i64::from(tile.origin[a] + at[a]) * self.place.strides[a])
                        .sum::<i64>();
                let stride = self.place.strides[last];
                load(Run { first: place + from as i64 * stride, stride }, &mut lanes[from..to]);
            } else {
                lanes.fill(value);
            }
            lane += count;
            at[last] = 0;
            for axis in (0..last).rev() {
                at[axis] += 1;
                if at[axis] < tile.extents[axis] {
                    break;
                }
                at[axis] = 0;
            }
        }
    }
}

/// A result of a formula over a space.
#[derive(Clone, Debug)]
pub(super) struct Store {
    element: Element,
    tensor: Tensor,
    place: Place,
}

impl Store {
    /// The result for a write of a checked specification.
    pub(super) fn new(write: &Write, tensor: Tensor) -> Store {
        Store { element: write.element, tensor, place: write.place.clone() }
    }

    /// Writes lanes to the points of a box from number `start` on.
    pub(super) fn store(&self, data: Data<'_>, tile: Tile<'_>, start: usize, from: &[f32]) {
        let memory = &data.memories[self.tensor.memory];
        let base = place_of(&self.place, tile.origin) + first(self.element, &self.tensor);
        Axes::new(tile.extents, &self.place.strides).runs(base, start, from.len(), |lane, many, run| {
            let lanes = &from[lane..lane + many];
            match self.element {
                Element::F32 | Element::I32 | Element::Bool | Element::U8 => memory.store_words(run, lanes),
                Element::F16 => {
                    let mut halves = [half::f16::ZERO; BLOCK];
                    let mut run = run;
                    for lanes in lanes.chunks(BLOCK) {
                        let halves = &mut halves[..lanes.len()];
                        halves.convert_from_f32_slice(lanes);
                        memory.store_halves(run, HalfFloatSliceExt::reinterpret_cast(&*halves));
                        run.first += lanes.len() as i64 * run.stride;
                    }
                }
            }
        });
    }
}

/// Where a point lies, in elements.
pub(super) fn place_of(place: &Place, point: &[u32]) -> i64 {
    place.offset + point.iter().zip(&place.strides).map(|(&c, &s)| i64::from(c) * s).sum::<i64>()
}

/// Where a tensor begins in its block, in elements.
pub(super) fn first(element: Element, tensor: &Tensor) -> i64 {
    let bytes = tensor.begin as i64;
    match element {
        Element::F32 | Element::I32 | Element::Bool => bytes / 4,
        Element::F16 => bytes / 2,
        Element::U8 => bytes,
    }
}

/// Loads a run of elements, widened to lanes.
#[inline]
pub(super) fn load_run(memory: &Memory, element: Element, run: Run, into: &mut [f32]) {
    match element {
        Element::F32 | Element::I32 => memory.load_words(run, into),
        Element::Bool => {
            memory.load_words(run, into);
            into.iter_mut().for_each(|lane| *lane = f32::from_bits(u32::from(lane.to_bits() != 0)));
        }
        Element::F16 => {
            let mut halves = [0u16; BLOCK];
            let mut run = run;
            for lanes in into.chunks_mut(BLOCK) {
                let halves = &mut halves[..lanes.len()];
                memory.load_halves(run, halves);
                let halves: &[half::f16] = half::slice::HalfBitsSliceExt::reinterpret_cast(&*halves);
                halves.convert_to_f32_slice(lanes);
                run.first += lanes.len() as i64 * run.stride;
            }
        }
        Element::U8 => memory.load_bytes(run, into),
    }
}
