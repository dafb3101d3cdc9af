//! The settings of `data` and `train`.

use crate::source::Span;
use crate::syntax::ast::Name;
use crate::syntax::ast::definition::Type;
use crate::syntax::ast::expression::Expr;

/// `data name { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// Its name.
    pub name: Name,
    /// Its settings.
    pub settings: Settings,
}

/// `train model on data { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    /// The model.
    pub model: Name,
    /// The data.
    pub data: Option<Name>,
    /// Its settings.
    pub settings: Settings,
}

/// `{ settings }`
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Its entries.
    pub entries: Vec<Setting>,
    /// With the braces.
    pub span: Span,
}

/// An entry of settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The lines of its doc comment.
    pub docs: Vec<String>,
    /// What it is.
    pub kind: SettingKind,
    /// The whole of it.
    pub span: Span,
}

/// The entries of settings.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingKind {
    /// `name = value`, `a, b = value`
    Value {
        /// The names.
        names: Vec<Name>,
        /// The value.
        value: Expr,
    },
    /// `name: type`
    Field {
        /// The name.
        name: Name,
        /// The type.
        ty: Type,
    },
    /// `name { ... }`, `update layer { ... }`
    Group {
        /// The name.
        name: Name,
        /// What it is about.
        subject: Option<Name>,
        /// Its entries.
        settings: Settings,
    },
}
