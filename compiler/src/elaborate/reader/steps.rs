//! What `prepare` and `augment` leave to a reader, because it needs the files as they are.

use nnc_runtime::artifact::{Argument, Field};
use nnc_runtime::reader::{AUGMENT, LARGEST, PREPARE, READERS, Reader, is_size};

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::frame::Frame;
use crate::elaborate::value::{Callable, Value};
use crate::source::Span;
use crate::syntax::ast::{self, Name};

/// The groups of bindings over the fields, in the order in which they come.
const GROUPS: [&str; 2] = [PREPARE, AUGMENT];

/// A binding of `prepare` or `augment`.
#[derive(Clone, Copy, Debug)]
pub(in crate::elaborate) struct Binding<'s> {
    /// `prepare` or `augment`.
    pub(in crate::elaborate) group: &'s str,
    /// What is bound.
    pub(in crate::elaborate) names: &'s [Name],
}

/// A call of what only a reader can do.
#[derive(Debug)]
pub(in crate::elaborate) struct Step<'s, 'a> {
    pub(in crate::elaborate) name: &'s str,
    pub(in crate::elaborate) called: &'s Value<'a>,
    /// The name of what it changes.
    pub(in crate::elaborate) on: &'s str,
    pub(in crate::elaborate) arguments: &'a [ast::Argument],
    pub(in crate::elaborate) span: Span,
}

/// What is left to a reader.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::elaborate) struct HostStep {
    group: String,
    /// The field; empty where the step is written as no reader carries it out.
    field: String,
    name: String,
    arguments: Vec<Argument>,
    span: Span,
}

impl HostStep {
    /// As a part of the data holds it.
    fn argument(&self) -> Argument {
        let named = [&self.field, &self.name].map(|text| Argument::Text(text.clone()));
        Argument::List(named.into_iter().chain(self.arguments.iter().cloned()).collect())
    }
}

impl<'a> Elaborator<'a> {
    /// What is left to the reader of a part, as options; noted is what `known` does not carry out.
    pub(super) fn steps_of_reader(
        &mut self,
        known: Option<&Reader>,
        fields: &[Field],
    ) -> Vec<(String, Argument)> {
        let mut options = Vec::new();
        for group in GROUPS {
            let steps: Vec<HostStep> =
                self.host_steps.iter().filter(|step| step.group == group).cloned().collect();
            if !steps.is_empty() {
                let arguments = steps.iter().map(HostStep::argument).collect();
                options.push((group.to_owned(), Argument::List(arguments)));
            }
            if let Some(known) = known {
                let called = steps.iter().filter(|step| !step.field.is_empty());
                called.for_each(|step| self.check_step(known, step, fields));
            }
        }
        options
    }

    /// Notes that `prepare` or `augment` calls what only a reader can do.
    ///
    /// # Errors
    /// If an argument is none.
    pub(in crate::elaborate) fn host_step(
        &mut self,
        frame: &mut Frame<'a>,
        binding: Binding<'_>,
        step: &Step<'_, 'a>,
    ) -> Outcome<()> {
        let known = READERS.iter().any(|reader| reader.steps.contains(&step.name));
        if !known {
            self.host_step_within(step.name, step.span, step.span);
            return Ok(());
        }
        if !matches!(binding.names, [name] if name.text == step.on) {
            let (name, on) = (step.name, step.on);
            let message = format!("`{name}` changes `{on}` itself");
            let diagnostic = Diagnostic::error("E0403", message, step.span)
                .fact("the reader's work, bound to another name")
                .help(format!("write `{on} = {on} -> {name}(..)`"));
            return Err(self.report(diagnostic));
        }
        let mut arguments = Vec::with_capacity(step.arguments.len());
        for argument in step.arguments {
            let parameter = match step.called {
                Value::Callable(Callable::Definition(definition, _)) => definition.parameters.get(1),
                _ => None,
            };
            if let (Some(name), Some(parameter)) = (&argument.name, parameter)
                && name.text != parameter.name.text
            {
                let message = format!("`{}` has no argument `{}`", step.name, name.text);
                let diagnostic = Diagnostic::error("E0202", message, name.span)
                    .fact("unknown argument")
                    .note(format!("it has: {}", parameter.name.text));
                return Err(self.report(diagnostic));
            }
            let value = self.expression(frame, &argument.value)?;
            arguments.push(self.reader_argument(&value, argument.value.span)?);
        }
        let left = HostStep {
            group: binding.group.to_owned(),
            field: step.on.to_owned(),
            name: step.name.to_owned(),
            arguments,
            span: step.span,
        };
        if !self.host_steps.contains(&left) {
            self.host_steps.push(left);
        }
        Ok(())
    }

    /// Notes a step that the readers of this version do not carry out.
    fn check_step(&mut self, reader: &Reader, step: &HostStep, fields: &[Field]) {
        let name = &step.name;
        let diagnostic = if !reader.steps.contains(&name.as_str()) {
            let able = READERS.iter().find(|reader| reader.steps.contains(&name.as_str()));
            let able = able.map_or("images", |reader| reader.name);
            Diagnostic::error("E0508", format!("`{}` does not carry out `{name}`", reader.name), step.span)
                .fact("it needs the files as they are, before the device sees them")
                .help(format!(
                    "the reader `{able}` does; or bring the files to the declared shape beforehand, and leave this out"
                ))
        } else if fields.first().is_some_and(|first| first.name != step.field) {
            let message = format!("`{}` carries out `{name}` on its first field alone", reader.name);
            Diagnostic::error("E0508", message, step.span)
                .fact(format!("`{}` is another", step.field))
                .help(format!("the first field is `{}`", fields[0].name))
        } else if !matches!(step.arguments.as_slice(), [Argument::Number(size)] if is_size(*size)) {
            let message = format!("`{name}` takes one size in pixels");
            Diagnostic::error("E0204", message, step.span)
                .fact(format!("not a whole number from 1 to {LARGEST}"))
                .help(format!("write `{name}(224)`"))
        } else {
            return;
        };
        self.note_unread(diagnostic);
    }

    /// Notes that `prepare` or `augment` calls `name`, which no reader does there; `step` is what it is left with.
    pub(in crate::elaborate) fn host_step_within(&mut self, name: &str, span: Span, step: Span) {
        let message = format!("no reader of this version carries out `{name}` here");
        let fact = "it needs the files as they are, before the device sees them";
        let known = READERS.iter().any(|reader| reader.steps.contains(&name));
        let help = if known {
            format!(
                "write it at the start of a chain that begins with the field, `image = image -> {name}(..) -> ..`"
            )
        } else {
            "bring the files to the declared shape beforehand, and leave this out".to_owned()
        };
        self.left_to_reader(Diagnostic::error("E0508", message, span).fact(fact).help(help), step);
    }

    /// Notes that `prepare` or `augment` names what is no field; `step` is what the reader is left with.
    pub(in crate::elaborate) fn unknown_field(
        &mut self,
        frame: &Frame<'a>,
        name: &str,
        span: Span,
        step: Span,
    ) {
        let fields = frame.names.keys().map(String::as_str);
        let help = did_you_mean(name, fields);
        let diagnostic = Diagnostic::error("E0201", format!("unknown name `{name}`"), span)
            .fact("no field of the data")
            .help_maybe(help);
        self.left_to_reader(diagnostic, step);
    }

    fn left_to_reader(&mut self, diagnostic: Diagnostic, step: Span) {
        let left = HostStep {
            group: GROUPS[0].to_owned(),
            field: String::new(),
            name: self.bundle.sources().slice(step).to_owned(),
            arguments: Vec::new(),
            span: step,
        };
        if !self.host_steps.contains(&left) {
            self.host_steps.push(left);
        }
        self.note_unread(diagnostic);
    }
}
