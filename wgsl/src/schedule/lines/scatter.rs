//! Elements added up by an index, the gradient of a lookup. Few elements are looked through for each result; many are
//! put in the order of their index first, so that those of one result lie next to each other. Either way one
//! invocation adds them in the order in which they lie: the same bits in every run.

use std::fmt::Write as _;

use super::order::{Lines, in_scratch};
use super::{gather, moved, operand, workgroup};
use crate::access::Place;
use crate::kernel::{Launch, Schedule, Slot};
use crate::print::Width;
use crate::profile::Profile;
use crate::schedule::LineSpec;
use crate::schedule::finish::Finish;
use crate::schedule::source::{Shape, Source};
use crate::schedule::space::{Space, coordinates};

/// The longest line that each result looks through.
const FEW: u32 = 128;

/// The launches that compute `spec` over `space`.
pub(super) fn scatter(spec: &LineSpec, space: &Space, profile: &Profile) -> Schedule {
    if spec.length <= FEW {
        return Schedule { launches: vec![sum(spec, space, None, profile)], scratch: Vec::new() };
    }
    let lines = index_lines(spec);
    let (mut launches, mut scratch) = in_scratch(&lines, profile);
    let order = scratch.len() - 1;
    launches.push(begins(spec, &lines, order, profile));
    scratch.push((lines.count() * (spec.extents[spec.axis] + 1)) as usize);
    launches.push(sum(spec, space, Some((&lines, order)), profile));
    Schedule { launches, scratch }
}

/// The lines of the index that differ: axes along which it does not vary have extent 1.
fn index_lines(spec: &LineSpec) -> Lines {
    let (element, place) = spec.operands[1].clone();
    let mut extents = spec.extents.clone();
    for (axis, extent) in extents.iter_mut().enumerate() {
        if axis == spec.axis {
            *extent = spec.length;
        } else if place.strides[axis] == 0 {
            *extent = 1;
        }
    }
    Lines { slot: 1, element, place, extents, axis: spec.axis, descending: false }
}

/// For each line and each result, the first of its elements in order; behind the last result, the end.
fn begins(spec: &LineSpec, lines: &Lines, order: usize, profile: &Profile) -> Launch {
    let workgroup = workgroup(profile);
    let places = spec.extents[spec.axis] + 1;
    let total = lines.count() * places;
    let mut source = Source::default();
    let keys = lines.declare(&mut source);
    source.storage(Slot::Scratch(order), "order", "u32");
    source.storage(Slot::Scratch(order + 1), "begins", "u32");
    source.param("total", total);
    source.param("places", places);
    source.param("length", spec.length);
    let mut body = String::new();
    let _ = writeln!(
        body,
        "let item = group * {workgroup}u + local.x;\n\
         if (item >= p.total) {{ return; }}\n\
         let line = item / p.places;\n\
         let result = bitcast<i32>(item - line * p.places);"
    );
    let coords = lines.coordinates(&mut source, &mut body);
    let _ = writeln!(
        body,
        "var low = 0u;\n\
         var high = p.length;\n\
         while (low < high) {{\n\
         let middle = (low + high) >> 1u;\n\
         let j = order[line * p.length + middle];\n\
         if (bitcast<i32>(keys[{}]) < result) {{ low = middle + 1u; }} else {{ high = middle; }}\n\
         }}\n\
         begins[item] = low;",
        keys.at(&moved(&coords, spec.axis, "j"))
    );
    let shape = Shape { workgroup: [workgroup, 1], groups: total.div_ceil(workgroup) };
    source.launch("begin of each result".to_owned(), &shape, &body)
}

/// The sums: over the elements in `order`, or over all elements that have the result's index.
fn sum(spec: &LineSpec, space: &Space, ordered: Option<(&Lines, usize)>, profile: &Profile) -> Launch {
    let workgroup = workgroup(profile);
    let width = gather::width(spec);
    let wide = width == Width::Four;
    let mut source = Source::default();
    let elements = operand(&mut source, spec, 0, wide);
    let finish = Finish::epilogue(&mut source, space, &spec.epilogue.expr, width);
    let points = space.count() / if wide { 4 } else { 1 };
    let count = source.param("count", points);
    source.param("length", spec.length);
    let mut body = String::new();
    let _ = writeln!(body, "let item = group * {workgroup}u + local.x;\nif (item >= {count}) {{ return; }}");
    let coords = coordinates(&mut source, &spec.extents, "item", "c", width, &mut body);
    let at = elements.at(&moved(&coords, spec.axis, "j"));
    let (nothing, load) = if wide {
        ("vec4<f32>(0.0f)", format!("operand0[({at}) >> 2u]"))
    } else {
        ("0.0f", format!("operand0[{at}]"))
    };
    let _ = writeln!(body, "var value = {nothing};");
    let own = &coords[spec.axis];
    match ordered {
        None => {
            let indices = operand(&mut source, spec, 1, false);
            let _ = writeln!(
                body,
                "for (var j = 0u; j < p.length; j += 1u) {{\n\
                 if (bitcast<u32>(operand1[{}]) == {own}) {{ value += {load}; }}\n\
                 }}",
                indices.at(&moved(&coords, spec.axis, "j"))
            );
        }
        Some((lines, order)) => {
            source.storage(Slot::Scratch(order), "order", "u32");
            source.storage(Slot::Scratch(order + 1), "begins", "u32");
            source.param("places", spec.extents[spec.axis] + 1);
            let line = line_number(&mut source, lines, &coords);
            let _ = writeln!(
                body,
                "let line = {line};\n\
                 let begin = begins[line * p.places + {own}];\n\
                 let end = begins[line * p.places + {own} + 1u];\n\
                 for (var i = begin; i < end; i += 1u) {{\n\
                 let j = order[line * p.length + i];\n\
                 value += {load};\n\
                 }}"
            );
        }
    }
    finish.apply(&coords, "value", &mut body);
    let shape = Shape { workgroup: [workgroup, 1], groups: points.div_ceil(workgroup) };
    let title = format!("scatter add {} axes{}", spec.extents.len(), if wide { " of 4" } else { "" });
    source.launch(title, &shape, &body)
}

/// The number of the line of the index at these coordinates.
fn line_number(source: &mut Source, lines: &Lines, coords: &[String]) -> String {
    let mut strides = vec![0; lines.extents.len()];
    let mut stride = 1;
    for axis in (0..strides.len()).rev().filter(|axis| *axis != lines.axis) {
        strides[axis] = if lines.extents[axis] == 1 { 0 } else { stride };
        stride *= i64::from(lines.extents[axis]);
    }
    let place = Place { offset: 0, strides };
    crate::schedule::address::Address::declare(source, "line", &place).at(coords)
}
