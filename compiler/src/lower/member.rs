//! The values of a cluster by level: one an element of the space, or one a row.

use nnc_wgsl::Place;

use super::groups::{collapse, contract_groups};
use super::layout::Layout;
use crate::ir::{Graph, Kind, NodeId, Source, contiguous_strides};
use crate::ops::Lowering;
use crate::passes::{Anchor, Cluster};

/// How many values a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// One for each point of the space and each part of a product's columns.
    Whole,
    /// One for each point of the space.
    Element,
    /// One for each point of the kept axes.
    Row,
}

/// A member's level, and that at which it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The level of its value.
    pub level: Level,
    /// The level at which it reads its operands: a reduction reads elements.
    pub reads: Level,
}

/// The level of a member, if its shape has one in this cluster.
#[must_use]
pub fn level_of(graph: &Graph, cluster: &Cluster, id: NodeId) -> Option<Member> {
    let shape = &graph.ty(id).shape;
    let lowering = graph.operator(id)?.lower();
    if matches!(lowering, Lowering::Contract { .. }) && matches!(cluster.anchor, Anchor::ProductRow(_)) {
        let opens = !graph.operands(id).iter().any(|operand| cluster.members.contains(operand));
        return opens.then_some(Member { level: Level::Element, reads: Level::Element });
    }
    if let Lowering::Reduce { axes, .. } = lowering {
        let fits = axes == cluster.reduced() && graph.ty(graph.operands(id)[0]).shape == cluster.space;
        return fits.then_some(Member { level: Level::Row, reads: Level::Element });
    }
    if *shape == cluster.space {
        return Some(Member { level: Level::Element, reads: Level::Element });
    }
    if cluster.parts() > 1 && *shape == cluster.whole_space() {
        return Some(Member { level: Level::Whole, reads: Level::Whole });
    }
    let row = !cluster.reduced().is_empty()
        && !matches!(lowering, Lowering::Pad { .. })
        && (*shape == kept(cluster) || *shape == with_ones(cluster));
    row.then_some(Member { level: Level::Row, reads: Level::Row })
}

/// The extents of the axes that are not reduced.
#[must_use]
pub fn kept(cluster: &Cluster) -> Vec<usize> {
    let axes = 0..cluster.space.len();
    axes.filter(|a| !cluster.reduced().contains(a)).map(|a| cluster.space[a]).collect()
}

/// The space with 1 for every reduced axis.
#[must_use]
pub(super) fn with_ones(cluster: &Cluster) -> Vec<usize> {
    let axes = 0..cluster.space.len();
    axes.map(|a| if cluster.reduced().contains(&a) { 1 } else { cluster.space[a] }).collect()
}

/// Where a member of this shape reads an operand: over the space for elements, over the kept axes for rows.
#[must_use]
pub fn member_place(cluster: &Cluster, member: Member, shape: &[usize], layout: &Layout) -> Place {
    match member.reads {
        Level::Element => layout.over(&cluster.space),
        Level::Whole => layout.over(&cluster.whole_space()),
        Level::Row => {
            if shape.len() == cluster.space.len() && *shape == with_ones(cluster) {
                let full = layout.over(shape);
                let strides = (0..shape.len())
                    .filter(|a| !cluster.reduced().contains(a))
                    .map(|a| full.strides[a])
                    .collect();
                return Place { offset: full.offset, strides };
            }
            layout.over(&kept(cluster))
        }
    }
}

/// From the first part of a product's columns to another one, at a place over the space of the columns.
#[must_use]
pub fn part_offset(cluster: &Cluster, part: usize, place: &Place) -> i64 {
    let (columns, stride) = (cluster.space.last(), place.strides.last());
    let (columns, stride) = (columns.copied().unwrap_or(0), stride.copied().unwrap_or(0));
    super::layout::signed(part * columns) * stride
}

/// The part of a product's columns that an element reads of a whole value, if it is at its own point there.
#[must_use]
pub(super) fn part_at(cluster: &Cluster, place: &Place) -> Option<usize> {
    let own: Vec<i64> =
        contiguous_strides(&cluster.whole_space()).into_iter().map(super::layout::signed).collect();
    let mut axes = (0..own.len()).filter(|&axis| cluster.space[axis] != 1);
    let columns = super::layout::signed(*cluster.space.last()?);
    let part = usize::try_from(place.offset / columns).ok()?;
    let fits = place.offset % columns == 0 && part < cluster.parts();
    (fits && axes.all(|axis| place.strides[axis] == own[axis])).then_some(part)
}

/// Whether a read of a member's value by another is at the reader's own point. `place` is that of the read, over
/// the space or the kept axes according to the reader.
#[must_use]
pub fn at_own_point(cluster: &Cluster, reader: Member, written: Level, place: &Place) -> bool {
    match (reader.reads, written) {
        (Level::Element, Level::Whole) => return part_at(cluster, place).is_some(),
        (Level::Whole, Level::Whole) => {
            let whole = cluster.whole_space();
            let own = contiguous_strides(&whole);
            let same =
                |axis: usize| whole[axis] == 1 || place.strides[axis] == super::layout::signed(own[axis]);
            return place.offset == 0 && (0..whole.len()).all(same);
        }
        (Level::Whole, _) | (_, Level::Whole) => return false,
        _ => {}
    }
    if place.offset != 0 {
        return false;
    }
    let rows = kept(cluster);
    let row_strides = contiguous_strides(&rows);
    let matches = |extents: &[usize], own: &[usize]| {
        (0..extents.len()).all(|a| extents[a] == 1 || place.strides[a] == super::layout::signed(own[a]))
    };
    match (reader.reads, written) {
        (Level::Element, Level::Element) => matches(&cluster.space, &contiguous_strides(&cluster.space)),
        (Level::Row, Level::Row) => matches(&rows, &row_strides),
        (Level::Row, Level::Element) | (Level::Whole, _) | (_, Level::Whole) => false,
        (Level::Element, Level::Row) => {
            let mut own = Vec::with_capacity(cluster.space.len());
            let mut row_axis = 0;
            for axis in 0..cluster.space.len() {
                if cluster.reduced().contains(&axis) {
                    own.push(0);
                } else {
                    own.push(row_strides[row_axis]);
                    row_axis += 1;
                }
            }
            matches(&cluster.space, &own)
        }
    }
}

/// Whether the schedule of the cluster's anchor can read at this place of the space.
#[must_use]
pub fn fits_anchor(graph: &Graph, cluster: &Cluster, place: &Place) -> bool {
    match &cluster.anchor {
        Anchor::Contract(id) | Anchor::Parts(id, _) => contract_place(graph, *id, place).is_some(),
        Anchor::Window(id) => planes_place(graph, *id, place).is_some(),
        Anchor::Map
        | Anchor::Row(_)
        | Anchor::ProductRow(_)
        | Anchor::Column(_)
        | Anchor::Conv(_)
        | Anchor::Lines(_)
        | Anchor::Move(_) => true,
    }
}

/// A place over the result of a product as one over `[batch, m, n]`.
#[must_use]
pub(super) fn contract_place(graph: &Graph, id: NodeId, place: &Place) -> Option<Place> {
    let Lowering::Contract { left, right, result } = graph.operator(id)?.lower() else { return None };
    let groups = contract_groups(&left, &right, &result);
    let shape = &graph.ty(id).shape;
    let mut strides = Vec::with_capacity(3);
    for group in [&groups.batch, &groups.m, &groups.n] {
        let axes: Vec<(usize, i64)> = (0..result.len())
            .filter(|&a| group.contains(&result[a]))
            .map(|a| (shape[a], place.strides[a]))
            .collect();
        strides.push(collapse(&axes)?);
    }
    Some(Place { offset: place.offset, strides })
}

/// A place over the result of a pooling as one over `[n, c, h, w]`.
#[must_use]
pub(super) fn planes_place(graph: &Graph, id: NodeId, place: &Place) -> Option<Place> {
    let Lowering::Window { geometry, .. } = graph.operator(id)?.lower() else { return None };
    let shape = &graph.ty(id).shape;
    let outer = shape.len() - geometry.size.len();
    let axes: Vec<(usize, i64)> = (1..outer).map(|a| (shape[a], place.strides[a])).collect();
    let mut strides = vec![place.strides[..outer].first().copied().unwrap_or(0), collapse(&axes)?];
    strides.extend(two_axes(&place.strides[outer..]));
    Some(Place { offset: place.offset, strides })
}

/// A place over the result of a convolution as one over at least four axes; rows that a line has not follow each
/// other as its elements do.
#[must_use]
pub(super) fn conv_place(graph: &Graph, id: NodeId, place: &Place) -> Place {
    let mut strides = place.strides.clone();
    if let ([_, _, stride], [_, _, width]) = (place.strides.as_slice(), graph.ty(id).shape.as_slice()) {
        strides.insert(2, stride * super::layout::signed(*width));
    }
    Place { offset: place.offset, strides }
}

/// One or two numbers as two, the first standing for an axis of extent 1.
fn two_axes(strides: &[i64]) -> [i64; 2] {
    match strides {
        [width] => [0, *width],
        [height, width] => [*height, *width],
        _ => unreachable!("windows move along one or two axes"),
    }
}

/// Whether the value is read from memory, not computed where it is read.
#[must_use]
pub fn is_in_memory(graph: &Graph, id: NodeId) -> bool {
    match &graph.node(id).kind {
        Kind::Source(source) => {
            matches!(source, Source::Input { .. } | Source::Stored(_) | Source::Region(_))
        }
        Kind::Operator(op) => !matches!(op.lower(), Lowering::Iota { .. }),
    }
}
