//! Scalar formulas: what one element of a tensor is worth, given one element of each operand.
//!
//! An [`Expr`] is a list of terms in which each term refers to earlier ones, so a value used twice is
//! written once. It has any number of operands and results. It is built through [`ExprBuilder`], which
//! shares equal terms and folds constants, evaluates in f64, differentiates symbolically
//! ([`Expr::gradient`]) and prints as WGSL ([`crate::print`]).

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::element::Scalar;

/// A term of an expression, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ref(u32);

impl Ref {
    /// The place in [`Expr::terms`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A real constant, compared by its bits so that terms can be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Real(u64);

impl Real {
    /// The constant `value`.
    #[must_use]
    pub fn new(value: f64) -> Real {
        Real(if value == 0.0 { 0 } else { value.to_bits() })
    }

    /// Its value.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// One step of a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Term {
    /// The element of operand number `.0`, of type `.1`.
    Operand(u32, Scalar),
    /// A float constant.
    Real(Real),
    /// An integer constant.
    Int(i32),
    /// A truth constant.
    Bool(bool),
    /// A function of one value.
    Unary(Unary, Ref),
    /// A function of two values of the same type.
    Binary(Binary, Ref, Ref),
    /// `yes` where `condition` holds, else `no`.
    Select {
        /// A truth value.
        condition: Ref,
        /// The value where it holds.
        yes: Ref,
        /// The value elsewhere, of the same type.
        no: Ref,
    },
    /// The value as another type: floats round towards 0, truth is 0 or 1, a number is true unless 0.
    Cast(Scalar, Ref),
}

/// Functions of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unary {
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// -1, 0 or 1
    Sign,
    /// `e^x`
    Exp,
    /// The natural logarithm.
    Log,
    /// The square root.
    Sqrt,
    /// The sine, in radians.
    Sin,
    /// The cosine, in radians.
    Cos,
    /// The hyperbolic tangent.
    Tanh,
    /// The largest whole number not above.
    Floor,
    /// The smallest whole number not below.
    Ceil,
    /// The nearest whole number, ties to even.
    Round,
    /// Logical not.
    Not,
    /// Whether the float is neither infinite nor NaN; tested on bits, because shader compilers may assume it.
    IsFinite,
}

/// Functions of two values of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`; integers round towards 0
    Div,
    /// The remainder with the sign of `a`.
    Rem,
    /// `a ^ b` for `a > 0`; small whole exponents are spelled out as products by the builder.
    Pow,
    /// The smaller.
    Min,
    /// The larger.
    Max,
    /// `a < b`
    Lt,
    /// `a <= b`
    Le,
    /// `a > b`
    Gt,
    /// `a >= b`
    Ge,
    /// `a == b`
    Eq,
    /// `a != b`
    Ne,
    /// Logical and.
    And,
    /// Logical or.
    Or,
}

impl Binary {
    /// Whether the result is a truth value whatever the operands are.
    #[must_use]
    pub fn is_truth(self) -> bool {
        use Binary::{Add, And, Div, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, Ne, Or, Pow, Rem, Sub};
        match self {
            Lt | Le | Gt | Ge | Eq | Ne | And | Or => true,
            Add | Sub | Mul | Div | Rem | Pow | Min | Max => false,
        }
    }

    fn commutes(self) -> bool {
        use Binary::{Add, And, Eq, Max, Min, Mul, Ne, Or};
        matches!(self, Add | Mul | Min | Max | Eq | Ne | And | Or)
    }
}

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
        if matches!(b.terms[gradient.index()], Term::Real(v) if v.value() == 0.0) {
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

fn term_types(terms: &[Term]) -> Vec<Scalar> {
    let mut types: Vec<Scalar> = Vec::with_capacity(terms.len());
    for term in terms {
        types.push(match term {
            Term::Operand(_, s) | Term::Cast(s, _) => *s,
            Term::Real(_) => Scalar::F32,
            Term::Int(_) => Scalar::I32,
            Term::Bool(_) | Term::Unary(Unary::Not | Unary::IsFinite, _) => Scalar::Bool,
            Term::Unary(_, a) => types[a.index()],
            Term::Binary(op, a, _) => {
                if op.is_truth() {
                    Scalar::Bool
                } else {
                    types[a.index()]
                }
            }
            Term::Select { yes, .. } => types[yes.index()],
        });
    }
    types
}

fn truth(v: bool) -> f64 {
    f64::from(u8::from(v))
}

fn unary(op: Unary, x: f64) -> f64 {
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

fn binary(op: Binary, x: f64, y: f64, int: bool) -> f64 {
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

/// Builds an [`Expr`]; equal terms become one, constants fold, `x * 1`, `x + 0` and the like vanish.
#[derive(Clone, Debug)]
pub struct ExprBuilder {
    operands: Vec<Scalar>,
    terms: Vec<Term>,
    types: Vec<Scalar>,
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
                renamed[place] =
                    Ref(u32::try_from(terms.len()).expect("a formula has fewer than 2^32 terms"));
                terms.push(rename(term, &renamed));
            }
        }
        let results = results.iter().map(|r| renamed[r.index()]).collect();
        Expr { operands: self.operands.clone(), terms, results }
    }

    fn term(&mut self, term: &Term, value: &[Ref], args: &[Ref]) -> Ref {
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

    /// The slope of `max` or `min` that goes to `side`: all of it where the result `v` beats the other side, half
    /// of it where both sides are the result, unless the other side is constant.
    fn share(&mut self, beats: Binary, side: Ref, other: Ref, v: Ref, slope: Ref) -> Ref {
        let zero = self.real(0.0);
        let mut rest = zero;
        if !matches!(self.terms[other.index()], Term::Real(_)) {
            let tie = self.binary(Binary::Eq, side, other);
            let half = self.real(0.5);
            let half = self.binary(Binary::Mul, slope, half);
            rest = self.select(tie, half, zero);
        }
        let wins = self.binary(beats, v, other);
        self.select(wins, slope, rest)
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

    fn constant_of(&self, r: Ref) -> Option<f64> {
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
        if let Some(&r) = self.interned.get(&term) {
            return r;
        }
        let r = Ref(u32::try_from(self.terms.len()).expect("a formula has fewer than 2^32 terms"));
        self.terms.push(term);
        self.types.push(scalar);
        self.interned.insert(term, r);
        r
    }
}

fn for_each_part(term: &Term, mut f: impl FnMut(Ref)) {
    match term {
        Term::Operand(..) | Term::Real(_) | Term::Int(_) | Term::Bool(_) => {}
        Term::Unary(_, a) | Term::Cast(_, a) => f(*a),
        Term::Binary(_, a, b) => {
            f(*a);
            f(*b);
        }
        Term::Select { condition, yes, no } => {
            f(*condition);
            f(*yes);
            f(*no);
        }
    }
}

fn rename(term: &Term, renamed: &[Ref]) -> Term {
    let at = |r: &Ref| renamed[r.index()];
    match term {
        Term::Operand(..) | Term::Real(_) | Term::Int(_) | Term::Bool(_) => *term,
        Term::Unary(op, a) => Term::Unary(*op, at(a)),
        Term::Cast(to, a) => Term::Cast(*to, at(a)),
        Term::Binary(op, a, b) => Term::Binary(*op, at(a), at(b)),
        Term::Select { condition, yes, no } => {
            Term::Select { condition: at(condition), yes: at(yes), no: at(no) }
        }
    }
}

/// The formula in mathematical notation, such as `max(x0 + x1, 0.0)`.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<String> = Vec::with_capacity(self.terms.len());
        let mut uses = vec![0usize; self.terms.len()];
        for term in &self.terms {
            for_each_part(term, |r| uses[r.index()] += 1);
        }
        let mut lets = 0;
        for (place, term) in self.terms.iter().enumerate() {
            let at = |r: &Ref| texts[r.index()].clone();
            let text = match term {
                Term::Operand(k, _) => format!("x{k}"),
                Term::Real(v) => format!("{:?}", v.value()),
                Term::Int(v) => format!("{v}"),
                Term::Bool(v) => format!("{v}"),
                Term::Unary(Unary::Neg, a) => format!("(-{})", at(a)),
                Term::Unary(op, a) => format!("{}({})", format!("{op:?}").to_lowercase(), bare(&at(a))),
                Term::Binary(op, a, b) => match infix(*op) {
                    Some(sign) => format!("({} {sign} {})", at(a), at(b)),
                    None => {
                        format!("{}({}, {})", format!("{op:?}").to_lowercase(), bare(&at(a)), bare(&at(b)))
                    }
                },
                Term::Select { condition, yes, no } => {
                    format!("select({}, {}, {})", bare(&at(condition)), bare(&at(yes)), bare(&at(no)))
                }
                Term::Cast(to, a) => format!("{to}({})", bare(&at(a))),
            };
            let leaf = matches!(term, Term::Operand(..) | Term::Real(_) | Term::Int(_) | Term::Bool(_));
            if uses[place] > 1 && !leaf {
                write!(f, "t{lets} = {}; ", bare(&text))?;
                texts.push(format!("t{lets}"));
                lets += 1;
            } else {
                texts.push(text);
            }
        }
        let results: Vec<&str> = self.results.iter().map(|r| bare(&texts[r.index()])).collect();
        f.write_str(&results.join(", "))
    }
}

/// The infix sign of an operator, if it is written between its operands.
fn infix(op: Binary) -> Option<&'static str> {
    Some(match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Rem => "%",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::And => "and",
        Binary::Or => "or",
        Binary::Pow | Binary::Min | Binary::Max => return None,
    })
}

/// The text without the parentheses that enclose all of it.
fn bare(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else { return text };
    let mut depth = 0i32;
    for c in inner.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return text,
            ')' => depth -= 1,
            _ => {}
        }
    }
    inner
}
