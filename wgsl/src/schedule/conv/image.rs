//! A convolution, or the gradient of its input, computed directly: each invocation makes a few channels of a
//! few neighbouring pixels. Where the windows of those pixels overlap, a row of the image is loaded once and
//! slides under the window; else (long windows, gradients of strided ones) each element is looked up.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Geometry;
use crate::kernel::{Launch, Slot};
use crate::schedule::ConvKind;
use crate::schedule::finish::Finish;
use crate::schedule::source::{Shape, Source};
use crate::schedule::space::Space;

/// Invocations a workgroup.
const WORKGROUP: u32 = 16;

/// Windows up to this wide slide.
const WIDEST: u32 = 11;

/// The launch that computes the image.
pub(super) fn image(geometry: &Geometry<'_>, space: &Space) -> Launch {
    let spec = geometry.spec;
    let forward = spec.kind == ConvKind::Forward;
    let [kh, kw] = spec.kernel;
    let [sh, sw] = spec.stride;
    let [dh, dw] = spec.dilation;
    let (cg, og, window) = (geometry.cg(), geometry.og(), geometry.window());
    let [batch, channels, height, width] = geometry.result();
    let from = if forward { spec.input } else { spec.output };
    let (mine, others) = if forward { (og, cg) } else { (cg, og) };
    let block = Block::choose(mine, width);
    let flat = |stride: u32| if forward { stride } else { 1 };
    let slides = kw <= WIDEST && (forward || spec.stride == [1, 1]) && (block.pixels - 1) * flat(sw) <= 16;
    let mut source = Source::default();
    source.storage(Slot::Read(0), "image", "f32");
    source.storage(Slot::Read(1), "weights", "f32");
    Finish::epilogue(&mut source, space, &spec.epilogue.expr, crate::print::Width::One)
        .declare_store_at(&mut source);
    let blocks = mine.div_ceil(block.channels);
    let across = width.div_ceil(block.pixels);
    let total = across * height * blocks * spec.groups * batch;
    for (name, value) in [
        ("total", total),
        ("across", across),
        ("height", height),
        ("width", width),
        ("blocks", blocks),
        ("group_blocks", blocks * spec.groups),
        ("mine", mine),
        ("others", others),
        ("image_h", from[0]),
        ("image_w", from[1]),
        ("image_pixels", from[0] * from[1]),
        ("image_channels", others * spec.groups),
        ("weights_mine", if forward { cg * window } else { window }),
        ("weights_other", if forward { window } else { cg * window }),
        ("weights_group", og * cg * window),
    ] {
        source.param(name, value);
    }
    let _ = channels;
    source.signed("image_offset", spec.offsets[0]);
    source.signed("weights_offset", spec.offsets[1]);
    let [low_y, low_x] = [0, 1].map(|axis| {
        let pad = i64::from(spec.pad[axis]);
        let reach = i64::from((spec.kernel[axis] - 1) * spec.dilation[axis]);
        if forward || !slides { pad } else { reach - pad }
    });
    source.signed("low_y", low_y);
    source.signed("low_x", low_x);
    let mut body = String::new();
    let _ = writeln!(
        body,
        "let item = group * {WORKGROUP}u + local.x;\n\
         if (item >= p.total) {{ return; }}\n\
         let line = item / p.across;\n\
         let x0 = (item - line * p.across) * {pixels}u;\n\
         let layer = line / p.height;\n\
         let y = line - layer * p.height;\n\
         let picture = layer / p.group_blocks;\n\
         let group_block = layer - picture * p.group_blocks;\n\
         let g = group_block / p.blocks;\n\
         let m0 = (group_block - g * p.blocks) * {block_channels}u;\n\
         let image_at = p.image_offset + (picture * p.image_channels + g * p.others) * p.image_pixels;\n\
         let weights_at = p.weights_offset + g * p.weights_group;",
        pixels = block.pixels,
        block_channels = block.channels
    );
    for m in 0..block.channels {
        let _ = writeln!(body, "let weights{m} = weights_at + min(m0 + {m}u, p.mine - 1u) * p.weights_mine;");
        for j in 0..block.pixels {
            let _ = writeln!(body, "var sum{m}_{j} = 0.0f;");
        }
    }
    if slides {
        slide(&block, [kh, kw], [flat(sh), flat(sw)], [dh, dw], !forward, &mut body);
    } else {
        look_up(&block, geometry, forward, &mut body);
    }
    for m in 0..block.channels {
        let _ = writeln!(body, "if (m0 + {m}u < p.mine) {{");
        for j in 0..block.pixels {
            let _ = writeln!(
                body,
                "if (x0 + {j}u < p.width) {{ \
                 store_at(picture, g * p.mine + m0 + {m}u, y, x0 + {j}u, sum{m}_{j}); }}"
            );
        }
        body.push_str("}\n");
    }
    let way = if slides { "sliding" } else { "looked up" };
    let name = if forward { "conv" } else { "conv input gradient" };
    let shape = Shape { workgroup: [WORKGROUP, 1], groups: total.div_ceil(WORKGROUP) };
    source.launch(format!("{name} {}x{} {way}", block.channels, block.pixels), &shape, &body)
}

/// What one invocation computes.
struct Block {
    channels: u32,
    pixels: u32,
}

impl Block {
    fn choose(channels: u32, width: u32) -> Block {
        let channels = match channels {
            1 => 1,
            2 => 2,
            _ => 4,
        };
        let pixels = match width {
            1 => 1,
            2 => 2,
            3..=6 => 4,
            _ => 7,
        };
        Block { channels, pixels }
    }
}

/// The loops over channels and rows of the window, with the row's elements loaded once. A gradient runs the
/// window backwards.
fn slide(
    block: &Block,
    [kh, kw]: [u32; 2],
    [sh, sw]: [u32; 2],
    [dh, dw]: [u32; 2],
    backwards: bool,
    out: &mut String,
) {
    let columns: BTreeSet<u32> =
        (0..block.pixels).flat_map(|j| (0..kw).map(move |s| j * sw + s * dw)).collect();
    for &t in &columns {
        let _ = writeln!(
            out,
            "let u{t} = x0 * {sw}u + {t}u - p.low_x;\n\
             let in{t} = u{t} < p.image_w;\n\
             let at{t} = select(0u, u{t}, in{t});"
        );
    }
    let window = kh * kw;
    let tap = if backwards { format!("{}u - r * {kw}u", window - kw) } else { format!("r * {kw}u") };
    let _ = writeln!(
        out,
        "for (var c = 0u; c < p.others; c += 1u) {{\n\
         for (var r = 0u; r < {kh}u; r += 1u) {{\n\
         let v = y * {sh}u + r * {dh}u - p.low_y;\n\
         if (v < p.image_h) {{\n\
         let row = image_at + c * p.image_pixels + v * p.image_w;\n\
         let tap = c * p.weights_other + {tap};"
    );
    for &t in &columns {
        let _ = writeln!(out, "let e{t} = select(0.0f, image[row + at{t}], in{t});");
    }
    for m in 0..block.channels {
        for s in 0..kw {
            let place = if backwards { kw - 1 - s } else { s };
            let _ = writeln!(out, "let w{m}_{s} = weights[weights{m} + tap + {place}u];");
        }
    }
    for s in 0..kw {
        for m in 0..block.channels {
            for j in 0..block.pixels {
                let t = j * sw + s * dw;
                let _ = writeln!(out, "sum{m}_{j} = fma(w{m}_{s}, e{t}, sum{m}_{j});");
            }
        }
    }
    out.push_str("}\n}\n}\n");
}

/// The loops over channels and all elements of the window, each looked up.
fn look_up(block: &Block, geometry: &Geometry<'_>, forward: bool, out: &mut String) {
    let spec = geometry.spec;
    let [kh, kw] = spec.kernel;
    let [sh, sw] = spec.stride;
    let [dh, dw] = spec.dilation;
    let _ = writeln!(
        out,
        "for (var c = 0u; c < p.others; c += 1u) {{\n\
         for (var r = 0u; r < {kh}u; r += 1u) {{"
    );
    if forward {
        let _ = writeln!(out, "let v = y * {sh}u + r * {dh}u - p.low_y;\nlet lies = v < p.image_h;");
    } else {
        let _ = writeln!(
            out,
            "let far_y = y + p.low_y - r * {dh}u;\nlet v = far_y / {sh}u;\n\
             let lies = (v < p.image_h) & (v * {sh}u == far_y);"
        );
    }
    let _ = writeln!(
        out,
        "if (lies) {{\n\
         let row = image_at + c * p.image_pixels + v * p.image_w;\n\
         for (var s = 0u; s < {kw}u; s += 1u) {{\n\
         let tap = c * p.weights_other + r * {kw}u + s;"
    );
    for m in 0..block.channels {
        let _ = writeln!(out, "let w{m} = weights[weights{m} + tap];");
    }
    for j in 0..block.pixels {
        if forward {
            let _ = writeln!(
                out,
                "let u{j} = (x0 + {j}u) * {sw}u + s * {dw}u - p.low_x;\nlet in{j} = u{j} < p.image_w;"
            );
        } else {
            let _ = writeln!(
                out,
                "let far_x{j} = x0 + {j}u + p.low_x - s * {dw}u;\nlet u{j} = far_x{j} / {sw}u;\n\
                 let in{j} = (u{j} < p.image_w) & (u{j} * {sw}u == far_x{j});"
            );
        }
        let _ = writeln!(out, "let e{j} = select(0.0f, image[row + select(0u, u{j}, in{j})], in{j});");
        for m in 0..block.channels {
            let _ = writeln!(out, "sum{m}_{j} = fma(w{m}, e{j}, sum{m}_{j});");
        }
    }
    out.push_str("}\n}\n}\n}\n");
}
