//! What an expansion may cost, and what a tensor may be: the bounds within which every later number fits.

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::{Dim, show_dims};
use crate::elaborate::value::Value;
use crate::size::{ELEMENTS, elements, too_many};
use crate::source::Span;

/// The most that an expansion may evaluate and make: expressions, stages, and values of the graph together.
pub(crate) const WORK: usize = 500_000;
/// What an error costs of it, beside one for each use that its place lies in.
const REPORT: usize = 16;
/// The most letters of a string, and the most values of a list with all that lies in it.
const LARGEST_VALUE: usize = 1 << 16;
/// The largest stride, padding, dilation or step.
pub(super) const LARGEST_STEP: usize = 1 << 31;

/// Expressions, chains and what they call may lie this deep in one another.
const DEEPEST: usize = 256;

impl<'a> Elaborator<'a> {
    /// Runs `inner`, which evaluates what is written at `span`, one level deeper.
    pub(super) fn deeper<T>(
        &mut self,
        span: Span,
        inner: impl FnOnce(&mut Elaborator<'a>) -> Outcome<T>,
    ) -> Outcome<T> {
        if self.depth >= DEEPEST {
            let message = format!("expressions and calls are nested more than {DEEPEST} deep");
            return self.fail("E0209", span, message, "too deep here");
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Counts `amount` of work done at `span`. The stage that uses up what an expansion may take is reported, and
    /// everything after it fails.
    pub(super) fn spend(&mut self, amount: usize, span: Span) -> Outcome<()> {
        if self.spent > self.work {
            return Err(Reported);
        }
        self.spent = self.spent.saturating_add(amount);
        if self.work_done() <= self.work {
            return Ok(());
        }
        self.spent = usize::MAX;
        let mut diagnostic = Diagnostic::error("E0213", "the model takes too much work to expand", span)
            .fact("the work is used up here")
            .note(format!("an expansion has at most {WORK} expressions, stages and values of the graph"))
            .help("take fewer turns or steps, or shorten what calls itself");
        if self.work < WORK {
            diagnostic = diagnostic.note(format!("the models before it have left {} to this one", self.work));
        }
        Err(self.report(diagnostic))
    }

    /// What was evaluated and made so far.
    pub(super) fn work_done(&self) -> usize {
        self.spent.saturating_add(self.graph.len())
    }

    /// Counts the work of an error, whose chain of uses is written anew each time: a block that is wrong and calls itself
    /// says so at every turn. Where that uses up the rest, the errors that are known by then are all.
    pub(super) fn spend_on_report(&mut self, diagnostic: &Diagnostic) {
        if diagnostic.is_error() {
            self.spent = self.spent.saturating_add(REPORT + self.sites.len());
        }
    }

    /// `value` where it is not too large to be kept; what it takes to copy it is counted.
    pub(super) fn bounded(&mut self, value: Value<'a>, span: Span) -> Outcome<Value<'a>> {
        let weight = match &value {
            Value::Text(text) => text.len(),
            Value::List(values) => values.iter().map(weight).sum(),
            _ => return Ok(value),
        };
        if weight > LARGEST_VALUE {
            let what = if matches!(value, Value::Text(_)) { "string" } else { "list" };
            let message = format!("this {what} is too long");
            return self.fail("E0213", span, message, format!("{weight} is more than {LARGEST_VALUE}"));
        }
        self.spend(weight / 64, span)?;
        Ok(value)
    }

    /// Refuses dims that no tensor can have: each is at least 1, and their product is what a kernel can count.
    /// `what` is the tensor in words.
    pub(super) fn fits(&mut self, what: impl Fn() -> String, dims: &[Dim], span: Span) -> Outcome<()> {
        if let Some(axis) = dims.iter().position(|dim| dim.extent() < 1) {
            let message = format!("{} would have no elements", what());
            let diagnostic = Diagnostic::error("E0317", message, span)
                .fact(format!("it would be {}", show_dims(dims)))
                .note(format!("dim {axis} is {}", in_numbers(&dims[axis])));
            let any = dims[axis].as_constant() == Some(-1);
            let help = "a dim of any extent is a name with a capital letter, the batch `N`: `f32[N, T]`";
            let diagnostic = diagnostic.help_maybe(any.then(|| help.to_owned()));
            return Err(self.report(diagnostic));
        }
        if elements(dims.iter().map(Dim::size)) > ELEMENTS as u128 {
            let count = elements(dims.iter().map(Dim::size));
            return Err(self.report(too_many(&what(), &show_dims(dims), count, span)));
        }
        Ok(())
    }
}

/// A dim with the number it comes to.
fn in_numbers(dim: &Dim) -> String {
    match dim.as_constant() {
        Some(number) => number.to_string(),
        None => format!("{dim}, which is {} here", dim.extent()),
    }
}

/// How many values a value holds; a string counts its letters.
fn weight(value: &Value<'_>) -> usize {
    match value {
        Value::Text(text) => text.len().max(1),
        Value::List(values) | Value::Outputs(values) => values.iter().map(weight).sum::<usize>() + 1,
        _ => 1,
    }
}
