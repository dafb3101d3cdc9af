//! Gradients of pooling whose windows touch no element twice and leave none out: one invocation makes all
//! elements of a window, so that the window is read once.

use std::fmt::Write as _;

use super::WindowSpec;
use super::mean_size;
use crate::kernel::Launch;
use crate::print::Width;
use crate::schedule::WindowKind;
use crate::schedule::finish::Finish;
use crate::schedule::source::{Shape, Source};
use crate::schedule::space::coordinates;

/// The most elements of a window that one invocation makes.
const MOST: u32 = 16;

/// Whether the windows of `spec` tile the input.
pub(super) fn tiles(spec: &WindowSpec) -> bool {
    let area = spec.kernel[0] * spec.kernel[1];
    area <= MOST
        && spec.stride == spec.kernel
        && spec.pad == [0, 0]
        && spec.dilation == [1, 1]
        && (0..2).all(|axis| spec.output[axis] * spec.kernel[axis] == spec.input[axis])
}

/// The launch; `source` has the operands and the parameters of a pooling.
pub(super) fn apart(mut source: Source, spec: &WindowSpec, finish: &Finish, workgroup: u32) -> Launch {
    let [kh, kw] = spec.kernel;
    let extents = [spec.planes[0], spec.planes[1], spec.output[0], spec.output[1]];
    let windows: u32 = extents.iter().product();
    let count = source.param("windows", windows);
    let mut body = String::new();
    let _ = writeln!(body, "let item = group * {workgroup}u + local.x;\nif (item >= {count}) {{ return; }}");
    coordinates(&mut source, &extents, "item", "d", Width::One, &mut body);
    let _ = writeln!(
        body,
        "let c0 = d0;\nlet c1 = d1;\nlet channel = d0 * p.channels + d1;\n\
         let below = channel * p.output_pixels + d2 * p.output_w + d3;\n\
         let corner = channel * p.input_pixels + d2 * {kh}u * p.input_w + d3 * {kw}u;"
    );
    let places = || (0..kh).flat_map(|r| (0..kw).map(move |s| (r, s)));
    let name = if spec.kind == WindowKind::MaxGradient {
        body.push_str("let upstream = operand1[p.operand1_offset + below];\n");
        for (place, (r, s)) in places().enumerate() {
            let _ = writeln!(
                body,
                "let x{place} = operand0[p.operand0_offset + corner + {r}u * p.input_w + {s}u];"
            );
        }
        body.push_str("var best = x0;\nvar winner = 0u;\n");
        for place in 1..kh * kw {
            let _ = writeln!(
                body,
                "winner = select(winner, {place}u, x{place} > best);\nbest = max(best, x{place});"
            );
        }
        "max gradient"
    } else {
        let size = mean_size(spec, true, "");
        let _ = writeln!(body, "let upstream = operand0[p.operand0_offset + below] / {size};");
        "mean gradient"
    };
    for (place, (r, s)) in places().enumerate() {
        let value = if spec.kind == WindowKind::MaxGradient {
            format!("select(0.0f, upstream, winner == {place}u)")
        } else {
            "upstream".to_owned()
        };
        let _ = writeln!(
            body,
            "{{\nlet c2 = d2 * {kh}u + {r}u;\nlet c3 = d3 * {kw}u + {s}u;\nlet result = {value};"
        );
        finish.apply(&["c0", "c1", "c2", "c3"].map(String::from), "result", &mut body);
        body.push_str("}\n");
    }
    let shape = Shape { workgroup: [workgroup, 1], groups: windows.div_ceil(workgroup) };
    source.launch(format!("{name} pool {kh}x{kw} apart"), &shape, &body)
}
