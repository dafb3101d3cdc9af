//! The syntax tree: what was written, with the place of every part.

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
