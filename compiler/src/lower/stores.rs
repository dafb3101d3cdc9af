//! What a kernel writes: which values, into whose memory, and where.

use nnc_wgsl::{Place, Write};

use super::formula::Piece;
use super::layout::Layout;
use super::member::{Level, level_of, part_offset};
use super::spec::{Given, own_place};
use crate::ir::NodeId;
use crate::passes::Cluster;

/// What a kernel writes: values, the memory they go to, and where in it.
#[derive(Default)]
pub(super) struct Stores {
    pub(super) pieces: Vec<Piece>,
    pub(super) values: Vec<NodeId>,
    pub(super) into: Vec<NodeId>,
    pub(super) writes: Vec<Write>,
}

impl Stores {
    /// The stores of `values` at each of their places, which `over` lays over the kernel's space.
    pub(super) fn new(
        given: Given<'_>,
        values: &[NodeId],
        over: impl Fn(NodeId, &Layout) -> Place,
    ) -> Stores {
        let mut stores = Stores::default();
        for &id in values {
            for layout in given.homes.places(given.graph, id) {
                stores.push(given, (id, 0), layout.base, over(id, &layout));
            }
        }
        stores
    }

    /// The stores of an anchor's kernel; `fit` lays a place over the space of its schedule.
    pub(super) fn anchored(
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
        self.writes.push(Write { element: given.graph.stored_element(into), place });
    }
}

/// The place of an element of a cluster over its space.
pub(super) fn element_place(cluster: &Cluster, id: NodeId, layout: &Layout) -> Place {
    if layout.base == id { own_place(&cluster.space) } else { layout.over(&cluster.space) }
}
