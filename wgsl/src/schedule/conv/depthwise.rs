//! Convolutions whose groups have one input channel each: the result is summed where it is written. One invocation
//! makes one element of the output or of the input's gradient, one workgroup one element of the weights' gradient.

use std::fmt::Write as _;

use super::Geometry;
use crate::kernel::{Launch, Slot};
use crate::print::Width;
use crate::profile::Profile;
use crate::schedule::ConvKind;
use crate::schedule::finish::Finish;
use crate::schedule::source::{Shape, Source};
use crate::schedule::space::{Space, coordinates};
use crate::schedule::stored::stored;

/// An axis of the window: its letter and its place in a specification.
type Axis = (&'static str, usize);

/// The launch; slots are those of any convolution.
pub(super) fn depthwise(geometry: &Geometry<'_>, space: &Space, profile: &Profile) -> Launch {
    let spec = geometry.spec;
    let axes: &[Axis] = if spec.is_deep() { &[("d", 0), ("h", 1), ("w", 2)] } else { &[("h", 1), ("w", 2)] };
    let mut source = Source::default();
    source.storage(Slot::Read(0), "first", stored(spec.elements[0], false));
    source.storage(Slot::Read(1), "second", stored(spec.elements[1], false));
    source.signed("first_offset", spec.offsets[0]);
    source.signed("second_offset", spec.offsets[1]);
    source.param("channels", spec.c);
    source.param("output_channels", spec.o);
    source.param("input_pixels", geometry.input());
    source.param("output_pixels", geometry.output());
    for (letter, axis) in axes {
        source.param(&format!("input_{letter}"), spec.input[*axis]);
        source.param(&format!("output_{letter}"), spec.output[*axis]);
        source.param(&format!("pad_{letter}"), spec.pad[*axis]);
    }
    let finish = Finish::epilogue(&mut source, space, &spec.epilogue.expr, Width::One);
    let elements = space.count();
    let sums = spec.kind == ConvKind::WeightGradient;
    let workgroup = if profile.cheap_barriers { 128 } else { profile.subgroup.max(1) };
    let mut body = String::new();
    if sums {
        body.push_str("let item = group;\n");
    } else {
        let total = source.param("total", elements);
        let _ =
            writeln!(body, "let item = group * {workgroup}u + local.x;\nif (item >= {total}) {{ return; }}");
    }
    let coords = coordinates(&mut source, &space.extents, "item", "c", Width::One, &mut body);
    let name = match spec.kind {
        ConvKind::Forward => {
            forward(geometry, axes, &mut body);
            "depthwise conv"
        }
        ConvKind::InputGradient => {
            input_gradient(geometry, axes, &mut body);
            "depthwise conv input gradient"
        }
        ConvKind::WeightGradient => {
            source.declare(&format!("var<workgroup> parts: array<f32, {workgroup}>;\n"));
            source.param("terms", spec.n * geometry.output());
            weight_gradient(geometry, axes, workgroup, &mut body);
            "depthwise conv weight gradient"
        }
    };
    if sums {
        body.push_str("if (local.x == 0u) {\nlet result = parts[0];\n");
        finish.apply(&coords, "result", &mut body);
        body.push_str("}\n");
    } else {
        finish.apply(&coords, "value", &mut body);
    }
    let groups = if sums { elements } else { elements.div_ceil(workgroup) };
    source.launch(name.to_owned(), &Shape { workgroup: [workgroup, 1], groups }, &body)
}

/// The flat place of coordinates `{prefix}{letter}` over extents: `((d * h_extent + h) * w_extent + w)`.
fn flat(axes: &[Axis], prefix: &str, extent: impl Fn(Axis) -> String) -> String {
    let mut text = String::new();
    for (place, axis) in axes.iter().enumerate() {
        let coordinate = format!("{prefix}{}", axis.0);
        text = if place == 0 { coordinate } else { format!("({text} * {} + {coordinate})", extent(*axis)) };
    }
    text
}

/// Appends the loops over the elements `k_*` of the window; `inside` makes of an axis the statements before its
/// condition, and the condition.
fn window(
    geometry: &Geometry<'_>,
    axes: &[Axis],
    inside: impl Fn(Axis) -> (String, String),
    each: &str,
    out: &mut String,
) {
    for axis in axes {
        let (letter, extent) = (axis.0, geometry.spec.kernel[axis.1]);
        let (before, condition) = inside(*axis);
        let _ = writeln!(
            out,
            "for (var k_{letter} = 0u; k_{letter} < {extent}u; k_{letter} += 1u) {{\n{before}if ({condition}) {{"
        );
    }
    out.push_str(each);
    for _ in axes {
        out.push_str("}\n}\n");
    }
}

fn forward(geometry: &Geometry<'_>, axes: &[Axis], out: &mut String) {
    let spec = geometry.spec;
    let _ = writeln!(
        out,
        "let image = p.first_offset + (c0 * p.channels + c1 / {}u) * p.input_pixels;\n\
         let weights = p.second_offset + c1 * {}u;\n\
         var value = 0.0f;",
        geometry.og(),
        geometry.window()
    );
    let first = axes[0].1;
    let inside = |(letter, axis): Axis| {
        let (stride, dilation, coordinate) = (spec.stride[axis], spec.dilation[axis], 2 + axis - first);
        let at = format!(
            "let at_{letter} = c{coordinate} * {stride}u + k_{letter} * {dilation}u - p.pad_{letter};\n"
        );
        (at, format!("at_{letter} < p.input_{letter}"))
    };
    let each = format!(
        "value += first[image + {}] * second[weights + {}];\n",
        flat(axes, "at_", |(letter, _)| format!("p.input_{letter}")),
        flat(axes, "k_", |(_, axis)| format!("{}u", spec.kernel[axis]))
    );
    window(geometry, axes, inside, &each, out);
}

fn input_gradient(geometry: &Geometry<'_>, axes: &[Axis], out: &mut String) {
    let spec = geometry.spec;
    let og = geometry.og();
    let _ = writeln!(
        out,
        "var value = 0.0f;\n\
         for (var channel = c1 * {og}u; channel < (c1 + 1u) * {og}u; channel += 1u) {{\n\
         let above = p.first_offset + (c0 * p.output_channels + channel) * p.output_pixels;\n\
         let weights = p.second_offset + channel * {}u;",
        geometry.window()
    );
    let first = axes[0].1;
    let inside = |(letter, axis): Axis| {
        let (stride, dilation, coordinate) = (spec.stride[axis], spec.dilation[axis], 2 + axis - first);
        let at = format!(
            "let far_{letter} = c{coordinate} + p.pad_{letter} - k_{letter} * {dilation}u;\n\
             let at_{letter} = far_{letter} / {stride}u;\n"
        );
        (at, format!("(at_{letter} < p.output_{letter}) & (at_{letter} * {stride}u == far_{letter})"))
    };
    let each = format!(
        "value += first[above + {}] * second[weights + {}];\n",
        flat(axes, "at_", |(letter, _)| format!("p.output_{letter}")),
        flat(axes, "k_", |(_, axis)| format!("{}u", spec.kernel[axis]))
    );
    window(geometry, axes, inside, &each, out);
    out.push_str("}\n");
}

/// Appends the sum over pictures and pixels, in parts of which the first is the whole at the end.
fn weight_gradient(geometry: &Geometry<'_>, axes: &[Axis], workgroup: u32, out: &mut String) {
    let spec = geometry.spec;
    let first = axes[0].1;
    let _ = writeln!(
        out,
        "let channel = c0 / {}u;\n\
         var part = 0.0f;\n\
         for (var term = local.x; term < p.terms; term += {workgroup}u) {{\n\
         let picture = term / p.output_pixels;\n\
         let pixel = term - picture * p.output_pixels;",
        geometry.og()
    );
    let mut rest = "pixel".to_owned();
    for (place, (letter, axis)) in axes.iter().enumerate().rev() {
        if place > 0 {
            let _ = writeln!(
                out,
                "let over_{letter} = {rest} / p.output_{letter};\n\
                 let to_{letter} = {rest} - over_{letter} * p.output_{letter};"
            );
            rest = format!("over_{letter}");
        } else {
            let _ = writeln!(out, "let to_{letter} = {rest};");
        }
        let _ = writeln!(
            out,
            "let at_{letter} = to_{letter} * {}u + c{} * {}u - p.pad_{letter};",
            spec.stride[*axis],
            2 + axis - first,
            spec.dilation[*axis]
        );
    }
    let inside: Vec<String> =
        axes.iter().map(|(letter, _)| format!("(at_{letter} < p.input_{letter})")).collect();
    let _ = writeln!(
        out,
        "if ({}) {{\n\
         part += first[p.first_offset + (picture * p.channels + channel) * p.input_pixels + {}] * \
         second[p.second_offset + (picture * p.output_channels + c0) * p.output_pixels + pixel];\n\
         }}\n}}\n\
         parts[local.x] = part;\n\
         workgroupBarrier();",
        inside.join(" & "),
        flat(axes, "at_", |(letter, _)| format!("p.input_{letter}"))
    );
    let mut half = workgroup.next_power_of_two() / 2;
    while half > 0 {
        let _ = writeln!(
            out,
            "if ((local.x < {half}u) & (local.x + {half}u < {workgroup}u)) {{ parts[local.x] += parts[local.x + {half}u]; }}\n\
             workgroupBarrier();"
        );
        half /= 2;
    }
}
