//! `x[.., 0:2]` and coordinates. In an evaluation the batch may be short: then the last example is the last one there.

use super::element::requires;
use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::Expansion;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::host::HostValue;
use crate::elaborate::limits::LARGEST_STEP;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::{Broadcast, Gather, Iota, Slice};
use crate::source::Span;
use crate::syntax::ast::{Expr, Index};
use nnc_wgsl::{Binary, Element, Scalar};

/// A number of elements along an axis, every `step`-th from `from` on.
pub(super) struct Part<'d> {
    pub(super) axis: usize,
    pub(super) from: &'d Dim,
    pub(super) step: usize,
    pub(super) length: &'d Dim,
}

pub(super) const TABLE: &[Intrinsic] =
    &[Intrinsic { name: "places", parameters: &["x", "axis"], run: places }];

/// The coordinate along an axis of `x`, `i32`, of extent 1 along the others.
fn places<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let axis = e.whole_argument(&call, "axis", 0)?;
    let axis = e.axis(&call, axis, x.rank(), call.span)?;
    let dims: Vec<Dim> = (0..x.rank())
        .map(|other| if other == axis { x.dims[axis].clone() } else { Dim::constant(1) })
        .collect();
    let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
    e.node(&call, Iota::new(&shape, axis), &[], dims).map(Value::Tensor)
}

impl<'a> Elaborator<'a> {
    /// `value[indices]`
    pub(in crate::elaborate) fn index(
        &mut self,
        frame: &mut Frame<'a>,
        value: Value<'a>,
        operand: Span,
        indices: &'a [Index],
        span: Span,
    ) -> Outcome<Value<'a>> {
        let tensor = match value {
            Value::Tensor(tensor) => tensor,
            Value::List(values) => return self.list_index(frame, &values, indices, span),
            Value::Error => return Err(Reported),
            other => {
                let found = other.describe();
                return self.fail(
                    "E0204",
                    operand,
                    "only tensors and lists have parts",
                    format!("this is {found}"),
                );
            }
        };
        let named = indices.iter().filter(|index| !matches!(index, Index::Rest(_))).count();
        if named > tensor.rank() {
            let fact = format!("{named} places for {}", tensor.show());
            return self.fail("E0311", span, "more places than dims", fact);
        }
        let mut start = vec![Dim::constant(0); tensor.rank()];
        let mut step = vec![1; tensor.rank()];
        let mut dims = tensor.dims.clone();
        let mut dropped = Vec::new();
        let mut axis = 0;
        for (place, index) in indices.iter().enumerate() {
            match index {
                Index::Rest(_) => {
                    let after =
                        indices[place + 1..].iter().filter(|index| !matches!(index, Index::Rest(_))).count();
                    axis = tensor.rank() - after;
                }
                Index::At(expr) => {
                    let at = self.bound(frame, Some(expr), &tensor.dims[axis], 0)?;
                    if at.extent() < 0 || at.extent() >= tensor.dims[axis].extent() {
                        return self.out_of_range(expr, &tensor, axis);
                    }
                    start[axis] = at;
                    dims[axis] = Dim::constant(1);
                    dropped.push(axis);
                    axis += 1;
                }
                Index::Slice(slice) => {
                    let whole = tensor.dims[axis].clone();
                    let from = self.bound(frame, slice.from.as_ref(), &whole, 0)?;
                    let to = match &slice.to {
                        Some(expr) => self.bound(frame, Some(expr), &whole, 0)?,
                        None => whole.clone(),
                    };
                    for (bound, expr) in [(&from, &slice.from), (&to, &slice.to)] {
                        if let Some(expr) = expr
                            && (bound.extent() < 0 || bound.extent() > whole.extent())
                        {
                            return self.out_of_range(expr, &tensor, axis);
                        }
                    }
                    if from.extent() >= to.extent() {
                        let message = format!("the slice of dim {axis} has no elements");
                        let fact = format!("from {from} to {to}, of {}", tensor.show());
                        return self.fail("E0317", slice.span, message, fact);
                    }
                    let by = match &slice.step {
                        Some(expr) => self.slice_step(frame, expr)?,
                        None => 1,
                    };
                    step[axis] = by;
                    let length = to.subtract(&from).ok_or(Reported)?;
                    start[axis] = from;
                    dims[axis] = if by == 1 {
                        length
                    } else {
                        let by = Dim::constant(i64::try_from(by).unwrap_or(1));
                        let rounded = by.subtract(&Dim::constant(1)).and_then(|rest| length.add(&rest));
                        rounded.and_then(|length| length.floor_divide(&by)).ok_or(Reported)?
                    };
                    axis += 1;
                }
            }
        }
        self.sliced(&tensor, &start, &step, dims, &dropped, span)
    }

    fn sliced(
        &mut self,
        tensor: &Tensor,
        start: &[Dim],
        step: &[usize],
        dims: Vec<Dim>,
        dropped: &[usize],
        span: Span,
    ) -> Outcome<Value<'a>> {
        let mut tensor = tensor.clone();
        let mut step = step.to_vec();
        let mut first: Vec<usize> = start.iter().map(Dim::size).collect();
        for axis in 0..tensor.rank() {
            if self.may_be_short(&tensor.dims[axis]) && !dims[axis].has_batch() {
                let part = Part { axis, from: &start[axis], step: step[axis], length: &dims[axis] };
                tensor = self.present(&tensor, &part, span)?;
                (first[axis], step[axis]) = (0, 1);
            }
        }
        let tensor = &tensor;
        self.mark(span);
        let extent: Vec<usize> = dims.iter().map(Dim::size).collect();
        let whole = extent == tensor.shape() && step.iter().all(|step| *step == 1);
        let node = if whole {
            tensor.node
        } else {
            match self.graph.apply(Slice::new(&first, &extent, &step), &[tensor.node]) {
                Ok(node) => node,
                Err(error) => return self.fail("E0311", span, "the slice does not fit", error.message),
            }
        };
        let dims: Vec<Dim> = dims
            .into_iter()
            .enumerate()
            .filter(|(axis, _)| !dropped.contains(axis))
            .map(|(_, dim)| dim)
            .collect();
        let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
        let node = self.graph.reshape(node, &shape);
        Ok(Value::Tensor(Tensor { node, dims, range: None, ..tensor.clone() }))
    }

    /// Whether an axis of this extent holds examples of which an evaluation may have fewer.
    pub(super) fn may_be_short(&self, dim: &Dim) -> bool {
        self.expansion == Expansion::Evaluation && dim.has_batch()
    }

    /// A part of the examples that are there, with places from the end counted from the last of them. Where there are too
    /// few a run says so; of whole numbers, none of which is not a number, those that are not there are -1.
    pub(super) fn present(&mut self, x: &Tensor, part: &Part<'_>, span: Span) -> Outcome<Tensor> {
        let Part { axis, from, step, length } = *part;
        let (Some(count), Some(from)) = (HostValue::of_dim(&x.dims[axis]), HostValue::of_dim(from)) else {
            return self.fail(
                "E0208",
                span,
                format!("`{}` cannot be counted", x.dims[axis]),
                "in evaluation",
            );
        };
        self.mark(span);
        let mut line = vec![1; x.rank()];
        line[axis] = length.size();
        let mut dims = x.dims.clone();
        dims[axis] = length.clone();
        let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
        let place = self.graph.must(Iota::new(&line, axis), &[]);
        let (count, from) =
            (self.graph.host(count.expr, count.symbols), self.graph.host(from.expr, from.symbols));
        #[allow(clippy::cast_precision_loss)]
        let step = step as f64;
        let place = self.graph.map(&[place, from, count], |b, x| {
            let (place, step) = (b.cast(Scalar::F32, x[0]), b.real(step));
            let moved = b.binary(Binary::Mul, place, step);
            let place = b.binary(Binary::Add, moved, x[1]);
            let (zero, none) = (b.real(0.0), b.real(-1.0));
            let (begun, ended) = (b.binary(Binary::Ge, place, zero), b.binary(Binary::Lt, place, x[2]));
            let there = b.binary(Binary::And, begun, ended);
            let place = b.select(there, place, none);
            b.cast(Scalar::I32, place)
        });
        let place = if line == shape { place } else { self.graph.must(Broadcast::new(&shape), &[place]) };
        let element = x.element;
        let wide = match element {
            Element::F32 | Element::I32 => x.node,
            _ => self.graph.map(&[x.node], |b, x| b.cast(Scalar::I32, x[0])),
        };
        let mut node = self.graph.must(Gather::new(axis), &[wide, place]);
        let float = element == Element::F32;
        node = self.graph.map(&[node, place], |b, x| {
            let zero = b.int(0);
            let missing = b.binary(Binary::Lt, x[1], zero);
            let (nothing, none) = if float { (b.real(0.0), b.real(f64::NAN)) } else { (zero, b.int(-1)) };
            let more = b.select(missing, none, nothing);
            b.binary(Binary::Add, x[0], more)
        });
        if float {
            requires(self, node, "the last batch has the examples that are chosen by their places");
        }
        let element = if float { element } else { Element::I32 };
        Ok(Tensor { node, dims, element, made: None, range: None })
    }

    /// A place along an axis of extent `whole`; negative ones count from the end.
    fn bound(
        &mut self,
        frame: &mut Frame<'a>,
        expr: Option<&'a Expr>,
        whole: &Dim,
        missing: i64,
    ) -> Outcome<Dim> {
        let Some(expr) = expr else { return Ok(Dim::constant(missing)) };
        let value = self.expression(frame, expr)?;
        let dim = self.whole(&value, expr.span)?;
        if dim.extent() >= 0 {
            return Ok(dim);
        }
        match whole.add(&dim) {
            Some(dim) => Ok(dim),
            None => self.fail("E0204", expr.span, "this number does not fit in 64 bits", "too large"),
        }
    }

    /// The step of a slice: from 1 on.
    fn slice_step(&mut self, frame: &mut Frame<'a>, expr: &'a Expr) -> Outcome<usize> {
        let step = self.expression(frame, expr)?;
        if matches!(&step, Value::Int(dim) if dim.extent() < 0) {
            let diagnostic = Diagnostic::error("E0311", "a slice walks forward", expr.span)
                .fact("from 1 on")
                .help("the opposite order along an axis is `reverse(x, 1)`");
            return Err(self.report(diagnostic));
        }
        match self.count(&step, expr.span)? {
            step @ 1..=LARGEST_STEP => Ok(step),
            step => {
                self.fail("E0311", expr.span, format!("a slice cannot take steps of {step}"), "from 1 on")
            }
        }
    }

    fn out_of_range<T>(&mut self, written: &Expr, tensor: &Tensor, axis: usize) -> Outcome<T> {
        let text = self.bundle.sources().slice(written.span);
        let message = format!("`{text}` is outside dim {axis}");
        let fact = format!("dim {axis} of {} is {}", tensor.show(), tensor.dims[axis]);
        self.fail("E0311", written.span, message, fact)
    }

    fn list_index(
        &mut self,
        frame: &mut Frame<'a>,
        values: &[Value<'a>],
        indices: &'a [Index],
        span: Span,
    ) -> Outcome<Value<'a>> {
        let [Index::At(expr)] = indices else {
            return self.fail("E0311", span, "a list has one number for its place", "such as `list[0]`");
        };
        let length = Dim::constant(i64::try_from(values.len()).unwrap_or(i64::MAX));
        let at = self.bound(frame, Some(expr), &length, 0)?;
        match usize::try_from(at.extent()).ok().and_then(|at| values.get(at)) {
            Some(value) => Ok(value.clone()),
            None => {
                let text = self.bundle.sources().slice(expr.span);
                let message = format!("place `{text}` of a list of {length}");
                self.fail("E0311", expr.span, message, "outside the list")
            }
        }
    }
}
