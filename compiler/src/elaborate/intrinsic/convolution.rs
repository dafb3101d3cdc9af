//! Convolution and transposed convolution over one or two axes.

use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::{Conv, ConvGeometry, ConvInputGradient};
use crate::source::Span;

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic {
        name: "convolve",
        parameters: &["x", "weight", "stride", "pad", "dilation", "groups"],
        run: convolve,
    },
    Intrinsic {
        name: "convolve_transposed",
        parameters: &["x", "weight", "stride", "pad"],
        run: convolve_transposed,
    },
];

/// The weight of a convolution of `x`, which has as many axes.
fn window_weight<'a>(e: &mut Elaborator<'a>, call: &Call<'a>, x: &Tensor) -> Outcome<Tensor> {
    let weight = e.tensor_argument(call, "weight")?;
    if weight.rank() == x.rank() {
        return Ok(weight);
    }
    let message = format!("the weight of `{}` needs as many axes as its input", e.spoken_inside(call));
    e.fail("E0303", call.span, message, format!("{} for {}", weight.show(), x.show()))
}

/// A window moving along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) size: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) low: usize,
    pub(super) high: usize,
}

/// Zeros before and after each axis: numbers, or `same`, which makes `ceil(in / stride)`.
pub(super) fn padding<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    sizes: &[usize],
    strides: &[usize],
    dilations: &[usize],
) -> Outcome<Vec<Side>> {
    let axes = sizes.len();
    let given = call.given("pad");
    let same = matches!(given.value, Value::Symbol("same"));
    let pads = if same { vec![0; axes] } else { e.sides(&given, axes)? };
    let mut sides = Vec::with_capacity(axes);
    for axis in 0..axes {
        let (size, stride, dilation) = (sizes[axis], strides[axis], dilations[axis]);
        if size == 0 || stride == 0 || dilation == 0 {
            let name = e.spoken_inside(call);
            let message = format!("`{name}` needs a window, a stride and a dilation from 1 on");
            return e.fail("E0304", call.span, message, "one of them is 0");
        }
        let window = dilation * (size - 1) + 1;
        let (low, high) = if same {
            let extent = x.dims[2 + axis].size();
            let total = (extent.div_ceil(stride).saturating_sub(1) * stride + window).saturating_sub(extent);
            (total / 2, total - total / 2)
        } else {
            (pads[axis], pads[axis])
        };
        sides.push(Side { size, stride, dilation, low, high });
    }
    Ok(sides)
}

/// The extent of the axis that a window makes of `dim`.
pub(super) fn windows<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    dim: &Dim,
    side: Side,
) -> Outcome<Dim> {
    let window = side.dilation * (side.size - 1) + 1;
    let padded = dim.size() + side.low + side.high;
    if window > padded {
        return Err(too_large(e, call, x, window, padded));
    }
    let rest = i64::try_from(side.low + side.high).unwrap_or(0) - i64::try_from(window).unwrap_or(0);
    let stride = Dim::constant(i64::try_from(side.stride).unwrap_or(1));
    let steps = dim.add(&Dim::constant(rest)).and_then(|dim| dim.floor_divide(&stride));
    match steps.and_then(|steps| steps.add(&Dim::constant(1))) {
        Some(dim) => Ok(dim),
        None => e.fail("E0304", call.span, "this number does not fit in 64 bits", "too large"),
    }
}

fn too_large<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    window: usize,
    padded: usize,
) -> crate::elaborate::context::Reported {
    let name = e.spoken_inside(call);
    let message = format!("the window of `{name}` is larger than its input");
    let diagnostic = Diagnostic::error("E0304", message, call.span)
        .fact(format!("window {window}, input only {padded} wide"))
        .help("drop one of the poolings, or pad the input");
    let diagnostic = match x.made.as_deref() {
        Some((place, _)) => diagnostic.label(*place, format!("the input {} comes from here", x.show())),
        None => diagnostic,
    };
    e.report(diagnostic)
}

fn convolve<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.image_argument(&call, "x")?;
    let weight = window_weight(e, &call, &x)?;
    let axes = weight.rank().saturating_sub(2);
    let strides = e.sides(&call.given("stride"), axes)?;
    let dilations = e.sides(&call.given("dilation"), axes)?;
    let groups = call.given("groups");
    let groups = e.count(&groups.value, groups.span)?;
    let sizes: Vec<usize> = weight.dims[2..].iter().map(Dim::size).collect();
    let sides = padding(e, &call, &x, &sizes, &strides, &dilations)?;
    channels(e, &call, &x, &weight, groups)?;
    let mut dims = vec![x.dims[0].clone(), weight.dims[0].clone()];
    for (axis, side) in sides.iter().enumerate() {
        dims.push(windows(e, &call, &x, &x.dims[2 + axis], *side)?);
    }
    let geometry = ConvGeometry {
        stride: strides,
        low: sides.iter().map(|side| side.low).collect(),
        high: sides.iter().map(|side| side.high).collect(),
        dilation: dilations,
        groups,
    };
    e.node(&call, Conv::new(geometry), &[&x, &weight], dims).map(Value::Tensor)
}

fn channels<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    weight: &Tensor,
    groups: usize,
) -> Outcome<()> {
    let (inputs, outputs) = (x.dims[1].size(), weight.dims[0].size());
    if groups > 0 && inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups) {
        return Ok(());
    }
    let name = e.spoken_inside(call);
    let span: Span = call.span;
    let message = format!("`{name}` cannot be split in {groups} groups");
    e.fail("E0306", span, message, format!("{inputs} channels in and {outputs} out must both divide"))
}

/// The transposed convolution: the gradient of a convolution for its input. Weight `[in, out, ..]`.
fn convolve_transposed<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.image_argument(&call, "x")?;
    let weight = window_weight(e, &call, &x)?;
    let axes = weight.rank().saturating_sub(2);
    let strides = e.sides(&call.given("stride"), axes)?;
    let pads = e.sides(&call.given("pad"), axes)?;
    let mut dims = vec![x.dims[0].clone(), weight.dims[1].clone()];
    for axis in 0..axes {
        let number = |value: usize| Dim::constant(i64::try_from(value).unwrap_or(0));
        let rest = i64::try_from(weight.dims[2 + axis].size()).unwrap_or(0)
            - 2 * i64::try_from(pads[axis]).unwrap_or(0);
        let extent = x.dims[2 + axis]
            .subtract(&Dim::constant(1))
            .and_then(|dim| dim.multiply(&number(strides[axis])))
            .and_then(|dim| dim.add(&Dim::constant(rest)));
        match extent {
            Some(dim) if dim.extent() > 0 && strides[axis] > 0 => dims.push(dim),
            _ => {
                let name = e.spoken_inside(&call);
                let message = format!("`{name}` would make an empty tensor");
                return e.fail("E0304", call.span, message, "the padding takes everything away");
            }
        }
    }
    let geometry =
        ConvGeometry { stride: strides, low: pads.clone(), high: pads, dilation: vec![1; axes], groups: 1 };
    let input: Vec<usize> = dims[2..].iter().map(Dim::size).collect();
    e.node(&call, ConvInputGradient::new(geometry, &input), &[&x, &weight], dims).map(Value::Tensor)
}
