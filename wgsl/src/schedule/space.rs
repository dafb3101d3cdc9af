//! Iteration spaces: merging axes that every place walks alike, and the coordinates of a flat number.

use std::fmt::Write as _;

use super::origin::Origin;
use super::source::Source;
use crate::access::{Place, Read, Write};
use crate::print::Width;

/// A space with everything that is read and written over it.
#[derive(Clone)]
pub(crate) struct Space {
    pub(crate) extents: Vec<u32>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) writes: Vec<Write>,
}

impl Space {
    /// The same work with neighbouring axes merged where all places allow it, and axes of extent 1 dropped.
    /// Axes are merged within `0..kept` and within `kept..` only; the new `kept` is returned.
    pub(crate) fn coalesce(mut self, kept: usize) -> (Space, usize) {
        let mut kept = kept;
        let mut axis = self.extents.len();
        while axis > 0 {
            axis -= 1;
            if self.extents[axis] == 1 && self.can_drop(axis) {
                self.remove(axis);
                kept -= usize::from(axis < kept);
            }
        }
        let mut axis = self.extents.len().saturating_sub(1);
        while axis > 0 {
            if axis != kept && self.merges(axis) {
                self.merge(axis);
                kept -= usize::from(axis < kept);
            }
            axis -= 1;
        }
        (self, kept)
    }

    /// The same space with the axes from `axis` on merged into one, where all places allow it.
    pub(crate) fn merge_from(&self, axis: usize) -> Option<Space> {
        let mut space = self.clone();
        while space.extents.len() > axis + 1 {
            let last = space.extents.len() - 1;
            if !space.merges(last) {
                return None;
            }
            space.merge(last);
        }
        Some(space)
    }

    /// The number of points.
    pub(crate) fn count(&self) -> u32 {
        self.extents.iter().product()
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.origins.iter().filter_map(Origin::place).chain(self.writes.iter().map(|w| &w.place))
    }

    fn padded(&self) -> impl Iterator<Item = &Vec<(u32, u32)>> {
        self.origins.iter().filter_map(|origin| match origin {
            Origin::Read(Read::Padded { inside, .. }, _) => Some(inside),
            _ => None,
        })
    }

    fn can_drop(&self, axis: usize) -> bool {
        self.padded().all(|inside| inside[axis] == (0, 1))
    }

    /// Whether `axis` continues `axis - 1` in every place, and no tensor ends along it.
    fn merges(&self, axis: usize) -> bool {
        let extent = self.extents[axis];
        self.places().all(|p| p.strides[axis - 1] == p.strides[axis] * i64::from(extent))
            && self.padded().all(|inside| inside[axis] == (0, extent))
    }

    fn merge(&mut self, axis: usize) {
        let extent = self.extents[axis];
        for origin in &mut self.origins {
            if let Origin::Read(Read::Padded { inside, .. }, _) = origin {
                let (low, outer) = inside[axis - 1];
                inside[axis] = (low * extent, outer * extent);
            }
        }
        self.extents[axis] *= self.extents[axis - 1];
        self.remove(axis - 1);
    }

    fn remove(&mut self, axis: usize) {
        self.extents.remove(axis);
        for origin in &mut self.origins {
            if let Some(place) = origin.place_mut() {
                place.strides.remove(axis);
            }
            if let Origin::Read(Read::Padded { inside, .. }, _) = origin {
                inside.remove(axis);
            }
        }
        for write in &mut self.writes {
            write.place.strides.remove(axis);
        }
    }
}

/// Appends the coordinates `{prefix}0..` of point number `flat` to `out`; at `Width::Four` `flat` counts
/// groups of four along the last axis and the last coordinate is the first of the four.
pub(crate) fn coordinates(
    source: &mut Source,
    extents: &[u32],
    flat: &str,
    prefix: &str,
    width: Width,
    out: &mut String,
) -> Vec<String> {
    let last = extents.len().saturating_sub(1);
    let mut rest = flat.to_owned();
    for axis in (0..extents.len()).rev() {
        let wide = axis == last && width == Width::Four;
        let scale = if wide { " * 4u" } else { "" };
        if axis == 0 {
            let _ = writeln!(out, "let {prefix}0 = ({rest}){scale};");
            break;
        }
        let extent = if wide { extents[axis] / 4 } else { extents[axis] };
        let extent = source.param(&format!("{prefix}_extent{axis}"), extent);
        let _ = writeln!(
            out,
            "let {prefix}_rest{axis} = {rest} / {extent};\n\
             let {prefix}{axis} = ({rest} - {prefix}_rest{axis} * {extent}){scale};"
        );
        rest = format!("{prefix}_rest{axis}");
    }
    (0..extents.len()).map(|axis| format!("{prefix}{axis}")).collect()
}
