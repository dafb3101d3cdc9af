//! Calls: which argument is which parameter, and the body of what is called.

mod arguments;
mod conditions;
mod misuse;
mod order;
mod slopes;

use crate::diagnostic::Diagnostic;
use crate::elaborate::call::order::binding_order;
use crate::elaborate::context::{Elaborator, Outcome, Reported, Site};
use crate::elaborate::frame::Frame;
use crate::elaborate::intrinsic::{Call, Intrinsic};
use crate::elaborate::slope::has_slopes;
use crate::elaborate::types::Role;
use crate::elaborate::value::{Callable, Tensor, Value};
use crate::ops::StopGradient;
use crate::source::Span;
use crate::syntax::ast::{Definition, DefinitionKind, Expr, ExprKind, ItemKind, StatementKind};

/// Functions through which no gradient flows.
const STOPS: [&str; 9] =
    ["argmax", "argmin", "argsort", "sign", "floor", "ceil", "round", "stop_grad", "to_int"];

/// Calls may lie this deep in one another.
const DEEPEST_CALL: usize = 48;

/// An argument as given.
#[derive(Clone, Debug)]
pub(super) struct Given<'a> {
    /// Its name and where that stands, when written.
    pub(super) name: Option<(&'a str, Span)>,
    /// Its value.
    pub(super) value: Value<'a>,
    /// Where it is written.
    pub(super) span: Span,
}

/// The scope in which a use of a block makes its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// One of its own, called as the block.
    Own,
    /// The open one: that of its label, or of the layer that it is.
    Open,
}

impl<'a> Elaborator<'a> {
    /// Calls `called` (written at `name`, the whole call at `span`) with `given`.
    pub(super) fn call(
        &mut self,
        frame: &Frame<'a>,
        called: Value<'a>,
        name: Span,
        span: Span,
        home: Home,
        given: Vec<Given<'a>>,
    ) -> Outcome<Value<'a>> {
        if self.sites.len() >= DEEPEST_CALL {
            let message = format!("calls are nested more than {DEEPEST_CALL} deep");
            let diagnostic = Diagnostic::error("E0209", message, name)
                .fact("something here calls itself")
                .help_maybe(self.hides_library(self.bundle.sources().slice(name)));
            return Err(self.report(diagnostic));
        }
        match called {
            Value::Callable(Callable::Definition(definition, module)) => {
                self.call_definition(frame, definition, module, name, span, home, given)
            }
            Value::Callable(Callable::Intrinsic(intrinsic)) => {
                let call = self.intrinsic_call(intrinsic, name, span, given)?;
                self.elementwise_call(&call)?;
                if STOPS.contains(&intrinsic.name) && !self.bundle.is_library(name) {
                    self.stops.push((name, intrinsic.name.to_owned()));
                }
                (intrinsic.run)(self, call)
            }
            Value::Callable(Callable::Layer(layer)) => {
                let mut given = given.into_iter();
                let (Some(input), None) = (given.next(), given.next()) else {
                    let message = format!("the layer `{}` takes one input and no arguments", layer.name);
                    return self.fail("E0202", span, message, "its arguments are in its declaration");
                };
                self.weights.open_shared(layer.path.clone());
                let site = Site { span, name: layer.name };
                self.sites.push(site);
                let mut inner = layer.frame.clone();
                let result = self.precisely(layer.attributes, |this| {
                    this.layer_chain(&mut inner, layer.chain, input.value, input.span)
                });
                self.sites.pop();
                self.weights.close();
                result
            }
            Value::Error => Err(Reported),
            other => Err(self.not_callable(frame, &other, name)),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn call_definition(
        &mut self,
        caller: &Frame<'a>,
        definition: &'a Definition,
        module: usize,
        name: Span,
        span: Span,
        home: Home,
        given: Vec<Given<'a>>,
    ) -> Outcome<Value<'a>> {
        let called = &definition.name.text;
        match definition.kind {
            DefinitionKind::Fn | DefinitionKind::Block => {}
            DefinitionKind::Model | DefinitionKind::Optimizer => {
                let word = definition.kind.word();
                let message = format!("the {word} `{called}` cannot be used inside a formula");
                let diagnostic = Diagnostic::error("E0209", message, name)
                    .fact(format!("a {word} is named in `train`"))
                    .help_maybe(self.hides_library(called));
                return Err(self.report(diagnostic));
            }
        }
        let parameters: Vec<(&str, bool)> =
            definition.parameters.iter().map(|one| (&*one.name.text, one.default.is_none())).collect();
        self.without_input(definition, name, span, &given)?;
        self.takes_no_input(definition, &given)?;
        let bound = self.bind_arguments(called, &parameters, name, given)?;
        self.suspicious(definition, name, span, &bound);
        let mut frame = Frame::new(module);
        frame.owner = Some((definition.kind, called.clone()));
        frame.definition = has_slopes(definition.kind).then_some(definition);
        frame.init = match self.default_init(&mut frame, &definition.attributes)? {
            Some(init) => Some(init),
            None => caller.init.clone(),
        };
        let inline = definition.attributes.iter().any(|attribute| attribute.name.text == "inline");
        let owns_scope = definition.kind == DefinitionKind::Block && !inline;
        match home {
            Home::Own if owns_scope => self.weights.open(called),
            Home::Open if owns_scope => self.weights.keep(),
            Home::Own | Home::Open => {}
        }
        self.sites.push(Site { span, name: called });
        let before = self.weights.len();
        let result = self.precisely(&definition.attributes, |this| {
            this.run_definition(&mut frame, definition, bound, name)
        });
        self.sites.pop();
        if owns_scope && home == Home::Own {
            self.weights.close();
        }
        if owns_scope && self.weights.len() > before {
            self.forbid_weights(caller, called, name)?;
        }
        self.note_probabilities(definition, span, &result);
        result
    }

    /// A formula owns no weights, nor does it through the block `called` at `name`, which made some.
    fn forbid_weights(&mut self, caller: &Frame<'a>, called: &str, name: Span) -> Outcome<()> {
        let Some((DefinitionKind::Fn, owner)) = &caller.owner else { return Ok(()) };
        let message = format!("the `fn` `{owner}` would own the weights of `{called}`");
        let mut diagnostic = Diagnostic::error("E0205", message, name).fact("a `fn` is a formula");
        if let Some(ItemKind::Definition(definition)) = self.bundle.item_at(name) {
            diagnostic = diagnostic.label(definition.name.span, "it stands in this");
        }
        let help = format!("make it a block: `block {owner}(...) {{ ... }}`");
        Err(self.report(diagnostic.help(help)))
    }

    fn run_definition(
        &mut self,
        frame: &mut Frame<'a>,
        definition: &'a Definition,
        mut bound: Vec<Option<Given<'a>>>,
        name: Span,
    ) -> Outcome<Value<'a>> {
        let stopped: Vec<&str> = definition
            .body
            .statements
            .iter()
            .filter_map(|statement| match &statement.kind {
                StatementKind::Grad { name, .. } => Some(name.text.as_str()),
                _ => None,
            })
            .collect();
        let mut originals: Vec<(String, Tensor)> = Vec::new();
        for place in binding_order(&definition.parameters) {
            let parameter = &definition.parameters[place];
            let text = &parameter.name.text;
            let mut written = false;
            let (mut value, span) = match bound[place].take() {
                Some(given) => {
                    written = !matches!(given.value, Value::Tensor(_) | Value::Outputs(_));
                    (given.value, given.span)
                }
                None => match &parameter.default {
                    Some(default) => (self.expression(frame, default)?, default.span),
                    None => return Err(Reported),
                },
            };
            self.accepted_ranks(definition, &parameter.attributes, &value, name)?;
            if let Some(ty) = &parameter.ty
                && !is_left_out(parameter.default.as_ref(), &value)
            {
                let role = Role::Parameter { of: &definition.name.text, name: text };
                value = self.check(frame, ty, value, span, role)?;
            }
            if stopped.contains(&text.as_str())
                && let Value::Tensor(tensor) = &value
            {
                originals.push((text.clone(), tensor.clone()));
                self.mark(span);
                let node = self.graph.must(StopGradient, &[tensor.node]);
                value = Value::Tensor(Tensor { node, ..tensor.clone() });
            }
            frame.bind(text, value);
            if written {
                frame.places.insert(text.clone(), span);
            }
        }
        self.preconditions(frame, definition, name)?;
        let mut signature = frame.clone();
        let result = self.body(frame, &definition.body)?;
        let result = self.as_declared_outputs(&mut signature, definition, result)?;
        self.with_gradients(frame, result, &originals, name)
    }

    fn intrinsic_call(
        &mut self,
        intrinsic: &'static Intrinsic,
        name: Span,
        span: Span,
        given: Vec<Given<'a>>,
    ) -> Outcome<Call<'a>> {
        let mut parameters: Vec<(&'a str, bool)> = Vec::with_capacity(intrinsic.parameters.len());
        let mut variadic = false;
        let mut any_names = false;
        for parameter in intrinsic.parameters {
            if parameter.starts_with("**") {
                any_names = true;
            } else if parameter.starts_with('*') {
                variadic = true;
            } else {
                parameters.push((parameter.trim_end_matches('?'), !parameter.ends_with('?')));
            }
        }
        let (rest, given) = if variadic {
            given.into_iter().partition(|one| one.name.is_none())
        } else {
            (Vec::new(), given)
        };
        if any_names {
            for (text, _) in given.iter().filter_map(|one| one.name) {
                if parameters.iter().all(|(known, _)| *known != text) {
                    parameters.push((text, false));
                }
            }
        }
        let bound = self.bind_arguments(intrinsic.name, &parameters, name, given)?;
        let given = parameters.iter().zip(bound);
        let arguments = given.filter_map(|((name, _), value)| Some((*name, value?))).collect();
        Ok(Call { name: intrinsic.name, name_span: name, span, rest, arguments })
    }
}

/// Whether `none` came to a typed parameter that may be left out: its default says so.
fn is_left_out(default: Option<&Expr>, value: &Value<'_>) -> bool {
    let may = matches!(default.map(|expr| &expr.kind), Some(ExprKind::Name(name)) if name == "none");
    may && matches!(value, Value::Symbol("none"))
}
