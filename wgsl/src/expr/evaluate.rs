//! The value of a formula, in f64: its meaning, and how constants fold.

use super::{Binary, Expr, Ref, Term, Unary};
use crate::element::Scalar;

impl Expr {
    /// The values of all results in f64; integers and truths are carried as whole floats.
    ///
    /// # Panics
    /// If fewer operands are given than the formula uses.
    #[must_use]
    pub fn evaluate(&self, operands: &[f64]) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.terms.len());
        self.evaluate_into(operands, &mut values);
        self.results.iter().map(|r| values[r.index()]).collect()
    }

    /// [`Expr::evaluate`] with the term values left in `values`, so that a loop allocates nothing.
    pub fn evaluate_into(&self, operands: &[f64], values: &mut Vec<f64>) {
        values.clear();
        let types = &self.terms;
        for term in types {
            let at = |r: &Ref| values[r.index()];
            let value = match term {
                Term::Operand(k, _) => operands[*k as usize],
                Term::Real(v) => v.value(),
                Term::Int(v) => f64::from(*v),
                Term::Bool(v) => truth(*v),
                Term::Unary(op, a) => unary(*op, at(a)),
                Term::Binary(op, a, b) => binary(*op, at(a), at(b), self.is_int(*a)),
                Term::Select { condition, yes, no } => {
                    if at(condition) != 0.0 {
                        at(yes)
                    } else {
                        at(no)
                    }
                }
                Term::Cast(Scalar::F32, a) => at(a),
                Term::Cast(Scalar::I32, a) => at(a).trunc(),
                Term::Cast(Scalar::Bool, a) => truth(at(a) != 0.0),
            };
            values.push(value);
        }
    }

    fn is_int(&self, r: Ref) -> bool {
        match self.terms[r.index()] {
            Term::Operand(_, s) | Term::Cast(s, _) => s == Scalar::I32,
            Term::Int(_) => true,
            Term::Real(_) | Term::Bool(_) => false,
            Term::Unary(_, a) => self.is_int(a),
            Term::Binary(op, a, _) => !op.is_truth() && self.is_int(a),
            Term::Select { yes, .. } => self.is_int(yes),
        }
    }
}

pub(super) fn truth(v: bool) -> f64 {
    f64::from(u8::from(v))
}

pub(super) fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign => {
            if x == 0.0 {
                0.0
            } else {
                x.signum()
            }
        }
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tanh => x.tanh(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Not => truth(x == 0.0),
        Unary::IsFinite => truth(x.is_finite()),
    }
}

pub(super) fn binary(op: Binary, x: f64, y: f64, int: bool) -> f64 {
    match op {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div if int && y == 0.0 => x,
        Binary::Rem if int && y == 0.0 => 0.0,
        Binary::Div if int => (x / y).trunc(),
        Binary::Div => x / y,
        Binary::Rem => x % y,
        Binary::Pow => x.powf(y),
        Binary::Min => x.min(y),
        Binary::Max => x.max(y),
        Binary::Lt => truth(x < y),
        Binary::Le => truth(x <= y),
        Binary::Gt => truth(x > y),
        Binary::Ge => truth(x >= y),
        Binary::Eq => truth(x == y),
        Binary::Ne => truth(x != y),
        Binary::And => truth(x != 0.0 && y != 0.0),
        Binary::Or => truth(x != 0.0 || y != 0.0),
    }
}
