//! Running sums: a workgroup walks a line in pieces as long as it has invocations, summing each piece in steps that
//! double; where lines are many or short, or barriers dear, one invocation walks a line alone.

use std::fmt::Write as _;

use super::{moved, operand, workgroup};
use crate::kernel::Schedule;
use crate::print::Width;
use crate::profile::Profile;
use crate::schedule::LineSpec;
use crate::schedule::finish::Finish;
use crate::schedule::source::{Shape, Source};
use crate::schedule::space::{Space, coordinates};

/// Shorter lines are walked by one invocation.
const SHORT: u32 = 64;

/// More lines keep a device busy with one invocation each.
const MANY: u32 = 1 << 14;

/// The launch that computes `spec` over `space`.
pub(super) fn running(spec: &LineSpec, space: &Space, reverse: bool, profile: &Profile) -> Schedule {
    let workgroup = workgroup(profile);
    let lines = space.count() / spec.length;
    let alone = !profile.cheap_barriers || spec.length <= SHORT || lines >= MANY;
    let mut source = Source::default();
    let elements = operand(&mut source, spec, 0, false);
    let finish = Finish::epilogue(&mut source, space, &spec.epilogue.expr, Width::One);
    source.param("lines", lines);
    source.param("length", spec.length);
    let mut body = String::new();
    if alone {
        let _ = writeln!(
            body,
            "let line = group * {workgroup}u + local.x;\nif (line >= p.lines) {{ return; }}\nvar total = 0.0f;"
        );
    } else {
        body.push_str("let line = group;\nvar total = 0.0f;\n");
    }
    let outer: Vec<u32> =
        (0..spec.extents.len()).filter(|a| *a != spec.axis).map(|a| spec.extents[a]).collect();
    let mut coords = coordinates(&mut source, &outer, "line", "l", Width::One, &mut body);
    coords.insert(spec.axis, "place".to_owned());
    let place = if reverse { "p.length - 1u - step" } else { "step" };
    let load = format!("operand0[{}]", elements.at(&moved(&coords, spec.axis, "place")));
    if alone {
        let _ = writeln!(
            body,
            "for (var step = 0u; step < p.length; step += 1u) {{\n\
             let place = {place};\n\
             total += {load};\n\
             let value = total;"
        );
        finish.apply(&coords, "value", &mut body);
        body.push_str("}\n");
    } else {
        source.declare(&format!("var<workgroup> sums: array<f32, {workgroup}>;\n"));
        let _ = writeln!(
            body,
            "for (var first = 0u; first < p.length; first += {workgroup}u) {{\n\
             let step = first + local.x;\n\
             let place = {place};\n\
             var own = 0.0f;\n\
             if (step < p.length) {{ own = {load}; }}\n\
             sums[local.x] = own;\n\
             workgroupBarrier();"
        );
        let mut reach = 1;
        while reach < workgroup {
            let _ = writeln!(
                body,
                "if (local.x >= {reach}u) {{ own += sums[local.x - {reach}u]; }}\n\
                 workgroupBarrier();\n\
                 sums[local.x] = own;\n\
                 workgroupBarrier();"
            );
            reach *= 2;
        }
        let _ = writeln!(body, "let value = total + own;\nif (step < p.length) {{");
        finish.apply(&coords, "value", &mut body);
        let _ = writeln!(body, "}}\ntotal += sums[{}u];\nworkgroupBarrier();\n}}", workgroup - 1);
    }
    let groups = if alone { lines.div_ceil(workgroup) } else { lines };
    let title = format!("running sum {} axes", spec.extents.len());
    let launch = source.launch(title, &Shape { workgroup: [workgroup, 1], groups }, &body);
    Schedule { launches: vec![launch], scratch: Vec::new() }
}
