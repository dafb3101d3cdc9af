//! One reduction per point of a result, over axes that need not be contiguous: statistics of a channel,
//! gradients of a bias. A workgroup is `across` results wide and `along` invocations deep; a long reduction
//! is split over several workgroups, whose partial results a second launch combines in order.

use std::fmt::Write as _;

use super::RowSpec;
use super::combine::{combine, initial};
use super::map::map_launch;
use super::origin::{Origin, Partials};
use super::output::Output;
use super::reads::{Reads, row_space};
use super::source::{Shape, Source};
use super::space::{Space, coordinates};
use super::walk::Walk;
use crate::access::{Place, Read, Write};
use crate::element::Element;
use crate::kernel::{Launch, Schedule, Slot};
use crate::print::{Width, statements};
use crate::profile::Profile;

/// The launches that compute `spec`. Slots are its reads and row writes.
///
/// # Panics
/// If the specification does not have exactly one step, or writes elements.
#[must_use]
pub fn column(spec: &RowSpec, profile: &Profile) -> Schedule {
    assert_eq!(spec.steps.len(), 1, "the column schedule takes one step");
    assert!(spec.element_writes.is_empty(), "the column schedule writes no elements");
    let (space, kept) = row_space(spec);
    let plan = Plan::choose(&space, kept, profile);
    if plan.splits == 1 {
        return Schedule { launches: vec![reduce(spec, &space, kept, &plan)], scratch: Vec::new() };
    }
    let results: u32 = space.extents[..kept].iter().product();
    let padded = results.next_multiple_of(4);
    let second = combine_partials(spec, &space, kept, &plan, padded, profile);
    let launches = vec![reduce(spec, &space, kept, &plan), second];
    Schedule { launches, scratch: vec![(padded * plan.splits) as usize] }
}

/// How a reduction is spread over invocations.
struct Plan {
    /// Neighbouring results of a workgroup.
    across: u32,
    /// Invocations that share a result inside a workgroup, a power of 2.
    along: u32,
    /// Workgroups that share a result.
    splits: u32,
    /// Points of the reduced axes in each split.
    chunk: u32,
}

impl Plan {
    fn choose(space: &Space, kept: usize, profile: &Profile) -> Plan {
        let results: u32 = space.extents[..kept].iter().product();
        let length: u32 = space.extents[kept..].iter().product();
        let unit_at = |axis: Option<usize>| {
            axis.is_some_and(|axis| {
                space.origins.iter().filter_map(Origin::place).any(|place| place.strides[axis] == 1)
            })
        };
        let inner_kept = unit_at(kept.checked_sub(1));
        let (across, along) = match (profile.cheap_barriers, length) {
            (false, _) => (8, 1),
            (true, 0..=32) => (64, 1),
            (true, _) if inner_kept => (32, 8),
            (true, 33..=1023) => (1, 64),
            (true, _) => (1, 256),
        };
        let wanted = if profile.cheap_barriers { profile.processors * 4 } else { 128 };
        let least = if profile.cheap_barriers { along * 16 } else { 256 };
        let splits = wanted.div_ceil(results.div_ceil(across)).min(length.div_ceil(least)).clamp(1, 1024);
        let chunk = length.div_ceil(splits);
        Plan { across, along, splits: length.div_ceil(chunk), chunk }
    }
}

fn reduce(spec: &RowSpec, space: &Space, kept: usize, plan: &Plan) -> Launch {
    let step = &spec.steps[0];
    let results: u32 = space.extents[..kept].iter().product();
    let split = plan.splits > 1;
    let (across, along) = (plan.across, plan.along);
    let mut source = Source::default();
    let mut body = String::new();
    let tiles = results.div_ceil(across);
    let tile_count = source.param("tiles", tiles);
    let result_count = source.param("results", results);
    let length = source.param("length", space.extents[kept..].iter().product());
    let chunk = source.param("chunk", plan.chunk);
    let _ = writeln!(
        body,
        "let part = group / {tile_count};\n\
         let wanted = (group - part * {tile_count}) * {across}u + local.x;\n\
         let result = min(wanted, {result_count} - 1u);\n\
         let first = part * {chunk} + local.y;\n\
         let end = min((part + 1u) * {chunk}, {length});"
    );
    let kept_coords = coordinates(&mut source, &space.extents[..kept], "result", "c", Width::One, &mut body);
    let exprs = if split { vec![&step.expr] } else { vec![&step.expr, &spec.row_expr] };
    let mut reads = Reads::declare(&mut source, space, kept, &exprs);
    reads.load_fixed(&kept_coords, &mut body);
    let _ = writeln!(body, "var sum = {};", initial(step.reduction));
    let walk = Walk::over(&mut source, "reduced_extent", &space.extents[kept..], along);
    walk.each(["first", "end"], &mut body, |reduced, out| {
        let coords = [kept_coords.as_slice(), reduced].concat();
        let values = reads.load(&step.expr, &coords, &[], out);
        let value = &statements(&step.expr, &values, Width::One, "t", out)[0];
        let _ = writeln!(out, "sum = {};", combine(step.reduction, "sum", value));
    });
    if along > 1 {
        source.declare(&format!("var<workgroup> partial: array<f32, {}>;\n", across * along));
        let sum = combine(
            step.reduction,
            &format!("partial[local.y * {across}u + local.x]"),
            &format!("partial[(local.y + half) * {across}u + local.x]"),
        );
        let _ = writeln!(
            body,
            "partial[local.y * {across}u + local.x] = sum;\n\
             workgroupBarrier();\n\
             for (var half = {}u; half > 0u; half = half >> 1u) {{\n\
             if (local.y < half) {{ partial[local.y * {across}u + local.x] = {sum}; }}\n\
             workgroupBarrier();\n\
             }}\n\
             sum = partial[local.x];",
            along / 2
        );
    }
    let _ = writeln!(body, "if (local.y == 0u && wanted < {result_count}) {{");
    if split {
        source.storage(Slot::Scratch(0), "partials", "f32");
        let stride = source.param("partial_stride", results.next_multiple_of(4));
        let _ = writeln!(body, "partials[part * {stride} + result] = sum;");
    } else {
        let values = reads.of_row(&["sum".to_owned()]);
        let texts = statements(&spec.row_expr, &values, Width::One, "t", &mut body);
        for (k, value) in texts.iter().enumerate() {
            Output::declare(&mut source, &format!("w{k}"), &space.writes[k], Slot::Write(k), Width::One)
                .store(&kept_coords, Width::One, value, &mut body);
        }
    }
    body.push_str("}\n");
    let shape = Shape { workgroup: [across, along], groups: tiles * plan.splits };
    source.launch(format!("column {across}x{along}"), &shape, &body)
}

fn combine_partials(
    spec: &RowSpec,
    space: &Space,
    kept: usize,
    plan: &Plan,
    stride: u32,
    profile: &Profile,
) -> Launch {
    let extents = space.extents[..kept].to_vec();
    let mut strides = vec![1i64; kept];
    for axis in (0..kept.saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * i64::from(extents[axis + 1]);
    }
    let mut origins: Vec<Origin> = space.origins.clone();
    for origin in &mut origins {
        if let Some(place) = origin.place_mut() {
            place.strides.truncate(kept);
        }
        if let Origin::Read(Read::Padded { inside, .. }, _) = origin {
            inside.truncate(kept);
        }
    }
    let unused: Vec<bool> = (0..origins.len()).map(|k| !spec.row_expr.uses(k)).collect();
    for (origin, unused) in origins.iter_mut().zip(unused) {
        if unused {
            *origin = Origin::Read(Read::Host { slot: 0, element: Element::F32 }, 0);
        }
    }
    origins.push(Origin::Partials(Partials {
        scratch: 0,
        count: plan.splits,
        stride,
        place: Place { offset: 0, strides },
        reduction: spec.steps[0].reduction,
    }));
    let writes = space
        .writes
        .iter()
        .map(|write| {
            let strides = write.place.strides[..kept].to_vec();
            Write { element: write.element, place: Place { offset: write.place.offset, strides } }
        })
        .collect();
    map_launch("combine", Space { extents, origins, writes }, &spec.row_expr, profile)
}
