//! Reductions along rows with the maps before, between and after them: one launch for a softmax or a layer
//! norm. A row belongs to one workgroup, whose invocations stride along it and combine through workgroup
//! memory in a fixed order; short rows, and all rows where barriers are dear, belong to one invocation.

use std::fmt::Write as _;

use super::RowSpec;
use super::combine::{combine, combine_workgroup, initial};
use super::output::Output;
use super::reads::{Reads, row_space};
use super::source::{Shape, Source};
use super::space::coordinates;
use super::walk::Walk;
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
    source.param("length", length);
    let walk = Walk::over(&mut source, "row_extent", &space.extents[kept..], threads);
    let mut steps: Vec<String> = Vec::new();
    for (s, step) in spec.steps.iter().enumerate() {
        let total = format!("step{s}");
        let _ = writeln!(body, "var {total}_sum = {};", initial(step.reduction));
        each_point(&walk, threads, &kept_coords, &mut body, |coords, out| {
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
        each_point(&walk, threads, &kept_coords, &mut body, |coords, out| {
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

/// Appends the loop over a row with the body that `point` writes, given all coordinates.
fn each_point(
    walk: &Walk,
    threads: u32,
    kept: &[String],
    out: &mut String,
    point: impl FnOnce(&[String], &mut String),
) {
    let all = |reduced: &[String]| [kept, reduced].concat();
    if threads > 1 {
        return walk.each(["local.x", "p.length"], out, |reduced, out| point(&all(reduced), out));
    }
    let coords: Vec<String> = (0..walk.extents().len()).map(|a| format!("j{a}")).collect();
    for (j, extent) in coords.iter().zip(walk.extents()) {
        let _ = writeln!(out, "for (var {j} = 0u; {j} < {extent}; {j} += 1u) {{");
    }
    if coords.is_empty() {
        out.push_str("{\n");
    }
    point(&all(&coords), out);
    out.push_str(&"}\n".repeat(coords.len().max(1)));
}
