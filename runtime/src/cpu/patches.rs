//! The patches of images that the taps of a convolution see, as an operand of a product.

use nnc_wgsl::Element;
use nnc_wgsl::schedule::ConvSpec;

use super::access::{Data, Tensor, first, load_run};
use super::memory::{Memory, Run};
use super::product::{EachLine, Operand};

/// Which way a tap looks, and what the lines of the operand are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From places of the output to the input; a line for each place.
    Forward,
    /// From places of the input to the output; a line for each place.
    Backward,
    /// From places of the output to the input; a line for each tap.
    Across,
}

/// The patches.
#[derive(Debug)]
pub(super) struct Patches {
    direction: Direction,
    element: Element,
    tensor: Tensor,
    offset: i64,
    /// Channels of a group, and of all.
    channels: [usize; 2],
    kernel: [usize; 3],
    /// The sides of what is read.
    from: [usize; 3],
    /// The sides of the places that look at it.
    places: [usize; 3],
    stride: [usize; 3],
    pad: [usize; 3],
    dilation: [usize; 3],
}

impl Patches {
    /// The patches of the first operand of a convolution.
    pub(super) fn new(spec: &ConvSpec, direction: Direction, tensor: Tensor) -> Patches {
        let sides = |sides: [u32; 3]| sides.map(|side| side as usize);
        let (input, output) = (sides(spec.input), sides(spec.output));
        let (from, places, channels) = match direction {
            Direction::Forward | Direction::Across => (input, output, spec.c),
            Direction::Backward => (output, input, spec.o),
        };
        let mut patches = Patches {
            direction,
            element: spec.elements[0],
            tensor,
            offset: spec.offsets[0],
            channels: [(channels / spec.groups) as usize, channels as usize],
            kernel: sides(spec.kernel),
            from,
            places,
            stride: sides(spec.stride),
            pad: sides(spec.pad),
            dilation: sides(spec.dilation),
        };
        // Where every place sees its own alone, an image is one long row.
        if patches.kernel == [1; 3] && patches.stride == [1; 3] && patches.pad == [0; 3] && from == places {
            let row = [1, 1, from.iter().product()];
            (patches.from, patches.places) = (row, row);
        }
        patches
    }

    /// What a tap sees from the places of all images from number `place` on.
    fn see(&self, data: Data<'_>, group: usize, tap: usize, place: usize, into: &mut [f32]) {
        let memory = &data.memories[self.tensor.memory];
        let [_, kh, kw] = self.kernel;
        let volume = self.kernel.iter().product::<usize>();
        let (channel, tap) = (group * self.channels[0] + tap / volume, tap % volume);
        let tap = [tap / (kh * kw), tap / kw % kh, tap % kw];
        let [depth, height, width] = self.places;
        let image: usize = self.from.iter().product();
        let base = self.offset + first(self.element, &self.tensor);
        let (mut place, mut lane) = (place, 0);
        while lane < into.len() {
            let (row, w) = (place / width, place % width);
            let count = (width - w).min(into.len() - lane);
            let lanes = &mut into[lane..lane + count];
            let n = row / (depth * height);
            let at = [row / height % depth, row % height];
            match (self.side(0, at[0], tap[0]), self.side(1, at[1], tap[1])) {
                (Some(d), Some(h)) => {
                    let start =
                        (n * self.channels[1] + channel) * image + (d * self.from[1] + h) * self.from[2];
                    self.row(memory, base + start as i64, w, tap[2], lanes);
                }
                _ => lanes.fill(0.0),
            }
            place += count;
            lane += count;
        }
    }

    /// Where a tap sees along an axis, if inside.
    fn side(&self, axis: usize, place: usize, tap: usize) -> Option<usize> {
        let far = tap * self.dilation[axis];
        let at = match self.direction {
            Direction::Forward | Direction::Across => {
                (place * self.stride[axis] + far).checked_sub(self.pad[axis])?
            }
            Direction::Backward => {
                let at = (place + self.pad[axis]).checked_sub(far)?;
                if at % self.stride[axis] != 0 {
                    return None;
                }
                at / self.stride[axis]
            }
        };
        (at < self.from[axis]).then_some(at)
    }

    /// What a tap sees along a row that begins at `start`, from place `w` on.
    fn row(&self, memory: &Memory, start: i64, w: usize, tap: usize, lanes: &mut [f32]) {
        let count = lanes.len() as i64;
        let [stride, pad, far, width] =
            [self.stride[2], self.pad[2], tap * self.dilation[2], self.from[2]].map(|number| number as i64);
        let w = w as i64;
        match self.direction {
            Direction::Forward | Direction::Across => {
                let begin = w * stride + far - pad;
                // Lanes `low..high` are those for which `0 <= begin + lane * stride < width`.
                let lanes_to = |far: i64| (far.max(0) + stride - 1) / stride;
                let low = lanes_to(-begin).min(count);
                let high = lanes_to(width - begin).clamp(low, count);
                lanes[..low as usize].fill(0.0);
                lanes[high as usize..].fill(0.0);
                if low < high {
                    let run = Run { first: start + begin + low * stride, stride };
                    load_run(memory, self.element, run, &mut lanes[low as usize..high as usize]);
                }
            }
            Direction::Backward => {
                lanes.fill(0.0);
                // The first lane that a window of the output reaches by this tap.
                let begin = w + pad - far;
                let first = if begin < 0 { -begin } else { (stride - begin % stride) % stride };
                let from = (begin + first) / stride;
                let seen = ((count - first).max(0) + stride - 1) / stride;
                let seen = seen.min(width - from).max(0);
                if stride == 1 && seen > 0 {
                    let lanes = &mut lanes[first as usize..(first + seen) as usize];
                    load_run(memory, self.element, Run { first: start + from, stride: 1 }, lanes);
                    return;
                }
                for k in 0..seen {
                    let run = Run { first: start + from + k, stride: 1 };
                    let lane = (first + k * stride) as usize;
                    load_run(memory, self.element, run, &mut lanes[lane..=lane]);
                }
            }
        }
    }
}

/// Neighbouring places of a row, and where the first tap of their windows lies; before the first slab, row or column it is
/// negative.
#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    lane: usize,
    count: usize,
    /// Where the image begins.
    image: i64,
    at: [i64; 3],
}

/// The most segments of the places that are seen at a time.
const SEGMENTS: usize = 64;

impl Patches {
    /// Whether neighbouring places see neighbours, so that rows of them are [segments](Segment).
    fn has_segments(&self, places: usize) -> bool {
        let strided = self.stride[2] != 1 || (self.direction == Direction::Backward && self.stride != [1; 3]);
        !strided && places / self.places[2] + 2 <= SEGMENTS
    }

    /// The segments of so many places from one on, and how many they are.
    fn segments(&self, place: usize, places: usize) -> ([Segment; SEGMENTS], usize) {
        let backward = self.direction == Direction::Backward;
        let [depth, height, width] = self.places;
        let image = self.from.iter().product::<usize>();
        let base = self.offset + first(self.element, &self.tensor);
        let mut segments = [Segment::default(); SEGMENTS];
        let (mut used, mut lane) = (0, 0);
        while lane < places {
            let (line, w) = ((place + lane) / width, (place + lane) % width);
            let count = (width - w).min(places - lane);
            let at = [line / height % depth, line % height, w];
            let at = std::array::from_fn(|axis| {
                let (place, pad) = (at[axis] as i64, self.pad[axis] as i64);
                if backward { place + pad } else { place * self.stride[axis] as i64 - pad }
            });
            let n = line / (depth * height);
            segments[used] = Segment { lane, count, image: base + (n * self.channels[1] * image) as i64, at };
            (used, lane) = (used + 1, lane + count);
        }
        (segments, used)
    }

    /// What a tap sees from the places of segments.
    #[inline]
    fn see_segments(&self, memory: &Memory, group: usize, tap: usize, segments: &[Segment], row: &mut [f32]) {
        let signed = |number: usize| number as i64;
        let [_, kh, kw] = self.kernel;
        let volume = self.kernel.iter().product::<usize>();
        let [slabs, rows, columns] = self.from.map(signed);
        let channel = signed(group * self.channels[0] + tap / volume) * slabs * rows * columns;
        let tap = tap % volume;
        let tap = [tap / (kh * kw), tap / kw % kh, tap % kw];
        let backward = self.direction == Direction::Backward;
        let far: [i64; 3] = std::array::from_fn(|axis| {
            let far = signed(tap[axis] * self.dilation[axis]);
            if backward { -far } else { far }
        });
        for segment in segments {
            let lanes = &mut row[segment.lane..segment.lane + segment.count];
            let [d, h, w] = [0, 1, 2].map(|axis| segment.at[axis] + far[axis]);
            let inside = (0..slabs).contains(&d) && (0..rows).contains(&h);
            let low = (-w).clamp(0, signed(lanes.len()));
            let high = (columns - w).clamp(low, signed(lanes.len()));
            if !inside || low == high {
                lanes.fill(0.0);
                continue;
            }
            let start = segment.image + channel + (d * rows + h) * columns + w + low;
            let (low, high) = (low as usize, high as usize);
            lanes[..low].fill(0.0);
            lanes[high..].fill(0.0);
            load_run(memory, self.element, Run { first: start, stride: 1 }, &mut lanes[low..high]);
        }
    }
}

impl Operand for Patches {
    fn is_by_term(&self) -> bool {
        self.direction != Direction::Across
    }

    fn each_term(
        &self,
        data: Data<'_>,
        group: usize,
        line: usize,
        terms: [usize; 2],
        row: &mut [f32],
        each: &mut dyn FnMut(usize, &[f32]),
    ) {
        if !self.has_segments(row.len()) {
            for k in 0..terms[1] {
                self.see(data, group, terms[0] + k, line, row);
                each(k, row);
            }
            return;
        }
        let memory = &data.memories[self.tensor.memory];
        let (segments, used) = self.segments(line, row.len());
        for k in 0..terms[1] {
            self.see_segments(memory, group, terms[0] + k, &segments[..used], row);
            each(k, row);
        }
    }

    fn each_line(
        &self,
        data: Data<'_>,
        group: usize,
        lines: [usize; 2],
        [term, terms]: [usize; 2],
        each: &mut EachLine<'_>,
    ) {
        let memory = &data.memories[self.tensor.memory];
        let known = self.has_segments(terms).then(|| self.segments(term, terms));
        for l in 0..lines[1] {
            each(l, &mut |row| match &known {
                Some((segments, used)) => {
                    self.see_segments(memory, group, lines[0] + l, &segments[..*used], row);
                }
                None => self.see(data, group, lines[0] + l, term, row),
            });
        }
    }

    fn fill(&self, data: Data<'_>, group: usize, line: usize, term: usize, into: &mut [f32]) {
        match self.direction {
            Direction::Forward | Direction::Backward => self.see(data, group, term, line, into),
            Direction::Across => self.see(data, group, line, term, into),
        }
    }
}
