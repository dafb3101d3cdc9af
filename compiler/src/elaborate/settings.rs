//! The settings of `train` and `data`, with what the command line sets in their place.

mod replaced;
mod update;

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::elsewhere::setting_help;
use crate::source::Span;
use crate::syntax::ast::{self, Expr, Name, Setting, SettingKind};

pub use replaced::setting_path;
pub(super) use update::UpdateSettings;

/// The settings of `train` that have a value.
pub(super) const VALUES: [&str; 15] = [
    "batch",
    "epochs",
    "steps",
    "accumulate",
    "seed",
    "loss",
    "optimizer",
    "clip",
    "average",
    "stop",
    "save",
    "load",
    "freeze",
    "precision",
    "memory",
];

/// The settings of `train` that group others.
const GROUPS: [&str; 5] = ["metrics", "inputs", "dims", "update", "precision"];

/// What `train` says.
#[derive(Debug, Default)]
pub(super) struct TrainSettings<'a> {
    /// Values by name.
    pub(super) values: BTreeMap<String, &'a Expr>,
    /// `metrics { name = value }`
    pub(super) metrics: Vec<(&'a Name, &'a Expr)>,
    /// `inputs { name = value }`
    pub(super) inputs: Vec<(&'a Name, &'a Expr)>,
    /// `dims { name = value }`
    pub(super) dims: Vec<(&'a Name, &'a Expr)>,
    /// `precision { name = value }`
    pub(super) precision: Vec<(&'a Name, &'a Expr)>,
    /// `update layer { ... }`
    pub(super) updates: Vec<UpdateSettings<'a>>,
    /// Whether a setting was reported: what is missing is not, then.
    pub(super) failed: bool,
}

impl<'a> Elaborator<'a> {
    /// The settings of `train`; `None` of them for a model without `train`.
    pub(super) fn train_settings(&mut self, train: Option<&'a ast::Train>) -> TrainSettings<'a> {
        let mut out = TrainSettings::default();
        let Some(train) = train else { return out };
        let mut groups: BTreeMap<&str, Span> = BTreeMap::new();
        for setting in &train.settings.entries {
            let opened = match &setting.kind {
                SettingKind::Group { name, .. } => Some((name.text.as_str(), name.span)),
                SettingKind::Value { .. } | SettingKind::Field { .. } => None,
            };
            match &setting.kind {
                SettingKind::Value { names, value } => {
                    for name in names {
                        if VALUES.contains(&name.text.as_str()) {
                            if let Some(before) = out.values.insert(name.text.clone(), value) {
                                self.set_twice(&name.text, name.span, before.span);
                            }
                        } else if GROUPS.contains(&name.text.as_str()) {
                            self.not_a_value(name);
                            out.failed = true;
                        } else {
                            self.unknown_setting(name);
                            out.failed = true;
                        }
                    }
                }
                SettingKind::Group { name, subject, .. }
                    if name.text != "update" && GROUPS.contains(&name.text.as_str()) && subject.is_some() =>
                {
                    subject.iter().for_each(|subject| self.group_of_nothing(name, subject));
                }
                SettingKind::Group { name, .. }
                    if name.text != "update" && groups.contains_key(name.text.as_str()) =>
                {
                    let before = groups.get(name.text.as_str()).copied().unwrap_or_default();
                    self.set_twice(&name.text, name.span, before);
                }
                SettingKind::Group { name, subject, settings } => match name.text.as_str() {
                    "metrics" => out.metrics = self.pairs_of(&settings.entries),
                    "inputs" => out.inputs = self.pairs_of(&settings.entries),
                    "dims" => out.dims = self.pairs_of(&settings.entries),
                    "update" => {
                        let update =
                            self.update_settings(name, subject.as_ref(), &settings.entries, &out.updates);
                        out.failed |= update.is_none();
                        out.updates.extend(update);
                    }
                    "precision" => out.precision = self.pairs_of(&settings.entries),
                    value if VALUES.contains(&value) => {
                        self.not_a_group(name);
                        out.failed = true;
                    }
                    _ => {
                        self.unknown_setting(name);
                        out.failed = true;
                    }
                },
                SettingKind::Field { name, .. } => {
                    let message = format!("`{}` needs a value", name.text);
                    self.report(
                        Diagnostic::error("E0505", message, name.span)
                            .fact("a type stands here")
                            .help("a setting is written `name = value`"),
                    );
                }
            }
            if let Some((name, span)) = opened {
                groups.entry(name).or_insert(span);
            }
        }
        self.replace_settings(&mut out);
        out
    }

    /// `name` is set at `again` and before.
    pub(super) fn set_twice(&mut self, name: &str, again: Span, before: Span) -> Reported {
        let diagnostic = Diagnostic::error("E0212", format!("`{name}` is set twice"), again)
            .fact("again here")
            .label(before, "here first");
        self.report(diagnostic)
    }

    /// A group other than `update` is about the whole training, not about `subject`.
    pub(super) fn group_of_nothing(&mut self, name: &Name, subject: &Name) {
        let message = format!("`{}` stands alone before its `{{`", name.text);
        let diagnostic = Diagnostic::error("E0505", message, subject.span)
            .fact("this name means nothing here")
            .help(format!("write `{} {{ ... }}`", name.text));
        self.report(diagnostic);
    }

    /// The bindings of a group; several names on one line bind the same value.
    pub(super) fn pairs_of(&mut self, entries: &'a [Setting]) -> Vec<(&'a Name, &'a Expr)> {
        let mut out: Vec<(&'a Name, &'a Expr)> = Vec::new();
        for setting in entries {
            match &setting.kind {
                SettingKind::Value { names, value } => {
                    for name in names {
                        if let Some((before, _)) = out.iter().find(|(known, _)| known.text == name.text) {
                            let message = format!("`{}` is set twice", name.text);
                            let diagnostic = Diagnostic::error("E0212", message, name.span)
                                .fact("again here")
                                .label(before.span, "here first");
                            self.report(diagnostic);
                        }
                        out.push((name, value));
                    }
                }
                SettingKind::Field { name, .. } | SettingKind::Group { name, .. } => {
                    let message = format!("`{}` needs a value here", name.text);
                    self.report(Diagnostic::error("E0505", message, name.span).help("write `name = value`"));
                }
            }
        }
        out
    }

    fn unknown_setting(&mut self, name: &Name) {
        let similar = || did_you_mean(&name.text, VALUES.into_iter().chain(GROUPS));
        let help = setting_help(&name.text).or_else(similar);
        let message = format!("unknown setting `{}`", name.text);
        self.report(
            Diagnostic::error("E0505", message, name.span).fact("not a setting of `train`").help_maybe(help),
        );
    }

    /// A group that is given a value.
    fn not_a_value(&mut self, name: &Name) {
        let group = &name.text;
        let help = match group.as_str() {
            "update" => "write `update LAYER { loss = ..; optimizer = .. }`".to_owned(),
            _ => format!("write `{group} {{ name = ... }}`"),
        };
        let diagnostic = Diagnostic::error("E0505", format!("`{group}` is a group of settings"), name.span)
            .fact("a value stands here")
            .help(help);
        self.report(diagnostic);
    }

    /// A setting with a value that is written as a group.
    fn not_a_group(&mut self, name: &Name) {
        let help = match name.text.as_str() {
            "optimizer" => "write `optimizer = adam(lr=1e-3)`".to_owned(),
            other => format!("write `{other} = ...`"),
        };
        let diagnostic = Diagnostic::error("E0505", format!("`{}` takes one value", name.text), name.span)
            .fact("a group stands here")
            .help(help);
        self.report(diagnostic);
    }

    /// The whole number from 1 on of setting `name`.
    pub(super) fn positive_setting(
        &mut self,
        settings: &TrainSettings<'a>,
        name: &str,
    ) -> Outcome<Option<usize>> {
        let count = self.count_setting(settings, name)?;
        match (count, settings.values.get(name)) {
            (Some(0), Some(expr)) => {
                self.fail("E0204", expr.span, format!("`{name}` is a number from 1 on"), "this is 0")
            }
            _ => Ok(count),
        }
    }

    /// The whole number of setting `name`.
    pub(super) fn count_setting(
        &mut self,
        settings: &TrainSettings<'a>,
        name: &str,
    ) -> Outcome<Option<usize>> {
        let Some(expr) = settings.values.get(name).copied() else { return Ok(None) };
        let value = self.settled(expr)?;
        self.count(&value, expr.span).map(Some)
    }
}
