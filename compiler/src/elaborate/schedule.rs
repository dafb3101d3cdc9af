//! Schedules held against the range of what they are given for: at the first step of a run, and at all others where the
//! file says how many there are.

use nnc_runtime::artifact::HostSymbol;

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::frame::Frame;
use crate::elaborate::host::HostValue;
use crate::elaborate::settings::TrainSettings;
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast::{Definition, Expr};

/// How many steps of a long run are looked at.
const SAMPLES: usize = 200;

/// The length of a run of which only the first step is looked at.
const LONG: usize = 1_000_000;

impl<'a> Elaborator<'a> {
    /// Notes how many steps a run has, where nothing but `steps` says so.
    pub(super) fn count_steps(&mut self, settings: &TrainSettings<'a>) -> Outcome<()> {
        let steps = self.count_setting(settings, "steps")?;
        self.total_steps = steps.filter(|_| !settings.values.contains_key("epochs"));
        Ok(())
    }

    /// Refuses what is given to `definition` where `condition`, whose truth is `truth` while training, breaks on the way.
    pub(super) fn schedule_holds(
        &mut self,
        frame: &Frame<'a>,
        (definition, name): (&'a Definition, Span),
        condition: &'a Expr,
        truth: &HostValue,
    ) -> Outcome<()> {
        let last = self.total_steps.unwrap_or(1).max(1);
        let sampled = (0..SAMPLES).map(|turn| 1 + turn * (last - 1) / (SAMPLES - 1));
        let Some(step) = sampled.into_iter().find(|step| self.number_at(truth, *step) == Some(0.0)) else {
            return Ok(());
        };
        let text = self.bundle.sources().slice(condition.span).to_owned();
        let mut numbers = Vec::new();
        for parameter in &definition.parameters {
            let parameter = parameter.name.text.as_str();
            if let Some(Value::Host(given)) = frame.names.get(parameter)
                && text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == parameter)
                && let Some(number) = self.number_at(given, step)
            {
                numbers.push(format!("`{parameter}` is {number:.6} at step {step}"));
            }
        }
        let called = self.spoken_name(&definition.name.text).to_owned();
        let diagnostic = Diagnostic::error("E0306", format!("`{called}` cannot be used like this"), name)
            .fact(if numbers.is_empty() { format!("not at step {step}") } else { numbers.join(", ") })
            .label(condition.span, "this must hold")
            .note(format!("`{text}` must hold at every step"));
        let site = self.sites.pop();
        let reported = self.report(diagnostic);
        self.sites.extend(site);
        Err(reported)
    }

    /// A number of the training loop at a step; `None` where it depends on what the data alone says.
    #[allow(clippy::cast_precision_loss)]
    fn number_at(&self, value: &HostValue, step: usize) -> Option<f64> {
        let symbol = |symbol: &HostSymbol| match symbol {
            HostSymbol::Step => Some(step as f64),
            HostSymbol::Epoch if step == 1 => Some(0.0),
            HostSymbol::TotalSteps => Some(self.total_steps.unwrap_or(LONG) as f64),
            HostSymbol::StepsPerEpoch if self.total_steps.is_none() => Some(LONG as f64),
            HostSymbol::Epoch | HostSymbol::StepsPerEpoch | HostSymbol::Examples => None,
        };
        let operands: Vec<f64> = value.symbols.iter().map(symbol).collect::<Option<_>>()?;
        value.expr.evaluate(&operands).first().copied()
    }
}
