//! `x[.., 0:2]` and coordinates.

use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::limits::LARGEST_STEP;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::{Iota, Slice};
use crate::source::Span;
use crate::syntax::ast::{Expr, Index};

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
        let mut start = vec![0; tensor.rank()];
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
                    start[axis] = at.size();
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
                    start[axis] = from.size();
                    step[axis] = by;
                    let length = to.subtract(&from).ok_or(Reported)?;
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
        start: &[usize],
        step: &[usize],
        dims: Vec<Dim>,
        dropped: &[usize],
        span: Span,
    ) -> Outcome<Value<'a>> {
        self.mark(span);
        let extent: Vec<usize> = dims.iter().map(Dim::size).collect();
        let whole = extent == tensor.shape() && step.iter().all(|step| *step == 1);
        let node = if whole {
            tensor.node
        } else {
            match self.graph.apply(Slice::new(start, &extent, step), &[tensor.node]) {
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
