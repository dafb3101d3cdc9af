//! Convolutions as implicit matrix products: per group, the result's channels are rows, its pixels (or, for
//! the gradient of the weights, the elements of the window) columns.

use super::patches::{image_patches, output_pixels, transposed_weights, window_patches};
use super::pointwise::{is_pointwise, pixels_across, pixels_along};
use super::runs;
use super::streams::streams;
use super::{Build, Geometry, Parts, merged};
use crate::access::Place;
use crate::kernel::Slot;
use crate::print::Width;
use crate::profile::Profile;
use crate::schedule::ConvKind;
use crate::schedule::contract::lanes::{Block, Columns, lanes};
use crate::schedule::contract::tile::{Product, Side, Tile};
use crate::schedule::contract::{Dense, dense_side};
use crate::schedule::finish::Finish;
use crate::schedule::source::Source;
use crate::schedule::space::Space;

/// The launch, and its partial results where the sum is split or the epilogue's places cannot be walked flat.
pub(super) fn implicit(geometry: &Geometry<'_>, space: &Space, profile: &Profile) -> Build {
    let spec = geometry.spec;
    let (m, n, k) = extents(geometry);
    let z = spec.groups;
    let block = runs::block(geometry, &[z, m, n, k], profile.subgroup)
        .unwrap_or_else(|| Block::choose(z, m, n, k, profile.subgroup));
    let in_runs = !profile.cheap_barriers && matches!(block.columns, Columns::Runs { .. });
    let splits = if profile.cheap_barriers {
        Tile::splits([z, m, n], k, false, profile)
    } else {
        block.splits(z, m, n, k)
    };
    let product = Product { z, m, n, k, chunk: splits.chunk, splits: splits.count, parts: 1, dense: false };
    let merged = if splits.count > 1 { None } else { merged(spec.kind, space) };
    let columns = match spec.kind {
        ConvKind::Forward => geometry.output(),
        ConvKind::InputGradient => geometry.input(),
        ConvKind::WeightGradient => n,
    };
    let mut source = Source::default();
    let names = product.declare(&mut source);
    let width = |extent: u32| {
        if extent.is_multiple_of(4) && !in_runs { Width::Four } else { Width::One }
    };
    if let Some(space) = &merged {
        let finish = Finish::epilogue(&mut source, space, &spec.epilogue.expr, width(columns));
        let pixels = source.param("pixels", columns);
        finish.declare_store(&mut source, &names.m, &names.n, |text| {
            text.push_str("let channel = z * p.m + i;\n");
            if spec.kind == ConvKind::WeightGradient {
                return vec!["channel".to_owned(), "j".to_owned()];
            }
            text.push_str(&format!("let picture = j / {pixels};\nlet pixel = j - picture * {pixels};\n"));
            ["picture", "channel", "pixel"].map(String::from).to_vec()
        });
    } else {
        let finish = Finish::partials(&mut source, product.partial_strides(), width(n));
        finish.declare_store(&mut source, &names.m, &names.n, |_| ["z", "i", "j"].map(String::from).to_vec());
    }
    let name = match spec.kind {
        ConvKind::Forward => "conv",
        ConvKind::InputGradient => "conv input gradient",
        ConvKind::WeightGradient => "conv weight gradient",
    };
    let launch = if profile.cheap_barriers {
        let tile = Tile::choose(&product, false, profile);
        let (a, b) = sides(&mut source, geometry, &tile, &product);
        tile.launch(source, name, &product, &a, &b)
    } else {
        let (a, b) = streams(&mut source, geometry, &block);
        lanes(source, name, &a, &b, &product, &block)
    };
    let parts = merged.is_none().then(|| Parts {
        count: splits.count,
        stride: z * m * n,
        place: Place { offset: 0, strides: partial_strides(geometry, columns, n) },
    });
    (launch, parts)
}

fn extents(geometry: &Geometry<'_>) -> (u32, u32, u32) {
    let batch = geometry.spec.n;
    let (cg, og, window) = (geometry.cg(), geometry.og(), geometry.window());
    match geometry.spec.kind {
        ConvKind::Forward => (og, batch * geometry.output(), cg * window),
        ConvKind::InputGradient => (cg, batch * geometry.input(), og * window),
        ConvKind::WeightGradient => (og, cg * window, batch * geometry.output()),
    }
}

/// Where a part's element lies over the axes of the result.
fn partial_strides(geometry: &Geometry<'_>, columns: u32, n: u32) -> Vec<i64> {
    let sides = &geometry.result()[2..];
    let mut strides = match geometry.spec.kind {
        ConvKind::Forward | ConvKind::InputGradient => vec![columns, n],
        ConvKind::WeightGradient => vec![n, geometry.window()],
    };
    strides.extend((0..sides.len()).map(|axis| sides[axis + 1..].iter().product::<u32>()));
    strides.into_iter().map(i64::from).collect()
}

fn sides(source: &mut Source, geometry: &Geometry<'_>, tile: &Tile, product: &Product) -> (Side, Side) {
    let spec = geometry.spec;
    let (left, right) = (tile.left(), tile.right());
    let image = |source: &mut Source| match spec.kind {
        ConvKind::Forward if is_pointwise(geometry) => {
            pixels_across(source, geometry, spec.c, &right, product)
        }
        ConvKind::InputGradient if is_pointwise(geometry) => {
            pixels_across(source, geometry, spec.o, &right, product)
        }
        ConvKind::WeightGradient if is_pointwise(geometry) => pixels_along(source, geometry, &right, product),
        ConvKind::Forward | ConvKind::InputGradient => image_patches(source, geometry, &right, product),
        ConvKind::WeightGradient => window_patches(source, geometry, &right, product),
    };
    match spec.kind {
        ConvKind::Forward => {
            let weights = Dense {
                element: spec.elements[1],
                slot: Slot::Read(1),
                extent: product.m,
                offset: spec.offsets[1],
                batch: i64::from(product.m) * i64::from(product.k),
                outer: i64::from(product.k),
                k: 1,
                part: 0,
            };
            let a = dense_side(source, "a", &weights, &left, product);
            (a, image(source))
        }
        ConvKind::InputGradient => {
            let a = transposed_weights(source, geometry, &left, product);
            (a, image(source))
        }
        ConvKind::WeightGradient => {
            let a = output_pixels(source, geometry, &left, product);
            (a, image(source))
        }
    }
}
