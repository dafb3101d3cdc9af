//! The groups `update layer { .. }` of `train`, for models whose layers are moved by different losses.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::Elaborator;
use crate::syntax::ast::{Expr, Name, Setting};

/// The settings of an `update` group.
pub(super) const UPDATE: [&str; 3] = ["loss", "optimizer", "clip"];

/// What `update layer { ... }` says.
#[derive(Debug)]
pub(in crate::elaborate) struct UpdateSettings<'a> {
    /// The layer whose weights it moves.
    pub(in crate::elaborate) layer: &'a Name,
    /// `loss`, `optimizer`, `clip`
    pub(in crate::elaborate) values: BTreeMap<String, &'a Expr>,
    /// Whether a setting of it was reported: what it lacks is not, then.
    pub(in crate::elaborate) failed: bool,
}

impl<'a> Elaborator<'a> {
    pub(super) fn update_settings(
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
}
