//! Graphs of convolutions that read one value, for the laws: each followed by a normalization, with the gradients of the
//! weights and of the value.

use std::collections::BTreeMap;

use nnc::gradient::differentiate;
use nnc::ir::{Assignment, Graph, NodeId, Source, StoredId, StoredTensor, Tensor, TensorType};
use nnc::ops::{Conv, ConvGeometry, Reduce};
use nnc::update;
use nnc_runtime::artifact::{Init, StoredKind};
use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Unary};

use crate::graphs::{Sample, weighed_sum, weights};

/// Branches over one value.
struct Family {
    name: &'static str,
    /// The shape of the value.
    value: &'static [usize],
    geometry: ConvGeometry,
    /// Of each branch, how many channels its convolution makes.
    channels: &'static [usize],
    kernel: &'static [usize],
    /// Whether the value is also read by a map, which has a share in its gradient.
    beside: bool,
}

fn families() -> Vec<Family> {
    let plain = ConvGeometry::plain(2);
    let around = ConvGeometry { stride: vec![2, 2], low: vec![1; 2], high: vec![1; 2], ..plain.clone() };
    vec![
        Family {
            name: "three branches",
            value: &[2, 8, 4, 4],
            geometry: plain,
            channels: &[8, 16, 5],
            kernel: &[1, 1],
            beside: false,
        },
        Family {
            name: "windows in steps, and a map beside",
            value: &[3, 4, 7, 5],
            geometry: around,
            channels: &[16, 3],
            kernel: &[3, 3],
            beside: true,
        },
        Family {
            name: "lines",
            value: &[2, 4, 9],
            geometry: ConvGeometry { dilation: vec![2], ..ConvGeometry::plain(1) },
            channels: &[8, 8, 8, 8],
            kernel: &[2],
            beside: true,
        },
    ]
}

/// Branches whose weights are computed.
#[must_use]
pub fn siblings() -> Vec<Sample> {
    families().iter().map(|family| family.sample(false)).collect()
}

/// Steps that train the weights of branches, which lie in one region.
#[must_use]
pub fn trained_siblings() -> Vec<Sample> {
    families().iter().map(|family| family.sample(true)).collect()
}

impl Family {
    fn sample(&self, is_trained: bool) -> Sample {
        let mut sample = Sample {
            name: format!("{}{}", self.name, if is_trained { ", trained" } else { "" }),
            graph: Graph::new(),
            inputs: BTreeMap::new(),
            gradients: Vec::new(),
            stored: BTreeMap::new(),
        };
        let (first, moved) = sample.weight(is_trained, 0, &[self.value[1], self.value[1]]);
        let value = sample.input("x", self.value);
        let mut grown = vec![1; self.value.len()];
        grown[1] = self.value[1];
        let scale = sample.graph.must(Reduce::new(Reduction::Sum, &[1]), &[first]);
        let scale = sample.graph.reshape(scale, &grown);
        let value = sample.graph.map(&[value, scale], |b, x| b.binary(Binary::Mul, x[0], x[1]));
        let mut trained = vec![moved];
        let mut losses = Vec::new();
        if self.beside {
            let soft = sample.graph.map(&[value], |b, x| b.unary(Unary::Sin, x[0]));
            losses.push(sample.weighed(soft));
        }
        for &channels in self.channels {
            let shape = [&[channels, self.value[1]], self.kernel].concat();
            let (weight, moved) = sample.weight(is_trained, trained.len(), &shape);
            trained.push(moved);
            let y = sample.graph.must(Conv::new(self.geometry.clone()), &[value, weight]);
            let normal = normalized(&mut sample.graph, y);
            losses.push(sample.weighed(normal));
        }
        let graph = &mut sample.graph;
        let loss = graph
            .map(&losses, |b, x| x[1..].iter().fold(x[0], |sum, loss| b.binary(Binary::Add, sum, *loss)));
        graph.results.push(("loss".to_owned(), loss));
        let gradients = differentiate(graph, loss, &trained).expect("the operators have gradients");
        if is_trained {
            self.trained(graph, &trained, &gradients);
        } else {
            let gradients = gradients.into_iter().flatten().enumerate();
            graph.results.extend(gradients.map(|(k, gradient)| (format!("d{k}"), gradient)));
        }
        sample
    }

    /// Moves each weight against its gradient.
    fn trained(&self, graph: &mut Graph, trained: &[NodeId], gradients: &[Option<NodeId>]) {
        let packed = update::pack_gradients(graph, "", trained, gradients).expect("a weight has a gradient");
        let ty = graph.ty(packed).clone();
        let target = graph.source(Source::Region(update::WEIGHTS.to_owned()), ty);
        let value = graph.map(&[target, packed], |b, x| {
            let rate = b.real(0.125);
            let change = b.binary(Binary::Mul, x[1], rate);
            b.binary(Binary::Sub, x[0], change)
        });
        graph.assignments.push(Assignment { target, value });
    }
}

impl Sample {
    fn input(&mut self, name: &str, shape: &[usize]) -> NodeId {
        let name = format!("{name}{}", self.inputs.len());
        self.inputs.insert(name.clone(), weights(shape));
        self.graph.source(Source::Input { name, batched: false }, TensorType::f32(shape))
    }

    /// A stored weight, or one that is computed from an input; then what is trained.
    fn weight(&mut self, is_stored: bool, number: usize, shape: &[usize]) -> (NodeId, NodeId) {
        let ty = TensorType::f32(shape);
        let data: Vec<f64> = weights(shape)
            .data()
            .iter()
            .enumerate()
            .map(|(k, v)| (v + ((k + number) % 7) as f64).sin())
            .collect();
        if is_stored {
            let id = StoredId(self.graph.stored.len());
            let path = format!("w{number}");
            let init = Init::Constant(0.0);
            self.graph.stored.push(StoredTensor { path, kind: StoredKind::Weight, ty: ty.clone(), init });
            self.stored.insert(id, Tensor::new(shape, data));
            let weight = self.graph.source(Source::Stored(id), ty);
            return (weight, weight);
        }
        let name = format!("w{number}");
        self.inputs.insert(name.clone(), Tensor::new(shape, data));
        let given = self.graph.source(Source::Input { name, batched: false }, ty);
        (self.graph.map(&[given], |b, x| b.unary(Unary::Tanh, x[0])), given)
    }

    fn weighed(&mut self, value: NodeId) -> NodeId {
        let shape = self.graph.ty(value).shape.clone();
        let by = self.input("by", &shape);
        weighed_sum(&mut self.graph, value, by)
    }
}

/// What each channel differs by from its sum, between -1 and 1.
fn normalized(graph: &mut Graph, y: NodeId) -> NodeId {
    let shape = graph.ty(y).shape.clone();
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| axis != 1).collect();
    let sum = graph.must(Reduce::new(Reduction::Sum, &axes), &[y]);
    let mut along = vec![1; shape.len()];
    along[1] = shape[1];
    let sum = graph.reshape(sum, &along);
    graph.map(&[y, sum], |b, x| {
        let small = b.real(0.02);
        let part = b.binary(Binary::Mul, x[1], small);
        let moved = b.binary(Binary::Sub, x[0], part);
        b.unary(Unary::Tanh, moved)
    })
}
