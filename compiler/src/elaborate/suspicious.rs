//! Uses that have a meaning, though probably not the intended one.

use crate::diagnostic::{Diagnostic, counted};
use crate::elaborate::call::Given;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::value::{Tensor, Value};
use crate::source::Span;
use crate::syntax::ast::Definition;

/// What makes an image of an image.
const IMAGE_LAYERS: [&str; 6] = ["conv", "conv_transpose", "max_pool", "avg_pool", "batch_norm", "relu"];

impl<'a> Elaborator<'a> {
    /// Warns of a loss on top of a softmax that it contains, and of `linear` along the width of an image.
    pub(super) fn suspicious(
        &mut self,
        definition: &Definition,
        name: Span,
        span: Span,
        given: &[Option<Given<'a>>],
    ) {
        let called = definition.name.text.as_str();
        if !self.bundle.is_library(definition.name.span) || self.bundle.is_library(span) {
            return;
        }
        let Some(Some(Given { value: Value::Tensor(input), .. })) = given.first() else { return };
        if called == "conv" {
            self.channels_first(input, name, given);
        }
        self.probabilities_for_logits(called, name, input);
        self.many_layers(definition, name, given);
        let Some((made, maker)) = input.made.as_deref() else { return };
        match (called, maker.as_str()) {
            ("linear", maker) if input.rank() == 4 && IMAGE_LAYERS.contains(&maker) => {
                let message = "`linear` of an image works along its width";
                let diagnostic = Diagnostic::warning("W0301", message, name)
                    .fact(format!("found {}", input.show()))
                    .label(*made, "an image is made here")
                    .help("write `flatten` or `global_avg_pool` before it");
                self.report(diagnostic);
            }
            _ => {}
        }
    }

    /// Warns of `conv(in, out, kernel)`, which reads as `conv(out, kernel, stride)`: three sizes without names, of which
    /// the first is how many channels come in and the second is larger than windows are. Patches side by side and windows
    /// whose rim is spoken of are meant as they stand.
    fn channels_first(&mut self, input: &Tensor, name: Span, given: &[Option<Given<'a>>]) {
        const LARGEST_WINDOW: i64 = 11;
        let (Some((first, _)), Some((second, place)), Some((third, _))) =
            (unnamed(given, 1), unnamed(given, 2), unnamed(given, 3))
        else {
            return;
        };
        let channels = input.dims.get(1).map(crate::elaborate::dim::Dim::extent);
        if channels != Some(first) || second <= LARGEST_WINDOW || second == third {
            return;
        }
        let meant = |one: &Given<'_>| one.name.is_some_and(|(name, _)| matches!(name, "pad" | "bias"));
        if given.iter().flatten().any(meant) {
            return;
        }
        let count = counted(usize::try_from(first).unwrap_or_default(), "channel");
        let message = format!("`conv({first}, {second}, {third})` makes {count} of {first}");
        let diagnostic = Diagnostic::warning("W0302", message, name)
            .fact(format!("the input has {count}"))
            .label(place, format!("this is a window of {second}, and {third} its stride"))
            .help(format!("how many channels come in is never written: `conv({second}, {third})`"));
        self.report(diagnostic);
    }

    /// Notes that the values of a call are probabilities, or their logarithms.
    pub(super) fn note_probabilities(
        &mut self,
        definition: &Definition,
        span: Span,
        result: &Outcome<Value<'a>>,
    ) {
        let called = definition.name.text.as_str();
        let Ok(Value::Tensor(tensor)) = result else { return };
        if ["softmax", "log_softmax", "sigmoid"].contains(&called)
            && self.bundle.is_library(definition.name.span)
            && !self.bundle.is_library(span)
        {
            self.probabilities.insert(tensor.node, (span, definition.name.text.clone()));
        }
    }

    /// Warns of a loss over logits that is given what went through a softmax or a sigmoid, however it came there.
    fn probabilities_for_logits(&mut self, called: &str, name: Span, input: &Tensor) {
        let Some((made, maker)) = self.probabilities.get(&input.node).cloned() else { return };
        let (kind, help) = match (called, maker.as_str()) {
            ("cross_entropy" | "soft_cross_entropy", "softmax" | "log_softmax") => {
                ("softmax", format!("give `{called}` what goes into `{maker}`"))
            }
            ("bce_logits", "sigmoid") => {
                ("sigmoid", "use `binary_cross_entropy` for probabilities".to_owned())
            }
            ("focal", "sigmoid") => ("sigmoid", format!("give `{called}` what goes into `{maker}`")),
            _ => return,
        };
        let message = format!("`{called}` takes logits and {kind} stands before it");
        let diagnostic = Diagnostic::warning("W0501", message, name)
            .fact(format!("contains a {kind} itself"))
            .label(made, format!("the other {kind}"))
            .help(help);
        self.report(diagnostic);
    }

    /// Warns of `lstm(in, out)`, which reads as `lstm(out, layers)`, and of `encoder(width, heads)`, which reads as
    /// `encoder(heads, hidden)`: sizes without names in the order of other frameworks.
    fn many_layers(&mut self, definition: &Definition, name: Span, given: &[Option<Given<'a>>]) {
        const MOST_LAYERS: i64 = 8;
        let called = definition.name.text.as_str();
        let (Some((first, _)), Some((second, place))) = (unnamed(given, 1), unnamed(given, 2)) else {
            return;
        };
        let means = definition.parameters.get(2).map(|parameter| parameter.name.text.as_str());
        let diagnostic = match (called, means) {
            ("encoder", Some("hidden")) if second < first => {
                let message = format!("`encoder({first}, {second})` has {first} heads");
                Diagnostic::warning("W0304", message, name)
                    .label(place, format!("this is `hidden`, the width inside: {second}"))
                    .help(format!("the input says how wide it is: `encoder({second}, hidden={})`", 4 * first))
            }
            (_, Some("layers")) if second >= MOST_LAYERS => {
                let message = format!("`{called}({first}, {second})` has {second} layers of {first}");
                Diagnostic::warning("W0304", message, name)
                    .label(place, format!("this is `layers`: {second}"))
                    .help(format!(
                        "the input says how many features come in: `{called}({second})`; if so many layers are \
                         meant, `{called}({first}, layers={second})`"
                    ))
            }
            _ => return,
        };
        self.report(diagnostic.fact("sizes in another order are read by place"));
    }

    /// Warns of `max(x, 1)`, which compares with 1, where `x` has an axis of that number: elsewhere that is meant.
    pub(super) fn number_for_axis(&mut self, called: &str, span: Span, x: &Tensor, y: &Given<'a>) {
        let Value::Int(dim) = &y.value else { return };
        // `min(x, 1)` and a number below 0 are how values are kept within bounds.
        let least = if called == "min" { 2 } else { 1 };
        let (Some(axis), None) = (dim.as_constant(), y.name) else { return };
        let literal = self.bundle.sources().slice(y.span).bytes().all(|byte| byte.is_ascii_digit());
        let Ok(place) = usize::try_from(axis) else { return };
        if self.bundle.is_library(span) || !literal || axis < least {
            return;
        }
        let Some(along) = x.dims.get(place).filter(|dim| dim.as_constant() != Some(1)) else { return };
        let message = format!("`{called}` of a tensor and a number compares each element with {axis}");
        let diagnostic = Diagnostic::warning("W0303", message, y.span)
            .fact(format!("a number; dim {axis} of {} is {along}", x.show()))
            .help(format!(
                "along an axis it is `{called}(x, axis={axis})`; where the number is meant, write `{axis}.0`"
            ));
        self.report(diagnostic);
    }
}

/// The whole number that is given at `place` without a name, and where it is written.
fn unnamed(given: &[Option<Given<'_>>], place: usize) -> Option<(i64, Span)> {
    match given.get(place)? {
        Some(Given { name: None, value: Value::Int(dim), span }) => Some((dim.extent(), *span)),
        _ => None,
    }
}
