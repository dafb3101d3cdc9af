//! A dense matrix as one operand of a product, seen from its side: `outer` is the axis it shares with the
//! result, `k` the axis that is summed. Loads go four at a time along whichever axis has unit stride.

use std::fmt::Write as _;

use super::lanes::{Block, Stream};
use super::tile::{Part, Product, Side, Tile};
use crate::element::{Element, Scalar};
use crate::kernel::Slot;
use crate::schedule::Matrix;
use crate::schedule::source::{LANES, Source};
use crate::schedule::stored::{element_at, stored};

/// One operand of a product.
pub(crate) struct Dense {
    pub(crate) element: Element,
    pub(crate) slot: Slot,
    pub(crate) extent: u32,
    pub(crate) offset: i64,
    pub(crate) batch: i64,
    pub(crate) outer: i64,
    pub(crate) k: i64,
    /// From one part of the columns to the next.
    pub(crate) part: i64,
}

/// Along which axis four neighbours are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Along the sum.
    Depth,
    /// Along the result's axis.
    Outer,
}

impl Dense {
    pub(crate) fn new(matrix: &Matrix, slot: Slot, extent: u32, outer: i64, k: i64) -> Dense {
        let &Matrix { element, offset, batch, .. } = matrix;
        Dense { element, slot, extent, offset, batch, outer, k, part: 0 }
    }

    /// The same operand as several parts of columns, one after the other.
    pub(crate) fn in_parts(self, parts: u32) -> Dense {
        let part = if parts > 1 { i64::from(self.extent) * self.outer } else { 0 };
        Dense { part, ..self }
    }

    /// The better order, and whether its groups of four are whole aligned words, for a sum over `k`.
    pub(crate) fn order(&self, k: u32) -> (Order, bool) {
        let float = matches!(self.element, Element::F32 | Element::F16);
        let aligned = float && [self.offset, self.batch, self.part].iter().all(|at| at % 4 == 0);
        if self.k == 1 {
            (Order::Depth, aligned && self.outer % 4 == 0 && k.is_multiple_of(4))
        } else {
            (Order::Outer, aligned && self.outer == 1 && self.k % 4 == 0 && self.extent.is_multiple_of(4))
        }
    }

    /// Binds the matrix as `name` and declares its parameters; where `unit`, a unit stride along the sum is
    /// text.
    fn declare(&self, source: &mut Source, name: &str, wide: bool, unit: bool, parts: u32) -> DenseNames {
        source.storage(self.slot, name, stored(self.element, wide));
        DenseNames {
            extent: source.param(&format!("{name}_extent"), self.extent),
            offset: source.signed(&format!("{name}_offset"), self.offset),
            batch: source.signed(&format!("{name}_batch"), self.batch),
            outer: source.signed(&format!("{name}_outer"), self.outer),
            k: if unit && self.k == 1 {
                String::new()
            } else {
                format!(" * {}", source.signed(&format!("{name}_k"), self.k))
            },
            part: if parts > 1 { source.signed(&format!("{name}_part"), self.part) } else { String::new() },
        }
    }

    /// The text of the element at `address`, as `f32`; the binding is scalar.
    pub(crate) fn at(&self, name: &str, address: &str) -> String {
        let text = element_at(self.element, name, address);
        match self.element.scalar() {
            Scalar::F32 => text,
            Scalar::I32 => format!("f32({text})"),
            Scalar::Bool => format!("select(0.0f, 1.0f, {text})"),
        }
    }
}

/// The texts of a matrix's parameters; `k` is a factor `* p.a_k`, empty for 1.
pub(crate) struct DenseNames {
    pub(crate) extent: String,
    pub(crate) offset: String,
    pub(crate) batch: String,
    pub(crate) outer: String,
    pub(crate) k: String,
    /// Empty where there is one part.
    pub(crate) part: String,
}

impl DenseNames {
    /// The text that adds where a part begins; empty where there is one.
    fn part_at(&self, number: Option<String>) -> String {
        number.map_or_else(String::new, |number| format!("({number}) * {} + ", self.part))
    }
}

/// The text that brings parts of `matrix` into workgroup memory `tile_{name}`.
pub(crate) fn dense_side(
    source: &mut Source,
    name: &str,
    matrix: &Dense,
    part: &Part,
    product: &Product,
) -> Side {
    let (order, wide) = matrix.order(product.k);
    let bound = format!("{name}_matrix");
    let names = matrix.declare(source, &bound, wide, true, part.parts);
    let tail = Tile::tail(part, product);
    let mut side = Side::default();
    for i in 0..part.quads() {
        let place = format!("(t + {}u)", i * part.threads);
        let _ = writeln!(side.setup, "var {name}_reg{i}: vec4<f32>;");
        match order {
            Order::Depth => depth_order(&mut side, name, &place, i, matrix, &names, part, tail, wide),
            Order::Outer => outer_order(&mut side, name, &place, i, matrix, &names, part, tail, wide),
        }
    }
    side
}

#[allow(clippy::too_many_arguments)]
fn depth_order(
    side: &mut Side,
    name: &str,
    place: &str,
    i: u32,
    matrix: &Dense,
    names: &DenseNames,
    part: &Part,
    tail: bool,
    wide: bool,
) {
    let bound = format!("{name}_matrix");
    let quads = part.depth / 4;
    let DenseNames { extent, offset, batch, outer, k, .. } = names;
    let (at, inside) = part.locate(&format!("{name}_outer{i}"));
    let inside = names.part_at(inside);
    let _ = writeln!(
        side.setup,
        "let {name}_outer{i} = {place} / {quads}u;\n\
         let {name}_k{i} = ({place} % {quads}u) * 4u;\n\
         let {name}_at{i} = {offset} + b * {batch} + {inside}min({at}, {extent} - 1u) * {outer};"
    );
    let k_at = format!("k0 + {name}_k{i}");
    if wide && tail {
        let _ = writeln!(
            side.fetch,
            "{name}_reg{i} = select(vec4<f32>(0.0f), \
             {bound}[({name}_at{i} + min({k_at}, p.k - 4u)) >> 2u], {k_at} < end);"
        );
    } else if wide {
        let _ = writeln!(side.fetch, "{name}_reg{i} = {bound}[({name}_at{i} + {k_at}) >> 2u];");
    } else {
        let lanes: Vec<String> = (0..4)
            .map(|lane| {
                if tail {
                    let at = format!("{name}_at{i} + min({k_at} + {lane}u, p.k - 1u){k}");
                    format!("select(0.0f, {}, {k_at} + {lane}u < end)", matrix.at(&bound, &at))
                } else {
                    matrix.at(&bound, &format!("{name}_at{i} + ({k_at} + {lane}u){k}"))
                }
            })
            .collect();
        let _ = writeln!(side.fetch, "{name}_reg{i} = vec4<f32>({});", lanes.join(", "));
    }
    stash_depth(side, name, i, part);
}

#[allow(clippy::too_many_arguments)]
fn outer_order(
    side: &mut Side,
    name: &str,
    place: &str,
    i: u32,
    matrix: &Dense,
    names: &DenseNames,
    part: &Part,
    tail: bool,
    wide: bool,
) {
    let bound = format!("{name}_matrix");
    let quads = part.outer / 4;
    let DenseNames { extent, offset, batch, outer, k, .. } = names;
    let first = match part.parts {
        1 => format!("{name}_outer{i} * 4u"),
        _ => format!("({name}_outer{i} * 4u)"),
    };
    let (at, inside) = part.locate(&first);
    let inside = names.part_at(inside);
    let _ = writeln!(
        side.setup,
        "let {name}_k{i} = {place} / {quads}u;\n\
         let {name}_outer{i} = {place} % {quads}u;\n\
         let {name}_first{i} = {at};"
    );
    let (k_at, whole) = if tail {
        (format!("min(k0 + {name}_k{i}, p.k - 1u)"), format!("k0 + {name}_k{i} < end"))
    } else {
        (format!("(k0 + {name}_k{i})"), String::new())
    };
    let text = if wide {
        let _ = writeln!(
            side.setup,
            "let {name}_at{i} = {offset} + b * {batch} + {inside}min({name}_first{i}, {extent} - 4u);"
        );
        format!("{bound}[({name}_at{i} + {k_at}{k}) >> 2u]")
    } else {
        let _ = writeln!(
            side.setup,
            "let {name}_at{i} = vec4<u32>({inside}{offset} + b * {batch}) + min(vec4<u32>({name}_first{i}) + \
             vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>({extent} - 1u)) * {outer};"
        );
        let lanes = LANES.map(|lane| matrix.at(&bound, &format!("{name}_at{i}.{lane} + {k_at}{k}")));
        format!("vec4<f32>({})", lanes.join(", "))
    };
    if tail {
        let _ = writeln!(side.fetch, "{name}_reg{i} = select(vec4<f32>(0.0f), {text}, {whole});");
    } else {
        let _ = writeln!(side.fetch, "{name}_reg{i} = {text};");
    }
    stash_outer(side, name, i, part);
}

/// Stashes register `i`, four neighbours along the sum at `{name}_k{i}` of row `{name}_outer{i}`.
pub(crate) fn stash_depth(side: &mut Side, name: &str, i: u32, part: &Part) {
    for (lane, component) in LANES.iter().enumerate() {
        let _ = writeln!(
            side.stash,
            "tile_{name}[({name}_k{i} + {lane}u) * {}u + ({name}_outer{i} >> 2u)]\
             [{name}_outer{i} & 3u] = {name}_reg{i}.{component};",
            part.pitch()
        );
    }
}

/// Stashes register `i`, four neighbours along the result's axis in group `{name}_outer{i}` at `{name}_k{i}`.
pub(crate) fn stash_outer(side: &mut Side, name: &str, i: u32, part: &Part) {
    let _ = writeln!(
        side.stash,
        "tile_{name}[{name}_k{i} * {}u + {name}_outer{i}] = {name}_reg{i};",
        part.pitch()
    );
}

/// The text that streams `matrix` lane by lane: its rows where it is the left operand, else its columns.
pub(crate) fn dense_stream(source: &mut Source, matrix: &Dense, left: bool, block: &Block) -> Stream {
    let name = if left { "a" } else { "b" };
    let bound = format!("{name}_matrix");
    let parts = if left { 1 } else { block.parts };
    let DenseNames { extent, offset, batch, outer, k, part } =
        matrix.declare(source, &bound, false, false, parts);
    let mut setup = format!("let {name}_start = {offset} + b * {batch};\n");
    let mut fetch = String::new();
    let loads = if left { block.row_loads() } else { block.width() };
    for load in 0..loads {
        let outer_at = if left { block.row(load) } else { block.column(load) };
        let inside = if parts > 1 { format!("{}u * {part} + ", load / 4) } else { String::new() };
        let _ = writeln!(
            setup,
            "let {name}_at{load} = {name}_start + {inside}min({outer_at}, {extent} - 1u) * {outer};"
        );
    }
    for load in 0..loads {
        let text = matrix.at(&bound, &format!("({name}_at{load} + k{k})"));
        let _ = writeln!(fetch, "let {name}{load} = {text};");
    }
    Stream { setup, fetch, advance: String::new() }
}
