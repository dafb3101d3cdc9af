//! Which elements of its tensors a specification touches, and whether it is one: what an executor relies on.

use super::{
    ContractSpec, ConvKind, ConvSpec, LineKind, LineSpec, ProductRowSpec, RowSpec, Spec, WindowKind,
    WindowSpec,
};
use crate::access::{Epilogue, Place, Read, Write};
use crate::element::{Element, Scalar};
use crate::kernel::HOST_SLOTS;

/// The memory that a specification touches, by slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Of each read; `None` where it touches none.
    pub reads: Vec<Option<Stretch>>,
    /// Of each write.
    pub writes: Vec<Stretch>,
}

/// The memory from the first element of a tensor to the last one that is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// What is stored.
    pub element: Element,
    /// How many elements.
    pub elements: u64,
}

impl Stretch {
    /// Its length, whole words.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self.element {
            Element::F32 | Element::I32 | Element::Bool => self.elements * 4,
            Element::F16 => self.elements.div_ceil(2) * 4,
            Element::U8 => self.elements.div_ceil(4) * 4,
        }
    }
}

/// The most points of a space, and the most elements of a tensor: sums of them are far from overflow.
const MOST: i64 = 1 << 40;

impl Spec {
    /// The memory it touches.
    ///
    /// # Errors
    /// Why it is malformed: a space without points, a place of other axes or before the first element, a formula whose
    /// operands are others.
    pub fn touched(&self) -> Result<Touched, String> {
        match self {
            Spec::Map(spec) => {
                let epilogue = Epilogue {
                    reads: spec.reads.clone(),
                    expr: spec.expr.clone(),
                    writes: spec.writes.clone(),
                };
                finished(Vec::new(), &[], &epilogue, &spec.extents)
            }
            Spec::Row(spec) => rows(spec),
            Spec::Column(spec) => {
                ensure(spec.steps.len() == 1 && spec.element_writes.is_empty(), "a column is one sum")?;
                rows(spec)
            }
            Spec::ProductRow(spec) => product_rows(spec),
            Spec::Contract(spec) => product(spec),
            Spec::Conv(spec) => conv(spec),
            Spec::Window(spec) => window(spec),
            Spec::Lines(spec) => lines(spec),
        }
    }
}

/// The memory of operands followed by that of an epilogue whose first operands have these types.
fn finished(
    mut reads: Vec<Option<Stretch>>,
    values: &[Scalar],
    epilogue: &Epilogue,
    extents: &[u32],
) -> Result<Touched, String> {
    let Epilogue { reads: more, expr, writes } = epilogue;
    let operands: Vec<Scalar> = values.iter().copied().chain(more.iter().map(scalar)).collect();
    expr.check(&operands, &results(writes))?;
    reads.extend(reads_over(more, extents)?);
    Ok(Touched { reads, writes: writes_over(writes, extents)? })
}

fn rows(spec: &RowSpec) -> Result<Touched, String> {
    let extents = [spec.kept.as_slice(), &spec.reduced].concat();
    let mut operands: Vec<Scalar> = spec.reads.iter().map(scalar).collect();
    for step in &spec.steps {
        step.expr.check(&operands, &[Scalar::F32])?;
        operands.push(Scalar::F32);
    }
    spec.row_expr.check(&operands, &results(&spec.row_writes))?;
    spec.element_expr.check(&operands, &results(&spec.element_writes))?;
    let mut writes = writes_over(&spec.row_writes, &spec.kept)?;
    writes.extend(writes_over(&spec.element_writes, &extents)?);
    Ok(Touched { reads: reads_over(&spec.reads, &extents)?, writes })
}

fn product(spec: &ContractSpec) -> Result<Touched, String> {
    let &ContractSpec { batch, m, n, parts, k, left: l, right: r, .. } = spec;
    let columns = n.checked_mul(parts).ok_or("too many columns")?;
    let left = Place { offset: l.offset, strides: vec![l.batch, l.row, l.column] };
    let right = Place { offset: r.offset, strides: vec![r.batch, r.row, r.column] };
    let operands = vec![
        Some(stretch(floats(l.element)?, &left, &[batch, m, k])?),
        Some(stretch(floats(r.element)?, &right, &[batch, k, columns])?),
    ];
    finished(operands, &vec![Scalar::F32; parts as usize], &spec.epilogue, &[batch, m, n])
}

fn conv(spec: &ConvSpec) -> Result<Touched, String> {
    let &ConvSpec { n, c, o, groups, input, kernel, output, .. } = spec;
    let divides = groups > 0 && c.is_multiple_of(groups) && o.is_multiple_of(groups);
    ensure(divides, "the groups of a convolution do not divide its channels")?;
    ensure([spec.stride, spec.dilation].concat().iter().all(|&step| step > 0), "a window does not move")?;
    let far = [spec.stride, spec.dilation, spec.pad].concat();
    ensure(far.iter().all(|&step| step < 1 << 20), "a window moves too far")?;
    let volume = |outer: [u32; 2], sides: [u32; 3]| count(&[&outer[..], &sides[..]].concat());
    let (x, w, y) = (volume([n, c], input)?, volume([o, c / groups], kernel)?, volume([n, o], output)?);
    let (sizes, outer, sides) = match spec.kind {
        ConvKind::Forward => ([x, w], [n, o], output),
        ConvKind::InputGradient => ([y, w], [n, c], input),
        ConvKind::WeightGradient => ([x, y], [o, c / groups], kernel),
    };
    let flat = !spec.is_deep();
    let extents = [&outer[..], &sides[usize::from(flat)..]].concat();
    let operands = (0..2).map(|k| Ok(Some(whole(floats(spec.elements[k])?, sizes[k], spec.offsets[k])?)));
    finished(operands.collect::<Result<_, String>>()?, &[Scalar::F32], &spec.epilogue, &extents)
}

fn window(spec: &WindowSpec) -> Result<Touched, String> {
    ensure([spec.stride, spec.dilation].concat().iter().all(|&step| step > 0), "a window does not move")?;
    let far = [spec.stride, spec.dilation, spec.pad, spec.kernel].concat();
    ensure(far.iter().all(|&step| step < 1 << 20), "a window moves too far")?;
    count(&spec.kernel)?;
    let over = |sides: [u32; 2]| [spec.planes, sides].concat();
    let (x, y) = (over(spec.input), over(spec.output));
    let (sizes, extents): (Vec<&[u32]>, _) = match spec.kind {
        WindowKind::Max | WindowKind::Mean { .. } => (vec![&x], &y),
        WindowKind::MaxGradient => (vec![&x, &y], &x),
        WindowKind::MeanGradient { .. } => (vec![&y], &x),
    };
    let alike = sizes.len() == spec.offsets.len() && sizes.len() == spec.elements.len();
    ensure(alike, "a pooling has other operands")?;
    let operand = |k: usize| Ok(Some(whole(floats(spec.elements[k])?, count(sizes[k])?, spec.offsets[k])?));
    let operands = (0..sizes.len()).map(operand).collect::<Result<_, String>>()?;
    finished(operands, &[Scalar::F32], &spec.epilogue, extents)
}

fn lines(spec: &LineSpec) -> Result<Touched, String> {
    let first = spec.operands.first().map_or(Scalar::F32, |(element, _)| element.scalar());
    let (operands, value) = match spec.kind {
        LineKind::Gather => (2, first),
        LineKind::ScatterAdd => (2, Scalar::F32),
        LineKind::Order { .. } => (1, Scalar::I32),
        LineKind::RunningSum { .. } => (1, Scalar::F32),
    };
    let fits = match spec.kind {
        LineKind::Gather => true,
        LineKind::Order { .. } => first != Scalar::Bool,
        LineKind::ScatterAdd | LineKind::RunningSum { .. } => first == Scalar::F32,
    };
    ensure(fits, "a line is of other elements")?;
    ensure(spec.operands.len() == operands, "a line has other operands")?;
    ensure(spec.axis < spec.extents.len(), "lines lie along no axis")?;
    let operand = |(k, (element, place)): (usize, &(Element, Place))| {
        let element = *element;
        ensure(k == 0 || element == Element::I32, "an index is no whole number")?;
        let mut extents = spec.extents.clone();
        if (spec.kind, k) != (LineKind::Gather, 1) {
            extents[spec.axis] = spec.length;
        }
        Ok(Some(stretch(element, place, &extents)?))
    };
    let operands = spec.operands.iter().enumerate().map(operand).collect::<Result<_, String>>()?;
    let alike = matches!(spec.kind, LineKind::Gather | LineKind::ScatterAdd)
        || spec.extents[spec.axis] == spec.length;
    ensure(alike, "a line is as long as its result")?;
    finished(operands, &[value], &spec.epilogue, &spec.extents)
}

fn product_rows(spec: &ProductRowSpec) -> Result<Touched, String> {
    let kept = [spec.batch.as_slice(), &[spec.rows]].concat();
    let space = [kept.as_slice(), &[spec.length]].concat();
    let mut reads: Vec<Option<Stretch>> = vec![None; spec.factors.len()];
    for &element in &spec.factors {
        floats(element)?;
    }
    let mut factor = |factor: &super::Factor, last: u32| {
        let element = *spec.factors.get(factor.slot).ok_or("a product reads no tensor")?;
        let touched = stretch(element, &factor.place, &[space.as_slice(), &[last]].concat())?;
        let longest = reads[factor.slot].filter(|known| known.elements > touched.elements);
        reads[factor.slot] = Some(longest.unwrap_or(touched));
        Ok::<(), String>(())
    };
    let rows = spec.batch.len();
    for opening in &spec.openings {
        factor(&opening.row, opening.depth)?;
        factor(&opening.stream, opening.depth)?;
        let apart = opening.row.place.strides[rows + 1] == 0 && opening.stream.place.strides[rows] == 0;
        ensure(apart, "the sides of a row's product are not apart")?;
    }
    for closing in &spec.closings {
        factor(&closing.stream, closing.columns)?;
        ensure(closing.stream.place.strides[rows] == 0, "rows do not share what closes them")?;
    }
    let mut operands = vec![Scalar::F32; spec.openings.len()];
    operands.extend(spec.reads.iter().map(scalar));
    for step in &spec.steps {
        step.expr.check(&operands, &[Scalar::F32])?;
        operands.push(Scalar::F32);
    }
    spec.row_expr.check(&operands, &results(&spec.row_writes))?;
    spec.values.check(&operands, &vec![Scalar::F32; spec.closings.len()])?;
    reads.extend(reads_over(&spec.reads, &space)?);
    let mut writes = writes_over(&spec.row_writes, &kept)?;
    for closing in &spec.closings {
        floats(closing.write.element)?;
        let extents = [kept.as_slice(), &[closing.columns]].concat();
        writes.extend(writes_over(std::slice::from_ref(&closing.write), &extents)?);
    }
    Ok(Touched { reads, writes })
}

fn scalar(read: &Read) -> Scalar {
    match read {
        Read::Buffer { element, .. } | Read::Padded { element, .. } | Read::Host { element, .. } => {
            element.scalar()
        }
        Read::Iota { .. } => Scalar::I32,
        Read::Random { .. } => Scalar::F32,
    }
}

fn results(writes: &[Write]) -> Vec<Scalar> {
    writes.iter().map(|write| write.element.scalar()).collect()
}

fn reads_over(reads: &[Read], extents: &[u32]) -> Result<Vec<Option<Stretch>>, String> {
    let touched = |read: &Read| match read {
        Read::Buffer { element, place } => stretch(*element, place, extents).map(Some),
        Read::Padded { element, place, inside, .. } => padded(*element, place, inside, extents),
        Read::Host { slot, .. } => {
            ensure((*slot as usize) < HOST_SLOTS, "there is no such host scalar")?;
            Ok(None)
        }
        Read::Iota { place } | Read::Random { place, .. } => {
            ensure(place.strides.len() == extents.len(), "a place has other axes")?;
            Ok(None)
        }
    };
    reads.iter().map(touched).collect()
}

fn writes_over(writes: &[Write], extents: &[u32]) -> Result<Vec<Stretch>, String> {
    let touched = |write: &Write| {
        ensure(write.element != Element::U8, "bytes are never written")?;
        stretch(write.element, &write.place, extents)
    };
    writes.iter().map(touched).collect()
}

/// A tensor that is walked from end to end.
fn whole(element: Element, elements: u64, offset: i64) -> Result<Stretch, String> {
    let offset = u64::try_from(offset).map_err(|_| "a tensor begins before its memory")?;
    ensure(offset < MOST as u64, "a tensor begins too far away")?;
    Ok(Stretch { element, elements: offset + elements })
}

fn stretch(element: Element, place: &Place, extents: &[u32]) -> Result<Stretch, String> {
    let coordinates: Vec<(i64, i64)> = extents.iter().map(|&extent| (0, i64::from(extent) - 1)).collect();
    count(extents)?;
    between(element, place, &coordinates)
}

fn padded(
    element: Element,
    place: &Place,
    inside: &[(u32, u32)],
    extents: &[u32],
) -> Result<Option<Stretch>, String> {
    count(extents)?;
    ensure(inside.len() == extents.len(), "a padded tensor has other axes")?;
    let coordinates: Vec<(i64, i64)> = inside
        .iter()
        .zip(extents)
        .map(|(&(low, length), &extent)| {
            (i64::from(low), (i64::from(low) + i64::from(length)).min(i64::from(extent)) - 1)
        })
        .collect();
    if coordinates.iter().any(|(first, last)| first > last) {
        ensure(place.strides.len() == extents.len(), "a place has other axes")?;
        return Ok(None);
    }
    between(element, place, &coordinates).map(Some)
}

/// What lies between the first and the last of these coordinates along each axis.
fn between(element: Element, place: &Place, coordinates: &[(i64, i64)]) -> Result<Stretch, String> {
    ensure(place.strides.len() == coordinates.len(), "a place has other axes")?;
    ensure(place.offset.unsigned_abs() < MOST as u64, "a tensor begins too far away")?;
    let (mut least, mut most) = (place.offset, place.offset);
    for (&(first, last), &stride) in coordinates.iter().zip(&place.strides) {
        let at = |coordinate: i64| stride.checked_mul(coordinate).filter(|at| at.abs() < MOST);
        let (first, last) = at(first).zip(at(last)).ok_or("a tensor is too large")?;
        least += first.min(last);
        most += first.max(last);
        ensure(least.abs().max(most.abs()) < MOST, "a tensor is too large")?;
    }
    ensure(least >= 0, "a place lies before its tensor")?;
    Ok(Stretch { element, elements: most as u64 + 1 })
}

/// The number of points.
fn count(extents: &[u32]) -> Result<u64, String> {
    let points = extents.iter().try_fold(1u64, |n, &extent| n.checked_mul(u64::from(extent)));
    points.filter(|n| (1..MOST as u64).contains(n)).ok_or_else(|| format!("a space of {extents:?}"))
}

fn floats(element: Element) -> Result<Element, String> {
    ensure(element.scalar() == Scalar::F32, "a product of what are no floats")?;
    Ok(element)
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}
