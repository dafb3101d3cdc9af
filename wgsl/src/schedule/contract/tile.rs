//! The tile core of a matrix product: a workgroup keeps `bm x bk` and `bk x bn` parts of the operands in its
//! memory, each invocation a `tm x tn` block of the result in registers. The next parts are fetched into
//! registers while the present ones are multiplied. Where the parts come from is the caller's text: a dense
//! matrix, or the patches of an image.

use std::fmt::Write as _;

use crate::kernel::Launch;
use crate::profile::Profile;
use crate::schedule::source::{LANES, Shape, Source};

/// The extents of a product and how its sum is split.
pub(crate) struct Product {
    /// Independent products.
    pub(crate) z: u32,
    pub(crate) m: u32,
    pub(crate) n: u32,
    pub(crate) k: u32,
    /// The part of `k` that one split sums, a multiple of the tile's depth unless there is one split.
    pub(crate) chunk: u32,
    pub(crate) splits: u32,
    /// Parts of `n` columns each that an invocation has together.
    pub(crate) parts: u32,
    /// Whether both operands are stored matrices, which are fetched with few instructions.
    pub(crate) dense: bool,
}

/// The texts of the extents in the parameter block.
pub(crate) struct Names {
    pub(crate) m: String,
    pub(crate) n: String,
}

/// How a sum is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Splits {
    pub(crate) count: u32,
    pub(crate) chunk: u32,
}

impl Splits {
    /// `wanted` splits of `k`, in multiples of `unit`.
    pub(crate) fn of(k: u32, wanted: u32, unit: u32) -> Splits {
        let chunk = k.div_ceil(wanted.max(1)).next_multiple_of(unit);
        let count = k.div_ceil(chunk);
        if count == 1 { Splits { count, chunk: k } } else { Splits { count, chunk } }
    }
}

impl Product {
    pub(crate) fn declare(&self, source: &mut Source) -> Names {
        source.param("z", self.z);
        source.param("k", self.k);
        source.param("chunk", self.chunk);
        Names { m: source.param("m", self.m), n: source.param("n", self.n) }
    }

    /// Where partial results lie over `[split * z, m, n]`.
    pub(crate) fn partial_strides(&self) -> Vec<i64> {
        vec![i64::from(self.m) * i64::from(self.n), i64::from(self.n), 1]
    }

    /// Whether the last part along `k` of some split is not whole.
    fn has_tail(&self, depth: u32) -> bool {
        !self.k.is_multiple_of(depth) || !self.chunk.is_multiple_of(depth)
    }
}

/// The extents of a tile, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    bm: u32,
    bn: u32,
    bk: u32,
    tm: u32,
    tn: u32,
    /// Parts of columns, `bn / parts` of each; with several, an invocation has four columns of every part.
    parts: u32,
    /// Groups of invocations that share the sum: each takes a part of `bk` and, in the end, some of the rows.
    slices: u32,
}

/// One operand's part of a tile.
pub(crate) struct Part {
    /// Elements along the result's axis.
    pub(crate) outer: u32,
    /// Elements along the sum.
    pub(crate) depth: u32,
    /// Invocations that fetch it.
    pub(crate) threads: u32,
    /// The text of the first row or column of the tile.
    pub(crate) origin: &'static str,
    /// Equal parts of `outer` that lie apart in memory.
    pub(crate) parts: u32,
}

impl Part {
    /// Groups of four elements that each invocation fetches.
    pub(crate) fn quads(&self) -> u32 {
        self.outer * self.depth / 4 / self.threads
    }

    /// The text of a row or column of the result, and of the number of its part where there are several, from the
    /// text of its place in the tile.
    pub(crate) fn locate(&self, place: &str) -> (String, Option<String>) {
        if self.parts == 1 {
            return (format!("{} + {place}", self.origin), None);
        }
        let each = self.outer / self.parts;
        (format!("{} + {place} % {each}u", self.origin), Some(format!("{place} / {each}u")))
    }

    /// `vec4`s in a row of workgroup memory; one more than needed keeps banks apart.
    pub(crate) fn pitch(&self) -> u32 {
        self.outer / 4 + 1
    }
}

/// The text that brings one operand's parts: `setup` before the loop, `fetch` the part at `k0` into
/// registers, `stash` them into workgroup memory.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) setup: String,
    pub(crate) fetch: String,
    pub(crate) stash: String,
}

impl Tile {
    const LARGE: Tile = Tile { bm: 128, bn: 128, bk: 16, tm: 8, tn: 8, parts: 1, slices: 1 };
    const MIDDLE: Tile = Tile { bm: 64, bn: 64, bk: 16, tm: 8, tn: 4, parts: 1, slices: 1 };
    const SMALL: Tile = Tile { bm: 32, bn: 32, bk: 16, tm: 4, tn: 4, parts: 1, slices: 1 };

    /// The tile of a product; `alone` where its sum is not split over workgroups though there may be few of them.
    pub(crate) fn choose(product: &Product, alone: bool, profile: &Profile) -> Tile {
        let &Product { z, m, n, parts, dense, .. } = product;
        let small = z.saturating_mul(m.div_ceil(32)).saturating_mul(n.div_ceil(32)) <= profile.processors;
        if parts > 1 || (alone && small) {
            return Tile::in_parts(product, profile);
        }
        Tile::of([z, m, n], dense, profile)
    }

    /// A tile of four columns of every part for each invocation. A small one, unless the product fills the device:
    /// there the sum is shared by groups of invocations, because there are few of them.
    fn in_parts(product: &Product, profile: &Profile) -> Tile {
        let &Product { z, m, n, parts, .. } = product;
        let tile = |bm: u32, each: u32, bk: u32, slices: u32| Tile {
            bm,
            bn: each * parts,
            bk,
            tm: 4,
            tn: 4 * parts,
            parts,
            slices,
        };
        let tiles = u64::from(z) * u64::from(m.div_ceil(64)) * u64::from(n.div_ceil(32));
        match parts {
            1..=4 if tiles >= u64::from(profile.processors) => tile(64, 32, 16, 1),
            1..=4 => tile(32, 16, 32, 4),
            _ => tile(32, 16, 16, 2),
        }
    }

    fn of([z, m, n]: [u32; 3], dense: bool, profile: &Profile) -> Tile {
        let large =
            if profile.workgroup_memory < 17 << 10 { Tile { bk: 8, ..Tile::LARGE } } else { Tile::LARGE };
        if dense && Tile::is_large(z, m, n, profile) {
            large
        } else if m > 32 && n > 32 {
            Tile::MIDDLE
        } else {
            Tile::SMALL
        }
    }

    /// Whether a product fills the device with the largest tiles.
    pub(crate) fn is_large(z: u32, m: u32, n: u32, profile: &Profile) -> bool {
        let Tile { bm, bn, .. } = Tile::LARGE;
        let tiles = u64::from(z) * u64::from(m.div_ceil(bm)) * u64::from(n.div_ceil(bn));
        m >= 96 && n >= 96 && tiles >= u64::from(profile.processors) * 3 / 2
    }

    /// How the sum is split so that there are workgroups enough to hide each other's waiting. Those of an image wait for
    /// memory in every part of their sums: on an H200 a step of Inception v3 took 85 ms with 2 of them for each processor,
    /// 75 with 8, and 76 with 16.
    pub(crate) fn splits([z, m, n]: [u32; 3], k: u32, dense: bool, profile: &Profile) -> Splits {
        let tile = Tile::of([z, m, n], dense, profile);
        let tiles = z.saturating_mul(m.div_ceil(tile.bm)).saturating_mul(n.div_ceil(tile.bn));
        let (full, fill) = if dense { (1, 2) } else { (4, 8) };
        let enough = tiles >= full * profile.processors;
        let wanted = if enough { 1 } else { (fill * profile.processors).div_ceil(tiles) };
        let most = (k / (tile.bk * 4)).clamp(1, 128);
        Splits::of(k, wanted.min(most), tile.bk)
    }

    pub(crate) fn left(&self) -> Part {
        Part { outer: self.bm, depth: self.bk, threads: self.threads(), origin: "m0", parts: 1 }
    }

    pub(crate) fn right(&self) -> Part {
        Part { outer: self.bn, depth: self.bk, threads: self.threads(), origin: "n0", parts: self.parts }
    }

    /// Whether fetches must leave out what lies after `to`.
    pub(crate) fn tail(part: &Part, product: &Product) -> bool {
        product.has_tail(part.depth)
    }

    fn threads(&self) -> u32 {
        self.slice_threads() * self.slices
    }

    /// Invocations that have the whole tile among them.
    fn slice_threads(&self) -> u32 {
        (self.bm / self.tm) * (self.bn / self.tn)
    }

    /// The launch; `source` has the product's parameters and `store`.
    pub(crate) fn launch(
        &self,
        mut source: Source,
        name: &str,
        product: &Product,
        a: &Side,
        b: &Side,
    ) -> Launch {
        let &Tile { bm, bn, bk, tm, tn, parts, slices } = self;
        let slice_threads = self.slice_threads();
        let (left, right) = (self.left(), self.right());
        let (tiles_m, tiles_n) = (product.m.div_ceil(bm), product.n.div_ceil(bn / parts));
        source.declare(&format!(
            "var<workgroup> tile_a: array<vec4<f32>, {}>;\nvar<workgroup> tile_b: array<vec4<f32>, {}>;\n",
            bk * left.pitch(),
            bk * right.pitch()
        ));
        let (count_m, count_n) = (source.param("tiles_m", tiles_m), source.param("tiles_n", tiles_n));
        let mut body = String::new();
        let columns = bn / tn;
        let lane = if slices == 1 { "t" } else { "lane" };
        let _ = writeln!(
            body,
            "let t = local.x;\n\
             let row_of_tiles = group / {count_n};\n\
             let n0 = (group - row_of_tiles * {count_n}) * {}u;\n\
             let z = row_of_tiles / {count_m};\n\
             let m0 = (row_of_tiles - z * {count_m}) * {bm}u;\n\
             let part = z / p.z;\n\
             let b = z - part * p.z;\n\
             let first = part * p.chunk;\n\
             let end = min(first + p.chunk, p.k);\n\
             {}\
             let ty = {lane} / {columns}u;\n\
             let tx = {lane} % {columns}u;",
            bn / parts,
            match slices {
                1 => String::new(),
                _ => format!("let slice = t / {slice_threads}u;\nlet lane = t % {slice_threads}u;\n"),
            }
        );
        body.push_str(&a.setup);
        body.push_str(&b.setup);
        let (rows, quads) = (tm, tn / 4);
        for row in 0..rows {
            for quad in 0..quads {
                let _ = writeln!(body, "var sum{row}_{quad} = vec4<f32>(0.0f);");
            }
        }
        let _ = write!(
            body,
            "var k0 = first;\n{}{}loop {{\n{}{}workgroupBarrier();\nk0 += {bk}u;\nif (k0 < end) {{\n{}{}}}\n",
            a.fetch, b.fetch, a.stash, b.stash, a.fetch, b.fetch
        );
        let depth = bk / slices;
        let _ = match slices {
            1 => writeln!(body, "for (var kk = 0u; kk < {bk}u; kk += 1u) {{"),
            _ => writeln!(body, "for (var kk = slice * {depth}u; kk < (slice + 1u) * {depth}u; kk += 1u) {{"),
        };
        for quad in 0..tm / 4 {
            let step = bm / 4 / (tm / 4);
            let _ = writeln!(body, "let a{quad} = tile_a[kk * {}u + ty + {}u];", left.pitch(), quad * step);
        }
        for quad in 0..quads {
            let step = bn / 4 / quads;
            let _ = writeln!(body, "let b{quad} = tile_b[kk * {}u + tx + {}u];", right.pitch(), quad * step);
        }
        for row in 0..rows {
            for quad in 0..quads {
                let lane = LANES[(row % 4) as usize];
                let _ = writeln!(
                    body,
                    "sum{row}_{quad} = fma(vec4<f32>(a{}.{lane}), b{quad}, sum{row}_{quad});",
                    row / 4
                );
            }
        }
        body.push_str("}\nworkgroupBarrier();\nif (k0 >= end) { break; }\n}\n");
        match slices {
            1 => self.store(&mut body),
            _ => self.store_sliced(&mut body),
        }
        let groups = product.z * product.splits * tiles_m * tiles_n;
        let shape = Shape { workgroup: [self.threads(), 1], groups };
        source.launch(format!("{name} {bm}x{bn}x{bk}"), &shape, &body)
    }

    /// Appends the stores of an invocation's own sums.
    fn store(&self, out: &mut String) {
        let &Tile { bm, bn, tm, tn, parts, .. } = self;
        let quads = tn / 4;
        for row in 0..tm {
            if parts > 1 {
                let sums: String = (0..quads).map(|quad| format!(", sum{row}_{quad}")).collect();
                let _ = writeln!(out, "store(z, m0 + ty * 4u + {row}u, n0 + tx * 4u{sums});");
                continue;
            }
            for quad in 0..quads {
                let i = (row / 4) * (bm / (tm / 4)) + row % 4;
                let j = quad * (bn / quads);
                let _ = writeln!(out, "store(z, m0 + ty * 4u + {i}u, n0 + tx * 4u + {j}u, sum{row}_{quad});");
            }
        }
    }

    /// Appends the stores of sums that are shared by slices: row by row they meet where the right operand's part lay,
    /// and one slice adds them in order and stores them.
    fn store_sliced(&self, out: &mut String) {
        let &Tile { tm, tn, slices, .. } = self;
        let (quads, each) = (tn / 4, self.slice_threads());
        for row in 0..tm {
            for quad in 0..quads {
                let _ = writeln!(out, "tile_b[t * {quads}u + {quad}u] = sum{row}_{quad};");
            }
            let _ = writeln!(out, "workgroupBarrier();\nif (slice == {}u) {{", row % slices);
            for quad in 0..quads {
                let at = |slice: u32| format!("tile_b[(lane + {}u) * {quads}u + {quad}u]", slice * each);
                let terms: Vec<String> = (0..slices).map(at).collect();
                let _ = writeln!(out, "let all{quad} = {};", terms.join(" + "));
            }
            let sums: String = (0..quads).map(|quad| format!(", all{quad}")).collect();
            let _ = writeln!(out, "store(z, m0 + ty * 4u + {row}u, n0 + tx * 4u{sums});\n}}");
            out.push_str("workgroupBarrier();\n");
        }
    }
}
