//! Places as text: which strides are 0 or 1 is written out, the numbers themselves are parameters.

use std::fmt::Write as _;

use super::source::Source;
use crate::access::Place;

/// The text of an affine place: which strides are 0 or 1 is text, the rest parameters.
pub(crate) struct Address {
    offset: String,
    steps: Vec<Step>,
    pub(crate) reach: Reach,
}

enum Step {
    Zero,
    One,
    Param(String),
}

/// How four neighbours along the last axis lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// In one aligned group of four.
    Unit,
    /// In one element.
    Same,
    /// Anywhere.
    Apart,
}

/// How four neighbours along the last axis of the space lie, where the last extent is a multiple of 4.
pub(crate) fn reach(place: &Place) -> Reach {
    match place.strides.split_last() {
        Some((1, outer)) if place.offset % 4 == 0 && outer.iter().all(|s| s % 4 == 0) => Reach::Unit,
        Some((0, _)) | None => Reach::Same,
        Some(_) => Reach::Apart,
    }
}

impl Address {
    pub(crate) fn declare(source: &mut Source, name: &str, place: &Place) -> Address {
        let offset = source.signed(&format!("{name}_offset"), place.offset);
        let steps = place
            .strides
            .iter()
            .enumerate()
            .map(|(axis, &stride)| match stride {
                0 => Step::Zero,
                1 => Step::One,
                _ => Step::Param(source.signed(&format!("{name}_stride{axis}"), stride)),
            })
            .collect();
        Address { offset, steps, reach: reach(place) }
    }

    /// The place at `coords`, as a `u32` modulo 2^32.
    pub(crate) fn at(&self, coords: &[String]) -> String {
        let mut text = self.offset.clone();
        for (step, coord) in self.steps.iter().zip(coords) {
            match step {
                Step::Zero => {}
                Step::One => {
                    let _ = write!(text, " + {coord}");
                }
                Step::Param(stride) => {
                    let _ = write!(text, " + {coord} * {stride}");
                }
            }
        }
        text
    }

    /// The place of neighbour `lane` of four along the last axis.
    pub(crate) fn lane(&self, coords: &[String], lane: usize) -> String {
        let mut coords = coords.to_vec();
        if let Some(last) = coords.last_mut() {
            *last = format!("({last} + {lane}u)");
        }
        self.at(&coords)
    }
}
