//! What a name stands for while a model is expanded: things known at build time, and tensors.

use std::rc::Rc;

use nnc_runtime::artifact::Init;
use nnc_wgsl::Element;

use crate::elaborate::dim::{Dim, show_dims};
use crate::elaborate::frame::Frame;
use crate::elaborate::host::HostValue;
use crate::elaborate::intrinsic::Intrinsic;
use crate::ir::NodeId;
use crate::source::Span;
use crate::syntax::ast::{Attribute, Chain, Definition, DefinitionKind};

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// A whole number or a dim.
    Int(Dim),
    /// A number.
    Float(f64),
    /// A truth.
    Bool(bool),
    /// A string.
    Text(String),
    /// A list or a tuple.
    List(Vec<Value<'a>>),
    /// `low..high`, without `high`.
    Range(f64, f64),
    /// A predeclared symbol such as `same`.
    Symbol(&'static str),
    /// How a weight begins.
    Init(InitSpec),
    /// Something that can be called.
    Callable(Callable<'a>),
    /// A number the training loop knows.
    Host(Rc<HostValue>),
    /// A tensor.
    Tensor(Tensor),
    /// Several outputs; a pipeline carries the first.
    Outputs(Vec<Value<'a>>),
    /// What has been reported already.
    Error,
}

/// A tensor of the graph.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// Its node.
    pub(super) node: NodeId,
    /// What is stored.
    pub(super) element: Element,
    /// The extent of each axis.
    pub(super) dims: Vec<Dim>,
    /// The stage that made it and how it is called.
    pub(super) made: Option<Rc<(Span, String)>>,
    /// The values that a data field may have, and where that is said.
    pub(super) range: Option<Rc<(i64, i64, Span)>>,
}

impl Tensor {
    /// Its type as printed: `f32[N, 10]`.
    pub(super) fn show(&self) -> String {
        let element = if self.element == Element::U8 { Element::F32 } else { self.element };
        if self.dims.is_empty() { element.to_string() } else { format!("{element}{}", show_dims(&self.dims)) }
    }

    /// Its extents as numbers.
    pub(super) fn shape(&self) -> Vec<usize> {
        self.dims.iter().map(Dim::size).collect()
    }

    pub(super) fn rank(&self) -> usize {
        self.dims.len()
    }
}

/// How a weight begins, before its shape is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum InitSpec {
    /// Uniform within 1 / sqrt(fan in), as PyTorch's `Linear` and `Conv2d`, unless `@init` says otherwise.
    Default,
    /// Normal, variance 2 / fan in (He et al. 2015).
    He,
    /// Uniform, variance 2 / (fan in + fan out) (Glorot and Bengio 2010).
    Xavier,
    /// A (semi-)orthogonal matrix (Saxe et al. 2013).
    Orthogonal,
    /// Settled.
    Fixed(Init),
}

/// Something that can be called.
#[derive(Clone, Debug)]
pub(super) enum Callable<'a> {
    /// A `fn`, `block`, `model` or `optimizer` and the module it stands in.
    Definition(&'a Definition, usize),
    /// A primitive.
    Intrinsic(&'static Intrinsic),
    /// A `layer`.
    Layer(Rc<Layer<'a>>),
}

/// A chain with a name and one set of weights.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The scope of its weights.
    pub(super) path: String,
    /// What it is.
    pub(super) chain: &'a Chain,
    /// Its attributes.
    pub(super) attributes: &'a [Attribute],
    /// The names it can see.
    pub(super) frame: Frame<'a>,
}

impl<'a> Callable<'a> {
    pub(super) fn name(&self) -> &'a str {
        match self {
            Callable::Definition(definition, _) => &definition.name.text,
            Callable::Intrinsic(intrinsic) => intrinsic.name,
            Callable::Layer(layer) => layer.name,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Callable::Definition(definition, _) => match definition.kind {
                DefinitionKind::Fn => "a function",
                DefinitionKind::Block => "a block",
                DefinitionKind::Model => "a model",
                DefinitionKind::Optimizer => "an optimizer",
            },
            Callable::Intrinsic(_) => "a function",
            Callable::Layer(_) => "a layer",
        }
    }
}

impl<'a> Value<'a> {
    /// The whole number `value`.
    pub(super) fn int(value: i64) -> Value<'a> {
        Value::Int(Dim::constant(value))
    }

    /// What it is, for messages: `a number`, `f32[N, 10]`.
    pub(super) fn describe(&self) -> String {
        match self {
            Value::Int(dim) => format!("the integer {dim}"),
            Value::Float(value) => format!("the number {value:?}"),
            Value::Bool(value) => format!("`{value}`"),
            Value::Text(text) => format!("the string {text:?}"),
            Value::List(values) => format!("a list of {}", values.len()),
            Value::Range(..) => "a range".to_owned(),
            Value::Symbol(name) => format!("`{name}`"),
            Value::Init(_) => "an init".to_owned(),
            Value::Callable(callable) => format!("{} `{}`", callable.word(), callable.name()),
            Value::Host(_) => "a number of the training loop".to_owned(),
            Value::Tensor(tensor) => tensor.show(),
            Value::Outputs(values) => format!("{} outputs", values.len()),
            Value::Error => "an error".to_owned(),
        }
    }

    /// The first of several outputs; any other value itself.
    pub(super) fn first(self) -> Value<'a> {
        match self {
            Value::Outputs(values) => values.into_iter().next().unwrap_or(Value::Error),
            other => other,
        }
    }
}
