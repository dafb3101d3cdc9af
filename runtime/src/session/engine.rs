//! What a device does for a session: memory, and the dispatches of programs. What tensors and batches mean is the
//! session's.

use std::ops::Range;

use nnc_wgsl::HOST_SLOTS;

use super::error::DeviceError;
use super::supply::Weights;
use crate::artifact::Area;

/// What a step is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    /// The host scalars.
    pub(crate) host: &'a [u32; HOST_SLOTS],
    /// `None` for that of the step before.
    pub(crate) input: Option<&'a [u8]>,
    /// The first dispatch that runs.
    pub(crate) first: usize,
}

/// The opened programs of an artifact on a device. Programs are named by their place, regions by theirs in the artifact.
pub(crate) trait Engine: std::fmt::Debug + Send {
    /// How many regions there are.
    fn regions(&self) -> usize;

    /// The size of a region in bytes, `None` where its tensors come when a program loads them.
    fn region(&self, region: usize) -> Option<u64>;

    /// Fills a region with zeros.
    fn clear_region(&mut self, region: usize) -> Result<(), DeviceError>;

    /// Replaces a part of a region, from `offset` on.
    fn write_region(&mut self, region: usize, offset: u64, bytes: &[u8]) -> Result<(), DeviceError>;

    /// A region as it is after all steps.
    fn read_region(&self, region: usize) -> Result<Vec<u8>, DeviceError>;

    /// Waits until all that was asked for is done.
    fn wait(&self) -> Result<(), DeviceError>;

    /// Begins a step; at most `Session::DEPTH` are begun.
    fn submit(&mut self, program: usize, given: Given<'_>, weights: Weights<'_>) -> Result<(), DeviceError>;

    /// The output of the oldest step that was begun, when it is done.
    fn collect(&mut self) -> Result<Vec<u8>, DeviceError>;

    /// Uploads host scalars and input, for dispatches one by one.
    fn prepare(&mut self, program: usize, host: &[u32; HOST_SLOTS], input: &[u8]) -> Result<(), DeviceError>;

    /// Runs some of the dispatches with the loads that come before them, and waits.
    fn dispatch(
        &mut self,
        program: usize,
        dispatches: Range<usize>,
        weights: Weights<'_>,
    ) -> Result<(), DeviceError>;

    /// Runs the copies after the last dispatch, and waits.
    fn copies(&mut self, program: usize) -> Result<(), DeviceError>;

    /// Fills the arenas of a program with zeros.
    fn clear_arenas(&mut self, program: usize) -> Result<(), DeviceError>;

    /// The bytes of an area.
    fn read_area(&self, program: usize, area: &Area) -> Result<Vec<u8>, DeviceError>;

    /// Replaces the bytes of an area.
    fn write_area(&mut self, program: usize, area: &Area, bytes: &[u8]) -> Result<(), DeviceError>;

    /// The shortest time of each dispatch of so many runs, in nanoseconds; `None` where there is no clock.
    fn time_dispatches(&mut self, program: usize, times: usize) -> Result<Option<Vec<f64>>, DeviceError>;

    /// What it has allocated, in bytes.
    fn allocated_bytes(&self) -> u64;
}
