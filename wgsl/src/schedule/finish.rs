//! What becomes of the values of an anchor: the epilogue at each element, or, where a sum is split over
//! workgroups, a store to scratch and the epilogue in a second launch that combines the parts in order.

use std::fmt::Write as _;

use super::Reduction;
use super::map::map_launch;
use super::operand::Operand;
use super::origin::{Origin, Partials};
use super::output::Output;
use super::source::{LANES, Source};
use super::space::Space;
use crate::access::{Epilogue, Place, Write};
use crate::element::{Element, Scalar};
use crate::expr::Expr;
use crate::kernel::{Launch, Slot};
use crate::print::{Width, statements};
use crate::profile::Profile;

/// The end of an anchor's kernel.
pub(crate) struct Finish {
    operands: Vec<Option<Operand>>,
    outputs: Vec<Output>,
    expr: Expr,
    width: Width,
    /// How many values the anchor has at a point.
    values: usize,
}

/// The space of an epilogue over `extents`; its reads follow `anchors` operands of the anchor itself.
pub(crate) fn epilogue_space(epilogue: &Epilogue, extents: &[u32], anchors: usize) -> Space {
    let origins =
        epilogue.reads.iter().enumerate().map(|(k, read)| Origin::Read(read.clone(), anchors + k)).collect();
    Space { extents: extents.to_vec(), origins, writes: epilogue.writes.clone() }
}

impl Finish {
    /// The epilogue `expr` over `space`: operand 0 is the anchor's value, then the origins.
    pub(crate) fn epilogue(source: &mut Source, space: &Space, expr: &Expr, width: Width) -> Finish {
        Finish::of_values(source, space, expr, width, 1)
    }

    /// The epilogue of an anchor with several values at a point: the first operands of `expr`.
    pub(crate) fn of_values(
        source: &mut Source,
        space: &Space,
        expr: &Expr,
        width: Width,
        values: usize,
    ) -> Finish {
        let operands = space
            .origins
            .iter()
            .enumerate()
            .map(|(k, origin)| {
                expr.uses(values + k)
                    .then(|| Operand::declare(source, &format!("r{k}"), origin, &space.extents, width))
            })
            .collect();
        let outputs = space
            .writes
            .iter()
            .enumerate()
            .map(|(k, write)| Output::declare(source, &format!("w{k}"), write, Slot::Write(k), width))
            .collect();
        Finish { operands, outputs, expr: expr.clone(), width, values }
    }

    /// The store of partial results at `strides` in scratch buffer 0.
    pub(crate) fn partials(source: &mut Source, strides: Vec<i64>, width: Width) -> Finish {
        let write = Write { element: Element::F32, place: Place { offset: 0, strides } };
        let output = Output::declare(source, "partials", &write, Slot::Scratch(0), width);
        let expr = Expr::identity(Scalar::F32);
        Finish { operands: Vec::new(), outputs: vec![output], expr, width, values: 1 }
    }

    /// Appends the work at `coords` on the text `value`.
    pub(crate) fn apply(&self, coords: &[String], value: &str, out: &mut String) {
        self.apply_to(coords, vec![value.to_owned()], out);
    }

    /// Appends the work at `coords` on the texts of all values.
    fn apply_to(&self, coords: &[String], mut values: Vec<String>, out: &mut String) {
        for operand in &self.operands {
            values.push(operand.as_ref().map_or_else(String::new, |o| o.load(coords, self.width, "", out)));
        }
        let results = statements(&self.expr, &values, self.width, "t", out);
        for (output, value) in self.outputs.iter().zip(&results) {
            output.store(coords, self.width, value, out);
        }
    }

    /// What the anchor's values are called in `store`.
    fn value_names(&self) -> Vec<String> {
        match self.values {
            1 => vec!["value".to_owned()],
            count => (0..count).map(|k| format!("value{k}")).collect(),
        }
    }

    /// Declares `fn store(z: u32, i: u32, j: u32, value: vec4<f32>)` for the elements `[z, i, j..j + 4]` of
    /// an anchor of `m` rows and `n` columns; `locate` writes statements that turn `z, i, j` into the
    /// coordinates it returns. Elements outside are left alone.
    pub(crate) fn declare_store(
        &self,
        source: &mut Source,
        m: &str,
        n: &str,
        locate: impl FnOnce(&mut String) -> Vec<String>,
    ) {
        let (name, ty) = match self.width {
            Width::One => ("store_one", "f32"),
            Width::Four => ("store", "vec4<f32>"),
        };
        let values = self.value_names();
        let given = |ty: &str| -> String { values.iter().map(|value| format!(", {value}: {ty}")).collect() };
        let mut text = String::new();
        let _ = writeln!(
            text,
            "fn {name}(z: u32, i: u32, j: u32{}) {{\nif (i >= {m} || j >= {n}) {{ return; }}",
            given(ty)
        );
        let coords = locate(&mut text);
        self.apply_to(&coords, values.clone(), &mut text);
        text.push_str("}\n");
        if self.width == Width::One {
            let _ = writeln!(text, "fn store(z: u32, i: u32, j: u32{}) {{", given("vec4<f32>"));
            for (lane, component) in LANES.iter().enumerate() {
                let at = if lane == 0 { "j".to_owned() } else { format!("j + {lane}u") };
                let items: String = values.iter().map(|value| format!(", {value}.{component}")).collect();
                let _ = writeln!(text, "store_one(z, i, {at}{items});");
            }
            text.push_str("}\n");
        }
        source.declare(&text);
    }
}

/// The second launch: the sum of `count` partial results at `place`, `stride` words apart, then the epilogue
/// over `space`.
pub(crate) fn finish_partials(
    space: &Space,
    expr: &Expr,
    place: Place,
    count: u32,
    stride: u32,
    profile: &Profile,
) -> Launch {
    let partials = Partials { scratch: 0, count, stride, place, reduction: Reduction::Sum };
    let mut space = space.clone();
    space.origins.insert(0, Origin::Partials(partials));
    map_launch("combine", space, expr, profile)
}
