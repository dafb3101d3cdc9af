//! The settings of `train` and `data`, with what the command line sets in their place.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::elsewhere::{setting_help, setting_name};
use crate::source::Span;
use crate::syntax::ast::{self, Expr, Name, Setting, SettingKind};

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

/// The settings of an `update` group.
const UPDATE: [&str; 3] = ["loss", "optimizer", "clip"];

/// The settings of `train` that group others.
const GROUPS: [&str; 5] = ["metrics", "inputs", "dims", "update", "precision"];

/// The arguments of optimizers that runs are tried with.
const OF_OPTIMIZERS: [(&str, &str); 6] = [
    ("lr", "lr"),
    ("learning_rate", "lr"),
    ("momentum", "momentum"),
    ("decay", "decay"),
    ("weight_decay", "decay"),
    ("wd", "decay"),
];

/// The path under which `--set` replaces what is called `name`, here or elsewhere: `epochs`, `optimizer.lr`.
#[must_use]
pub fn setting_path(name: &str) -> Option<String> {
    let name = name.replace('-', "_");
    if VALUES.contains(&name.as_str()) {
        return Some(name);
    }
    let argument = OF_OPTIMIZERS.iter().find(|(theirs, _)| *theirs == name);
    argument.map(|(_, ours)| format!("optimizer.{ours}")).or_else(|| setting_name(&name).map(str::to_owned))
}

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

/// What `update layer { ... }` says.
#[derive(Debug)]
pub(super) struct UpdateSettings<'a> {
    /// The layer whose weights it moves.
    pub(super) layer: &'a Name,
    /// `loss`, `optimizer`, `clip`
    pub(super) values: BTreeMap<String, &'a Expr>,
    /// Whether a setting of it was reported: what it lacks is not, then.
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

    fn update_settings(
        &mut self,
        name: &Name,
        layer: Option<&'a Name>,
        entries: &'a [Setting],
        before: &[UpdateSettings<'a>],
    ) -> Option<UpdateSettings<'a>> {
        let Some(layer) = layer else {
            let diagnostic = Diagnostic::error("E0505", "`update` names the layer that it moves", name.span)
                .help("write `update LAYER { loss = ..; optimizer = .. }`");
            self.report(diagnostic);
            return None;
        };
        if let Some(other) = before.iter().find(|other| other.layer.text == layer.text) {
            let message = format!("`{}` is updated twice in a step", layer.text);
            let diagnostic = Diagnostic::error("E0212", message, layer.span)
                .fact("again here")
                .label(other.layer.span, "here first");
            self.report(diagnostic);
            return None;
        }
        let mut values = BTreeMap::new();
        let mut failed = false;
        for (key, value) in self.pairs_of(entries) {
            if !UPDATE.contains(&key.text.as_str()) {
                let message = format!("unknown setting `{}`", key.text);
                let diagnostic = Diagnostic::error("E0505", message, key.span)
                    .fact("not a setting of `update`")
                    .note("an update has a loss, an optimizer and, if wanted, clip")
                    .help_maybe(did_you_mean(&key.text, UPDATE));
                self.report(diagnostic);
                failed = true;
            } else if values.insert(key.text.clone(), value).is_some() {
                let message = format!("`{}` is set twice", key.text);
                self.report(Diagnostic::error("E0212", message, key.span).fact("again here"));
            }
        }
        Some(UpdateSettings { layer, values, failed })
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

    /// `--set name=value` and `--set dims.T=value`.
    fn replace_settings(&mut self, settings: &mut TrainSettings<'a>) {
        let bundle = self.bundle;
        for set in bundle.overrides() {
            match set.path.as_slice() {
                [name] if VALUES.contains(&name.as_str()) => {
                    settings.values.insert(name.clone(), &set.value);
                }
                [name] if self.has_constant(name) => {}
                [group, name] if group == "dims" && is_set(&settings.dims, name) => {
                    replace(&mut settings.dims, name, &set.value);
                }
                [group, name] if group == "metrics" && is_set(&settings.metrics, name) => {
                    replace(&mut settings.metrics, name, &set.value);
                }
                [group, name] if group == "inputs" && is_set(&settings.inputs, name) => {
                    replace(&mut settings.inputs, name, &set.value);
                }
                [group, layer, name]
                    if group == "update"
                        && UPDATE.contains(&name.as_str())
                        && settings.updates.iter().any(|update| update.layer.text == *layer) =>
                {
                    for update in settings.updates.iter_mut().filter(|update| update.layer.text == *layer) {
                        update.values.insert(name.clone(), &set.value);
                    }
                }
                [group, _] if group == "optimizer" => {}
                path => {
                    let written = path.join(".");
                    let message = format!("there is no setting `{written}`");
                    let mut known: Vec<String> = VALUES.iter().map(|name| (*name).to_owned()).collect();
                    known.extend(settings.dims.iter().map(|(dim, _)| format!("dims.{}", dim.text)));
                    for (group, pairs) in [("metrics", &settings.metrics), ("inputs", &settings.inputs)] {
                        known.extend(pairs.iter().map(|(name, _)| format!("{group}.{}", name.text)));
                    }
                    for update in &settings.updates {
                        let layer = &update.layer.text;
                        known.extend(UPDATE.iter().map(|name| format!("update.{layer}.{name}")));
                    }
                    known.extend(self.constants_of_the_file());
                    let help = match path {
                        [group, name] if group == "dims" => Some(format!("write `--dim {name}=128`")),
                        [group, name, ..] if group == "optimizer" => Some(format!(
                            "an argument is replaced whole: `--set \"optimizer.{name}=cosine(0.1, warmup=500)\"`"
                        )),
                        _ => setting_path(&written).map(|path| format!("write `--set {path}=..`")),
                    };
                    let similar = || did_you_mean(&written, known.iter().map(String::as_str));
                    let diagnostic = Diagnostic::error("E0505", message, set.value.span)
                        .fact("set on the command line")
                        .help_maybe(help.or_else(similar));
                    self.report(diagnostic);
                }
            }
        }
    }

    /// Where no model of the file is trained, only constants can be replaced.
    pub(super) fn replaced_without_training(&mut self) {
        let bundle = self.bundle;
        let items = &bundle.main().items;
        if items.iter().any(|item| matches!(item.kind, ast::ItemKind::Train(_))) {
            return;
        }
        for set in bundle.overrides() {
            if matches!(set.path.as_slice(), [name] if self.has_constant(name)) {
                continue;
            }
            let written = set.path.join(".");
            let constants: Vec<String> = self.constants_of_the_file().collect();
            let help = did_you_mean(&written, constants.iter().map(String::as_str));
            let message = format!("there is no constant `{written}`");
            let diagnostic = Diagnostic::error("E0505", message, set.value.span)
                .fact("set on the command line")
                .note("the file has no `train`, whose settings could be set")
                .help_maybe(help);
            self.report(diagnostic);
        }
    }

    fn has_constant(&self, name: &str) -> bool {
        self.constants_of_the_file().any(|constant| constant == name)
    }

    /// The names of the constants of the model's own file.
    fn constants_of_the_file(&self) -> impl Iterator<Item = String> + use<'a> {
        let bundle = self.bundle;
        bundle.main().items.iter().filter_map(|item| match &item.kind {
            ast::ItemKind::Const(constant) => Some(constant.name.text.clone()),
            _ => None,
        })
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

/// Whether `pairs` bind `name`.
fn is_set(pairs: &[(&Name, &Expr)], name: &str) -> bool {
    pairs.iter().any(|(bound, _)| bound.text == name)
}

/// Binds `name` to `value` wherever `pairs` bind it.
fn replace<'a>(pairs: &mut [(&'a Name, &'a Expr)], name: &str, value: &'a Expr) {
    for pair in pairs.iter_mut().filter(|(bound, _)| bound.text == name) {
        pair.1 = value;
    }
}
