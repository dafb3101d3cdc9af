//! The loss, those of `update` groups, and the metrics: one number each.

use nnc_runtime::artifact::weight_of;
use nnc_wgsl::Element;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported, Several};
use crate::elaborate::frame::Frame;
use crate::elaborate::model::groups::lies_below;
use crate::elaborate::model::{Finished, Moved};
use crate::elaborate::settings::{TrainSettings, UpdateSettings};
use crate::elaborate::value::Value;
use crate::ir::NodeId;
use crate::source::Span;
use crate::syntax::ast;

impl<'a> Elaborator<'a> {
    pub(super) fn loss_and_metrics(
        &mut self,
        train: &ast::Train,
        names: &mut Frame<'a>,
        settings: &TrainSettings<'a>,
        finished: &mut Finished,
    ) -> Outcome<()> {
        let mut all = Several::default();
        let said = self.diagnostics.len();
        if !settings.values.contains_key("loss") && settings.updates.is_empty() && !settings.failed {
            let diagnostic = Diagnostic::error("E0505", "`train` needs a loss", train.model.span)
                .fact("there is neither `loss` nor an `update` with one")
                .help("write `loss = cross_entropy(logits, label)`, or any formula that is one number");
            all.keep::<()>(Err(self.report(diagnostic)));
        }
        if let Some(expr) = settings.values.get("loss").copied() {
            let loss = self.one_number(names, expr, "the loss");
            let loss = loss.and_then(|node| self.with_requirements(node, expr.span));
            if let Some(node) = all.keep(loss) {
                finished.loss = Some(node);
                finished.loss_span = Some(expr.span);
                self.add_measured("loss", node);
            }
        }
        all.keep(self.update_losses(names, settings, finished));
        for (name, expr) in &settings.metrics {
            if name.text == "loss" && finished.loss.is_some() {
                let message = "a metric cannot be called `loss`";
                let diagnostic =
                    Diagnostic::error("E0212", message, name.span).fact("the loss has this name");
                all.keep::<()>(Err(self.report(diagnostic)));
                continue;
            }
            let what = format!("the metric `{}`", name.text);
            if let Some(node) = all.keep(self.one_number(names, expr, &what)) {
                self.add_measured(&name.text, node);
            }
        }
        self.diagnostics.drop_repeated(said);
        all.end()
    }

    /// Adds the result `name`, and by what a measurement weighs it.
    fn add_measured(&mut self, name: &str, node: NodeId) {
        self.graph.results.push((name.to_owned(), node));
        if let Some(weight) = self.weighed.get(&node) {
            self.graph.results.push((weight_of(name), *weight));
        }
    }

    /// The losses of `update` groups, each a result `loss_<layer>`, and their sum as the result `loss`. Groups without a
    /// loss of their own share that of `train`.
    fn update_losses(
        &mut self,
        names: &mut Frame<'a>,
        settings: &TrainSettings<'a>,
        finished: &mut Finished,
    ) -> Outcome<()> {
        let Some(first) = settings.updates.first() else { return Ok(()) };
        let shared = settings.values.get("loss");
        let own = settings.updates.iter().find(|update| update.values.contains_key("loss"));
        if let (Some(expr), Some(own)) = (shared, own) {
            let diagnostic =
                Diagnostic::error("E0505", "`loss` stands beside an `update` with its own", expr.span)
                    .fact("which weights this moves is not said")
                    .label(own.layer.span, "this update has its own")
                    .help("move it into an `update`, or let all updates share it");
            return Err(self.report(diagnostic));
        }
        let mut all = Several::default();
        for update in &settings.updates {
            let moved = self.update_loss(names, update, finished.loss.zip(finished.loss_span));
            finished.updates.extend(all.keep(moved));
        }
        all.end()?;
        if shared.is_some() {
            finished.joint = true;
            return self.optimizer_of_the_rest(settings, first.layer.span, finished);
        }
        let losses: Vec<NodeId> = finished.updates.iter().map(|moved| moved.loss).collect();
        let total = crate::update::sum_of_losses(&mut self.graph, &losses);
        finished.loss = Some(total);
        finished.loss_span = finished.updates.first().map(|moved| moved.span);
        self.graph.results.push(("loss".to_owned(), total));
        for moved in &finished.updates {
            self.graph.results.push((crate::elaborate::training::loss_name(&moved.layer), moved.loss));
        }
        Ok(())
    }

    /// What one `update` moves, and by which loss: its own, or `shared` and where that is written.
    fn update_loss(
        &mut self,
        names: &mut Frame<'a>,
        update: &UpdateSettings<'a>,
        shared: Option<(NodeId, Span)>,
    ) -> Outcome<Moved> {
        let layer = update.layer;
        if self.weights.below(&layer.text).is_empty() {
            let paths = self.weights.below("");
            let scopes = paths.iter().filter_map(|path| path.split('.').next());
            let help = did_you_mean(&layer.text, scopes);
            let message = format!("no weights lie below `{}`", layer.text);
            let diagnostic = Diagnostic::error("E0201", message, layer.span);
            return Err(self.report(diagnostic.fact("not a layer of the model").help_maybe(help)));
        }
        let (loss, span) = match (update.values.get("loss").copied(), shared) {
            (Some(expr), _) => {
                let loss = self.one_number(names, expr, &format!("the loss of `{}`", layer.text))?;
                (self.with_requirements(loss, expr.span)?, expr.span)
            }
            (None, Some(shared)) => shared,
            (None, None) if update.failed => return Err(Reported),
            (None, None) => {
                let message = format!("the update of `{}` needs a loss", layer.text);
                let diagnostic = Diagnostic::error("E0505", message, layer.span);
                let help = "write `loss = ...` in it, or one beside the updates for all of them";
                return Err(self.report(diagnostic.help(help)));
            }
        };
        let clip = match update.values.get("clip").copied() {
            Some(expr) => Some(self.largest_norm(expr)?),
            None => None,
        };
        Ok(Moved { layer: layer.text.clone(), loss, span, clip })
    }

    /// Weights in no update need the optimizer of `train`, where the updates share its loss.
    fn optimizer_of_the_rest(
        &mut self,
        settings: &TrainSettings<'a>,
        span: Span,
        finished: &Finished,
    ) -> Outcome<()> {
        let moved = |path: &str| finished.updates.iter().any(|moved| lies_below(path, &moved.layer));
        let rest = self.weights.trained.iter().find(|(path, _)| !moved(path)).map(|(path, _)| path.clone());
        let Some(path) = rest.filter(|_| !settings.values.contains_key("optimizer")) else { return Ok(()) };
        let diagnostic = Diagnostic::error("E0505", "`train` needs an optimizer", span)
            .fact(format!("`{path}` is in none of the updates"))
            .help("write `optimizer = ...` beside them for all other weights");
        Err(self.report(diagnostic))
    }

    fn one_number(&mut self, names: &mut Frame<'a>, expr: &'a ast::Expr, what: &str) -> Outcome<NodeId> {
        let value = self.weightless(names, expr, what)?.first();
        self.mark(expr.span);
        match &value {
            Value::Tensor(tensor) if tensor.rank() == 0 && tensor.element == Element::F32 => Ok(tensor.node),
            Value::Tensor(tensor) => {
                let found = tensor.show();
                let diagnostic = Diagnostic::error("E0501", format!("{what} must be one number"), expr.span)
                    .fact(format!("found {found}"))
                    .help("take the mean of it: `mean(...)`");
                Err(self.report(diagnostic))
            }
            Value::Int(_) | Value::Float(_) | Value::Host(_) => Ok(self.result_node(&value)),
            other => {
                let called = match other {
                    Value::Callable(called) => Some(called.name().to_owned()),
                    Value::Text(text)
                        if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
                    {
                        Some(text.clone())
                    }
                    _ => None,
                };
                let help = called.map(|called| format!("write what it is of: `{called}(logits, label)`"));
                let diagnostic = Diagnostic::error("E0501", format!("{what} must be one number"), expr.span)
                    .fact(format!("found {}", other.describe()))
                    .help_maybe(help);
                Err(self.report(diagnostic))
            }
        }
    }
}
