//! The derivative of a formula, symbolically.

use super::{Binary, Expr, ExprBuilder, Ref, Term, Unary};
use crate::element::Scalar;

impl Expr {
    /// The gradient for operand `wrt` of a formula with one float result, `None` where it is 0 everywhere.
    ///
    /// The operands of the returned formula are those of this one, then the result, then the upstream
    /// gradient. It refers to the result in place of recomputing it, so that `exp`, `tanh` and `max` need
    /// not keep what they were computed from. At a tie `max` and `min` share the slope evenly between two
    /// sides that vary; a constant side takes it whole, so that the slope of `max(x, 0)` at 0 is 0.
    ///
    /// # Panics
    /// If the formula does not have exactly one result.
    #[must_use]
    pub fn gradient(&self, wrt: usize) -> Option<Expr> {
        assert_eq!(self.results.len(), 1, "a gradient is taken of one result");
        let result = self.results[0];
        if self.operands[wrt] != Scalar::F32 || self.result_type(0) != Scalar::F32 {
            return None;
        }
        let n = self.operands.len();
        let mut types = self.operands.clone();
        types.extend([Scalar::F32, Scalar::F32]);
        let mut b = ExprBuilder::new(&types);
        let mut value: Vec<Ref> = Vec::with_capacity(self.terms.len());
        let mut slope: Vec<Option<Ref>> = Vec::with_capacity(self.terms.len());
        for (place, term) in self.terms.iter().enumerate() {
            let args: Vec<Ref> = (0..n).map(|k| b.operand(k)).collect();
            let mut v = b.term(term, &value, &args);
            let trivial = matches!(term, Term::Operand(..) | Term::Real(_) | Term::Int(_) | Term::Bool(_));
            if place == result.index() && !trivial {
                v = b.operand(n);
            }
            let d = term_slope(&mut b, term, wrt, v, &value, &slope);
            value.push(v);
            slope.push(d);
        }
        let slope = slope[result.index()]?;
        let upstream = b.operand(n + 1);
        let gradient = b.binary(Binary::Mul, upstream, slope);
        if b.constant_of(gradient) == Some(0.0) {
            return None;
        }
        Some(b.finish(&[gradient]))
    }
}

/// The derivative of one term by operand `wrt`, from its value and the values and slopes of its parts.
fn term_slope(
    b: &mut ExprBuilder,
    term: &Term,
    wrt: usize,
    v: Ref,
    value: &[Ref],
    slope: &[Option<Ref>],
) -> Option<Ref> {
    use Binary::{Add, Div, Gt, Lt, Max, Min, Mul, Pow, Rem, Sub};
    let at = |r: &Ref| value[r.index()];
    match term {
        Term::Operand(k, _) => (*k as usize == wrt).then(|| b.real(1.0)),
        Term::Real(_) | Term::Int(_) | Term::Bool(_) | Term::Cast(..) => None,
        Term::Unary(op, a) => {
            let x = at(a);
            let dx = slope[a.index()]?;
            let factor = match op {
                Unary::Neg => b.real(-1.0),
                Unary::Abs => b.unary(Unary::Sign, x),
                Unary::Exp => v,
                Unary::Log => {
                    let one = b.real(1.0);
                    b.binary(Div, one, x)
                }
                Unary::Sqrt => {
                    let half = b.real(0.5);
                    b.binary(Div, half, v)
                }
                Unary::Sin => b.unary(Unary::Cos, x),
                Unary::Cos => {
                    let s = b.unary(Unary::Sin, x);
                    b.unary(Unary::Neg, s)
                }
                Unary::Tanh => {
                    let one = b.real(1.0);
                    let square = b.binary(Mul, v, v);
                    b.binary(Sub, one, square)
                }
                Unary::Sign | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Not | Unary::IsFinite => {
                    return None;
                }
            };
            Some(b.binary(Mul, dx, factor))
        }
        Term::Binary(op, l, r) => {
            let (x, y) = (at(l), at(r));
            let (dx, dy) = (slope[l.index()], slope[r.index()]);
            let left = dx.and_then(|dx| match op {
                Add | Sub | Rem => Some(dx),
                Mul => Some(b.binary(Mul, dx, y)),
                Div => Some(b.binary(Div, dx, y)),
                Pow => {
                    let one = b.real(1.0);
                    let less = b.binary(Sub, y, one);
                    let power = b.binary(Pow, x, less);
                    let factor = b.binary(Mul, y, power);
                    Some(b.binary(Mul, dx, factor))
                }
                Max => Some(b.share(Gt, x, y, v, dx)),
                Min => Some(b.share(Lt, x, y, v, dx)),
                _ => None,
            });
            let right = dy.and_then(|dy| match op {
                Add => Some(dy),
                Sub => Some(b.unary(Unary::Neg, dy)),
                Mul => Some(b.binary(Mul, dy, x)),
                Div => {
                    let ratio = b.binary(Div, v, y);
                    let product = b.binary(Mul, dy, ratio);
                    Some(b.unary(Unary::Neg, product))
                }
                Rem => {
                    let ratio = b.binary(Div, x, y);
                    let whole = b.cast(Scalar::I32, ratio);
                    let whole = b.cast(Scalar::F32, whole);
                    let product = b.binary(Mul, dy, whole);
                    Some(b.unary(Unary::Neg, product))
                }
                Pow => {
                    let log = b.unary(Unary::Log, x);
                    let factor = b.binary(Mul, v, log);
                    Some(b.binary(Mul, dy, factor))
                }
                Max => Some(b.share(Gt, y, x, v, dy)),
                Min => Some(b.share(Lt, y, x, v, dy)),
                _ => None,
            });
            match (left, right) {
                (Some(l), Some(r)) => Some(b.binary(Add, l, r)),
                (one, other) => one.or(other),
            }
        }
        Term::Select { condition, yes, no } => {
            let (dy, dn) = (slope[yes.index()], slope[no.index()]);
            if dy.is_none() && dn.is_none() {
                return None;
            }
            let zero = b.real(0.0);
            Some(b.select(at(condition), dy.unwrap_or(zero), dn.unwrap_or(zero)))
        }
    }
}

impl ExprBuilder {
    /// The slope of `max` or `min` that goes to `side`: all of it where the result `v` beats the other side, half
    /// of it where both sides are the result, unless the other side is constant.
    fn share(&mut self, beats: Binary, side: Ref, other: Ref, v: Ref, slope: Ref) -> Ref {
        let zero = self.real(0.0);
        let mut rest = zero;
        if self.constant_of(other).is_none() {
            let tie = self.binary(Binary::Eq, side, other);
            let half = self.real(0.5);
            let half = self.binary(Binary::Mul, slope, half);
            rest = self.select(tie, half, zero);
        }
        let wins = self.binary(beats, v, other);
        self.select(wins, slope, rest)
    }
}
