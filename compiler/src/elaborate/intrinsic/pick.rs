//! Choosing along an axis by an index: `pick`, `one_hot`.

use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Element, Scalar};

use super::reduction::{as_floats, reduced};
use super::requirement::Held;
use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{Tensor, Value};
use crate::ir::Kind;
use crate::ops::Iota;

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic { name: "pick", parameters: &["x", "index", "axis?", "keep?", "outside?"], run: pick },
    Intrinsic { name: "one_hot", parameters: &["index", "classes", "outside?"], run: one_hot },
];

/// The whole numbers to choose by; bytes are some.
fn index_argument<'a>(e: &mut Elaborator<'a>, call: &Call<'a>) -> Outcome<Tensor> {
    let index = e.tensor_argument(call, "index")?;
    if index.element != Element::U8 {
        return Ok(index);
    }
    e.mark(call.span);
    let node = e.graph.map(&[index.node], |b, x| b.cast(Scalar::I32, x[0]));
    Ok(Tensor { node, element: Element::I32, ..index })
}

/// The element of `x` at `index` along an axis, which vanishes. Where the index lies outside it is the number `outside`, or
/// else none, which a run says when it meets it: an index that was computed, or given to a program by hand, no reader has
/// checked.
fn pick<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let index = index_argument(e, &call)?;
    let axis = e.whole_argument(&call, "axis", -1)?;
    let axis = e.axis(&call, axis, x.rank(), call.span)?;
    if index.element != Element::I32 {
        let span = call.given("index").span;
        let name = e.spoken_inside(&call);
        let message = format!("`{name}` needs whole numbers to choose by");
        let formula =
            !matches!(e.graph.node(index.node).kind, Kind::Source(_)) && index.rank() + 1 == x.rank();
        let diagnostic = Diagnostic::error("E0312", message, span)
            .fact(format!("found {}", index.show()))
            .help(not_classes(name, &x, &index, formula));
        return Err(e.report(diagnostic));
    }
    let outer: Vec<Dim> =
        x.dims.iter().enumerate().filter(|(place, _)| *place != axis).map(|(_, dim)| dim.clone()).collect();
    if index.dims != outer {
        let name = e.spoken_inside(&call);
        let expected = crate::elaborate::dim::show_dims(&outer);
        let diagnostic = Diagnostic::error("E0301", format!("the shapes of `{name}` do not fit"), call.span)
            .fact(format!("{} chosen by {}", x.show(), index.show()))
            .note(format!("the choice must be i32{expected}"))
            .help_maybe(other_axis(&x, &index, &outer));
        return Err(e.report(diagnostic));
    }
    same_classes(e, &call, &x, &index, axis)?;
    let x = as_floats(e, &call, &x);
    e.mark(call.span);
    let mut shape = index.shape();
    shape.insert(axis, 1);
    let chosen = e.graph.reshape(index.node, &shape);
    let mut along = vec![1; x.rank()];
    along[axis] = x.dims[axis].size();
    let place = e.graph.must(Iota::new(&along, axis), &[]);
    let outside = match call.optional("outside") {
        Some(given) => e.real(&given.value, given.span)?,
        None => f64::NAN,
    };
    let classes = x.dims[axis].size();
    // What stands for an index that lies outside is put at place 0, so that the sum is it.
    let node = e.graph.map(&[place, chosen, x.node], |b, x| {
        let here = b.binary(Binary::Eq, x[0], x[1]);
        let zero = b.real(0.0);
        let (low, high) = (b.int(0), b.int(i32::try_from(classes).unwrap_or(i32::MAX)));
        let (below, above) = (b.binary(Binary::Lt, x[1], low), b.binary(Binary::Ge, x[1], high));
        let (lost, first) = (b.binary(Binary::Or, below, above), b.binary(Binary::Eq, x[0], low));
        let lost = b.binary(Binary::And, first, lost);
        let outside = b.real(outside);
        let other = b.select(lost, outside, zero);
        b.select(here, x[2], other)
    });
    if outside.is_nan() {
        let name = e.spoken_inside(&call).to_owned();
        let what = if name == "pick" { "index" } else { "label" };
        let text = format!("every {what} of `{name}` lies in 0..{classes}");
        e.must_hold(node, Held::Inside(index.clone(), classes), &text);
    }
    let masked = Tensor { node, ..x.clone() };
    let keep = e.bool_argument(&call, "keep", false)?;
    reduced(e, &call, &masked, &[axis], keep, Reduction::Sum).map(Value::Tensor)
}

/// What to write where `index` holds no whole numbers; `formula` where it is computed.
fn not_classes(name: &str, x: &Tensor, index: &Tensor, formula: bool) -> String {
    if index.rank() == x.rank() + 1 {
        return format!("the scores come first: `{name}(logits, label)`");
    }
    match name {
        "accuracy" => "`accuracy` counts classes; how far numbers are off says `mae(x, y)`".to_owned(),
        "cross_entropy" if index.dims == x.dims => {
            "a distribution over the classes is compared by `soft_cross_entropy(logits, target)`; a class is \
             `label: i32 in 0..10`"
                .to_owned()
        }
        _ if formula => {
            "a formula of whole numbers and truths is f32: make whole numbers of it with `to_int(...)`"
                .to_owned()
        }
        _ => "a class is a whole number: declare the field as `label: i32 in 0..10`".to_owned(),
    }
}

/// What to write where the index fits along another axis, or but for a dim of 1.
fn other_axis(x: &Tensor, index: &Tensor, outer: &[Dim]) -> Option<String> {
    if index.dims.split_last().is_some_and(|(last, rest)| rest == outer && last.as_constant() == Some(1)) {
        return Some("drop the last dim of the labels: `label[.., 0]`".to_owned());
    }
    let without = |axis: usize| {
        let dims = x.dims.iter().enumerate().filter(move |(place, _)| *place != axis);
        dims.map(|(_, dim)| dim).eq(&index.dims)
    };
    let axis = (1..x.rank()).find(|axis| without(*axis))?;
    Some(format!("the classes lie along dim {axis}: write `axis={axis}`"))
}

/// The labels run over as many classes as the model gives.
fn same_classes<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    index: &Tensor,
    axis: usize,
) -> Outcome<()> {
    let Some((low, high, said)) = index.range.as_deref().copied() else { return Ok(()) };
    let classes = x.dims[axis].extent();
    if low == 0 && high == classes {
        return Ok(());
    }
    let message = format!("the model has {classes} classes, the labels have {}", high - low);
    let convolved = x.made.as_deref().is_some_and(|(_, maker)| maker == "conv");
    let help = match low {
        0 => {
            let last = if convolved { format!("conv({high}, 1)") } else { format!("linear({high})") };
            format!(
                "end the model with `{last}`, or, if there are {classes} classes, declare the labels in `0..{classes}`"
            )
        }
        1.. => format!("classes count from 0: write `prepare {{ label = label - {low} }}` in `data`"),
        _ => "classes count from 0: bring the labels there in `prepare` of `data`".to_owned(),
    };
    let message = if low == 0 { message } else { format!("the labels begin at {low}, classes at 0") };
    let mut diagnostic = Diagnostic::error("E0402", message, call.span)
        .label(said, format!("labels run over {low}..{high}"))
        .help(help);
    if let Some(declared) = e.declared_output(x) {
        diagnostic = diagnostic.label(declared, x.show());
    }
    Err(e.report(diagnostic))
}

/// 1 at `index` of a new last axis, 0 elsewhere. Where the index lies outside all are the number `outside`, or else none,
/// which a run says when it meets it.
fn one_hot<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let index = index_argument(e, &call)?;
    let classes = call.given("classes");
    let classes = e.whole(&classes.value, classes.span)?;
    if index.element != Element::I32 {
        let span = call.given("index").span;
        let name = e.spoken_inside(&call);
        let message = format!("`{name}` needs whole numbers");
        return e.fail("E0312", span, message, format!("found {}", index.show()));
    }
    let mut dims = index.dims.clone();
    dims.push(classes.clone());
    e.result_fits(&call, &dims)?;
    e.mark(call.span);
    let mut shape = index.shape();
    shape.push(1);
    let chosen = e.graph.reshape(index.node, &shape);
    let mut along = vec![1; shape.len()];
    along[shape.len() - 1] = classes.size();
    let place = e.graph.must(Iota::new(&along, shape.len() - 1), &[]);
    let outside = match call.optional("outside") {
        Some(given) => e.real(&given.value, given.span)?,
        None => f64::NAN,
    };
    let count = classes.size();
    let node = e.graph.map(&[place, chosen], |b, x| {
        let here = b.binary(Binary::Eq, x[0], x[1]);
        let here = b.cast(Scalar::F32, here);
        if outside == 0.0 {
            return here;
        }
        let (low, high) = (b.int(0), b.int(i32::try_from(count).unwrap_or(i32::MAX)));
        let (below, above) = (b.binary(Binary::Lt, x[1], low), b.binary(Binary::Ge, x[1], high));
        let lost = b.binary(Binary::Or, below, above);
        let outside = b.real(outside);
        b.select(lost, outside, here)
    });
    if outside.is_nan() {
        let name = e.spoken_inside(&call).to_owned();
        let text = format!("every index of `{name}` lies in 0..{count}");
        e.must_hold(node, Held::Inside(index.clone(), count), &text);
    }
    Ok(Value::Tensor(e.tensor(node, dims)))
}
