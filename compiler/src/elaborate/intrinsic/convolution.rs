//! Convolution and transposed convolution over one to three axes.

use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::call::Given;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::{Conv, ConvGeometry, ConvInputGradient};

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic {
        name: "convolve",
        parameters: &["x", "weight", "stride", "pad", "dilation", "groups"],
        run: convolve,
    },
    Intrinsic {
        name: "convolve_transposed",
        parameters: &["x", "weight", "stride", "pad", "dilation", "groups", "output_pad"],
        run: convolve_transposed,
    },
];

/// A window moving along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) size: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) low: usize,
    pub(super) high: usize,
}

impl Side {
    /// How far the window reaches, in elements.
    pub(super) fn window(self) -> usize {
        self.dilation * (self.size - 1) + 1
    }
}

/// Elements before and after each of `axes` axes: `1`, `(1, 2)` for two axes, `[(1, 2), (0, 1)]` for two axes with
/// different sides.
pub(super) fn margins<'a>(
    e: &mut Elaborator<'a>,
    given: &Given<'a>,
    axes: usize,
) -> Outcome<Vec<(usize, usize)>> {
    let Value::List(values) = &given.value else {
        return Ok(e.sides(given, axes)?.into_iter().map(|side| (side, side)).collect());
    };
    if values.len() != axes {
        let message = format!("{axes} numbers or pairs are needed here");
        return e.fail("E0204", given.span, message, format!("these are {}", values.len()));
    }
    let mut margins = Vec::with_capacity(axes);
    for value in values {
        margins.push(match value {
            Value::List(pair) => match pair.as_slice() {
                [low, high] => (e.side(low, given.span)?, e.side(high, given.span)?),
                _ => {
                    let message = "the elements before and after an axis are two numbers";
                    return e.fail("E0204", given.span, message, format!("these are {}", pair.len()));
                }
            },
            one => {
                let side = e.side(one, given.span)?;
                (side, side)
            }
        });
    }
    Ok(margins)
}

/// The window along each axis, with its padding: numbers, or `same`, which makes `ceil(in / stride)`.
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
    let pads = if same { vec![(0, 0); axes] } else { margins(e, &given, axes)? };
    let mut sides = Vec::with_capacity(axes);
    for axis in 0..axes {
        let (size, stride, dilation) = (sizes[axis], strides[axis], dilations[axis]);
        let (low, high) = pads[axis];
        let mut side = Side { size, stride, dilation, low, high };
        if same {
            let extent = x.dims[2 + axis].size();
            let reach = extent.div_ceil(stride).saturating_sub(1) * stride + side.window();
            let total = reach.saturating_sub(extent);
            (side.low, side.high) = (total / 2, total - total / 2);
        }
        sides.push(side);
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
    let window = side.window();
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
        .help(match x.made.as_deref() {
            Some((_, maker)) if maker.ends_with("_pool") => "drop one of the poolings, or pad the input",
            _ => "make the window smaller, or pad the input",
        });
    let diagnostic = match x.made.as_deref() {
        Some((place, _)) => diagnostic.label(*place, format!("the input {} comes from here", x.show())),
        None => diagnostic,
    };
    e.report(diagnostic)
}

fn convolve<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let (x, weight) = e.convolved_arguments(&call)?;
    let axes = weight.rank().saturating_sub(2);
    let strides = e.sides_from_one(&call, "stride", axes)?;
    let dilations = e.sides_from_one(&call, "dilation", axes)?;
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
    Err(indivisible(e, call, [inputs, outputs], groups))
}

/// Channels that do not split into so many groups, with the numbers that they do split into.
fn indivisible<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    [inputs, outputs]: [usize; 2],
    groups: usize,
) -> crate::elaborate::context::Reported {
    let name = e.spoken_inside(call);
    let message = format!("`{name}` cannot be split in {groups} groups");
    let both = |count: &usize| inputs.is_multiple_of(*count) && outputs.is_multiple_of(*count);
    let fitting: Vec<String> =
        (1..=inputs.min(outputs)).filter(both).take(8).map(|count| count.to_string()).collect();
    let diagnostic = Diagnostic::error("E0306", message, call.span)
        .fact(format!("{inputs} channels in and {outputs} out must both divide"))
        .help(match fitting.as_slice() {
            [_] => "no other number than 1 divides both".to_owned(),
            _ => format!("both divide by {}", fitting.join(", ")),
        });
    e.report(diagnostic)
}

/// The transposed convolution: the gradient of a convolution for its input. Weight `[in, out / groups, ..]`.
fn convolve_transposed<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let (x, weight) = e.convolved_arguments(&call)?;
    let axes = weight.rank().saturating_sub(2);
    let strides = e.sides_from_one(&call, "stride", axes)?;
    let dilations = e.sides_from_one(&call, "dilation", axes)?;
    let pads = margins(e, &call.given("pad"), axes)?;
    let more = e.sides(&call.given("output_pad"), axes)?;
    let groups = call.given("groups");
    let groups = e.count(&groups.value, groups.span)?;
    let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let Some(channels) = weight.dims[1].multiply(&Dim::constant(number(groups))) else {
        return e.fail("E0304", call.span, "this number does not fit in 64 bits", "too large");
    };
    let inputs = x.dims[1].size();
    if groups == 0 || !inputs.is_multiple_of(groups) {
        return Err(indivisible(e, &call, [inputs, channels.size()], groups));
    }
    let mut dims = vec![x.dims[0].clone(), channels];
    for axis in 0..axes {
        let (low, high) = pads[axis];
        let (size, stride, dilation) = (weight.dims[2 + axis].size(), strides[axis], dilations[axis]);
        if more[axis] >= stride {
            let name = e.spoken_inside(&call);
            let message = format!("the output padding of `{name}` must be smaller than its stride");
            let fact = format!("{} more elements at stride {stride}", more[axis]);
            return e.fail("E0304", call.span, message, fact);
        }
        let window = Side { size, stride, dilation, low, high }.window();
        let rest = number(window) + number(more[axis]) - number(low) - number(high);
        let extent = x.dims[2 + axis]
            .subtract(&Dim::constant(1))
            .and_then(|dim| dim.multiply(&Dim::constant(number(stride))))
            .and_then(|dim| dim.add(&Dim::constant(rest)));
        match extent {
            Some(dim) if dim.extent() > 0 => dims.push(dim),
            _ => {
                let name = e.spoken_inside(&call);
                let message = format!("`{name}` would make an empty tensor");
                return e.fail("E0304", call.span, message, "the padding takes everything away");
            }
        }
    }
    let (low, high) = pads.into_iter().unzip();
    let geometry = ConvGeometry { stride: strides, low, high, dilation: dilations, groups };
    let input: Vec<usize> = dims[2..].iter().map(Dim::size).collect();
    e.node(&call, ConvInputGradient::new(geometry, &input), &[&x, &weight], dims).map(Value::Tensor)
}
