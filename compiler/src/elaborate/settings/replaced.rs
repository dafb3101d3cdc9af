//! What the command line sets in place of settings and constants of the file.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::Elaborator;
use crate::elaborate::elsewhere::setting_name;
use crate::elaborate::settings::update::UPDATE;
use crate::elaborate::settings::{TrainSettings, VALUES};
use crate::syntax::ast::{self, Expr, Name};

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

impl<'a> Elaborator<'a> {
    /// `--set name=value` and `--set dims.T=value`.
    pub(super) fn replace_settings(&mut self, settings: &mut TrainSettings<'a>) {
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
    pub(in crate::elaborate) fn replaced_without_training(&mut self) {
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
