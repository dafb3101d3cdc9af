//! What may stand in `data`, and what is said about anything else.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::elsewhere::data_setting_help;
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, Name, SettingKind};

const GROUPS: [&str; 2] = ["prepare", "augment"];

pub(super) const PARTS: [&str; 3] = ["train", "test", "valid"];

impl<'a> Elaborator<'a> {
    pub(super) fn unknown_settings(&mut self, data: &'a ast::Data) -> Outcome<()> {
        let mut failed = self.parts_given_twice(data).is_err();
        for setting in &data.settings.entries {
            if let SettingKind::Group { name, subject: Some(subject), .. } = &setting.kind
                && GROUPS.contains(&name.text.as_str())
            {
                self.group_of_nothing(name, subject);
                failed = true;
            }
            match &setting.kind {
                SettingKind::Group { name, .. } if !GROUPS.contains(&name.text.as_str()) => {
                    self.unknown_part(name);
                    failed = true;
                }
                SettingKind::Value { names, value } => {
                    for name in names.iter().filter(|name| !PARTS.contains(&name.text.as_str())) {
                        match type_written(value) {
                            Some(ty) => self.field_with_equals(name, self.bundle.sources().slice(ty)),
                            None if GROUPS.contains(&name.text.as_str()) => self.group_with_equals(name),
                            None => self.unknown_part(name),
                        }
                        failed = true;
                    }
                }
                SettingKind::Group { .. } | SettingKind::Field { .. } => {}
            }
        }
        if failed { Err(Reported) } else { Ok(()) }
    }

    fn parts_given_twice(&mut self, data: &'a ast::Data) -> Outcome<()> {
        let mut known: BTreeMap<&str, Span> = BTreeMap::new();
        let mut outcome = Ok(());
        for setting in &data.settings.entries {
            let SettingKind::Value { names, .. } = &setting.kind else { continue };
            for name in names {
                if let Some(before) = known.insert(&name.text, name.span) {
                    outcome = Err(self.set_twice(&name.text, name.span, before));
                }
            }
        }
        outcome
    }

    /// `image = f32[3, 32, 32]`
    fn field_with_equals(&mut self, name: &Name, ty: &str) {
        let diagnostic =
            Diagnostic::error("E0505", format!("`{}` is no part of the data", name.text), name.span)
                .fact("a type stands behind it")
                .help(format!("a field is declared with `:`: `{}: {ty}`", name.text));
        self.report(diagnostic);
    }

    /// `prepare = image / 255`
    fn group_with_equals(&mut self, name: &Name) {
        let group = &name.text;
        let diagnostic = Diagnostic::error("E0505", format!("`{group}` is a group of bindings"), name.span)
            .fact("a value stands here")
            .help(format!("write `{group} {{ image = image / 255 }}`"));
        self.report(diagnostic);
    }

    fn unknown_part(&mut self, name: &Name) {
        let similar = || did_you_mean(&name.text, PARTS.into_iter().chain(GROUPS));
        let help = data_setting_help(&name.text).or_else(similar);
        let message = format!("unknown setting `{}`", name.text);
        self.report(
            Diagnostic::error("E0505", message, name.span)
                .fact("not a setting of `data`")
                .note("a field is `name: type`; parts are train, test, valid; groups are prepare, augment")
                .help_maybe(help),
        );
    }
}

/// Where a type stands in place of a value.
fn type_written(value: &ast::Expr) -> Option<Span> {
    let named = match &value.kind {
        ExprKind::Index(operand, _) => operand,
        _ => value,
    };
    let is_type =
        matches!(&named.kind, ExprKind::Name(name) if ["f32", "i32", "u8", "bool"].contains(&name.as_str()));
    is_type.then_some(value.span)
}
