//! The specifications that are tried: each is a name, a specification, and which reads share a write's memory.

use nnc_wgsl::schedule::{
    ContractSpec, ConvKind, ConvSpec, LineKind, LineSpec, MapSpec, Matrix, Reduction, RowSpec, RowStep, Spec,
    WindowKind, WindowSpec,
};
use nnc_wgsl::{Binary, Element, Epilogue, Expr, ExprBuilder, Place, Read, Real, Scalar, Unary, Write};

use super::product_rows;
use super::reference::{Reference, conv_extents};

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// What it is about.
    pub(crate) name: String,
    /// What is computed.
    pub(crate) spec: Spec,
    /// `(read, write)` pairs in one memory.
    pub(crate) in_place: Vec<(usize, usize)>,
}

use Element::{Bool, F32, I32, U8};

/// All lines.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    maps(&mut cases);
    rows(&mut cases);
    columns(&mut cases);
    product_rows::cases(&mut cases);
    contracts(&mut cases);
    convs(&mut cases);
    windows(&mut cases);
    lines(&mut cases);
    narrowed(&mut cases);
    cases
}

impl Case {
    /// Whether some tensor is of halves.
    pub(crate) fn has_halves(&self) -> bool {
        self.spec.reads().iter().chain(&self.spec.writes()).any(|(element, _)| *element == Element::F16)
    }
}

/// Each case on tensors of halves alone, and some on halves beside floats, with each slot either in turn.
fn narrowed(cases: &mut Vec<Case>) {
    for (number, case) in cases.clone().into_iter().enumerate() {
        let slots = case.spec.reads().len() + case.spec.writes().len();
        if case.in_place.is_empty() {
            let spec = case.spec.narrowed(|_| true);
            cases.push(Case { name: format!("{} in halves", case.name), spec, in_place: Vec::new() });
        }
        let turn = number % (slots + 1);
        let spec = case.spec.narrowed(|slot| slot == turn);
        let taken = case.in_place.iter().any(|&(read, write)| spec.reads()[read].0 != spec.writes()[write].0);
        if number % 4 == 0 && !taken {
            cases.push(Case {
                name: format!("{}, slot {turn} in halves", case.name),
                spec,
                in_place: case.in_place,
            });
        }
    }
}

pub(crate) fn case(name: impl Into<String>, spec: Spec) -> Case {
    Case { name: name.into(), spec, in_place: Vec::new() }
}

/// A contiguous place over `extents`.
pub(crate) fn dense(extents: &[u32]) -> Place {
    let mut strides = vec![1i64; extents.len()];
    for a in (0..extents.len().saturating_sub(1)).rev() {
        strides[a] = strides[a + 1] * i64::from(extents[a + 1]);
    }
    Place { offset: 0, strides }
}

pub(crate) fn place(offset: i64, strides: &[i64]) -> Place {
    Place { offset, strides: strides.to_vec() }
}

pub(crate) fn read(element: Element, place: Place) -> Read {
    Read::Buffer { element, place }
}

pub(crate) fn write(element: Element, place: Place) -> Write {
    Write { element, place }
}

pub(crate) fn sum_of(operands: usize) -> Expr {
    Expr::build(&vec![Scalar::F32; operands], |b, x| {
        let mut sum = x[0];
        for (k, &next) in x.iter().enumerate().skip(1) {
            let factor = b.real(1.0 + k as f64);
            let term = b.binary(Binary::Mul, factor, next);
            sum = b.binary(Binary::Add, sum, term);
        }
        sum
    })
}

pub(crate) fn adam() -> Expr {
    let mut b = ExprBuilder::new(&[Scalar::F32; 7]);
    let x: Vec<_> = (0..7).map(|k| b.operand(k)).collect();
    let (w, g, m, v, lr, c1, c2) = (x[0], x[1], x[2], x[3], x[4], x[5], x[6]);
    let (b1, nb1, b2, nb2, eps) = (b.real(0.9), b.real(0.1), b.real(0.999), b.real(0.001), b.real(1e-8));
    let m1 = b.binary(Binary::Mul, b1, m);
    let m2 = b.binary(Binary::Mul, nb1, g);
    let m = b.binary(Binary::Add, m1, m2);
    let gg = b.binary(Binary::Mul, g, g);
    let v1 = b.binary(Binary::Mul, b2, v);
    let v2 = b.binary(Binary::Mul, nb2, gg);
    let v = b.binary(Binary::Add, v1, v2);
    let mh = b.binary(Binary::Mul, m, c1);
    let vh = b.binary(Binary::Mul, v, c2);
    let vh = b.unary(Unary::Abs, vh);
    let root = b.unary(Unary::Sqrt, vh);
    let under = b.binary(Binary::Add, root, eps);
    let ratio = b.binary(Binary::Div, mh, under);
    let change = b.binary(Binary::Mul, lr, ratio);
    let w = b.binary(Binary::Sub, w, change);
    b.finish(&[w, m, v])
}

fn maps(cases: &mut Vec<Case>) {
    let map = |extents: &[u32], reads: Vec<Read>, expr: Expr, writes: Vec<Write>| {
        Spec::Map(MapSpec { extents: extents.to_vec(), reads, expr, writes })
    };
    for n in [1u32, 3, 4, 257, 1024, 70_000] {
        let spec = map(
            &[n],
            vec![read(F32, dense(&[n])), read(F32, dense(&[n]))],
            sum_of(2),
            vec![write(F32, dense(&[n]))],
        );
        cases.push(case(format!("map: {n} contiguous"), spec));
    }
    let e = [3u32, 5, 8];
    cases.push(case(
        "map: broadcast along each axis, a scalar, and a transpose",
        map(
            &e,
            vec![
                read(F32, place(0, &[0, 0, 1])),
                read(F32, place(2, &[0, 1, 0])),
                read(F32, place(1, &[1, 0, 0])),
                read(F32, place(0, &[0, 0, 0])),
                read(F32, place(3, &[1, 3, 15])),
            ],
            sum_of(5),
            vec![write(F32, dense(&e))],
        ),
    ));
    cases.push(case(
        "map: transposed result, reversed operand, odd offset",
        map(
            &[6, 4],
            vec![read(F32, place(23, &[-4, -1])), read(F32, place(1, &[4, 1]))],
            sum_of(2),
            vec![write(F32, place(5, &[1, 6]))],
        ),
    ));
    cases.push(case(
        "map: a slice of rows of 12 into rows of 8",
        map(&[5, 8], vec![read(F32, place(4, &[12, 1]))], sum_of(1), vec![write(F32, place(8, &[16, 1]))]),
    ));
    for (name, low, extent, full) in
        [("aligned", 4u32, 8u32, 16u32), ("odd", 1, 3, 5), ("odd wide", 3, 6, 12)]
    {
        let strides = [i64::from(extent), 1];
        let offset = -(2 * strides[0]) - i64::from(low);
        cases.push(case(
            format!("map: padding, {name}"),
            map(
                &[7, full],
                vec![Read::Padded {
                    element: F32,
                    place: place(offset, &strides),
                    inside: vec![(2, 4), (low, extent)],
                    value: Real::new(-2.5),
                }],
                sum_of(1),
                vec![write(F32, dense(&[7, full]))],
            ),
        ));
    }
    for (n, from) in [(20u32, 0i64), (20, 3), (21, 1)] {
        cases.push(case(
            format!("map: {n} bytes from {from}"),
            map(
                &[n],
                vec![read(U8, place(from, &[1])), read(U8, place(0, &[0]))],
                sum_of(2),
                vec![write(F32, dense(&[n]))],
            ),
        ));
    }
    for n in [16u32, 15] {
        let expr = Expr::build(&[Scalar::I32, Scalar::Bool, Scalar::F32], |b, x| {
            let one = b.int(1);
            let i = b.binary(Binary::Add, x[0], one);
            let f = b.cast(Scalar::F32, i);
            let big = b.binary(Binary::Gt, f, x[2]);
            let both = b.binary(Binary::And, big, x[1]);
            let finite = b.unary(Unary::IsFinite, f);
            b.binary(Binary::And, both, finite)
        });
        cases.push(case(
            format!("map: {n} integers and truths to truths"),
            map(
                &[n],
                vec![read(I32, dense(&[n])), read(Bool, dense(&[n])), Read::Host { slot: 6, element: F32 }],
                expr,
                vec![write(Bool, dense(&[n]))],
            ),
        ));
        let expr = Expr::build(&[Scalar::I32, Scalar::F32], |b, x| {
            let f = b.cast(Scalar::F32, x[0]);
            b.binary(Binary::Add, f, x[1])
        });
        cases.push(case(
            format!("map: {n} of iota and random"),
            map(
                &[3, n],
                vec![
                    Read::Iota { place: place(-2, &[5, 1]) },
                    Read::Random { stream: 7, place: place(8, &[i64::from(n), 1]) },
                ],
                expr,
                vec![write(F32, dense(&[3, n]))],
            ),
        ));
    }
    let functions = [
        Unary::Neg,
        Unary::Abs,
        Unary::Sign,
        Unary::Exp,
        Unary::Sqrt,
        Unary::Sin,
        Unary::Cos,
        Unary::Tanh,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
        Unary::Log,
    ];
    for function in functions {
        let expr = Expr::build(&[Scalar::F32], |b, x| {
            let x = if matches!(function, Unary::Sqrt | Unary::Log) {
                let near = b.unary(Unary::Abs, x[0]);
                let small = b.real(0.125);
                b.binary(Binary::Add, near, small)
            } else {
                let factor = b.real(3.7);
                b.binary(Binary::Mul, x[0], factor)
            };
            b.unary(function, x)
        });
        for n in [8u32, 7] {
            let spec = map(&[n], vec![read(F32, dense(&[n]))], expr.clone(), vec![write(F32, dense(&[n]))]);
            cases.push(case(format!("map: {function:?} of {n}"), spec));
        }
    }
    operators(cases);
    let n = 1000;
    cases.push(Case {
        name: "map: adam, in place".into(),
        spec: map(
            &[n],
            vec![
                read(F32, dense(&[n])),
                read(F32, dense(&[n])),
                read(F32, dense(&[n])),
                read(F32, dense(&[n])),
                Read::Host { slot: 4, element: F32 },
                Read::Host { slot: 5, element: F32 },
                Read::Host { slot: 6, element: F32 },
            ],
            adam(),
            vec![write(F32, dense(&[n])), write(F32, dense(&[n])), write(F32, dense(&[n]))],
        ),
        in_place: vec![(0, 0), (2, 1), (3, 2)],
    });
    cases.push(case(
        "map: one number",
        map(&[], vec![read(F32, place(3, &[]))], sum_of(1), vec![write(F32, place(2, &[]))]),
    ));
}

/// Every operator on floats and integers, four at once and one by one, and every cast.
fn operators(cases: &mut Vec<Case>) {
    use Binary::{Add, Div, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, Ne, Or, Pow, Rem, Sub};
    for operator in [Add, Sub, Mul, Div, Rem, Pow, Min, Max, Lt, Le, Gt, Ge, Eq, Ne] {
        for (scalar, element) in [(Scalar::F32, F32), (Scalar::I32, I32)] {
            if operator == Pow && scalar == Scalar::I32 {
                continue;
            }
            let expr = Expr::build(&[scalar; 2], |b, x| {
                let (mut left, mut right) = (x[0], x[1]);
                if scalar == Scalar::F32 && matches!(operator, Div | Rem | Pow) {
                    let away = b.real(1.5);
                    left = b.binary(Add, left, away);
                    right = b.binary(Add, right, away);
                }
                if scalar == Scalar::I32 && matches!(operator, Div | Rem) {
                    let far = b.int(11);
                    right = b.binary(Add, right, far);
                }
                b.binary(operator, left, right)
            });
            let result = Element::of(expr.result_type(0));
            for n in [64u32, 63] {
                cases.push(case(
                    format!("map: {operator:?} of {n} {scalar}"),
                    Spec::Map(MapSpec {
                        extents: vec![n],
                        reads: vec![read(element, dense(&[n])), read(element, dense(&[n]))],
                        expr: expr.clone(),
                        writes: vec![write(result, dense(&[n]))],
                    }),
                ));
            }
        }
    }
    for (from, element) in [(Scalar::F32, F32), (Scalar::I32, I32), (Scalar::Bool, Bool)] {
        for to in [Scalar::F32, Scalar::I32, Scalar::Bool] {
            let expr = Expr::build(&[from, from], |b, x| {
                let [one, other] = [x[0], x[1]].map(|v| {
                    let v = if from == Scalar::F32 {
                        let factor = b.real(7.3);
                        b.binary(Mul, v, factor)
                    } else {
                        v
                    };
                    b.cast(to, v)
                });
                let condition = b.cast(Scalar::Bool, one);
                let condition = b.binary(Or, condition, condition);
                let no = b.unary(Unary::Not, condition);
                b.select(no, one, other)
            });
            for n in [64u32, 63] {
                cases.push(case(
                    format!("map: {n} {from} to {to}, and select"),
                    Spec::Map(MapSpec {
                        extents: vec![n],
                        reads: vec![read(element, dense(&[n])), read(element, dense(&[n]))],
                        expr: expr.clone(),
                        writes: vec![write(Element::of(to), dense(&[n]))],
                    }),
                ));
            }
        }
    }
}

/// Softmax over the reduced axes, with the row's largest and sum also written.
pub(crate) fn softmax(kept: &[u32], reduced: &[u32], from: Place, to: Place, rows: Place) -> RowSpec {
    RowSpec {
        kept: kept.to_vec(),
        reduced: reduced.to_vec(),
        reads: vec![read(F32, from)],
        steps: vec![
            RowStep { reduction: Reduction::Max, expr: Expr::identity(Scalar::F32) },
            RowStep {
                reduction: Reduction::Sum,
                expr: Expr::build(&[Scalar::F32; 2], |b, x| {
                    let less = b.binary(Binary::Sub, x[0], x[1]);
                    b.unary(Unary::Exp, less)
                }),
            },
        ],
        row_expr: Expr::build(&[Scalar::F32; 3], |b, x| {
            let log = b.unary(Unary::Log, x[2]);
            b.binary(Binary::Add, log, x[1])
        }),
        row_writes: vec![write(F32, rows)],
        element_expr: Expr::build(&[Scalar::F32; 3], |b, x| {
            let less = b.binary(Binary::Sub, x[0], x[1]);
            let e = b.unary(Unary::Exp, less);
            b.binary(Binary::Div, e, x[2])
        }),
        element_writes: vec![write(F32, to)],
    }
}

fn rows(cases: &mut Vec<Case>) {
    for (rows, length) in [(5u32, 10u32), (64, 10), (7, 100), (3, 300), (2, 5000), (300, 33)] {
        let spec =
            softmax(&[rows], &[length], dense(&[rows, length]), dense(&[rows, length]), dense(&[rows]));
        cases.push(case(format!("row: softmax {rows}x{length}"), Spec::Row(spec.clone())));
        cases.push(Case {
            name: format!("row: softmax {rows}x{length} in place"),
            spec: Spec::Row(spec),
            in_place: vec![(0, 1)],
        });
    }
    let spec =
        softmax(&[2, 3], &[4, 50], place(1, &[600, 50, 150, 1]), place(0, &[1, 2, 6, 24]), place(2, &[1, 2]));
    cases.push(case("row: softmax over two strided axes", Spec::Row(spec)));
    let spec = softmax(&[], &[77], dense(&[77]), dense(&[77]), place(0, &[]));
    cases.push(case("row: softmax of one row", Spec::Row(spec)));
    for reduction in [Reduction::Sum, Reduction::Product, Reduction::Max, Reduction::Min] {
        for length in [9u32, 90] {
            let expr = Expr::build(&[Scalar::F32; 2], |b, x| b.binary(Binary::Mul, x[0], x[1]));
            let spec = RowSpec {
                kept: vec![4],
                reduced: vec![length],
                reads: vec![
                    read(F32, place(0, &[i64::from(length), 1])),
                    Read::Padded {
                        element: F32,
                        place: place(-2, &[0, 1]),
                        inside: vec![(0, 4), (2, length - 3)],
                        value: Real::new(1.0),
                    },
                    read(F32, place(0, &[1, 0])),
                ],
                steps: vec![RowStep { reduction, expr }],
                row_expr: Expr::build(&[Scalar::F32; 4], |b, x| b.binary(Binary::Add, x[3], x[2])),
                row_writes: vec![write(F32, dense(&[4]))],
                element_expr: Expr::constant(0.0),
                element_writes: vec![],
            };
            cases.push(case(format!("row: {reduction:?} of {length}, padded"), Spec::Row(spec.clone())));
            cases.push(case(format!("column: {reduction:?} of {length}, padded"), Spec::Column(spec)));
        }
    }
}

fn columns(cases: &mut Vec<Case>) {
    let column = |kept: &[u32], reduced: &[u32], from: Place| {
        Spec::Column(RowSpec {
            kept: kept.to_vec(),
            reduced: reduced.to_vec(),
            reads: vec![read(F32, from), Read::Host { slot: 4, element: F32 }],
            steps: vec![RowStep {
                reduction: Reduction::Sum,
                expr: Expr::build(&[Scalar::F32; 2], |b, x| b.binary(Binary::Mul, x[0], x[0])),
            }],
            row_expr: Expr::build(&[Scalar::F32; 3], |b, x| b.binary(Binary::Mul, x[2], x[1])),
            row_writes: vec![write(F32, dense(kept))],
            element_expr: Expr::constant(0.0),
            element_writes: vec![],
        })
    };
    cases.push(case("column: bias of a matrix, 10 of 64", column(&[10], &[64], place(0, &[1, 10]))));
    cases.push(case("column: 1000 of 700", column(&[1000], &[700], place(0, &[1, 1000]))));
    cases.push(case("column: 33 of 9000", column(&[33], &[9000], place(0, &[1, 33]))));
    cases
        .push(case("column: channels, 6 of [5, 7, 9]", column(&[6], &[5, 7, 9], place(0, &[63, 378, 9, 1]))));
    cases.push(case(
        "column: channels, 32 of [64, 28, 28]",
        column(&[32], &[64, 28, 28], place(0, &[784, 25088, 28, 1])),
    ));
    cases.push(case("column: everything, 100_000", column(&[], &[100_000], dense(&[100_000]))));
    cases.push(case("column: everything, 37 in two strides", column(&[], &[37, 3], place(0, &[5, 1]))));
    cases.push(case(
        "column: three strided axes",
        column(&[4, 3], &[17, 5, 3], place(2, &[1, 4, 400, 60, 12])),
    ));
    cases.push(case("column: a short last axis", column(&[2], &[900, 2], place(0, &[1, 5, 2]))));
}

fn plain(extents: &[u32]) -> Epilogue {
    Epilogue { reads: vec![], expr: Expr::identity(Scalar::F32), writes: vec![write(F32, dense(extents))] }
}

/// Bias along `axis`, a residual, then `max(.., 0)`.
fn bias_residual(extents: &[u32], axis: usize) -> Epilogue {
    let mut strides = vec![0; extents.len()];
    strides[axis] = 1;
    Epilogue {
        reads: vec![read(F32, place(3, &strides)), read(F32, dense(extents))],
        expr: Expr::build(&[Scalar::F32; 3], |b, x| {
            let sum = b.binary(Binary::Add, x[0], x[1]);
            let sum = b.binary(Binary::Add, sum, x[2]);
            let zero = b.real(0.0);
            b.binary(Binary::Max, sum, zero)
        }),
        writes: vec![write(F32, dense(extents))],
    }
}

pub(crate) fn matrix(batch: i64, row: i64, column: i64) -> Matrix {
    Matrix { element: F32, offset: 0, batch, row, column }
}

/// A product with each operand transposed or not.
pub(crate) fn product(batch: u32, m: u32, n: u32, k: u32, ta: bool, tb: bool) -> ContractSpec {
    let (mi, ni, ki) = (i64::from(m), i64::from(n), i64::from(k));
    let left = if ta { matrix(mi * ki, 1, mi) } else { matrix(mi * ki, ki, 1) };
    let right = if tb { matrix(ni * ki, 1, ki) } else { matrix(ni * ki, ni, 1) };
    ContractSpec { batch, m, n, parts: 1, k, left, right, epilogue: plain(&[batch, m, n]) }
}

/// `parts` of `n` columns side by side; the second result is a product of all parts and a read, the first that of
/// the last part and one more, both in places of no kind.
fn in_parts(batch: u32, m: u32, n: u32, k: u32, tb: bool, parts: u32) -> ContractSpec {
    let mut spec = product(batch, m, n * parts, k, false, tb);
    (spec.n, spec.parts) = (n, parts);
    let scalars = vec![Scalar::F32; parts as usize + 2];
    let (row, wide) = (i64::from(n), i64::from(n * parts));
    let rows = i64::from(m);
    spec.epilogue = Epilogue {
        reads: vec![read(F32, place(row, &[rows * wide, wide, 1])), read(F32, place(2, &[0, 0, 1]))],
        expr: {
            let mut b = ExprBuilder::new(&scalars);
            let x: Vec<_> = (0..scalars.len()).map(|k| b.operand(k)).collect();
            let all = x[1..=parts as usize].iter().fold(x[0], |all, &next| b.binary(Binary::Mul, all, next));
            let last = b.binary(Binary::Add, x[parts as usize - 1], x[parts as usize + 1]);
            b.finish(&[last, all])
        },
        writes: vec![write(F32, place(3, &[rows * wide, wide, 1])), write(F32, dense(&[batch, m, n]))],
    };
    spec
}

fn contracts(cases: &mut Vec<Case>) {
    for (batch, m, n, k) in [(1u32, 1u32, 1u32, 1u32), (1, 5, 7, 3), (2, 33, 20, 9), (1, 300, 72, 40)] {
        for (parts, tb) in [(2, false), (3, true), (4, false), (4, true), (7, true), (8, false)] {
            let mark = if tb { "^T" } else { "" };
            let name = format!("contract: {batch}x {m}x{k} @ {k}x{n}{mark} in {parts} parts");
            cases.push(case(name, Spec::Contract(in_parts(batch, m, n, k, tb, parts))));
        }
    }
    let sizes = [
        (1u32, 1u32, 1u32, 1u32),
        (1, 4, 4, 4),
        (1, 5, 7, 3),
        (2, 33, 17, 9),
        (1, 64, 64, 64),
        (3, 40, 36, 20),
        (1, 130, 132, 70),
        (1, 64, 10, 1024),
        (1, 10, 12, 1030),
        (1, 260, 256, 36),
    ];
    for (batch, m, n, k) in sizes {
        for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
            let mark = |t: bool| if t { "^T" } else { "" };
            let spec = product(batch, m, n, k, ta, tb);
            let name = format!("contract: {batch}x {m}x{k}{} @ {k}x{n}{}", mark(ta), mark(tb));
            cases.push(case(name, Spec::Contract(spec)));
        }
    }
    for (m, n, k) in [(36u32, 40u32, 48u32), (20, 12, 2000), (9, 7, 1111)] {
        let mut spec = product(2, m, n, k, false, true);
        spec.epilogue = bias_residual(&[2, m, n], 2);
        cases.push(case(format!("contract: {m}x{n}x{k} with epilogue"), Spec::Contract(spec.clone())));
        cases.push(Case {
            name: format!("contract: {m}x{n}x{k} added to its own memory"),
            spec: Spec::Contract(spec),
            in_place: vec![(3, 0)],
        });
    }
    let mut spec = product(1, 24, 20, 32, false, false);
    spec.left.offset = 3;
    spec.left.row = 37;
    spec.right = matrix(0, 2, 66);
    spec.epilogue.writes[0].place = place(1, &[0, 1, 24]);
    cases.push(case("contract: strides of no kind, result transposed", Spec::Contract(spec)));
    let mut spec = product(2, 24, 20, 32, false, false);
    spec.left.element = U8;
    spec.right.batch = 0;
    cases.push(case("contract: bytes on the left, one right for all", Spec::Contract(spec)));
    let mut spec = product(1, 200, 200, 300, true, false);
    spec.epilogue.expr = Expr::build(&[Scalar::F32], |b, x| {
        let zero = b.real(0.0);
        b.binary(Binary::Gt, x[0], zero)
    });
    spec.epilogue.writes[0].element = Bool;
    cases.push(case("contract: only the sign is written", Spec::Contract(spec)));
}

#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) n: u32,
    pub(crate) c: u32,
    pub(crate) input: [u32; 3],
    pub(crate) o: u32,
    pub(crate) kernel: [u32; 3],
    pub(crate) stride: [u32; 3],
    pub(crate) pad: [u32; 3],
    pub(crate) dilation: [u32; 3],
    pub(crate) groups: u32,
}

pub(crate) fn geometry(n: u32, c: u32, input: [u32; 2], o: u32, kernel: u32, pad: u32) -> Geometry {
    Geometry {
        n,
        c,
        input: [1, input[0], input[1]],
        o,
        kernel: [1, kernel, kernel],
        stride: [1; 3],
        pad: [0, pad, pad],
        dilation: [1; 3],
        groups: 1,
    }
}

/// A cube of a window over a volume.
fn volume(n: u32, c: u32, input: [u32; 3], o: u32, kernel: u32, pad: u32) -> Geometry {
    let flat = geometry(n, c, [input[1], input[2]], o, kernel, pad);
    Geometry { input, kernel: [kernel; 3], pad: [pad; 3], ..flat }
}

pub(crate) fn conv_spec(kind: ConvKind, g: Geometry) -> ConvSpec {
    let output = [0, 1, 2]
        .map(|a| (g.input[a] + 2 * g.pad[a] - g.dilation[a] * (g.kernel[a] - 1) - 1) / g.stride[a] + 1);
    let spec = ConvSpec {
        kind,
        n: g.n,
        c: g.c,
        input: g.input,
        o: g.o,
        kernel: g.kernel,
        output,
        stride: g.stride,
        pad: g.pad,
        dilation: g.dilation,
        groups: g.groups,
        elements: [F32; 2],
        offsets: [0, 0],
        epilogue: plain(&[1]),
    };
    ConvSpec { epilogue: plain(&conv_extents(&spec)), ..spec }
}

pub(crate) const CONV_KINDS: [ConvKind; 3] =
    [ConvKind::Forward, ConvKind::InputGradient, ConvKind::WeightGradient];

fn convs(cases: &mut Vec<Case>) {
    let mut wide = geometry(2, 6, [1, 60], 5, 1, 0);
    wide.kernel = [1, 1, 20];
    wide.stride = [1, 1, 20];
    let mut strided = geometry(2, 3, [11, 13], 8, 3, 1);
    strided.stride = [1, 2, 2];
    let mut dilated = geometry(1, 4, [12, 12], 6, 3, 2);
    dilated.dilation = [1, 2, 2];
    let mut uneven = geometry(2, 3, [9, 14], 4, 3, 0);
    uneven.kernel = [1, 2, 4];
    uneven.stride = [1, 3, 1];
    uneven.dilation = [1, 1, 2];
    uneven.pad = [0, 1, 3];
    let mut grouped = geometry(2, 8, [6, 6], 12, 3, 1);
    grouped.groups = 4;
    let mut depthwise = geometry(1, 10, [8, 8], 10, 3, 1);
    depthwise.groups = 10;
    let mut patches = geometry(3, 3, [8, 8], 7, 2, 0);
    patches.stride = [1, 2, 2];
    let mut long = geometry(2, 24, [30, 13], 40, 3, 1);
    long.kernel = [1, 2, 5];
    let mut paired = geometry(3, 48, [12, 12], 80, 3, 1);
    paired.groups = 2;
    let mut multiplied = geometry(2, 6, [9, 7], 12, 3, 1);
    multiplied.groups = 6;
    multiplied.stride = [1, 2, 1];
    multiplied.dilation = [1, 1, 2];
    let mut tall = volume(2, 3, [5, 6, 7], 4, 2, 1);
    tall.kernel = [3, 2, 1];
    tall.stride = [1, 2, 3];
    tall.dilation = [2, 1, 1];
    let mut apart = volume(1, 4, [4, 5, 6], 8, 3, 1);
    apart.groups = 4;
    apart.stride = [2, 1, 1];
    let geometries = [
        ("uneven runs", long),
        ("runs in groups", paired),
        ("first layer", geometry(2, 1, [28, 28], 32, 5, 2)),
        ("second layer", geometry(2, 32, [14, 14], 64, 5, 2)),
        ("1x1", geometry(2, 12, [5, 7], 9, 1, 0)),
        ("1x1 in fours", geometry(3, 36, [6, 6], 40, 1, 0)),
        ("one row", wide),
        ("stride 2", strided),
        ("dilation 2", dilated),
        ("uneven", uneven),
        ("4 groups", grouped),
        ("depthwise", depthwise),
        ("patches", patches),
        ("one pixel", geometry(1, 5, [3, 3], 3, 3, 0)),
        ("depthwise, two each", multiplied),
        ("volume", volume(1, 10, [6, 7, 9], 12, 3, 1)),
        ("uneven volume", tall),
        ("depthwise volume", apart),
    ];
    for (name, g) in geometries {
        for kind in CONV_KINDS {
            let mut spec = conv_spec(kind, g);
            cases.push(case(format!("conv: {name}, {kind:?}"), Spec::Conv(spec.clone())));
            let extents = conv_extents(&spec);
            spec.epilogue = bias_residual(&extents, 1);
            spec.offsets = [5, 3];
            cases.push(case(format!("conv: {name}, {kind:?} with epilogue"), Spec::Conv(spec.clone())));
            let mut framed = extents.clone();
            *framed.last_mut().expect("a result has axes") += 2;
            framed[2] += 1;
            spec.epilogue.writes[0].place = Place { offset: 7, ..dense(&framed) };
            cases.push(case(format!("conv: {name}, {kind:?} into a frame"), Spec::Conv(spec)));
        }
    }
}

pub(crate) fn window_spec(
    kind: WindowKind,
    planes: [u32; 2],
    input: [u32; 2],
    kernel: [u32; 2],
    stride: [u32; 2],
    pad: [u32; 2],
    dilation: [u32; 2],
) -> WindowSpec {
    let output = [0, 1].map(|a| (input[a] + 2 * pad[a] - dilation[a] * (kernel[a] - 1) - 1) / stride[a] + 1);
    let backward = matches!(kind, WindowKind::MaxGradient | WindowKind::MeanGradient { .. });
    let [h, w] = if backward { input } else { output };
    let operands = if kind == WindowKind::MaxGradient { 2 } else { 1 };
    WindowSpec {
        kind,
        planes,
        input,
        kernel,
        output,
        stride,
        pad,
        dilation,
        elements: vec![F32; operands],
        offsets: vec![4; operands],
        epilogue: bias_residual(&[planes[0], planes[1], h, w], 1),
    }
}

fn windows(cases: &mut Vec<Case>) {
    let shapes = [
        ([28, 28], [2, 2], [2, 2], [0, 0], [1, 1]),
        ([9, 11], [3, 3], [2, 2], [1, 1], [1, 1]),
        ([7, 8], [3, 2], [1, 3], [1, 0], [1, 1]),
        ([9, 9], [2, 3], [1, 2], [0, 2], [3, 2]),
        ([1, 12], [1, 4], [1, 4], [0, 0], [1, 1]),
    ];
    let kinds = [
        WindowKind::Max,
        WindowKind::Mean { count_pad: true },
        WindowKind::Mean { count_pad: false },
        WindowKind::MaxGradient,
        WindowKind::MeanGradient { count_pad: true },
        WindowKind::MeanGradient { count_pad: false },
    ];
    for (input, kernel, stride, pad, dilation) in shapes {
        for kind in kinds {
            let spec = window_spec(kind, [2, 3], input, kernel, stride, pad, dilation);
            let name = format!("window: {kind:?} {kernel:?} over {input:?}, stride {stride:?}, pad {pad:?}");
            cases.push(case(name, Spec::Window(spec)));
        }
    }
}

/// Work along `axis` of lines of `length`; the index of a lookup or a sum does not vary along the axes of `shared`.
fn line_spec(kind: LineKind, extents: &[u32], axis: usize, length: u32, shared: &[usize]) -> LineSpec {
    let mut own = extents.to_vec();
    own[axis] = length;
    let mut operands = vec![(F32, dense(&own))];
    if matches!(kind, LineKind::Gather | LineKind::ScatterAdd) {
        let mut index = if kind == LineKind::Gather { extents.to_vec() } else { own };
        shared.iter().for_each(|&a| index[a] = 1);
        let mut place = dense(&index);
        shared.iter().for_each(|&a| place.strides[a] = 0);
        operands.push((I32, place));
    }
    let epilogue = match kind {
        LineKind::Order { .. } => Epilogue {
            reads: Vec::new(),
            expr: Expr::identity(Scalar::I32),
            writes: vec![write(I32, dense(extents))],
        },
        _ => bias_residual(extents, 0),
    };
    LineSpec { kind, extents: extents.to_vec(), axis, length, operands, epilogue }
}

fn lines(cases: &mut Vec<Case>) {
    let mut add = |name: &str, spec: LineSpec| {
        cases.push(case(format!("lines: {name}, {:?}", spec.kind), Spec::Lines(spec)));
    };
    for (name, extents, axis, length, shared) in [
        ("rows of eight", vec![30u32, 8], 0usize, 11u32, vec![1usize]),
        ("rows of five", vec![30, 5], 0, 11, vec![1]),
        ("its own index each", vec![3, 7, 4], 1, 9, vec![]),
        ("the last axis", vec![2, 3, 40], 2, 10, vec![1]),
        ("many", vec![2, 300, 8], 1, 200, vec![2]),
        ("many, one index for all", vec![3, 5, 1500], 2, 1400, vec![0, 1]),
        ("one axis", vec![9], 0, 2000, vec![]),
    ] {
        add(name, line_spec(LineKind::Gather, &extents, axis, length, &shared));
        add(name, line_spec(LineKind::ScatterAdd, &extents, axis, length, &shared));
    }
    for (extents, axis) in [(vec![4u32, 9], 1usize), (vec![33, 2, 3], 0), (vec![2, 1300], 1), (vec![2600], 0)]
    {
        for descending in [false, true] {
            add("lines", line_spec(LineKind::Order { descending }, &extents, axis, extents[axis], &[]));
        }
        for reverse in [false, true] {
            add("lines", line_spec(LineKind::RunningSum { reverse }, &extents, axis, extents[axis], &[]));
        }
    }
}
