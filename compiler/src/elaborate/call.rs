//! Calls: which argument is which parameter, and the body of what is called.

use std::collections::BTreeMap;

use nnc_wgsl::Element;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported, Site};
use crate::elaborate::elsewhere::argument_help;
use crate::elaborate::frame::Frame;
use crate::elaborate::intrinsic::{Call, Intrinsic};
use crate::elaborate::types::Role;
use crate::elaborate::value::{Callable, Tensor, Value};
use crate::ops::StopGradient;
use crate::source::Span;
use crate::syntax::ast::{Attribute, Definition, DefinitionKind, ExprKind, Name, StatementKind};

/// Functions through which no gradient flows.
const STOPS: [&str; 8] = ["argmax", "argmin", "sign", "floor", "ceil", "round", "stop_grad", "to_int"];

/// Calls may lie this deep in one another.
const DEEPEST_CALL: usize = 48;

/// An argument as given.
#[derive(Clone, Debug)]
pub(super) struct Given<'a> {
    /// Its name, when written.
    pub(super) name: Option<Name>,
    /// Its value.
    pub(super) value: Value<'a>,
    /// Where it is written.
    pub(super) span: Span,
}

impl<'a> Elaborator<'a> {
    /// Calls `called` (written at `name`, the whole call at `span`) with `given`.
    pub(super) fn call(
        &mut self,
        frame: &Frame<'a>,
        called: Value<'a>,
        name: Span,
        span: Span,
        label: Option<&str>,
        given: Vec<Given<'a>>,
    ) -> Outcome<Value<'a>> {
        if self.sites.len() >= DEEPEST_CALL {
            let message = format!("calls are nested more than {DEEPEST_CALL} deep");
            return self.fail("E0209", name, message, "something here calls itself");
        }
        match called {
            Value::Callable(Callable::Definition(definition, module)) => {
                self.call_definition(frame, definition, module, name, span, label, given)
            }
            Value::Callable(Callable::Intrinsic(intrinsic)) => {
                let call = self.intrinsic_call(intrinsic, name, span, given)?;
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
                let scope = self.weights.open_path(layer.path.clone());
                let site = Site { span, name: layer.name.clone() };
                self.sites.push(site);
                let mut inner = layer.frame.clone();
                let result = self.layer_chain(&mut inner, layer.chain, input.value, input.span);
                self.sites.pop();
                self.weights.close(scope);
                result
            }
            Value::Error => Err(Reported),
            other => {
                let what = other.describe();
                self.fail("E0209", name, "this cannot be called", format!("it is {what}"))
            }
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
        label: Option<&str>,
        given: Vec<Given<'a>>,
    ) -> Outcome<Value<'a>> {
        let called = &definition.name.text;
        match definition.kind {
            DefinitionKind::Fn | DefinitionKind::Block => {}
            DefinitionKind::Model | DefinitionKind::Optimizer => {
                let word = definition.kind.word();
                let message = format!("the {word} `{called}` cannot be used inside a formula");
                return self.fail("E0209", name, message, format!("a {word} is named in `train`"));
            }
        }
        let names: Vec<String> =
            definition.parameters.iter().map(|parameter| parameter.name.text.clone()).collect();
        let needed: Vec<bool> =
            definition.parameters.iter().map(|parameter| parameter.default.is_none()).collect();
        let bound = self.bind_arguments(called, &names, &needed, name, span, given)?;

        self.suspicious(definition, name, span, &bound);
        let mut frame = Frame::new(module);
        frame.owner = Some((definition.kind, called.clone()));
        frame.init = match self.default_init(&mut frame, &definition.attributes)? {
            Some(init) => Some(init),
            None => caller.init.clone(),
        };
        let inline = definition.attributes.iter().any(|attribute| attribute.name.text == "inline");
        let owns_scope = definition.kind == DefinitionKind::Block && !inline;
        let outer = if owns_scope { Some(self.weights.open(label.unwrap_or(called))) } else { None };
        self.sites.push(Site { span, name: called.clone() });
        let result = self.run_definition(&mut frame, definition, bound, name);
        self.sites.pop();
        if let Some(outer) = outer {
            self.weights.close(outer);
        }
        result
    }

    fn run_definition(
        &mut self,
        frame: &mut Frame<'a>,
        definition: &'a Definition,
        mut bound: BTreeMap<usize, Given<'a>>,
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
        for (place, parameter) in definition.parameters.iter().enumerate() {
            let text = &parameter.name.text;
            let (mut value, span) = match bound.remove(&place) {
                Some(given) => (given.value, given.span),
                None => match &parameter.default {
                    Some(default) => (self.expression(frame, default)?, default.span),
                    None => return Err(Reported),
                },
            };
            self.accepted_ranks(definition, &parameter.attributes, &value, name)?;
            if let Some(ty) = &parameter.ty {
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
        }
        self.preconditions(frame, definition, name)?;
        let result = self.body(frame, &definition.body)?;
        self.with_gradients(frame, result, &originals, name)
    }

    /// `@shape("[N, C, W] or [N, C, H, W]")` before a parameter says which ranks it takes.
    fn accepted_ranks(
        &mut self,
        definition: &Definition,
        attributes: &[Attribute],
        value: &Value<'a>,
        name: Span,
    ) -> Outcome<()> {
        let Some(attribute) = attributes.iter().find(|attribute| attribute.name.text == "shape") else {
            return Ok(());
        };
        let Some(ExprKind::Text(shapes)) = attribute.arguments.first().map(|one| &one.value.kind) else {
            return Ok(());
        };
        let Value::Tensor(tensor) = value else { return Ok(()) };
        let ranks = shapes.split('[').skip(1).filter_map(|shape| shape.split(']').next());
        if ranks.map(|shape| shape.split(',').count()).any(|rank| rank == tensor.rank()) {
            return Ok(());
        }
        let called = self.spoken_name(&definition.name.text);
        let diagnostic = Diagnostic::error("E0303", format!("`{called}` needs an input {shapes}"), name)
            .fact(format!("found {}", tensor.show()));
        let diagnostic = match &tensor.made {
            Some((place, maker)) if maker == "flatten" => diagnostic
                .label(*place, "made by `flatten` here")
                .help(format!("move `flatten` after the last {}", kind_of(&called))),
            Some((place, maker)) => diagnostic.label(*place, format!("made by `{maker}` here")),
            None => diagnostic,
        };
        let site = self.sites.pop();
        let reported = self.report(diagnostic);
        self.sites.extend(site);
        Err(reported)
    }

    /// `where` conditions. What only the training loop knows is not held against them.
    pub(super) fn preconditions(
        &mut self,
        frame: &mut Frame<'a>,
        definition: &'a Definition,
        name: Span,
    ) -> Outcome<()> {
        for condition in &definition.conditions {
            let value = self.expression(frame, condition)?.first();
            let holds = matches!(value, Value::Bool(true) | Value::Host(_));
            if holds || self.condition(frame, condition)? {
                continue;
            }
            let called = &definition.name.text;
            let fact = self.broken(frame, &condition.kind);
            let message = format!("`{called}` cannot be used like this");
            let diagnostic =
                Diagnostic::error("E0306", message, name).fact(fact).label(condition.span, "this must hold");
            let site = self.sites.pop();
            let reported = self.report(diagnostic);
            self.sites.extend(site);
            return Err(reported);
        }
        Ok(())
    }

    /// Why a condition does not hold, in numbers.
    fn broken(&mut self, frame: &mut Frame<'a>, condition: &'a ExprKind) -> String {
        use crate::syntax::ast::Binary;
        let ExprKind::Binary { operator, left, right, .. } = condition else {
            return "this does not hold".to_owned();
        };
        if let (Binary::Equal, ExprKind::Binary { operator: Binary::Remainder, left: a, right: b, .. }) =
            (operator, &left.kind)
        {
            let a = self.expression(frame, a).map(|value| show_number(&value));
            let b = self.expression(frame, b).map(|value| show_number(&value));
            if let (Ok(a), Ok(b)) = (a, b) {
                return format!("{a} does not divide by {b}");
            }
        }
        let bounded = match (&left.kind, &right.kind) {
            (ExprKind::Name(name), ExprKind::Int(_) | ExprKind::Float(_)) => Some(name.as_str()),
            _ => None,
        };
        let left = self.expression(frame, left).map(|value| show_number(&value));
        let right = self.expression(frame, right).map(|value| show_number(&value));
        match (left, right) {
            (Ok(left), Ok(right)) if bounded.is_some() => {
                let name = bounded.unwrap_or_default();
                format!("`{name}` is {left}, and {name} {} {right} must hold", operator.sign())
            }
            (Ok(left), Ok(right)) => format!("{left} {} {right} does not hold", operator.sign()),
            _ => "this does not hold".to_owned(),
        }
    }

    /// Replaces the derived gradients of the parameters that have a `grad` formula.
    fn with_gradients(
        &mut self,
        frame: &Frame<'a>,
        result: Value<'a>,
        originals: &[(String, Tensor)],
        span: Span,
    ) -> Outcome<Value<'a>> {
        if originals.is_empty() {
            return Ok(result);
        }
        let Value::Tensor(tensor) = result.first() else {
            return self.fail(
                "E0504",
                span,
                "a `fn` with `grad` gives one tensor",
                "this gives something else",
            );
        };
        let mut node = tensor.node;
        for (name, original) in originals {
            let floats = original.element == Element::F32 && tensor.element == Element::F32;
            if original.dims != tensor.dims || !floats {
                let message = format!("`grad {name}` needs a result of the shape of `{name}`");
                let fact = format!("{} from {}", tensor.show(), original.show());
                return self.fail("E0504", span, message, fact);
            }
            self.mark(span);
            let slope = match frame.grads.get(name) {
                Some(Value::Tensor(slope)) => slope.node,
                Some(value) => {
                    let number = self.real(&value.clone(), span)?;
                    self.graph.constant(number, crate::ir::TensorType::f32(original.shape()))
                }
                None => continue,
            };
            let slope = self.graph.must(StopGradient, &[slope]);
            let still = self.graph.must(StopGradient, &[original.node]);
            node = self.graph.map(&[node, slope, original.node, still], |b, x| {
                let slope = b.cast(nnc_wgsl::Scalar::F32, x[1]);
                let change = b.binary(nnc_wgsl::Binary::Sub, x[2], x[3]);
                let change = b.binary(nnc_wgsl::Binary::Mul, slope, change);
                b.binary(nnc_wgsl::Binary::Add, x[0], change)
            });
        }
        Ok(Value::Tensor(Tensor { node, ..tensor }))
    }

    /// The arguments by parameter. `needed` says which parameters have no default.
    pub(super) fn bind_arguments(
        &mut self,
        called: &str,
        names: &[String],
        needed: &[bool],
        name: Span,
        span: Span,
        given: Vec<Given<'a>>,
    ) -> Outcome<BTreeMap<usize, Given<'a>>> {
        let signature = signature(called, names, needed);
        let mut bound: BTreeMap<usize, Given<'a>> = BTreeMap::new();
        let mut next = 0;
        let mut named: Option<Name> = None;
        for one in given {
            let place = match &one.name {
                None => {
                    if let Some(before) = &named {
                        let diagnostic = Diagnostic::error(
                            "E0211",
                            "an argument without a name stands after one with a name",
                            one.span,
                        )
                        .fact("this one needs a name, or an earlier place")
                        .label(before.span, "the first with a name")
                        .note(signature);
                        return Err(self.report(diagnostic));
                    }
                    if next >= names.len() {
                        let message = format!("too many arguments for `{called}`");
                        let diagnostic = Diagnostic::error("E0202", message, one.span)
                            .fact("one too many")
                            .note(signature);
                        return Err(self.report(diagnostic));
                    }
                    next += 1;
                    next - 1
                }
                Some(key) => {
                    named.get_or_insert_with(|| key.clone());
                    match names.iter().position(|known| *known == key.text) {
                        Some(place) => place,
                        None => return Err(self.unknown_argument(called, names, key, signature)),
                    }
                }
            };
            if let Some(before) = bound.get(&place) {
                let message = format!("`{}` of `{called}` is given twice", names[place]);
                let diagnostic = Diagnostic::error("E0212", message, one.span)
                    .fact("again here")
                    .label(before.span, "here");
                return Err(self.report(diagnostic));
            }
            bound.insert(place, one);
        }
        let missing = (0..names.len()).find(|place| needed[*place] && !bound.contains_key(place));
        if let Some(missing) = missing {
            let message = format!("`{called}` needs `{}`", names[missing]);
            let diagnostic = Diagnostic::error("E0203", message, name)
                .fact(if missing == 0 { "without an input" } else { "missing argument" })
                .note(signature);
            return Err(self.report(diagnostic));
        }
        let _ = span;
        Ok(bound)
    }

    fn unknown_argument(
        &mut self,
        called: &str,
        names: &[String],
        key: &Name,
        signature: String,
    ) -> Reported {
        let help = argument_help(&key.text, names)
            .or_else(|| did_you_mean(&key.text, names.iter().map(String::as_str)));
        let message = format!("`{called}` has no argument `{}`", key.text);
        let diagnostic = Diagnostic::error("E0202", message, key.span)
            .fact("unknown argument")
            .note(signature)
            .help_maybe(help);
        self.report(diagnostic)
    }

    fn intrinsic_call(
        &mut self,
        intrinsic: &'static Intrinsic,
        name: Span,
        span: Span,
        given: Vec<Given<'a>>,
    ) -> Outcome<Call<'a>> {
        let mut names: Vec<String> = Vec::new();
        let mut needed = Vec::new();
        let mut variadic = false;
        let mut any_names = false;
        for parameter in intrinsic.parameters {
            if parameter.starts_with("**") {
                any_names = true;
            } else if parameter.starts_with('*') {
                variadic = true;
            } else {
                needed.push(!parameter.ends_with('?'));
                names.push(parameter.trim_end_matches('?').to_owned());
            }
        }
        let (rest, given) = if variadic {
            given.into_iter().partition(|one| one.name.is_none())
        } else {
            (Vec::new(), given)
        };
        if any_names {
            let further: Vec<String> =
                given.iter().filter_map(|one| one.name.as_ref().map(|name| name.text.clone())).collect();
            for text in further {
                if !names.contains(&text) {
                    names.push(text);
                    needed.push(false);
                }
            }
        }
        let bound = self.bind_arguments(intrinsic.name, &names, &needed, name, span, given)?;
        let mut arguments = BTreeMap::new();
        for (place, value) in bound {
            arguments.insert(names[place].clone(), value);
        }
        Ok(Call { name: intrinsic.name, name_span: name, span, rest, arguments })
    }
}

/// `conv(out, kernel, stride=, pad=)`, without the input.
fn signature(called: &str, names: &[String], needed: &[bool]) -> String {
    let parts: Vec<String> = names
        .iter()
        .zip(needed)
        .skip(usize::from(needed.first() == Some(&true)))
        .map(|(name, needed)| if *needed { name.clone() } else { format!("{name}=") })
        .collect();
    format!("{called}({})", parts.join(", "))
}

fn show_number(value: &Value<'_>) -> String {
    match value {
        Value::Int(dim) => dim.extent().to_string(),
        Value::Float(number) => format!("{number:?}"),
        other => other.describe(),
    }
}

fn kind_of(called: &str) -> &'static str {
    if called.contains("pool") { "pooling" } else { "convolution" }
}
