//! Formulas that the host evaluates: the words of the host block once a step, `stop` and `save` once an epoch.

use nnc_wgsl::{Element, HOST_SEED, HOST_SLOTS, HOST_STEP};
use serde::{Deserialize, Serialize};

use crate::artifact::{HostBinary, HostExpr, HostScalar, HostSymbol};

/// What the training loop knows when a step is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the step, from 1.
    pub step: u64,
    /// The number of the epoch, from 0.
    pub epoch: u64,
    /// How many examples of the batch count.
    pub examples: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
    /// Steps in the whole run.
    pub total_steps: u64,
}

impl Clock {
    /// The clock of a single run outside of training: step 1 of 1, all `examples` of the batch.
    #[must_use]
    pub fn single(seed: u64, examples: u64) -> Clock {
        Clock { seed, step: 1, epoch: 0, examples, steps_per_epoch: 1, total_steps: 1 }
    }

    fn symbol(&self, symbol: HostSymbol) -> f64 {
        let value = match symbol {
            HostSymbol::Step => self.step,
            HostSymbol::Epoch => self.epoch,
            HostSymbol::Examples => self.examples,
            HostSymbol::StepsPerEpoch => self.steps_per_epoch,
            HostSymbol::TotalSteps => self.total_steps,
        };
        value as f64
    }
}

/// The host block of one step: the seed, the step, and every scalar of the program.
#[must_use]
pub fn host_block(scalars: &[HostScalar], clock: &Clock) -> [u32; HOST_SLOTS] {
    let mut block = [0; HOST_SLOTS];
    block[HOST_SEED as usize] = clock.seed as u32;
    block[HOST_STEP as usize] = clock.step as u32;
    for scalar in scalars {
        let operands: Vec<f64> = scalar.symbols.iter().map(|s| clock.symbol(*s)).collect();
        let value = scalar.expr.evaluate(&operands)[0];
        block[scalar.slot as usize] = match scalar.element {
            Element::I32 => (value as i32).cast_unsigned(),
            Element::F32 | Element::F16 | Element::Bool | Element::U8 => (value as f32).to_bits(),
        };
    }
    block
}

/// A measured value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// `train`, `test` or `valid`.
    pub part: String,
    /// `loss` or a metric.
    pub name: String,
    /// Its mean over the examples of the part.
    pub value: f64,
}

/// What was measured in one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Steps done at its end.
    pub step: u64,
    /// What was measured.
    pub measured: Vec<Measured>,
}

impl EpochRecord {
    /// The value of `part.name`, if it was measured.
    #[must_use]
    pub fn value(&self, part: &str, name: &str) -> Option<f64> {
        self.measured.iter().find(|m| m.part == part && m.name == name).map(|m| m.value)
    }
}

/// A formula that asks for something that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{part}.{name}` was not measured; there are: {}", available.join(", "))]
pub struct NotMeasured {
    /// The part that was asked for.
    pub part: String,
    /// The value that was asked for.
    pub name: String,
    /// What was measured.
    pub available: Vec<String>,
}

/// The value of a formula after the last of `epochs`; truth is 1 or 0, and of nothing it is 0.
///
/// `patience(v, n)` holds when the best value of `v` is at least `n` epochs old. A value that is not a number
/// improves nothing.
///
/// # Errors
/// If it asks for a value that was not measured.
pub fn evaluate(expr: &HostExpr, epochs: &[EpochRecord]) -> Result<f64, NotMeasured> {
    let Some(now) = epochs.last() else { return Ok(0.0) };
    Ok(match expr {
        HostExpr::Number(value) => *value,
        HostExpr::Metric { part, name } => now.value(part, name).ok_or_else(|| NotMeasured {
            part: part.clone(),
            name: name.clone(),
            available: now.measured.iter().map(|m| format!("{}.{}", m.part, m.name)).collect(),
        })?,
        HostExpr::Epoch => epochs.len() as f64,
        HostExpr::Step => now.step as f64,
        HostExpr::Patience { value, epochs: wanted, larger_is_better } => {
            let age = epochs_since_best(value, epochs, *larger_is_better)?;
            truth(age >= *wanted)
        }
        HostExpr::Neg(a) => -evaluate(a, epochs)?,
        HostExpr::Not(a) => truth(evaluate(a, epochs)? == 0.0),
        HostExpr::Binary(op, a, b) => binary(*op, evaluate(a, epochs)?, evaluate(b, epochs)?),
    })
}

/// The names in the formula that are measured, as (part, name).
#[must_use]
pub fn measured_names(expr: &HostExpr) -> Vec<(&str, &str)> {
    match expr {
        HostExpr::Number(_) | HostExpr::Epoch | HostExpr::Step => Vec::new(),
        HostExpr::Metric { part, name } => vec![(part, name)],
        HostExpr::Patience { value, .. } => measured_names(value),
        HostExpr::Neg(a) | HostExpr::Not(a) => measured_names(a),
        HostExpr::Binary(_, a, b) => [measured_names(a), measured_names(b)].concat(),
    }
}

fn epochs_since_best(value: &HostExpr, epochs: &[EpochRecord], larger: bool) -> Result<u64, NotMeasured> {
    let mut best = f64::NAN;
    let mut age = 0;
    for end in 1..=epochs.len() {
        let v = evaluate(value, &epochs[..end])?;
        let improves = if larger { v > best } else { v < best };
        if end == 1 || improves || (best.is_nan() && !v.is_nan()) {
            best = v;
            age = 0;
        } else {
            age += 1;
        }
    }
    Ok(age)
}

fn binary(op: HostBinary, a: f64, b: f64) -> f64 {
    match op {
        HostBinary::Add => a + b,
        HostBinary::Sub => a - b,
        HostBinary::Mul => a * b,
        HostBinary::Div => a / b,
        HostBinary::Lt => truth(a < b),
        HostBinary::Le => truth(a <= b),
        HostBinary::Gt => truth(a > b),
        HostBinary::Ge => truth(a >= b),
        HostBinary::Eq => truth(a == b),
        HostBinary::Ne => truth(a != b),
        HostBinary::And => truth(a != 0.0 && b != 0.0),
        HostBinary::Or => truth(a != 0.0 || b != 0.0),
        HostBinary::Min => a.min(b),
        HostBinary::Max => a.max(b),
    }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

#[cfg(test)]
mod tests {
    use nnc_wgsl::{Binary, Expr, Scalar};

    use super::*;

    fn losses(values: &[f64]) -> Vec<EpochRecord> {
        let measured = |value| vec![Measured { part: "test".to_owned(), name: "loss".to_owned(), value }];
        (1..).zip(values).map(|(n, &v)| EpochRecord { step: n * 10, measured: measured(v) }).collect()
    }

    fn loss() -> Box<HostExpr> {
        Box::new(HostExpr::Metric { part: "test".to_owned(), name: "loss".to_owned() })
    }

    #[test]
    fn patience_counts_epochs_since_the_best() {
        let expr = HostExpr::Patience { value: loss(), epochs: 2, larger_is_better: false };
        let after = |values: &[f64]| evaluate(&expr, &losses(values)).unwrap();
        assert_eq!(after(&[3.0, 2.0]), 0.0);
        assert_eq!(after(&[3.0, 2.0, 2.5]), 0.0);
        assert_eq!(after(&[3.0, 2.0, 2.5, 2.0]), 1.0);
        assert_eq!(after(&[3.0, 2.0, 2.5, 1.9]), 0.0);
        assert_eq!(after(&[f64::NAN, 2.0, f64::NAN]), 0.0);
    }

    #[test]
    fn formulas_have_their_usual_meaning() {
        let history = losses(&[0.5, 0.25]);
        let number = |v| Box::new(HostExpr::Number(v));
        let less = HostExpr::Binary(HostBinary::Le, loss(), number(0.25));
        let late = HostExpr::Binary(HostBinary::Gt, Box::new(HostExpr::Epoch), number(2.0));
        assert_eq!(evaluate(&less, &history).unwrap(), 1.0);
        assert_eq!(evaluate(&late, &history).unwrap(), 0.0);
        let or = HostExpr::Binary(HostBinary::Or, Box::new(less.clone()), Box::new(late.clone()));
        let and = HostExpr::Binary(HostBinary::And, Box::new(less), Box::new(late));
        assert_eq!(evaluate(&or, &history).unwrap(), 1.0);
        assert_eq!(evaluate(&HostExpr::Not(Box::new(and)), &history).unwrap(), 1.0);
        assert_eq!(evaluate(&HostExpr::Step, &history).unwrap(), 20.0);
        assert_eq!(evaluate(&HostExpr::Neg(loss()), &history).unwrap(), -0.25);
    }

    #[test]
    fn a_value_that_was_not_measured_is_named() {
        let wanted = HostExpr::Metric { part: "valid".to_owned(), name: "loss".to_owned() };
        let message = evaluate(&wanted, &losses(&[1.0])).unwrap_err().to_string();
        assert_eq!(message, "`valid.loss` was not measured; there are: test.loss");
    }

    #[test]
    fn the_host_block_holds_seed_step_and_scalars() {
        let halved = Expr::build(&[Scalar::F32], |b, x| {
            let half = b.real(0.5);
            b.binary(Binary::Mul, x[0], half)
        });
        let scalar =
            HostScalar { slot: 5, element: Element::F32, expr: halved, symbols: vec![HostSymbol::Step] };
        let clock = Clock { seed: 7 + (1 << 40), step: 3, ..Clock::single(0, 4) };
        let block = host_block(&[scalar], &clock);
        assert_eq!((block[0], block[1], f32::from_bits(block[5])), (7, 3, 1.5));
    }
}
