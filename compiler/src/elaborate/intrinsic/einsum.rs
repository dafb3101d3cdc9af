//! `einsum("n q d, n k d -> n q k", a, b)`: a product summed over the axes that the right side lacks. Names are
//! words; `..` stands for any number of axes.

use super::product::LETTERS;
use super::rearrange::within;
use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{Tensor, Value};
use crate::source::Span;

pub(super) const TABLE: &[Intrinsic] =
    &[Intrinsic { name: "einsum", parameters: &["pattern", "a", "b"], run: einsum }];

/// The names of one side of a pattern, each with its place.
type Names<'p> = Vec<(&'p str, Span)>;

/// The axes known so far: name, letter and extent. Those of `..` are called `..0`, `..1`.
#[derive(Default)]
struct Axes {
    known: Vec<(String, char, Dim)>,
}

fn einsum<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let given = call.given("pattern");
    let Value::Text(pattern) = &given.value else {
        let found = given.value.describe();
        return e.fail("E0204", given.span, "`einsum` needs a pattern", format!("this is {found}"));
    };
    let (a, b) = (e.tensor_argument(&call, "a")?, e.tensor_argument(&call, "b")?);
    let parts = pattern.split_once("->").and_then(|(from, to)| Some((from.split_once(',')?, to)));
    let Some(((first, second), result)) = parts.filter(|((_, second), _)| !second.contains(',')) else {
        return e.fail("E0314", given.span, "a pattern of `einsum` reads `a b, b c -> a c`", "this does not");
    };
    let mut axes = Axes::default();
    let mut letters = [String::new(), String::new()];
    for (place, (side, tensor)) in [(first, &a), (second, &b)].into_iter().enumerate() {
        let names = names(pattern, side, given.span);
        once(e, &names, "in one operand")?;
        letters[place] = axes.operand(e, &call, &names, tensor, within_side(pattern, side, given.span))?;
    }
    let names = names(pattern, result, given.span);
    once(e, &names, "on the right")?;
    let (out, dims) = axes.result(e, &names)?;
    e.contract(&call, [&a, &b], [&letters[0], &letters[1]], &out, dims).map(Value::Tensor)
}

/// The words of `side`, a part of `pattern`, which is written inside the quotes at `span`.
fn names<'p>(pattern: &str, side: &'p str, span: Span) -> Names<'p> {
    side.split_whitespace().map(|word| (word, within_side(pattern, word, span))).collect()
}

/// Where `part`, a slice of `pattern`, is written.
fn within_side(pattern: &str, part: &str, span: Span) -> Span {
    let trimmed = part.trim();
    let start = trimmed.as_ptr().addr().saturating_sub(pattern.as_ptr().addr());
    within(span, start, start + trimmed.len())
}

/// No name stands twice.
fn once(e: &mut Elaborator<'_>, names: &Names<'_>, place: &str) -> Outcome<()> {
    for (k, (name, span)) in names.iter().enumerate() {
        if names[..k].iter().any(|(other, _)| other == name) {
            return e.fail("E0314", *span, format!("`{name}` stands twice {place}"), "again here");
        }
    }
    Ok(())
}

impl Axes {
    /// The letters of the axes of `tensor`, which the pattern calls `names`.
    fn operand<'a>(
        &mut self,
        e: &mut Elaborator<'a>,
        call: &Call<'a>,
        names: &Names<'_>,
        tensor: &Tensor,
        span: Span,
    ) -> Outcome<String> {
        let fixed = names.iter().filter(|(name, _)| *name != "..").count();
        let open = fixed != names.len();
        if tensor.rank() < fixed || (!open && tensor.rank() != fixed) {
            let named = if fixed == 1 { "1 name".to_owned() } else { format!("{fixed} names") };
            let diagnostic = Diagnostic::error("E0314", "the pattern does not fit its operand", span)
                .fact(format!("{named} for the {} axes of {}", tensor.rank(), tensor.show()))
                .help_maybe(spelled(names));
            return Err(e.report(diagnostic));
        }
        let mut letters = String::new();
        let mut axis = 0;
        for (name, place) in names {
            let count = if *name == ".." { tensor.rank() - fixed } else { 1 };
            for turn in 0..count {
                let full = if *name == ".." { format!("..{turn}") } else { (*name).to_owned() };
                let dim = tensor.dims[axis].clone();
                letters.push(match self.known.iter().find(|(known, ..)| *known == full) {
                    Some((_, letter, other)) if *other == dim => *letter,
                    Some((_, _, other)) => {
                        let message = format!("`{name}` is {other} in one operand and {dim} in the other");
                        return e.fail("E0309", call.span, message, "these must be equal");
                    }
                    None => {
                        let Some(letter) = LETTERS.chars().nth(self.known.len()) else {
                            return e.fail("E0314", *place, "the pattern has too many axes", "at most 26");
                        };
                        self.known.push((full, letter, dim));
                        letter
                    }
                });
                axis += 1;
            }
        }
        Ok(letters)
    }

    /// The letters and dims of the right side.
    fn result(&self, e: &mut Elaborator<'_>, names: &Names<'_>) -> Outcome<(String, Vec<Dim>)> {
        let mut out = String::new();
        let mut dims = Vec::new();
        for (name, span) in names {
            let named = |known: &str| if *name == ".." { known.starts_with("..") } else { known == *name };
            let before = out.len();
            for (_, letter, dim) in self.known.iter().filter(|(known, ..)| named(known)) {
                out.push(*letter);
                dims.push(dim.clone());
            }
            if out.len() == before && *name != ".." {
                let message = format!("no operand of the pattern has the axis `{name}`");
                return e.fail("E0314", *span, message, "on the right side");
            }
        }
        Ok((out, dims))
    }
}

/// `n t c` for `ntc`: elsewhere every letter is a name.
pub(super) fn spelled(names: &[(&str, Span)]) -> Option<String> {
    let [(word, _)] = names else { return None };
    let letters: Vec<String> = word.chars().map(|letter| letter.to_string()).collect();
    let apart = letters.len() > 1 && word.chars().all(char::is_alphabetic);
    apart.then(|| format!("names are words, apart by spaces: `{}`", letters.join(" ")))
}
