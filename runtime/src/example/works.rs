//! What the kernels of the example compute, as specifications.

use nnc_wgsl::schedule::{Reduction, RowSpec, RowStep, Spec};
use nnc_wgsl::{Binary, Element, Expr, ExprBuilder, Place, Read, Ref, Scalar, Unary, Write};

use super::BATCH;

const ROWS: u32 = BATCH as u32;
const FEATURES: u32 = 2;

/// The works by the numbers of their kernels.
pub(super) fn works() -> Vec<Spec> {
    vec![predict(), distance(), slope(), update()]
}

/// `y[i] = sum over k of x[i, k] * w[k]`; reads x, w.
fn predict() -> Spec {
    let product = Expr::build(&[Scalar::F32; 2], |b, x| b.binary(Binary::Mul, x[0], x[1]));
    let total = Expr::build(&[Scalar::F32; 3], |_, x| x[2]);
    Spec::Row(RowSpec {
        kept: vec![ROWS],
        reduced: vec![FEATURES],
        reads: vec![read(&[2, 1]), read(&[0, 1])],
        steps: vec![RowStep { reduction: Reduction::Sum, expr: product }],
        row_expr: total,
        row_writes: vec![write(&[1])],
        element_expr: nothing(),
        element_writes: Vec::new(),
    })
}

/// The means of `(y - t)^2` and `|y - t|` over the examples that count; reads y, t, how many count, and the row.
fn distance() -> Spec {
    let operands = [Scalar::F32, Scalar::F32, Scalar::F32, Scalar::I32];
    let counted = |value: fn(&mut ExprBuilder, Ref) -> Ref, before: usize| {
        let operands = [&operands[..], &vec![Scalar::F32; before]].concat();
        Expr::build(&operands, |b, x| {
            let difference = b.binary(Binary::Sub, x[0], x[1]);
            let (value, none) = (value(b, difference), b.real(0.0));
            let row = b.cast(Scalar::F32, x[3]);
            let counts = b.binary(Binary::Lt, row, x[2]);
            b.select(counts, value, none)
        })
    };
    let steps = vec![
        RowStep { reduction: Reduction::Sum, expr: counted(|b, d| b.binary(Binary::Mul, d, d), 0) },
        RowStep { reduction: Reduction::Sum, expr: counted(|b, d| b.unary(Unary::Abs, d), 1) },
    ];
    let mut b = ExprBuilder::new(&[&operands[..], &[Scalar::F32; 2]].concat());
    let (examples, totals) = (b.operand(2), [b.operand(4), b.operand(5)]);
    let means = totals.map(|total| b.binary(Binary::Div, total, examples));
    Spec::Row(RowSpec {
        kept: Vec::new(),
        reduced: vec![ROWS],
        reads: vec![
            read(&[1]),
            read(&[1]),
            Read::Host { slot: 4, element: Element::F32 },
            Read::Iota { place: place(&[1]) },
        ],
        steps,
        row_expr: b.finish(&means),
        row_writes: vec![write(&[]), write(&[])],
        element_expr: nothing(),
        element_writes: Vec::new(),
    })
}

/// `g[k] = 2 / n * sum over i of (y[i] - t[i]) * x[i, k]`; reads x, y, t.
fn slope() -> Spec {
    let product = Expr::build(&[Scalar::F32; 3], |b, x| {
        let difference = b.binary(Binary::Sub, x[1], x[2]);
        b.binary(Binary::Mul, difference, x[0])
    });
    let mean = Expr::build(&[Scalar::F32; 4], |b, x| {
        let share = b.real(2.0 / f64::from(ROWS));
        b.binary(Binary::Mul, x[3], share)
    });
    Spec::Column(RowSpec {
        kept: vec![FEATURES],
        reduced: vec![ROWS],
        reads: vec![read(&[1, 2]), read(&[0, 1]), read(&[0, 1])],
        steps: vec![RowStep { reduction: Reduction::Sum, expr: product }],
        row_expr: mean,
        row_writes: vec![write(&[1])],
        element_expr: nothing(),
        element_writes: Vec::new(),
    })
}

/// `m = 0.9 * m + g; w = w - rate * m`, unless this loss or one before was not finite; reads w, m, g, loss, guard and
/// rate, writes guard, w, m.
fn update() -> Spec {
    let operands = [Scalar::F32; 6];
    let halted = |b: &mut ExprBuilder| {
        let (loss, guard, none) = (b.operand(3), b.operand(4), b.real(0.0));
        let finite = b.unary(Unary::IsFinite, loss);
        let broken = b.unary(Unary::Not, finite);
        let before = b.binary(Binary::Ne, guard, none);
        b.binary(Binary::Or, broken, before)
    };
    let guard = Expr::build(&operands, |b, _| {
        let (halted, one, none) = (halted(b), b.real(1.0), b.real(0.0));
        b.select(halted, one, none)
    });
    let mut b = ExprBuilder::new(&operands);
    let (halted, share) = (halted(&mut b), b.real(0.9));
    let (w, m, g, rate) = (b.operand(0), b.operand(1), b.operand(2), b.operand(5));
    let kept = b.binary(Binary::Mul, share, m);
    let moved = b.binary(Binary::Add, kept, g);
    let step = b.binary(Binary::Mul, rate, moved);
    let next = b.binary(Binary::Sub, w, step);
    let (w, m) = (b.select(halted, w, next), b.select(halted, m, moved));
    Spec::Row(RowSpec {
        kept: Vec::new(),
        reduced: vec![FEATURES],
        reads: vec![
            read(&[1]),
            read(&[1]),
            read(&[1]),
            read(&[0]),
            read(&[0]),
            Read::Host { slot: 5, element: Element::F32 },
        ],
        steps: Vec::new(),
        row_expr: guard,
        row_writes: vec![write(&[])],
        element_expr: b.finish(&[w, m]),
        element_writes: vec![write(&[1]), write(&[1])],
    })
}

fn nothing() -> Expr {
    ExprBuilder::new(&[]).finish(&[])
}

fn place(strides: &[i64]) -> Place {
    Place { offset: 0, strides: strides.to_vec() }
}

fn read(strides: &[i64]) -> Read {
    Read::Buffer { element: Element::F32, place: place(strides) }
}

fn write(strides: &[i64]) -> Write {
    Write { element: Element::F32, place: place(strides) }
}
