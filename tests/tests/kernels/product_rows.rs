//! Rows between products: their meaning, and the specifications that are tried.

use nnc_wgsl::schedule::{Closing, Factor, Opening, ProductRowSpec, Reduction, RowStep, Spec};
use nnc_wgsl::{Binary, Element, Expr, Place, Read, Scalar, Unary};

use super::reference::{Inputs, Values, at, each, extent_of_place, extent_of_read, index, load, store};
use super::table::{Case, case, place, read, write};
use Element::F32;

/// The element and the least length of each read slot.
pub(crate) fn reads(spec: &ProductRowSpec) -> Vec<(Element, usize)> {
    let mut all: Vec<(Element, usize)> = spec.factors.iter().map(|&element| (element, 0)).collect();
    let space = space(spec);
    let mut factor = |factor: &Factor, inner: u32| {
        let length = extent_of_place(&factor.place, &[space.as_slice(), &[inner]].concat());
        all[factor.slot].1 = all[factor.slot].1.max(length);
    };
    for opening in &spec.openings {
        factor(&opening.row, opening.depth);
        factor(&opening.stream, opening.depth);
    }
    spec.closings.iter().for_each(|closing| factor(&closing.stream, closing.columns));
    all.extend(spec.reads.iter().map(|read| extent_of_read(read, &space)));
    all
}

/// The element and the least length of each write slot.
pub(crate) fn writes(spec: &ProductRowSpec) -> Vec<(Element, usize)> {
    let kept = [spec.batch.as_slice(), &[spec.rows]].concat();
    let rows = spec.row_writes.iter().map(|w| (w.element, extent_of_place(&w.place, &kept)));
    let closings = spec.closings.iter().map(|c| {
        (c.write.element, extent_of_place(&c.write.place, &[kept.as_slice(), &[c.columns]].concat()))
    });
    rows.chain(closings).collect()
}

fn space(spec: &ProductRowSpec) -> Vec<u32> {
    [spec.batch.as_slice(), &[spec.rows, spec.length]].concat()
}

/// Writes the results over `writes`.
pub(crate) fn evaluate(spec: &ProductRowSpec, inputs: &Inputs<'_>, writes: &mut [Values]) {
    let element = |factor: &Factor, point: &[u32], inner: u32| {
        inputs.reads[factor.slot][index(at(&factor.place, &[point, &[inner]].concat()))]
    };
    each(&[spec.batch.as_slice(), &[spec.rows]].concat(), |kept| {
        let mut steps: Values = Vec::new();
        let operands = |j: u32, steps: &[f64]| -> Values {
            let point = [kept, &[j]].concat();
            let opened = |o: &Opening| -> f64 {
                (0..o.depth).map(|c| element(&o.row, &point, c) * element(&o.stream, &point, c)).sum()
            };
            let mut all: Values = spec.openings.iter().map(opened).collect();
            all.extend(load(&spec.reads, spec.factors.len(), &point, inputs));
            all.extend_from_slice(steps);
            all
        };
        for step in &spec.steps {
            let values = (0..spec.length).map(|j| step.expr.evaluate(&operands(j, &steps))[0]);
            let total = match step.reduction {
                Reduction::Sum => values.sum(),
                Reduction::Product => values.product(),
                Reduction::Max => values.fold(f64::NEG_INFINITY, f64::max),
                Reduction::Min => values.fold(f64::INFINITY, f64::min),
            };
            steps.push(total);
        }
        store(&spec.row_expr.evaluate(&operands(0, &steps)), &spec.row_writes, kept, writes);
        let values: Vec<Values> =
            (0..spec.length).map(|j| spec.values.evaluate(&operands(j, &steps))).collect();
        for (k, closing) in spec.closings.iter().enumerate() {
            for n in 0..closing.columns {
                let term =
                    |j: u32| values[j as usize][k] * element(&closing.stream, &[kept, &[j]].concat(), n);
                let to = index(at(&closing.write.place, &[kept, &[n]].concat()));
                writes[spec.row_writes.len() + k][to] = (0..spec.length).map(term).sum();
            }
        }
    });
}

/// The extents of attention in one head after the other: what is looked up lies as `[batch, length, heads, depth]`.
#[derive(Clone, Copy)]
struct Extents {
    batch: u32,
    heads: u32,
    rows: u32,
    length: u32,
    depth: u32,
    columns: u32,
}

impl Extents {
    /// A tensor `[batch, along, heads, inner]` as a factor; `row` says whether `along` is the row or the point in it.
    fn factor(self, slot: usize, along: u32, inner: u32, row: bool) -> Factor {
        let [heads, along, inner] = [self.heads, along, inner].map(i64::from);
        let (of_row, of_point) = if row { (heads * inner, 0) } else { (0, heads * inner) };
        Factor { slot, place: place(0, &[along * heads * inner, inner, of_row, of_point, 1]) }
    }

    fn opening(self, row: usize, stream: usize) -> Opening {
        Opening {
            depth: self.depth,
            row: self.factor(row, self.rows, self.depth, true),
            stream: self.factor(stream, self.length, self.depth, false),
        }
    }

    fn closing(self, stream: usize) -> Closing {
        let [heads, rows, columns] = [self.heads, self.rows, self.columns].map(i64::from);
        Closing {
            columns: self.columns,
            stream: self.factor(stream, self.length, self.columns, false),
            write: write(F32, place(2, &[rows * heads * columns, columns, heads * columns, 1])),
        }
    }

    /// One element a row, `[batch, heads, rows]`.
    fn of_rows(self) -> Place {
        let [heads, rows] = [self.heads, self.rows].map(i64::from);
        place(0, &[heads * rows, rows, 1])
    }
}

/// The weight of a point: what `rest` says where a coordinate of it is not above that of the row, 0 elsewhere.
fn softmax(extents: Extents, causal: bool) -> ProductRowSpec {
    let Extents { batch, heads, rows, length, .. } = extents;
    let scalars = |steps: usize| {
        let mut all = vec![Scalar::F32, Scalar::I32, Scalar::I32, Scalar::F32];
        all.resize(4 + steps, Scalar::F32);
        all
    };
    let seen = |b: &mut nnc_wgsl::ExprBuilder, x: &[nnc_wgsl::Ref]| {
        let later = b.binary(Binary::Gt, x[2], x[1]);
        let hidden = b.real(-1e9);
        if causal { b.select(later, hidden, x[0]) } else { x[0] }
    };
    let weight = |b: &mut nnc_wgsl::ExprBuilder, x: &[nnc_wgsl::Ref]| {
        let value = seen(b, x);
        let less = b.binary(Binary::Sub, value, x[4]);
        b.unary(Unary::Exp, less)
    };
    ProductRowSpec {
        batch: vec![batch, heads],
        rows,
        length,
        factors: vec![F32; 3],
        openings: vec![extents.opening(0, 1)],
        reads: vec![
            Read::Iota { place: place(0, &[0, 0, 1, 0]) },
            Read::Iota { place: place(0, &[0, 0, 0, 1]) },
            Read::Random { stream: 3, place: place(0, &[i64::from(heads), 1, 7, 11]) },
        ],
        steps: vec![
            RowStep { reduction: Reduction::Max, expr: Expr::build(&scalars(0), seen) },
            RowStep { reduction: Reduction::Sum, expr: Expr::build(&scalars(1), weight) },
        ],
        row_expr: {
            let mut b = nnc_wgsl::ExprBuilder::new(&scalars(2));
            let steps = [b.operand(4), b.operand(5)];
            b.finish(&steps)
        },
        row_writes: vec![write(F32, extents.of_rows()), write(F32, extents.of_rows())],
        values: Expr::build(&scalars(2), |b, x| {
            let weight = weight(b, x);
            let share = b.binary(Binary::Div, weight, x[5]);
            let few = b.real(0.2);
            let kept = b.binary(Binary::Ge, x[3], few);
            let nothing = b.real(0.0);
            b.select(kept, share, nothing)
        }),
        closings: vec![extents.closing(2)],
    }
}

/// Two products at each point, a number of the row and one of the point from memory, and two closing products; the
/// operand that opens one of them closes it too.
fn gradient(extents: Extents, closings: usize) -> ProductRowSpec {
    let Extents { batch, heads, rows, length, .. } = extents;
    let of_points = place(1, &[i64::from(heads * length), i64::from(length), 0, 1]);
    let scalars = |steps: usize| vec![Scalar::F32; 4 + steps];
    ProductRowSpec {
        batch: vec![batch, heads],
        rows,
        length,
        factors: vec![F32; 4],
        openings: vec![extents.opening(0, 1), extents.opening(2, 3)],
        reads: vec![
            read(F32, Place { strides: [extents.of_rows().strides, vec![0]].concat(), offset: 0 }),
            read(F32, of_points),
        ],
        steps: vec![RowStep {
            reduction: Reduction::Sum,
            expr: Expr::build(&scalars(0), |b, x| b.binary(Binary::Mul, x[0], x[1])),
        }],
        row_expr: Expr::build(&scalars(1), |b, x| b.binary(Binary::Sub, x[4], x[2])),
        row_writes: vec![write(F32, extents.of_rows())],
        values: {
            let mut b = nnc_wgsl::ExprBuilder::new(&scalars(1));
            let x: Vec<_> = (0..5).map(|k| b.operand(k)).collect();
            let less = b.binary(Binary::Sub, x[1], x[4]);
            let first = b.binary(Binary::Mul, less, x[3]);
            let second = b.binary(Binary::Add, x[0], x[2]);
            b.finish(&[first, second][..closings])
        },
        closings: [1, 3][..closings].iter().map(|&stream| extents.closing(stream)).collect(),
    }
}

/// The lines of the table.
pub(crate) fn cases(cases: &mut Vec<Case>) {
    let sizes = [[2, 4, 5, 5, 3, 3], [1, 1, 1, 1, 1, 1], [2, 2, 33, 70, 24, 40], [1, 2, 7, 300, 9, 70]];
    for (number, [batch, heads, rows, length, depth, columns]) in sizes.into_iter().enumerate() {
        let extents = Extents { batch, heads, rows, length, depth, columns };
        let name = format!("product row: {batch}x{heads} of {rows}x{length}, {depth} to {columns}");
        for causal in [false, true].into_iter().skip(usize::from(number > 1)) {
            let mask = if causal { ", masked" } else { "" };
            cases.push(case(format!("{name}{mask}"), Spec::ProductRow(softmax(extents, causal))));
        }
        let square = Extents { columns: depth, ..extents };
        for closings in if number == 0 { 0..=2 } else { 2..=2 } {
            let spec = Spec::ProductRow(gradient(square, closings));
            cases.push(case(format!("{name}, two openings, {closings} closings"), spec));
        }
    }
}
