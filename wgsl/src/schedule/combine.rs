//! Reductions as text.

use std::fmt::Write as _;

use super::Reduction;
use crate::print::{Width, extreme, real};

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
    match reduction {
        Reduction::Sum => real(0.0),
        Reduction::Product => real(1.0),
        Reduction::Max => extreme(-1.0),
        Reduction::Min => extreme(1.0),
    }
}

/// Appends the combination of `{total}_sum` over a workgroup of one axis, in a fixed order, as `{total}`; `partial` is
/// workgroup memory with an element for each invocation.
pub(crate) fn combine_workgroup(reduction: Reduction, threads: u32, total: &str, out: &mut String) {
    let sum = combine(reduction, "partial[local.x]", "partial[local.x + half]");
    let _ = writeln!(
        out,
        "partial[local.x] = {total}_sum;\n\
         workgroupBarrier();\n\
         for (var half = {}u; half > 0u; half = half >> 1u) {{\n\
         if (local.x < half) {{ partial[local.x] = {sum}; }}\n\
         workgroupBarrier();\n\
         }}\n\
         let {total} = partial[0];\n\
         workgroupBarrier();",
        threads / 2
    );
}

/// Appends the reduction of `count` elements of `name` from `address` on, `stride` apart, as `value`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn combine_loop(
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
