//! Graphs for the laws: each operator's examples with their gradients, and graphs drawn at random.

use std::collections::BTreeMap;

use nnc::gradient::differentiate;
use nnc::ir::{
    Assignment, Environment, FlatRegion, Graph, NodeId, Source, StoredId, StoredTensor, Tensor, TensorType,
    evaluate,
};
use nnc::ops::{
    Broadcast, Concat, Contract, Conv, ConvGeometry, Example, Iota, Pack, Pad, Permute, Pool, Reduce,
    Reshape, Slice, Window, WindowGeometry,
};
use nnc::update;
use nnc_runtime::artifact::{HostSymbol, Init, StoredKind};
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
    /// What outlives a step, before it.
    pub stored: BTreeMap<StoredId, Tensor>,
}

impl Sample {
    /// The environment with these inputs, at step 1 of seed 0.
    #[must_use]
    pub fn environment(&self) -> Environment {
        let symbols = [HostSymbol::Step, HostSymbol::Examples].map(|s| (s, 1.0));
        Environment {
            inputs: self.inputs.clone(),
            stored: self.stored.clone(),
            symbols: symbols.into(),
            ..Environment::default()
        }
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
    Sample { name: example.op.label(), graph, inputs, gradients: Vec::new(), stored: BTreeMap::new() }
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
    Sample { name: format!("seed {seed}"), graph, inputs, gradients, stored: BTreeMap::new() }
}

/// Chains of operators whose result is as large as their operand, several workgroups large, and read by the next
/// alone: its memory must not be taken while it is still read.
///
/// # Panics
/// If the operators do not fit: a bug of this function.
#[must_use]
pub fn chains() -> Vec<Sample> {
    let around = |size: usize| ConvGeometry {
        low: vec![size / 2; 2],
        high: vec![size / 2; 2],
        ..ConvGeometry::plain(2)
    };
    let pool = WindowGeometry {
        stride: vec![1, 1],
        low: vec![1, 1],
        high: vec![1, 1],
        ..WindowGeometry::tiles(&[3, 3])
    };
    let image = [2, 8, 20, 20];
    vec![
        chain("convolutions", &image, &[8, 8, 3, 3], |g, x, w| g.must(Conv::new(around(3)), &[x, w])),
        chain("pointwise convolutions", &image, &[8, 8, 1, 1], |g, x, w| {
            g.must(Conv::new(around(1)), &[x, w])
        }),
        chain("poolings", &image, &[1], |g, x, _| g.must(Window::new(Pool::Max, pool.clone()), &[x])),
        chain("products", &[150, 96], &[96, 96], |g, x, w| g.must(Contract::new("mk", "kn", "mn"), &[x, w])),
        chain("transposed products", &[130, 130], &[130, 130], |g, x, w| {
            g.must(Contract::new("km", "kn", "mn"), &[x, w])
        }),
    ]
}

fn chain(
    name: &str,
    shape: &[usize],
    weight: &[usize],
    next: impl Fn(&mut Graph, NodeId, NodeId) -> NodeId,
) -> Sample {
    let mut graph = Graph::new();
    let mut inputs = BTreeMap::new();
    let mut given = |graph: &mut Graph, name: &str, shape: &[usize], scale: f64| {
        let numbers = weights(shape);
        let data = numbers.data().iter().map(|v| (v - 1.0) * scale).collect();
        inputs.insert(name.to_owned(), Tensor::new(shape, data));
        graph.source(Source::Input { name: name.to_owned(), batched: false }, TensorType::f32(shape))
    };
    let x = given(&mut graph, "x", shape, 1.0);
    let w = given(&mut graph, "w", weight, 0.3);
    let mut value = graph.map(&[x], |b, x| b.unary(Unary::Sin, x[0]));
    for _ in 0..4 {
        value = next(&mut graph, value, w);
    }
    let y = graph.map(&[value], |b, x| b.unary(Unary::Tanh, x[0]));
    graph.results.push(("y".to_owned(), y));
    Sample { name: name.to_owned(), graph, inputs, gradients: Vec::new(), stored: BTreeMap::new() }
}

/// Concats whose operands kernels of every kind write in place: read again there, part of two concats, inside another
/// concat, along every axis, twice in one, and beside operands that no kernel computes.
///
/// # Panics
/// If the operators do not fit: a bug of this function.
#[must_use]
pub fn joins() -> Vec<Sample> {
    let sine = |graph: &mut Graph, x: NodeId| graph.map(&[x], |b, x| b.unary(Unary::Sin, x[0]));
    vec![
        joined("columns read again", &[&[6, 8], &[8, 4]], move |g, x| {
            let left = g.must(Contract::new("mk", "kn", "mn"), &[x[0], x[1]]);
            let right = sine(g, left);
            let more = g.must(Reduce::new(Reduction::Sum, &[1]), &[right]);
            let more = g.reshape(more, &[6, 1]);
            let whole = g.must(Concat::new(1), &[left, right, x[0], more]);
            let again = g.must(Contract::new("mk", "nk", "mn"), &[left, right]);
            vec![sine(g, whole), again]
        }),
        joined("rows, twice, and a softmax", &[&[5, 12]], move |g, x| {
            let shifted = sine(g, x[0]);
            let total = g.must(Reduce::new(Reduction::Sum, &[1]), &[shifted]);
            let total = g.reshape(total, &[5, 1]);
            let share = g.map(&[shifted, total], |b, x| b.binary(Binary::Mul, x[0], x[1]));
            let whole = g.must(Concat::new(0), &[share, shifted, share]);
            let sides = g.must(Concat::new(1), &[share, shifted]);
            vec![sine(g, whole), sine(g, sides)]
        }),
        joined("images along channels and across", &[&[2, 3, 6, 6], &[5, 3, 3, 3], &[4, 5, 1, 1]], |g, x| {
            let around = ConvGeometry { low: vec![1; 2], high: vec![1; 2], ..ConvGeometry::plain(2) };
            let a = g.must(Conv::new(around), &[x[0], x[1]]);
            let b = g.must(Conv::new(ConvGeometry::plain(2)), &[a, x[2]]);
            let pooled = g.must(Window::new(Pool::Max, WindowGeometry::tiles(&[1, 1])), &[a]);
            let channels = g.must(Concat::new(1), &[a, b, x[0], pooled]);
            let across = g.must(Concat::new(3), &[b, b]);
            vec![g.map(&[channels], |b, x| b.unary(Unary::Tanh, x[0])), across]
        }),
        joined("a stack of pairs", &[&[3, 4], &[4, 4]], move |g, x| {
            let mut rows = Vec::new();
            let mut state = x[0];
            for _ in 0..4 {
                let next = g.must(Contract::new("mk", "kn", "mn"), &[state, x[1]]);
                let soft = sine(g, next);
                let pair = g.must(Concat::new(1), &[next, soft]);
                state = g.must(Slice::new(&[0, 2], &[3, 4], &[1, 1]), &[pair]);
                rows.push(g.reshape(pair, &[3, 1, 8]));
            }
            let whole = g.must(Concat::new(1), &rows);
            let turned = g.must(Permute::new(&[1, 0, 2]), &[whole]);
            vec![sine(g, turned), state]
        }),
        joined("steps copied at once", &[&[2, 20]], |g, x| {
            let part = |g: &mut Graph, k: usize| g.must(Slice::new(&[0, 3 * k], &[2, 4], &[1, 1]), &[x[0]]);
            let parts: Vec<NodeId> = [0, 1, 2, 3, 5, 4, 3].map(|k| part(g, k)).to_vec();
            vec![g.must(Concat::new(0), &parts), g.must(Concat::new(1), &parts)]
        }),
    ]
}

/// Recurrent cells over a few steps with their gradients: products whose columns are read in equal parts by the maps
/// that follow, with several stored results. Among them are gates read once more in one piece, parts that are spread
/// over rows, a batch of products, and columns of every number by four.
///
/// # Panics
/// If the operators do not fit: a bug of this function.
#[must_use]
pub fn cells() -> Vec<Sample> {
    let of = |g: &mut Graph, op: Unary, x: NodeId| g.map(&[x], |b, x| b.unary(op, x[0]));
    let by =
        |g: &mut Graph, op: Binary, x: NodeId, y: NodeId| g.map(&[x, y], |b, x| b.binary(op, x[0], x[1]));
    let long = move |g: &mut Graph, gates: &[NodeId], _: NodeId, before: NodeId| {
        let soft: Vec<NodeId> = gates.iter().map(|gate| of(g, Unary::Tanh, *gate)).collect();
        let (kept, fresh) = (by(g, Binary::Mul, soft[1], before), by(g, Binary::Mul, soft[0], soft[2]));
        let state = by(g, Binary::Add, kept, fresh);
        let shown = of(g, Unary::Sin, state);
        (by(g, Binary::Mul, soft[3], shown), state)
    };
    let gated = move |g: &mut Graph, gates: &[NodeId], h: NodeId, around: NodeId| {
        let keep = of(g, Unary::Tanh, gates[0]);
        let inner = by(g, Binary::Mul, keep, gates[2]);
        let inner = by(g, Binary::Add, inner, gates[1]);
        let fresh = of(g, Unary::Sin, inner);
        let rest = by(g, Binary::Mul, keep, h);
        (by(g, Binary::Sub, fresh, rest), around)
    };
    let pair = move |g: &mut Graph, gates: &[NodeId], h: NodeId, c: NodeId| {
        let gate = of(g, Unary::Tanh, gates[0]);
        let next = by(g, Binary::Mul, gate, gates[1]);
        (by(g, Binary::Add, next, h), c)
    };
    let mut samples = Vec::new();
    for (n, hidden) in [(1, 1), (3, 4), (5, 7), (33, 20)] {
        samples.push(walk(&format!("four gates of {n} by {hidden}"), [n, 3, 4, hidden], false, long));
        samples.push(walk(&format!("three gates of {n} by {hidden}"), [n, 2, 3, hidden], true, gated));
        samples.push(walk(&format!("two gates of {n} by {hidden}"), [n, 4, 2, hidden], false, pair));
    }
    samples.push(joined("gates in one piece as well", &[&[6, 5], &[5, 12], &[12, 3]], move |g, x| {
        let gates = g.must(Contract::new("mk", "kn", "mn"), &[x[0], x[1]]);
        let soft = of(g, Unary::Sin, gates);
        let part =
            |g: &mut Graph, of: NodeId, k: usize| g.must(Slice::new(&[0, 4 * k], &[6, 4], &[1, 1]), &[of]);
        let parts: Vec<NodeId> = (0..3).map(|k| part(g, soft, k)).collect();
        let mixed = by(g, Binary::Mul, parts[0], parts[2]);
        let mixed = by(g, Binary::Add, mixed, parts[1]);
        let whole = of(g, Unary::Tanh, soft);
        vec![mixed, whole, g.must(Contract::new("mk", "kn", "mn"), &[soft, x[2]])]
    }));
    samples.push(joined(
        "gates of a batch, told apart by a reshape",
        &[&[2, 3, 5], &[2, 5, 8], &[4]],
        move |g, x| {
            let gates = g.must(Contract::new("bmk", "bkn", "bmn"), &[x[0], x[1]]);
            let apart = g.must(Reshape::new(&[2, 3, 2, 4]), &[gates]);
            let part = |g: &mut Graph, k: usize| {
                let part = g.must(Slice::new(&[0, 0, k, 0], &[2, 3, 1, 4], &[1; 4]), &[apart]);
                g.must(Reshape::new(&[2, 3, 4]), &[part])
            };
            let (a, b) = (part(g, 0), part(g, 1));
            let shifted = by(g, Binary::Add, b, x[2]);
            let both = by(g, Binary::Mul, a, shifted);
            vec![of(g, Unary::Sin, both), shifted]
        },
    ));
    samples
}

/// A walk over `steps` of `[n, steps, parts, hidden]` with two carried values; the loss weighs every step, and the
/// gradients of the input, the weight and the first state are results. `turned` lets the weight lie `[hidden, gates]`.
fn walk(
    name: &str,
    [n, steps, parts, hidden]: [usize; 4],
    turned: bool,
    cell: impl Fn(&mut Graph, &[NodeId], NodeId, NodeId) -> (NodeId, NodeId),
) -> Sample {
    let wide = parts * hidden;
    let weight = if turned { [hidden, wide] } else { [wide, hidden] };
    let shapes: [&[usize]; 3] = [&[n, steps, wide], &weight, &[n, hidden]];
    let mut sample = joined(name, &shapes, |g, x| {
        let (mut h, mut c) = (x[2], x[2]);
        let mut rows = Vec::new();
        for step in 0..steps {
            let row = g.must(Slice::new(&[0, step, 0], &[n, 1, wide], &[1; 3]), &[x[0]]);
            let row = g.reshape(row, &[n, wide]);
            let form = if turned { "ko" } else { "ok" };
            let around = g.must(Contract::new("nk", form, "no"), &[h, x[1]]);
            let gates = g.map(&[row, around], |b, x| b.binary(Binary::Add, x[0], x[1]));
            let part = |k: usize| Slice::new(&[0, k * hidden], &[n, hidden], &[1, 1]);
            let gates: Vec<NodeId> = (0..parts).map(|k| g.must(part(k), &[gates])).collect();
            (h, c) = cell(g, &gates, h, c);
            rows.push(g.reshape(h, &[n, 1, hidden]));
        }
        let whole = g.must(Concat::new(1), &rows);
        let square = g.map(&[whole], |b, x| b.binary(Binary::Mul, x[0], x[0]));
        let loss = g.must(Reduce::new(Reduction::Sum, &[0, 1, 2]), &[square]);
        let gradients = differentiate(g, loss, x).expect("the operators have gradients");
        [vec![whole, loss], gradients.into_iter().flatten().collect()].concat()
    });
    for value in sample.inputs.values_mut() {
        value.data_mut().iter_mut().for_each(|v| *v *= 0.5);
    }
    sample
}

/// Results of a few inputs; each is a result of the program.
fn joined(name: &str, shapes: &[&[usize]], build: impl Fn(&mut Graph, &[NodeId]) -> Vec<NodeId>) -> Sample {
    let mut graph = Graph::new();
    let mut inputs = BTreeMap::new();
    let mut given = Vec::new();
    for (k, shape) in shapes.iter().enumerate() {
        let data = weights(shape).data().iter().map(|v| v - 1.0).collect();
        inputs.insert(format!("x{k}"), Tensor::new(*shape, data));
        let input = Source::Input { name: format!("x{k}"), batched: false };
        given.push(graph.source(input, TensorType::f32(*shape)));
    }
    for (k, value) in build(&mut graph, &given).into_iter().enumerate() {
        graph.results.push((format!("y{k}"), value));
    }
    Sample { name: name.to_owned(), graph, inputs, gradients: Vec::new(), stored: BTreeMap::new() }
}

/// A training step over a drawn graph: three weights that follow their gradients with momentum, a pair of states
/// that change places, one state that two others take, and the guard.
///
/// # Panics
/// As [`random`].
#[must_use]
pub fn training(seed: u64, length: usize) -> Sample {
    let mut draw = Draw::new(seed ^ 0x7a11);
    let mut graph = Graph::new();
    let mut sample = Sample {
        name: format!("step of seed {seed}"),
        graph: Graph::new(),
        inputs: BTreeMap::new(),
        gradients: Vec::new(),
        stored: BTreeMap::new(),
    };
    let mut keep = |graph: &mut Graph, path: &str, kind: StoredKind, shape: &[usize], salt: usize| {
        let id = StoredId(graph.stored.len());
        let ty = TensorType::f32(shape);
        let init = Init::Constant(0.0);
        graph.stored.push(StoredTensor { path: path.to_owned(), kind, ty: ty.clone(), init });
        #[allow(clippy::cast_precision_loss)]
        let data = (0..ty.size()).map(|i| ((i * 13 + salt * 7 + 2) % 31) as f64 / 15.0 - 1.01).collect();
        sample.stored.insert(id, Tensor::new(shape, data));
        graph.source(Source::Stored(id), ty)
    };
    let mut values = Vec::new();
    for k in 0..3 {
        let rank = 1 + draw.below(3);
        let shape: Vec<usize> = (0..rank).map(|_| draw.pick(&[1, 2, 3, 5, 8])).collect();
        values.push(keep(&mut graph, &format!("w{k}"), StoredKind::Weight, &shape, k));
    }
    let weights_of = values.clone();
    let shape = [draw.pick(&[1, 3, 70])];
    let states: Vec<NodeId> =
        (0..5).map(|k| keep(&mut graph, &format!("s{k}"), StoredKind::State, &shape, 5 + k)).collect();
    for _ in 0..length {
        if let Some(next) = step(&mut graph, &mut draw, &values) {
            values.push(next);
        }
    }
    let parts: Vec<NodeId> = values
        .iter()
        .map(|&value| {
            let axes: Vec<usize> = (0..graph.ty(value).rank()).collect();
            let soft = graph.map(&[value], |b, x| b.unary(Unary::Sin, x[0]));
            if axes.is_empty() { soft } else { graph.must(Reduce::new(Reduction::Sum, &axes), &[soft]) }
        })
        .collect();
    let loss =
        graph.map(&parts, |b, x| x[1..].iter().fold(x[0], |total, part| b.binary(Binary::Add, total, *part)));
    graph.results.push(("loss".to_owned(), loss));
    let gradients = differentiate(&mut graph, loss, &weights_of).expect("the drawn operators have gradients");
    let packed =
        update::pack_gradients(&mut graph, "", &weights_of, &gradients).expect("a weight has a gradient");
    let ty = graph.ty(packed).clone();
    let weights = graph.source(Source::Region(update::WEIGHTS.to_owned()), ty.clone());
    let moment = graph.source(Source::Region("momentum".to_owned()), ty.clone());
    let fill =
        FlatRegion { name: "momentum".to_owned(), elements: ty.size(), members: Vec::new(), fill: 0.0 };
    graph.regions.push(fill);
    let moved = graph.map(&[moment, packed], |b, x| {
        let kept = b.real(0.5);
        let kept = b.binary(Binary::Mul, x[0], kept);
        b.binary(Binary::Add, kept, x[1])
    });
    let next = graph.map(&[weights, moved], |b, x| {
        let rate = b.real(0.125);
        let change = b.binary(Binary::Mul, x[1], rate);
        b.binary(Binary::Sub, x[0], change)
    });
    let shifted = graph.map(&[states[2], states[0]], |b, x| b.binary(Binary::Add, x[0], x[1]));
    let assigned = [
        (weights, next),
        (moment, moved),
        (states[0], states[1]),
        (states[1], states[0]),
        (states[2], shifted),
        (states[3], states[2]),
        (states[4], states[2]),
    ];
    graph.assignments.extend(assigned.map(|(target, value)| Assignment { target, value }));
    update::guard(&mut graph, &[loss], &[packed]);
    let halted = StoredId(graph.stored.len() - 1);
    sample.stored.insert(halted, Tensor::new([], vec![0.0]));
    sample.graph = graph;
    sample
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
            let other = graph.map(&[a], |b, x| b.unary(Unary::Cos, x[0]));
            Some(graph.must(Concat::new(axis), &[a, draw.pick(&[a, other])]))
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
