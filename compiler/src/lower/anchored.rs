//! The kernels of clusters around a product, a convolution, a pooling or work along lines.

use nnc_wgsl::schedule::{
    self, ContractSpec, ConvKind, ConvSpec, LineKind, LineSpec, Matrix, Spec, WindowSpec,
};
use nnc_wgsl::{Element, Epilogue, Place, Profile};

use super::Work;
use super::coalesce::word;
use super::formula::Formulas;
use super::groups::contract_groups;
use super::hosts::HostTable;
use super::layout::Layout;
use super::member::{contract_place, conv_place, planes_place};
use super::spec::{Given, own_place, pointwise, replaced, written};
use super::stores::Stores;
use crate::ir::NodeId;
use crate::ops::Lowering;
use crate::passes::{Anchor, Cluster};

/// The kernel of a cluster around this anchor.
pub(super) fn anchored(
    given: Given<'_>,
    cluster: &Cluster,
    anchor: NodeId,
    hosts: &mut HostTable,
    profile: &Profile,
) -> Work {
    let graph = given.graph;
    let before = (0..cluster.parts()).map(|part| (anchor, part)).collect();
    let formulas = Formulas::new(given, cluster, hosts, before, Vec::new());
    let results = written(graph, cluster);
    let fit = |place: &Place| match cluster.anchor {
        Anchor::Contract(id) | Anchor::Parts(id, _) => {
            contract_place(graph, id, place).expect("the pass `fuse` checked the places")
        }
        Anchor::Window(id) => planes_place(graph, id, place).expect("the pass `fuse` checked the places"),
        Anchor::Lines(_) => place.clone(),
        _ => conv_place(graph, anchor, place),
    };
    let stores = Stores::anchored(given, cluster, &results, fit);
    let epilogue = Epilogue {
        reads: replaced(&formulas.reads, fit),
        expr: formulas.expr(&stores.pieces, 0),
        writes: stores.writes,
    };
    let operands: Vec<Layout> =
        graph.operands(anchor).iter().map(|v| given.homes.memory(*v).clone()).collect();
    let elements: Vec<Element> = operands.iter().map(|layout| graph.stored_element(layout.base)).collect();
    let mut reads: Vec<Option<NodeId>> =
        graph.operands(anchor).iter().map(|v| Some(given.layouts[v].base)).collect();
    let mut at_point = vec![false; reads.len()];
    reads.extend(&formulas.bound);
    at_point.extend(pointwise(&formulas.reads, &own_place(&cluster.space)));
    let lowering = graph.operator(anchor).expect("an anchor is computed").lower();
    let spec = match lowering {
        Lowering::Contract { left, right, result } => {
            let parts = cluster.parts();
            Spec::Contract(contract(&left, &right, &result, &operands, &elements, parts, epilogue))
        }
        Lowering::Conv { kind, geometry } => {
            let shape = &graph.ty(anchor).shape;
            Spec::Conv(conv(kind, &geometry, &operands, &elements, shape, epilogue))
        }
        Lowering::Window { kind, geometry } => {
            let (input, output) = match kind {
                schedule::WindowKind::Max | schedule::WindowKind::Mean { .. } => {
                    (&operands[0].shape, &cluster.space)
                }
                _ => (&cluster.space, &operands[operands.len() - 1].shape),
            };
            let axes = geometry.size.len();
            let outer = input.len() - axes;
            Spec::Window(WindowSpec {
                kind,
                planes: [
                    word(input[..outer].first().copied().unwrap_or(1)),
                    word(input[..outer].iter().skip(1).product()),
                ],
                input: two(&input[outer..], 1),
                kernel: two(&geometry.size, 1),
                output: two(&output[outer..], 1),
                stride: two(&geometry.stride, 1),
                pad: two(&geometry.low, 0),
                dilation: two(&geometry.dilation, 1),
                elements,
                offsets: operands.iter().map(|layout| layout.offset).collect(),
                epilogue,
            })
        }
        Lowering::Lines { kind, axis } => {
            Spec::Lines(lines(kind, axis, elements, &operands, &cluster.space, epilogue))
        }
        other => unreachable!("{other:?} anchors no kernel"),
    };
    Work {
        schedule: spec.schedule(profile),
        spec,
        reads,
        writes: stores.values,
        into: stores.into,
        pointwise: at_point,
    }
}

/// One or two numbers as two; a missing first axis is `missing`.
fn two(numbers: &[usize], missing: usize) -> [u32; 2] {
    match numbers {
        [width] => [word(missing), word(*width)],
        [height, width] => [word(*height), word(*width)],
        _ => unreachable!("windows move along one or two axes"),
    }
}

fn lines(
    kind: LineKind,
    axis: usize,
    elements: Vec<Element>,
    operands: &[Layout],
    space: &[usize],
    epilogue: Epilogue,
) -> LineSpec {
    LineSpec {
        kind,
        extents: space.iter().map(|&extent| word(extent)).collect(),
        axis,
        length: word(operands[0].shape[axis]),
        operands: elements.into_iter().zip(operands.iter().map(|one| one.over(&one.shape))).collect(),
        epilogue,
    }
}

/// Up to three numbers as three; missing first axes are `missing`.
fn three(numbers: &[usize], missing: usize) -> [u32; 3] {
    let mut all = [word(missing); 3];
    for (place, number) in all.iter_mut().rev().zip(numbers.iter().rev()) {
        *place = word(*number);
    }
    all
}

fn contract(
    left: &[char],
    right: &[char],
    result: &[char],
    operands: &[Layout],
    elements: &[Element],
    parts: usize,
    epilogue: Epilogue,
) -> ContractSpec {
    let groups = contract_groups(left, right, result);
    let stride = |letters: &[char], layout: &Layout, group: &[char]| {
        groups.collapse(letters, layout, group).expect("the pass `materialize` made the axes collapse")
    };
    let extent = |group: &[char]| {
        let of = |c: &char| match left.iter().position(|l| l == c) {
            Some(axis) => operands[0].shape[axis],
            None => {
                operands[1].shape[right.iter().position(|r| r == c).expect("a letter stands in an operand")]
            }
        };
        word(group.iter().map(of).product())
    };
    let matrix = |letters: &[char], slot: usize, rows: &[char], columns: &[char]| {
        let layout = &operands[slot];
        Matrix {
            element: elements[slot],
            offset: layout.offset,
            batch: stride(letters, layout, &groups.batch),
            row: stride(letters, layout, rows),
            column: stride(letters, layout, columns),
        }
    };
    ContractSpec {
        batch: extent(&groups.batch),
        m: extent(&groups.m),
        n: extent(&groups.n) / word(parts),
        parts: word(parts),
        k: extent(&groups.k),
        left: matrix(left, 0, &groups.m, &groups.k),
        right: matrix(right, 1, &groups.k, &groups.n),
        epilogue,
    }
}

fn conv(
    kind: ConvKind,
    geometry: &crate::ops::ConvGeometry,
    operands: &[Layout],
    elements: &[Element],
    result: &[usize],
    epilogue: Epilogue,
) -> ConvSpec {
    let (first, second) = (&operands[0].shape, &operands[1].shape);
    let (x, w, y): (&[usize], &[usize], &[usize]) = match kind {
        ConvKind::Forward => (first, second, result),
        ConvKind::InputGradient => (result, second, first),
        ConvKind::WeightGradient => (first, result, second),
    };
    ConvSpec {
        kind,
        n: word(x[0]),
        c: word(x[1]),
        input: three(&x[2..], 1),
        o: word(w[0]),
        kernel: three(&w[2..], 1),
        output: three(&y[2..], 1),
        stride: three(&geometry.stride, 1),
        pad: three(&geometry.low, 0),
        dilation: three(&geometry.dilation, 1),
        groups: word(geometry.groups),
        elements: [elements[0], elements[1]],
        offsets: [operands[0].offset, operands[1].offset],
        epilogue,
    }
}
