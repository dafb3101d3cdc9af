//! The parts of an implicit product that are looked up in an image: which element of the image stands at
//! row `k` and column `j` of the matrix that is never stored. The window's extents, steps and dilation are
//! text, so that the division of `k` into channel and window element is by constants.

use std::fmt::Write as _;

use super::Geometry;
use crate::kernel::Slot;
use crate::schedule::ConvKind;
use crate::schedule::contract::tile::{Part, Product, Side, Tile};
use crate::schedule::contract::{stash_depth, stash_outer};
use crate::schedule::source::{LANES, Source};
use crate::schedule::stored::stored;

/// The right side of a forward convolution (pixels of the input under the window of each output pixel) and of
/// the input's gradient (pixels of the output whose window covers each input pixel): columns are pixels of
/// the result, four neighbours a register.
pub(super) fn image_patches(
    source: &mut Source,
    geometry: &Geometry<'_>,
    part: &Part,
    product: &Product,
) -> Side {
    let spec = geometry.spec;
    let deep = spec.is_deep();
    let [_, kh, kw] = spec.kernel;
    let [sd, sh, sw] = spec.stride;
    let [dd, dh, dw] = spec.dilation;
    let forward = spec.kind == ConvKind::Forward;
    let (image, result, channels) =
        if forward { (spec.input, spec.output, spec.c) } else { (spec.output, spec.input, spec.o) };
    source.storage(Slot::Read(0), "image", stored(spec.elements[0], false));
    source.signed("image_offset", spec.offsets[0]);
    if deep {
        source.param("image_d", image[0]);
        source.param("result_h", result[1]);
        source.param("pad_d", spec.pad[0]);
    }
    source.param("image_h", image[1]);
    source.param("image_w", image[2]);
    source.param("image_pixels", image.iter().product());
    source.param("image_channels", channels);
    source.param("group_channels", channels / spec.groups);
    source.param("result_w", result[2]);
    source.param("result_pixels", result.iter().product());
    source.param("pad_h", spec.pad[1]);
    source.param("pad_w", spec.pad[2]);
    let tail = Tile::tail(part, product);
    let quads = part.outer / 4;
    let mut side = Side::default();
    let _ = writeln!(side.setup, "let b_quad = t % {quads}u;");
    for lane in LANES {
        let place = LANES.iter().position(|l| *l == lane).unwrap_or(0);
        let _ = writeln!(
            side.setup,
            "let column_{lane} = min({} + b_quad * 4u + {place}u, p.n - 1u);\n\
             let picture_{lane} = column_{lane} / p.result_pixels;\n\
             let pixel_{lane} = column_{lane} - picture_{lane} * p.result_pixels;\n\
             {}\
             let base_{lane} = p.image_offset + \
             (picture_{lane} * p.image_channels + b * p.group_channels) * p.image_pixels;",
            part.origin,
            rows(deep, lane)
        );
        let line = if deep { "line" } else { "row" };
        let column = format!("(pixel_{lane} - {line}_{lane} * p.result_w)");
        if deep {
            let _ = if forward {
                writeln!(side.setup, "let z_{lane} = slab_{lane} * {sd}u - p.pad_d;")
            } else {
                writeln!(side.setup, "let z_{lane} = slab_{lane} + p.pad_d;")
            };
        }
        if forward {
            let _ = writeln!(
                side.setup,
                "let y_{lane} = row_{lane} * {sh}u - p.pad_h;\nlet x_{lane} = {column} * {sw}u - p.pad_w;"
            );
        } else {
            let _ = writeln!(
                side.setup,
                "let y_{lane} = row_{lane} + p.pad_h;\nlet x_{lane} = {column} + p.pad_w;"
            );
        }
    }
    for i in 0..part.quads() {
        let _ = writeln!(
            side.setup,
            "var b_reg{i}: vec4<f32>;\nlet b_k{i} = (t + {}u) / {quads}u;\nlet b_outer{i} = b_quad;",
            i * part.threads
        );
        let k = if tail { format!("min(k0 + b_k{i}, p.k - 1u)") } else { format!("k0 + b_k{i}") };
        let _ = writeln!(
            side.fetch,
            "{{\n\
             let k = {k};\n\
             let c = k / {window}u;\n\
             {}\
             let plane = c * p.image_pixels;",
            window_place(deep, geometry.window(), kh, kw),
            window = geometry.window()
        );
        let whole = if tail { format!("(k0 + b_k{i} < end) & ") } else { String::new() };
        for lane in LANES {
            let depth = if deep { format!("(f_{lane} < p.image_d) & ") } else { String::new() };
            if deep && forward {
                let _ = writeln!(side.fetch, "let f_{lane} = z_{lane} + q * {dd}u;");
            } else if deep {
                let _ = writeln!(
                    side.fetch,
                    "let far_z_{lane} = z_{lane} - q * {dd}u;\nlet f_{lane} = far_z_{lane} / {sd}u;"
                );
            }
            if forward {
                let _ = writeln!(
                    side.fetch,
                    "let v_{lane} = y_{lane} + r * {dh}u;\nlet u_{lane} = x_{lane} + s * {dw}u;\n\
                     let in_{lane} = {whole}{depth}(v_{lane} < p.image_h) & (u_{lane} < p.image_w);"
                );
            } else {
                let depth =
                    if deep { format!("{depth}(f_{lane} * {sd}u == far_z_{lane}) & ") } else { depth };
                let _ = writeln!(
                    side.fetch,
                    "let far_y_{lane} = y_{lane} - r * {dh}u;\nlet far_x_{lane} = x_{lane} - s * {dw}u;\n\
                     let v_{lane} = far_y_{lane} / {sh}u;\nlet u_{lane} = far_x_{lane} / {sw}u;\n\
                     let in_{lane} = {whole}{depth}(v_{lane} < p.image_h) & (u_{lane} < p.image_w) & \
                     (v_{lane} * {sh}u == far_y_{lane}) & (u_{lane} * {sw}u == far_x_{lane});"
                );
            }
            let _ = writeln!(
                side.fetch,
                "let at_{lane} = base_{lane} + select(0u, plane + {} * p.image_w + u_{lane}, in_{lane});",
                row_of(deep, &format!("f_{lane}"), &format!("v_{lane}"))
            );
        }
        let items = LANES.map(|lane| format!("select(0.0f, image[at_{lane}], in_{lane})"));
        let _ = writeln!(side.fetch, "b_reg{i} = vec4<f32>({});\n}}", items.join(", "));
        stash_outer(&mut side, "b", i, part);
    }
    side
}

/// The statements that take a pixel of the result apart into rows, and slabs of them.
fn rows(deep: bool, lane: &str) -> String {
    if deep {
        format!(
            "let line_{lane} = pixel_{lane} / p.result_w;\n\
             let slab_{lane} = line_{lane} / p.result_h;\n\
             let row_{lane} = line_{lane} - slab_{lane} * p.result_h;\n"
        )
    } else {
        format!("let row_{lane} = pixel_{lane} / p.result_w;\n")
    }
}

/// The statements that take `k` apart into an element of the window of channel `c`.
fn window_place(deep: bool, window: u32, kh: u32, kw: u32) -> String {
    let area = kh * kw;
    if deep {
        format!(
            "let element = k - c * {window}u;\n\
             let q = element / {area}u;\n\
             let r = (element - q * {area}u) / {kw}u;\n\
             let s = element - q * {area}u - r * {kw}u;\n"
        )
    } else {
        format!("let r = (k - c * {area}u) / {kw}u;\nlet s = k - c * {area}u - r * {kw}u;\n")
    }
}

/// The row of an image of slabs of rows.
fn row_of(deep: bool, slab: &str, row: &str) -> String {
    if deep { format!("({slab} * p.image_h + {row})") } else { row.to_owned() }
}

/// The left side of the input's gradient: row `c`, column `(o, r, s)` of the weights.
pub(super) fn transposed_weights(
    source: &mut Source,
    geometry: &Geometry<'_>,
    part: &Part,
    product: &Product,
) -> Side {
    let window = geometry.window();
    source.storage(Slot::Read(1), "weights", stored(geometry.spec.elements[1], false));
    source.signed("weights_offset", geometry.spec.offsets[1]);
    source.param("weights_o", geometry.cg() * window);
    let tail = Tile::tail(part, product);
    let quads = part.depth / 4;
    let mut side = Side::default();
    for i in 0..part.quads() {
        let _ = writeln!(
            side.setup,
            "var a_reg{i}: vec4<f32>;\n\
             let a_outer{i} = (t + {0}u) / {quads}u;\n\
             let a_k{i} = ((t + {0}u) % {quads}u) * 4u;\n\
             let a_at{i} = p.weights_offset + b * (p.k / {window}u) * p.weights_o + \
             min({1} + a_outer{i}, p.m - 1u) * {window}u;",
            i * part.threads,
            part.origin
        );
        let items: Vec<String> = (0..4)
            .map(|lane| {
                let k = format!("(k0 + a_k{i} + {lane}u)");
                let inside = if tail { format!("min({k}, p.k - 1u)") } else { k.clone() };
                let item =
                    format!("weights[a_at{i} + ({inside} / {window}u) * p.weights_o + {inside} % {window}u]");
                if tail { format!("select(0.0f, {item}, {k} < end)") } else { item }
            })
            .collect();
        let _ = writeln!(side.fetch, "a_reg{i} = vec4<f32>({});", items.join(", "));
        stash_depth(&mut side, "a", i, part);
    }
    side
}

/// The left side of the weights' gradient: row `o`, column `(picture, pixel)` of the output's gradient.
pub(super) fn output_pixels(
    source: &mut Source,
    geometry: &Geometry<'_>,
    part: &Part,
    product: &Product,
) -> Side {
    let spec = geometry.spec;
    let wide = spec.offsets[1] % 4 == 0 && geometry.output().is_multiple_of(4);
    source.storage(Slot::Read(1), "output", stored(spec.elements[1], wide));
    source.signed("output_offset", spec.offsets[1]);
    source.param("output_pixels", geometry.output());
    source.param("output_channels", spec.o);
    let tail = Tile::tail(part, product);
    let quads = part.depth / 4;
    let mut side = Side::default();
    for i in 0..part.quads() {
        let _ = writeln!(
            side.setup,
            "var a_reg{i}: vec4<f32>;\n\
             let a_outer{i} = (t + {0}u) / {quads}u;\n\
             let a_k{i} = ((t + {0}u) % {quads}u) * 4u;\n\
             let a_row{i} = b * p.m + min({1} + a_outer{i}, p.m - 1u);",
            i * part.threads,
            part.origin
        );
        let at = |k: &str| {
            format!(
                "p.output_offset + (({k} / p.output_pixels) * p.output_channels + a_row{i}) * \
                 p.output_pixels + {k} % p.output_pixels"
            )
        };
        let k = format!("(k0 + a_k{i})");
        if wide {
            let inside = if tail { format!("min({k}, p.k - 4u)") } else { k.clone() };
            let item = format!("output[({}) >> 2u]", at(&inside));
            let text = if tail { format!("select(vec4<f32>(0.0f), {item}, {k} < end)") } else { item };
            let _ = writeln!(side.fetch, "a_reg{i} = {text};");
        } else {
            let items: Vec<String> = (0..4)
                .map(|lane| {
                    let k = format!("({k} + {lane}u)");
                    let inside = if tail { format!("min({k}, p.k - 1u)") } else { k.clone() };
                    let item = format!("output[{}]", at(&inside));
                    if tail { format!("select(0.0f, {item}, {k} < end)") } else { item }
                })
                .collect();
            let _ = writeln!(side.fetch, "a_reg{i} = vec4<f32>({});", items.join(", "));
        }
        stash_depth(&mut side, "a", i, part);
    }
    side
}

/// The right side of the weights' gradient: row `(picture, pixel)`, column `(c, r, s)`: the input under
/// element `(r, s)` of that pixel's window. Four neighbouring output pixels a register.
pub(super) fn window_patches(
    source: &mut Source,
    geometry: &Geometry<'_>,
    part: &Part,
    product: &Product,
) -> Side {
    let spec = geometry.spec;
    let deep = spec.is_deep();
    let [_, kh, kw] = spec.kernel;
    let [sd, sh, sw] = spec.stride;
    let [dd, dh, dw] = spec.dilation;
    let area = kh * kw;
    source.storage(Slot::Read(0), "image", stored(spec.elements[0], false));
    source.signed("image_offset", spec.offsets[0]);
    if deep {
        source.param("image_d", spec.input[0]);
        source.param("result_d", spec.output[0]);
        source.param("pad_d", spec.pad[0]);
    }
    source.param("image_h", spec.input[1]);
    source.param("image_w", spec.input[2]);
    source.param("image_pixels", geometry.input());
    source.param("image_channels", spec.c);
    source.param("group_channels", geometry.cg());
    source.param("result_h", spec.output[1]);
    source.param("result_w", spec.output[2]);
    source.param("pad_h", spec.pad[1]);
    source.param("pad_w", spec.pad[2]);
    let tail = Tile::tail(part, product);
    let quads = part.depth / 4;
    let mut side = Side::default();
    let _ = writeln!(side.setup, "let b_k = (t % {quads}u) * 4u;");
    for i in 0..part.quads() {
        let (slab, slabs) = if deep {
            let slab = format!(
                "let b_q{i} = (b_column{i} - b_c{i} * {}u) / {area}u;\nlet b_z{i} = b_q{i} * {dd}u - p.pad_d;\n",
                geometry.window()
            );
            (slab, format!(" - b_q{i} * {area}u"))
        } else {
            (String::new(), String::new())
        };
        let _ = writeln!(
            side.setup,
            "var b_reg{i}: vec4<f32>;\n\
             let b_k{i} = b_k;\n\
             let b_outer{i} = (t + {0}u) / {quads}u;\n\
             let b_column{i} = min({1} + b_outer{i}, p.n - 1u);\n\
             let b_c{i} = b_column{i} / {window}u;\n\
             {slab}\
             let b_r{i} = (b_column{i} - b_c{i} * {window}u{slabs}) / {kw}u;\n\
             let b_x{i} = (b_column{i} - b_c{i} * {window}u{slabs} - b_r{i} * {kw}u) * {dw}u - p.pad_w;\n\
             let b_y{i} = b_r{i} * {dh}u - p.pad_h;\n\
             let b_at{i} = p.image_offset + (b * p.group_channels + b_c{i}) * p.image_pixels;",
            i * part.threads,
            part.origin,
            window = geometry.window()
        );
    }
    side.fetch.push_str("{\nlet k_x = k0 + b_k;\nlet line_x = k_x / p.result_w;\n");
    side.fetch.push_str(if deep {
        "let slabs_x = line_x / p.result_h;\n\
         let picture_x = slabs_x / p.result_d;\n\
         let column_x = k_x - line_x * p.result_w;\n\
         let row_x = line_x - slabs_x * p.result_h;\n\
         let slab_x = slabs_x - picture_x * p.result_d;\n"
    } else {
        "let picture_x = line_x / p.result_h;\n\
         let column_x = k_x - line_x * p.result_w;\n\
         let row_x = line_x - picture_x * p.result_h;\n"
    });
    for pair in LANES.windows(2) {
        let (before, lane) = (pair[0], pair[1]);
        let _ = writeln!(
            side.fetch,
            "let wrap_{lane} = column_{before} + 1u == p.result_w;\n\
             let column_{lane} = select(column_{before} + 1u, 0u, wrap_{lane});\n\
             let down_{lane} = row_{before} + select(0u, 1u, wrap_{lane});\n\
             let over_{lane} = down_{lane} == p.result_h;\n\
             let row_{lane} = select(down_{lane}, 0u, over_{lane});"
        );
        let ends = if deep {
            let _ = writeln!(
                side.fetch,
                "let deeper_{lane} = slab_{before} + select(0u, 1u, over_{lane});\n\
                 let ends_{lane} = deeper_{lane} == p.result_d;\n\
                 let slab_{lane} = select(deeper_{lane}, 0u, ends_{lane});"
            );
            "ends"
        } else {
            "over"
        };
        let _ =
            writeln!(side.fetch, "let picture_{lane} = picture_{before} + select(0u, 1u, {ends}_{lane});");
    }
    for i in 0..part.quads() {
        for (place, lane) in LANES.iter().enumerate() {
            let whole = if tail { format!("(k_x + {place}u < end) & ") } else { String::new() };
            let depth = if deep {
                let _ = writeln!(side.fetch, "let f{i}_{lane} = slab_{lane} * {sd}u + b_z{i};");
                format!("(f{i}_{lane} < p.image_d) & ")
            } else {
                String::new()
            };
            let row = row_of(deep, &format!("f{i}_{lane}"), &format!("v{i}_{lane}"));
            let _ = writeln!(
                side.fetch,
                "let v{i}_{lane} = row_{lane} * {sh}u + b_y{i};\n\
                 let u{i}_{lane} = column_{lane} * {sw}u + b_x{i};\n\
                 let in{i}_{lane} = {whole}{depth}(v{i}_{lane} < p.image_h) & (u{i}_{lane} < p.image_w);\n\
                 let at{i}_{lane} = b_at{i} + select(0u, \
                 picture_{lane} * p.image_channels * p.image_pixels + {row} * p.image_w + \
                 u{i}_{lane}, in{i}_{lane});"
            );
        }
        let items = LANES.map(|lane| format!("select(0.0f, image[at{i}_{lane}], in{i}_{lane})"));
        let _ = writeln!(side.fetch, "b_reg{i} = vec4<f32>({});", items.join(", "));
        stash_depth(&mut side, "b", i, part);
    }
    side.fetch.push_str("}\n");
    side
}
