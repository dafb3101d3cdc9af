//! The names that a body can see, each until the brace ends in which it is bound.

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
    /// What the braces that are open have hidden, in order.
    hidden: Vec<Hidden<'a>>,
    /// How many braces inside the body are open.
    braces: usize,
}

/// What a name stood for.
#[derive(Clone, Debug)]
pub(super) struct Hidden<'a> {
    name: String,
    value: Option<Value<'a>>,
    place: Option<Span>,
    state: Option<String>,
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
            hidden: Vec::new(),
            braces: 0,
        }
    }

    /// The names as a layer that is declared here sees them ever after.
    pub(super) fn captured(&self) -> Frame<'a> {
        let mut names = self.clone();
        names.hidden.clear();
        names.braces = 0;
        names
    }

    /// Binds `name`, hiding what it stood for until the innermost open brace closes.
    pub(super) fn bind(&mut self, name: &str, value: Value<'a>) {
        if name != "_" {
            if self.braces > 0 {
                let hidden = self.before(name);
                self.hidden.push(hidden);
            }
            self.places.remove(name);
            self.states.remove(name);
            self.names.insert(name.to_owned(), value);
        }
    }

    /// Binds `name` to the state at `path`, whose value before the step is `value`.
    pub(super) fn bind_state(&mut self, name: &str, path: String, value: Value<'a>) {
        self.bind(name, value);
        self.states.insert(name.to_owned(), path);
    }

    /// Gives what `name` stands for another value, which it keeps when the brace closes.
    pub(super) fn set(&mut self, name: &str, value: Value<'a>) {
        self.names.insert(name.to_owned(), value);
    }

    /// Opens a brace: what is bound from now on ends with it. Returns what closes it.
    pub(super) fn open_brace(&mut self) -> usize {
        self.braces += 1;
        self.hidden.len()
    }

    /// Closes the brace that was opened where [`Frame::open_brace`] returned `mark`.
    pub(super) fn close_brace(&mut self, mark: usize) {
        self.braces = self.braces.saturating_sub(1);
        while self.hidden.len() > mark {
            let Some(before) = self.hidden.pop() else { return };
            self.restore(before);
        }
    }

    /// What `name` stands for, to be restored later.
    pub(super) fn before(&self, name: &str) -> Hidden<'a> {
        Hidden {
            name: name.to_owned(),
            value: self.names.get(name).cloned(),
            place: self.places.get(name).copied(),
            state: self.states.get(name).cloned(),
        }
    }

    /// Lets a name stand for what it stood for before.
    pub(super) fn restore(&mut self, before: Hidden<'a>) {
        let Hidden { name, value, place, state } = before;
        match place {
            Some(place) => self.places.insert(name.clone(), place),
            None => self.places.remove(&name),
        };
        match state {
            Some(state) => self.states.insert(name.clone(), state),
            None => self.states.remove(&name),
        };
        match value {
            Some(value) => self.names.insert(name, value),
            None => self.names.remove(&name),
        };
    }
}
