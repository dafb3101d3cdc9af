//! The specification of each cluster for its schedule.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::schedule::{
    self, ContractSpec, ConvKind, ConvSpec, MapSpec, Matrix, RowSpec, RowStep, WindowSpec,
};
use nnc_wgsl::{Element, Epilogue, Expr, Place, Profile, Read, Write};

use super::Work;
use super::coalesce::{coalesce, word};
use super::formula::{Formulas, kept_first};
use super::groups::contract_groups;
use super::hosts::HostTable;
use super::layout::{Layout, signed};
use super::member::{Level, contract_place, conv_place, is_in_memory, kept, level_of, planes_place};
use crate::ir::{Graph, NodeId, contiguous_strides};
use crate::ops::Lowering;
use crate::passes::{Anchor, Cluster};

/// The kernel of a cluster that is not a move.
pub(super) fn kernel(
    graph: &Graph,
    cluster: &Cluster,
    layouts: &BTreeMap<NodeId, Layout>,
    hosts: &mut HostTable,
    profile: &Profile,
) -> Work {
    match &cluster.anchor {
        Anchor::Map => map(graph, cluster, layouts, hosts, profile),
        Anchor::Row(_) | Anchor::Column(_) => row(graph, cluster, layouts, hosts, profile),
        Anchor::Contract(id) | Anchor::Conv(id) | Anchor::Window(id) => {
            anchored(graph, cluster, *id, layouts, hosts, profile)
        }
        Anchor::Move(_) => unreachable!("moves are lowered operand by operand"),
    }
}

/// The members that leave the cluster, in order.
fn written(graph: &Graph, cluster: &Cluster) -> Vec<NodeId> {
    let members: BTreeSet<NodeId> = cluster.members.iter().copied().collect();
    let leaves = |id: &NodeId| {
        let mut open: Vec<NodeId> = vec![*id];
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            if graph.is_output(at) {
                return true;
            }
            for (reader, _) in graph.readers(at) {
                let view = graph.operator(reader).is_some_and(|op| super::is_view(&op.lower()));
                if view && seen.insert(reader) {
                    open.push(reader);
                } else if !view && !members.contains(&reader) {
                    return true;
                }
            }
        }
        false
    };
    cluster.members.iter().copied().filter(leaves).collect()
}

fn own_place(shape: &[usize]) -> Place {
    Place { offset: 0, strides: contiguous_strides(shape).into_iter().map(signed).collect() }
}

fn place_of(read: &Read) -> Option<&Place> {
    match read {
        Read::Buffer { place, .. }
        | Read::Padded { place, .. }
        | Read::Iota { place }
        | Read::Random { place, .. } => Some(place),
        Read::Host { .. } => None,
    }
}

fn with_place(read: &Read, place: Place) -> Read {
    match read.clone() {
        Read::Buffer { element, .. } => Read::Buffer { element, place },
        Read::Padded { element, inside, value, .. } => Read::Padded { element, place, inside, value },
        Read::Iota { .. } => Read::Iota { place },
        Read::Random { stream, .. } => Read::Random { stream, place },
        Read::Host { slot, element } => Read::Host { slot, element },
    }
}

/// The reads with each place changed by `f`.
fn replaced(reads: &[Read], mut f: impl FnMut(&Place) -> Place) -> Vec<Read> {
    reads
        .iter()
        .map(|read| place_of(read).map_or_else(|| read.clone(), |place| with_place(read, f(place))))
        .collect()
}

/// Extents and accesses coalesced together; padded reads keep every axis.
fn coalesced(space: &[usize], reads: &[Read], writes: &[Write]) -> (Vec<u32>, Vec<Read>, Vec<Write>) {
    if reads.iter().any(|r| matches!(r, Read::Padded { .. })) {
        return (space.iter().map(|&e| word(e)).collect(), reads.to_vec(), writes.to_vec());
    }
    let places: Vec<Place> =
        reads.iter().filter_map(place_of).chain(writes.iter().map(|w| &w.place)).cloned().collect();
    let (extents, places) = coalesce(space, &places);
    let mut places = places.into_iter();
    let mut next = || places.next().expect("each access has a place");
    let reads = replaced(reads, |_| next());
    let writes = writes.iter().map(|w| Write { element: w.element, place: next() }).collect();
    (extents, reads, writes)
}

fn pointwise(reads: &[Read], own: &Place) -> Vec<bool> {
    reads.iter().map(|read| matches!(read, Read::Buffer { place, .. } if place == own)).collect()
}

fn map(
    graph: &Graph,
    cluster: &Cluster,
    layouts: &BTreeMap<NodeId, Layout>,
    hosts: &mut HostTable,
    profile: &Profile,
) -> Work {
    let formulas = Formulas::new(graph, cluster, layouts, hosts, Vec::new(), Vec::new());
    let results = written(graph, cluster);
    let own = own_place(&cluster.space);
    let writes: Vec<Write> =
        results.iter().map(|&id| Write { element: graph.ty(id).element, place: own.clone() }).collect();
    let pointwise = pointwise(&formulas.reads, &own);
    let expr = formulas.expr(&results, 0);
    let (extents, reads, writes) = coalesced(&cluster.space, &formulas.reads, &writes);
    let spec = MapSpec { extents, reads, expr, writes };
    Work { schedule: schedule::map(&spec, profile), reads: formulas.bound, writes: results, pointwise }
}

fn row(
    graph: &Graph,
    cluster: &Cluster,
    layouts: &BTreeMap<NodeId, Layout>,
    hosts: &mut HostTable,
    profile: &Profile,
) -> Work {
    let reductions: Vec<(NodeId, schedule::Reduction)> = cluster
        .members
        .iter()
        .filter_map(|&id| match graph.operator(id).map(|op| op.lower()) {
            Some(Lowering::Reduce { reduction, .. }) => Some((id, reduction)),
            _ => None,
        })
        .collect();
    let after: Vec<NodeId> = reductions.iter().map(|(id, _)| *id).collect();
    let formulas = Formulas::new(graph, cluster, layouts, hosts, Vec::new(), after);
    let results = written(graph, cluster);
    let level = |id: &NodeId| level_of(graph, cluster, *id).expect("a member has a level").level;
    let (rows, elements): (Vec<NodeId>, Vec<NodeId>) = results.iter().partition(|id| level(id) == Level::Row);
    let steps: Vec<RowStep> = reductions
        .iter()
        .enumerate()
        .map(|(k, (id, reduction))| RowStep { reduction: *reduction, expr: formulas.combined(*id, k) })
        .collect();
    let kept_extents = kept(cluster);
    let reduced_extents: Vec<usize> = cluster.reduced().iter().map(|&a| cluster.space[a]).collect();
    let own = own_place(&cluster.space);
    let element_place = Place { offset: 0, strides: kept_first(cluster, &own.strides) };
    let row_place = own_place(&kept_extents);
    let write = |id: &NodeId, place: &Place| Write { element: graph.ty(*id).element, place: place.clone() };
    let row_writes: Vec<Write> = rows.iter().map(|id| write(id, &row_place)).collect();
    let element_writes: Vec<Write> = elements.iter().map(|id| write(id, &element_place)).collect();
    let element_expr = formulas.expr(&elements, steps.len());
    let own_row = |read: &Read| {
        matches!(read, Read::Buffer { place, .. } if place.offset == 0
            && place.strides[..row_place.strides.len()] == row_place.strides
            && place.strides[row_place.strides.len()..].iter().all(|&s| s == 0))
    };
    let pointwise: Vec<bool> = (0..formulas.reads.len())
        .map(|k| {
            own_row(&formulas.reads[k]) && !element_expr.uses(k) && steps.iter().all(|s| !s.expr.uses(k))
        })
        .collect();
    let split = |place: &Place, from: usize, to: usize| Place {
        offset: place.offset,
        strides: place.strides[from..to].to_vec(),
    };
    let (k, all) = (kept_extents.len(), kept_extents.len() + reduced_extents.len());
    let places: Vec<Place> = formulas.reads.iter().filter_map(place_of).cloned().collect();
    let kept_places: Vec<Place> = places
        .iter()
        .map(|p| split(p, 0, k))
        .chain(row_writes.iter().map(|w| w.place.clone()))
        .chain(element_writes.iter().map(|w| split(&w.place, 0, k)))
        .collect();
    let reduced_places: Vec<Place> = places
        .iter()
        .map(|p| split(p, k, all))
        .chain(element_writes.iter().map(|w| split(&w.place, k, all)))
        .collect();
    let (kept_words, kept_places) = coalesce(&kept_extents, &kept_places);
    let (reduced_words, reduced_places) = coalesce(&reduced_extents, &reduced_places);
    let joined = |outer: &Place, inner: &Place| Place {
        offset: outer.offset,
        strides: outer.strides.iter().chain(&inner.strides).copied().collect(),
    };
    let mut at = 0;
    let reads = replaced(&formulas.reads, |_| {
        at += 1;
        joined(&kept_places[at - 1], &reduced_places[at - 1])
    });
    let rows_at = places.len();
    let elements_at = rows_at + row_writes.len();
    let spec = RowSpec {
        kept: kept_words,
        reduced: reduced_words,
        reads,
        row_expr: formulas.expr(&rows, steps.len()),
        element_expr,
        steps,
        row_writes: (0..rows.len())
            .map(|i| Write { element: row_writes[i].element, place: kept_places[rows_at + i].clone() })
            .collect(),
        element_writes: (0..elements.len())
            .map(|i| Write {
                element: element_writes[i].element,
                place: joined(&kept_places[elements_at + i], &reduced_places[places.len() + i]),
            })
            .collect(),
    };
    let schedule = match cluster.anchor {
        Anchor::Row(_) => schedule::row(&spec, profile),
        _ => schedule::column(&spec, profile),
    };
    Work { schedule, reads: formulas.bound, writes: rows.into_iter().chain(elements).collect(), pointwise }
}

fn anchored(
    graph: &Graph,
    cluster: &Cluster,
    anchor: NodeId,
    layouts: &BTreeMap<NodeId, Layout>,
    hosts: &mut HostTable,
    profile: &Profile,
) -> Work {
    let formulas = Formulas::new(graph, cluster, layouts, hosts, vec![anchor], Vec::new());
    let results = written(graph, cluster);
    let fit = |place: &Place| match cluster.anchor {
        Anchor::Contract(id) => contract_place(graph, id, place).expect("the pass `fuse` checked the places"),
        Anchor::Window(id) => planes_place(graph, id, place).expect("the pass `fuse` checked the places"),
        _ => conv_place(graph, anchor, place),
    };
    let own = own_place(&cluster.space);
    let epilogue = Epilogue {
        reads: replaced(&formulas.reads, fit),
        expr: formulas.expr(&results, 0),
        writes: results.iter().map(|&id| Write { element: graph.ty(id).element, place: fit(&own) }).collect(),
    };
    let operands: Vec<Layout> = graph.operands(anchor).iter().map(|v| layouts[v].clone()).collect();
    let mut reads: Vec<Option<NodeId>> = operands.iter().map(|layout| Some(layout.base)).collect();
    let mut at_point = vec![false; reads.len()];
    reads.extend(&formulas.bound);
    at_point.extend(pointwise(&formulas.reads, &own));
    let lowering = graph.operator(anchor).expect("an anchor is computed").lower();
    let schedule = match lowering {
        Lowering::Contract { left, right, result } => {
            let spec = contract(&left, &right, &result, &operands, epilogue);
            schedule::contract(&spec, profile)
        }
        Lowering::Conv { kind, geometry } => {
            let shape = &graph.ty(anchor).shape;
            let spec = conv(kind, &geometry, &operands, shape, epilogue);
            schedule::conv(&spec, profile)
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
            let spec = WindowSpec {
                kind,
                planes: word(input[..outer].iter().product()),
                input: two(&input[outer..], 1),
                kernel: two(&geometry.size, 1),
                output: two(&output[outer..], 1),
                stride: two(&geometry.stride, 1),
                pad: two(&geometry.low, 0),
                dilation: two(&geometry.dilation, 1),
                offsets: operands.iter().map(|layout| layout.offset).collect(),
                epilogue,
            };
            schedule::window(&spec, profile)
        }
        other => unreachable!("{other:?} anchors no kernel"),
    };
    Work { schedule, reads, writes: results, pointwise: at_point }
}

/// One or two numbers as two; a missing first axis is `missing`.
fn two(numbers: &[usize], missing: usize) -> [u32; 2] {
    match numbers {
        [width] => [word(missing), word(*width)],
        [height, width] => [word(*height), word(*width)],
        _ => unreachable!("windows move along one or two axes"),
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
    let matrix = |letters: &[char], layout: &Layout, rows: &[char], columns: &[char]| Matrix {
        element: Element::F32,
        offset: layout.offset,
        batch: stride(letters, layout, &groups.batch),
        row: stride(letters, layout, rows),
        column: stride(letters, layout, columns),
    };
    ContractSpec {
        batch: extent(&groups.batch),
        m: extent(&groups.m),
        n: extent(&groups.n),
        k: extent(&groups.k),
        left: matrix(left, &operands[0], &groups.m, &groups.k),
        right: matrix(right, &operands[1], &groups.k, &groups.n),
        epilogue,
    }
}

fn conv(
    kind: ConvKind,
    geometry: &crate::ops::ConvGeometry,
    operands: &[Layout],
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
        offsets: [operands[0].offset, operands[1].offset],
        epilogue,
    }
}

/// The copies of a concat or pack, one for each operand that is not written in place.
pub(super) fn moves(
    graph: &Graph,
    id: NodeId,
    layouts: &BTreeMap<NodeId, Layout>,
    parts: &BTreeMap<NodeId, (NodeId, usize)>,
    hosts: &mut HostTable,
    profile: &Profile,
) -> Vec<Work> {
    let lowering = graph.operator(id).expect("a move is computed").lower();
    let result = own_place(&graph.ty(id).shape);
    let element = graph.ty(id).element;
    let mut work = Vec::new();
    let mut begin = 0;
    for (slot, operand) in graph.operands(id).into_iter().enumerate() {
        let layout = &layouts[&operand];
        let place = match &lowering {
            Lowering::Concat { axis } => {
                let offset = signed(begin) * result.strides[*axis];
                begin += layout.shape[*axis];
                Place { offset, strides: result.strides.clone() }
            }
            Lowering::Pack { offsets } => {
                if parts.get(&layout.base).is_some_and(|(pack, _)| *pack == id) {
                    continue;
                }
                Place { offset: signed(offsets[slot]), ..own_place(&layout.shape) }
            }
            other => unreachable!("{other:?} is not a move"),
        };
        let (expr, reads, bound) = copied(graph, layout, hosts);
        let (extents, reads, writes) = coalesced(&layout.shape, &reads, &[Write { element, place }]);
        let pointwise = vec![false; reads.len()];
        let spec = MapSpec { extents, reads, expr, writes };
        work.push(Work {
            schedule: schedule::map(&spec, profile),
            reads: bound,
            writes: vec![id],
            pointwise,
        });
    }
    work
}

/// A copy of a layout: its formula, read and bound value.
fn copied(graph: &Graph, layout: &Layout, hosts: &mut HostTable) -> (Expr, Vec<Read>, Vec<Option<NodeId>>) {
    use crate::ir::{Kind, Source};
    let node = graph.node(layout.base);
    let element = node.ty.element;
    let place = layout.over(&layout.shape);
    if is_in_memory(graph, layout.base) {
        let read = Read::Buffer { element, place };
        return (Expr::identity(element.scalar()), vec![read], vec![Some(layout.base)]);
    }
    let read = match &node.kind {
        Kind::Source(Source::Constant(value)) => {
            let expr = Expr::build(&[], |b, _| {
                let real = b.real(*value);
                b.cast(element.scalar(), real)
            });
            return (expr, Vec::new(), Vec::new());
        }
        Kind::Source(Source::Host { expr, symbols }) => {
            Read::Host { slot: hosts.slot(element, expr, symbols), element }
        }
        Kind::Source(Source::Random { stream }) => Read::Random { stream: *stream, place },
        _ => Read::Iota { place },
    };
    (Expr::identity(element.scalar()), vec![read], vec![None])
}
