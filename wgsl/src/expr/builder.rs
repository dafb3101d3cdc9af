//! Building formulas: equal terms become one, constants fold, what changes nothing vanishes.

use std::collections::HashMap;

use super::evaluate::{binary, truth, unary};
use super::for_each_part;
use super::term::rename;
use super::{Binary, Expr, Real, Ref, Term, Unary};
use crate::element::Scalar;

/// So many terms are looked through one by one, which is faster than hashing; most formulas have fewer.
const FEW: usize = 24;

/// Builds an [`Expr`]; equal terms become one, constants fold, `x * 1`, `x + 0` and the like vanish.
#[derive(Clone, Debug)]
pub struct ExprBuilder {
    operands: Vec<Scalar>,
    terms: Vec<Term>,
    types: Vec<Scalar>,
    /// The places of the terms, once they are more than [`FEW`].
    interned: HashMap<Term, Ref>,
}

impl ExprBuilder {
    /// A builder for a formula with operands of these types.
    #[must_use]
    pub fn new(operands: &[Scalar]) -> ExprBuilder {
        ExprBuilder {
            operands: operands.to_vec(),
            terms: Vec::new(),
            types: Vec::new(),
            interned: HashMap::new(),
        }
    }

    /// One more operand; its number.
    pub fn add_operand(&mut self, scalar: Scalar) -> usize {
        self.operands.push(scalar);
        self.operands.len() - 1
    }

    /// The value of operand `k`.
    pub fn operand(&mut self, k: usize) -> Ref {
        let scalar = self.operands[k];
        let k = u32::try_from(k).expect("a formula has fewer than 2^32 operands");
        self.push(Term::Operand(k, scalar), scalar)
    }

    /// A float constant.
    pub fn real(&mut self, value: f64) -> Ref {
        self.push(Term::Real(Real::new(value)), Scalar::F32)
    }

    /// An integer constant.
    pub fn int(&mut self, value: i32) -> Ref {
        self.push(Term::Int(value), Scalar::I32)
    }

    /// A truth constant.
    pub fn bool(&mut self, value: bool) -> Ref {
        self.push(Term::Bool(value), Scalar::Bool)
    }

    /// The type of a term.
    #[must_use]
    pub fn type_of(&self, r: Ref) -> Scalar {
        self.types[r.index()]
    }

    /// `op(a)`
    pub fn unary(&mut self, op: Unary, a: Ref) -> Ref {
        let scalar = match op {
            Unary::Not | Unary::IsFinite => Scalar::Bool,
            _ => self.type_of(a),
        };
        if let Some(x) = self.constant_of(a) {
            return self.literal(unary(op, x), scalar);
        }
        if let (Unary::Neg, Term::Unary(Unary::Neg, inner)) = (op, self.terms[a.index()]) {
            return inner;
        }
        self.push(Term::Unary(op, a), scalar)
    }

    /// `a op b`
    ///
    /// # Panics
    /// If the two have different types.
    pub fn binary(&mut self, op: Binary, a: Ref, b: Ref) -> Ref {
        let input = self.type_of(a);
        assert_eq!(input, self.type_of(b), "`{op:?}` takes two values of one type");
        let scalar = if op.is_truth() { Scalar::Bool } else { input };
        let (x, y) = (self.constant_of(a), self.constant_of(b));
        if let (Some(x), Some(y)) = (x, y) {
            return self.literal(binary(op, x, y, input == Scalar::I32), scalar);
        }
        let float = input == Scalar::F32;
        match op {
            Binary::Add if x == Some(0.0) => return b,
            Binary::Add | Binary::Sub if y == Some(0.0) => return a,
            Binary::Mul if x == Some(1.0) => return b,
            Binary::Mul | Binary::Div if y == Some(1.0) => return a,
            Binary::Mul if x == Some(0.0) || y == Some(0.0) => return self.literal(0.0, scalar),
            Binary::Mul if float && x == Some(-1.0) => return self.unary(Unary::Neg, b),
            Binary::Mul if float && y == Some(-1.0) => return self.unary(Unary::Neg, a),
            Binary::Div if !float && y == Some(0.0) => return a,
            Binary::Rem if !float && y == Some(0.0) => return self.int(0),
            Binary::Div if float && x == Some(0.0) => return self.literal(0.0, scalar),
            Binary::Pow if float => {
                if let Some(power) = y.and_then(|y| self.spelled_power(a, y)) {
                    return power;
                }
            }
            _ => {}
        }
        let (a, b) = if op.commutes() && b < a { (b, a) } else { (a, b) };
        self.push(Term::Binary(op, a, b), scalar)
    }

    /// `condition ? yes : no`
    ///
    /// # Panics
    /// If the two values have different types.
    pub fn select(&mut self, condition: Ref, yes: Ref, no: Ref) -> Ref {
        let scalar = self.type_of(yes);
        assert_eq!(scalar, self.type_of(no), "`select` takes two values of one type");
        if yes == no {
            return yes;
        }
        match self.constant_of(condition) {
            Some(0.0) => no,
            Some(_) => yes,
            None => self.push(Term::Select { condition, yes, no }, scalar),
        }
    }

    /// The value as another type.
    pub fn cast(&mut self, to: Scalar, a: Ref) -> Ref {
        if self.type_of(a) == to {
            return a;
        }
        if let Some(x) = self.constant_of(a) {
            let value = match to {
                Scalar::F32 => x,
                Scalar::I32 => x.trunc(),
                Scalar::Bool => truth(x != 0.0),
            };
            return self.literal(value, to);
        }
        self.push(Term::Cast(to, a), to)
    }

    /// The results of `expr` with `args` for its operands.
    pub fn inline(&mut self, expr: &Expr, args: &[Ref]) -> Vec<Ref> {
        let mut value: Vec<Ref> = Vec::with_capacity(expr.terms.len());
        for term in &expr.terms {
            let r = self.term(term, &value, args);
            value.push(r);
        }
        expr.results.iter().map(|r| value[r.index()]).collect()
    }

    /// The formula with these results; terms that none of them needs are dropped.
    #[must_use]
    pub fn finish(&self, results: &[Ref]) -> Expr {
        let mut needed = vec![false; self.terms.len()];
        for r in results {
            needed[r.index()] = true;
        }
        for place in (0..self.terms.len()).rev() {
            if needed[place] {
                for_each_part(&self.terms[place], |r| needed[r.index()] = true);
            }
        }
        let mut renamed = vec![Ref(u32::MAX); self.terms.len()];
        let mut terms = Vec::new();
        for (place, term) in self.terms.iter().enumerate() {
            if needed[place] {
                renamed[place] = numbered(terms.len());
                terms.push(rename(term, &renamed));
            }
        }
        let results = results.iter().map(|r| renamed[r.index()]).collect();
        Expr { operands: self.operands.clone(), terms, results }
    }

    pub(super) fn term(&mut self, term: &Term, value: &[Ref], args: &[Ref]) -> Ref {
        let at = |r: &Ref| value[r.index()];
        match term {
            Term::Operand(k, _) => args[*k as usize],
            Term::Real(v) => self.real(v.value()),
            Term::Int(v) => self.int(*v),
            Term::Bool(v) => self.bool(*v),
            Term::Unary(op, a) => self.unary(*op, at(a)),
            Term::Binary(op, a, b) => self.binary(*op, at(a), at(b)),
            Term::Select { condition, yes, no } => self.select(at(condition), at(yes), at(no)),
            Term::Cast(to, a) => self.cast(*to, at(a)),
        }
    }

    fn spelled_power(&mut self, a: Ref, exponent: f64) -> Option<Ref> {
        if exponent == 0.0 {
            return Some(self.real(1.0));
        }
        if exponent == 0.5 {
            return Some(self.unary(Unary::Sqrt, a));
        }
        if exponent < 0.0 {
            let inverse = self.spelled_power(a, -exponent)?;
            let one = self.real(1.0);
            return Some(self.binary(Binary::Div, one, inverse));
        }
        if exponent.fract() != 0.0 || exponent > 16.0 {
            return None;
        }
        if exponent == 1.0 {
            return Some(a);
        }
        let half = self.spelled_power(a, (exponent / 2.0).floor())?;
        let square = self.binary(Binary::Mul, half, half);
        if exponent % 2.0 == 1.0 { Some(self.binary(Binary::Mul, square, a)) } else { Some(square) }
    }

    pub(super) fn constant_of(&self, r: Ref) -> Option<f64> {
        match self.terms[r.index()] {
            Term::Real(v) => Some(v.value()),
            Term::Int(v) => Some(f64::from(v)),
            Term::Bool(v) => Some(truth(v)),
            _ => None,
        }
    }

    fn literal(&mut self, value: f64, scalar: Scalar) -> Ref {
        match scalar {
            Scalar::F32 => self.real(value),
            #[allow(clippy::cast_possible_truncation)]
            Scalar::I32 => self.int(value as i32),
            Scalar::Bool => self.bool(value != 0.0),
        }
    }

    fn push(&mut self, term: Term, scalar: Scalar) -> Ref {
        if let Some(r) = self.place(&term) {
            return r;
        }
        let r = numbered(self.terms.len());
        self.terms.push(term);
        self.types.push(scalar);
        if self.terms.len() == FEW + 1 {
            self.interned.extend(self.terms.iter().enumerate().map(|(place, term)| (*term, numbered(place))));
        } else if self.terms.len() > FEW {
            self.interned.insert(term, r);
        }
        r
    }

    fn place(&self, term: &Term) -> Option<Ref> {
        if self.terms.len() > FEW {
            return self.interned.get(term).copied();
        }
        self.terms.iter().position(|known| known == term).map(numbered)
    }
}

fn numbered(place: usize) -> Ref {
    Ref(u32::try_from(place).expect("a formula has fewer than 2^32 terms"))
}
