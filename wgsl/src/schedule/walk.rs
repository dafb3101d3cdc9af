//! The loop of invocations that stride together over several axes. Where the innermost axis is long, they carry from one
//! axis to the next instead of dividing at each point.

use std::fmt::Write as _;

use super::source::Source;

/// A walk over all points of some axes.
pub(crate) struct Walk {
    extents: Vec<String>,
    /// The innermost extent.
    last: u32,
    /// Points from one of an invocation to its next.
    stride: u32,
}

impl Walk {
    /// Declares the extents as parameters `{name}{axis}`.
    pub(crate) fn over(source: &mut Source, name: &str, extents: &[u32], stride: u32) -> Walk {
        let last = extents.last().copied().unwrap_or(1);
        let extents = extents.iter().enumerate();
        let extents = extents.map(|(a, &extent)| source.param(&format!("{name}{a}"), extent)).collect();
        Walk { extents, last, stride }
    }

    /// The extents' texts.
    pub(crate) fn extents(&self) -> &[String] {
        &self.extents
    }

    /// Appends the loop over the points from number `first` up to `end`, with the body that `point` writes, given the
    /// coordinates `j0..`.
    pub(crate) fn each(
        &self,
        [first, end]: [&str; 2],
        out: &mut String,
        point: impl FnOnce(&[String], &mut String),
    ) {
        let rank = self.extents.len();
        let coords: Vec<String> = (0..rank).map(|a| format!("j{a}")).collect();
        let carries = rank > 1 && self.last.saturating_mul(4) >= self.stride;
        if carries {
            out.push_str("{\n");
            self.decode(first, "var", out);
        }
        let _ = writeln!(out, "for (var flat = {first}; flat < {end}; flat += {}u) {{", self.stride);
        if !carries {
            self.decode("flat", "let", out);
        }
        point(&coords, out);
        if carries {
            let _ = writeln!(out, "j{} += {}u;", rank - 1, self.stride);
            let word = if self.stride == 1 { "if" } else { "while" };
            for a in (1..rank).rev() {
                let extent = &self.extents[a];
                let _ = writeln!(out, "{word} (j{a} >= {extent}) {{ j{a} -= {extent}; j{} += 1u; }}", a - 1);
            }
            out.push_str("}\n");
        }
        out.push_str("}\n");
    }

    /// Appends the coordinates of a point.
    fn decode(&self, point: &str, keyword: &str, out: &mut String) {
        let mut rest = point.to_owned();
        for (a, extent) in self.extents.iter().enumerate().skip(1).rev() {
            let _ = writeln!(
                out,
                "let rest{a} = {rest} / {extent};\n{keyword} j{a} = {rest} - rest{a} * {extent};"
            );
            rest = format!("rest{a}");
        }
        if !self.extents.is_empty() {
            let _ = writeln!(out, "{keyword} j0 = {rest};");
        }
    }
}
