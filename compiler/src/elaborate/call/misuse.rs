//! Calls of what cannot be called, and calls without their input.

use crate::diagnostic::Diagnostic;
use crate::elaborate::call::Given;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::frame::Frame;
use crate::elaborate::intrinsic;
use crate::elaborate::value::{Tensor, Value};
use crate::source::Span;
use crate::syntax::ast::{Definition, DefinitionKind, ItemKind, Parameter};

impl<'a> Elaborator<'a> {
    /// A value that stands where something is called.
    pub(super) fn not_callable(&mut self, frame: &Frame<'a>, value: &Value<'a>, name: Span) -> Reported {
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
            Value::Init(_) => Some("an init without numbers stands without parentheses"),
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
    pub(super) fn without_input(
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

    /// A tensor walks into a block whose first parameter is a number of build time: it has no parameter for its input.
    pub(super) fn takes_no_input(&mut self, definition: &Definition, given: &[Given<'a>]) -> Outcome<()> {
        const BUILD_TYPES: [&str; 4] = ["int", "float", "bool", "str"];
        let built = |one: &Parameter| {
            one.ty
                .as_ref()
                .is_some_and(|ty| ty.dims.is_none() && BUILD_TYPES.contains(&ty.name.text.as_str()))
        };
        let Some(given) = given.first().filter(|given| given.name.is_none()) else { return Ok(()) };
        let Value::Tensor(tensor) = given.value.clone().first() else { return Ok(()) };
        let Some(first) = definition.parameters.first() else { return Ok(()) };
        if !definition.parameters.iter().all(built) || self.bundle.is_library(definition.name.span) {
            return Ok(());
        }
        let (word, called) = (definition.kind.word(), &definition.name.text);
        let dims = ["N", "D", "T", "C", "H"].iter().take(tensor.rank().min(5)).copied().collect::<Vec<_>>();
        let own = self
            .bundle
            .sources()
            .slice(first.name.span.to(first.ty.as_ref().map_or(first.name.span, |ty| ty.span)));
        let help = format!(
            "name what goes in, and begin the body with it: `{word} {called}(x: f32[{}], {own}) {{ x -> ... }}`",
            dims.join(", ")
        );
        let diagnostic = Diagnostic::error("E0202", format!("`{called}` takes no input"), given.span)
            .fact(format!("{} goes into it", tensor.show()))
            .label(definition.name.span, "all of its parameters are known at build time")
            .help(help);
        Err(self.report(diagnostic))
    }

    /// What to do where `name` is the file's own and stands for something of the library as well.
    pub(super) fn hides_library(&self, name: &str) -> Option<String> {
        let known = self.bundle.library_module_of(name).is_some() || intrinsic::find(name).is_some();
        let main = self.bundle.module(self.bundle.main_module());
        let own = matches!(main.item(name), Some(ItemKind::Definition(_)));
        (known && own)
            .then(|| format!("your `{name}` hides the `{name}` of the library: give it another name"))
    }
}
