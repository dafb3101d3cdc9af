//! A matrix product without workgroup memory, for software drivers: each invocation computes a block of the
//! result straight from storage. There a load costs about as much for each element as arithmetic does, so
//! blocks are as large as registers and their spills allow.

use std::fmt::Write as _;

use super::dense::{Dense, DenseNames, Order};
use super::tile::{Product, Splits};
use crate::kernel::Launch;
use crate::schedule::source::{LANES, Shape, Source};

/// Invocations a workgroup.
const WORKGROUP: u32 = 16;

/// The block of one invocation, in elements; both a multiple of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    m: u32,
    n: u32,
}

impl Block {
    pub(crate) fn choose(m: u32, n: u32) -> Block {
        let fit = |extent: u32| if extent > 4 { 8 } else { 4 };
        Block { m: fit(m), n: fit(n) }
    }

    /// How the sum is split so that there are some hundred invocations.
    pub(crate) fn splits(&self, z: u32, m: u32, n: u32, k: u32) -> Splits {
        let blocks = z.saturating_mul(m.div_ceil(self.m)).saturating_mul(n.div_ceil(self.n));
        Splits::of(k, 128u32.div_ceil(blocks).min((k / 128).max(1)), 4)
    }
}

/// The launch; `source` has the product's parameters and `store`.
pub(crate) fn registers(
    mut source: Source,
    left: &Dense,
    right: &Dense,
    product: &Product,
    block: &Block,
) -> Launch {
    let (order_a, wide_a) = left.order(product.k);
    let (order_b, wide_b) = right.order(product.k);
    let a = left.declare(&mut source, "a_matrix", wide_a);
    let b = right.declare(&mut source, "b_matrix", wide_b);
    let depth = if product.k.is_multiple_of(4) && product.chunk.is_multiple_of(4) { 4 } else { 1 };
    let blocks_m = product.m.div_ceil(block.m);
    let blocks_n = product.n.div_ceil(block.n);
    let (count_m, count_n) = (source.param("blocks_m", blocks_m), source.param("blocks_n", blocks_n));
    let total = blocks_m * blocks_n * product.z * product.splits;
    let count = source.param("blocks", total);
    let mut body = String::new();
    let _ = writeln!(
        body,
        "let block = group * {WORKGROUP}u + local.x;\n\
         if (block >= {count}) {{ return; }}\n\
         let row_of_blocks = block / {count_n};\n\
         let n0 = (block - row_of_blocks * {count_n}) * {}u;\n\
         let z = row_of_blocks / {count_m};\n\
         let m0 = (row_of_blocks - z * {count_m}) * {}u;\n\
         let part = z / p.z;\n\
         let b = z - part * p.z;\n\
         let first = part * p.chunk;\n\
         let end = min(first + p.chunk, p.k);",
        block.n, block.m
    );
    let left = Loads { name: "a", matrix: left, names: &a, order: order_a, wide: wide_a, count: block.m };
    let right = Loads { name: "b", matrix: right, names: &b, order: order_b, wide: wide_b, count: block.n };
    left.setup("m0", &mut body);
    right.setup("n0", &mut body);
    for row in 0..block.m {
        for quad in 0..block.n / 4 {
            let _ = writeln!(body, "var sum{row}_{quad} = vec4<f32>(0.0f);");
        }
    }
    let _ = writeln!(body, "for (var k = first; k < end; k += {depth}u) {{");
    left.load_depth(depth, &mut body);
    right.load_depth(depth, &mut body);
    for step in 0..depth {
        left.load_outer(step, &mut body);
        right.load_outer(step, &mut body);
        for quad in 0..block.n / 4 {
            let items: Vec<String> = (0..4).map(|lane| right.item(quad * 4 + lane, step)).collect();
            let _ = writeln!(body, "let column{step}_{quad} = vec4<f32>({});", items.join(", "));
        }
        for row in 0..block.m {
            for quad in 0..block.n / 4 {
                let _ = writeln!(
                    body,
                    "sum{row}_{quad} = fma(vec4<f32>({}), column{step}_{quad}, sum{row}_{quad});",
                    left.item(row, step)
                );
            }
        }
    }
    body.push_str("}\n");
    for row in 0..block.m {
        for quad in 0..block.n / 4 {
            let _ = writeln!(body, "store(z, m0 + {row}u, n0 + {}u, sum{row}_{quad});", quad * 4);
        }
    }
    let shape = Shape { workgroup: [WORKGROUP, 1], groups: total.div_ceil(WORKGROUP) };
    source.launch(format!("contract {}x{} in registers", block.m, block.n), &shape, &body)
}

/// The loads of one operand.
struct Loads<'a> {
    name: &'static str,
    matrix: &'a Dense,
    names: &'a DenseNames,
    order: Order,
    wide: bool,
    count: u32,
}

impl Loads<'_> {
    fn along_outer(&self) -> bool {
        self.wide && self.order == Order::Outer
    }

    fn along_depth(&self) -> bool {
        self.wide && self.order == Order::Depth
    }

    /// The address of each row (or group of four) at the start of the sum; rows outside repeat the last.
    fn setup(&self, origin: &str, out: &mut String) {
        let name = self.name;
        let DenseNames { extent, offset, batch, outer, .. } = self.names;
        let _ = writeln!(out, "let {name}_start = {offset} + b * {batch};");
        if self.along_outer() {
            for quad in 0..self.count / 4 {
                let first = quad * 4;
                let _ = writeln!(
                    out,
                    "let {name}_at{quad} = {name}_start + min({origin} + {first}u, {extent} - 4u);"
                );
            }
        } else {
            for row in 0..self.count {
                let _ = writeln!(
                    out,
                    "let {name}_at{row} = {name}_start + min({origin} + {row}u, {extent} - 1u) * {outer};"
                );
            }
        }
    }

    /// The loads of four neighbours along the sum at once.
    fn load_depth(&self, depth: u32, out: &mut String) {
        let name = self.name;
        if self.along_depth() && depth == 4 {
            for row in 0..self.count {
                let _ = writeln!(out, "let {name}{row} = {name}_matrix[({name}_at{row} + k) >> 2u];");
            }
        }
    }

    /// The loads at `k + step` alone.
    fn load_outer(&self, step: u32, out: &mut String) {
        let name = self.name;
        let k = &self.names.k;
        if self.along_depth() {
            return;
        }
        let _ = writeln!(out, "let {name}_k{step} = (k + {step}u){k};");
        if self.along_outer() {
            for quad in 0..self.count / 4 {
                let _ = writeln!(
                    out,
                    "let {name}{quad}_{step} = {name}_matrix[({name}_at{quad} + {name}_k{step}) >> 2u];"
                );
            }
        } else {
            for row in 0..self.count {
                let at = format!("{name}_at{row} + {name}_k{step}");
                let text = self.matrix.at(&format!("{name}_matrix"), &at);
                let _ = writeln!(out, "let {name}{row}_{step} = {text};");
            }
        }
    }

    /// The text of element `row` at `k + step`.
    fn item(&self, row: u32, step: u32) -> String {
        let name = self.name;
        if self.along_depth() {
            format!("{name}{row}.{}", LANES[step as usize])
        } else if self.along_outer() {
            format!("{name}{}_{step}.{}", row / 4, LANES[(row % 4) as usize])
        } else {
            format!("{name}{row}_{step}")
        }
    }
}
