//! One dispatch at a time: finding where a non-finite value appears, and comparing kernels with their meaning.

use std::ops::Range;

use nnc_wgsl::{Element, half_value};

use super::error::DeviceError;
use super::supply::Weights;
use super::{Session, check_batch};
use crate::artifact::{Area, Location, Requirement, Role, Written};
use crate::batch::Batch;
use crate::host::{Clock, host_block};

/// The first value of a step that is not finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The dispatch that wrote it, by its place in the program.
    pub dispatch: usize,
    /// What that dispatch computes.
    pub label: String,
    /// Which value.
    pub what: String,
    /// How many of its elements are not finite.
    pub count: usize,
    /// The line of the model it comes from.
    pub origin: Option<Location>,
    /// What the dispatch requires of its operands, which were finite: one of these does not hold.
    pub unmet: Vec<Requirement>,
}

impl Session {
    /// Runs a step dispatch by dispatch and looks at what each writes; the first that is not finite, if any.
    ///
    /// The step has its usual effect on stored tensors.
    ///
    /// # Errors
    /// If the program is not open, the batch is another program's, or the device is lost.
    pub fn trace(&mut self, role: Role, batch: &Batch, clock: &Clock) -> Result<Option<Fault>, DeviceError> {
        self.first(role, batch, clock, |value| !value.is_finite())
    }

    /// The first value of a step with such an element.
    fn first(
        &mut self,
        role: Role,
        batch: &Batch,
        clock: &Clock,
        wrong: fn(f32) -> bool,
    ) -> Result<Option<Fault>, DeviceError> {
        self.prepare(role, batch, clock)?;
        self.forget(role)?;
        for place in 0..self.program(role)?.dispatches.len() {
            self.dispatch(role, place)?;
            let fault = self.written(role, place, wrong)?;
            if fault.is_some() {
                return Ok(fault);
            }
        }
        Ok(None)
    }

    /// The first value that the dispatch has written and that has such an element.
    fn written(
        &self,
        role: Role,
        place: usize,
        wrong: fn(f32) -> bool,
    ) -> Result<Option<Fault>, DeviceError> {
        let dispatch = &self.program(role)?.dispatches[place];
        for Written { area, element, what } in &dispatch.writes {
            let bytes = self.read_area(role, area)?;
            let halves =
                || bytes.as_chunks::<2>().0.iter().map(|half| half_value(u16::from_le_bytes(*half)) as f32);
            let floats = || bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word));
            let count = match element {
                Element::F16 => halves().filter(|value| wrong(*value)).count(),
                _ => floats().filter(|value| wrong(*value)).count(),
            };
            if count > 0 {
                return Ok(Some(Fault {
                    dispatch: place,
                    label: dispatch.label.clone(),
                    what: what.clone(),
                    count,
                    origin: dispatch.origin.clone(),
                    unmet: dispatch.requires.clone(),
                }));
            }
        }
        Ok(None)
    }

    /// What a formula requires that does not hold for this batch. The dispatches up to the last one that requires something
    /// run once more; where nothing is required, none does.
    ///
    /// A value that is not a number need not reach an output: a maximum may drop it. Hence this looks where it is made.
    ///
    /// # Errors
    /// If the program is not open, the batch is another program's, or the device is lost.
    pub fn unmet(&mut self, role: Role, batch: &Batch, clock: &Clock) -> Result<Option<Fault>, DeviceError> {
        let dispatches = (0..).zip(&self.program(role)?.dispatches);
        let requiring: Vec<usize> =
            dispatches.filter(|(_, one)| !one.requires.is_empty()).map(|(place, _)| place).collect();
        if requiring.is_empty() {
            return Ok(None);
        }
        self.prepare(role, batch, clock)?;
        self.forget(role)?;
        let mut begin = 0;
        for place in requiring {
            self.dispatch_all(role, begin..place + 1)?;
            begin = place + 1;
            if self.written(role, place, f32::is_nan)?.is_some() {
                let fault = self.first(role, batch, clock, f32::is_nan)?;
                return Ok(fault.filter(|fault| !fault.unmet.is_empty()));
            }
        }
        Ok(None)
    }

    /// Clears what steps before have left in the arenas: a dispatch that writes a part of a value would show the rest.
    fn forget(&mut self, role: Role) -> Result<(), DeviceError> {
        let program = self.place(role)?;
        self.engine.clear_arenas(program)
    }

    /// Uploads the batch and the host scalars of a step, to be run with [`Session::dispatch`].
    ///
    /// # Errors
    /// If the program is not open, the batch is another program's, or the device is lost.
    pub fn prepare(&mut self, role: Role, batch: &Batch, clock: &Clock) -> Result<(), DeviceError> {
        while self.collect()?.is_some() {}
        self.settled = None;
        let place = self.place(role)?;
        let program = &self.programs[place].program;
        check_batch(program, batch)?;
        let host = host_block(&program.scalars, clock);
        self.engine.prepare(place, &host, batch.bytes())
    }

    /// Runs dispatch number `place` of the program and waits.
    ///
    /// # Errors
    /// If there is no such dispatch, or the device is lost.
    pub fn dispatch(&mut self, role: Role, place: usize) -> Result<(), DeviceError> {
        if place >= self.program(role)?.dispatches.len() {
            return Err(DeviceError::Unknown { kind: "dispatch", name: place.to_string() });
        }
        self.dispatch_all(role, place..place + 1)
    }

    fn dispatch_all(&mut self, role: Role, places: Range<usize>) -> Result<(), DeviceError> {
        self.settled = None;
        let program = self.place(role)?;
        let weights = Weights { tensors: &self.tensors, supply: &self.supply };
        self.engine.dispatch(program, places, weights)
    }

    /// Runs the copies that follow the last dispatch of the program, and waits.
    ///
    /// # Errors
    /// If the program is not open, or the device is lost.
    pub fn copies(&mut self, role: Role) -> Result<(), DeviceError> {
        let program = self.place(role)?;
        self.engine.copies(program)
    }

    /// The bytes of an area of the program, as they are now.
    ///
    /// # Errors
    /// If the program is not open, or the device is lost.
    ///
    /// # Panics
    /// If the area does not lie inside its buffer.
    pub fn read_area(&self, role: Role, area: &Area) -> Result<Vec<u8>, DeviceError> {
        self.engine.read_area(self.place(role)?, area)
    }

    /// Replaces the bytes of an area of the program.
    ///
    /// # Errors
    /// If `bytes` has another length, the program is not open, or the device is lost.
    pub fn write_area(&mut self, role: Role, area: &Area, bytes: &[u8]) -> Result<(), DeviceError> {
        let (expected, found) = (area.bytes, bytes.len() as u64);
        if expected != found {
            return Err(DeviceError::Size { name: format!("{area:?}"), expected, found });
        }
        let program = self.place(role)?;
        self.engine.write_area(program, area, bytes)
    }
}
