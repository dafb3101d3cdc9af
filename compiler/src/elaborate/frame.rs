//! The names that a body can see.

use std::collections::BTreeMap;

use crate::elaborate::value::{InitSpec, Value};
use crate::source::Span;
use crate::syntax::ast::{Definition, DefinitionKind};

/// The names of one body, and what kind of body it is.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    /// What the names stand for.
    pub(super) names: BTreeMap<String, Value<'a>>,
    /// The module in which the body stands.
    pub(super) module: usize,
    /// What the body belongs to; `None` for settings and constants.
    pub(super) owner: Option<(DefinitionKind, String)>,
    /// What `@init` says about weights that do not say how they begin.
    pub(super) init: Option<InitSpec>,
    /// The formulas of `grad` statements, by parameter, as gradients for an upstream of 1.
    pub(super) grads: BTreeMap<String, Value<'a>>,
    /// Where the arguments that are no tensors are written, by parameter.
    pub(super) places: BTreeMap<String, Span>,
    /// The `fn` or `block` whose body it is.
    pub(super) definition: Option<&'a Definition>,
    /// States of this body, by local name: their paths.
    pub(super) states: BTreeMap<String, String>,
}

impl<'a> Frame<'a> {
    /// No names yet, in `module`.
    pub(super) fn new(module: usize) -> Frame<'a> {
        Frame {
            names: BTreeMap::new(),
            module,
            owner: None,
            init: None,
            grads: BTreeMap::new(),
            places: BTreeMap::new(),
            definition: None,
            states: BTreeMap::new(),
        }
    }

    /// Binds `name`, hiding what it stood for.
    pub(super) fn bind(&mut self, name: &str, value: Value<'a>) {
        if name != "_" {
            self.places.remove(name);
            self.names.insert(name.to_owned(), value);
        }
    }
}
