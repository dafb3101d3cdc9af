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
    /// The columns that each lane computes.
    pub(crate) columns: Columns,
    /// Lanes of a subgroup; with 1 there are no broadcasts.
    pub(crate) lanes: u32,
    /// Parts of columns; with several, a lane has four columns of each.
    pub(crate) parts: u32,
}

/// The columns of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// So many groups of four neighbours.
    Quads(u32),
    /// Whole runs of `length` neighbours, `count` of them, of `total` that there are.
    Runs {
        /// Columns of a run.
        length: u32,
        /// Runs of a lane.
        count: u32,
        /// Runs in all; numbered, and taken apart by the operand's text.
        total: u32,
    },
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
        let (most_rows, most_quads) = if Block::is_large(z, m, n, k) { (64, 2) } else { (16, 1) };
        Block {
            rows: m.next_multiple_of(lanes).min(most_rows),
            columns: Columns::Quads(n.div_ceil(lanes * 4).min(most_quads)),
            lanes,
            parts: 1,
        }
    }

    /// A block of four columns of every part for each lane.
    pub(crate) fn in_parts(m: u32, parts: u32, lanes: u32) -> Block {
        let rows = m.next_multiple_of(lanes).min(if parts > 2 { 8 } else { 16 }.max(lanes));
        Block { rows, columns: Columns::Quads(parts), lanes, parts }
    }

    /// Whether a product is worth a large block.
    pub(crate) fn is_large(z: u32, m: u32, n: u32, k: u32) -> bool {
        u64::from(z) * u64::from(m) * u64::from(n) * u64::from(k) >= SMALL
    }

    /// Columns of one lane.
    pub(crate) fn width(&self) -> u32 {
        match self.columns {
            Columns::Quads(count) => count * 4,
            Columns::Runs { length, count, .. } => length * count,
        }
    }

    /// Blocks that `n` columns take.
    fn across(&self, n: u32) -> u32 {
        match self.columns {
            Columns::Quads(count) => n.div_ceil(self.lanes * 4 * count / self.parts),
            Columns::Runs { count, total, .. } => total.div_ceil(self.lanes * count),
        }
    }

    /// How the sum is split so that there are some dozens of subgroups.
    pub(crate) fn splits(&self, z: u32, m: u32, n: u32, k: u32) -> Splits {
        let blocks = z.saturating_mul(m.div_ceil(self.rows)).saturating_mul(self.across(n));
        Splits::of(k, 16u32.div_ceil(blocks).min((k / 128).max(1)), 4)
    }

    /// The row of the left operand that a lane loads as its `load`-th.
    pub(crate) fn row(&self, load: u32) -> String {
        format!("m0 + {}u + lane", load * self.lanes)
    }

    /// The column of the right operand that a lane has as its `place`-th, where lanes have groups of four.
    pub(crate) fn column(&self, place: u32) -> String {
        let quad = if self.parts > 1 { 0 } else { place / 4 };
        format!("n0 + {}u", quad * self.lanes * 4 + place % 4)
    }

    /// The number of a lane's run, where lanes have runs.
    pub(crate) fn run(&self, run: u32) -> String {
        format!("n0 + {}u", run * self.lanes)
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
    let blocks_n = block.across(product.n);
    let (span, own) = match block.columns {
        Columns::Quads(count) => (block.lanes * 4 * count / block.parts, 4),
        Columns::Runs { count, .. } => (block.lanes * count, 1),
    };
    let (count_m, count_n) = (source.param("blocks_m", blocks_m), source.param("blocks_n", blocks_n));
    let mut body = String::new();
    let _ = writeln!(
        body,
        "let lane = local.x;\n\
         let row_of_blocks = group / {count_n};\n\
         let n0 = (group - row_of_blocks * {count_n}) * {span}u + lane * {own}u;\n\
         let z = row_of_blocks / {count_m};\n\
         let m0 = (row_of_blocks - z * {count_m}) * {}u;\n\
         let part = z / p.z;\n\
         let b = z - part * p.z;\n\
         let first = part * p.chunk;\n\
         let end = min(first + p.chunk, p.k);",
        block.rows
    );
    body.push_str(&a.setup);
    body.push_str(&b.setup);
    for row in 0..block.rows {
        for place in 0..block.width() {
            let _ = writeln!(body, "var sum{row}_{place} = 0.0f;");
        }
    }
    let _ = writeln!(body, "for (var k = first; k < end; k += 1u) {{");
    body.push_str(&a.fetch);
    body.push_str(&b.fetch);
    for row in 0..block.rows {
        let (load, lane) = (row / block.lanes, row % block.lanes);
        let item = match block.lanes {
            1 => format!("a{load}"),
            _ => format!("subgroupBroadcast(a{load}, {lane}u)"),
        };
        let _ = writeln!(body, "let row{row} = {item};");
        for place in 0..block.width() {
            let _ = writeln!(body, "sum{row}_{place} = fma(row{row}, b{place}, sum{row}_{place});");
        }
    }
    body.push_str(&a.advance);
    body.push_str(&b.advance);
    body.push_str("}\n");
    store(block, &mut body);
    let groups = blocks_m * blocks_n * product.z * product.splits;
    let shape = Shape { workgroup: [block.lanes, 1], groups };
    let title = format!("{name} {}x{} in lanes", block.rows, block.width() * block.lanes);
    source.launch(title, &shape, &body)
}

/// Appends the stores of a block: a loop that stores a few rows and moves the others up, because every store
/// is compiled to a loop of its own. Where lanes have runs, the operand's text has said in `run{run}_column`
/// and `run{run}_left` where a run begins and how many of its columns there are.
fn store(block: &Block, out: &mut String) {
    let group = match block.columns {
        Columns::Quads(_) => block.lanes.min(8),
        Columns::Runs { .. } => block.lanes.min(2),
    };
    let _ = writeln!(out, "for (var i = m0; i < m0 + {}u; i += {group}u) {{", block.rows);
    for row in 0..group {
        match block.columns {
            Columns::Quads(count) if block.parts > 1 => {
                let quad = |quad: u32| {
                    let sums: Vec<String> = (0..4).map(|c| format!("sum{row}_{}", quad * 4 + c)).collect();
                    format!("vec4<f32>({})", sums.join(", "))
                };
                let quads: Vec<String> = (0..count).map(quad).collect();
                let _ = writeln!(out, "store(z, i + {row}u, {}, {});", block.column(0), quads.join(", "));
            }
            Columns::Quads(count) => {
                for quad in 0..count {
                    let sums: Vec<String> = (0..4).map(|c| format!("sum{row}_{}", quad * 4 + c)).collect();
                    let column = block.column(quad * 4);
                    let sums = sums.join(", ");
                    let _ = writeln!(out, "store(z, i + {row}u, {column}, vec4<f32>({sums}));");
                }
            }
            Columns::Runs { length, count, .. } => {
                for run in 0..count {
                    for j in 0..length {
                        let _ = writeln!(
                            out,
                            "if ({j}u < run{run}_left) {{ \
                             store_one(z, i + {row}u, run{run}_column + {j}u, sum{row}_{}); }}",
                            run * length + j
                        );
                    }
                }
            }
        }
    }
    for row in group..block.rows {
        for place in 0..block.width() {
            let _ = writeln!(out, "sum{}_{place} = sum{row}_{place};", row - group);
        }
    }
    out.push_str("}\n");
}
