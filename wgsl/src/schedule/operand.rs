//! Loads of a kernel's body: from an operand's place in memory to the text that reads it at a point, one
//! element or four along the last axis.
//!
//! The text depends on which strides are 0 or 1 and on whether four neighbours lie in one aligned word of
//! four; the numbers themselves are parameters.

use std::fmt::Write as _;

use super::Reduction;
use super::address::{Address, Reach, reach};
use super::combine::combine_loop;
use super::origin::Origin;
use super::source::{LANES, Source};
use super::stored::{element_at, literal, quad_at, stored, stored_scalar};
use crate::access::{Place, Read};
use crate::element::{Element, Scalar};
use crate::kernel::{HOST_SEED, HOST_STEP, Slot};
use crate::print::Width;

/// One operand of a formula, ready to be loaded.
pub(crate) struct Operand {
    kind: Kind,
    address: Address,
    name: String,
}

enum Kind {
    Buffer { element: Element },
    Padded { element: Element, wide: bool, inside: Vec<Option<(String, String)>>, whole: bool, value: f64 },
    Host { text: String },
    Iota,
    Random { seed: String, step: String, stream: String },
    Partials { wide: bool, count: String, stride: String, reduction: Reduction },
}

impl Operand {
    /// Declares what `origin` needs. With `Width::Four` the last extent is a multiple of 4 and all loads
    /// are of four.
    pub(crate) fn declare(
        source: &mut Source,
        name: &str,
        origin: &Origin,
        extents: &[u32],
        width: Width,
    ) -> Operand {
        let nowhere = Place { offset: 0, strides: vec![0; extents.len()] };
        let place = origin.place().unwrap_or(&nowhere);
        let wide = width == Width::Four && reach(place) == Reach::Unit;
        let kind = match origin {
            Origin::Read(Read::Buffer { element, .. }, slot) => {
                source.storage(Slot::Read(*slot), name, stored(*element, wide));
                Kind::Buffer { element: *element }
            }
            Origin::Read(Read::Padded { element, inside, value, .. }, slot) => {
                let whole = inside.last().zip(extents.last()).is_none_or(|(&(low, extent), &full)| {
                    (low, extent) == (0, full) || (low % 4 == 0 && extent % 4 == 0)
                });
                let wide = wide && whole;
                source.storage(Slot::Read(*slot), name, stored(*element, wide));
                let inside = inside
                    .iter()
                    .zip(extents)
                    .enumerate()
                    .map(|(axis, (&(low, extent), &full))| {
                        ((low, extent) != (0, full)).then(|| {
                            (
                                source.param(&format!("{name}_low{axis}"), low),
                                source.param(&format!("{name}_extent{axis}"), extent),
                            )
                        })
                    })
                    .collect();
                Kind::Padded { element: *element, wide, inside, whole, value: value.value() }
            }
            Origin::Read(Read::Host { slot, element }, _) => {
                let bits = source.host(*slot);
                let text = match element {
                    Element::F32 | Element::F16 | Element::U8 => format!("bitcast<f32>({bits})"),
                    Element::I32 => format!("bitcast<i32>({bits})"),
                    Element::Bool => format!("({bits} != 0u)"),
                };
                let ty = stored_scalar(*element);
                Kind::Host { text: width.splat(&text, ty) }
            }
            Origin::Read(Read::Iota { .. }, _) => Kind::Iota,
            Origin::Read(Read::Random { stream, .. }, _) => {
                source.philox();
                Kind::Random {
                    seed: source.host(HOST_SEED),
                    step: source.host(HOST_STEP),
                    stream: source.param(&format!("{name}_stream"), *stream),
                }
            }
            Origin::Partials(partials) => {
                let wide = wide && partials.stride % 4 == 0;
                let slot = Slot::Scratch(partials.scratch);
                source.storage(slot, name, stored(Element::F32, wide));
                Kind::Partials {
                    wide,
                    count: source.param(&format!("{name}_count"), partials.count),
                    stride: source.param(&format!("{name}_apart"), partials.stride),
                    reduction: partials.reduction,
                }
            }
        };
        let address = Address::declare(source, name, place);
        Operand { kind, address, name: name.to_owned() }
    }

    /// Appends the load at `coords` to `out`; the text of the value. `unique` tells apart several loads of
    /// one operand in one scope.
    pub(crate) fn load(&self, coords: &[String], width: Width, unique: &str, out: &mut String) -> String {
        if let Kind::Host { text } = &self.kind {
            return text.clone();
        }
        let value = format!("{}_v{unique}", self.name);
        match (width, self.address.reach) {
            (Width::One, _) => self.load_one(&self.address.at(coords), coords, &value, out),
            (Width::Four, Reach::Same) if self.same_everywhere() => {
                let one = self.load_one(&self.address.at(coords), coords, &value, out);
                let scalar = self.scalar();
                format!("vec4<{scalar}>({one})")
            }
            (Width::Four, Reach::Unit) if self.takes_quads() => self.load_quad(coords, &value, out),
            (Width::Four, _) => {
                let lanes: Vec<String> = (0..4)
                    .map(|lane| {
                        let mut moved = coords.to_vec();
                        if let Some(last) = moved.last_mut() {
                            *last = format!("({last} + {lane}u)");
                        }
                        let value = format!("{value}{}", LANES[lane]);
                        self.load_one(&self.address.lane(coords, lane), &moved, &value, out)
                    })
                    .collect();
                format!("vec4<{}>({})", self.scalar(), lanes.join(", "))
            }
        }
    }

    /// The type of a loaded element.
    pub(crate) fn scalar(&self) -> Scalar {
        match &self.kind {
            Kind::Buffer { element } | Kind::Padded { element, .. } => element.scalar(),
            Kind::Host { .. } | Kind::Random { .. } | Kind::Partials { .. } => Scalar::F32,
            Kind::Iota => Scalar::I32,
        }
    }

    /// Whether four neighbours with one place have one value; a padded tensor may end between them.
    fn same_everywhere(&self) -> bool {
        match &self.kind {
            Kind::Padded { inside, .. } => inside.last().is_none_or(Option::is_none),
            Kind::Buffer { .. }
            | Kind::Host { .. }
            | Kind::Iota
            | Kind::Random { .. }
            | Kind::Partials { .. } => true,
        }
    }

    fn takes_quads(&self) -> bool {
        match &self.kind {
            Kind::Padded { whole, wide, element, .. } => *whole && (*wide || *element == Element::U8),
            Kind::Partials { wide, .. } => *wide,
            Kind::Buffer { .. } | Kind::Host { .. } | Kind::Iota | Kind::Random { .. } => true,
        }
    }

    fn load_one(&self, address: &str, coords: &[String], value: &str, out: &mut String) -> String {
        let name = &self.name;
        match &self.kind {
            Kind::Host { text } => return text.clone(),
            Kind::Iota => {
                let _ = writeln!(out, "let {value} = bitcast<i32>({address});");
            }
            Kind::Buffer { element } => {
                let _ = writeln!(out, "let {value}_at = {address};");
                let _ =
                    writeln!(out, "let {value} = {};", element_at(*element, name, &format!("{value}_at")));
            }
            Kind::Padded { element, inside, value: outside, .. } => {
                let scalar = element.scalar();
                let _ = writeln!(out, "var {value} = {};", literal(*outside, scalar));
                let _ = writeln!(out, "if ({}) {{", inside_test(inside, coords));
                let _ = writeln!(out, "let {value}_at = {address};");
                let _ = writeln!(out, "{value} = {};", element_at(*element, name, &format!("{value}_at")));
                out.push_str("}\n");
            }
            Kind::Random { seed, step, stream } => {
                let _ = writeln!(out, "let {value}_at = {address};");
                let _ = writeln!(
                    out,
                    "let {value} = philox(vec4<u32>({value}_at >> 2u, {stream}, {step}, 0u), \
                     {seed})[{value}_at & 3u];"
                );
            }
            Kind::Partials { count, stride, reduction, .. } => {
                combine_loop(name, value, address, count, stride, *reduction, Width::One, out);
            }
        }
        value.to_owned()
    }

    fn load_quad(&self, coords: &[String], value: &str, out: &mut String) -> String {
        let name = &self.name;
        let address = self.address.at(coords);
        match &self.kind {
            Kind::Host { text } => return text.clone(),
            Kind::Iota => {
                let _ = writeln!(
                    out,
                    "let {value} = vec4<i32>(bitcast<i32>({address})) + vec4<i32>(0i, 1i, 2i, 3i);"
                );
            }
            Kind::Buffer { element } => {
                let _ = writeln!(out, "let {value}_at = ({address}) >> 2u;");
                let _ = writeln!(out, "let {value} = {};", quad_at(*element, name, &format!("{value}_at")));
            }
            Kind::Padded { element, inside, value: outside, .. } => {
                let scalar = element.scalar();
                let _ = writeln!(out, "var {value} = vec4<{scalar}>({});", literal(*outside, scalar));
                let _ = writeln!(out, "if ({}) {{", inside_test(inside, coords));
                let _ = writeln!(out, "let {value}_at = ({address}) >> 2u;");
                let _ = writeln!(out, "{value} = {};", quad_at(*element, name, &format!("{value}_at")));
                out.push_str("}\n");
            }
            Kind::Random { seed, step, stream } => {
                let _ = writeln!(
                    out,
                    "let {value} = philox(vec4<u32>(({address}) >> 2u, {stream}, {step}, 0u), {seed});"
                );
            }
            Kind::Partials { count, stride, reduction, .. } => {
                let address = format!("({address}) >> 2u");
                let stride = format!("({stride} >> 2u)");
                combine_loop(name, value, &address, count, &stride, *reduction, Width::Four, out);
            }
        }
        value.to_owned()
    }
}

fn inside_test(inside: &[Option<(String, String)>], coords: &[String]) -> String {
    let tests: Vec<String> = inside
        .iter()
        .zip(coords)
        .filter_map(|(range, coord)| {
            range.as_ref().map(|(low, extent)| format!("({coord} - {low} < {extent})"))
        })
        .collect();
    if tests.is_empty() { "true".to_owned() } else { tests.join(" & ") }
}
