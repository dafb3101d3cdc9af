//! Loads and stores of a kernel's body: from an operand's place in memory to the text that reads it at a
//! point, one element or four along the last axis.
//!
//! The text depends on which strides are 0 or 1 and on whether four neighbours lie in one aligned word of
//! four; the numbers themselves are parameters.

use std::fmt::Write as _;

use super::Reduction;
use super::source::{LANES, Source};
use crate::access::{Place, Read, Write};
use crate::element::{Element, Scalar};
use crate::kernel::{HOST_SEED, HOST_STEP, Slot};
use crate::print::{Width, real};

/// Where an operand of a formula comes from.
#[derive(Clone)]
pub(crate) enum Origin {
    /// A read of the specification, at this place among the slots.
    Read(Read, usize),
    /// Partial results of an earlier launch, to be combined here.
    Partials(Partials),
}

/// `count` partial results for each point, `stride` words apart, in one scratch buffer.
#[derive(Clone)]
pub(crate) struct Partials {
    pub(crate) scratch: usize,
    pub(crate) count: u32,
    pub(crate) stride: u32,
    pub(crate) place: Place,
    pub(crate) reduction: Reduction,
}

impl Origin {
    /// The origin's place in the space, `None` where it does not depend on the point.
    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Origin::Read(
                Read::Buffer { place, .. }
                | Read::Padded { place, .. }
                | Read::Iota { place }
                | Read::Random { place, .. },
                _,
            ) => Some(place),
            Origin::Read(Read::Host { .. }, _) => None,
            Origin::Partials(partials) => Some(&partials.place),
        }
    }

    /// [`Origin::place`], to change it.
    pub(crate) fn place_mut(&mut self) -> Option<&mut Place> {
        match self {
            Origin::Read(
                Read::Buffer { place, .. }
                | Read::Padded { place, .. }
                | Read::Iota { place }
                | Read::Random { place, .. },
                _,
            ) => Some(place),
            Origin::Read(Read::Host { .. }, _) => None,
            Origin::Partials(partials) => Some(&mut partials.place),
        }
    }
}

/// The text of an affine place: which strides are 0 or 1 is text, the rest parameters.
pub(crate) struct Address {
    offset: String,
    steps: Vec<Step>,
    reach: Reach,
}

enum Step {
    Zero,
    One,
    Param(String),
}

/// How four neighbours along the last axis lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// In one aligned group of four.
    Unit,
    /// In one element.
    Same,
    /// Anywhere.
    Apart,
}

/// How four neighbours along the last axis of the space lie, where the last extent is a multiple of 4.
pub(crate) fn reach(place: &Place) -> Reach {
    match place.strides.split_last() {
        Some((1, outer)) if place.offset % 4 == 0 && outer.iter().all(|s| s % 4 == 0) => Reach::Unit,
        Some((0, _)) | None => Reach::Same,
        Some(_) => Reach::Apart,
    }
}

impl Address {
    pub(crate) fn declare(source: &mut Source, name: &str, place: &Place) -> Address {
        let offset = source.signed(&format!("{name}_offset"), place.offset);
        let steps = place
            .strides
            .iter()
            .enumerate()
            .map(|(axis, &stride)| match stride {
                0 => Step::Zero,
                1 => Step::One,
                _ => Step::Param(source.signed(&format!("{name}_stride{axis}"), stride)),
            })
            .collect();
        Address { offset, steps, reach: reach(place) }
    }

    /// The place at `coords`, as a `u32` modulo 2^32.
    pub(crate) fn at(&self, coords: &[String]) -> String {
        let mut text = self.offset.clone();
        for (step, coord) in self.steps.iter().zip(coords) {
            match step {
                Step::Zero => {}
                Step::One => {
                    let _ = write!(text, " + {coord}");
                }
                Step::Param(stride) => {
                    let _ = write!(text, " + {coord} * {stride}");
                }
            }
        }
        text
    }

    fn lane(&self, coords: &[String], lane: usize) -> String {
        let mut coords = coords.to_vec();
        if let Some(last) = coords.last_mut() {
            *last = format!("({last} + {lane}u)");
        }
        self.at(&coords)
    }
}

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

/// The WGSL type of storage elements.
pub(crate) fn stored(element: Element, wide: bool) -> &'static str {
    match (element, wide) {
        (Element::F32, false) => "f32",
        (Element::F32, true) => "vec4<f32>",
        (Element::I32, false) => "i32",
        (Element::I32, true) => "vec4<i32>",
        (Element::Bool, true) => "vec4<u32>",
        (Element::Bool, false) | (Element::U8, _) => "u32",
    }
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
                Kind::Padded { element: *element, wide, inside, whole, value: *value }
            }
            Origin::Read(Read::Host { slot, element }, _) => {
                let bits = source.host(*slot);
                let text = match element {
                    Element::F32 | Element::U8 => format!("bitcast<f32>({bits})"),
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

    fn scalar(&self) -> Scalar {
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
            let ty = stored(self.element, true);
            let _ = writeln!(out, "let {name}_all: {ty} = {value};");
            for (lane, component) in LANES.iter().enumerate() {
                let _ =
                    writeln!(out, "{name}[{}] = {name}_all.{component};", self.address.lane(coords, lane));
            }
        }
    }
}

/// The text of the combination of two values.
pub(crate) fn combine(reduction: Reduction, a: &str, b: &str) -> String {
    match reduction {
        Reduction::Sum => format!("{a} + {b}"),
        Reduction::Product => format!("{a} * {b}"),
        Reduction::Max => format!("max({a}, {b})"),
        Reduction::Min => format!("min({a}, {b})"),
    }
}

/// The text of a reduction of nothing.
pub(crate) fn initial(reduction: Reduction) -> String {
    real(match reduction {
        Reduction::Sum => 0.0,
        Reduction::Product => 1.0,
        Reduction::Max => f64::NEG_INFINITY,
        Reduction::Min => f64::INFINITY,
    })
}

#[allow(clippy::too_many_arguments)]
fn combine_loop(
    name: &str,
    value: &str,
    address: &str,
    count: &str,
    stride: &str,
    reduction: Reduction,
    width: Width,
    out: &mut String,
) {
    let zero = width.splat(&initial(reduction), "f32");
    let item = format!("{name}[{value}_at]");
    let _ = writeln!(
        out,
        "var {value} = {zero};\n\
         var {value}_at = {address};\n\
         for (var {value}_i = 0u; {value}_i < {count}; {value}_i += 1u) {{\n\
         {value} = {};\n\
         {value}_at += {stride};\n\
         }}",
        combine(reduction, value, &item)
    );
}

fn stored_scalar(element: Element) -> &'static str {
    match element {
        Element::F32 | Element::U8 => "f32",
        Element::I32 => "i32",
        Element::Bool => "bool",
    }
}

/// The text of the element at `address`, as the formula's type; the binding is scalar.
pub(crate) fn element_at(element: Element, name: &str, address: &str) -> String {
    match element {
        Element::F32 | Element::I32 => format!("{name}[{address}]"),
        Element::Bool => format!("({name}[{address}] != 0u)"),
        Element::U8 => {
            format!("f32(({name}[({address}) >> 2u] >> ((({address}) & 3u) * 8u)) & 255u)")
        }
    }
}

fn quad_at(element: Element, name: &str, address: &str) -> String {
    match element {
        Element::F32 | Element::I32 => format!("{name}[{address}]"),
        Element::Bool => format!("({name}[{address}] != vec4<u32>(0u))"),
        Element::U8 => format!(
            "vec4<f32>((vec4<u32>({name}[{address}]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u))"
        ),
    }
}

fn literal(value: f64, scalar: Scalar) -> String {
    match scalar {
        Scalar::F32 => real(value),
        #[allow(clippy::cast_possible_truncation)]
        Scalar::I32 => format!("i32({})", value as i32),
        Scalar::Bool => (value != 0.0).to_string(),
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
