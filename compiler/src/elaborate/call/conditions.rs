//! What a definition requires of its arguments: ranks and `where` conditions.

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::data::names_in;
use crate::elaborate::elsewhere::number_help;
use crate::elaborate::frame::Frame;
use crate::elaborate::names::unquoted;
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast::{Attribute, Definition, ExprKind};

impl<'a> Elaborator<'a> {
    /// `@shape("[N, C, W] or [N, C, H, W]")` before a parameter says which ranks it takes.
    pub(super) fn accepted_ranks(
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

    /// `where` conditions. What the training loop knows is held against them at the steps that are known.
    pub(in crate::elaborate) fn preconditions(
        &mut self,
        frame: &mut Frame<'a>,
        definition: &'a Definition,
        name: Span,
    ) -> Outcome<()> {
        for condition in &definition.conditions {
            let value = self.expression(frame, condition)?.first();
            if let Value::Host(truth) = &value {
                self.schedule_holds(frame, (definition, name), condition, truth)?;
                continue;
            }
            if matches!(value, Value::Bool(true)) || self.condition(frame, condition)? {
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
    pub(in crate::elaborate) fn broken(
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
