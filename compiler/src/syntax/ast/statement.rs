//! Bodies and their statements.

use crate::source::Span;
use crate::syntax::ast::definition::Type;
use crate::syntax::ast::expression::{Chain, Expr};
use crate::syntax::ast::{Attribute, Name};

/// `{ statements }`
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Its statements; the last one that is a [`StatementKind::Value`] gives the value.
    pub statements: Vec<Statement>,
    /// With the braces.
    pub span: Span,
}

/// A statement with what stands before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The lines of its doc comment.
    pub docs: Vec<String>,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// What it is.
    pub kind: StatementKind,
    /// From its first word on.
    pub span: Span,
}

/// The statements of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    /// `layer name = chain`
    Layer {
        /// The name of the shared layer.
        name: Name,
        /// What it is.
        chain: Chain,
    },
    /// `weight name: type = init`
    Weight {
        /// Its name.
        name: Name,
        /// Its type.
        ty: Type,
        /// How it begins.
        init: Option<Expr>,
    },
    /// `state name: type = init`
    State {
        /// Its name.
        name: Name,
        /// Its type; in an optimizer that of the weight.
        ty: Option<Type>,
        /// How it begins.
        init: Option<Expr>,
    },
    /// `grad name = value`
    Grad {
        /// The parameter whose gradient it gives.
        name: Name,
        /// The gradient, a formula of `dy`.
        value: Expr,
    },
    /// `a, b = value`
    Bind {
        /// The names.
        targets: Vec<Target>,
        /// The values, one that gives several or as many as names.
        values: Vec<Expr>,
    },
    /// The value of the body.
    Value(Vec<Expr>),
}

/// A name that is bound, with the type that it must have.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The name, `_` to drop the value.
    pub name: Name,
    /// The type to check.
    pub ty: Option<Type>,
}
