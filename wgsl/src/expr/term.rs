//! The terms of a formula and their types.

use serde::{Deserialize, Serialize};

use crate::element::Scalar;

/// A term of an expression, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ref(pub(super) u32);

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

    /// How it is written between its operands, where it is: `+`, `and`.
    #[must_use]
    pub fn sign(self) -> Option<&'static str> {
        Some(match self {
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

    pub(super) fn commutes(self) -> bool {
        use Binary::{Add, And, Eq, Max, Min, Mul, Ne, Or};
        matches!(self, Add | Mul | Min | Max | Eq | Ne | And | Or)
    }
}

pub(crate) fn term_types(terms: &[Term]) -> Vec<Scalar> {
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

pub(crate) fn for_each_part(term: &Term, mut f: impl FnMut(Ref)) {
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

pub(super) fn rename(term: &Term, renamed: &[Ref]) -> Term {
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
