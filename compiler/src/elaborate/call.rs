//! Calls: which argument is which parameter, and the body of what is called.

use nnc_wgsl::Element;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported, Site};
use crate::elaborate::data::names_in;
use crate::elaborate::elsewhere::{argument_help, number_help};
use crate::elaborate::frame::Frame;
use crate::elaborate::intrinsic::{self, Call, Intrinsic};
use crate::elaborate::names::unquoted;
use crate::elaborate::slope::has_slopes;
use crate::elaborate::types::Role;
use crate::elaborate::value::{Callable, Tensor, Value};
use crate::ops::StopGradient;
use crate::source::Span;
use crate::syntax::ast::{Attribute, Definition, DefinitionKind, Expr, ExprKind, ItemKind, StatementKind};

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
                let scope = self.weights.open_path(layer.path.clone());
                let site = Site { span, name: layer.name };
                self.sites.push(site);
                let mut inner = layer.frame.clone();
                let result = self.layer_chain(&mut inner, layer.chain, input.value, input.span);
                self.sites.pop();
                self.weights.close(scope);
                result
            }
            Value::Error => Err(Reported),
            other => Err(self.not_callable(frame, &other, name)),
        }
    }

    /// A value that stands where something is called.
    fn not_callable(&mut self, frame: &Frame<'a>, value: &Value<'a>, name: Span) -> Reported {
        let text = self.bundle.sources().slice(name);
        let mut diagnostic = Diagnostic::error("E0209", "this cannot be called", name)
            .fact(format!("it is {}", value.describe()));
        if let Value::Tensor(Tensor { made: Some(made), .. }) = value {
            diagnostic = diagnostic.label(made.0, format!("made by `{}` here", made.1));
        }
        let hides = self.bundle.library_module_of(text).is_some() || intrinsic::find(text).is_some();
        if hides {
            let help = format!("it hides the `{text}` of the library: give it another name");
            return self.report(diagnostic.help(help));
        }
        let help = match value {
            Value::Tensor(_) => Some(
                "a stage is called: a value joins as an argument, `x -> add(y)`, and a branch \
                                      that changes nothing is `identity`",
            ),
            Value::Int(_) | Value::Float(_) if frame.places.contains_key(text) => {
                Some("a function with its arguments is a `fn`: `fn act(x) = leaky_relu(x, 0.2)`")
            }
            _ => None,
        };
        self.report(diagnostic.help_maybe(help.map(str::to_owned)))
    }

    /// `conv(32, 3)` where `conv(x, 32, 3)` or `x -> conv(32, 3)` is meant: the first argument cannot be the input.
    fn without_input(
        &mut self,
        definition: &Definition,
        name: Span,
        span: Span,
        given: &[Given<'a>],
    ) -> Outcome<()> {
        let Some(first) = definition.parameters.first() else { return Ok(()) };
        let of_tensor = first.ty.as_ref().is_some_and(|ty| ty.dims.is_some())
            || first.attributes.iter().any(|attribute| attribute.name.text == "shape");
        let Some(given) = given.first().filter(|given| given.name.is_none()) else { return Ok(()) };
        let number = matches!(
            given.value,
            Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Text(_) | Value::Symbol(_)
        );
        if !of_tensor || !number || given.span.start < name.end || given.span.file != name.file {
            return Ok(());
        }
        let called = &definition.name.text;
        let call = self.bundle.sources().slice(span);
        let call =
            if call.len() < 60 && !call.contains('\n') { call.to_owned() } else { format!("{called}(..)") };
        let mut help = format!("a value goes into it: `x -> {call}`");
        if definition.kind == DefinitionKind::Block {
            help.push_str(&format!("; `layer name = {call}` gives it a name of its own"));
        }
        let diagnostic = Diagnostic::error("E0203", format!("`{called}` needs an input"), given.span)
            .fact(format!("this is {}", given.value.describe()))
            .help(help);
        Err(self.report(diagnostic))
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
        let parameters: Vec<(&str, bool)> =
            definition.parameters.iter().map(|one| (&*one.name.text, one.default.is_none())).collect();
        self.without_input(definition, name, span, &given)?;
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
        let outer = if owns_scope { Some(self.weights.open(label.unwrap_or(called))) } else { None };
        self.sites.push(Site { span, name: called });
        let before = self.weights.len();
        let result = self.run_definition(&mut frame, definition, bound, name);
        self.sites.pop();
        if let Some(outer) = outer {
            self.weights.close(outer);
        }
        if owns_scope && self.weights.len() > before {
            self.forbid_weights(caller, called, name)?;
        }
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
        for (place, parameter) in definition.parameters.iter().enumerate() {
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
        let diagnostic = match tensor.made.as_deref() {
            Some((place, maker)) if maker == "flatten" => diagnostic
                .label(*place, "made by `flatten` here")
                .help(format!("move `flatten` after the last {}", kind_of(called))),
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
            let called = self.spoken_name(&definition.name.text).to_owned();
            let mut names = Vec::new();
            names_in(condition, &mut names);
            let parameters = definition.parameters.iter().map(|parameter| parameter.name.text.as_str());
            let mentioned: Vec<&str> =
                parameters.filter(|one| names.iter().any(|(name, _)| name == one)).collect();
            let written: Vec<Span> =
                mentioned.iter().filter_map(|name| frame.places.get(*name).copied()).collect();
            let fact = self.broken(frame, &condition.kind, &mentioned);
            let message = format!("`{called}` cannot be used like this");
            let place = if let [one] = written.as_slice() { self.visible(*one) } else { name };
            let mut diagnostic = Diagnostic::error("E0306", message, place)
                .fact(&fact)
                .label(condition.span, "this must hold");
            if self.bundle.is_library(condition.span) && !fact.ends_with("must hold") {
                let text = self.bundle.sources().slice(condition.span);
                diagnostic = diagnostic.note(format!("`{text}` must hold"));
            }
            let values = mentioned.iter().filter_map(|name| frame.names.get(*name));
            let help = values.filter_map(unquoted).next();
            let help =
                help.or_else(|| mentioned.iter().find_map(|name| number_help(name)).map(str::to_owned));
            let diagnostic = diagnostic.help_maybe(help);
            let site = self.sites.pop();
            let reported = self.report(diagnostic);
            self.sites.extend(site);
            return Err(reported);
        }
        Ok(())
    }

    /// Why a condition does not hold, in numbers.
    pub(super) fn broken(
        &mut self,
        frame: &mut Frame<'a>,
        condition: &'a ExprKind,
        mentioned: &[&str],
    ) -> String {
        use crate::syntax::ast::Binary;
        let ExprKind::Binary { operator, left, right, .. } = condition else {
            return "this does not hold".to_owned();
        };
        if matches!(operator, Binary::Or | Binary::And) {
            let value = |name: &&str| Some(format!("`{name}` is {}", show_number(frame.names.get(*name)?)));
            let values: Vec<String> = mentioned.iter().filter_map(value).collect();
            return if values.is_empty() { "this does not hold".to_owned() } else { values.join(", ") };
        }
        if let (Binary::Equal, ExprKind::Binary { operator: Binary::Remainder, left: a, right: b, .. }) =
            (operator, &left.kind)
        {
            let a = self.expression(frame, a).map(|value| show_number(&value));
            let b = self.expression(frame, b).map(|value| show_number(&value));
            if let (Ok(a), Ok(b)) = (a, b) {
                return format!("{a} does not divide by {b}");
            }
        }
        if let (Binary::Equal, ExprKind::Call { callee, arguments }) = (operator, &left.kind)
            && matches!(&callee.kind, ExprKind::Name(name) if name == "len")
            && let [list] = arguments.as_slice()
            && let (Ok(has), Ok(needs)) = (self.expression(frame, left), self.expression(frame, right))
        {
            let list = self.bundle.sources().slice(list.span);
            return format!("`{list}` has {} entries, not {}", show_number(&has), show_number(&needs));
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
                Some(Value::Tensor(slope)) => {
                    let slope = slope.clone();
                    self.slope_fits(name, &slope, original, span)?;
                    slope.node
                }
                Some(Value::Host(host)) => {
                    let host = host.clone();
                    self.host_node(&host)
                }
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

    /// The arguments of a call written at `name`, by parameter. `parameters` are names, each with whether it needs
    /// an argument.
    pub(super) fn bind_arguments(
        &mut self,
        called: &str,
        parameters: &[(&str, bool)],
        name: Span,
        given: Vec<Given<'a>>,
    ) -> Outcome<Vec<Option<Given<'a>>>> {
        let mut bound: Vec<Option<Given<'a>>> = vec![None; parameters.len()];
        let mut next = 0;
        let mut named: Option<Span> = None;
        for one in given {
            let place = match one.name {
                None => {
                    if let Some(before) = named {
                        let diagnostic = Diagnostic::error(
                            "E0211",
                            "an argument without a name stands after one with a name",
                            one.span,
                        )
                        .fact("this one needs a name, or an earlier place")
                        .label(before, "the first with a name")
                        .note(signature(called, parameters));
                        return Err(self.report(diagnostic));
                    }
                    if next >= parameters.len() {
                        let message = format!("too many arguments for `{called}`");
                        let diagnostic = Diagnostic::error("E0202", message, one.span)
                            .fact("one too many")
                            .note(signature(called, parameters))
                            .help_maybe(number_of_tensors(called));
                        return Err(self.report(diagnostic));
                    }
                    next += 1;
                    next - 1
                }
                Some((key, at)) => {
                    named = named.or(Some(at));
                    match parameters.iter().position(|(known, _)| *known == key) {
                        Some(place) => place,
                        None => return Err(self.unknown_argument(called, parameters, key, at)),
                    }
                }
            };
            if let Some(before) = &bound[place] {
                let message = format!("`{}` of `{called}` is given twice", parameters[place].0);
                let diagnostic = Diagnostic::error("E0212", message, one.span)
                    .fact("again here")
                    .label(before.span, "here");
                return Err(self.report(diagnostic));
            }
            bound[place] = Some(one);
        }
        let missing = (0..parameters.len()).find(|place| parameters[*place].1 && bound[*place].is_none());
        if let Some(missing) = missing {
            let message = format!("`{called}` needs `{}`", parameters[missing].0);
            let diagnostic = Diagnostic::error("E0203", message, name)
                .fact(if missing == 0 { "without an input" } else { "missing argument" })
                .note(signature(called, parameters))
                .help_maybe(number_of_tensors(called));
            return Err(self.report(diagnostic));
        }
        Ok(bound)
    }

    fn unknown_argument(
        &mut self,
        called: &str,
        parameters: &[(&str, bool)],
        key: &str,
        at: Span,
    ) -> Reported {
        let names: Vec<&str> = parameters.iter().map(|(name, _)| *name).collect();
        let help = argument_help(key, &names).or_else(|| did_you_mean(key, names));
        let message = format!("`{called}` has no argument `{key}`");
        let diagnostic = Diagnostic::error("E0202", message, at)
            .fact("unknown argument")
            .note(signature(called, parameters))
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

/// What to write in place of a product of one tensor, or of several.
fn number_of_tensors(called: &str) -> Option<String> {
    let way = "a product is of two tensors: of more in turn, one alone is moved by `rearrange` and summed by \
               `sum(x, axis=1)`";
    (called == "einsum").then(|| way.to_owned())
}

/// `conv(out, kernel, stride=, pad=)`, without the input. What is no input: the pattern of a product, and the first
/// parameter of an optimizer that follows the weight and its gradient.
fn signature(called: &str, parameters: &[(&str, bool)]) -> String {
    let is_input = |name: &str| !matches!(name, "pattern" | "lr");
    let parts: Vec<String> = parameters
        .iter()
        .skip(usize::from(parameters.first().is_some_and(|(name, needed)| *needed && is_input(name))))
        .map(|(name, needed)| if *needed { (*name).to_owned() } else { format!("{name}=") })
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
