//! Pooling and its gradients: one invocation makes one element. A gradient looks at the windows that cover
//! its element, so nothing is scattered and no index is stored; where windows do not overlap, one invocation
//! makes a whole window ([`apart`]).

mod apart;

use std::fmt::Write as _;

use super::finish::{Finish, epilogue_space};
use super::source::{Shape, Source};
use super::space::coordinates;
use super::stored::stored;
use super::{WindowKind, WindowSpec};
use crate::kernel::{Schedule, Slot};
use crate::print::{Width, extreme, real};
use crate::profile::Profile;

/// The launch that computes `spec`. Slots are the operands of the kind, then the epilogue's reads.
#[must_use]
pub fn window(spec: &WindowSpec, profile: &Profile) -> Schedule {
    let workgroup = if profile.cheap_barriers { 128 } else { 32 };
    let backward = matches!(spec.kind, WindowKind::MaxGradient | WindowKind::MeanGradient { .. });
    let [height, width] = if backward { spec.input } else { spec.output };
    let extents = [spec.planes[0], spec.planes[1], height, width];
    let total = extents.iter().product::<u32>();
    let space = epilogue_space(&spec.epilogue, &extents, spec.offsets.len());
    let mut source = Source::default();
    for (k, (&offset, &element)) in spec.offsets.iter().zip(&spec.elements).enumerate() {
        source.storage(Slot::Read(k), &format!("operand{k}"), stored(element, false));
        source.signed(&format!("operand{k}_offset"), offset);
    }
    for (name, value) in [
        ("total", total),
        ("channels", spec.planes[1]),
        ("input_h", spec.input[0]),
        ("input_w", spec.input[1]),
        ("input_pixels", spec.input[0] * spec.input[1]),
        ("output_h", spec.output[0]),
        ("output_w", spec.output[1]),
        ("output_pixels", spec.output[0] * spec.output[1]),
        ("pad_h", spec.pad[0]),
        ("pad_w", spec.pad[1]),
    ] {
        source.param(name, value);
    }
    let finish = Finish::epilogue(&mut source, &space, &spec.epilogue.expr, Width::One);
    if backward && apart::tiles(spec) {
        let launch = apart::apart(source, spec, &finish, workgroup);
        return Schedule { launches: vec![launch], scratch: Vec::new() };
    }
    let mut body = String::new();
    let _ = writeln!(
        body,
        "let item = group * {workgroup}u + local.x;\n\
         if (item >= p.total) {{ return; }}"
    );
    let coords = coordinates(&mut source, &extents, "item", "c", Width::One, &mut body);
    body.push_str("let channel = c0 * p.channels + c1;\n");
    let name = match spec.kind {
        WindowKind::Max => {
            forward(spec, "var value = LOWEST;", "value = max(value, x);", &mut body);
            body.push_str("let result = value;\n");
            "max"
        }
        WindowKind::Mean { count_pad } => {
            forward(spec, "var value = 0.0f;\nvar size = 0.0f;", "value += x;\nsize += 1.0f;", &mut body);
            let _ = writeln!(body, "let result = value / {};", mean_size(spec, count_pad, "max(size, 1.0f)"));
            "mean"
        }
        WindowKind::MaxGradient => {
            max_gradient(spec, &mut body);
            "max gradient"
        }
        WindowKind::MeanGradient { count_pad } => {
            mean_gradient(spec, count_pad, &mut body);
            "mean gradient"
        }
    };
    finish.apply(&coords, "result", &mut body);
    let shape = Shape { workgroup: [workgroup, 1], groups: total.div_ceil(workgroup) };
    let title = format!("{name} pool {}x{}", spec.kernel[0], spec.kernel[1]);
    Schedule { launches: vec![source.launch(title, &shape, &body)], scratch: Vec::new() }
}

fn mean_size(spec: &WindowSpec, count_pad: bool, inside: &str) -> String {
    if count_pad { real(f64::from(spec.kernel[0] * spec.kernel[1])) } else { inside.to_owned() }
}

/// Appends the loop over the elements of the window at `(c2, c3)` that lie inside; each is `x` in `each`.
fn forward(spec: &WindowSpec, before: &str, each: &str, out: &mut String) {
    let before = before.replace("LOWEST", &extreme(-1.0));
    let ([kh, kw], [sh, sw], [dh, dw]) = (spec.kernel, spec.stride, spec.dilation);
    let _ = writeln!(
        out,
        "{before}\n\
         let plane = p.operand0_offset + channel * p.input_pixels;\n\
         for (var r = 0u; r < {kh}u; r += 1u) {{\n\
         let v = c2 * {sh}u + r * {dh}u - p.pad_h;\n\
         for (var s = 0u; s < {kw}u; s += 1u) {{\n\
         let u = c3 * {sw}u + s * {dw}u - p.pad_w;\n\
         if ((v < p.input_h) & (u < p.input_w)) {{\n\
         let x = operand0[plane + v * p.input_w + u];\n\
         {each}\n\
         }}\n}}\n}}"
    );
}

/// Appends the loops over the windows that cover input element `(c2, c3)`: `(v, u)` is the window's output
/// element, `(near_y, near_x)` the element's distance from the window's first.
fn covering(spec: &WindowSpec, out: &mut String, each: impl FnOnce(&mut String)) {
    let reach = [0, 1].map(|a| (spec.kernel[a] - 1) * spec.dilation[a]);
    let windows = [0, 1].map(|a| (reach[a] + 1).div_ceil(spec.stride[a]));
    let axes = [("y", "v", "h", "c2", "a"), ("x", "u", "w", "c3", "b")];
    for (axis, (near, window, side, coord, count)) in axes.into_iter().enumerate() {
        let (stride, reach, dilation) = (spec.stride[axis], reach[axis], spec.dilation[axis]);
        let on_grid =
            if dilation == 1 { String::new() } else { format!(" & (near_{near} % {dilation}u == 0u)") };
        let _ = writeln!(
            out,
            "for (var {count} = 0u; {count} < {}u; {count} += 1u) {{\n\
             let {window} = ({coord} + p.pad_{side}) / {stride}u - {count};\n\
             let near_{near} = {coord} + p.pad_{side} - {window} * {stride}u;\n\
             if (({window} < p.output_{side}) & (near_{near} <= {reach}u){on_grid}) {{",
            windows[axis]
        );
    }
    each(out);
    out.push_str("}\n}\n}\n}\n");
}

fn max_gradient(spec: &WindowSpec, out: &mut String) {
    let ([kh, kw], [sh, sw], [dh, dw]) = (spec.kernel, spec.stride, spec.dilation);
    out.push_str(
        "let plane = p.operand0_offset + channel * p.input_pixels;\n\
         let above = p.operand1_offset + channel * p.output_pixels;\n\
         let place = c2 * p.input_w + c3;\n\
         let mine = operand0[plane + place];\n\
         var result = 0.0f;\n",
    );
    covering(spec, out, |out| {
        let _ = writeln!(
            out,
            "var wins = true;\n\
             for (var r = 0u; r < {kh}u; r += 1u) {{\n\
             let iy = v * {sh}u + r * {dh}u - p.pad_h;\n\
             for (var s = 0u; s < {kw}u; s += 1u) {{\n\
             let ix = u * {sw}u + s * {dw}u - p.pad_w;\n\
             if ((iy < p.input_h) & (ix < p.input_w)) {{\n\
             let at = iy * p.input_w + ix;\n\
             let other = operand0[plane + at];\n\
             let beats = (other > mine) | ((other == mine) & (at < place));\n\
             wins = wins & !beats;\n\
             }}\n}}\n}}\n\
             if (wins) {{ result += operand1[above + v * p.output_w + u]; }}"
        );
    });
}

fn mean_gradient(spec: &WindowSpec, count_pad: bool, out: &mut String) {
    let ([kh, kw], [sh, sw], [dh, dw]) = (spec.kernel, spec.stride, spec.dilation);
    out.push_str("let above = p.operand0_offset + channel * p.output_pixels;\nvar result = 0.0f;\n");
    covering(spec, out, |out| {
        if !count_pad {
            let _ = writeln!(
                out,
                "var rows = 0.0f;\n\
                 for (var r = 0u; r < {kh}u; r += 1u) {{\n\
                 rows += select(0.0f, 1.0f, v * {sh}u + r * {dh}u - p.pad_h < p.input_h);\n\
                 }}\n\
                 var columns = 0.0f;\n\
                 for (var s = 0u; s < {kw}u; s += 1u) {{\n\
                 columns += select(0.0f, 1.0f, u * {sw}u + s * {dw}u - p.pad_w < p.input_w);\n\
                 }}"
            );
        }
        let size = mean_size(spec, count_pad, "(rows * columns)");
        let _ = writeln!(out, "result += operand0[above + v * p.output_w + u] / {size};");
    });
}
