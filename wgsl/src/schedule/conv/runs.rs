//! The image of a convolution streamed in runs: a lane has neighbouring pixels of one row (or, for the
//! gradient of the weights, one row of a window), so that from one step of the sum to the next its values
//! move by one place and only one of them is loaded.

use std::fmt::Write as _;

use super::Geometry;
use crate::schedule::ConvKind;
use crate::schedule::contract::lanes::{Block, Columns, Stream};

/// Shorter sums are not worth their longer end.
const SHORT: u32 = 200;

/// Rows of a block, so that with about [`WIDTH`] columns a lane its sums stay in the first cache.
const ROWS: u32 = 32;

/// Columns of a lane.
const WIDTH: u32 = 15;

/// The block of a large convolution whose values can move: `[z, m, n, k]` are the extents of its product.
pub(super) fn block(geometry: &Geometry<'_>, &[z, m, n, k]: &[u32; 4], lanes: u32) -> Option<Block> {
    let spec = geometry.spec;
    let weights = spec.kind == ConvKind::WeightGradient;
    let along = if weights { spec.output[2] } else { spec.kernel[2] };
    let moves = !spec.is_deep() && spec.stride == [1; 3] && spec.dilation == [1; 3] && along >= 3;
    if !moves || k < SHORT || !Block::is_large(z, m, n, k) {
        return None;
    }
    let (length, total) = if weights {
        (spec.kernel[2], geometry.cg() * spec.kernel[1])
    } else {
        let [_, height, width] = if spec.kind == ConvKind::Forward { spec.output } else { spec.input };
        let length = (4..=8u32).rev().min_by_key(|length| width.next_multiple_of(*length))?;
        (length, spec.n * height * width.div_ceil(length))
    };
    if length > WIDTH {
        return None;
    }
    let count = (WIDTH / length).min(total.div_ceil(lanes));
    let columns = Columns::Runs { length, count, total };
    Some(Block { rows: m.next_multiple_of(lanes).min(ROWS), columns, lanes, parts: 1 })
}

/// The text that streams the image; the counts are those of [`super::streams`].
pub(super) fn runs(geometry: &Geometry<'_>, block: &Block, length: u32, count: u32) -> Stream {
    let kind = geometry.spec.kind;
    let mut stream = Stream {
        setup: String::new(),
        fetch: String::from("let fresh = (count_x == 0u) | (k == first);\nlet plane = outer * p.plane;\n"),
        advance: String::new(),
    };
    for run in 0..count {
        let number = block.run(run);
        let _ = writeln!(stream.setup, "let run{run} = min({number}, p.runs - 1u);");
        let _ = match kind {
            ConvKind::WeightGradient => writeln!(
                stream.setup,
                "let run{run}_left = select(0u, {length}u, {number} < p.runs);\n\
                 let run{run}_column = run{run} * {length}u;\n\
                 let c{run} = run{run} / {kh}u;\n\
                 let y{run} = (run{run} - c{run} * {kh}u) - p.pad_h;\n\
                 let x{run} = 0u - p.pad_w;\n\
                 let run{run}_at = p.image_offset + (b * p.group_channels + c{run}) * p.image_pixels;",
                kh = geometry.spec.kernel[1]
            ),
            ConvKind::Forward | ConvKind::InputGradient => {
                let sign = if kind == ConvKind::Forward { "-" } else { "+" };
                writeln!(
                    stream.setup,
                    "let line{run} = run{run} / p.runs_across;\n\
                     let left{run} = (run{run} - line{run} * p.runs_across) * {length}u;\n\
                     let run{run}_left = select(0u, p.result_w - left{run}, {number} < p.runs);\n\
                     let run{run}_column = line{run} * p.result_w + left{run};\n\
                     let picture{run} = line{run} / p.result_h;\n\
                     let y{run} = line{run} - picture{run} * p.result_h {sign} p.pad_h;\n\
                     let x{run} = left{run} {sign} p.pad_w;\n\
                     let run{run}_at = p.image_offset + \
                     (picture{run} * p.image_channels + b * p.group_channels) * p.image_pixels;"
                )
            }
        };
        for j in 0..length {
            let _ = writeln!(stream.setup, "var b{} = 0.0f;", run * length + j);
        }
        one_run(&mut stream, kind == ConvKind::InputGradient, run, length);
    }
    stream
}

/// The loads of a run at one step, and its move to the next; a gradient of the input moves backwards.
fn one_run(stream: &mut Stream, backwards: bool, run: u32, length: u32) {
    let place = |j: u32| run * length + j;
    let sign = if backwards { "-" } else { "+" };
    let newest = if backwards { 0 } else { length - 1 };
    let _ = writeln!(
        stream.fetch,
        "let v{run} = y{run} {sign} count_y;\n\
         let u{run} = x{run} {sign} count_x;\n\
         let lies{run} = v{run} < p.image_h;\n\
         let row{run}_at = run{run}_at + plane + v{run} * p.image_w;\n\
         if (fresh) {{"
    );
    let load = |j: u32| {
        format!(
            "b{0} = 0.0f;\n\
             if (lies{run} & (u{run} + {j}u < p.image_w)) {{ b{0} = image[row{run}_at + u{run} + {j}u]; }}",
            place(j)
        )
    };
    for j in (0..length).filter(|&j| j != newest) {
        let _ = writeln!(stream.fetch, "{}", load(j));
    }
    let _ = writeln!(stream.fetch, "}}\n{}", load(newest));
    if backwards {
        for j in (1..length).rev() {
            let _ = writeln!(stream.advance, "b{} = b{};", place(j), place(j - 1));
        }
    } else {
        for j in 1..length {
            let _ = writeln!(stream.advance, "b{} = b{};", place(j - 1), place(j));
        }
    }
}
