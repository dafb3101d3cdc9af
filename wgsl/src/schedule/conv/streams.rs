//! The operands of an implicit product, loaded lane by lane. All three convolutions walk the sum as three
//! nested counts (channel, row, column of the window; or picture, row, column of the output), and what a lane
//! loads is its own place plus what the counts add; the counts advance without divisions.

use std::fmt::Write as _;

use super::Geometry;
use super::runs::runs;
use crate::kernel::Slot;
use crate::schedule::ConvKind;
use crate::schedule::contract::lanes::{Block, Columns, Stream};
use crate::schedule::source::Source;

/// Both operands: rows are channels of the result, columns its pixels or, for the gradient of the weights,
/// elements of the window.
pub(super) fn streams(source: &mut Source, geometry: &Geometry<'_>, block: &Block) -> (Stream, Stream) {
    let spec = geometry.spec;
    let weights = spec.kind == ConvKind::WeightGradient;
    let forward = spec.kind == ConvKind::Forward;
    let (image_slot, other_slot) = (0, 1);
    source.storage(Slot::Read(image_slot), "image", "f32");
    source.storage(Slot::Read(other_slot), "other", "f32");
    source.signed("image_offset", spec.offsets[image_slot]);
    source.signed("other_offset", spec.offsets[other_slot]);
    let (cg, og, window) = (geometry.cg(), geometry.og(), geometry.window());
    let (image, channels) =
        if spec.kind == ConvKind::InputGradient { (spec.output, spec.o) } else { (spec.input, spec.c) };
    let result = if forward { spec.output } else { spec.input };
    let counts = if weights { spec.output } else { spec.kernel };
    let pixels = image[0] * image[1];
    let (row, group, skip) = match spec.kind {
        ConvKind::Forward => (cg * window, og * cg * window, 0),
        ConvKind::InputGradient => (window, og * cg * window, (cg - 1) * window),
        ConvKind::WeightGradient => {
            let output = geometry.output();
            (output, og * output, (spec.o - 1) * output)
        }
    };
    for (name, value) in [
        ("image_h", image[0]),
        ("image_w", image[1]),
        ("image_pixels", pixels),
        ("image_channels", channels),
        ("group_channels", channels / spec.groups),
        ("result_w", result[1]),
        ("result_pixels", result[0] * result[1]),
        ("pad_h", spec.pad[0]),
        ("pad_w", spec.pad[1]),
        ("count_y", counts[0]),
        ("count_x", counts[1]),
        ("plane", if weights { spec.c * pixels } else { pixels }),
        ("other_row", row),
        ("other_group", group),
        ("other_skip", skip),
    ] {
        source.param(name, value);
    }
    let columns = match block.columns {
        Columns::Quads(_) => columns(geometry, block),
        Columns::Runs { length, count, total } => {
            source.param("runs", total);
            source.param("runs_across", if weights { 1 } else { result[1].div_ceil(length) });
            source.param("result_h", result[0]);
            runs(geometry, block, length, count)
        }
    };
    (rows(block), columns)
}

/// The counts at `k` and the operand without an image: its elements follow each other, with a skip after
/// each turn of the outer count.
fn rows(block: &Block) -> Stream {
    let mut setup = String::from(
        "let lines = first / p.count_x;\n\
         var outer = lines / p.count_y;\n\
         var count_x = first - lines * p.count_x;\n\
         var count_y = lines - outer * p.count_y;\n\
         var other_k = first + outer * p.other_skip;\n",
    );
    let mut fetch = String::new();
    for load in 0..block.row_loads() {
        let _ = writeln!(
            setup,
            "let a_at{load} = p.other_offset + b * p.other_group + min({}, p.m - 1u) * p.other_row;",
            block.row(load)
        );
        let _ = writeln!(fetch, "let a{load} = other[a_at{load} + other_k];");
    }
    let advance = String::from(
        "count_x += 1u;\n\
         let line_ends = count_x == p.count_x;\n\
         count_x = select(count_x, 0u, line_ends);\n\
         count_y += select(0u, 1u, line_ends);\n\
         let plane_ends = count_y == p.count_y;\n\
         count_y = select(count_y, 0u, plane_ends);\n\
         outer += select(0u, 1u, plane_ends);\n\
         other_k += select(1u, 1u + p.other_skip, plane_ends);\n",
    );
    Stream { setup, fetch, advance }
}

/// The elements of the image: 0 outside.
fn columns(geometry: &Geometry<'_>, block: &Block) -> Stream {
    let spec = geometry.spec;
    let [sh, sw] = spec.stride;
    let [dh, dw] = spec.dilation;
    let strided = spec.kind == ConvKind::InputGradient && spec.stride != [1, 1];
    let mut setup = String::new();
    for place in 0..block.width() {
        let column = block.column(place);
        let _ = match spec.kind {
            ConvKind::Forward => writeln!(
                setup,
                "{}let y{place} = row{place} * {sh}u - p.pad_h;\n\
                 let x{place} = (pixel{place} - row{place} * p.result_w) * {sw}u - p.pad_w;",
                pixel(place, &column)
            ),
            ConvKind::InputGradient => writeln!(
                setup,
                "{}let y{place} = row{place} + p.pad_h;\n\
                 let x{place} = pixel{place} - row{place} * p.result_w + p.pad_w;",
                pixel(place, &column)
            ),
            ConvKind::WeightGradient => writeln!(
                setup,
                "let column{place} = min({column}, p.n - 1u);\n\
                 let c{place} = column{place} / {window}u;\n\
                 let r{place} = (column{place} - c{place} * {window}u) / {kw}u;\n\
                 let y{place} = r{place} * {dh}u - p.pad_h;\n\
                 let x{place} = (column{place} - c{place} * {window}u - r{place} * {kw}u) * {dw}u - p.pad_w;\n\
                 let b_at{place} = p.image_offset + (b * p.group_channels + c{place}) * p.image_pixels;",
                window = geometry.window(),
                kw = spec.kernel[1]
            ),
        };
    }
    let [step_y, step_x] = match spec.kind {
        ConvKind::Forward | ConvKind::InputGradient => [dh, dw],
        ConvKind::WeightGradient => [sh, sw],
    };
    let mut fetch = format!(
        "let step_y = count_y * {step_y}u;\n\
         let step_x = count_x * {step_x}u;\n\
         let plane = outer * p.plane;\n"
    );
    let sign = if spec.kind == ConvKind::InputGradient { "-" } else { "+" };
    for place in 0..block.width() {
        if strided {
            let _ = writeln!(
                fetch,
                "let far_y{place} = y{place} - step_y;\nlet far_x{place} = x{place} - step_x;\n\
                 let v{place} = far_y{place} / {sh}u;\nlet u{place} = far_x{place} / {sw}u;\n\
                 let in{place} = (v{place} < p.image_h) & (u{place} < p.image_w) & \
                 (v{place} * {sh}u == far_y{place}) & (u{place} * {sw}u == far_x{place});"
            );
        } else {
            let _ = writeln!(
                fetch,
                "let v{place} = y{place} {sign} step_y;\nlet u{place} = x{place} {sign} step_x;\n\
                 let in{place} = (v{place} < p.image_h) & (u{place} < p.image_w);"
            );
        }
        let _ = writeln!(
            fetch,
            "var b{place} = 0.0f;\n\
             if (in{place}) {{ b{place} = image[b_at{place} + plane + v{place} * p.image_w + u{place}]; }}"
        );
    }
    Stream { setup, fetch, advance: String::new() }
}

/// The statements that take a column apart into picture, row and pixel of the result.
fn pixel(place: u32, column: &str) -> String {
    format!(
        "let column{place} = min({column}, p.n - 1u);\n\
         let picture{place} = column{place} / p.result_pixels;\n\
         let pixel{place} = column{place} - picture{place} * p.result_pixels;\n\
         let row{place} = pixel{place} / p.result_w;\n\
         let b_at{place} = p.image_offset + \
         (picture{place} * p.image_channels + b * p.group_channels) * p.image_pixels;\n"
    )
}
