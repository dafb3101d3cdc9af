//! Graphs of rows between products, for the laws: attention in its variants, with the gradients of its three operands.

use std::collections::BTreeMap;

use nnc::gradient::differentiate;
use nnc::ir::{Graph, NodeId, Source, Tensor, TensorType};
use nnc::ops::{Broadcast, Contract, Iota, Permute, Reduce, StopGradient};
use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Unary};

use crate::graphs::{Sample, weighed_sum, weights};

/// Attention: every row looks at all points, in each head of each example.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Examples.
    pub batch: usize,
    /// Heads.
    pub heads: usize,
    /// Queries.
    pub rows: usize,
    /// Keys.
    pub length: usize,
    /// The width of queries and keys.
    pub depth: usize,
    /// The width of values.
    pub columns: usize,
    /// Whether rows see only points before them, a part of what they see is dropped, and every point has a bias.
    pub masked: bool,
    /// Whether the shares are the exponentials of logarithms, and not quotients.
    pub by_logs: bool,
    /// Whether a gradient flows through the largest value of a row, too.
    pub through_largest: bool,
    /// Whether heads lie inside of the steps in memory.
    pub heads_inside: bool,
}

impl Attention {
    /// Attention of these extents, unmasked, with heads outside of the steps.
    #[must_use]
    pub fn plain([batch, heads, rows, length, depth, columns]: [usize; 6]) -> Attention {
        Attention {
            batch,
            heads,
            rows,
            length,
            depth,
            columns,
            masked: false,
            by_logs: false,
            through_largest: false,
            heads_inside: false,
        }
    }

    /// The graph, with the gradients of queries, keys and values where `trained` says so.
    ///
    /// # Panics
    /// If the operators do not fit each other.
    #[must_use]
    pub fn sample(self, trained: bool) -> Sample {
        let (mut graph, mut inputs) = (Graph::new(), BTreeMap::new());
        let given = [(self.rows, self.depth), (self.length, self.depth), (self.length, self.columns)];
        let mut stored = Vec::new();
        let mut operands = Vec::new();
        for (k, (steps, width)) in given.into_iter().enumerate() {
            let order = if self.heads_inside { [0, 2, 1, 3] } else { [0, 1, 2, 3] };
            let logical = [self.batch, self.heads, steps, width];
            let shape = order.map(|axis| logical[axis]);
            let name = format!("x{k}");
            let x = input(&mut graph, &name, &shape);
            inputs.insert(name, spread(&shape, k));
            stored.push(x);
            operands.push(if self.heads_inside { graph.must(Permute::new(&order), &[x]) } else { x });
        }
        let y = self.build(&mut graph, [operands[0], operands[1], operands[2]], &mut inputs);
        graph.results.push(("y".to_owned(), y));
        if trained {
            let shape = graph.ty(y).shape.clone();
            let w = input(&mut graph, "w", &shape);
            inputs.insert("w".to_owned(), weights(&shape));
            let loss = weighed_sum(&mut graph, y, w);
            let gradients = differentiate(&mut graph, loss, &stored).expect("attention is smooth");
            for (k, gradient) in gradients.into_iter().enumerate() {
                graph.results.push((format!("d{k}"), gradient.expect("everything counts")));
            }
        }
        let name = format!("{self:?}, trained: {trained}");
        Sample { name, graph, inputs, gradients: Vec::new(), stored: BTreeMap::new() }
    }

    fn build(
        self,
        graph: &mut Graph,
        [q, k, v]: [NodeId; 3],
        inputs: &mut BTreeMap<String, Tensor>,
    ) -> NodeId {
        let kept = [self.batch, self.heads, self.rows];
        let ones = [self.batch, self.heads, self.rows, 1];
        let mut seen = graph.must(Contract::new("nhqd", "nhkd", "nhqk"), &[q, k]);
        if self.masked {
            let shape = [self.batch, 1, 1, self.length];
            let bias = input(graph, "bias", &shape);
            inputs.insert("bias".to_owned(), spread(&shape, 3));
            seen = graph.map(&[seen, bias], |b, x| b.binary(Binary::Add, x[0], x[1]));
            let row = graph.must(Iota::new(&[1, 1, self.rows, 1], 2), &[]);
            let point = graph.must(Iota::new(&[1, 1, 1, self.length], 3), &[]);
            let later = graph.map(&[point, row], |b, x| b.binary(Binary::Gt, x[0], x[1]));
            seen = graph.map(&[later, seen], |b, x| {
                let hidden = b.real(-1e9);
                b.select(x[0], hidden, x[1])
            });
        }
        let most = graph.must(Reduce::new(Reduction::Max, &[3]), &[seen]);
        let most = if self.through_largest { most } else { graph.must(StopGradient, &[most]) };
        let most = graph.reshape(most, &ones);
        let less = graph.map(&[seen, most], |b, x| b.binary(Binary::Sub, x[0], x[1]));
        let each = graph.map(&[less], |b, x| b.unary(Unary::Exp, x[0]));
        let sum = graph.must(Reduce::new(Reduction::Sum, &[3]), &[each]);
        let mut share = if self.by_logs {
            let log = graph.map(&[sum], |b, x| b.unary(Unary::Log, x[0]));
            let log = graph.reshape(log, &ones);
            let rest = graph.map(&[less, log], |b, x| b.binary(Binary::Sub, x[0], x[1]));
            graph.map(&[rest], |b, x| b.unary(Unary::Exp, x[0]))
        } else {
            let sum = graph.reshape(sum, &ones);
            graph.map(&[each, sum], |b, x| b.binary(Binary::Div, x[0], x[1]))
        };
        if self.masked {
            let drawn = graph.random([kept.as_slice(), &[self.length]].concat());
            share = graph.map(&[drawn, share], |b, x| {
                let (few, nothing) = (b.real(0.25), b.real(0.0));
                let stays = b.binary(Binary::Ge, x[0], few);
                b.select(stays, x[1], nothing)
            });
        }
        let y = graph.must(Contract::new("nhqk", "nhkc", "nhqc"), &[share, v]);
        if self.heads_inside { graph.must(Permute::new(&[0, 2, 1, 3]), &[y]) } else { y }
    }
}

/// The variants over which the laws run.
#[must_use]
pub fn attentions() -> Vec<Sample> {
    let odd = Attention::plain([2, 4, 5, 5, 3, 3]);
    let across = Attention::plain([1, 2, 9, 37, 4, 6]);
    let long = Attention::plain([2, 1, 40, 70, 8, 40]);
    vec![
        odd.sample(false),
        Attention { masked: true, heads_inside: true, ..odd }.sample(true),
        Attention { by_logs: true, ..odd }.sample(true),
        Attention { heads_inside: true, ..across }.sample(true),
        Attention { through_largest: true, ..across }.sample(true),
        Attention { masked: true, ..across }.sample(true),
        Attention { masked: true, heads_inside: true, ..long }.sample(false),
        long.sample(true),
        biased(true),
        biased(false),
    ]
}

/// Attention whose scores have a bias of their own for each place; where it is `trained`, its gradient needs the scores'.
#[must_use]
pub fn biased(trained: bool) -> Sample {
    let (mut graph, mut inputs) = (Graph::new(), BTreeMap::new());
    let mut given = |graph: &mut Graph, name: &str, shape: &[usize]| {
        inputs.insert(name.to_owned(), spread(shape, inputs.len()));
        input(graph, name, shape)
    };
    let [q, k, v] = ["x0", "x1", "x2"].map(|name| given(&mut graph, name, &[2, 2, 6, 3]));
    let bias = given(&mut graph, "x3", &[6, 6]);
    let scores = graph.must(Contract::new("nhqd", "nhkd", "nhqk"), &[q, k]);
    let wide = graph.must(Broadcast::new(&[2, 2, 6, 6]), &[bias]);
    let seen = graph.map(&[scores, wide], |b, x| {
        let sum = b.binary(Binary::Add, x[0], x[1]);
        b.unary(Unary::Exp, sum)
    });
    let sum = graph.must(Reduce::new(Reduction::Sum, &[3]), &[seen]);
    let sum = graph.reshape(sum, &[2, 2, 6, 1]);
    let share = graph.map(&[seen, sum], |b, x| b.binary(Binary::Div, x[0], x[1]));
    let y = graph.must(Contract::new("nhqk", "nhkc", "nhqc"), &[share, v]);
    graph.results.push(("y".to_owned(), y));
    let axes: Vec<usize> = (0..4).collect();
    let square = graph.map(&[y], |b, x| b.binary(Binary::Mul, x[0], x[0]));
    let loss = graph.must(Reduce::new(Reduction::Sum, &axes), &[square]);
    let wanted = if trained { vec![q, bias] } else { vec![q] };
    for (k, gradient) in
        differentiate(&mut graph, loss, &wanted).expect("it is smooth").into_iter().enumerate()
    {
        graph.results.push((format!("d{k}"), gradient.expect("everything counts")));
    }
    let name = format!("attention with a bias, trained: {trained}");
    Sample { name, graph, inputs, gradients: Vec::new(), stored: BTreeMap::new() }
}

fn input(graph: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    graph.source(Source::Input { name: name.to_owned(), batched: false }, TensorType::f32(shape))
}

/// Fixed numbers between -1 and 1.
#[allow(clippy::cast_precision_loss)]
fn spread(shape: &[usize], operand: usize) -> Tensor {
    let size = shape.iter().product::<usize>();
    let value = |k: usize| ((k * 37 + operand * 11 + k / 7) % 61) as f64 / 30.0 - 1.0;
    Tensor::new(shape, (0..size).map(value).collect())
}
