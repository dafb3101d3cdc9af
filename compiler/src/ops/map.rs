//! `map`: an elementwise formula, with broadcasting.
//!
//! | | |
//! |---|---|
//! | operands | any number, shapes that broadcast (aligned on the right) |
//! | result | the broadcast shape, the formula's type |
//! | gradient | the formula's symbolic derivative times the upstream, summed over what was broadcast |
//! | schedule | map |

use std::sync::{Arc, OnceLock};

use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Element, Expr, Scalar, Unary};

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, Reduce, TypeError};
use crate::ir::{Graph, NodeId, Tensor, TensorType, broadcast_shape};

/// See the module.
#[derive(Clone, Debug)]
pub struct Map {
    expr: Expr,
    /// The derivatives, found when they are first asked for: a formula stands at many nodes.
    slopes: OnceLock<Vec<Option<Slope>>>,
}

/// The derivative of a formula by one operand.
#[derive(Clone, Debug)]
struct Slope {
    /// The formula; absent where it is its only operand.
    map: Option<Arc<Map>>,
    /// Its operands, among those of the formula, then its result, then the upstream.
    reads: Vec<usize>,
}

impl Map {
    /// The operator of a formula with one result.
    ///
    /// # Panics
    /// If the formula has another number of results.
    #[must_use]
    pub fn new(expr: Expr) -> Map {
        assert_eq!(expr.results().len(), 1, "a map has one result");
        Map { expr, slopes: OnceLock::new() }
    }

    fn slopes(&self) -> &[Option<Slope>] {
        self.slopes.get_or_init(|| {
            let slope = |operand| {
                let (expr, reads) = self.expr.gradient(operand)?.compact();
                let map = (!expr.is_identity()).then(|| Arc::new(Map::new(expr)));
                Some(Slope { map, reads })
            };
            (0..self.expr.operands().len()).map(slope).collect()
        })
    }
}

impl Operator for Map {
    fn label(&self) -> String {
        format!("map{{{}}}", self.expr)
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, self.expr.operands().len(), "map")?;
        for (ty, scalar) in operands.iter().zip(self.expr.operands()) {
            if ty.element.scalar() != *scalar {
                return Err(TypeError::new(format!("the formula takes {scalar} where it is given {ty}")));
            }
        }
        let shapes: Vec<&[usize]> = operands.iter().map(|ty| ty.shape.as_slice()).collect();
        let shape = broadcast_shape(&shapes).ok_or_else(|| {
            let types: Vec<String> = operands.iter().map(ToString::to_string).collect();
            TypeError::new(format!("{} do not broadcast", types.join(" and ")))
        })?;
        Ok(TensorType::new(Element::of(self.expr.result_type(0)), shape))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let mut arguments = cx.operands.to_vec();
        arguments.extend([cx.result, cx.upstream]);
        let mut gradients = Vec::with_capacity(cx.operands.len());
        for operand in 0..cx.operands.len() {
            let slope = self.slopes()[operand].as_ref().filter(|_| cx.wanted[operand]);
            let gradient = slope.map(|Slope { map, reads }| {
                let reads: Vec<NodeId> = reads.iter().map(|&k| arguments[k]).collect();
                let full = match map {
                    Some(map) => cx.graph.must_shared(map.clone(), &reads),
                    None => reads[0],
                };
                let shape = cx.shape(operand);
                sum_to(cx.graph, full, &shape)
            });
            gradients.push(gradient);
        }
        Ok(gradients)
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let shapes: Vec<&[usize]> = operands.iter().map(|t| t.shape()).collect();
        let shape = broadcast_shape(&shapes).expect("operands of a map broadcast");
        let mut terms = Vec::new();
        let mut arguments = vec![0.0; operands.len()];
        let result = self.expr.results()[0].index();
        Tensor::from_fn(shape, |at| {
            for (argument, operand) in arguments.iter_mut().zip(operands) {
                *argument = operand.broadcast_at(at);
            }
            self.expr.evaluate_into(&arguments, &mut terms);
            terms[result]
        })
    }

    fn lower(&self) -> Lowering {
        Lowering::Map(self.expr.clone())
    }
}

/// `value` summed over the axes along which a tensor of `shape` was broadcast to it; broadcast itself where the
/// formula's derivative did not vary along an axis.
fn sum_to(graph: &mut Graph, value: NodeId, shape: &[usize]) -> NodeId {
    let full = graph.ty(value).shape.clone();
    let skip = full.len() - shape.len();
    let axes: Vec<usize> =
        (0..full.len()).filter(|&a| a < skip || (shape[a - skip] == 1 && full[a] != 1)).collect();
    let summed =
        if axes.is_empty() { value } else { graph.must(Reduce::new(Reduction::Sum, &axes), &[value]) };
    graph.reshape(summed, shape)
}

pub(super) fn examples() -> Vec<Example> {
    let f = |shape: &[usize]| TensorType::f32(shape);
    let one = |op: Unary| Expr::build(&[Scalar::F32], |b, x| b.unary(op, x[0]));
    let two = |op: Binary| Expr::build(&[Scalar::F32; 2], |b, x| b.binary(op, x[0], x[1]));
    let mut examples: Vec<Example> = [
        Unary::Neg,
        Unary::Abs,
        Unary::Sign,
        Unary::Exp,
        Unary::Sin,
        Unary::Cos,
        Unary::Tanh,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
    ]
    .into_iter()
    .map(|op| Example::new(Map::new(one(op)), &[f(&[3, 5])]))
    .collect();
    for op in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Min, Binary::Max, Binary::Lt] {
        examples.push(Example::new(Map::new(two(op)), &[f(&[4, 3]), f(&[4, 3])]));
        examples.push(Example::new(Map::new(two(op)), &[f(&[4, 1, 3]), f(&[2, 1])]));
    }
    let of_positive = |f: fn(&mut nnc_wgsl::ExprBuilder, nnc_wgsl::Ref) -> nnc_wgsl::Ref| {
        Expr::build(&[Scalar::F32], |b, x| {
            let square = b.binary(Binary::Mul, x[0], x[0]);
            let small = b.real(0.3);
            let positive = b.binary(Binary::Add, square, small);
            f(b, positive)
        })
    };
    examples.push(Example::new(Map::new(of_positive(|b, x| b.unary(Unary::Log, x))), &[f(&[7])]));
    examples.push(Example::new(Map::new(of_positive(|b, x| b.unary(Unary::Sqrt, x))), &[f(&[7])]));
    let power = Expr::build(&[Scalar::F32; 2], |b, x| {
        let square = b.binary(Binary::Mul, x[0], x[0]);
        let small = b.real(0.5);
        let base = b.binary(Binary::Add, square, small);
        b.binary(Binary::Pow, base, x[1])
    });
    examples.push(Example::new(Map::new(power), &[f(&[2, 5]), f(&[5])]));
    let relu = Expr::build(&[Scalar::F32], |b, x| {
        let zero = b.real(0.0);
        b.binary(Binary::Max, x[0], zero)
    });
    examples.push(Example::new(Map::new(relu), &[f(&[6, 4])]));
    let select = Expr::build(&[Scalar::Bool, Scalar::F32, Scalar::F32], |b, x| b.select(x[0], x[1], x[2]));
    let types = [TensorType::new(Element::Bool, [3, 1]), f(&[3, 4]), f(&[4])];
    examples.push(Example::new(Map::new(select), &types));
    let pick = Expr::build(&[Scalar::I32, Scalar::F32], |b, x| {
        let two = b.int(2);
        let equal = b.binary(Binary::Eq, x[0], two);
        let zero = b.real(0.0);
        b.select(equal, x[1], zero)
    });
    examples.push(Example::new(Map::new(pick), &[TensorType::new(Element::I32, [4, 1]), f(&[4, 3])]));
    let widen = Expr::build(&[Scalar::I32], |b, x| b.cast(Scalar::F32, x[0]));
    examples.push(Example::new(Map::new(widen), &[TensorType::new(Element::I32, [5])]));
    let half = Expr::build(&[Scalar::F32], |b, x| {
        let factor = b.real(1.0 / 255.0);
        b.binary(Binary::Mul, x[0], factor)
    });
    examples.push(Example::new(Map::new(half), &[TensorType::new(Element::U8, [3, 8])]));
    examples
}
