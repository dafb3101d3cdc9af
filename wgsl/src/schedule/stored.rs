//! How elements are stored, as WGSL types and texts.

use crate::element::{Element, Scalar};
use crate::print::real;

/// The WGSL type of storage elements.
pub(crate) fn stored(element: Element, wide: bool) -> &'static str {
    match (element, wide) {
        (Element::F32, false) => "f32",
        (Element::F32, true) => "vec4<f32>",
        (Element::F16, false) => "f16",
        (Element::F16, true) => "vec4<f16>",
        (Element::I32, false) => "i32",
        (Element::I32, true) => "vec4<i32>",
        (Element::Bool, true) => "vec4<u32>",
        (Element::Bool, false) | (Element::U8, _) => "u32",
    }
}

/// The WGSL type of a formula's value.
pub(crate) fn stored_scalar(element: Element) -> &'static str {
    match element {
        Element::F32 | Element::F16 | Element::U8 => "f32",
        Element::I32 => "i32",
        Element::Bool => "bool",
    }
}

/// The text of the element at `address`, as the formula's type; the binding is scalar. Halves are widened by
/// [`super::narrow`].
pub(crate) fn element_at(element: Element, name: &str, address: &str) -> String {
    match element {
        Element::F32 | Element::F16 | Element::I32 => format!("{name}[{address}]"),
        Element::Bool => format!("({name}[{address}] != 0u)"),
        Element::U8 => {
            format!("f32(({name}[({address}) >> 2u] >> ((({address}) & 3u) * 8u)) & 255u)")
        }
    }
}

/// The text of the four elements at word `address`; the binding is of four.
pub(crate) fn quad_at(element: Element, name: &str, address: &str) -> String {
    match element {
        Element::F32 | Element::F16 | Element::I32 => format!("{name}[{address}]"),
        Element::Bool => format!("({name}[{address}] != vec4<u32>(0u))"),
        Element::U8 => format!(
            "vec4<f32>((vec4<u32>({name}[{address}]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u))"
        ),
    }
}

/// The text of a constant.
pub(crate) fn literal(value: f64, scalar: Scalar) -> String {
    match scalar {
        Scalar::F32 => real(value),
        #[allow(clippy::cast_possible_truncation)]
        Scalar::I32 => format!("i32({})", value as i32),
        Scalar::Bool => (value != 0.0).to_string(),
    }
}
