//! The syntax tree: what was written, with the place of every part.

mod definition;
mod expression;
mod setting;
mod statement;

pub use definition::{Definition, DefinitionKind, Dim, Output, Parameter, Type};
pub use expression::{
    Argument, Binary, Chain, Expr, ExprKind, Index, Pipeline, Scan, Slice, Stage, StageKind, Unary,
};
pub use setting::{Data, Setting, SettingKind, Settings, Train};
pub use statement::{Body, Statement, StatementKind, Target};

use crate::source::Span;

/// A file.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct File {
    /// Its items in order.
    pub items: Vec<Item>,
}

/// A name where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Its letters.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// `@name` or `@name(arguments)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub name: Name,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// From the `@` on.
    pub span: Span,
}

/// An item with what stands before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The lines of its doc comment.
    pub docs: Vec<String>,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// What it is.
    pub kind: ItemKind,
    /// From its first word on, without docs and attributes.
    pub span: Span,
}

/// The items.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    /// `use "file.nn" as name`
    Use(Use),
    /// `const name = value`
    Const(Const),
    /// `fn`, `block`, `model` and `optimizer`
    Definition(Definition),
    /// `data name { ... }`
    Data(Data),
    /// `train model on data { ... }`
    Train(Train),
}

/// `use "file.nn" as name`
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// The file, without quotes.
    pub path: String,
    /// The place of the file's name.
    pub path_span: Span,
    /// The prefix of its items.
    pub prefix: Option<Name>,
}

/// `const name: type = value`
#[derive(Clone, Debug, PartialEq)]
pub struct Const {
    /// Its name.
    pub name: Name,
    /// Its declared type.
    pub ty: Option<Type>,
    /// Its value.
    pub value: Expr,
}
