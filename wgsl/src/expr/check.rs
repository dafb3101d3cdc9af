//! Whether a formula that was read from a file is one: every term refers to earlier ones, and all types agree.

use super::{Binary, Expr, Term, Unary};
use crate::element::Scalar;

impl Expr {
    /// Checks a formula whose operands are to have these types, of which it may leave out the last ones, and its
    /// first results those; more of them are no one's.
    ///
    /// # Errors
    /// The first part that does not fit, in words.
    pub fn check(&self, operands: &[Scalar], results: &[Scalar]) -> Result<(), String> {
        if !operands.starts_with(&self.operands) {
            return Err(format!("it takes {:?}, given are {operands:?}", self.operands));
        }
        let mut types: Vec<Scalar> = Vec::with_capacity(self.terms.len());
        for (place, term) in self.terms.iter().enumerate() {
            let ty = self.term_type(term, &types);
            types.push(ty.ok_or_else(|| format!("its term {place}, `{term:?}`, is malformed"))?);
        }
        let found: Option<Vec<Scalar>> = self.results.iter().map(|r| types.get(r.index()).copied()).collect();
        match found {
            Some(found) if found.starts_with(results) => Ok(()),
            _ => Err(format!("its results are {found:?}, wanted are {results:?}")),
        }
    }

    /// The type of a term after terms of these types; `None` where it is malformed.
    fn term_type(&self, term: &Term, types: &[Scalar]) -> Option<Scalar> {
        let at = |r: &super::Ref| types.get(r.index()).copied();
        let when = |holds: bool, ty: Scalar| holds.then_some(ty);
        match term {
            Term::Operand(k, ty) => when(self.operands.get(*k as usize) == Some(ty), *ty),
            Term::Real(_) => Some(Scalar::F32),
            Term::Int(_) => Some(Scalar::I32),
            Term::Bool(_) => Some(Scalar::Bool),
            Term::Cast(to, a) => at(a).map(|_| *to),
            Term::Select { condition, yes, no } => {
                let ty = at(yes)?;
                when(at(condition)? == Scalar::Bool && at(no)? == ty, ty)
            }
            Term::Unary(op, a) => unary_type(*op, at(a)?),
            Term::Binary(op, a, b) => {
                let ty = at(a)?;
                if at(b)? == ty { binary_type(*op, ty) } else { None }
            }
        }
    }
}

fn unary_type(op: Unary, a: Scalar) -> Option<Scalar> {
    use Unary::{Abs, Ceil, Cos, Exp, Floor, IsFinite, Log, Neg, Not, Round, Sign, Sin, Sqrt, Tanh};
    match (op, a) {
        (Neg | Abs | Sign, Scalar::F32 | Scalar::I32) => Some(a),
        (Exp | Log | Sqrt | Sin | Cos | Tanh | Floor | Ceil | Round, Scalar::F32) => Some(Scalar::F32),
        (IsFinite, Scalar::F32) | (Not, Scalar::Bool) => Some(Scalar::Bool),
        (
            Neg | Abs | Sign | Exp | Log | Sqrt | Sin | Cos | Tanh | Floor | Ceil | Round | Not | IsFinite,
            Scalar::F32 | Scalar::I32 | Scalar::Bool,
        ) => None,
    }
}

fn binary_type(op: Binary, a: Scalar) -> Option<Scalar> {
    use Binary::{Add, And, Div, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, Ne, Or, Pow, Rem, Sub};
    match op {
        Add | Sub | Mul | Div | Rem | Min | Max => (a != Scalar::Bool).then_some(a),
        Pow => (a == Scalar::F32).then_some(a),
        Lt | Le | Gt | Ge => (a != Scalar::Bool).then_some(Scalar::Bool),
        Eq | Ne => Some(Scalar::Bool),
        And | Or => (a == Scalar::Bool).then_some(Scalar::Bool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_that_do_not_fit_are_told_apart() {
        let sum = Expr::build(&[Scalar::F32, Scalar::F32], |b, x| b.binary(Binary::Add, x[0], x[1]));
        let float = [Scalar::F32];
        assert_eq!(sum.check(&[Scalar::F32; 3], &float), Ok(()));
        assert!(sum.check(&float, &float).is_err());
        assert!(sum.check(&[Scalar::F32, Scalar::I32], &float).is_err());
        assert!(sum.check(&[Scalar::F32; 2], &[Scalar::I32]).is_err());
        assert!(sum.check(&[Scalar::F32; 2], &[Scalar::F32; 2]).is_err());
        let backwards = Expr { terms: sum.terms().iter().rev().copied().collect(), ..sum };
        assert!(backwards.check(&[Scalar::F32; 2], &float).is_err());
        let log = Expr::build(&[Scalar::I32], |b, x| b.unary(Unary::Log, x[0]));
        assert!(log.check(&[Scalar::I32], &[Scalar::I32]).is_err());
    }
}
