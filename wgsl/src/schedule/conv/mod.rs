//! Convolutions over up to three axes, and their gradients. Each is a product of matrices one of which is never
//! stored: its elements are looked up in the image, in parts of tiles on a GPU ([`patches`], [`pointwise`])
//! and lane by lane on a software driver ([`streams`], [`runs`]), on the cores of [`mod@super::contract`]. Where each
//! group has one input channel such a product would have one column, and the sums are made directly
//! ([`depthwise`]).

mod depthwise;
mod implicit;
mod patches;
mod pointwise;
mod runs;
mod streams;

use super::finish::{epilogue_space, finish_partials};
use super::space::Space;
use super::{ConvKind, ConvSpec};
use crate::access::Place;
use crate::kernel::{Launch, Schedule};
use crate::profile::Profile;

/// The launches that compute `spec`. Slots are the operands of the kind, then the epilogue's reads.
#[must_use]
pub fn conv(spec: &ConvSpec, profile: &Profile) -> Schedule {
    let geometry = Geometry { spec };
    let space = epilogue_space(&spec.epilogue, &geometry.result(), 2);
    if geometry.is_depthwise() {
        let launch = depthwise::depthwise(&geometry, &space, profile);
        return Schedule { launches: vec![launch], scratch: Vec::new() };
    }
    let (first, partials) = implicit::implicit(&geometry, &space, profile);
    let Some(Parts { count, stride, place }) = partials else {
        return Schedule { launches: vec![first], scratch: Vec::new() };
    };
    let second = finish_partials(&space, &spec.epilogue.expr, place, count, stride, profile);
    Schedule { launches: vec![first, second], scratch: vec![stride as usize * count as usize] }
}

/// The partial results a first launch leaves in scratch buffer 0.
struct Parts {
    count: u32,
    /// From one part to the next, in words.
    stride: u32,
    /// Where a part's element lies over the result's space.
    place: Place,
}

/// What a convolution's launch is, and whether it leaves partial results.
type Build = (Launch, Option<Parts>);

/// Extents derived from a specification.
struct Geometry<'a> {
    spec: &'a ConvSpec,
}

impl Geometry<'_> {
    /// Input channels of a group.
    fn cg(&self) -> u32 {
        self.spec.c / self.spec.groups
    }

    /// Output channels of a group.
    fn og(&self) -> u32 {
        self.spec.o / self.spec.groups
    }

    /// Elements of a window.
    fn window(&self) -> u32 {
        self.spec.kernel.iter().product()
    }

    /// Pixels of an input image.
    fn input(&self) -> u32 {
        self.spec.input.iter().product()
    }

    /// Pixels of an output image.
    fn output(&self) -> u32 {
        self.spec.output.iter().product()
    }

    /// Whether every group has one input channel, of several groups.
    fn is_depthwise(&self) -> bool {
        self.spec.groups > 1 && self.cg() == 1
    }

    /// The extents of the result: without depth unless the convolution is deep.
    fn result(&self) -> Vec<u32> {
        let ConvSpec { n, c, o, input, output, kernel, .. } = *self.spec;
        let (outer, sides) = match self.spec.kind {
            ConvKind::Forward => ([n, o], output),
            ConvKind::InputGradient => ([n, c], input),
            ConvKind::WeightGradient => ([o, self.cg()], kernel),
        };
        let sides = if self.spec.is_deep() { &sides[..] } else { &sides[1..] };
        [&outer, sides].concat()
    }
}

/// The space with the window or image axes merged, where its places allow it.
fn merged(kind: ConvKind, space: &Space) -> Option<Space> {
    match kind {
        ConvKind::Forward | ConvKind::InputGradient => space.merge_from(2),
        ConvKind::WeightGradient => space.merge_from(1),
    }
}
