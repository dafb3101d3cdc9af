//! How a model is trained, as the artifact keeps it.

use nnc_runtime::artifact::{HostExpr, Meaning, Save, Training};

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::Settings;
use crate::elaborate::context::{Elaborator, Outcome, Reported, Several};
use crate::elaborate::data::parts_of;
use crate::elaborate::settings::TrainSettings;
use crate::elaborate::value::Value;
use crate::syntax::ast::{self, Argument, Expr, ExprKind, Name};

/// The name under which the loss of an `update` is measured.
pub(super) fn loss_name(layer: &str) -> String {
    format!("loss_{layer}")
}

/// What a line of `precision { .. }` asks for.
enum Of {
    /// Storage in f16.
    Halves,
    /// A loss scale that begins with this.
    Scale(f64),
    /// What is so anyway.
    Nothing,
}

impl<'a> Elaborator<'a> {
    /// What the training loop needs to know; `None` without data.
    pub(super) fn training(
        &mut self,
        train: &'a ast::Train,
        settings: &TrainSettings<'a>,
        data: Option<(&'a ast::Data, usize)>,
        batch: usize,
    ) -> Outcome<Option<Training>> {
        let Some((item, module)) = data else { return Ok(None) };
        let mut all = Several::default();
        let data = all.keep(self.data_set(item, module));
        let parts: Vec<String> = parts_of(item).map(|part| part.text.clone()).collect();
        let epochs = all.keep(self.positive_setting(settings, "epochs")).flatten();
        let steps = all.keep(self.positive_setting(settings, "steps")).flatten();
        let says = |name: &str| settings.values.contains_key(name);
        let has_loss = says("loss") || !settings.updates.is_empty();
        if has_loss && !says("epochs") && !says("steps") && !settings.failed {
            let diagnostic = Diagnostic::error("E0505", "nothing says how long to train", train.model.span)
                .fact("neither `epochs` nor `steps` is set")
                .help("write `epochs = 10`");
            all.keep::<()>(Err(self.report(diagnostic)));
        }
        let seed = all.keep(self.seed(settings));
        let own = settings.updates.iter().filter(|update| update.values.contains_key("loss"));
        let losses: Vec<String> = own.map(|update| loss_name(&update.layer.text)).collect();
        let named = settings.metrics.iter().map(|(name, _)| name.text.clone());
        let metrics: Vec<String> = losses.iter().cloned().chain(named).collect();
        let known = super::host_expression::Measured { parts, losses: &losses, metrics: &settings.metrics };
        let stop = match settings.values.get("stop").copied() {
            Some(expr) => all.keep(self.stop_condition(expr, &known)),
            None => None,
        };
        let save = match settings.values.get("save").copied() {
            Some(expr) => all.keep(self.save(expr, &known)),
            None => None,
        };
        let load = all.keep(self.load(settings));
        all.end()?;
        let (Some(data), Some(seed), Some(load)) = (data, seed, load) else { return Err(Reported) };
        Ok(Some(Training {
            batch,
            epochs: epochs.and_then(|count| u64::try_from(count).ok()),
            steps: steps.and_then(|count| u64::try_from(count).ok()),
            seed,
            metrics,
            stop,
            save,
            load,
            data,
            meaning: Meaning::default(),
        }))
    }

    /// The seed: the generator takes 32 bits, so that a larger one would be another's twin.
    fn seed(&mut self, settings: &TrainSettings<'a>) -> Outcome<u64> {
        let Some(seed) = self.count_setting(settings, "seed")? else { return Ok(0) };
        if let Ok(seed) = u32::try_from(seed) {
            return Ok(u64::from(seed));
        }
        let span = settings.values.get("seed").map_or_else(Default::default, |expr| expr.span);
        self.fail("E0204", span, "a seed is less than 2^32", format!("this is {seed}"))
    }

    /// `best(value, to="dir")` or `every(5, to="dir")`.
    fn save(&mut self, expr: &'a Expr, known: &super::host_expression::Measured<'a, '_>) -> Outcome<Save> {
        if let ExprKind::Call { callee, arguments } = &expr.kind
            && let ExprKind::Name(name) = &callee.kind
            && ["best", "every"].contains(&name.as_str())
        {
            let mut to = None;
            for argument in arguments {
                match &argument.name {
                    Some(key) if key.text == "to" => {
                        let value = self.settled(&argument.value)?;
                        match value {
                            Value::Text(folder) => to = Some(folder),
                            other => {
                                let found = other.describe();
                                let message = "`to` is a folder";
                                return self.fail(
                                    "E0204",
                                    argument.span,
                                    message,
                                    format!("this is {found}"),
                                );
                            }
                        }
                    }
                    Some(key) => {
                        let diagnostic = Diagnostic::error(
                            "E0202",
                            format!("`{name}` has no argument `{}`", key.text),
                            key.span,
                        )
                        .fact("unknown argument")
                        .note("best(value, to=), every(epochs, to=)");
                        return Err(self.report(diagnostic));
                    }
                    None => {}
                }
            }
            let mut places = arguments.iter().filter(|argument| argument.name.is_none());
            let first: Option<&'a Argument> = places.next();
            if let Some(other) = places.next() {
                let diagnostic =
                    Diagnostic::error("E0202", format!("too many arguments for `{name}`"), other.span)
                        .fact("one too many")
                        .note("best(value, to=), every(epochs, to=)");
                return Err(self.report(diagnostic));
            }
            let Some(first) = first else {
                return self.fail("E0203", expr.span, format!("`{name}` needs a value"), "of nothing");
            };
            if name == "best" {
                let value = self.host_expression(&first.value, known)?;
                let lessened = matches!(value, HostExpr::Metric { .. })
                    && self.larger_is_better(&value, known) == Some(false);
                let value = if lessened { HostExpr::Neg(Box::new(value)) } else { value };
                return Ok(Save::Best { value, to });
            }
            let value = self.settled(&first.value)?;
            let epochs = self.count(&value, first.span)?;
            if epochs == 0 {
                let message = "`every` is a number of epochs from 1 on";
                return self.fail("E0204", first.span, message, "this is 0");
            }
            return Ok(Save::Every { epochs: u64::try_from(epochs).unwrap_or(1), to });
        }
        let diagnostic = Diagnostic::error("E0505", "`save` does not read this", expr.span)
            .help("write `best(test.accuracy, to=\"dir\")` or `every(5, to=\"dir\")`");
        Err(self.report(diagnostic))
    }

    /// `load = "file.safetensors"`
    fn load(&mut self, settings: &TrainSettings<'a>) -> Outcome<Option<String>> {
        let Some(expr) = settings.values.get("load").copied() else { return Ok(None) };
        match self.settled(expr)? {
            Value::Text(path) => Ok(Some(path)),
            other => {
                let found = other.describe();
                self.fail("E0204", expr.span, "`load` is a file", format!("this is {found}"))
            }
        }
    }

    /// The number of a `clip`.
    pub(super) fn largest_norm(&mut self, expr: &'a Expr) -> Outcome<f64> {
        let value = self.settled(expr)?;
        let norm = self.real(&value, expr.span)?;
        if norm > 0.0 && norm.is_finite() {
            return Ok(norm);
        }
        let fact = format!("this is {norm:?}");
        self.fail("E0204", expr.span, "`clip` is the largest norm, a number above 0", fact)
    }

    /// Further settings of a step.
    pub(super) fn step_settings(
        &mut self,
        settings: &TrainSettings<'a>,
        has_weights: bool,
    ) -> Outcome<Settings> {
        let mut out = Settings::default();
        let mut all = Several::default();
        if let Some(expr) = settings.values.get("clip").copied() {
            out.clip = all.keep(self.largest_norm(expr));
        }
        out.accumulate = all.keep(self.positive_setting(settings, "accumulate")).flatten();
        let memory = all.keep(self.positive_setting(settings, "memory")).flatten();
        out.memory = memory.and_then(|bytes| u64::try_from(bytes).ok());
        out.memory_span = settings.values.get("memory").map(|expr| expr.span);
        out.freeze_span = settings.values.get("freeze").map(|expr| expr.span);
        out.precision_span = settings.values.get("precision").map(|expr| expr.span);
        if let Some(expr) = settings.values.get("precision").copied() {
            out.precision = all.keep(self.precision(expr));
        }
        for (name, expr) in &settings.precision {
            out.precision_span = Some(name.span);
            match all.keep(self.precision_of(name, expr)) {
                Some(Of::Halves) => out.precision = Some("mixed".to_owned()),
                Some(Of::Scale(scale)) => out.loss_scale = Some(scale),
                Some(Of::Nothing) | None => {}
            }
        }
        if has_weights && let Some(expr) = settings.values.get("freeze").copied() {
            let entries = match &expr.kind {
                ExprKind::List(entries) => entries.as_slice(),
                _ => std::slice::from_ref(expr),
            };
            for entry in entries {
                out.freeze.extend(all.keep(self.frozen(entry)));
            }
        }
        all.end().map(|()| out)
    }

    /// `precision = mixed`
    fn precision(&mut self, expr: &'a Expr) -> Outcome<String> {
        match self.settled(expr)? {
            Value::Symbol(name @ ("f32" | "mixed")) => Ok(name.to_owned()),
            other => {
                let found = other.describe();
                let message = "`precision` is f32 or mixed";
                self.fail("E0204", expr.span, message, format!("this is {found}"))
            }
        }
    }

    /// One line of `precision { .. }`.
    fn precision_of(&mut self, name: &Name, expr: &'a Expr) -> Outcome<Of> {
        let known = ["storage", "accumulate", "master", "loss_scale"];
        if !known.contains(&name.text.as_str()) {
            let diagnostic =
                Diagnostic::error("E0505", format!("unknown setting `{}`", name.text), name.span)
                    .fact("not a setting of `precision`")
                    .help_maybe(did_you_mean(&name.text, known));
            return Err(self.report(diagnostic));
        }
        let value = self.settled(expr)?;
        let wanted = match (name.text.as_str(), &value) {
            ("storage", Value::Symbol("f16")) => return Ok(Of::Halves),
            ("storage" | "accumulate" | "master", Value::Symbol("f32"))
            | ("loss_scale", Value::Symbol("dynamic")) => None,
            ("loss_scale", Value::Int(_) | Value::Float(_)) => {
                return self.first_scale(&value, expr).map(Of::Scale);
            }
            ("storage", _) => Some("f16 or f32"),
            ("loss_scale", _) => Some("dynamic or a number"),
            _ => Some("f32"),
        };
        if let Some(wanted) = wanted {
            let message = format!("`{}` of `precision` is {wanted}", name.text);
            return self.fail("E0204", expr.span, message, format!("this is {}", value.describe()));
        }
        Ok(Of::Nothing)
    }

    /// The number that a loss scale begins with: from 1, below which no scale falls.
    fn first_scale(&mut self, value: &Value<'a>, expr: &'a Expr) -> Outcome<f64> {
        let scale = self.real(value, expr.span)?;
        if (1.0..=1e30).contains(&scale) {
            return Ok(scale);
        }
        let message = "`loss_scale` is from 1 to 1e30";
        self.fail("E0204", expr.span, message, format!("this is {}", value.describe()))
    }

    /// The path of a layer that is not trained.
    fn frozen(&mut self, entry: &Expr) -> Outcome<String> {
        let path = match &entry.kind {
            ExprKind::Text(path) => path.clone(),
            _ => self.bundle.sources().slice(entry.span).to_owned(),
        };
        if self.weights.below(&path).is_empty() {
            let known = self.weights.below("");
            let message = format!("no weights lie below `{path}`");
            let scopes = known
                .iter()
                .flat_map(|path| path.match_indices('.').map(|(end, _)| &path[..end]).chain([path.as_str()]));
            let diagnostic = Diagnostic::error("E0201", message, entry.span).fact("not found");
            return Err(self.report(diagnostic.help_maybe(did_you_mean(&path, scopes))));
        }
        Ok(path)
    }
}
