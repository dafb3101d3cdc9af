//! Convolutions and their gradients as products whose one operand, or both, are patches of images, which are packed as
//! they are needed.
//!
//! | kind | rows | columns | terms |
//! |---|---|---|---|
//! | forward | output channels | images and places of the output | input channels and taps |
//! | gradient of the input | input channels | images and places of the input | output channels and taps |
//! | gradient of the weight | output channels | input channels and taps | images and places of the output |

use nnc_wgsl::schedule::{ConvKind, ConvSpec};

use super::access::Data;
use super::epilogue::Finish;
use super::memory::Memory;
use super::patches::{Direction, Patches};
use super::product::{self, Dense, Extents, Finished, Operand, Tiling};
use super::step::Areas;
use super::team::{Needs, Team};
use super::tile::{Axes, Tile};

/// A convolution on its memory.
#[derive(Debug)]
pub(super) struct Conv {
    kind: ConvKind,
    extents: Extents,
    tiling: Tiling,
    left: Dense,
    right: Patches,
    finish: Finish,
    /// The axes of a channel of the result: its sides, or a filter's channels and sides.
    sides: Vec<u32>,
    /// Channels of the result in each group.
    channels: usize,
}

impl Conv {
    pub(super) fn new(spec: &ConvSpec, areas: &Areas<'_>) -> Conv {
        let count = |sides: &[u32; 3]| sides.iter().map(|&side| side as usize).product::<usize>();
        let [n, c, o, groups] = [spec.n, spec.c, spec.o, spec.groups].map(|extent| extent as usize);
        let (cg, og) = (c / groups, o / groups);
        let (taps, places) = (count(&spec.kernel), count(&spec.output));
        let signed = |number: usize| number as i64;
        let flat = usize::from(!spec.is_deep());
        let filter = signed(cg * taps);
        // The weights `[o, c / groups, taps]`, or the gradient of the output `[n, o, places]`.
        let (extents, lines, terms, group) = match spec.kind {
            ConvKind::Forward => {
                let extents = Extents { batch: groups, m: og, n: n * places, parts: 1, k: cg * taps };
                (extents, Axes::line(og, filter), Axes::line(cg * taps, 1), signed(og) * filter)
            }
            ConvKind::InputGradient => {
                let inputs = count(&spec.input);
                let extents = Extents { batch: groups, m: cg, n: n * inputs, parts: 1, k: og * taps };
                let terms = Axes::new(&[og as u32, taps as u32], &[filter, 1]);
                (extents, Axes::line(cg, signed(taps)), terms, signed(og) * filter)
            }
            ConvKind::WeightGradient => {
                let extents = Extents { batch: groups, m: og, n: cg * taps, parts: 1, k: n * places };
                let terms = Axes::new(&[spec.n, places as u32], &[signed(o * places), 1]);
                (extents, Axes::line(og, signed(places)), terms, signed(og * places))
            }
        };
        let left = Dense {
            element: spec.elements[1],
            tensor: areas.read(1),
            offset: spec.offsets[1],
            batch: group,
            lines,
            terms,
        };
        let (direction, sides, channels) = match spec.kind {
            ConvKind::Forward => (Direction::Forward, spec.output[flat..].to_vec(), og),
            ConvKind::InputGradient => (Direction::Backward, spec.input[flat..].to_vec(), cg),
            ConvKind::WeightGradient => {
                (Direction::Across, [&[cg as u32], &spec.kernel[flat..]].concat(), og)
            }
        };
        Conv {
            kind: spec.kind,
            tiling: Tiling::new(&extents),
            right: Patches::new(spec, direction, areas.read(0)),
            finish: Finish::new(&spec.epilogue, 1, 2, areas),
            extents,
            left,
            sides,
            channels,
        }
    }

    pub(super) fn needs(&self, width: usize) -> Needs {
        product::needs(&self.extents, &self.tiling, width).or(self.finish.needs())
    }

    pub(super) fn run(&self, team: &Team, data: Data<'_>, shared: &Memory) {
        let operands: [&dyn Operand; 2] = [&self.left, &self.right];
        product::multiply(team, data, &self.extents, &self.tiling, operands, shared, |tile, registers| {
            let [i, rows] = tile.rows;
            for row in 0..rows {
                let channel = tile.batch * self.channels + i + row;
                match self.kind {
                    ConvKind::Forward | ConvKind::InputGradient => {
                        self.images(tile, |image, range, begin| {
                            self.channel(
                                team,
                                data,
                                [image, channel],
                                range,
                                registers,
                                tile.row(0, row),
                                begin,
                            );
                        })
                    }
                    ConvKind::WeightGradient => {
                        let [j, columns] = tile.columns;
                        self.channel(team, data, [channel, 0], [j, columns], registers, tile.row(0, row), 0);
                    }
                }
            }
        });
    }

    /// The parts of a tile's columns that belong to one image: the image, the first place and their number, and the
    /// first column.
    fn images(&self, tile: &Finished<'_>, mut each: impl FnMut(usize, [usize; 2], usize)) {
        let places: usize = self.sides.iter().map(|&side| side as usize).product();
        let [j, columns] = tile.columns;
        let mut column = 0;
        while column < columns {
            let (image, place) = ((j + column) / places, (j + column) % places);
            let count = (places - place).min(columns - column);
            each(image, [place, count], column);
            column += count;
        }
    }

    /// Finishes places of one channel of the result.
    #[allow(clippy::too_many_arguments)]
    fn channel(
        &self,
        team: &Team,
        data: Data<'_>,
        [outer, channel]: [usize; 2],
        range: [usize; 2],
        registers: &mut super::formula::Registers,
        values: &[f32],
        begin: usize,
    ) {
        let (mut origin, mut extents) = ([0; 5], [1; 5]);
        // The weight's second axis is one of its sides here.
        let fixed = if self.kind == ConvKind::WeightGradient { 1 } else { 2 };
        origin[..2].copy_from_slice(&[outer as u32, channel as u32]);
        let axes = fixed + self.sides.len();
        extents[fixed..axes].copy_from_slice(&self.sides);
        let tile = Tile { origin: &origin[..axes], extents: &extents[..axes] };
        self.finish.finish(team.arch, data, tile, range, registers, |_, lane, into| {
            into.copy_from_slice(&values[begin + lane..begin + lane + into.len()]);
        });
    }
}
