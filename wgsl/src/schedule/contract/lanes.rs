//! A product without workgroup memory, for software drivers: a subgroup computes a block of the result, its
//! lanes load different rows of the left operand and different columns of the right one, and the rows reach
//! all lanes by broadcasts.
//!
//! A software driver loads lane by lane, and each element costs as much as some ten vector operations. So
//! no element is loaded by two lanes, and each serves a whole row or column of a large block; what does not
//! fit the registers is spilled, which costs far less.

use std::fmt::Write as _;

use super::tile::{Product, Splits};
use crate::kernel::Launch;
use crate::schedule::source::{Shape, Source};

/// Products of fewer multiplications take a small block.
const SMALL: u64 = 8 << 20;

/// The block of one subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Rows, a multiple of the number of lanes.
    pub(crate) rows: u32,
    /// Groups of four columns that each lane computes.
    pub(crate) quads: u32,
    /// Lanes of a subgroup; with 1 there are no broadcasts.
    pub(crate) lanes: u32,
}

/// The text that loads one operand; every lane loads other elements.
pub(crate) struct Stream {
    /// Statements before the loop.
    pub(crate) setup: String,
    /// Statements at the head of each turn of the loop: the loads at `k`.
    pub(crate) fetch: String,
    /// Statements at the end of each turn.
    pub(crate) advance: String,
}

impl Block {
    /// A large block loads less and compiles longer, so small products take a small one.
    pub(crate) fn choose(z: u32, m: u32, n: u32, k: u32, lanes: u32) -> Block {
        let work = u64::from(z) * u64::from(m) * u64::from(n) * u64::from(k);
        let (most_rows, most_quads) = if work < SMALL { (16, 1) } else { (64, 2) };
        Block {
            rows: m.next_multiple_of(lanes).min(most_rows),
            quads: n.div_ceil(lanes * 4).min(most_quads),
            lanes,
        }
    }

    /// Columns of the block.
    pub(crate) fn columns(&self) -> u32 {
        self.lanes * self.quads * 4
    }

    /// How the sum is split so that there are some dozens of subgroups.
    pub(crate) fn splits(&self, z: u32, m: u32, n: u32, k: u32) -> Splits {
        let blocks = z.saturating_mul(m.div_ceil(self.rows)).saturating_mul(n.div_ceil(self.columns()));
        Splits::of(k, 16u32.div_ceil(blocks).min((k / 128).max(1)), 4)
    }

    /// The row of the left operand that a lane loads as its `load`-th.
    pub(crate) fn row(&self, load: u32) -> String {
        format!("m0 + {}u + lane", load * self.lanes)
    }

    /// The column of the right operand that a lane has as its `place`-th.
    pub(crate) fn column(&self, place: u32) -> String {
        format!("n0 + {}u", (place / 4) * self.lanes * 4 + place % 4)
    }

    /// Loads of rows in a turn of the loop.
    pub(crate) fn row_loads(&self) -> u32 {
        self.rows / self.lanes
    }
}

/// The launch. `source` has the product's parameters and `store`; the fetch of `a` makes `a{load}` for each
/// load of rows, that of `b` makes `b{place}` for each of a lane's columns.
pub(crate) fn lanes(
    mut source: Source,
    name: &str,
    a: &Stream,
    b: &Stream,
    product: &Product,
    block: &Block,
) -> Launch {
    let blocks_m = product.m.div_ceil(block.rows);
    let blocks_n = product.n.div_ceil(block.columns());
    let (count_m, count_n) = (source.param("blocks_m", blocks_m), source.param("blocks_n", blocks_n));
    let mut body = String::new();
    let _ = writeln!(
        body,
        "let lane = local.x;\n\
         let row_of_blocks = group / {count_n};\n\
         let n0 = (group - row_of_blocks * {count_n}) * {}u + lane * 4u;\n\
         let z = row_of_blocks / {count_m};\n\
         let m0 = (row_of_blocks - z * {count_m}) * {}u;\n\
         let part = z / p.z;\n\
         let b = z - part * p.z;\n\
         let first = part * p.chunk;\n\
         let end = min(first + p.chunk, p.k);",
        block.columns(),
        block.rows
    );
    body.push_str(&a.setup);
    body.push_str(&b.setup);
    for row in 0..block.rows {
        for quad in 0..block.quads {
            let _ = writeln!(body, "var sum{row}_{quad} = vec4<f32>(0.0f);");
        }
    }
    let _ = writeln!(body, "for (var k = first; k < end; k += 1u) {{");
    body.push_str(&a.fetch);
    body.push_str(&b.fetch);
    for quad in 0..block.quads {
        let items: Vec<String> = (0..4).map(|c| format!("b{}", quad * 4 + c)).collect();
        let _ = writeln!(body, "let columns{quad} = vec4<f32>({});", items.join(", "));
    }
    for row in 0..block.rows {
        let (load, lane) = (row / block.lanes, row % block.lanes);
        let item = match block.lanes {
            1 => format!("a{load}"),
            _ => format!("subgroupBroadcast(a{load}, {lane}u)"),
        };
        let _ = writeln!(body, "let row{row} = vec4<f32>({item});");
        for quad in 0..block.quads {
            let _ = writeln!(body, "sum{row}_{quad} = fma(row{row}, columns{quad}, sum{row}_{quad});");
        }
    }
    body.push_str(&a.advance);
    body.push_str(&b.advance);
    body.push_str("}\n");
    for row in 0..block.rows {
        for quad in 0..block.quads {
            let _ = writeln!(body, "store(z, m0 + {row}u, {}, sum{row}_{quad});", block.column(quad * 4));
        }
    }
    let groups = blocks_m * blocks_n * product.z * product.splits;
    let shape = Shape { workgroup: [block.lanes, 1], groups };
    source.launch(format!("{name} {}x{} in lanes", block.rows, block.columns()), &shape, &body)
}
