//! The dims to which operands are brought, aligned on the right.

use crate::diagnostic::Diagnostic;
use crate::elaborate::arithmetic::Operand;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::{Dim, show_dims};
use crate::elaborate::value::{Tensor, Value};
use crate::source::Span;

impl<'a> Elaborator<'a> {
    /// The common shape of the tensors among `operands`, aligned on the right.
    pub(in crate::elaborate) fn broadcast(
        &mut self,
        name: &str,
        span: Span,
        operands: &[Operand<'a>],
    ) -> Outcome<Vec<Dim>> {
        let mut dims: Vec<Dim> = Vec::new();
        let mut first: Option<(&Tensor, Span)> = None;
        for (value, place) in operands {
            let Value::Tensor(tensor) = value else { continue };
            let one = Dim::constant(1);
            while dims.len() < tensor.rank() {
                dims.insert(0, one.clone());
            }
            let skip = dims.len() - tensor.rank();
            for (axis, dim) in tensor.dims.iter().enumerate() {
                let known = &mut dims[skip + axis];
                if *known == one {
                    *known = dim.clone();
                } else if *dim != one && dim != known {
                    let known = known.clone();
                    return Err(self.mismatch(name, span, (tensor, *place), first, axis, &known));
                }
            }
            if first.is_none() {
                first = Some((tensor, *place));
            }
        }
        let batches = batch_axes(&dims);
        let tensors = operands.iter().filter_map(|(value, _)| match value {
            Value::Tensor(tensor) => Some(tensor),
            _ => None,
        });
        let paired = tensors.clone().any(|tensor| batch_axes(&tensor.dims) == batches);
        let laid = tensors.clone().any(|tensor| tensor.rank() < dims.len() && batch_axes(&tensor.dims) > 0);
        if batches > 1 && !paired && laid {
            return Err(self.pairs(span, operands, &dims));
        }
        Ok(dims)
    }

    fn mismatch(
        &mut self,
        name: &str,
        span: Span,
        (tensor, place): (&Tensor, Span),
        first: Option<(&Tensor, Span)>,
        axis: usize,
        known: &Dim,
    ) -> Reported {
        let spoken = if self.bundle.is_library(span) { self.spoken_name(name) } else { name };
        let spoken = spoken.to_owned();
        let branches = ["add", "mul"].contains(&name);
        let message = if branches {
            format!("the branches of `{spoken}` have different shapes")
        } else {
            format!("the shapes of `{spoken}` do not fit")
        };
        let diagnostic = match first {
            Some((other, there)) if self.visible(there) != self.visible(place) && branches => {
                Diagnostic::error("E0301", message, there)
                    .fact(other.show())
                    .label(place, tensor.show())
                    .note(format!("dim {axis} is {known} in one and {} in the other", tensor.dims[axis]))
                    .help_maybe(projection(other, tensor))
            }
            Some((other, there)) => Diagnostic::error("E0301", message, span)
                .fact(format!("{} with {}", other.show(), tensor.show()))
                .label(there, other.show())
                .label(place, tensor.show())
                .note(format!("dim {axis} of {} is {}, not {known}", tensor.show(), tensor.dims[axis])),
            None => Diagnostic::error("E0301", message, span).fact(tensor.show()),
        };
        self.report(diagnostic)
    }

    fn pairs(&mut self, span: Span, operands: &[Operand<'a>], dims: &[Dim]) -> Reported {
        let message = "the result would pair every example with every other";
        let mut diagnostic = Diagnostic::error("E0308", message, span)
            .fact(format!("result f32{} has the batch dim twice", show_dims(dims)))
            .help("drop the dim of size 1 first: `x[:, 0]`");
        for (value, place) in operands {
            if let Value::Tensor(tensor) = value {
                diagnostic = diagnostic.label(*place, tensor.show());
            }
        }
        self.report(diagnostic)
    }
}

/// How many of `dims` the batch dim is part of.
fn batch_axes(dims: &[Dim]) -> usize {
    dims.iter().filter(|dim| dim.has_batch()).count()
}

/// How to bring a shortcut to the shape of its branch.
fn projection(one: &Tensor, other: &Tensor) -> Option<String> {
    if one.rank() != 4 || other.rank() != 4 {
        return None;
    }
    let ratio = other.dims[2].extent() / one.dims[2].extent().max(1);
    let stride = if ratio > 1 { format!(", stride={ratio}") } else { String::new() };
    Some(format!("project the other branch: `conv({}, 1{stride})`", one.dims[1]))
}
