//! What an optimizer's formula may do with weights.
//!
//! All weights that move together lie side by side in one vector, rounded up in length. A formula of single elements
//! means the same for each of them; a sum, a norm, an index or a question about shapes would speak of the whole vector
//! and of no weight. These are refused.

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::intrinsic::Call;
use crate::elaborate::value::Value;
use crate::source::Span;

/// Primitives that give an element for each element, or only ask what kind of value there is.
const ELEMENTWISE: [&str; 22] = [
    "exp",
    "log",
    "sqrt",
    "abs",
    "sin",
    "cos",
    "tanh",
    "sign",
    "floor",
    "ceil",
    "round",
    "to_float",
    "to_int",
    "select",
    "identity",
    "stop_grad",
    "add",
    "mul",
    "random_like",
    "is_tensor",
    "paired",
    "is_list",
];

/// Primitives that make a tensor of a shape of their own.
const MAKERS: [&str; 3] = ["zeros", "ones", "vector"];

impl<'a> Elaborator<'a> {
    /// Refuses `call` in an optimizer where it looks at more than single elements.
    pub(super) fn elementwise_call(&mut self, call: &Call<'a>) -> Outcome<()> {
        let of_two =
            ["max", "min"].contains(&call.name) && call.arguments.iter().any(|(name, _)| *name == "y");
        if self.update.is_none() || of_two || ELEMENTWISE.contains(&call.name) {
            return Ok(());
        }
        let given = call.arguments.iter().map(|(_, given)| given).chain(&call.rest);
        let of_tensors = given.into_iter().any(|given| holds_tensor(&given.value));
        if !of_tensors && !MAKERS.contains(&call.name) {
            return Ok(());
        }
        let spoken = if self.bundle.is_library(call.span) { self.spoken_name(call.name) } else { call.name };
        let what = format!("`{spoken}`");
        self.not_elementwise(&what, call.span, help_for(spoken))
    }

    /// Refuses what stands at `span`, called `what`, in an optimizer, where it works on `value` as a whole.
    pub(super) fn elementwise(&mut self, value: &Value<'a>, what: &str, span: Span) -> Outcome<()> {
        if self.update.is_none() || !holds_tensor(value) {
            return Ok(());
        }
        self.not_elementwise(what, span, help_for(""))
    }

    fn not_elementwise(&mut self, what: &str, span: Span, help: &str) -> Outcome<()> {
        let name = self.update.as_ref().map(|update| update.name);
        let diagnostic = Diagnostic::error("E0510", format!("{what} is not elementwise"), span)
            .fact("of all weights together, which lie side by side as one vector")
            .help(help);
        Err(self.report(match name {
            Some(name) => diagnostic.label(name, "an optimizer is a formula of single elements"),
            None => diagnostic,
        }))
    }
}

fn holds_tensor(value: &Value<'_>) -> bool {
    match value {
        Value::Tensor(_) => true,
        Value::List(values) | Value::Outputs(values) => values.iter().any(holds_tensor),
        _ => false,
    }
}

fn help_for(called: &str) -> &'static str {
    match called {
        "norm" => "the norm of the whole gradient is bounded by a setting of `train`: `clip = 1.0`",
        "rank" | "size" => "give layers optimizers of their own: `update LAYER { optimizer = .. }`",
        _ => "write what happens to each element of `w`: formulas of `w`, `g`, states and numbers",
    }
}
