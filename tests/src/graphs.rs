//! Graphs for the laws: each operator's examples with their gradients, and graphs drawn at random.

use std::collections::BTreeMap;

use nnc::gradient::differentiate;
use nnc::ir::{Environment, Graph, NodeId, Source, Tensor, TensorType, evaluate};
use nnc::ops::{Broadcast, Concat, Contract, Example, Iota, Pack, Pad, Permute, Reduce, Reshape, Slice};
use nnc_runtime::artifact::HostSymbol;
use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Element, Unary};

/// A graph and the values of its inputs.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The operator's label, or the seed.
    pub name: String,
    /// The graph.
    pub graph: Graph,
    /// Its inputs.
    pub inputs: BTreeMap<String, Tensor>,
    /// Where in its result `gradients` the gradient of each input `x0`, `x1`, .. begins; `None` for a gradient of 0.
    pub gradients: Vec<Option<usize>>,
}

impl Sample {
    /// The environment with these inputs, at step 1 of seed 0.
    #[must_use]
    pub fn environment(&self) -> Environment {
        let symbols = [HostSymbol::Step, HostSymbol::Examples].map(|s| (s, 1.0));
        Environment { inputs: self.inputs.clone(), symbols: symbols.into(), ..Environment::default() }
    }

    /// The results by name.
    #[must_use]
    pub fn results(&self, graph: &Graph) -> BTreeMap<String, Tensor> {
        let values = evaluate(graph, &self.environment());
        graph.results.iter().map(|(name, id)| (name.clone(), values[id].clone())).collect()
    }
}

/// The operator on inputs, and, where it has one, the gradient of the result's sum weighed by an input `w`.
///
/// # Panics
/// If the example's types do not fit its operator.
#[must_use]
pub fn differentiated(example: &Example) -> Sample {
    let mut graph = Graph::new();
    let mut inputs = BTreeMap::new();
    let mut operands = Vec::new();
    for (k, (ty, value)) in example.types.iter().zip(&example.operands).enumerate() {
        let name = format!("x{k}");
        operands.push(graph.source(Source::Input { name: name.clone(), batched: false }, ty.clone()));
        inputs.insert(name, value.clone());
    }
    let result = graph.apply_shared(example.op.clone(), &operands).expect("an example's operands fit");
    graph.results.push(("y".to_owned(), result));
    let floats: Vec<NodeId> =
        operands.iter().copied().filter(|v| graph.ty(*v).element == Element::F32).collect();
    let ty = graph.ty(result).clone();
    if ty.element == Element::F32 && !floats.is_empty() {
        let name = "w".to_owned();
        let w = graph.source(Source::Input { name: name.clone(), batched: false }, ty.clone());
        inputs.insert(name, weights(&ty.shape));
        let loss = weighed_sum(&mut graph, result, w);
        let before = graph.clone();
        match differentiate(&mut graph, loss, &floats) {
            Ok(gradients) => {
                for (k, gradient) in gradients.into_iter().enumerate() {
                    if let Some(gradient) = gradient {
                        graph.results.push((format!("d{k}"), gradient));
                    }
                }
            }
            Err(_) => graph = before,
        }
    }
    Sample { name: example.op.label(), graph, inputs, gradients: Vec::new() }
}

/// The sum of `value * weight`, a single number.
pub fn weighed_sum(graph: &mut Graph, value: NodeId, weight: NodeId) -> NodeId {
    let product = graph.map(&[value, weight], |b, x| b.binary(Binary::Mul, x[0], x[1]));
    let axes: Vec<usize> = (0..graph.ty(product).rank()).collect();
    if axes.is_empty() { product } else { graph.must(Reduce::new(Reduction::Sum, &axes), &[product]) }
}

/// Fixed numbers between 0.4 and 1.6.
#[allow(clippy::cast_precision_loss)]
#[must_use]
pub fn weights(shape: &[usize]) -> Tensor {
    let size = shape.iter().product::<usize>();
    Tensor::new(shape, (0..size).map(|k| 0.4 + (k * 29 % 37) as f64 / 30.0).collect())
}

/// A linear congruential generator: the same draws everywhere.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The draws of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A graph of `length` operators drawn at random over a few inputs, with gradients for the inputs, a packed
/// gradient region and a stored tensor that is updated.
///
/// # Panics
/// If the drawing makes operands that do not fit: a bug of this function.
#[must_use]
pub fn random(seed: u64, length: usize) -> Sample {
    let mut draw = Draw::new(seed);
    let mut graph = Graph::new();
    let mut inputs = BTreeMap::new();
    let mut values: Vec<NodeId> = Vec::new();
    let extents = [1, 2, 3, 4, 5, 8];
    for k in 0..3 {
        let rank = 1 + draw.below(3);
        let shape: Vec<usize> = (0..rank).map(|_| draw.pick(&extents)).collect();
        let name = format!("x{k}");
        let id = graph
            .source(Source::Input { name: name.clone(), batched: false }, TensorType::f32(shape.clone()));
        let size: usize = shape.iter().product();
        #[allow(clippy::cast_precision_loss)]
        let data = (0..size).map(|i| ((i * 17 + k * 5 + 3) % 41) as f64 / 20.0 - 1.03).collect();
        inputs.insert(name, Tensor::new(shape, data));
        values.push(id);
    }
    let sources = values.clone();
    for _ in 0..length {
        if let Some(next) = step(&mut graph, &mut draw, &values) {
            values.push(next);
        }
    }
    let mut loss: Option<NodeId> = None;
    for (k, &value) in values.iter().enumerate().rev().take(4) {
        let ty = graph.ty(value).clone();
        let name = format!("w{k}");
        let w = graph.source(Source::Input { name: name.clone(), batched: false }, ty.clone());
        inputs.insert(name, weights(&ty.shape));
        let part = weighed_sum(&mut graph, value, w);
        loss = Some(match loss {
            Some(total) => graph.map(&[total, part], |b, x| b.binary(Binary::Add, x[0], x[1])),
            None => part,
        });
        graph.results.push((format!("v{k}"), value));
    }
    let loss = loss.expect("a graph has values");
    graph.results.push(("loss".to_owned(), loss));
    let gradients = differentiate(&mut graph, loss, &sources).expect("the drawn operators have gradients");
    let parts: Vec<NodeId> = gradients.iter().copied().flatten().collect();
    let sizes: Vec<usize> = parts.iter().map(|g| graph.ty(*g).size()).collect();
    let (offsets, total) = nnc::ir::flat_layout(&sizes);
    let packed = graph.must(Pack::new(&offsets, total), &parts);
    graph.results.push(("gradients".to_owned(), packed));
    let mut rest = offsets.into_iter();
    let gradients = gradients.iter().map(|g| g.and_then(|_| rest.next())).collect();
    Sample { name: format!("seed {seed}"), graph, inputs, gradients }
}

fn step(graph: &mut Graph, draw: &mut Draw, values: &[NodeId]) -> Option<NodeId> {
    let a = draw.pick(values);
    let shape = graph.ty(a).shape.clone();
    let rank = shape.len();
    if graph.ty(a).size() > 4000 {
        return None;
    }
    match draw.below(13) {
        0..=2 => {
            let op = draw.pick(&[Unary::Tanh, Unary::Sin, Unary::Neg, Unary::Abs]);
            Some(graph.map(&[a], |b, x| b.unary(op, x[0])))
        }
        3 | 4 => {
            let b = draw.pick(values);
            let op = draw.pick(&[Binary::Add, Binary::Sub, Binary::Mul, Binary::Max]);
            let shapes = [graph.ty(a).shape.as_slice(), graph.ty(b).shape.as_slice()];
            nnc::ir::broadcast_shape(&shapes)?;
            Some(graph.map(&[a, b], |b, x| b.binary(op, x[0], x[1])))
        }
        5 if rank > 0 => {
            let axes: Vec<usize> = (0..rank).filter(|_| draw.below(2) == 0).collect();
            let reduction = draw.pick(&[Reduction::Sum, Reduction::Max]);
            let reduced = graph.must(Reduce::new(reduction, &axes), &[a]);
            let ones: Vec<usize> = (0..rank).map(|a| if axes.contains(&a) { 1 } else { shape[a] }).collect();
            Some(if draw.below(2) == 0 { graph.reshape(reduced, &ones) } else { reduced })
        }
        6 => {
            let order = shuffled(draw, rank);
            Some(graph.must(Permute::new(&order), &[a]))
        }
        7 => {
            let size: usize = shape.iter().product();
            let to =
                if draw.below(2) == 0 || !size.is_multiple_of(2) { vec![size] } else { vec![2, size / 2] };
            Some(graph.must(Reshape::new(&to), &[a]))
        }
        8 if rank > 0 => {
            let axis = draw.below(rank);
            let (mut start, mut extent) = (vec![0; rank], shape.clone());
            start[axis] = shape[axis] / 2;
            extent[axis] = shape[axis] - start[axis];
            Some(graph.must(Slice::new(&start, &extent, &vec![1; rank]), &[a]))
        }
        9 if rank > 0 => {
            let axis = draw.below(rank);
            if draw.below(2) == 0 {
                let mut low = vec![0; rank];
                low[axis] = 1 + draw.below(2);
                return Some(graph.must(Pad::new(&low, &vec![1; rank], 0.0), &[a]));
            }
            Some(graph.must(Concat::new(axis), &[a, a]))
        }
        10 if rank > 0 && rank < 3 => {
            let b = draw.pick(values);
            let other = graph.ty(b).shape.clone();
            let (l, r, y) = match (rank, other.len()) {
                (2, 2) if shape[1] == other[1] => ("mk", "nk", "mn"),
                (2, 2) if shape[0] == other[0] => ("km", "kn", "nm"),
                (1, 1) if shape == other => ("k", "k", ""),
                (2, 1) if shape[1] == other[0] => ("mk", "k", "m"),
                _ => return None,
            };
            Some(graph.must(Contract::new(l, r, y), &[a, b]))
        }
        11 => {
            let mut wide = vec![2];
            wide.extend(&shape);
            if rank == 0 {
                return Some(graph.must(Broadcast::new(&wide), &[a]));
            }
            let line = graph.must(Iota::new(&shape, rank - 1), &[]);
            let random = graph.random(shape.clone());
            Some(graph.map(&[a, line, random], |b, x| {
                let two = b.int(2);
                let early = b.binary(Binary::Lt, x[1], two);
                let scaled = b.binary(Binary::Mul, x[0], x[2]);
                b.select(early, scaled, x[0])
            }))
        }
        12 if (2..=3).contains(&rank) => Some(product(graph, draw, a)),
        _ => None,
    }
}

/// A product of the value with a permuted copy of itself. Each axis is, by draw, one of the batch, summed, or an
/// axis of each side; the axes of the result come in any order, so that groups of axes do not follow each other
/// in memory.
fn product(graph: &mut Graph, draw: &mut Draw, a: NodeId) -> NodeId {
    let shape = graph.ty(a).shape.clone();
    let order = shuffled(draw, shape.len());
    let other = graph.map(&[a], |b, x| b.unary(Unary::Sin, x[0]));
    let other = graph.must(Permute::new(&order), &[other]);
    let (mut left, mut right, mut result) = (Vec::new(), vec![' '; shape.len()], Vec::new());
    for axis in 0..shape.len() {
        let (here, apart) = (char::from(b'a' + axis as u8), char::from(b'p' + axis as u8));
        let place = order.iter().position(|o| *o == axis).expect("the order has every axis");
        left.push(here);
        right[place] = here;
        match draw.below(3) {
            0 => result.push(here),
            1 => {}
            _ => {
                right[place] = apart;
                result.extend([here, apart]);
            }
        }
    }
    let result: Vec<char> = shuffled(draw, result.len()).into_iter().map(|k| result[k]).collect();
    let text = |letters: Vec<char>| letters.into_iter().collect::<String>();
    graph.must(Contract::new(&text(left), &text(right), &text(result)), &[a, other])
}

fn shuffled(draw: &mut Draw, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for k in (1..count).rev() {
        order.swap(k, draw.below(k + 1));
    }
    order
}
