//! `rearrange("n t (h d) -> n h t d", h=8)`: splits, moves and joins axes by name (einops' notation).

use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::Permute;
use crate::source::Span;

pub(super) const TABLE: &[Intrinsic] =
    &[Intrinsic { name: "rearrange", parameters: &["x", "pattern", "**sizes"], run: rearrange }];

/// One axis of a pattern: the names it is made of. A `1` is an axis without names.
type Group = Vec<(String, Span)>;

fn rearrange<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let given = call.given("pattern");
    let Value::Text(pattern) = &given.value else {
        let found = given.value.describe();
        return e.fail("E0204", given.span, "`rearrange` needs a pattern", format!("this is {found}"));
    };
    let Some(arrow) = pattern.find("->") else {
        let diagnostic = Diagnostic::error("E0314", "the pattern has no `->`", given.span)
            .help("a pattern reads `\"n c t -> n t c\"`");
        return Err(e.report(diagnostic));
    };
    let given_pattern = given.span;
    let from = groups(e, &given.span, pattern, 0, arrow)?;
    let to = groups(e, &given.span, pattern, arrow + 2, pattern.len())?;
    let from = spelled_out(e, from, &x, &given.span)?;
    let sizes = sizes(e, &call, &from, &x, given.span)?;
    let names: Vec<&(String, Span)> = from.iter().flatten().collect();
    for (size, given) in &call.arguments {
        let known = ["x", "pattern"].contains(size) || names.iter().any(|(name, _)| name == size);
        if !known {
            let place = given.name.map_or(given.span, |(_, place)| place);
            let letters = names
                .iter()
                .map(|(name, _)| name.as_str())
                .filter(|name| !name.starts_with(".."))
                .collect::<Vec<_>>();
            let diagnostic = Diagnostic::error("E0202", format!("the pattern has no axis `{size}`"), place)
                .fact("a size of nothing")
                .label(given_pattern, format!("it has {}", letters.join(", ")));
            return Err(e.report(diagnostic));
        }
    }
    for (place, (name, span)) in names.iter().enumerate() {
        if names[..place].iter().any(|(other, _)| other == name) {
            return e.fail("E0314", *span, format!("`{name}` stands twice on the left"), "again here");
        }
    }
    let mut order = Vec::new();
    let mut dims = Vec::new();
    for group in &to {
        let mut total = Dim::constant(1);
        for (name, span) in group {
            let places: Vec<usize> = match name.as_str() {
                ".." => (0..names.len()).filter(|place| names[*place].0.starts_with("..")).collect(),
                _ => (0..names.len()).filter(|place| names[*place].0 == *name).collect(),
            };
            if places.is_empty() && name != ".." {
                let message = format!("`{name}` does not stand on the left");
                let help = format!(
                    "what an axis is split into stands on the left in parentheses, with the size of all but one: \
                     `(h {name})` and `{name}=2`"
                );
                let diagnostic = Diagnostic::error("E0314", message, *span).fact("unknown axis").help(help);
                return Err(e.report(diagnostic));
            }
            if name == ".." {
                if places.iter().any(|place| order.contains(place)) {
                    return e.fail("E0314", *span, "`..` stands twice on the right", "again here");
                }
                for place in places {
                    order.push(place);
                    dims.push(sizes[place].clone());
                }
                continue;
            }
            for place in places {
                if order.contains(&place) {
                    return e.fail(
                        "E0314",
                        *span,
                        format!("`{name}` stands twice on the right"),
                        "again here",
                    );
                }
                order.push(place);
                total = match total.multiply(&sizes[place]) {
                    Some(total) => total,
                    None => return e.fail("E0314", *span, "this axis is too large", "past 64 bits"),
                };
            }
        }
        if group.len() != 1 || group[0].0 != ".." {
            dims.push(total);
        }
    }
    if let Some(lost) = (0..names.len()).find(|place| !order.contains(place)) {
        let (name, span) = names[lost];
        return e.fail("E0314", *span, format!("`{name}` is lost on the right"), "every axis must stay");
    }
    apart_and_together(e, &call, &x, &sizes, &order, dims)
}

fn apart_and_together<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    sizes: &[Dim],
    order: &[usize],
    dims: Vec<Dim>,
) -> Outcome<Value<'a>> {
    e.result_fits(call, sizes)?;
    e.mark(call.span);
    let apart: Vec<usize> = sizes.iter().map(Dim::size).collect();
    let node = e.graph.reshape(x.node, &apart);
    let in_order = order.iter().enumerate().all(|(place, axis)| place == *axis);
    let node = if in_order { node } else { e.graph.must(Permute::new(order), &[node]) };
    super::shape::reshaped(e, call, &Tensor { node, ..x.clone() }, dims)
}

/// The groups of one side of a pattern, which begins one letter after the start of the string.
fn groups(
    e: &mut Elaborator<'_>,
    span: &Span,
    pattern: &str,
    start: usize,
    end: usize,
) -> Outcome<Vec<Group>> {
    let mut out: Vec<Group> = Vec::new();
    let mut open = false;
    let mut place = start;
    while place < end {
        let letter = pattern[place..].chars().next().unwrap_or(' ');
        let here = within(*span, place, place + letter.len_utf8());
        match letter {
            '(' if !open => {
                open = true;
                out.push(Vec::new());
            }
            ')' if open => open = false,
            letter if letter.is_whitespace() => {}
            letter if letter.is_alphanumeric() || letter == '_' || letter == '.' => {
                let rest = &pattern[place..end];
                let stop = rest
                    .find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '.'))
                    .unwrap_or(rest.len());
                let name = rest[..stop].to_owned();
                let named = within(*span, place, place + stop);
                if name.contains('.') && name != ".." {
                    let message = format!("a pattern has no `{name}`");
                    return e.fail("E0314", named, message, "`..` stands alone");
                }
                let group = if name == "1" { Vec::new() } else { vec![(name, named)] };
                match out.last_mut() {
                    Some(last) if open => last.extend(group),
                    _ => out.push(group),
                }
                place += stop;
                continue;
            }
            letter => return e.fail("E0314", here, format!("a pattern has no `{letter}`"), "not readable"),
        }
        place += letter.len_utf8();
    }
    if open {
        return e.fail("E0314", within(*span, start, end), "`(` is not closed", "in this pattern");
    }
    Ok(out)
}

/// Bytes `start..end` of the text inside the quotes at `span`.
pub(super) fn within(span: Span, start: usize, end: usize) -> Span {
    let offset = |place: usize| span.start.saturating_add(u32::try_from(place + 1).unwrap_or(0));
    Span { file: span.file, start: offset(start).min(span.end), end: offset(end).min(span.end) }
}

/// `..` as as many axes as the tensor has besides those that are named.
fn spelled_out(e: &mut Elaborator<'_>, groups: Vec<Group>, x: &Tensor, span: &Span) -> Outcome<Vec<Group>> {
    let mut rests = groups.iter().flatten().filter(|(name, _)| name == "..");
    if let (Some(_), Some((_, again))) = (rests.next(), rests.next()) {
        return e.fail("E0314", *again, "`..` stands twice on the left", "again here");
    }
    let open = groups.iter().position(|group| group.len() == 1 && group[0].0 == "..");
    let fixed = groups.len() - usize::from(open.is_some());
    if x.rank() < fixed || (open.is_none() && x.rank() != fixed) {
        let named = if fixed == 1 { "1 axis".to_owned() } else { format!("{fixed} axes") };
        let words: Vec<(&str, Span)> =
            groups.iter().flatten().map(|(name, at)| (name.as_str(), *at)).collect();
        let diagnostic = Diagnostic::error("E0314", "the pattern does not fit its input", *span)
            .fact(format!("{named} for {}", x.show()))
            .help_maybe(super::einsum::spelled(&words));
        return Err(e.report(diagnostic));
    }
    let mut out = Vec::new();
    for (place, group) in groups.into_iter().enumerate() {
        if Some(place) == open {
            out.extend((0..x.rank() - fixed).map(|axis| vec![(format!("..{axis}"), *span)]));
        } else {
            out.push(group);
        }
    }
    Ok(out)
}

/// The extent of every name on the left, in order.
fn sizes<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    groups: &[Group],
    x: &Tensor,
    pattern: Span,
) -> Outcome<Vec<Dim>> {
    let mut out = Vec::new();
    for (axis, group) in groups.iter().enumerate() {
        let dim = &x.dims[axis];
        if group.is_empty() && *dim != Dim::constant(1) {
            let fact = format!("axis {axis} of {}", x.show());
            return e.fail("E0314", pattern, format!("the pattern has 1 where there is {dim}"), fact);
        }
        let mut known = Dim::constant(1);
        let mut unknown = None;
        let mut own = Vec::new();
        for (name, span) in group {
            match call.optional(name) {
                Some(given) => {
                    let size = e.whole(&given.value, given.span)?;
                    known = match known.multiply(&size) {
                        Some(known) => known,
                        None => return e.fail("E0314", given.span, "this axis is too large", "past 64 bits"),
                    };
                    own.push(Some(size));
                }
                None if unknown.is_none() => {
                    unknown = Some(*span);
                    own.push(None);
                }
                None => {
                    let message = format!("the size of `{name}` is not known");
                    return e.fail("E0314", *span, message, format!("say `{name}=...`"));
                }
            }
        }
        let rest = dim.divide_exactly(&known);
        let fits = match (&rest, unknown) {
            (Some(_), Some(_)) => true,
            (Some(rest), None) => *rest == Dim::constant(1),
            (None, _) => false,
        };
        let Some(rest) = rest.filter(|_| fits) else {
            let span = unknown.or_else(|| group.first().map(|(_, span)| *span)).unwrap_or(pattern);
            let message = format!("axis {axis} is {dim}, which does not split like this");
            return e.fail("E0314", span, message, format!("the named sizes make {known}"));
        };
        out.extend(own.into_iter().map(|size| size.unwrap_or_else(|| rest.clone())));
    }
    Ok(out)
}
