//! Elements looked up by an index: one invocation makes one element, or four along the last axis where they have one
//! index and lie in one word of four.

use std::fmt::Write as _;

use super::{moved, operand, workgroup};
use crate::element::{Element, Scalar};
use crate::kernel::Schedule;
use crate::print::Width;
use crate::profile::Profile;
use crate::schedule::LineSpec;
use crate::schedule::address::{Reach, reach};
use crate::schedule::finish::Finish;
use crate::schedule::source::{Shape, Source};
use crate::schedule::space::{Space, coordinates};
use crate::schedule::stored::literal;

/// The launch that computes `spec` over `space`.
pub(super) fn gather(spec: &LineSpec, space: &Space, profile: &Profile) -> Schedule {
    let workgroup = workgroup(profile);
    let width = width(spec);
    let wide = width == Width::Four;
    let element = spec.operands[0].0;
    let mut source = Source::default();
    let elements = operand(&mut source, spec, 0, wide);
    let indices = operand(&mut source, spec, 1, false);
    let finish = Finish::epilogue(&mut source, space, &spec.epilogue.expr, width);
    let points = space.count() / if wide { 4 } else { 1 };
    let count = source.param("count", points);
    let length = source.param("length", spec.length);
    let mut body = String::new();
    let _ = writeln!(body, "let item = group * {workgroup}u + local.x;\nif (item >= {count}) {{ return; }}");
    let coords = coordinates(&mut source, &spec.extents, "item", "c", width, &mut body);
    let at = elements.at(&moved(&coords, spec.axis, "chosen"));
    let load = match (wide, element) {
        (true, _) => format!("operand0[({at}) >> 2u]"),
        (false, Element::Bool) => format!("operand0[{at}] != 0u"),
        (false, _) => format!("operand0[{at}]"),
    };
    let nothing = literal(0.0, element.scalar());
    let nothing = if wide { format!("vec4<{}>({nothing})", Scalar::F32) } else { nothing };
    let _ = writeln!(
        body,
        "let chosen = bitcast<u32>(operand1[{}]);\n\
         var value = {nothing};\n\
         if (chosen < {length}) {{ value = {load}; }}",
        indices.at(&coords)
    );
    finish.apply(&coords, "value", &mut body);
    let shape = Shape { workgroup: [workgroup, 1], groups: points.div_ceil(workgroup) };
    let title = format!("gather {} axes{}", spec.extents.len(), if wide { " of 4" } else { "" });
    Schedule { launches: vec![source.launch(title, &shape, &body)], scratch: Vec::new() }
}

/// Four at once where neighbours along the last axis have one index and lie next to each other.
pub(super) fn width(spec: &LineSpec) -> Width {
    let last = spec.extents.len() - 1;
    let fits = last != spec.axis && spec.extents[last].is_multiple_of(4);
    let [(element, elements), (_, indices)] = spec.operands.as_slice() else { return Width::One };
    let pays = matches!(element, Element::F32 | Element::F16)
        && reach(elements) == Reach::Unit
        && indices.strides[last] == 0;
    if fits && pays { Width::Four } else { Width::One }
}
