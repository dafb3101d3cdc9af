//! `repeat`: a chain, turn after turn.

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::frame::Frame;
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast::{Chain, Expr, ExprKind, Name};

impl<'a> Elaborator<'a> {
    pub(super) fn repeat(
        &mut self,
        frame: &mut Frame<'a>,
        variable: Option<&Name>,
        count: &'a Expr,
        chain: &'a Chain,
        input: Value<'a>,
        span: Span,
    ) -> Outcome<Value<'a>> {
        let turns = self.turns_of(frame, count)?;
        let mut value = input;
        let mut place = span;
        for (turn, current) in turns.into_iter().enumerate() {
            let note = match (variable, &current) {
                (Some(name), Value::Int(dim)) => {
                    format!("on turn {} of this `repeat` ({} = {dim})", turn + 1, name.text)
                }
                _ => format!("on turn {} of this `repeat`", turn + 1),
            };
            let before = variable.map(|name| frame.before(&name.text));
            if let Some(name) = variable {
                frame.bind(&name.text, current);
            }
            let result = if self.bundle.is_library(chain.span) {
                self.chain(frame, chain, value.first(), place)
            } else {
                self.weights.open(&turn.to_string());
                self.turns.push(note);
                let result = self.chain(frame, chain, value.first(), place);
                self.turns.pop();
                self.weights.close();
                place = chain.span;
                result
            };
            if let Some(before) = before {
                frame.restore(before);
            }
            value = result?;
        }
        Ok(value)
    }

    fn turns_of(&mut self, frame: &mut Frame<'a>, count: &'a Expr) -> Outcome<Vec<Value<'a>>> {
        const MOST: i64 = 10_000;
        let value = self.expression(frame, count)?;
        self.turns_without_batch(frame, count, &value)?;
        let (low, high) = match &value {
            Value::List(values) => return Ok(values.clone()),
            Value::Int(dim) => (0, dim.extent()),
            #[allow(clippy::cast_possible_truncation)]
            Value::Range(low, high) if low.fract() == 0.0 && high.fract() == 0.0 => {
                (*low as i64, *high as i64)
            }
            other => {
                let found = other.describe();
                let diagnostic =
                    Diagnostic::error("E0204", "`repeat` needs a number, a range or a list", count.span)
                        .fact(format!("this is {found}"));
                return Err(self.report(diagnostic));
            }
        };
        if high < low {
            let message = format!("`repeat` would take {} turns", high.saturating_sub(low));
            return self.fail("E0204", count.span, message, "a number from 0 on is needed");
        }
        if high.saturating_sub(low) > MOST {
            let message = format!("`repeat` would take {} turns", high.saturating_sub(low));
            return self.fail("E0204", count.span, message, format!("at most {MOST} can be unrolled"));
        }
        Ok((low..high).map(Value::int).collect())
    }

    /// Every turn makes weights, so that their number cannot depend on the size of the batch.
    fn turns_without_batch(
        &mut self,
        frame: &mut Frame<'a>,
        count: &'a Expr,
        value: &Value<'a>,
    ) -> Outcome<()> {
        let of_batch = |value: &Value<'a>| matches!(value, Value::Int(dim) if dim.has_batch());
        let depends = match &count.kind {
            ExprKind::Range(low, high) => {
                of_batch(&self.expression(frame, low)?) || of_batch(&self.expression(frame, high)?)
            }
            _ => of_batch(value),
        };
        if !depends {
            return Ok(());
        }
        let message = "the turns of this `repeat` depend on the batch dim";
        let diagnostic = Diagnostic::error("E0208", message, count.span)
            .fact("another number in training than in use")
            .help("a number, a constant or another dim");
        Err(self.report(diagnostic))
    }
}
