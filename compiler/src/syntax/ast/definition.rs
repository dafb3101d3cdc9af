//! Definitions, their signatures and types.

use crate::source::Span;
use crate::syntax::ast::expression::Expr;
use crate::syntax::ast::statement::Body;
use crate::syntax::ast::{Attribute, Name};

/// Which kind of definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefinitionKind {
    /// A formula without weights.
    Fn,
    /// A sub-graph that owns weights.
    Block,
    /// What is built and trained.
    Model,
    /// An update step.
    Optimizer,
}

impl DefinitionKind {
    /// The word that begins it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            DefinitionKind::Fn => "fn",
            DefinitionKind::Block => "block",
            DefinitionKind::Model => "model",
            DefinitionKind::Optimizer => "optimizer",
        }
    }
}

/// `fn name(parameters) -> outputs where conditions { ... }` and its like.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its attributes, those of the item.
    pub attributes: Vec<Attribute>,
    /// Which kind.
    pub kind: DefinitionKind,
    /// Its name.
    pub name: Name,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Its declared outputs.
    pub outputs: Vec<Output>,
    /// What must hold.
    pub conditions: Vec<Expr>,
    /// What it computes.
    pub body: Body,
}

/// `name: type = default`
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Option<Type>,
    /// Its value when none is given.
    pub default: Option<Expr>,
}

/// `name: type` after the `->` of a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its attributes, such as `@training`.
    pub attributes: Vec<Attribute>,
    /// Its name.
    pub name: Option<Name>,
    /// Its type.
    pub ty: Type,
}

/// `f32[N, 3, H, W]`, `int`, `i32 in 0..10`
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// The element type or the build-time type.
    pub name: Name,
    /// Its dims; absent for a single value.
    pub dims: Option<Vec<Dim>>,
    /// The values it may have.
    pub range: Option<Expr>,
    /// The whole of it.
    pub span: Span,
}

/// A dim of a type.
#[derive(Clone, Debug, PartialEq)]
pub enum Dim {
    /// `..`, any number of dims.
    Rest(Span),
    /// An expression.
    One(Expr),
}

impl Dim {
    /// Its place.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Dim::Rest(span) => *span,
            Dim::One(expression) => expression.span,
        }
    }
}
