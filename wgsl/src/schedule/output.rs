//! Stores of a kernel's body, one element or four along the last axis.

use std::fmt::Write as _;

use super::address::{Address, Reach, reach};
use super::source::{LANES, Source};
use super::stored::stored;
use crate::access::Write;
use crate::element::Element;
use crate::kernel::Slot;
use crate::print::Width;

/// One result of a formula, ready to be stored.
pub(crate) struct Output {
    element: Element,
    address: Address,
    name: String,
    wide: bool,
}

impl Output {
    pub(crate) fn declare(
        source: &mut Source,
        name: &str,
        write: &Write,
        slot: Slot,
        width: Width,
    ) -> Output {
        assert!(write.element != Element::U8, "bytes are data inputs and are never written");
        let wide = width == Width::Four && reach(&write.place) == Reach::Unit;
        source.storage(slot, name, stored(write.element, wide));
        let address = Address::declare(source, name, &write.place);
        Output { element: write.element, address, name: name.to_owned(), wide }
    }

    /// Appends the store of `value` at `coords` to `out`.
    pub(crate) fn store(&self, coords: &[String], width: Width, value: &str, out: &mut String) {
        let name = &self.name;
        let value = match (self.element, width) {
            (Element::Bool, Width::One) => format!("select(0u, 1u, {value})"),
            (Element::Bool, Width::Four) => format!("select(vec4<u32>(0u), vec4<u32>(1u), {value})"),
            _ => value.to_owned(),
        };
        if width == Width::One {
            let _ = writeln!(out, "{name}[{}] = {value};", self.address.at(coords));
        } else if self.wide {
            let _ = writeln!(out, "{name}[({}) >> 2u] = {value};", self.address.at(coords));
        } else {
            let ty = if self.element == Element::F16 { "vec4<f32>" } else { stored(self.element, true) };
            let _ = writeln!(out, "let {name}_all: {ty} = {value};");
            for (lane, component) in LANES.iter().enumerate() {
                let _ =
                    writeln!(out, "{name}[{}] = {name}_all.{component};", self.address.lane(coords, lane));
            }
        }
    }
}
