//! Which argument of a call is which parameter.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::call::Given;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::elsewhere::argument_help;
use crate::source::Span;

impl<'a> Elaborator<'a> {
    /// The arguments of a call written at `name`, by parameter. `parameters` are names, each with whether it needs
    /// an argument.
    pub(in crate::elaborate) fn bind_arguments(
        &mut self,
        called: &str,
        parameters: &[(&str, bool)],
        name: Span,
        given: Vec<Given<'a>>,
    ) -> Outcome<Vec<Option<Given<'a>>>> {
        let mut bound: Vec<Option<Given<'a>>> = vec![None; parameters.len()];
        let mut next = 0;
        let mut named: Option<Span> = None;
        for one in given {
            let place = match one.name {
                None => {
                    if let Some(before) = named {
                        let diagnostic = Diagnostic::error(
                            "E0211",
                            "an argument without a name stands after one with a name",
                            one.span,
                        )
                        .fact("this one needs a name, or an earlier place")
                        .label(before, "the first with a name")
                        .note(signature(called, parameters));
                        return Err(self.report(diagnostic));
                    }
                    if next >= parameters.len() {
                        let message = format!("too many arguments for `{called}`");
                        let diagnostic = Diagnostic::error("E0202", message, one.span)
                            .fact("one too many")
                            .note(signature(called, parameters))
                            .help_maybe(number_of_arguments(called).or_else(|| self.hides_library(called)));
                        return Err(self.report(diagnostic));
                    }
                    next += 1;
                    next - 1
                }
                Some((key, at)) => {
                    named = named.or(Some(at));
                    match parameters.iter().position(|(known, _)| *known == key) {
                        Some(place) => place,
                        None => return Err(self.unknown_argument(called, parameters, key, at)),
                    }
                }
            };
            if let Some(before) = &bound[place] {
                let message = format!("`{}` of `{called}` is given twice", parameters[place].0);
                let diagnostic = Diagnostic::error("E0212", message, one.span)
                    .fact("again here")
                    .label(before.span, "here");
                return Err(self.report(diagnostic));
            }
            bound[place] = Some(one);
        }
        let missing = (0..parameters.len()).find(|place| parameters[*place].1 && bound[*place].is_none());
        if let Some(missing) = missing {
            let message = format!("`{called}` needs `{}`", parameters[missing].0);
            let diagnostic = Diagnostic::error("E0203", message, name)
                .fact(if missing == 0 { "without an input" } else { "missing argument" })
                .note(signature(called, parameters))
                .help_maybe(number_of_arguments(called).or_else(|| without_self(parameters)));
            return Err(self.report(diagnostic));
        }
        Ok(bound)
    }

    fn unknown_argument(
        &mut self,
        called: &str,
        parameters: &[(&str, bool)],
        key: &str,
        at: Span,
    ) -> Reported {
        let names: Vec<&str> = parameters.iter().map(|(name, _)| *name).collect();
        let help = argument_help(key, &names).or_else(|| did_you_mean(key, names));
        let message = format!("`{called}` has no argument `{key}`");
        let diagnostic = Diagnostic::error("E0202", message, at)
            .fact("unknown argument")
            .note(signature(called, parameters))
            .help_maybe(help);
        self.report(diagnostic)
    }
}

/// What to write in place of a call with arguments too many or too few.
fn number_of_arguments(called: &str) -> Option<String> {
    let way = match called {
        "einsum" => {
            "a product is of two tensors: of more in turn, one alone is moved by `rearrange` and summed by \
             `sum(x, axis=1)`"
        }
        "transpose" => "it swaps the last two dims; any others are moved by `rearrange(\"n c t -> n t c\")`",
        "flatten" => {
            "it joins all dims behind the first; fewer are joined by `rearrange(\"n c h w -> n c (h w)\")`"
        }
        "select" => {
            "what walks in is the condition: `x > 0` goes into `select(1, 0)`, or `select(x > 0, 1, 0)` by itself"
        }
        "global_avg_pool" | "global_max_pool" => "it is over all places and takes no size: leave it out",
        _ => return None,
    };
    Some(way.to_owned())
}

/// `conv(out, kernel, stride=, pad=)`, without the input. What is no input: the pattern of a product, and the first
/// parameter of an optimizer that follows the weight and its gradient.
pub(super) fn signature(called: &str, parameters: &[(&str, bool)]) -> String {
    let is_input = |name: &str| !matches!(name, "pattern" | "lr");
    let parts: Vec<String> = parameters
        .iter()
        .skip(usize::from(parameters.first().is_some_and(|(name, needed)| *needed && is_input(name))))
        .map(|(name, needed)| if *needed { (*name).to_owned() } else { format!("{name}=") })
        .collect();
    format!("{called}({})", parts.join(", "))
}

/// What to write where the first parameter is `self`.
fn without_self(parameters: &[(&str, bool)]) -> Option<String> {
    let first = parameters.first().is_some_and(|(name, _)| *name == "self");
    first.then(|| {
        "there is no `self`: a block begins with its input, `block f(x: f32[N, C]) { ... }`".to_owned()
    })
}
