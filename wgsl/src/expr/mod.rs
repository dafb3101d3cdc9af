//! Scalar formulas: what one element of a tensor is worth, given one element of each operand.
//!
//! An [`Expr`] is a list of terms in which each term refers to earlier ones, so a value used twice is
//! written once. It has any number of operands and results. It is built through [`ExprBuilder`], which
//! shares equal terms and folds constants, evaluates in f64, differentiates symbolically
//! ([`Expr::gradient`]) and prints as WGSL ([`crate::print`]).
mod builder;
mod check;
mod display;
mod evaluate;
mod gradient;
mod term;

use serde::{Deserialize, Serialize};

pub use builder::ExprBuilder;
pub use term::{Binary, Real, Ref, Term, Unary};

use crate::element::Scalar;
pub(crate) use term::{for_each_part, term_types};

/// A formula with any number of operands and results; see the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Expr {
    operands: Vec<Scalar>,
    terms: Vec<Term>,
    results: Vec<Ref>,
}

impl Expr {
    /// A formula of one result, written with a builder whose operands have the types given.
    pub fn build(operands: &[Scalar], f: impl FnOnce(&mut ExprBuilder, &[Ref]) -> Ref) -> Expr {
        let mut b = ExprBuilder::new(operands);
        let refs: Vec<Ref> = (0..operands.len()).map(|k| b.operand(k)).collect();
        let result = f(&mut b, &refs);
        b.finish(&[result])
    }

    /// The formula that is its only operand.
    #[must_use]
    pub fn identity(scalar: Scalar) -> Expr {
        Expr::build(&[scalar], |_, x| x[0])
    }

    /// A formula without operands.
    #[must_use]
    pub fn constant(value: f64) -> Expr {
        Expr::build(&[], |b, _| b.real(value))
    }

    /// The types of the operands, in order.
    #[must_use]
    pub fn operands(&self) -> &[Scalar] {
        &self.operands
    }

    /// The terms, each after those it refers to.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The terms that are results, in order.
    #[must_use]
    pub fn results(&self) -> &[Ref] {
        &self.results
    }

    /// The type of result `k`.
    #[must_use]
    pub fn result_type(&self, k: usize) -> Scalar {
        term_types(&self.terms)[self.results[k].index()]
    }

    /// Whether operand `k` matters to any result.
    #[must_use]
    pub fn uses(&self, k: usize) -> bool {
        self.terms.iter().any(|t| matches!(t, Term::Operand(j, _) if *j as usize == k))
    }

    /// Whether it asks if two floats are equal: where they are computed again and rounded otherwise, it is another one.
    #[must_use]
    pub fn tests_equality(&self) -> bool {
        let types = term_types(&self.terms);
        let is_equality = |term: &Term| match term {
            Term::Binary(Binary::Eq | Binary::Ne, a, _) => types[a.index()] == Scalar::F32,
            _ => false,
        };
        self.terms.iter().any(is_equality)
    }

    /// Whether some result is a product of floats. A sum that it goes into within one kernel need not round it, one that
    /// reads it from memory finds it rounded.
    #[must_use]
    pub fn ends_in_product(&self) -> bool {
        self.ends_in(Binary::Mul)
    }

    /// Whether some result is a quotient of floats, which devices compute by a reciprocal: of a root that is computed in the
    /// same kernel by another one than of a root in memory.
    #[must_use]
    pub fn ends_in_quotient(&self) -> bool {
        self.ends_in(Binary::Div)
    }

    fn ends_in(&self, op: Binary) -> bool {
        let types = term_types(&self.terms);
        let is_op = |r: &Ref| matches!(self.terms[r.index()], Term::Binary(found, ..) if found == op);
        self.results.iter().any(|r| types[r.index()] == Scalar::F32 && is_op(r))
    }

    /// Whether operand `k` is a term of a sum or difference.
    #[must_use]
    pub fn adds(&self, k: usize) -> bool {
        let is_operand = |r: &Ref| matches!(self.terms[r.index()], Term::Operand(j, _) if j as usize == k);
        self.terms.iter().any(|term| match term {
            Term::Binary(Binary::Add | Binary::Sub, a, b) => is_operand(a) || is_operand(b),
            _ => false,
        })
    }

    /// Whether this is `x -> x`.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.results.len() == 1 && matches!(self.terms[self.results[0].index()], Term::Operand(0, _))
    }

    /// The value of a formula of one result that depends on no operand.
    #[must_use]
    pub fn as_constant(&self) -> Option<f64> {
        match (self.results.as_slice(), self.results.first().map(|r| self.terms[r.index()])) {
            ([_], Some(Term::Real(v))) => Some(v.value()),
            ([_], Some(Term::Int(v))) => Some(f64::from(v)),
            ([_], Some(Term::Bool(v))) => Some(f64::from(u8::from(v))),
            _ => None,
        }
    }

    /// The formula without the operands it does not use, and which of them it kept.
    #[must_use]
    pub fn compact(&self) -> (Expr, Vec<usize>) {
        let kept: Vec<usize> = (0..self.operands.len()).filter(|&k| self.uses(k)).collect();
        let mut b = ExprBuilder::new(&kept.iter().map(|&k| self.operands[k]).collect::<Vec<_>>());
        let unused = Ref(u32::MAX);
        let mut args = vec![unused; self.operands.len()];
        for (new, &old) in kept.iter().enumerate() {
            args[old] = b.operand(new);
        }
        let results = b.inline(self, &args);
        (b.finish(&results), kept)
    }
}
