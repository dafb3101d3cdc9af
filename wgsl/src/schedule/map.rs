//! Elementwise work: one invocation computes one point, or four along the last axis.

use std::fmt::Write as _;

use super::MapSpec;
use super::address::{Reach, reach};
use super::operand::Operand;
use super::origin::Origin;
use super::output::Output;
use super::source::{Shape, Source};
use super::space::{Space, coordinates};
use crate::expr::Expr;
use crate::kernel::{Launch, Schedule, Slot};
use crate::print::{Width, statements};
use crate::profile::Profile;

/// The launch that computes `spec`; slots are its reads and writes.
#[must_use]
pub fn map(spec: &MapSpec, profile: &Profile) -> Schedule {
    let origins =
        spec.reads.iter().enumerate().map(|(slot, read)| Origin::Read(read.clone(), slot)).collect();
    let space = Space { extents: spec.extents.clone(), origins, writes: spec.writes.clone() };
    Schedule { launches: vec![map_launch("map", space, &spec.expr, profile)], scratch: Vec::new() }
}

/// A map whose operands may also be partial results; operand `k` of `expr` is `space.origins[k]`.
pub(crate) fn map_launch(name: &str, space: Space, expr: &Expr, profile: &Profile) -> Launch {
    let (space, _) = space.coalesce(0);
    let width = width(&space);
    let points = if width == Width::Four { space.count() / 4 } else { space.count() };
    let workgroup = if profile.cheap_barriers { 128 } else { 64 };
    let mut source = Source::default();
    let mut body = String::new();
    let count = source.param("count", points);
    let _ = writeln!(
        body,
        "let point = group * {workgroup}u + local.x;\n\
         if (point >= {count}) {{ return; }}"
    );
    let coords = coordinates(&mut source, &space.extents, "point", "c", width, &mut body);
    let values: Vec<String> = space
        .origins
        .iter()
        .enumerate()
        .map(|(k, origin)| {
            if !expr.uses(k) {
                return String::new();
            }
            Operand::declare(&mut source, &format!("r{k}"), origin, &space.extents, width)
                .load(&coords, width, "", &mut body)
        })
        .collect();
    let results = statements(expr, &values, width, "t", &mut body);
    for (k, (write, value)) in space.writes.iter().zip(&results).enumerate() {
        Output::declare(&mut source, &format!("w{k}"), write, Slot::Write(k), width)
            .store(&coords, width, value, &mut body);
    }
    let lanes = if width == Width::Four { " of 4" } else { "" };
    let title = format!("{name} {} axes{lanes}", space.extents.len());
    source.launch(title, &Shape { workgroup: [workgroup, 1], groups: points.div_ceil(workgroup) }, &body)
}

/// Four at once where some result is stored four at once.
fn width(space: &Space) -> Width {
    let fits = space.extents.last().is_some_and(|extent| extent % 4 == 0);
    let pays = space.writes.iter().any(|write| reach(&write.place) == Reach::Unit);
    if fits && pays { Width::Four } else { Width::One }
}
