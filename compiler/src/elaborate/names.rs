//! What a name stands for: a local one, an item of the file, of a file it uses, or of the library.

mod unknown;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::bundle::is_private;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::frame::Frame;
use crate::elaborate::intrinsic;
use crate::elaborate::types::Role;
use crate::elaborate::value::{Callable, InitSpec, Value};
use crate::source::Span;
use crate::syntax::ast::{Const, DefinitionKind, ItemKind, Name};

/// The types of what is known at build time.
const BUILD_TYPES: [&str; 4] = ["int", "float", "bool", "str"];

/// Symbols that stand for themselves.
const SYMBOLS: [&str; 12] = [
    "same", "mixed", "f16", "f32", "i32", "dynamic", "nearest", "bilinear", "reflect", "edge", "none", "auto",
];

/// What to write for a string that spells a symbol or an init.
pub(super) fn unquoted(value: &Value<'_>) -> Option<String> {
    let Value::Text(text) = value else { return None };
    let inits = ["default", "he", "xavier", "orthogonal", "zeros", "ones"];
    let known = SYMBOLS.iter().chain(&inits).any(|known| known == text);
    known.then(|| format!("symbols stand without quotes: `{text}`"))
}

impl<'a> Elaborator<'a> {
    /// What `name` stands for in `frame`, if anything.
    pub(super) fn lookup(&mut self, frame: &Frame<'a>, name: &str, span: Span) -> Outcome<Option<Value<'a>>> {
        if let Some(value) = frame.names.get(name) {
            if matches!(value, Value::Error) {
                return Err(Reported);
            }
            if self.update.is_none()
                && let Some(path) = frame.states.get(name)
                && let Some(current) = self.weights.current(path)
            {
                return Ok(Some(Value::Tensor(current.clone())));
            }
            return Ok(Some(value.clone()));
        }
        if let Some(value) = self.item(frame.module, name, span)? {
            return Ok(Some(value));
        }
        if let Some(value) = self.predeclared.get(name) {
            self.differs_in_training |= name == "training" && !self.bundle.is_library(span);
            return Ok(Some(value.clone()));
        }
        if let Some(module) = self.bundle.library_module_of(name)
            && let Some(value) = self.own_item(module, name, span)?
        {
            return Ok(Some(value));
        }
        if let Some(found) = intrinsic::find(name) {
            return Ok(Some(Value::Callable(Callable::Intrinsic(found))));
        }
        let spec = match name {
            "default" => Some(InitSpec::Default),
            "he" => Some(InitSpec::He),
            "xavier" => Some(InitSpec::Xavier),
            "orthogonal" => Some(InitSpec::Orthogonal),
            _ => None,
        };
        if let Some(spec) = spec {
            return Ok(Some(Value::Init(spec)));
        }
        Ok(SYMBOLS.iter().find(|symbol| **symbol == name).map(|symbol| Value::Symbol(symbol)))
    }

    /// Whether `name` is a constant of the file in which `frame` stands, or of one that it uses.
    pub(super) fn is_constant(&mut self, frame: &Frame<'a>, name: &str, span: Span) -> Outcome<bool> {
        let item = self.item(frame.module, name, span)?;
        Ok(item.is_some_and(|value| !matches!(value, Value::Callable(_))))
    }

    /// The item `name` as `module` sees it: its own, or one of a file it uses.
    fn item(&mut self, module: usize, name: &str, span: Span) -> Outcome<Option<Value<'a>>> {
        if let Some(value) = self.own_item(module, name, span)? {
            return Ok(Some(value));
        }
        let uses = &self.bundle.module(module).uses;
        for (prefix, used) in uses {
            if prefix.is_none()
                && let Some(value) = self.public_item(*used, name, span)?
            {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn own_item(&mut self, module: usize, name: &str, span: Span) -> Outcome<Option<Value<'a>>> {
        self.value_of_item(module, self.bundle.module(module).item(name), span)
    }

    fn public_item(&mut self, module: usize, name: &str, span: Span) -> Outcome<Option<Value<'a>>> {
        self.value_of_item(module, self.bundle.module(module).public_item(name), span)
    }

    fn value_of_item(
        &mut self,
        module: usize,
        item: Option<&'a ItemKind>,
        span: Span,
    ) -> Outcome<Option<Value<'a>>> {
        match item {
            Some(ItemKind::Definition(definition)) => {
                Ok(Some(Value::Callable(Callable::Definition(definition, module))))
            }
            Some(ItemKind::Const(constant)) => self.constant(module, constant, span).map(Some),
            _ => Ok(None),
        }
    }

    /// The value of a constant, computed once; `--set` goes first.
    fn constant(&mut self, module: usize, constant: &'a Const, span: Span) -> Outcome<Value<'a>> {
        let key = (module, constant.name.text.clone());
        match self.constants.get(&key) {
            Some(Some(Value::Error)) => return Err(Reported),
            Some(Some(value)) => return Ok(value.clone()),
            Some(None) => {
                let message = format!("`{}` is defined by itself", constant.name.text);
                return self.fail("E0208", span, message, "used here");
            }
            None => {}
        }
        self.constants.insert(key.clone(), None);
        let bundle = self.bundle;
        let set = bundle.overrides().iter().find(|set| {
            module == bundle.main_module()
                && matches!(set.path.as_slice(), [one] if *one == constant.name.text)
        });
        let expr = set.map_or(&constant.value, |set| &set.value);
        let sites = std::mem::take(&mut self.sites);
        let mut frame = Frame::new(module);
        let value = self.expression(&mut frame, expr);
        let value = value.and_then(|value| self.of_constant_type(&mut frame, constant, value, expr.span));
        self.sites = sites;
        let value = match value {
            Ok(Value::Tensor(_) | Value::Outputs(_) | Value::Host(_)) => {
                let message = format!("`{}` is not known at build time", constant.name.text);
                self.fail("E0208", expr.span, message, "a `const` is a number, a list or a string")
            }
            other => other,
        };
        self.constants.insert(key, Some(value.as_ref().map_or(Value::Error, Value::clone)));
        value
    }

    /// The value of a constant, which its type, where it states one, must take.
    fn of_constant_type(
        &mut self,
        frame: &mut Frame<'a>,
        constant: &'a Const,
        value: Value<'a>,
        span: Span,
    ) -> Outcome<Value<'a>> {
        let Some(ty) = &constant.ty else { return Ok(value) };
        if !BUILD_TYPES.contains(&ty.name.text.as_str()) || ty.dims.is_some() {
            let written = self.bundle.sources().slice(ty.span);
            let message = format!("a `const` cannot be `{written}`");
            let diagnostic = Diagnostic::error("E0315", message, ty.span)
                .fact("not a type of what is known at build time")
                .help_maybe(did_you_mean(&ty.name.text, BUILD_TYPES))
                .note("these are int, float, bool and str");
            return Err(self.report(diagnostic));
        }
        self.check(frame, ty, value, span, Role::Stated)
    }

    /// What a name must stand for: reports `E0201` where it stands for nothing.
    pub(super) fn known(
        &mut self,
        frame: &Frame<'a>,
        name: &str,
        span: Span,
        what: &str,
    ) -> Outcome<Value<'a>> {
        if let Some(value) = self.lookup(frame, name, span)? {
            return Ok(value);
        }
        Err(self.unknown_name(frame, name, span, what))
    }

    /// An item of a file that is used with a prefix: `blocks.conv_bn`.
    pub(super) fn prefixed(&mut self, frame: &Frame<'a>, path: &[Name]) -> Outcome<Option<Value<'a>>> {
        let [prefix, name] = path else { return Ok(None) };
        let bundle = self.bundle;
        let used =
            bundle.module(frame.module).uses.iter().find(|(known, _)| known.as_ref() == Some(&prefix.text));
        let Some((_, used)) = used else { return Ok(None) };
        let used = *used;
        if let Some(value) = self.public_item(used, &name.text, name.span)? {
            return Ok(Some(value));
        }
        let message = format!("`{}` has no item `{}`", prefix.text, name.text);
        let diagnostic = Diagnostic::error("E0201", message, name.span);
        let module = bundle.module(used);
        if let Some(ItemKind::Definition(one)) = module.item(&name.text) {
            return Err(self.report(diagnostic.fact("it is private").label(one.name.span, "defined here")));
        }
        let items = module.ast.items.iter().filter(|item| !is_private(item));
        let names = items.filter_map(|item| Some(item_name(&item.kind)?.0.as_str()));
        let help = did_you_mean(&name.text, names);
        Err(self.report(diagnostic.fact("not found").help_maybe(help)))
    }
}

/// The name of an item that names can stand for, what it defines, and where the name stands.
fn item_name(item: &ItemKind) -> Option<(&String, Option<DefinitionKind>, Span)> {
    match item {
        ItemKind::Definition(one) => Some((&one.name.text, Some(one.kind), one.name.span)),
        ItemKind::Const(one) => Some((&one.name.text, None, one.name.span)),
        ItemKind::Use(_) | ItemKind::Data(_) | ItemKind::Train(_) => None,
    }
}
