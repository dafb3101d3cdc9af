//! Names that one declaration gives twice: parameters, inputs, outputs, fields, states of an optimizer.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Reported};
use crate::source::Span;
use crate::syntax::ast::{DefinitionKind, ItemKind, Name, SettingKind};

impl Elaborator<'_> {
    /// `E0206` for every name that an item of the model's own file gives to two of its parts.
    pub(super) fn names_given_twice(&mut self) {
        let bundle = self.bundle;
        for item in &bundle.main().items {
            match &item.kind {
                ItemKind::Definition(one) => {
                    let is_model = one.kind == DefinitionKind::Model;
                    let what = if is_model { "input" } else { "parameter" };
                    self.distinct(what, one.parameters.iter().map(|parameter| &parameter.name));
                    self.distinct("output", one.outputs.iter().filter_map(|output| output.name.as_ref()));
                }
                ItemKind::Data(one) => {
                    let fields = one.settings.entries.iter().filter_map(|setting| match &setting.kind {
                        SettingKind::Field { name, .. } => Some(name),
                        _ => None,
                    });
                    self.distinct("field", fields);
                }
                ItemKind::Const(_) | ItemKind::Use(_) | ItemKind::Train(_) => {}
            }
        }
    }

    /// `E0206` for every name that stands before among `names`, of which each is a `what`.
    pub(super) fn distinct<'n>(&mut self, what: &str, names: impl IntoIterator<Item = &'n Name>) {
        let mut known: BTreeMap<&str, Span> = BTreeMap::new();
        for name in names {
            match known.get(name.text.as_str()) {
                Some(&before) => {
                    self.given_twice(&format!("{what} `{}`", name.text), name.span, before);
                }
                None => {
                    known.insert(&name.text, name.span);
                }
            }
        }
    }

    /// `E0206` for the thing in words that is declared at `again` and before.
    pub(super) fn given_twice(&mut self, what: &str, again: Span, before: Span) -> Reported {
        let diagnostic = Diagnostic::error("E0206", format!("the {what} is declared twice"), again)
            .fact("again here")
            .label(before, "here first")
            .help("give one of them another name");
        self.report(diagnostic)
    }
}
