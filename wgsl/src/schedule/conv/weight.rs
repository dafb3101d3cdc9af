//! The gradient of a convolution's weights, computed directly: each invocation sums a few output channels of
//! one row of one window over a share of the images' rows; a second launch adds the shares in order.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Build, Geometry, Parts};
use crate::access::Place;
use crate::kernel::Slot;
use crate::print::Width;
use crate::schedule::finish::Finish;
use crate::schedule::source::{Shape, Source};
use crate::schedule::space::Space;

/// Invocations a workgroup.
const WORKGROUP: u32 = 16;

/// Output pixels that are summed at once.
const PIXELS: u32 = 4;

/// The launch, and its parts where the sum is split.
pub(super) fn weight(geometry: &Geometry<'_>, space: &Space) -> Build {
    let spec = geometry.spec;
    let [kh, kw] = spec.kernel;
    let [sh, sw] = spec.stride;
    let [dh, dw] = spec.dilation;
    let (cg, og) = (geometry.cg(), geometry.og());
    let channels = og.min(4);
    let pieces = kw.div_ceil(8);
    let taps = kw.div_ceil(pieces);
    let blocks = og.div_ceil(channels);
    let items = pieces * kh * cg * blocks * spec.groups;
    let lines = spec.n * spec.output[0];
    let wanted = 4096u32.div_ceil(items).min(lines.div_ceil(4)).max(1);
    let chunk = lines.div_ceil(wanted);
    let splits = lines.div_ceil(chunk);
    let mut source = Source::default();
    source.storage(Slot::Read(0), "image", "f32");
    source.storage(Slot::Read(1), "output", "f32");
    for (name, value) in [
        ("total", items * splits),
        ("items", items),
        ("cg", cg),
        ("og", og),
        ("blocks", blocks),
        ("lines", lines),
        ("chunk", chunk),
        ("image_h", spec.input[0]),
        ("image_w", spec.input[1]),
        ("image_pixels", geometry.input()),
        ("image_channels", spec.c),
        ("output_h", spec.output[0]),
        ("output_w", spec.output[1]),
        ("output_pixels", geometry.output()),
        ("output_channels", spec.o),
        ("pad_h", spec.pad[0]),
        ("pad_w", spec.pad[1]),
    ] {
        source.param(name, value);
    }
    source.signed("image_offset", spec.offsets[0]);
    source.signed("output_offset", spec.offsets[1]);
    let strides: Vec<i64> = [cg * kh * kw, kh * kw, kw, 1].into_iter().map(i64::from).collect();
    let stride = spec.o * cg * kh * kw;
    let finish = if splits > 1 {
        Finish::partials(&mut source, strides.clone(), Width::One)
    } else {
        Finish::epilogue(&mut source, space, &spec.epilogue.expr, Width::One)
    };
    finish.declare_store_at(&mut source);
    let mut body = String::new();
    let _ = writeln!(
        body,
        "let number = group * {WORKGROUP}u + local.x;\n\
         if (number >= p.total) {{ return; }}\n\
         let part = number / p.items;\n\
         let item = number - part * p.items;\n\
         let s0 = (item % {pieces}u) * {taps}u;\n\
         let r = (item / {pieces}u) % {kh}u;\n\
         let plane = item / {tall}u;\n\
         let group_block = plane / p.cg;\n\
         let c = plane - group_block * p.cg;\n\
         let g = group_block / p.blocks;\n\
         let m0 = (group_block - g * p.blocks) * {channels}u;\n\
         let image_at = p.image_offset + (g * p.cg + c) * p.image_pixels;\n\
         let first = part * p.chunk;\n\
         let end = min(first + p.chunk, p.lines);\n\
         var picture = first / p.output_h;\n\
         var y = first - picture * p.output_h;",
        tall = pieces * kh
    );
    for m in 0..channels {
        let _ = writeln!(
            body,
            "let output{m} = p.output_offset + (g * p.og + min(m0 + {m}u, p.og - 1u)) * p.output_pixels;"
        );
        for s in 0..taps {
            let _ = writeln!(body, "var sum{m}_{s} = 0.0f;");
        }
    }
    let _ = writeln!(
        body,
        "for (var line = first; line < end; line += 1u) {{\n\
         let v = y * {sh}u + r * {dh}u - p.pad_h;\n\
         if (v < p.image_h) {{\n\
         let row = image_at + picture * p.image_channels * p.image_pixels + v * p.image_w;\n\
         let below = picture * p.output_channels * p.output_pixels + y * p.output_w;\n\
         for (var x0 = 0u; x0 < p.output_w; x0 += {PIXELS}u) {{\n\
         let u = x0 * {sw}u + s0 * {dw}u - p.pad_w;"
    );
    let columns: BTreeSet<u32> = (0..PIXELS).flat_map(|j| (0..taps).map(move |s| j * sw + s * dw)).collect();
    for t in &columns {
        let _ = writeln!(
            body,
            "let in{t} = u + {t}u < p.image_w;\n\
             let e{t} = select(0.0f, image[row + select(0u, u + {t}u, in{t})], in{t});"
        );
    }
    for j in 0..PIXELS {
        let _ = writeln!(
            body,
            "let lies{j} = x0 + {j}u < p.output_w;\nlet at{j} = below + min(x0 + {j}u, p.output_w - 1u);"
        );
        for m in 0..channels {
            let _ = writeln!(body, "let d{m}_{j} = select(0.0f, output[output{m} + at{j}], lies{j});");
        }
    }
    for j in 0..PIXELS {
        for m in 0..channels {
            for s in 0..taps {
                let t = j * sw + s * dw;
                let _ = writeln!(body, "sum{m}_{s} = fma(d{m}_{j}, e{t}, sum{m}_{s});");
            }
        }
    }
    body.push_str(
        "}\n}\n\
         y += 1u;\n\
         if (y == p.output_h) { y = 0u; picture += 1u; }\n\
         }\n",
    );
    let first = if splits > 1 { "part * p.output_channels + " } else { "" };
    for m in 0..channels {
        let _ = writeln!(body, "if (m0 + {m}u < p.og) {{");
        for s in 0..taps {
            let _ = writeln!(
                body,
                "if (s0 + {s}u < {kw}u) {{ \
                 store_at({first}g * p.og + m0 + {m}u, c, r, s0 + {s}u, sum{m}_{s}); }}"
            );
        }
        body.push_str("}\n");
    }
    let shape = Shape { workgroup: [WORKGROUP, 1], groups: (items * splits).div_ceil(WORKGROUP) };
    let launch = source.launch(format!("conv weight gradient {channels}x{taps}"), &shape, &body);
    let parts = (splits > 1).then_some(Parts { count: splits, stride, place: Place { offset: 0, strides } });
    (launch, parts)
}
