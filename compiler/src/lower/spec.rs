//! The specification of each cluster for its schedule.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::schedule::{
    self, ContractSpec, ConvKind, ConvSpec, LineKind, LineSpec, MapSpec, Matrix, RowSpec, RowStep, WindowSpec,
};
use nnc_wgsl::{Element, Epilogue, Place, Profile, Read, Write};

use super::Work;
use super::coalesce::{coalesce, word};
use super::formula::{Formulas, Piece, kept_first};
use super::groups::contract_groups;
use super::homes::Homes;
use super::hosts::HostTable;
use super::layout::{Layout, signed};
use super::member::{
    Level, Member, contract_place, conv_place, kept, level_of, member_place, part_offset, planes_place,
};
use super::product_row;
use crate::ir::{Graph, NodeId, contiguous_strides};
use crate::ops::Lowering;
use crate::passes::{Anchor, Cluster};

/// The graph of a program, and where its values lie.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) graph: &'a Graph,
    /// The layouts of views over the values that they look at.
    pub(super) layouts: &'a BTreeMap<NodeId, Layout>,
    pub(super) homes: &'a Homes,
}

/// The kernel of a cluster that is not a move.
pub(super) fn kernel(given: Given<'_>, cluster: &Cluster, hosts: &mut HostTable, profile: &Profile) -> Work {
    match &cluster.anchor {
        Anchor::Map => map(given, cluster, hosts, profile),
        Anchor::Row(_) | Anchor::Column(_) => row(given, cluster, hosts, profile),
        Anchor::ProductRow(_) => product_row::work(given, cluster, hosts, profile),
        Anchor::Contract(id)
        | Anchor::Parts(id, _)
        | Anchor::Conv(id)
        | Anchor::Window(id)
        | Anchor::Lines(id) => anchored(given, cluster, *id, hosts, profile),
        Anchor::Move(_) => unreachable!("moves are lowered operand by operand"),
    }
}

/// The members that leave the cluster, in order.
pub(super) fn written(graph: &Graph, cluster: &Cluster) -> Vec<NodeId> {
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

/// What a kernel writes: values, the memory they go to, and where in it.
#[derive(Default)]
struct Stores {
    pieces: Vec<Piece>,
    values: Vec<NodeId>,
    into: Vec<NodeId>,
    writes: Vec<Write>,
}

impl Stores {
    /// The stores of `values` at each of their places, which `over` lays over the kernel's space.
    fn new(given: Given<'_>, values: &[NodeId], over: impl Fn(NodeId, &Layout) -> Place) -> Stores {
        let mut stores = Stores::default();
        for &id in values {
            for layout in given.homes.places(given.graph, id) {
                stores.push(given, (id, 0), layout.base, over(id, &layout));
            }
        }
        stores
    }

    /// The stores of an anchor's kernel; `fit` lays a place over the space of its schedule.
    fn anchored(
        given: Given<'_>,
        cluster: &Cluster,
        values: &[NodeId],
        fit: impl Fn(&Place) -> Place,
    ) -> Stores {
        let mut stores = Stores::default();
        for &id in values {
            let whole = level_of(given.graph, cluster, id).is_some_and(|member| member.level == Level::Whole);
            for layout in given.homes.places(given.graph, id) {
                if !whole {
                    stores.push(given, (id, 0), layout.base, fit(&element_place(cluster, id, &layout)));
                    continue;
                }
                let place = layout.over(&cluster.whole_space());
                for part in 0..cluster.parts() {
                    let offset = place.offset + part_offset(cluster, part, &place);
                    let place = Place { offset, strides: place.strides.clone() };
                    stores.push(given, (id, part), layout.base, fit(&place));
                }
            }
        }
        stores
    }

    fn push(&mut self, given: Given<'_>, piece: Piece, into: NodeId, place: Place) {
        self.pieces.push(piece);
        self.values.push(piece.0);
        self.into.push(into);
        self.writes.push(Write { element: given.graph.ty(piece.0).element, place });
    }
}

/// The place of an element of a cluster over its space.
fn element_place(cluster: &Cluster, id: NodeId, layout: &Layout) -> Place {
    if layout.base == id { own_place(&cluster.space) } else { layout.over(&cluster.space) }
}

pub(super) fn own_place(shape: &[usize]) -> Place {
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
pub(super) fn coalesced(
    space: &[usize],
    reads: &[Read],
    writes: &[Write],
) -> (Vec<u32>, Vec<Read>, Vec<Write>) {
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

fn map(given: Given<'_>, cluster: &Cluster, hosts: &mut HostTable, profile: &Profile) -> Work {
    let formulas = Formulas::new(given, cluster, hosts, Vec::new(), Vec::new());
    let results = written(given.graph, cluster);
    let stores = Stores::new(given, &results, |id, layout| element_place(cluster, id, layout));
    let pointwise = pointwise(&formulas.reads, &own_place(&cluster.space));
    let expr = formulas.expr(&stores.pieces, 0);
    let (extents, reads, writes) = coalesced(&cluster.space, &formulas.reads, &stores.writes);
    let spec = MapSpec { extents, reads, expr, writes };
    let schedule = schedule::map(&spec, profile);
    Work { schedule, reads: formulas.bound, writes: stores.values, into: stores.into, pointwise }
}

fn row(given: Given<'_>, cluster: &Cluster, hosts: &mut HostTable, profile: &Profile) -> Work {
    let graph = given.graph;
    let reductions: Vec<(NodeId, schedule::Reduction)> = cluster
        .members
        .iter()
        .filter_map(|&id| match graph.operator(id).map(|op| op.lower()) {
            Some(Lowering::Reduce { reduction, .. }) => Some((id, reduction)),
            _ => None,
        })
        .collect();
    let after: Vec<NodeId> = reductions.iter().map(|(id, _)| *id).collect();
    let formulas = Formulas::new(given, cluster, hosts, Vec::new(), after);
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
    let row_place = own_place(&kept_extents);
    let rows = Stores::new(given, &rows, |id, layout| match layout.base == id {
        true => row_place.clone(),
        false => {
            let member = Member { level: Level::Row, reads: Level::Row };
            member_place(cluster, member, &graph.ty(id).shape, layout)
        }
    });
    let elements = Stores::new(given, &elements, |id, layout| {
        let place = element_place(cluster, id, layout);
        Place { offset: place.offset, strides: kept_first(cluster, &place.strides) }
    });
    let (row_writes, element_writes) = (&rows.writes, &elements.writes);
    let element_expr = formulas.expr(&elements.pieces, steps.len());
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
        row_expr: formulas.expr(&rows.pieces, steps.len()),
        element_expr,
        steps,
        row_writes: (0..row_writes.len())
            .map(|i| Write { element: row_writes[i].element, place: kept_places[rows_at + i].clone() })
            .collect(),
        element_writes: (0..element_writes.len())
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
    Work {
        schedule,
        reads: formulas.bound,
        writes: [rows.values, elements.values].concat(),
        into: [rows.into, elements.into].concat(),
        pointwise,
    }
}

fn anchored(
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
    let mut reads: Vec<Option<NodeId>> =
        graph.operands(anchor).iter().map(|v| Some(given.layouts[v].base)).collect();
    let mut at_point = vec![false; reads.len()];
    reads.extend(&formulas.bound);
    at_point.extend(pointwise(&formulas.reads, &own_place(&cluster.space)));
    let lowering = graph.operator(anchor).expect("an anchor is computed").lower();
    let schedule = match lowering {
        Lowering::Contract { left, right, result } => {
            let spec = contract(&left, &right, &result, &operands, cluster.parts(), epilogue);
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
        Lowering::Lines { kind, axis } => {
            let elements = graph.operands(anchor).iter().map(|v| graph.ty(*v).element).collect();
            let spec = lines(kind, axis, elements, &operands, &cluster.space, epilogue);
            schedule::lines(&spec, profile)
        }
        other => unreachable!("{other:?} anchors no kernel"),
    };
    Work { schedule, reads, writes: stores.values, into: stores.into, pointwise: at_point }
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
        n: extent(&groups.n) / word(parts),
        parts: word(parts),
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
