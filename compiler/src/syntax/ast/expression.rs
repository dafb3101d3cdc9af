//! Expressions, pipelines and what stands behind their arrows.

use crate::source::Span;
use crate::syntax::ast::Name;
use crate::syntax::ast::definition::Type;
use crate::syntax::ast::statement::Body;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The whole of it.
    pub span: Span,
}

/// The expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `64`
    Int(i64),
    /// `0.5`
    Float(f64),
    /// `"..."`, without quotes and escapes
    Text(String),
    /// `true`
    Bool(bool),
    /// A name.
    Name(String),
    /// `(a, b)`; one value in parentheses is that value.
    Tuple(Vec<Expr>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `-x`, `not x`
    Unary(Unary, Box<Expr>),
    /// `a + b`
    Binary {
        /// The operator.
        operator: Binary,
        /// The place of the operator.
        place: Span,
        /// What stands before it.
        left: Box<Expr>,
        /// What stands behind it.
        right: Box<Expr>,
    },
    /// `a..b`
    Range(Box<Expr>, Box<Expr>),
    /// `f(x, k=2)`
    Call {
        /// What is called.
        callee: Box<Expr>,
        /// With what.
        arguments: Vec<Argument>,
    },
    /// `x.name`
    Field(Box<Expr>, Name),
    /// `x[.., 0:2]`
    Index(Box<Expr>, Vec<Index>),
    /// `if c { a } else { b }`
    If {
        /// The condition.
        condition: Box<Expr>,
        /// The value where it holds.
        then: Body,
        /// The value elsewhere.
        otherwise: Option<Body>,
    },
    /// `x -> f -> g`
    Pipeline(Box<Pipeline>),
    /// `scan row in x with h = a { ... }`
    Scan(Box<Scan>),
}

/// Operators of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unary {
    /// `-`
    Negate,
    /// `not`
    Not,
}

/// Operators of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Binary {
    /// `or`
    Or,
    /// `and`
    And,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<=`
    AtMost,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    FloorDivide,
    /// `%`
    Remainder,
    /// `@`
    MatrixProduct,
    /// `**`
    Power,
}

impl Binary {
    /// How it is written.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Binary::Or => "or",
            Binary::And => "and",
            Binary::Equal => "==",
            Binary::Unequal => "!=",
            Binary::AtMost => "<=",
            Binary::AtLeast => ">=",
            Binary::Less => "<",
            Binary::Greater => ">",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::FloorDivide => "//",
            Binary::Remainder => "%",
            Binary::MatrixProduct => "@",
            Binary::Power => "**",
        }
    }
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Its name, when given.
    pub name: Option<Name>,
    /// Its value.
    pub value: Expr,
    /// With its name.
    pub span: Span,
}

/// A place between `[` and `]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Index {
    /// `..`, all dims up to those that follow.
    Rest(Span),
    /// `2`, which drops the dim.
    At(Expr),
    /// `from:to:step`
    Slice(Box<Slice>),
}

/// `from:to:step`
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The first, from the end when negative.
    pub from: Option<Expr>,
    /// The one after the last.
    pub to: Option<Expr>,
    /// The distance of two.
    pub step: Option<Expr>,
    /// The whole of it.
    pub span: Span,
}

impl Index {
    /// Its place.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Index::Rest(span) => *span,
            Index::Slice(slice) => slice.span,
            Index::At(expression) => expression.span,
        }
    }
}

/// `source as label: type -> stage -> stage`
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// What goes in.
    pub source: Expr,
    /// Its name.
    pub label: Option<Name>,
    /// Its type.
    pub ty: Option<Type>,
    /// What happens to it.
    pub stages: Vec<Stage>,
}

/// `stage -> stage`
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// The stages.
    pub stages: Vec<Stage>,
    /// The whole of it.
    pub span: Span,
}

/// What stands after an arrow.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What it is.
    pub kind: StageKind,
    /// The name of its value and its weights.
    pub label: Option<Name>,
    /// The type to check.
    pub ty: Option<Type>,
    /// The operation without label and type.
    pub span: Span,
}

/// The stages.
#[derive(Clone, Debug, PartialEq)]
pub enum StageKind {
    /// `name(arguments) { chain; chain }`
    Call {
        /// The name, with prefixes.
        path: Vec<Name>,
        /// The arguments, when there are parentheses.
        arguments: Option<Vec<Argument>>,
        /// The branches that it joins.
        branches: Option<Vec<Chain>>,
    },
    /// `repeat i in 0..4 { chain }`
    Repeat {
        /// The name of the turn's value.
        variable: Option<Name>,
        /// How often, or over what.
        count: Expr,
        /// What is repeated.
        chain: Chain,
    },
    /// `if condition { chain } else { chain }`
    If {
        /// The condition.
        condition: Expr,
        /// What happens where it holds.
        then: Chain,
        /// What happens elsewhere.
        otherwise: Option<Chain>,
    },
}

/// `scan row in reverse x with h = a, c = b { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// The name of one step's slice.
    pub row: Name,
    /// Whether it walks from the end.
    pub reverse: bool,
    /// What it walks along.
    pub over: Expr,
    /// The carried values and how they begin.
    pub carried: Vec<(Name, Expr)>,
    /// One step.
    pub body: Body,
}
