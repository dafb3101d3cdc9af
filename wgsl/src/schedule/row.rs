//! Reductions along rows with the maps before, between and after them: one launch for a softmax or a layer
//! norm. A row belongs to one workgroup, whose invocations stride along it and combine through workgroup
//! memory in a fixed order; short rows, and all rows where barriers are dear, belong to one invocation.

use std::fmt::Write as _;

use super::combine::{combine, initial};
use super::output::Output;
use super::reads::{Reads, row_space};
use super::source::{Shape, Source};
use super::space::coordinates;
use super::{Reduction, RowSpec};
use crate::expr::Expr;
use crate::kernel::{Schedule, Slot};
use crate::print::{Width, statements};
use crate::profile::Profile;

/// Rows up to this long belong to one invocation.
const SHORT: u32 = 32;

/// The launch that computes `spec`. Slots are its reads, then its writes: rows' first, then elements'.
#[must_use]
pub fn row(spec: &RowSpec, profile: &Profile) -> Schedule {
    let (space, kept) = row_space(spec);
    let rows: u32 = space.extents[..kept].iter().product();
    let length: u32 = space.extents[kept..].iter().product();
    let threads = threads(length, profile);
    let shared = threads > 1;
    let mut source = Source::default();
    let mut body = String::new();
    let row_count = source.param("rows", rows);
    let row_number = if shared { "group" } else { "group * 32u + local.x" };
    let _ = writeln!(body, "let row = {row_number};\nif (row >= {row_count}) {{ return; }}");
    let kept_coords = coordinates(&mut source, &space.extents[..kept], "row", "c", Width::One, &mut body);
    let mut exprs: Vec<&Expr> = spec.steps.iter().map(|step| &step.expr).collect();
    exprs.extend([&spec.row_expr, &spec.element_expr]);
    let mut reads = Reads::declare(&mut source, &space, kept, &exprs);
    reads.load_fixed(&kept_coords, &mut body);
    if shared {
        source.declare(&format!("var<workgroup> partial: array<f32, {threads}>;\n"));
    }
    let walk = Walk::along(&mut source, &space.extents[kept..], threads);
    let mut steps: Vec<String> = Vec::new();
    for (s, step) in spec.steps.iter().enumerate() {
        let total = format!("step{s}");
        let _ = writeln!(body, "var {total}_sum = {};", initial(step.reduction));
        walk.each(&kept_coords, &mut body, |coords, out| {
            let values = reads.load(&step.expr, coords, &steps, out);
            let value = &statements(&step.expr, &values, Width::One, "t", out)[0];
            let _ =
                writeln!(out, "{total}_sum = {};", combine(step.reduction, &format!("{total}_sum"), value));
        });
        if shared {
            combine_workgroup(step.reduction, threads, &total, &mut body);
        } else {
            let _ = writeln!(body, "let {total} = {total}_sum;");
        }
        steps.push(total);
    }
    let row_writes = spec.row_writes.len();
    if row_writes > 0 {
        let guard = if shared { "if (local.x == 0u) {\n" } else { "{\n" };
        body.push_str(guard);
        let results = statements(&spec.row_expr, &reads.of_row(&steps), Width::One, "t", &mut body);
        for (k, value) in results.iter().enumerate() {
            Output::declare(&mut source, &format!("w{k}"), &space.writes[k], Slot::Write(k), Width::One)
                .store(&kept_coords, Width::One, value, &mut body);
        }
        body.push_str("}\n");
    }
    if !spec.element_writes.is_empty() {
        let outputs: Vec<Output> = (row_writes..space.writes.len())
            .map(|k| {
                Output::declare(&mut source, &format!("w{k}"), &space.writes[k], Slot::Write(k), Width::One)
            })
            .collect();
        walk.each(&kept_coords, &mut body, |coords, out| {
            let values = reads.load(&spec.element_expr, coords, &steps, out);
            let results = statements(&spec.element_expr, &values, Width::One, "t", out);
            for (output, value) in outputs.iter().zip(&results) {
                output.store(coords, Width::One, value, out);
            }
        });
    }
    let shape = if shared {
        Shape { workgroup: [threads, 1], groups: rows }
    } else {
        Shape { workgroup: [32, 1], groups: rows.div_ceil(32) }
    };
    let launch = source.launch(format!("row {threads}"), &shape, &body);
    Schedule { launches: vec![launch], scratch: Vec::new() }
}

/// Invocations that share a row, a power of 2.
fn threads(length: u32, profile: &Profile) -> u32 {
    if !profile.cheap_barriers || length <= SHORT {
        return 1;
    }
    match length {
        0..=255 => 64,
        256..=1023 => 128,
        1024..=8191 => 256,
        _ => profile.invocations.clamp(256, 1024),
    }
}

/// The loop over a row.
struct Walk {
    extents: Vec<String>,
    length: String,
    /// The innermost extent.
    last: u32,
    threads: u32,
}

impl Walk {
    fn along(source: &mut Source, extents: &[u32], threads: u32) -> Walk {
        let length = source.param("length", extents.iter().product());
        let last = extents.last().copied().unwrap_or(1);
        let extents =
            extents.iter().enumerate().map(|(a, &e)| source.param(&format!("row_extent{a}"), e)).collect();
        Walk { extents, length, last, threads }
    }

    /// Appends the coordinates of a place in the row.
    fn decode(&self, place: &str, keyword: &str, out: &mut String) {
        let mut rest = place.to_owned();
        for (a, extent) in self.extents.iter().enumerate().skip(1).rev() {
            let _ = writeln!(
                out,
                "let rest{a} = {rest} / {extent};\n{keyword} j{a} = {rest} - rest{a} * {extent};"
            );
            rest = format!("rest{a}");
        }
        if !self.extents.is_empty() {
            let _ = writeln!(out, "{keyword} j0 = {rest};");
        }
    }

    /// Appends the loop with the body that `point` writes, given all coordinates.
    fn each(&self, kept: &[String], out: &mut String, point: impl FnOnce(&[String], &mut String)) {
        let mut coords = kept.to_vec();
        let rank = self.extents.len();
        coords.extend((0..rank).map(|a| format!("j{a}")));
        if self.threads == 1 {
            for (a, extent) in self.extents.iter().enumerate() {
                let _ = writeln!(out, "for (var j{a} = 0u; j{a} < {extent}; j{a} += 1u) {{");
            }
            if rank == 0 {
                out.push_str("{\n");
            }
            point(&coords, out);
            out.push_str(&"}\n".repeat(rank.max(1)));
            return;
        }
        let carries = rank > 1 && self.last.saturating_mul(4) >= self.threads;
        if carries {
            out.push_str("{\n");
            self.decode("local.x", "var", out);
        }
        let _ =
            writeln!(out, "for (var flat = local.x; flat < {}; flat += {}u) {{", self.length, self.threads);
        if !carries {
            self.decode("flat", "let", out);
        }
        point(&coords, out);
        if carries {
            let _ = writeln!(out, "j{} += {}u;", rank - 1, self.threads);
            for a in (1..rank).rev() {
                let extent = &self.extents[a];
                let _ = writeln!(out, "while (j{a} >= {extent}) {{ j{a} -= {extent}; j{} += 1u; }}", a - 1);
            }
            out.push_str("}\n");
        }
        out.push_str("}\n");
    }
}

/// Appends the combination of `{total}_sum` over a workgroup, in a fixed order, as `{total}`.
fn combine_workgroup(reduction: Reduction, threads: u32, total: &str, out: &mut String) {
    let sum = combine(reduction, "partial[local.x]", "partial[local.x + half]");
    let _ = writeln!(
        out,
        "partial[local.x] = {total}_sum;\n\
         workgroupBarrier();\n\
         for (var half = {}u; half > 0u; half = half >> 1u) {{\n\
         if (local.x < half) {{ partial[local.x] = {sum}; }}\n\
         workgroupBarrier();\n\
         }}\n\
         let {total} = partial[0];\n\
         workgroupBarrier();",
        threads / 2
    );
}
