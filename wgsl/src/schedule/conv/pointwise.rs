//! The image side of a convolution with a window of one element, no steps and no padding: four neighbouring
//! pixels are four neighbouring words, loaded at once.

use std::fmt::Write as _;

use super::Geometry;
use crate::kernel::Slot;
use crate::schedule::contract::tile::{Part, Product, Side, Tile};
use crate::schedule::contract::{stash_depth, stash_outer};
use crate::schedule::source::Source;
use crate::schedule::stored::stored;

/// Whether the image of this convolution can be loaded so.
pub(super) fn is_pointwise(geometry: &Geometry<'_>) -> bool {
    let spec = geometry.spec;
    spec.kernel == [1; 3]
        && spec.stride == [1; 3]
        && spec.pad == [0; 3]
        && spec.offsets[0] % 4 == 0
        && geometry.input().is_multiple_of(4)
}

/// The right side of a convolution or of its input's gradient: columns are pixels; `channels` are those of
/// the image.
pub(super) fn pixels_across(
    source: &mut Source,
    geometry: &Geometry<'_>,
    channels: u32,
    part: &Part,
    product: &Product,
) -> Side {
    declare(source, geometry, channels);
    let tail = Tile::tail(part, product);
    let quads = part.outer / 4;
    let mut side = Side::default();
    let _ = writeln!(
        side.setup,
        "let b_quad = t % {quads}u;\n\
         let b_column = min({} + b_quad * 4u, p.n - 4u);\n\
         let b_picture = b_column / p.image_pixels;\n\
         let b_at = p.image_offset + b_picture * p.image_plane + b * p.image_group + \
         b_column - b_picture * p.image_pixels;",
        part.origin
    );
    for i in 0..part.quads() {
        let _ = writeln!(
            side.setup,
            "var b_reg{i}: vec4<f32>;\nlet b_k{i} = (t + {}u) / {quads}u;\nlet b_outer{i} = b_quad;",
            i * part.threads
        );
        let text = if tail {
            format!(
                "select(vec4<f32>(0.0f), \
                 image[(b_at + min(k0 + b_k{i}, p.k - 1u) * p.image_pixels) >> 2u], k0 + b_k{i} < end)"
            )
        } else {
            format!("image[(b_at + (k0 + b_k{i}) * p.image_pixels) >> 2u]")
        };
        let _ = writeln!(side.fetch, "b_reg{i} = {text};");
        stash_outer(&mut side, "b", i, part);
    }
    side
}

/// The right side of the weights' gradient: columns are input channels, the sum runs over pixels.
pub(super) fn pixels_along(
    source: &mut Source,
    geometry: &Geometry<'_>,
    part: &Part,
    product: &Product,
) -> Side {
    declare(source, geometry, geometry.spec.c);
    let tail = Tile::tail(part, product);
    let quads = part.depth / 4;
    let mut side = Side::default();
    let _ = writeln!(side.setup, "let b_k = (t % {quads}u) * 4u;");
    let k = if tail { "min(k0 + b_k, p.k - 4u)" } else { "k0 + b_k" };
    let _ = writeln!(
        side.fetch,
        "let b_pixel = {k};\n\
         let b_picture = b_pixel / p.image_pixels;\n\
         let b_add = b_picture * p.image_plane + b_pixel - b_picture * p.image_pixels;"
    );
    for i in 0..part.quads() {
        let _ = writeln!(
            side.setup,
            "var b_reg{i}: vec4<f32>;\n\
             let b_k{i} = b_k;\n\
             let b_outer{i} = (t + {0}u) / {quads}u;\n\
             let b_at{i} = p.image_offset + b * p.image_group + \
             min({1} + b_outer{i}, p.n - 1u) * p.image_pixels;",
            i * part.threads,
            part.origin
        );
        let item = format!("image[(b_at{i} + b_add) >> 2u]");
        let text = if tail { format!("select(vec4<f32>(0.0f), {item}, k0 + b_k < end)") } else { item };
        let _ = writeln!(side.fetch, "b_reg{i} = {text};");
        stash_depth(&mut side, "b", i, part);
    }
    side.fetch = format!("{{\n{}}}\n", side.fetch);
    side
}

fn declare(source: &mut Source, geometry: &Geometry<'_>, channels: u32) {
    let pixels = geometry.input();
    source.storage(Slot::Read(0), "image", stored(geometry.spec.elements[0], true));
    source.signed("image_offset", geometry.spec.offsets[0]);
    source.param("image_pixels", pixels);
    source.param("image_plane", channels * pixels);
    source.param("image_group", channels / geometry.spec.groups * pixels);
}
