//! Pooling and its gradients, plane by plane.

use nnc_wgsl::Element;
use nnc_wgsl::schedule::{WindowKind, WindowSpec};
use pulp::{Simd, WithSimd};

use super::access::{Data, Tensor, first, load_run};
use super::epilogue::Finish;
use super::memory::Run;
use super::step::Areas;
use super::team::{Needs, Scratch, Team};
use super::tile::Tile;

/// A pooling on its memory.
#[derive(Debug)]
pub(super) struct Window {
    kind: WindowKind,
    planes: [u32; 2],
    shape: Shape,
    operands: Vec<(Element, Tensor, i64)>,
    finish: Finish,
}

/// How windows lie over a plane; height and width of each.
#[derive(Clone, Copy, Debug)]
struct Shape {
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    pad: [usize; 2],
    dilation: [usize; 2],
}

impl Shape {
    /// Where a tap of a window lies along an axis, if inside.
    #[inline(always)]
    fn under(&self, axis: usize, place: usize, tap: usize) -> Option<usize> {
        let at = (place * self.stride[axis] + tap * self.dilation[axis]).checked_sub(self.pad[axis])?;
        (at < self.input[axis]).then_some(at)
    }

    /// The places of windows along the width whose tap lies inside.
    fn inside(&self, tap: usize) -> std::ops::Range<usize> {
        let [stride, far, pad] = [self.stride[1], tap * self.dilation[1], self.pad[1]];
        let low = pad.saturating_sub(far).div_ceil(stride).min(self.output[1]);
        let high = (self.input[1] + pad).saturating_sub(far).div_ceil(stride).clamp(low, self.output[1]);
        low..high
    }

    /// Whether windows of two by two lie side by side, and cover the plane.
    fn is_apart(&self) -> bool {
        let covers = |axis: usize| self.input[axis] == 2 * self.output[axis];
        self.kernel == [2; 2]
            && self.stride == [2; 2]
            && self.pad == [0; 2]
            && self.dilation == [1; 2]
            && covers(0)
            && covers(1)
    }

    /// How many taps along an axis lie inside.
    fn taps(&self, axis: usize, place: usize) -> usize {
        (0..self.kernel[axis]).filter(|tap| self.under(axis, place, *tap).is_some()).count()
    }
}

impl Window {
    pub(super) fn new(spec: &WindowSpec, areas: &Areas<'_>) -> Window {
        let sides = |sides: [u32; 2]| sides.map(|side| side as usize);
        let operands = (0..spec.offsets.len()).map(|k| (spec.elements[k], areas.read(k), spec.offsets[k]));
        Window {
            kind: spec.kind,
            planes: spec.planes,
            shape: Shape {
                input: sides(spec.input),
                output: sides(spec.output),
                kernel: sides(spec.kernel),
                stride: sides(spec.stride),
                pad: sides(spec.pad),
                dilation: sides(spec.dilation),
            },
            operands: operands.collect(),
            finish: Finish::new(&spec.epilogue, 1, spec.offsets.len(), areas),
        }
    }

    pub(super) fn needs(&self) -> Needs {
        let count = |sides: [usize; 2]| sides[0] * sides[1];
        let (input, output) = (count(self.shape.input), count(self.shape.output));
        Needs { tile: input, left: output, right: input, ..self.finish.needs() }
    }

    pub(super) fn run(&self, team: &Team, data: Data<'_>) {
        let planes = self.planes[0] as usize * self.planes[1] as usize;
        let Shape { input: [h, w], output: [oh, ow], kernel, .. } = self.shape;
        let work = planes * oh * ow * kernel[0] * kernel[1];
        let bunch = (2048 / (h * w).max(oh * ow)).max(1);
        team.each(planes.div_ceil(bunch), work, |task, scratch| {
            for plane in task * bunch..(task * bunch + bunch).min(planes) {
                self.plane(team, data, plane, scratch);
            }
        });
    }

    fn plane(&self, team: &Team, data: Data<'_>, plane: usize, scratch: &mut Scratch) {
        let shape = self.shape;
        let Shape { input: [h, w], output: [oh, ow], .. } = shape;
        let Scratch { registers, tile: input, left: output, right: result, .. } = scratch;
        let (input, output, result) = (&mut input[..h * w], &mut output[..oh * ow], &mut result[..h * w]);
        let load = |k: usize, into: &mut [f32]| {
            let (element, tensor, offset) = &self.operands[k];
            let begin = first(*element, tensor) + offset + (plane * into.len()) as i64;
            load_run(&data.memories[tensor.memory], *element, Run { first: begin, stride: 1 }, into);
        };
        let (values, sides): (&[f32], _) = match self.kind {
            WindowKind::Max | WindowKind::Mean { .. } => {
                load(0, input);
                team.arch.dispatch(Pool { shape, kind: self.kind, input, output });
                (output, [oh, ow])
            }
            WindowKind::MaxGradient => {
                load(0, input);
                load(1, output);
                if shape.is_apart() {
                    team.arch.dispatch(ToLargest { shape, input, output, result });
                } else {
                    result.fill(0.0);
                    to_largest(shape, input, output, result);
                }
                (result, [h, w])
            }
            WindowKind::MeanGradient { count_pad } => {
                load(0, output);
                result.fill(0.0);
                spread(shape, output, result, count_pad);
                (result, [h, w])
            }
        };
        let [n, c] = [plane as u32 / self.planes[1], plane as u32 % self.planes[1]];
        let place = Tile { origin: &[n, c, 0, 0], extents: &[1, 1, sides[0] as u32, sides[1] as u32] };
        self.finish.finish(team.arch, data, place, [0, values.len()], registers, |_, begin, into| {
            into.copy_from_slice(&values[begin..begin + into.len()]);
        });
    }
}

/// A pooling of a plane, compiled for the instruction set that it is dispatched to.
struct Pool<'a> {
    shape: Shape,
    kind: WindowKind,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Pool<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match self.kind {
            WindowKind::Mean { count_pad } => mean(self.shape, self.input, self.output, count_pad),
            WindowKind::Max | WindowKind::MaxGradient | WindowKind::MeanGradient { .. } => {
                largest(self.shape, self.input, self.output);
            }
        }
    }
}

/// The same as [`to_largest`] for windows of two by two that lie side by side: every place of the result is written once.
struct ToLargest<'a> {
    shape: Shape,
    input: &'a [f32],
    output: &'a [f32],
    result: &'a mut [f32],
}

impl WithSimd for ToLargest<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let ([_, w], [_, ow]) = (self.shape.input, self.shape.output);
        let rows = self.input.chunks_exact(2 * w).zip(self.result.chunks_exact_mut(2 * w));
        for ((input, result), output) in rows.zip(self.output.chunks_exact(ow)) {
            let (above, below) = input.split_at(w);
            let (to_above, to_below) = result.split_at_mut(w);
            let from = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0).zip(output);
            let to = to_above.as_chunks_mut::<2>().0.iter_mut().zip(to_below.as_chunks_mut::<2>().0);
            for (((a, b), slope), (to_a, to_b)) in from.zip(to) {
                let most = a[0].max(a[1]).max(b[0].max(b[1]));
                let first = [a[0] == most, a[1] == most, b[0] == most, b[1] == most];
                let second = first[1] & !first[0];
                let third = first[2] & !(first[0] | first[1]);
                let fourth = first[3] & !(first[0] | first[1] | first[2]);
                let when = |holds: bool| if holds { *slope } else { 0.0 };
                *to_a = [when(first[0]), when(second)];
                *to_b = [when(third), when(fourth)];
            }
        }
    }
}

/// Calls `each` for every row of the output, every tap of it that lies inside: the row of the input, the places inside, and
/// the column of the first of them.
#[inline(always)]
fn each_tap(shape: Shape, mut each: impl FnMut(usize, usize, std::ops::Range<usize>, usize)) {
    for p in 0..shape.output[0] {
        for y in (0..shape.kernel[0]).filter_map(|tap| shape.under(0, p, tap)) {
            for tap in 0..shape.kernel[1] {
                let inside = shape.inside(tap);
                if !inside.is_empty() {
                    let x = inside.start * shape.stride[1] + tap * shape.dilation[1] - shape.pad[1];
                    each(p, y, inside, x);
                }
            }
        }
    }
}

#[inline(always)]
fn largest(shape: Shape, input: &[f32], output: &mut [f32]) {
    let ([_, w], [_, ow], stride) = (shape.input, shape.output, shape.stride[1]);
    output.fill(f32::NEG_INFINITY);
    each_tap(shape, |p, y, inside, x| {
        let to = &mut output[p * ow..][inside];
        for (to, from) in to.iter_mut().zip(input[y * w + x..(y + 1) * w].iter().step_by(stride)) {
            *to = to.max(*from);
        }
    });
}

#[inline(always)]
fn mean(shape: Shape, input: &[f32], output: &mut [f32], count_pad: bool) {
    let ([_, w], [_, ow], stride) = (shape.input, shape.output, shape.stride[1]);
    output.fill(0.0);
    each_tap(shape, |p, y, inside, x| {
        let to = &mut output[p * ow..][inside];
        for (to, from) in to.iter_mut().zip(input[y * w + x..(y + 1) * w].iter().step_by(stride)) {
            *to += *from;
        }
    });
    divide(shape, output, count_pad);
}

/// Divides each place of the output by the size of its window.
#[inline(always)]
fn divide(shape: Shape, output: &mut [f32], count_pad: bool) {
    let [oh, ow] = shape.output;
    for p in 0..oh {
        let rows = if count_pad { shape.kernel[0] } else { shape.taps(0, p) };
        for q in 0..ow {
            let columns = if count_pad { shape.kernel[1] } else { shape.taps(1, q) };
            output[p * ow + q] /= (rows * columns) as f32;
        }
    }
}

#[inline(always)]
fn spread(shape: Shape, output: &mut [f32], result: &mut [f32], count_pad: bool) {
    let ([_, w], [_, ow], stride) = (shape.input, shape.output, shape.stride[1]);
    divide(shape, output, count_pad);
    each_tap(shape, |p, y, inside, x| {
        let from = &output[p * ow..][inside];
        for (to, from) in result[y * w + x..(y + 1) * w].iter_mut().step_by(stride).zip(from) {
            *to += *from;
        }
    });
}

/// Adds each place of the output to the first largest of its window.
fn to_largest(shape: Shape, input: &[f32], output: &[f32], result: &mut [f32]) {
    let ([_, w], [oh, ow]) = (shape.input, shape.output);
    for p in 0..oh {
        for q in 0..ow {
            let mut best: Option<(usize, f32)> = None;
            for y in (0..shape.kernel[0]).filter_map(|tap| shape.under(0, p, tap)) {
                for x in (0..shape.kernel[1]).filter_map(|tap| shape.under(1, q, tap)) {
                    let value = input[y * w + x];
                    if !value.is_nan() && best.is_none_or(|(_, most)| value > most) {
                        best = Some((y * w + x, value));
                    }
                }
            }
            if let Some((place, _)) = best {
                result[place] += output[p * ow + q];
            }
        }
    }
}
