//! The meaning of each specification, in f64, element by element, written without help from the schedules.

use super::product_rows;
use nnc_wgsl::schedule::{
    ContractSpec, ConvKind, ConvSpec, LineKind, LineSpec, Reduction, RowSpec, Spec, WindowKind, WindowSpec,
};
use nnc_wgsl::{Element, Epilogue, HOST_SLOTS, Place, Read, Write, random_uniform};

/// A tensor in memory, by the values a formula sees.
pub(crate) type Values = Vec<f64>;

/// What surrounds the operands of a specification.
pub(crate) struct Inputs<'a> {
    /// The operands by slot; empty where a slot is no buffer.
    pub(crate) reads: &'a [Values],
    /// The host block.
    pub(crate) host: &'a [u32; HOST_SLOTS],
}

/// The meaning of a specification.
pub(crate) trait Reference {
    /// The element and the least length of each read slot, 0 where it is no buffer.
    fn reads(&self) -> Vec<(Element, usize)>;

    /// The element and the least length of each write.
    fn writes(&self) -> Vec<(Element, usize)>;

    /// The same work on tensors of halves where `wanted` says so of the slot: of a read, or, counted on from the reads,
    /// of a write. What is put in order stays as it is.
    fn narrowed(&self, wanted: impl Fn(usize) -> bool) -> Spec;

    /// Writes the results over `writes`; elements that the specification does not write stay.
    fn evaluate(&self, inputs: &Inputs<'_>, writes: &mut [Values]);
}

impl Reference for Spec {
    fn reads(&self) -> Vec<(Element, usize)> {
        let whole = |element: Element, count: u32, offset: i64| (element, count as usize + index(offset));
        match self {
            Spec::Map(spec) => spec.reads.iter().map(|r| extent_of_read(r, &spec.extents)).collect(),
            Spec::Row(spec) | Spec::Column(spec) => {
                let extents = [spec.kept.as_slice(), &spec.reduced].concat();
                spec.reads.iter().map(|r| extent_of_read(r, &extents)).collect()
            }
            Spec::ProductRow(spec) => product_rows::reads(spec),
            Spec::Contract(spec) => {
                let &ContractSpec { batch, m, n, parts, k, left: l, right: r, .. } = spec;
                let left = Place { offset: l.offset, strides: vec![l.batch, l.row, l.column] };
                let right = Place { offset: r.offset, strides: vec![r.batch, r.row, r.column] };
                let mut all = vec![
                    (l.element, extent_of_place(&left, &[batch, m, k])),
                    (r.element, extent_of_place(&right, &[batch, k, n * parts])),
                ];
                all.extend(spec.epilogue.reads.iter().map(|r| extent_of_read(r, &[batch, m, n])));
                all
            }
            Spec::Conv(spec) => {
                let [x, y, w] = conv_sizes(spec);
                let sizes = match spec.kind {
                    ConvKind::Forward => [x, w],
                    ConvKind::InputGradient => [y, w],
                    ConvKind::WeightGradient => [x, y],
                };
                let mut all: Vec<_> =
                    (0..2).map(|k| whole(spec.elements[k], sizes[k], spec.offsets[k])).collect();
                let extents = conv_extents(spec);
                all.extend(spec.epilogue.reads.iter().map(|r| extent_of_read(r, &extents)));
                all
            }
            Spec::Window(spec) => {
                let planes: u32 = spec.planes.iter().product();
                let x = planes * spec.input[0] * spec.input[1];
                let y = planes * spec.output[0] * spec.output[1];
                let sizes = match spec.kind {
                    WindowKind::Max | WindowKind::Mean { .. } => vec![x],
                    WindowKind::MaxGradient => vec![x, y],
                    WindowKind::MeanGradient { .. } => vec![y],
                };
                let mut all: Vec<_> =
                    (0..sizes.len()).map(|k| whole(spec.elements[k], sizes[k], spec.offsets[k])).collect();
                let extents = window_extents(spec);
                all.extend(spec.epilogue.reads.iter().map(|r| extent_of_read(r, &extents)));
                all
            }
            Spec::Lines(spec) => {
                let operand = |k: usize, (element, place): &(Element, Place)| {
                    (*element, extent_of_place(place, &line_extents(spec, k)))
                };
                let mut all: Vec<_> = spec.operands.iter().enumerate().map(|(k, o)| operand(k, o)).collect();
                all.extend(spec.epilogue.reads.iter().map(|r| extent_of_read(r, &spec.extents)));
                all
            }
        }
    }

    fn writes(&self) -> Vec<(Element, usize)> {
        let all = |writes: &[Write], extents: &[u32]| -> Vec<_> {
            writes.iter().map(|w| (w.element, extent_of_place(&w.place, extents))).collect()
        };
        match self {
            Spec::Map(spec) => all(&spec.writes, &spec.extents),
            Spec::Row(spec) | Spec::Column(spec) => {
                let mut writes = all(&spec.row_writes, &spec.kept);
                writes.extend(all(&spec.element_writes, &[spec.kept.as_slice(), &spec.reduced].concat()));
                writes
            }
            Spec::ProductRow(spec) => product_rows::writes(spec),
            Spec::Contract(spec) => all(&spec.epilogue.writes, &[spec.batch, spec.m, spec.n]),
            Spec::Conv(spec) => all(&spec.epilogue.writes, &conv_extents(spec)),
            Spec::Window(spec) => all(&spec.epilogue.writes, &window_extents(spec)),
            Spec::Lines(spec) => all(&spec.epilogue.writes, &spec.extents),
        }
    }

    fn narrowed(&self, wanted: impl Fn(usize) -> bool) -> Spec {
        let mut spec = self.clone();
        let reads = self.reads().len();
        let half = |element: &mut Element, slot: usize| {
            if *element == Element::F32 && wanted(slot) {
                *element = Element::F16;
            }
        };
        let of_reads = |list: &mut [Read], first: usize| {
            for (k, read) in list.iter_mut().enumerate() {
                if let Read::Buffer { element, .. } | Read::Padded { element, .. } = read {
                    half(element, first + k);
                }
            }
        };
        let of_writes = |list: &mut [Write], first: usize| {
            list.iter_mut().enumerate().for_each(|(k, write)| half(&mut write.element, reads + first + k));
        };
        match &mut spec {
            Spec::Map(spec) => {
                of_reads(&mut spec.reads, 0);
                of_writes(&mut spec.writes, 0);
            }
            Spec::Row(spec) | Spec::Column(spec) => {
                of_reads(&mut spec.reads, 0);
                of_writes(&mut spec.row_writes, 0);
                of_writes(&mut spec.element_writes, spec.row_writes.len());
            }
            Spec::ProductRow(spec) => {
                spec.factors.iter_mut().enumerate().for_each(|(k, element)| half(element, k));
                of_reads(&mut spec.reads, spec.factors.len());
                of_writes(&mut spec.row_writes, 0);
                for (k, closing) in spec.closings.iter_mut().enumerate() {
                    half(&mut closing.write.element, reads + spec.row_writes.len() + k);
                }
            }
            Spec::Contract(spec) => {
                half(&mut spec.left.element, 0);
                half(&mut spec.right.element, 1);
                of_reads(&mut spec.epilogue.reads, 2);
                of_writes(&mut spec.epilogue.writes, 0);
            }
            Spec::Conv(spec) => {
                spec.elements.iter_mut().enumerate().for_each(|(k, element)| half(element, k));
                of_reads(&mut spec.epilogue.reads, 2);
                of_writes(&mut spec.epilogue.writes, 0);
            }
            Spec::Window(spec) => {
                spec.elements.iter_mut().enumerate().for_each(|(k, element)| half(element, k));
                of_reads(&mut spec.epilogue.reads, spec.elements.len());
                of_writes(&mut spec.epilogue.writes, 0);
            }
            Spec::Lines(spec) => {
                let operands = spec.operands.len();
                if !matches!(spec.kind, LineKind::Order { .. }) {
                    spec.operands.iter_mut().enumerate().for_each(|(k, (element, _))| half(element, k));
                }
                of_reads(&mut spec.epilogue.reads, operands);
                of_writes(&mut spec.epilogue.writes, 0);
            }
        }
        spec
    }

    fn evaluate(&self, inputs: &Inputs<'_>, writes: &mut [Values]) {
        match self {
            Spec::Map(spec) => {
                each(&spec.extents, |point| {
                    let operands: Values = load(&spec.reads, 0, point, inputs);
                    store(&spec.expr.evaluate(&operands), &spec.writes, point, writes);
                });
            }
            Spec::Row(spec) | Spec::Column(spec) => rows(spec, inputs, writes),
            Spec::ProductRow(spec) => product_rows::evaluate(spec, inputs, writes),
            Spec::Contract(spec) => {
                each(&[spec.batch, spec.m, spec.n], |point| {
                    let [b, i, j] = [0, 1, 2].map(|a| i64::from(point[a]));
                    let value = |part: u32| -> f64 {
                        let terms = (0..i64::from(spec.k)).map(|k| {
                            let (l, r) = (&spec.left, &spec.right);
                            let column = j + i64::from(part * spec.n);
                            let left = l.offset + b * l.batch + i * l.row + k * l.column;
                            let right = r.offset + b * r.batch + k * r.row + column * r.column;
                            inputs.reads[0][index(left)] * inputs.reads[1][index(right)]
                        });
                        terms.sum()
                    };
                    let values = (0..spec.parts).map(value).collect();
                    finish(&spec.epilogue, values, point, inputs, writes, 2);
                });
            }
            Spec::Conv(spec) => {
                each(&conv_extents(spec), |point| {
                    let value = conv_value(spec, point, inputs);
                    finish(&spec.epilogue, vec![value], point, inputs, writes, 2);
                });
            }
            Spec::Window(spec) => {
                let mut values = window_values(spec, inputs).into_iter();
                each(&window_extents(spec), |point| {
                    let value = values.next().expect("a pooling has a value for each point");
                    finish(&spec.epilogue, vec![value], point, inputs, writes, spec.offsets.len());
                });
            }
            Spec::Lines(spec) => {
                each(&spec.extents, |point| {
                    let value = line_value(spec, point, inputs);
                    finish(&spec.epilogue, vec![value], point, inputs, writes, spec.operands.len());
                });
            }
        }
    }
}

fn rows(spec: &RowSpec, inputs: &Inputs<'_>, writes: &mut [Values]) {
    let row_writes = spec.row_writes.len();
    each(&spec.kept, |kept| {
        let mut steps: Values = Vec::new();
        let at = |reduced: &[u32], steps: &[f64]| {
            let point = [kept, reduced].concat();
            let mut operands = load(&spec.reads, 0, &point, inputs);
            operands.extend_from_slice(steps);
            operands
        };
        for step in &spec.steps {
            let mut total = match step.reduction {
                Reduction::Sum => 0.0,
                Reduction::Product => 1.0,
                Reduction::Max => f64::NEG_INFINITY,
                Reduction::Min => f64::INFINITY,
            };
            each(&spec.reduced, |reduced| {
                let value = step.expr.evaluate(&at(reduced, &steps))[0];
                total = match step.reduction {
                    Reduction::Sum => total + value,
                    Reduction::Product => total * value,
                    Reduction::Max => total.max(value),
                    Reduction::Min => total.min(value),
                };
            });
            steps.push(total);
        }
        if row_writes > 0 {
            let operands = at(&vec![0; spec.reduced.len()], &steps);
            store(&spec.row_expr.evaluate(&operands), &spec.row_writes, kept, writes);
        }
        if !spec.element_writes.is_empty() {
            each(&spec.reduced, |reduced| {
                let results = spec.element_expr.evaluate(&at(reduced, &steps));
                let point = [kept, reduced].concat();
                store(&results, &spec.element_writes, &point, &mut writes[row_writes..]);
            });
        }
    });
}

fn conv_sizes(spec: &ConvSpec) -> [u32; 3] {
    let volume = |sides: [u32; 3]| sides.iter().product::<u32>();
    let (x, y) = (spec.n * spec.c * volume(spec.input), spec.n * spec.o * volume(spec.output));
    [x, y, spec.o * (spec.c / spec.groups) * volume(spec.kernel)]
}

/// The extents of the result; the depth of a flat one is left out.
pub(crate) fn conv_extents(spec: &ConvSpec) -> Vec<u32> {
    let (outer, sides) = match spec.kind {
        ConvKind::Forward => ([spec.n, spec.o], spec.output),
        ConvKind::InputGradient => ([spec.n, spec.c], spec.input),
        ConvKind::WeightGradient => ([spec.o, spec.c / spec.groups], spec.kernel),
    };
    let flat = spec.input[0] == 1 && spec.kernel[0] == 1 && spec.output[0] == 1;
    [&outer[..], &sides[usize::from(flat)..]].concat()
}

/// Where element `tap` of the window at output `place` lies along an axis of the input, if inside.
fn under(spec: &ConvSpec, axis: usize, place: u32, tap: u32) -> Option<u32> {
    (place * spec.stride[axis] + tap * spec.dilation[axis])
        .checked_sub(spec.pad[axis])
        .filter(|&at| at < spec.input[axis])
}

fn conv_value(spec: &ConvSpec, point: &[u32], inputs: &Inputs<'_>) -> f64 {
    let (cg, og) = (spec.c / spec.groups, spec.o / spec.groups);
    let flat = |channels: u32, sides: [u32; 3], outer: u32, channel: u32, at: [u32; 3]| {
        at.iter()
            .zip(sides)
            .fold((outer * channels + channel) as usize, |sum, (&c, e)| sum * e as usize + c as usize)
    };
    let x = |n, c, at| flat(spec.c, spec.input, n, c, at);
    let w = |o, c, at| flat(cg, spec.kernel, o, c, at);
    let d = |n, o, at| flat(spec.o, spec.output, n, o, at);
    let (first, second) = (&inputs.reads[0], &inputs.reads[1]);
    let [off0, off1] = spec.offsets.map(index);
    let all = |f: &dyn Fn(usize) -> Option<u32>| match [f(0), f(1), f(2)] {
        [Some(a), Some(b), Some(c)] => Some([a, b, c]),
        _ => None,
    };
    let [i, j] = [point[0], point[1]];
    let mut at = [0; 3];
    at[5 - point.len()..].copy_from_slice(&point[2..]);
    let mut sum = 0.0;
    match spec.kind {
        ConvKind::Forward => each(&[&[cg], &spec.kernel[..]].concat(), |k| {
            let channel = j / og * cg + k[0];
            if let Some(from) = all(&|a| under(spec, a, at[a], k[1 + a])) {
                sum += first[off0 + x(i, channel, from)] * second[off1 + w(j, k[0], [k[1], k[2], k[3]])];
            }
        }),
        ConvKind::InputGradient => each(&[&[og], &spec.kernel[..]].concat(), |k| {
            let o = j / cg * og + k[0];
            let far = |a: usize| {
                (at[a] + spec.pad[a])
                    .checked_sub(k[1 + a] * spec.dilation[a])
                    .filter(|far| far % spec.stride[a] == 0)
                    .map(|far| far / spec.stride[a])
                    .filter(|&far| far < spec.output[a])
            };
            if let Some(from) = all(&far) {
                sum += first[off0 + d(i, o, from)] * second[off1 + w(o, j % cg, [k[1], k[2], k[3]])];
            }
        }),
        ConvKind::WeightGradient => each(&[&[spec.n], &spec.output[..]].concat(), |k| {
            let channel = i / og * cg + j;
            if let Some(from) = all(&|a| under(spec, a, k[1 + a], at[a])) {
                sum += first[off0 + x(k[0], channel, from)] * second[off1 + d(k[0], i, [k[1], k[2], k[3]])];
            }
        }),
    }
    sum
}

/// The extents of an operand: along the axis it is as long as the lines, the index of a lookup as the result.
fn line_extents(spec: &LineSpec, operand: usize) -> Vec<u32> {
    let mut extents = spec.extents.clone();
    if (spec.kind, operand) != (LineKind::Gather, 1) {
        extents[spec.axis] = spec.length;
    }
    extents
}

fn line_value(spec: &LineSpec, point: &[u32], inputs: &Inputs<'_>) -> f64 {
    let along = |operand: usize, place: u32| {
        let mut moved = point.to_vec();
        moved[spec.axis] = place;
        inputs.reads[operand][index(at(&spec.operands[operand].1, &moved))]
    };
    let here = point[spec.axis];
    match spec.kind {
        LineKind::Gather => {
            let from = along(1, here);
            let inside = from >= 0.0 && from < f64::from(spec.length);
            if inside { along(0, from as u32) } else { 0.0 }
        }
        LineKind::ScatterAdd => {
            (0..spec.length).filter(|&j| along(1, j) == f64::from(here)).map(|j| along(0, j)).sum()
        }
        LineKind::Order { descending } => {
            let mut places: Vec<u32> = (0..spec.length).collect();
            places.sort_by(|&i, &j| {
                let (first, second) = if descending { (j, i) } else { (i, j) };
                let (first, second) = (along(0, first), along(0, second));
                first.partial_cmp(&second).unwrap_or_else(|| first.is_nan().cmp(&second.is_nan()))
            });
            f64::from(places[here as usize])
        }
        LineKind::RunningSum { reverse: false } => (0..=here).map(|j| along(0, j)).sum(),
        LineKind::RunningSum { reverse: true } => (here..spec.length).map(|j| along(0, j)).sum(),
    }
}

fn window_extents(spec: &WindowSpec) -> [u32; 4] {
    let backward = matches!(spec.kind, WindowKind::MaxGradient | WindowKind::MeanGradient { .. });
    let [h, w] = if backward { spec.input } else { spec.output };
    [spec.planes[0], spec.planes[1], h, w]
}

fn window_values(spec: &WindowSpec, inputs: &Inputs<'_>) -> Values {
    let [h, w] = spec.input;
    let [oh, ow] = spec.output;
    let operand = |k: usize, at: usize| inputs.reads[k][index(spec.offsets[k]) + at];
    let inside = |p: u32, q: u32| {
        let mut all = Vec::new();
        each(&spec.kernel, |tap| {
            let at = |axis: usize, place: u32| {
                (place * spec.stride[axis] + tap[axis] * spec.dilation[axis])
                    .checked_sub(spec.pad[axis])
                    .filter(|&at| at < spec.input[axis])
            };
            if let (Some(y), Some(x)) = (at(0, p), at(1, q)) {
                all.push((y * w + x) as usize);
            }
        });
        all
    };
    let full = f64::from(spec.kernel[0] * spec.kernel[1]);
    let size = |count_pad: bool, inside: usize| if count_pad { full } else { inside as f64 };
    let extents = window_extents(spec);
    let mut values = vec![0.0; extents.iter().product::<u32>() as usize];
    for plane in 0..spec.planes.iter().product::<u32>() as usize {
        let (above, below) = (plane * (h * w) as usize, plane * (oh * ow) as usize);
        each(&[oh, ow], |at| {
            let taps = inside(at[0], at[1]);
            let here = below + (at[0] * ow + at[1]) as usize;
            match spec.kind {
                WindowKind::Max => {
                    values[here] =
                        taps.iter().map(|t| operand(0, above + t)).fold(f64::NEG_INFINITY, f64::max);
                }
                WindowKind::Mean { count_pad } => {
                    let sum: f64 = taps.iter().map(|t| operand(0, above + t)).sum();
                    values[here] = sum / size(count_pad, taps.len());
                }
                WindowKind::MaxGradient => {
                    let largest =
                        taps.iter().map(|t| operand(0, above + t)).fold(f64::NEG_INFINITY, f64::max);
                    let first = taps.iter().find(|&&t| operand(0, above + t) == largest);
                    if let Some(first) = first {
                        values[above + first] += operand(1, here);
                    }
                }
                WindowKind::MeanGradient { count_pad } => {
                    for t in &taps {
                        values[above + t] += operand(0, here) / size(count_pad, taps.len());
                    }
                }
            }
        });
    }
    values
}

fn finish(
    epilogue: &Epilogue,
    values: Values,
    point: &[u32],
    inputs: &Inputs<'_>,
    writes: &mut [Values],
    anchors: usize,
) {
    let mut operands = values;
    operands.extend(load(&epilogue.reads, anchors, point, inputs));
    store(&epilogue.expr.evaluate(&operands), &epilogue.writes, point, writes);
}

pub(crate) fn load(reads: &[Read], first_slot: usize, point: &[u32], inputs: &Inputs<'_>) -> Values {
    reads
        .iter()
        .enumerate()
        .map(|(k, read)| {
            let tensor = &inputs.reads[first_slot + k];
            match read {
                Read::Buffer { place, .. } => tensor[index(at(place, point))],
                Read::Padded { place, inside, value, .. } => {
                    let lies =
                        point.iter().zip(inside).all(|(&c, &(low, extent))| (low..low + extent).contains(&c));
                    if lies { tensor[index(at(place, point))] } else { value.value() }
                }
                Read::Host { slot, element } => {
                    let bits = inputs.host[*slot as usize];
                    match element {
                        Element::F32 | Element::F16 | Element::U8 => f64::from(f32::from_bits(bits)),
                        Element::I32 => f64::from(bits.cast_signed()),
                        Element::Bool => f64::from(u8::from(bits != 0)),
                    }
                }
                Read::Iota { place } => at(place, point) as f64,
                Read::Random { stream, place } => {
                    let element = u32::try_from(at(place, point)).expect("streams count from 0");
                    f64::from(random_uniform(inputs.host[0], inputs.host[1], *stream, element))
                }
            }
        })
        .collect()
}

pub(crate) fn store(results: &[f64], to: &[Write], point: &[u32], writes: &mut [Values]) {
    for ((value, write), tensor) in results.iter().zip(to).zip(writes) {
        tensor[index(at(&write.place, point))] = *value;
    }
}

pub(crate) fn at(place: &Place, point: &[u32]) -> i64 {
    place.offset + point.iter().zip(&place.strides).map(|(&c, &s)| i64::from(c) * s).sum::<i64>()
}

pub(crate) fn index(at: i64) -> usize {
    usize::try_from(at).expect("places lie inside their tensors")
}

/// Calls `f` with every point of a space, in row-major order.
pub(crate) fn each(extents: &[u32], mut f: impl FnMut(&[u32])) {
    let mut point = vec![0; extents.len()];
    for _ in 0..extents.iter().product::<u32>() {
        f(&point);
        for axis in (0..extents.len()).rev() {
            point[axis] += 1;
            if point[axis] < extents[axis] {
                break;
            }
            point[axis] = 0;
        }
    }
}

pub(crate) fn extent_of_place(place: &Place, extents: &[u32]) -> usize {
    let far: i64 = extents.iter().zip(&place.strides).map(|(&e, &s)| (i64::from(e) - 1) * s.max(0)).sum();
    index(place.offset + far) + 1
}

pub(crate) fn extent_of_read(read: &Read, extents: &[u32]) -> (Element, usize) {
    match read {
        Read::Buffer { element, place } => (*element, extent_of_place(place, extents)),
        Read::Padded { element, place, inside, .. } => {
            let far: i64 = inside
                .iter()
                .zip(&place.strides)
                .map(|(&(low, extent), &s)| {
                    let (low, high) = (i64::from(low) * s, i64::from(low + extent - 1) * s);
                    low.max(high)
                })
                .sum();
            (*element, index(place.offset + far) + 1)
        }
        Read::Host { .. } | Read::Iota { .. } | Read::Random { .. } => (Element::F32, 0),
    }
}
