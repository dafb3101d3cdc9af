//! Prints an [`Expr`] as WGSL statements, one `let` a term, for one element or for four at once.
//!
//! The four-wide form computes on `vec4`; constants are splatted, so every operation sees equal widths.
//! What drivers with fast math get wrong is spelled out: `tanh` is clamped, finiteness is a test of bits,
//! and no literal is infinite. So is what they may round once or twice as they like: a product that is added to
//! something is `fma`, so that a formula gives the same bits in whatever kernel it stands.

use std::fmt::Write as _;

use crate::element::Scalar;
use crate::expr::{Binary, Expr, Ref, Term, Unary, for_each_part, term_types};

/// How many elements one statement computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// One element: `f32`, `i32`, `bool`.
    One,
    /// Four elements: `vec4<f32>`, `vec4<i32>`, `vec4<bool>`.
    Four,
}

impl Width {
    /// The WGSL type of a value of this width.
    #[must_use]
    pub fn of(self, scalar: Scalar) -> String {
        match self {
            Width::One => scalar.to_string(),
            Width::Four => format!("vec4<{scalar}>"),
        }
    }

    /// The WGSL text of `literal`, a scalar, at this width.
    #[must_use]
    pub fn splat(self, literal: &str, ty: &str) -> String {
        match self {
            Width::One => literal.to_owned(),
            Width::Four => format!("vec4<{ty}>({literal})"),
        }
    }
}

/// Appends to `out` the statements that compute `expr`; the texts of its results.
///
/// `operands[k]` is the text of operand `k`, of the operand's type at `width`; those that the formula does
/// not use may be empty. Names begin with `prefix`.
///
/// # Panics
/// If an operand that the formula uses has no text.
pub fn statements(
    expr: &Expr,
    operands: &[String],
    width: Width,
    prefix: &str,
    out: &mut String,
) -> Vec<String> {
    let types = term_types(expr.terms());
    let written = written(expr, &types);
    let mut texts: Vec<String> = Vec::with_capacity(expr.terms().len());
    for (place, term) in expr.terms().iter().enumerate() {
        if !written[place] {
            texts.push(String::new());
            continue;
        }
        let at = |r: Ref| texts[r.index()].as_str();
        let text = match term {
            Term::Operand(k, _) => {
                let text = &operands[*k as usize];
                assert!(!text.is_empty(), "operand {k} of a formula has a text");
                text.clone()
            }
            Term::Real(v) => width.splat(&real(v.value()), "f32"),
            Term::Int(v) => width.splat(&int(*v), "i32"),
            Term::Bool(v) => width.splat(&v.to_string(), "bool"),
            Term::Unary(op, a) => unary(*op, at(*a), types[a.index()], width),
            Term::Binary(op, a, b) => Fused::of(expr, term, &types)
                .map_or_else(|| binary(*op, at(*a), at(*b)), |fused| fused.text(at)),
            Term::Select { condition, yes, no } => {
                format!("select({}, {}, {})", at(*no), at(*yes), at(*condition))
            }
            Term::Cast(to, a) => cast(types[a.index()], *to, at(*a), width),
        };
        let leaf = matches!(term, Term::Operand(..) | Term::Real(_) | Term::Int(_) | Term::Bool(_));
        if leaf {
            texts.push(text);
        } else {
            let _ = writeln!(out, "let {prefix}{place} = {text};");
            texts.push(format!("{prefix}{place}"));
        }
    }
    expr.results().iter().map(|r| texts[r.index()].clone()).collect()
}

/// A number as an `f32` of WGSL. What is infinite there, or not a number, has no literal and is a call of one of
/// [`SPECIAL`].
#[must_use]
pub fn real(value: f64) -> String {
    #[allow(clippy::cast_possible_truncation)]
    let nearest = value as f32;
    if nearest.is_nan() {
        "not_a_number()".to_owned()
    } else if nearest == f32::INFINITY {
        "infinity()".to_owned()
    } else if nearest == f32::NEG_INFINITY {
        "(-infinity())".to_owned()
    } else if nearest < 0.0 {
        format!("({nearest:?}f)")
    } else {
        format!("{nearest:?}f")
    }
}

/// The calls that [`real`] writes, and what declares each. The bits pass through a variable, because WGSL refuses
/// constants that are not finite.
pub(crate) const SPECIAL: [(&str, &str); 2] = [
    ("infinity()", "fn infinity() -> f32 {\nvar bits = 0x7f800000u;\nreturn bitcast<f32>(bits);\n}\n"),
    (
        "not_a_number()",
        "fn not_a_number() -> f32 {\nvar bits = 0x7fc00000u;\nreturn bitcast<f32>(bits);\n}\n",
    ),
];

/// The number of largest magnitude and this sign: where the maximum or minimum of nothing begins.
pub(crate) fn extreme(sign: f64) -> String {
    real(f64::from(f32::MAX).copysign(sign))
}

fn int(value: i32) -> String {
    if value < 0 { format!("i32({value})") } else { format!("{value}i") }
}

fn unary(op: Unary, a: &str, scalar: Scalar, width: Width) -> String {
    let whole = scalar == Scalar::I32;
    match op {
        Unary::Neg => format!("-({a})"),
        Unary::Abs => format!("abs({a})"),
        Unary::Sign => format!("sign({a})"),
        Unary::Exp => format!("exp({a})"),
        Unary::Log => format!("log({a})"),
        Unary::Sqrt => format!("sqrt({a})"),
        Unary::Sin => format!("sin({a})"),
        Unary::Cos => format!("cos({a})"),
        Unary::Tanh => {
            let (low, high) = (width.splat("-15.0f", "f32"), width.splat("15.0f", "f32"));
            format!("tanh(clamp({a}, {low}, {high}))")
        }
        Unary::Floor | Unary::Ceil | Unary::Round if whole => a.to_owned(),
        Unary::Floor => format!("floor({a})"),
        Unary::Ceil => format!("ceil({a})"),
        Unary::Round => format!("round({a})"),
        Unary::Not => format!("!({a})"),
        Unary::IsFinite => {
            let exponent = width.splat("0x7f800000u", "u32");
            let bits = width.splat_type("u32");
            format!("((bitcast<{bits}>({a}) & {exponent}) != {exponent})")
        }
    }
}

impl Width {
    fn splat_type(self, ty: &str) -> String {
        match self {
            Width::One => ty.to_owned(),
            Width::Four => format!("vec4<{ty}>"),
        }
    }
}

fn binary(op: Binary, a: &str, b: &str) -> String {
    let sign = match op {
        Binary::And => "&",
        Binary::Or => "|",
        Binary::Pow => return format!("pow({a}, {b})"),
        Binary::Min => return format!("min({a}, {b})"),
        Binary::Max => return format!("max({a}, {b})"),
        _ => op.sign().expect("the rest are written between their operands"),
    };
    format!("{a} {sign} {b}")
}

/// A sum or difference of floats, one side of which is a product; of two products the right one, which is then not
/// rounded.
struct Fused {
    x: Ref,
    y: Ref,
    /// Whether the product is subtracted.
    is_less: bool,
    rest: Ref,
    /// Whether the other side is subtracted.
    is_rest_less: bool,
}

impl Fused {
    fn of(expr: &Expr, term: &Term, types: &[Scalar]) -> Option<Fused> {
        let Term::Binary(op @ (Binary::Add | Binary::Sub), a, b) = *term else { return None };
        let product = |r: Ref| match expr.terms()[r.index()] {
            Term::Binary(Binary::Mul, x, y) if types[r.index()] == Scalar::F32 => Some((x, y)),
            _ => None,
        };
        let is_sub = op == Binary::Sub;
        if let Some((x, y)) = product(b) {
            return Some(Fused { x, y, is_less: is_sub, rest: a, is_rest_less: false });
        }
        product(a).map(|(x, y)| Fused { x, y, is_less: false, rest: b, is_rest_less: is_sub })
    }

    fn text<'a>(&self, at: impl Fn(Ref) -> &'a str) -> String {
        let signed = |r: Ref, is_less: bool| if is_less { format!("-({})", at(r)) } else { at(r).to_owned() };
        let (x, rest) = (signed(self.x, self.is_less), signed(self.rest, self.is_rest_less));
        format!("fma({x}, {}, {rest})", at(self.y))
    }
}

/// Which terms are written: a product that only goes into sums is written there.
fn written(expr: &Expr, types: &[Scalar]) -> Vec<bool> {
    let mut written = vec![false; expr.terms().len()];
    for result in expr.results() {
        written[result.index()] = true;
    }
    for (place, term) in expr.terms().iter().enumerate().rev() {
        if !written[place] {
            continue;
        }
        match Fused::of(expr, term, types) {
            Some(Fused { x, y, rest, .. }) => [x, y, rest].iter().for_each(|r| written[r.index()] = true),
            None => for_each_part(term, |r| written[r.index()] = true),
        }
    }
    written
}

fn cast(from: Scalar, to: Scalar, a: &str, width: Width) -> String {
    match (from, to) {
        (Scalar::Bool, Scalar::F32) => {
            format!("select({}, {}, {a})", width.splat("0.0f", "f32"), width.splat("1.0f", "f32"))
        }
        (Scalar::Bool, Scalar::I32) => {
            format!("select({}, {}, {a})", width.splat("0i", "i32"), width.splat("1i", "i32"))
        }
        (Scalar::F32, Scalar::Bool) => format!("({a} != {})", width.splat("0.0f", "f32")),
        (Scalar::I32, Scalar::Bool) => format!("({a} != {})", width.splat("0i", "i32")),
        _ => format!("{}({a})", width.of(to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_read_back() {
        for value in [0.0, 1.0, 1e-8, -2.5, 3.4e38, 1e-45, 0.1] {
            let text = real(value);
            let bare = text.trim_matches(['(', ')']).trim_end_matches('f');
            #[allow(clippy::cast_possible_truncation)]
            let expected = value as f32;
            assert_eq!(bare.parse::<f32>().unwrap(), expected, "{text}");
        }
        assert_eq!(extreme(-1.0), "(-3.4028235e38f)");
        assert_eq!(real(f64::NEG_INFINITY), "(-infinity())");
        assert_eq!(real(1e39), "infinity()");
        assert_eq!(real(f64::NAN), "not_a_number()");
    }

    #[test]
    fn a_term_is_written_once() {
        let expr = Expr::build(&[Scalar::F32], |b, x| {
            let square = b.binary(Binary::Mul, x[0], x[0]);
            b.binary(Binary::Add, square, square)
        });
        let mut out = String::new();
        let results = statements(&expr, &["x".to_owned()], Width::One, "t", &mut out);
        assert_eq!(out, "let t1 = x * x;\nlet t2 = fma(x, x, t1);\n");
        assert_eq!(results, ["t2"]);
    }

    #[test]
    fn a_product_within_a_sum_is_not_rounded() {
        let written = |op: Binary, left: bool| {
            let expr = Expr::build(&[Scalar::F32; 3], |b, x| {
                let product = b.binary(Binary::Mul, x[0], x[1]);
                if left { b.binary(op, product, x[2]) } else { b.binary(op, x[2], product) }
            });
            let mut out = String::new();
            let operands = ["x", "y", "z"].map(str::to_owned);
            let result = statements(&expr, &operands, Width::One, "t", &mut out).remove(0);
            let line = out.lines().find_map(|line| line.strip_prefix(&format!("let {result} = "))).unwrap();
            line.to_owned()
        };
        assert_eq!(written(Binary::Add, true), "fma(x, y, z);");
        assert_eq!(written(Binary::Add, false), "fma(x, y, z);");
        assert_eq!(written(Binary::Sub, true), "fma(x, y, -(z));");
        assert_eq!(written(Binary::Sub, false), "fma(-(x), y, z);");
    }
}
