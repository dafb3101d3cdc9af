//! Every operator with each of its operands in turn as something that a pass looks for: a constant, a view, a part.

use std::collections::BTreeMap;

use nnc::ir::{Graph, NodeId, Source, Tensor, TensorType};
use nnc::ops::{
    Broadcast, Concat, Conv, ConvGeometry, ConvInputGradient, ConvWeightGradient, Example, Iota, Map, Pad,
    Permute, Reduce, Reshape, Slice, examples,
};
use nnc_runtime::artifact::HostSymbol;
use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Element, Expr, Scalar, Unary};

use crate::graphs::{Sample, weights};

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// One number everywhere.
    Constant(i8),
    /// An input of one element for each of the last axis.
    Broadcast,
    /// The upper part of a larger input.
    Slice,
    /// Every second element of a larger input.
    Strided,
    /// An input with its axes in reverse.
    Permuted,
    /// A smaller input, padded.
    Padded,
    /// Two inputs.
    Concat,
    /// A flat input.
    Reshaped,
    /// A map of an input.
    Mapped,
    /// The identity of an input.
    Identity,
    /// Coordinates.
    Coordinates,
    /// Random numbers.
    Random,
    /// A number of the training loop.
    Host,
}

const OPERANDS: [Operand; 14] = [
    Operand::Constant(0),
    Operand::Constant(2),
    Operand::Broadcast,
    Operand::Slice,
    Operand::Strided,
    Operand::Permuted,
    Operand::Padded,
    Operand::Concat,
    Operand::Reshaped,
    Operand::Mapped,
    Operand::Identity,
    Operand::Coordinates,
    Operand::Random,
    Operand::Host,
];

/// Each example of each operator, with each operand of floats that has elements as each of these; `every` of them.
#[must_use]
pub fn slots(every: usize) -> Vec<Sample> {
    let mut samples = Vec::new();
    for example in examples() {
        let is_float =
            |slot: &usize| example.types[*slot].element == Element::F32 && example.types[*slot].size() > 0;
        for slot in (0..example.types.len()).filter(is_float) {
            samples.extend(OPERANDS.into_iter().map(|operand| sample(&example, slot, operand)));
        }
    }
    samples.into_iter().step_by(every).collect()
}

/// The example with one operand as this; a repeated result keeps values from being outputs themselves.
fn sample(example: &Example, slot: usize, operand: Operand) -> Sample {
    let mut made = Made { graph: Graph::new(), inputs: BTreeMap::new() };
    let operands: Vec<NodeId> = example
        .types
        .iter()
        .zip(&example.operands)
        .enumerate()
        .map(|(k, (ty, value))| match k == slot {
            true => made.operand(operand, &ty.shape),
            false => made.given(ty.clone(), value.clone()),
        })
        .collect();
    let result = made.graph.apply_shared(example.op.clone(), &operands).expect("an example's operands fit");
    let element = made.graph.ty(result).element;
    let result = match element {
        Element::F32 => made.graph.map(&[result], |b, x| b.unary(Unary::Tanh, x[0])),
        _ => made.graph.must(Map::new(Expr::identity(element.scalar())), &[result]),
    };
    made.graph.results.push(("y".to_owned(), result));
    let name = format!("{} with {operand:?} as operand {slot}", example.op.label());
    Sample { name, graph: made.graph, inputs: made.inputs, gradients: Vec::new(), stored: BTreeMap::new() }
}

/// Two convolutions of one value, their gradients for their weights, and the sum of those for the value, with each
/// operand in turn as each of these; `every` of them.
#[must_use]
pub fn sibling_slots(every: usize) -> Vec<Sample> {
    let slots = (0..6).flat_map(|slot| OPERANDS.map(|operand| (slot, operand)));
    slots.step_by(every).map(|(slot, operand)| sibling_sample(slot, operand)).collect()
}

fn sibling_sample(slot: usize, operand: Operand) -> Sample {
    let mut made = Made { graph: Graph::new(), inputs: BTreeMap::new() };
    let shapes: [&[usize]; 6] =
        [&[2, 3, 4, 5], &[2, 3, 2, 3], &[4, 3, 2, 3], &[2, 2, 3, 3], &[2, 4, 3, 3], &[2, 3, 4, 5]];
    let operands: Vec<NodeId> = shapes
        .iter()
        .enumerate()
        .map(|(k, shape)| made.operand(if k == slot { operand } else { Operand::Mapped }, shape))
        .collect();
    let [x, weights, gradients, beside] = [&operands[..1], &operands[1..3], &operands[3..5], &operands[5..]];
    let (window, graph) = (ConvGeometry::plain(2), &mut made.graph);
    let mut terms = beside.to_vec();
    for (k, (weight, dy)) in weights.iter().zip(gradients).enumerate() {
        let y = graph.must(Conv::new(window.clone()), &[x[0], *weight]);
        let sum = graph.must(Reduce::new(Reduction::Sum, &[0, 2, 3]), &[y]);
        let soft = graph.map(&[y], |b, x| b.unary(Unary::Tanh, x[0]));
        let dw = graph.must(ConvWeightGradient::new(window.clone(), &[2, 3]), &[x[0], *dy]);
        let dw = graph.map(&[dw], |b, x| b.unary(Unary::Tanh, x[0]));
        terms.push(graph.must(ConvInputGradient::new(window.clone(), &[4, 5]), &[*dy, *weight]));
        let results = [("sum", sum), ("soft", soft), ("dw", dw)];
        graph.results.extend(results.map(|(name, value)| (format!("{name}{k}"), value)));
    }
    let dx =
        graph.map(&terms, |b, x| x[1..].iter().fold(x[0], |sum, term| b.binary(Binary::Add, sum, *term)));
    let dx = graph.map(&[dx], |b, x| b.unary(Unary::Tanh, x[0]));
    graph.results.push(("dx".to_owned(), dx));
    let name = format!("siblings with {operand:?} as operand {slot}");
    Sample { name, graph: made.graph, inputs: made.inputs, gradients: Vec::new(), stored: BTreeMap::new() }
}

struct Made {
    graph: Graph,
    inputs: BTreeMap<String, Tensor>,
}

impl Made {
    fn given(&mut self, ty: TensorType, value: Tensor) -> NodeId {
        let name = format!("x{}", self.inputs.len());
        self.inputs.insert(name.clone(), value);
        self.graph.source(Source::Input { name, batched: false }, ty)
    }

    fn input(&mut self, shape: &[usize]) -> NodeId {
        self.given(TensorType::f32(shape), weights(shape))
    }

    /// A value of this shape, made in this way; an input where a shape without axes leaves no such way.
    fn operand(&mut self, operand: Operand, shape: &[usize]) -> NodeId {
        let Some((&last, outer)) = shape.split_last() else {
            return match operand {
                Operand::Constant(value) => self.graph.constant(value.into(), TensorType::f32([])),
                Operand::Host => self.host(),
                Operand::Mapped => self.mapped(shape),
                _ => self.input(shape),
            };
        };
        let with_last = |last: usize| [outer, &[last]].concat();
        let ones = vec![1; shape.len()];
        match operand {
            Operand::Constant(value) => self.graph.constant(value.into(), TensorType::f32(shape)),
            Operand::Broadcast => {
                let row = self.input(&[&ones[1..], &[last]].concat());
                self.graph.must(Broadcast::new(shape), &[row])
            }
            Operand::Slice => {
                let larger: Vec<usize> = shape.iter().map(|extent| extent + 1).collect();
                let larger = self.input(&larger);
                self.graph.must(Slice::new(&ones, shape, &ones), &[larger])
            }
            Operand::Strided => {
                let larger = self.input(&with_last(2 * last));
                let zeros = vec![0; shape.len()];
                let steps = [&ones[1..], &[2]].concat();
                self.graph.must(Slice::new(&zeros, shape, &steps), &[larger])
            }
            Operand::Permuted => {
                let order: Vec<usize> = (0..shape.len()).rev().collect();
                let turned: Vec<usize> = shape.iter().rev().copied().collect();
                let turned = self.input(&turned);
                self.graph.must(Permute::new(&order), &[turned])
            }
            Operand::Padded if last > 1 => {
                let smaller = self.input(&with_last(last - 1));
                let zeros = vec![0; shape.len()];
                let low = [&zeros[1..], &[1]].concat();
                self.graph.must(Pad::new(&low, &zeros, 0.5), &[smaller])
            }
            Operand::Concat if last > 1 => {
                let (left, right) = (self.mapped(&with_last(1)), self.input(&with_last(last - 1)));
                self.graph.must(Concat::new(outer.len()), &[left, right])
            }
            Operand::Padded | Operand::Concat | Operand::Reshaped => {
                let flat = self.input(&[shape.iter().product()]);
                self.graph.must(Reshape::new(shape), &[flat])
            }
            Operand::Mapped => self.mapped(shape),
            Operand::Identity => {
                let value = self.input(shape);
                self.graph.must(Map::new(Expr::identity(Scalar::F32)), &[value])
            }
            Operand::Coordinates => {
                let coordinates = self.graph.must(Iota::new(shape, outer.len()), &[]);
                self.graph.map(&[coordinates], |b, x| {
                    let number = b.cast(Scalar::F32, x[0]);
                    b.unary(Unary::Tanh, number)
                })
            }
            Operand::Random => self.graph.random(shape),
            Operand::Host => {
                let number = self.host();
                self.graph.must(Broadcast::new(shape), &[number])
            }
        }
    }

    fn mapped(&mut self, shape: &[usize]) -> NodeId {
        let value = self.input(shape);
        self.graph.map(&[value], |b, x| b.unary(Unary::Exp, x[0]))
    }

    fn host(&mut self) -> NodeId {
        self.graph.host(Expr::identity(Scalar::F32), vec![HostSymbol::Step])
    }
}
