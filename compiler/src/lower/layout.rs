//! Where the elements of a value lie: views resolved to strides over what is in memory.
//!
//! A reshape, permute, broadcast, slice or stopped gradient computes nothing. Its [`Layout`] says which value in
//! memory its elements are read from, and how. A reshape that no strides can express has a layout of its own:
//! it is copied.

use std::collections::BTreeMap;

use nnc_wgsl::Place;

use crate::ir::{Graph, Kind, NodeId, contiguous_strides};
use crate::ops::Lowering;

/// The elements of one value inside another: element `c` lies at `offset + sum(c[a] * strides[a])`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layout {
    /// The value that holds the elements, contiguous.
    pub base: NodeId,
    /// The element at the origin, in elements.
    pub offset: i64,
    /// The extent of each axis.
    pub shape: Vec<usize>,
    /// What one step along each axis adds, in elements.
    pub strides: Vec<i64>,
}

impl Layout {
    /// The layout of a value that holds its own elements.
    #[must_use]
    pub fn own(base: NodeId, shape: &[usize]) -> Layout {
        let strides = contiguous_strides(shape).into_iter().map(signed).collect();
        Layout { base, offset: 0, shape: shape.to_vec(), strides }
    }

    /// Whether the elements lie one after the other (axes of extent 1 do not matter).
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let own = contiguous_strides(&self.shape);
        (0..self.shape.len()).all(|a| self.shape[a] == 1 || self.strides[a] == signed(own[a]))
    }

    /// The place of the elements over a space whose axes these align with on the right.
    #[must_use]
    pub fn over(&self, space: &[usize]) -> Place {
        let skip = space.len() - self.shape.len();
        let strides = (0..space.len())
            .map(|a| if a < skip || self.shape[a - skip] == 1 { 0 } else { self.strides[a - skip] })
            .collect();
        Place { offset: self.offset, strides }
    }

    /// The same elements in the same order under another shape; `None` where no strides express it.
    #[must_use]
    pub(super) fn reshaped(&self, shape: &[usize]) -> Option<Layout> {
        let mut runs: Vec<(usize, i64)> = Vec::new();
        for (&extent, &stride) in self.shape.iter().zip(&self.strides) {
            if extent == 1 {
                continue;
            }
            match runs.last_mut() {
                Some((length, last)) if *last == stride * signed(extent) => {
                    *length *= extent;
                    *last = stride;
                }
                _ => runs.push((extent, stride)),
            }
        }
        let mut strides = vec![0; shape.len()];
        let mut axis = shape.len();
        for &(length, stride) in runs.iter().rev() {
            let (mut left, mut stride) = (length, stride);
            while left > 1 {
                axis = axis.checked_sub(1)?;
                if !left.is_multiple_of(shape[axis]) {
                    return None;
                }
                strides[axis] = if shape[axis] == 1 { 0 } else { stride };
                stride *= signed(shape[axis]);
                left /= shape[axis];
            }
        }
        Some(Layout { base: self.base, offset: self.offset, shape: shape.to_vec(), strides })
    }
}

/// The layouts of all values of a graph.
#[must_use]
pub fn layouts(graph: &Graph) -> BTreeMap<NodeId, Layout> {
    let mut layouts: BTreeMap<NodeId, Layout> = BTreeMap::new();
    for id in graph.order() {
        settle(graph, id, &mut layouts);
    }
    layouts
}

/// Sets the layout of a value anew from those of its operands; operands without one get theirs first.
pub fn settle(graph: &Graph, id: NodeId, layouts: &mut BTreeMap<NodeId, Layout>) {
    for operand in graph.operands(id) {
        if !layouts.contains_key(&operand) {
            settle(graph, operand, layouts);
        }
    }
    let layout = view_layout(graph, id, layouts).unwrap_or_else(|| Layout::own(id, &graph.ty(id).shape));
    layouts.insert(id, layout);
}

/// Whether the operator only looks at its operand in another way.
#[must_use]
pub fn is_view(lowering: &Lowering) -> bool {
    matches!(
        lowering,
        Lowering::Reshape | Lowering::Permute(_) | Lowering::Broadcast | Lowering::Slice { .. }
    )
}

fn view_layout(graph: &Graph, id: NodeId, layouts: &BTreeMap<NodeId, Layout>) -> Option<Layout> {
    let Kind::Operator(op) = &graph.node(id).kind else { return None };
    is_view(&op.lower()).then(|| view_of(graph, id, &layouts[&graph.operands(id)[0]])).flatten()
}

/// The layout of a view whose operand lies so; `None` where no strides express it.
#[must_use]
pub(super) fn view_of(graph: &Graph, id: NodeId, of: &Layout) -> Option<Layout> {
    let lowering = graph.operator(id)?.lower();
    let shape = graph.ty(id).shape.clone();
    match lowering {
        Lowering::Reshape => of.reshaped(&shape),
        Lowering::Permute(order) => {
            let strides = order.iter().map(|&a| of.strides[a]).collect();
            Some(Layout { base: of.base, offset: of.offset, shape, strides })
        }
        Lowering::Broadcast => {
            let place = of.over(&shape);
            Some(Layout { base: of.base, offset: place.offset, shape, strides: place.strides })
        }
        Lowering::Slice { start, step } => {
            let offset = of.offset + start.iter().zip(&of.strides).map(|(&s, t)| signed(s) * t).sum::<i64>();
            let strides = step.iter().zip(&of.strides).map(|(&s, t)| signed(s) * t).collect();
            Some(Layout { base: of.base, offset, shape, strides })
        }
        _ => None,
    }
}

/// An extent as a stride.
///
/// # Panics
/// If it does not fit: tensors have fewer than 2^63 elements.
#[must_use]
pub(super) fn signed(extent: usize) -> i64 {
    i64::try_from(extent).expect("an extent fits into 63 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::TensorType;
    use crate::ops::{Broadcast, Permute, Reshape, Slice};

    fn layout_of(build: impl FnOnce(&mut Graph, NodeId) -> NodeId) -> (Layout, NodeId, NodeId) {
        let mut graph = Graph::new();
        let x = graph.constant(0.0, TensorType::f32([4, 6]));
        let view = build(&mut graph, x);
        (layouts(&graph)[&view].clone(), x, view)
    }

    #[test]
    fn views_compose() {
        let (layout, x, _) = layout_of(|g, x| {
            let t = g.must(Permute::new(&[1, 0]), &[x]);
            let s = g.must(Slice::new(&[2, 1], &[2, 3], &[2, 1]), &[t]);
            g.must(Broadcast::new(&[5, 2, 3]), &[s])
        });
        assert_eq!((layout.base, layout.offset, layout.strides), (x, 8, vec![0, 2, 6]));
    }

    #[test]
    fn a_reshape_that_strides_express_is_a_view() {
        let (layout, x, _) = layout_of(|g, x| g.must(Reshape::new(&[2, 2, 1, 6]), &[x]));
        assert_eq!((layout.base, layout.strides), (x, vec![12, 6, 0, 1]));
    }

    #[test]
    fn a_reshape_of_a_transpose_is_a_value_of_its_own() {
        let (layout, _, view) = layout_of(|g, x| {
            let t = g.must(Permute::new(&[1, 0]), &[x]);
            g.must(Reshape::new(&[24]), &[t])
        });
        assert_eq!((layout.base, layout.strides), (view, vec![1]));
    }
}
