//! The operands of an implicit product, loaded lane by lane. All three convolutions walk the sum as
//! nested counts (channel, slab, row, column of the window; or picture, slab, row, column of the output), and what a lane
//! loads is its own place plus what the counts add; the counts advance without divisions.

use std::fmt::Write as _;

use super::Geometry;
use super::runs::runs;
use crate::kernel::Slot;
use crate::schedule::ConvKind;
use crate::schedule::contract::lanes::{Block, Columns, Stream};
use crate::schedule::source::Source;
use crate::schedule::stored::stored;

/// Both operands: rows are channels of the result, columns its pixels or, for the gradient of the weights,
/// elements of the window.
pub(super) fn streams(source: &mut Source, geometry: &Geometry<'_>, block: &Block) -> (Stream, Stream) {
    let spec = geometry.spec;
    let weights = spec.kind == ConvKind::WeightGradient;
    let forward = spec.kind == ConvKind::Forward;
    let (image_slot, other_slot) = (0, 1);
    source.storage(Slot::Read(image_slot), "image", stored(spec.elements[image_slot], false));
    source.storage(Slot::Read(other_slot), "other", stored(spec.elements[other_slot], false));
    source.signed("image_offset", spec.offsets[image_slot]);
    source.signed("other_offset", spec.offsets[other_slot]);
    let (cg, og, window) = (geometry.cg(), geometry.og(), geometry.window());
    let (image, channels) =
        if spec.kind == ConvKind::InputGradient { (spec.output, spec.o) } else { (spec.input, spec.c) };
    let result = if forward { spec.output } else { spec.input };
    let counts = if weights { spec.output } else { spec.kernel };
    let pixels = image.iter().product();
    let deep = spec.is_deep();
    let (row, group, skip) = match spec.kind {
        ConvKind::Forward => (cg * window, og * cg * window, 0),
        ConvKind::InputGradient => (window, og * cg * window, (cg - 1) * window),
        ConvKind::WeightGradient => {
            let output = geometry.output();
            (output, og * output, (spec.o - 1) * output)
        }
    };
    for (name, value) in [
        ("image_h", image[1]),
        ("image_w", image[2]),
        ("image_pixels", pixels),
        ("image_channels", channels),
        ("group_channels", channels / spec.groups),
        ("result_w", result[2]),
        ("result_pixels", result.iter().product()),
        ("pad_h", spec.pad[1]),
        ("pad_w", spec.pad[2]),
        ("count_y", counts[1]),
        ("count_x", counts[2]),
        ("plane", if weights { spec.c * pixels } else { pixels }),
        ("other_row", row),
        ("other_group", group),
        ("other_skip", skip),
    ] {
        source.param(name, value);
    }
    if deep {
        source.param("image_d", image[0]);
        source.param("result_h", result[1]);
        source.param("pad_d", spec.pad[0]);
        source.param("count_z", counts[0]);
    }
    let columns = match block.columns {
        Columns::Quads(_) => columns(geometry, block),
        Columns::Runs { length, count, total } => {
            source.param("runs", total);
            source.param("runs_across", if weights { 1 } else { result[2].div_ceil(length) });
            source.param("result_h", result[1]);
            runs(geometry, block, length, count)
        }
    };
    (rows(block, deep), columns)
}

/// The counts at `k` and the operand without an image: its elements follow each other, with a skip after
/// each turn of the outer count.
fn rows(block: &Block, deep: bool) -> Stream {
    let mut setup = String::from(if deep {
        SLABS_SETUP
    } else {
        "let lines = first / p.count_x;\n\
         var outer = lines / p.count_y;\n\
         var count_x = first - lines * p.count_x;\n\
         var count_y = lines - outer * p.count_y;\n\
         var other_k = first + outer * p.other_skip;\n"
    });
    let mut fetch = String::new();
    for load in 0..block.row_loads() {
        let _ = writeln!(
            setup,
            "let a_at{load} = p.other_offset + b * p.other_group + min({}, p.m - 1u) * p.other_row;",
            block.row(load)
        );
        let _ = writeln!(fetch, "let a{load} = other[a_at{load} + other_k];");
    }
    let advance = String::from(if deep {
        SLABS_ADVANCE
    } else {
        "count_x += 1u;\n\
         let line_ends = count_x == p.count_x;\n\
         count_x = select(count_x, 0u, line_ends);\n\
         count_y += select(0u, 1u, line_ends);\n\
         let plane_ends = count_y == p.count_y;\n\
         count_y = select(count_y, 0u, plane_ends);\n\
         outer += select(0u, 1u, plane_ends);\n\
         other_k += select(1u, 1u + p.other_skip, plane_ends);\n"
    });
    Stream { setup, fetch, advance }
}

/// The counts at `first` where there are slabs.
const SLABS_SETUP: &str = "let lines = first / p.count_x;\n\
    let slabs = lines / p.count_y;\n\
    var outer = slabs / p.count_z;\n\
    var count_x = first - lines * p.count_x;\n\
    var count_y = lines - slabs * p.count_y;\n\
    var count_z = slabs - outer * p.count_z;\n\
    var other_k = first + outer * p.other_skip;\n";

/// From one step of the sum to the next where there are slabs.
const SLABS_ADVANCE: &str = "count_x += 1u;\n\
    let line_ends = count_x == p.count_x;\n\
    count_x = select(count_x, 0u, line_ends);\n\
    count_y += select(0u, 1u, line_ends);\n\
    let slab_ends = count_y == p.count_y;\n\
    count_y = select(count_y, 0u, slab_ends);\n\
    count_z += select(0u, 1u, slab_ends);\n\
    let volume_ends = count_z == p.count_z;\n\
    count_z = select(count_z, 0u, volume_ends);\n\
    outer += select(0u, 1u, volume_ends);\n\
    other_k += select(1u, 1u + p.other_skip, volume_ends);\n";

/// The elements of the image: 0 outside.
fn columns(geometry: &Geometry<'_>, block: &Block) -> Stream {
    let spec = geometry.spec;
    let deep = spec.is_deep();
    let [sd, sh, sw] = spec.stride;
    let [dd, dh, dw] = spec.dilation;
    let [_, kh, kw] = spec.kernel;
    let (window, area) = (geometry.window(), kh * kw);
    let line = if deep { "line" } else { "row" };
    let strided = spec.kind == ConvKind::InputGradient && spec.stride != [1; 3];
    let mut setup = String::new();
    for place in 0..block.width() {
        let column = block.column(place);
        let _ = match spec.kind {
            ConvKind::Forward => writeln!(
                setup,
                "{}let y{place} = row{place} * {sh}u - p.pad_h;\n\
                 let x{place} = (pixel{place} - {line}{place} * p.result_w) * {sw}u - p.pad_w;",
                pixel(place, &column, deep)
            ),
            ConvKind::InputGradient => writeln!(
                setup,
                "{}let y{place} = row{place} + p.pad_h;\n\
                 let x{place} = pixel{place} - {line}{place} * p.result_w + p.pad_w;",
                pixel(place, &column, deep)
            ),
            ConvKind::WeightGradient => writeln!(
                setup,
                "let column{place} = min({column}, p.n - 1u);\n\
                 let c{place} = column{place} / {window}u;\n\
                 {}\
                 let r{place} = (column{place} - c{place} * {window}u{slabs}) / {kw}u;\n\
                 let y{place} = r{place} * {dh}u - p.pad_h;\n\
                 let x{place} = (column{place} - c{place} * {window}u{slabs} - r{place} * {kw}u) * {dw}u - p.pad_w;\n\
                 let b_at{place} = p.image_offset + (b * p.group_channels + c{place}) * p.image_pixels;",
                if deep {
                    format!("let q{place} = (column{place} - c{place} * {window}u) / {area}u;\n")
                } else {
                    String::new()
                },
                slabs = if deep { format!(" - q{place} * {area}u") } else { String::new() },
            ),
        };
        if deep {
            let _ = match spec.kind {
                ConvKind::Forward => writeln!(setup, "let z{place} = slab{place} * {sd}u - p.pad_d;"),
                ConvKind::InputGradient => writeln!(setup, "let z{place} = slab{place} + p.pad_d;"),
                ConvKind::WeightGradient => writeln!(setup, "let z{place} = q{place} * {dd}u - p.pad_d;"),
            };
        }
    }
    let [step_z, step_y, step_x] = match spec.kind {
        ConvKind::Forward | ConvKind::InputGradient => spec.dilation,
        ConvKind::WeightGradient => spec.stride,
    };
    let mut fetch = format!(
        "let step_y = count_y * {step_y}u;\n\
         let step_x = count_x * {step_x}u;\n\
         let plane = outer * p.plane;\n"
    );
    if deep {
        let _ = writeln!(fetch, "let step_z = count_z * {step_z}u;");
    }
    let sign = if spec.kind == ConvKind::InputGradient { "-" } else { "+" };
    for place in 0..block.width() {
        let mut depth = String::new();
        if deep && strided {
            let _ = writeln!(
                fetch,
                "let far_z{place} = z{place} - step_z;\nlet f{place} = far_z{place} / {sd}u;"
            );
            depth = format!("(f{place} < p.image_d) & (f{place} * {sd}u == far_z{place}) & ");
        } else if deep {
            let _ = writeln!(fetch, "let f{place} = z{place} {sign} step_z;");
            depth = format!("(f{place} < p.image_d) & ");
        }
        if strided {
            let _ = writeln!(
                fetch,
                "let far_y{place} = y{place} - step_y;\nlet far_x{place} = x{place} - step_x;\n\
                 let v{place} = far_y{place} / {sh}u;\nlet u{place} = far_x{place} / {sw}u;\n\
                 let in{place} = {depth}(v{place} < p.image_h) & (u{place} < p.image_w) & \
                 (v{place} * {sh}u == far_y{place}) & (u{place} * {sw}u == far_x{place});"
            );
        } else {
            let _ = writeln!(
                fetch,
                "let v{place} = y{place} {sign} step_y;\nlet u{place} = x{place} {sign} step_x;\n\
                 let in{place} = {depth}(v{place} < p.image_h) & (u{place} < p.image_w);"
            );
        }
        let row = if deep { format!("(f{place} * p.image_h + v{place})") } else { format!("v{place}") };
        let _ = writeln!(
            fetch,
            "var b{place} = 0.0f;\n\
             if (in{place}) {{ b{place} = image[b_at{place} + plane + {row} * p.image_w + u{place}]; }}"
        );
    }
    Stream { setup, fetch, advance: String::new() }
}

/// The statements that take a column apart into picture, slab, row and pixel of the result.
fn pixel(place: u32, column: &str, deep: bool) -> String {
    let rows = if deep {
        format!(
            "let line{place} = pixel{place} / p.result_w;\n\
             let slab{place} = line{place} / p.result_h;\n\
             let row{place} = line{place} - slab{place} * p.result_h;\n"
        )
    } else {
        format!("let row{place} = pixel{place} / p.result_w;\n")
    };
    format!(
        "let column{place} = min({column}, p.n - 1u);\n\
         let picture{place} = column{place} / p.result_pixels;\n\
         let pixel{place} = column{place} - picture{place} * p.result_pixels;\n\
         {rows}\
         let b_at{place} = p.image_offset + \
         (picture{place} * p.image_channels + b * p.group_channels) * p.image_pixels;\n"
    )
}
