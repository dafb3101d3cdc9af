//! What an operand of a formula is before it has a text: a read of the specification, or partial results of
//! an earlier launch.

use super::Reduction;
use crate::access::{Place, Read};

/// Where an operand of a formula comes from.
#[derive(Clone)]
pub(crate) enum Origin {
    /// A read of the specification, at this place among the slots.
    Read(Read, usize),
    /// Partial results of an earlier launch, to be combined here.
    Partials(Partials),
}

/// `count` partial results for each point, `stride` words apart, in one scratch buffer.
#[derive(Clone)]
pub(crate) struct Partials {
    pub(crate) scratch: usize,
    pub(crate) count: u32,
    pub(crate) stride: u32,
    pub(crate) place: Place,
    pub(crate) reduction: Reduction,
}

impl Origin {
    /// The origin's place in the space, `None` where it does not depend on the point.
    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Origin::Read(
                Read::Buffer { place, .. }
                | Read::Padded { place, .. }
                | Read::Iota { place }
                | Read::Random { place, .. },
                _,
            ) => Some(place),
            Origin::Read(Read::Host { .. }, _) => None,
            Origin::Partials(partials) => Some(&partials.place),
        }
    }

    /// [`Origin::place`], to change it.
    pub(crate) fn place_mut(&mut self) -> Option<&mut Place> {
        match self {
            Origin::Read(
                Read::Buffer { place, .. }
                | Read::Padded { place, .. }
                | Read::Iota { place }
                | Read::Random { place, .. },
                _,
            ) => Some(place),
            Origin::Read(Read::Host { .. }, _) => None,
            Origin::Partials(partials) => Some(&mut partials.place),
        }
    }
}
