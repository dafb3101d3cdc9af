//! Numbers known at build time: extents, ranks, lists; and that two shapes are one.

use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::Value;

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic { name: "rank", parameters: &["x"], run: rank },
    Intrinsic { name: "size", parameters: &["x", "axis?"], run: size },
    Intrinsic { name: "others", parameters: &["x", "axis"], run: others },
    Intrinsic { name: "len", parameters: &["list"], run: len },
    Intrinsic { name: "sides", parameters: &["number", "count", "least?"], run: sides },
    Intrinsic { name: "paired", parameters: &["x", "y"], run: paired },
    Intrinsic { name: "is_list", parameters: &["value"], run: is_list },
    Intrinsic { name: "is_tensor", parameters: &["value"], run: is_tensor },
];

fn rank<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    Ok(Value::int(i64::try_from(x.rank()).unwrap_or(i64::MAX)))
}

/// The extent of an axis; of all axes together without one.
fn size<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let axes = e.axes(&call, "axis", x.rank())?;
    let mut total = Dim::constant(1);
    for axis in axes {
        total = match total.multiply(&x.dims[axis]) {
            Some(total) => total,
            None => return e.fail("E0204", call.span, "this number does not fit in 64 bits", "too large"),
        };
    }
    Ok(Value::Int(total))
}

/// All axes but one.
fn others<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let axes = e.axes(&call, "axis", x.rank())?;
    let rest = (0..x.rank()).filter(|axis| !axes.contains(axis));
    Ok(Value::List(rest.map(|axis| Value::int(i64::try_from(axis).unwrap_or(i64::MAX))).collect()))
}

/// `x`, where `y` has its shape or one of them is a single number: what is to be taken element by element broadcasts
/// elsewhere without a word.
fn paired<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let value = call.given("x").value;
    let (Value::Tensor(x), Value::Tensor(y)) = (value.clone().first(), call.given("y").value.first()) else {
        return Ok(value);
    };
    if x.dims == y.dims || x.rank() == 0 || y.rank() == 0 {
        return Ok(value);
    }
    let name = e.spoken_inside(&call).to_owned();
    let (long, short) = if x.rank() > y.rank() { (&x, &y) } else { (&y, &x) };
    let spare = long.dims.split_last().is_some_and(|(last, rest)| last.extent() == 1 && rest == short.dims);
    let help = spare.then(|| "drop the dim of size 1 first: `x[.., 0]`".to_owned());
    let diagnostic = Diagnostic::error("E0301", format!("the shapes of `{name}` do not fit"), call.span)
        .fact(format!("{} with {}", x.show(), y.show()))
        .note("it goes element by element: both have one shape, or one is a single number")
        .help_maybe(help);
    Err(e.report(diagnostic))
}

fn len<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let given = call.given("list");
    match given.value {
        Value::List(values) => Ok(Value::int(i64::try_from(values.len()).unwrap_or(i64::MAX))),
        other => {
            let message = format!("`{}` needs a list", e.spoken_inside(&call));
            let help =
                matches!(other, Value::Tensor(_)).then(|| "the extent of a dim is `size(x, 1)`".to_owned());
            let diagnostic = Diagnostic::error("E0204", message, given.span)
                .fact(format!("this is {}", other.describe()))
                .help_maybe(help);
            Err(e.report(diagnostic))
        }
    }
}

/// `3` as `[3, 3]`; a list as it is. With `least=1` they are the sides of a window.
fn sides<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let given = call.given("count");
    let count = e.count(&given.value, given.span)?;
    e.spend(count, given.span)?;
    let number = call.given("number");
    if e.whole_argument(&call, "least", 0)? > 0 {
        e.refuse_below_one(&call, &number, "kernel")?;
    }
    let sides = e.sides(&number, count)?;
    Ok(Value::List(
        sides.into_iter().map(|side| Value::int(i64::try_from(side).unwrap_or(i64::MAX))).collect(),
    ))
}

fn is_list<'a>(_: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    Ok(Value::Bool(matches!(call.given("value").value, Value::List(_))))
}

fn is_tensor<'a>(_: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    Ok(Value::Bool(matches!(call.given("value").value, Value::Tensor(_))))
}
