//! The primitives: what no formula of the language can say. Everything else is in the standard library.

mod convolution;
mod einsum;
mod element;
mod index;
mod initial;
mod lines;
mod pick;
mod pooling;
mod product;
mod rearrange;
mod reduction;
mod requirement;
mod shape;
mod size;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::diagnostic::Diagnostic;
use crate::elaborate::call::Given;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::Dim;
use crate::elaborate::limits::LARGEST_STEP;
use crate::elaborate::value::{Tensor, Value};
use crate::source::Span;
pub(super) use requirement::Requirement;

/// A primitive.
pub(super) struct Intrinsic {
    /// How it is called.
    pub(super) name: &'static str,
    /// Its parameters; `*` before a name takes any number, `?` after it makes it optional.
    pub(super) parameters: &'static [&'static str],
    /// What it does.
    pub(super) run: for<'a> fn(&mut Elaborator<'a>, Call<'a>) -> Outcome<Value<'a>>,
}

impl std::fmt::Debug for Intrinsic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.name, self.parameters.join(", "))
    }
}

/// A call of a primitive.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// The primitive.
    pub(super) name: &'static str,
    /// Where its name is written.
    pub(super) name_span: Span,
    /// The whole call.
    pub(super) span: Span,
    /// The arguments of a `*` parameter.
    pub(super) rest: Vec<Given<'a>>,
    /// The other arguments, by parameter.
    pub(super) arguments: Vec<(&'a str, Given<'a>)>,
}

const TABLES: [&[Intrinsic]; 12] = [
    convolution::TABLE,
    einsum::TABLE,
    element::TABLE,
    index::TABLE,
    initial::TABLE,
    lines::TABLE,
    pick::TABLE,
    pooling::TABLE,
    rearrange::TABLE,
    reduction::TABLE,
    shape::TABLE,
    size::TABLE,
];

/// The primitive called `name`.
pub(super) fn find(name: &str) -> Option<&'static Intrinsic> {
    static BY_NAME: LazyLock<BTreeMap<&str, &Intrinsic>> = LazyLock::new(|| {
        TABLES.iter().flat_map(|table| table.iter()).map(|intrinsic| (intrinsic.name, intrinsic)).collect()
    });
    BY_NAME.get(name).copied()
}

/// The names of all primitives.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().flat_map(|table| table.iter()).map(|intrinsic| intrinsic.name)
}

impl<'a> Call<'a> {
    /// The argument for `parameter`; a required one is always there.
    fn given(&self, parameter: &str) -> Given<'a> {
        let given = self.argument(parameter).cloned();
        given.unwrap_or(Given { name: None, value: Value::Error, span: self.span })
    }

    fn argument(&self, parameter: &str) -> Option<&Given<'a>> {
        self.arguments.iter().find(|(name, _)| *name == parameter).map(|(_, given)| given)
    }

    fn optional(&self, parameter: &str) -> Option<Given<'a>> {
        let given = self.argument(parameter)?;
        (!matches!(given.value, Value::Symbol("none"))).then(|| given.clone())
    }
}

impl<'a> Elaborator<'a> {
    /// The tensor given for `parameter`.
    fn tensor_argument(&mut self, call: &Call<'a>, parameter: &str) -> Outcome<Tensor> {
        let given = call.given(parameter);
        self.tensor_given(call, &given)
    }

    fn tensor_given(&mut self, call: &Call<'a>, given: &Given<'a>) -> Outcome<Tensor> {
        match given.value.clone().first() {
            Value::Tensor(tensor) => Ok(tensor),
            Value::Error => Err(Reported),
            other => {
                let name = self.spoken_inside(call);
                let found = other.describe();
                let whole = matches!(given.value, Value::Int(_));
                let help = (whole && call.name == "concat").then(|| {
                    format!(
                        "an axis has a name: `concat(x, y, axis={})`",
                        self.bundle.sources().slice(given.span)
                    )
                });
                let diagnostic = Diagnostic::error("E0204", format!("`{name}` needs a tensor"), given.span)
                    .fact(format!("this is {found}"))
                    .help_maybe(help);
                Err(self.report(diagnostic))
            }
        }
    }

    /// The tensor given for `parameter`, which has one to three spatial axes behind batch and channels.
    fn spatial_argument(&mut self, call: &Call<'a>, parameter: &str) -> Outcome<Tensor> {
        let tensor = self.tensor_argument(call, parameter)?;
        if matches!(tensor.rank(), 3..=5) {
            return Ok(tensor);
        }
        let name = self.spoken_inside(call);
        let message = format!("`{name}` needs an input [N, C, W], [N, C, H, W] or [N, C, D, H, W]");
        self.fail("E0303", call.given(parameter).span, message, format!("found {}", tensor.show()))
    }

    /// The input and the weight of a convolution, which have as many axes as each other.
    fn convolved_arguments(&mut self, call: &Call<'a>) -> Outcome<(Tensor, Tensor)> {
        let x = self.spatial_argument(call, "x")?;
        let weight = self.tensor_argument(call, "weight")?;
        if weight.rank() == x.rank() {
            return Ok((x, weight));
        }
        let name = self.spoken_inside(call);
        let message = format!("`{name}` needs a weight of {} axes, as its input has", x.rank());
        let diagnostic = Diagnostic::error("E0303", message, call.given("weight").span)
            .fact(format!("found {}", weight.show()))
            .label(call.given("x").span, x.show());
        Err(self.report(diagnostic))
    }

    /// What the model's author called, where `call` stands in the library.
    fn spoken_inside(&self, call: &Call<'a>) -> &'a str {
        if self.bundle.is_library(call.span) { self.spoken_name(call.name) } else { call.name }
    }

    fn whole_argument(&mut self, call: &Call<'a>, parameter: &str, default: i64) -> Outcome<i64> {
        match call.optional(parameter) {
            Some(given) => self.whole(&given.value, given.span).map(|dim| dim.extent()),
            None => Ok(default),
        }
    }

    fn bool_argument(&mut self, call: &Call<'a>, parameter: &str, default: bool) -> Outcome<bool> {
        let Some(given) = call.optional(parameter) else { return Ok(default) };
        match given.value {
            Value::Bool(truth) => Ok(truth),
            other => {
                let message = format!("`{parameter}` is true or false");
                self.fail("E0204", given.span, message, format!("this is {}", other.describe()))
            }
        }
    }

    /// An axis of a tensor of `rank` axes; negative ones count from the end.
    fn axis(&mut self, call: &Call<'a>, axis: i64, rank: usize, span: Span) -> Outcome<usize> {
        let count = i64::try_from(rank).unwrap_or(i64::MAX);
        let place = if axis < 0 { axis + count } else { axis };
        match usize::try_from(place) {
            Ok(place) if place < rank => Ok(place),
            _ => {
                let name = self.spoken_inside(call);
                let message = format!("`{name}` along axis {axis} of a tensor with {rank} axes");
                self.fail("E0313", span, message, format!("axes run from -{rank} to {}", count - 1))
            }
        }
    }

    /// The axes given for `parameter`, one or a list; all of them when none is given.
    fn axes(&mut self, call: &Call<'a>, parameter: &str, rank: usize) -> Outcome<Vec<usize>> {
        let Some(given) = call.optional(parameter) else { return Ok((0..rank).collect()) };
        let values = match given.value {
            Value::List(values) => values,
            other => vec![other],
        };
        let mut axes = Vec::with_capacity(values.len());
        for value in values {
            let written = self.whole(&value, given.span)?.extent();
            let axis = self.axis(call, written, rank, given.span)?;
            if axes.contains(&axis) {
                let name = self.spoken_inside(call);
                let message = format!("`{name}` along axis {axis} twice");
                return self.fail("E0313", given.span, message, "an axis stands here once");
            }
            axes.push(axis);
        }
        axes.sort_unstable();
        Ok(axes)
    }

    /// Applies `op`, whose operands were checked.
    fn node(
        &mut self,
        call: &Call<'a>,
        op: impl crate::ops::Operator + 'static,
        operands: &[&Tensor],
        dims: Vec<Dim>,
    ) -> Outcome<Tensor> {
        self.result_fits(call, &dims)?;
        self.mark(call.span);
        let nodes: Vec<_> = operands.iter().map(|tensor| tensor.node).collect();
        match self.graph.apply(op, &nodes) {
            Ok(node) => {
                let mut tensor = self.tensor(node, dims);
                tensor.made = self.made(call.span, call.name);
                Ok(tensor)
            }
            Err(error) => {
                let name = self.spoken_inside(call);
                self.fail("E0303", call.span, format!("`{name}` does not fit its input"), error.message)
            }
        }
    }

    /// Refuses a result that no tensor can be.
    fn result_fits(&mut self, call: &Call<'a>, dims: &[Dim]) -> Outcome<()> {
        let name = self.spoken_inside(call);
        self.fits(|| format!("the result of `{name}`"), dims, call.span)
    }

    /// A number for the axis of a window that later sums cannot carry past 64 bits.
    fn side(&mut self, value: &Value<'a>, span: Span) -> Outcome<usize> {
        let side = self.count(value, span)?;
        if side <= LARGEST_STEP {
            return Ok(side);
        }
        let message = format!("{side} is too much for the axis of a window");
        self.fail("E0304", span, message, format!("at most {LARGEST_STEP}"))
    }

    /// [`Elaborator::sides`] for `parameter`, which is a number from 1 on: what a window is, or moves by.
    fn sides_from_one(&mut self, call: &Call<'a>, parameter: &str, axes: usize) -> Outcome<Vec<usize>> {
        let given = call.given(parameter);
        self.refuse_below_one(call, &given, parameter)?;
        self.sides(&given, axes)
    }

    /// Refuses numbers below 1.
    fn refuse_below_one(&mut self, call: &Call<'a>, given: &Given<'a>, parameter: &str) -> Outcome<()> {
        let numbers = match &given.value {
            Value::List(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for number in numbers {
            let number = self.whole(number, given.span)?.extent();
            if number < 1 {
                let name = self.spoken_inside(call);
                let message = format!("the {parameter} of `{name}` is a whole number from 1 on");
                return self.fail("E0304", given.span, message, format!("this is {number}"));
            }
        }
        Ok(())
    }

    /// One or two numbers for the axes of a window: `3` is `(3, 3)`.
    fn sides(&mut self, given: &Given<'a>, axes: usize) -> Outcome<Vec<usize>> {
        match &given.value {
            Value::List(values) => {
                if values.len() != axes {
                    let needed = if axes == 1 { "number is" } else { "numbers are" };
                    let message = format!("{axes} {needed} needed here");
                    return self.fail("E0204", given.span, message, format!("these are {}", values.len()));
                }
                values.iter().map(|value| self.side(value, given.span)).collect()
            }
            value => Ok(vec![self.side(value, given.span)?; axes]),
        }
    }
}
