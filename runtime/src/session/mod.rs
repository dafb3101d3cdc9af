//! A network on a device: its persistent memory and the programs that use it.
//!
//! Everything is allocated and recorded when the session is opened. A step is one submission: upload, all
//! dispatches, copies, readback. [`DEPTH`](Session::DEPTH) steps can be in flight; results come in order.

mod device;
mod engine;
mod error;
mod outputs;
mod supply;
mod trace;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub use self::device::{Device, DeviceSummary, Taken, devices};
pub(crate) use self::engine::{Engine, Given};
pub use self::error::{DeviceError, place};
pub use self::outputs::{Outputs, Ticket};
use self::supply::Supply;
pub(crate) use self::supply::{Weights, size};
pub use self::trace::Fault;
use crate::artifact::{Artifact, Init, Port, Program, Role, Stored, StoredKind, average_of, averaged};
use crate::batch::Batch;
use crate::format::FormatError;
use crate::host::{Clock, host_block};
use crate::init::first_value;
use crate::tensor::Tensor;
use crate::weight_source::WeightSource;

/// Steps that can be in flight.
pub(crate) const DEPTH: usize = 2;

/// A network on a device.
#[derive(Debug)]
pub struct Session {
    device: Device,
    tensors: Vec<Stored>,
    places: HashMap<String, usize>,
    supply: Supply,
    programs: Vec<Opened>,
    engine: Box<dyn Engine>,
    /// The program whose settled values are in the memory that programs share, computed of the tensors as they are.
    settled: Option<usize>,
    /// The steps in flight: which program each is of.
    in_flight: VecDeque<(Ticket, usize)>,
    submitted: u64,
}

/// An opened program.
#[derive(Debug)]
struct Opened {
    program: Arc<Program>,
    outputs: Arc<[Port]>,
}

/// A session could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The artifact's parts do not fit together.
    #[error(transparent)]
    Artifact(#[from] FormatError),
    /// The device does not take it.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl Session {
    /// How many steps can be in flight.
    pub const DEPTH: usize = DEPTH;

    /// Opens all programs of the artifact; tensors hold zeros until [`Session::initialize`].
    ///
    /// # Errors
    /// If the artifact is inconsistent, or the device lacks memory or limits for it.
    pub fn open(artifact: &Artifact, device: &Device) -> Result<Session, OpenError> {
        let roles: Vec<Role> = artifact.programs.iter().map(|p| p.role).collect();
        Session::open_roles(artifact, device, &roles)
    }

    /// Opens the programs of these roles alone: fewer kernels to compile, and less memory.
    ///
    /// # Errors
    /// As [`Session::open`], and if the artifact has no program of one of the roles.
    pub fn open_roles(artifact: &Artifact, device: &Device, roles: &[Role]) -> Result<Session, OpenError> {
        artifact.validate().map_err(FormatError::from)?;
        let programs = roles
            .iter()
            .map(|role| artifact.program(*role).ok_or_else(|| no_program(*role)))
            .collect::<Result<Vec<&Program>, _>>()?;
        let programs: Vec<Opened> = programs
            .into_iter()
            .map(|program| Opened {
                program: Arc::new(program.clone()),
                outputs: program.outputs.clone().into(),
            })
            .collect();
        let opened: Vec<Arc<Program>> = programs.iter().map(|opened| Arc::clone(&opened.program)).collect();
        Ok(Session {
            engine: device.engine(artifact, &opened)?,
            device: device.clone(),
            places: artifact.tensors.iter().enumerate().map(|(i, t)| (t.path.clone(), i)).collect(),
            tensors: artifact.tensors.clone(),
            supply: Supply::new(artifact),
            programs,
            settled: None,
            in_flight: VecDeque::with_capacity(DEPTH),
            submitted: 0,
        })
    }

    /// Gives every stored tensor its first value for this seed; memory that belongs to none is cleared, and the
    /// results of steps in flight are dropped.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn initialize(&mut self, seed: u64) -> Result<(), DeviceError> {
        while self.collect()?.is_some() {}
        self.settled = None;
        self.supply.begin(seed);
        for region in 0..self.engine.regions() {
            let Some(size) = self.engine.region(region) else { continue };
            let tensors = || self.tensors.iter().filter(|t| t.region == region);
            if tensors().all(|t| t.init == Init::Constant(0.0)) {
                self.engine.clear_region(region)?;
                continue;
            }
            let mut bytes = vec![0; size as usize];
            for tensor in tensors() {
                let value = first_value(self.begins_as(tensor), seed, self.supply.given());
                let start = tensor.offset as usize;
                bytes[start..start + value.len()].copy_from_slice(&value);
            }
            self.engine.write_region(region, 0, &bytes)?;
        }
        self.engine.wait()
    }

    /// The device it is on.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All stored tensors.
    #[must_use]
    pub fn tensors(&self) -> &[Stored] {
        &self.tensors
    }

    /// The program of this role.
    ///
    /// # Errors
    /// If it was not opened.
    pub fn program(&self, role: Role) -> Result<&Program, DeviceError> {
        Ok(&self.programs[self.place(role)?].program)
    }

    /// The tensors that `wanted` holds for, as they are after all submitted steps.
    ///
    /// # Errors
    /// If the device is lost, or a tensor lies in a file that cannot be read.
    pub fn read_tensors(&self, wanted: impl Fn(&Stored) -> bool) -> Result<Vec<Tensor>, DeviceError> {
        let mut regions: HashMap<usize, Vec<u8>> = HashMap::new();
        let mut tensors = Vec::new();
        for stored in self.tensors.iter().filter(|t| wanted(t)) {
            let count: usize = stored.shape.iter().product();
            let length = stored.element.bytes(count);
            if self.engine.region(stored.region).is_none() {
                tensors.push(Tensor {
                    path: stored.path.clone(),
                    element: stored.element,
                    shape: stored.shape.clone(),
                    bytes: self.supply.read(&self.tensors, stored)?,
                });
                continue;
            }
            let region = match regions.entry(stored.region) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(self.engine.read_region(stored.region)?),
            };
            let start = stored.offset as usize;
            tensors.push(Tensor {
                path: stored.path.clone(),
                element: stored.element,
                shape: stored.shape.clone(),
                bytes: region[start..start + length].to_vec(),
            });
        }
        Ok(tensors)
    }

    /// The tensor whose first value is that of `tensor`: a moving average begins as its weight.
    fn begins_as<'a>(&'a self, tensor: &'a Stored) -> &'a Stored {
        let weight = averaged(&tensor.path).filter(|_| tensor.kind == StoredKind::Average);
        weight.and_then(|path| self.places.get(path)).map_or(tensor, |place| &self.tensors[*place])
    }

    /// Replaces tensors, by their paths. The moving average of a weight that is among them begins anew there, unless it
    /// is among them too.
    ///
    /// # Errors
    /// If there is no such tensor, or it has another size; then nothing is replaced.
    pub fn write_tensors(&mut self, tensors: &[Tensor]) -> Result<(), DeviceError> {
        let mut writes = Vec::new();
        for tensor in tensors {
            let place = self.places.get(&tensor.path);
            let unknown = || DeviceError::Unknown { kind: "tensor", name: tensor.path.clone() };
            let stored = &self.tensors[*place.ok_or_else(unknown)?];
            let expected = stored.element.bytes(stored.shape.iter().product()) as u64;
            let found = tensor.bytes.len() as u64;
            if expected != found {
                return Err(DeviceError::Size { name: tensor.path.clone(), expected, found });
            }
            writes.push((stored, &tensor.bytes));
            let average = average_of(&tensor.path);
            if let Some(place) = self.places.get(&average)
                && tensors.iter().all(|other| other.path != average)
            {
                writes.push((&self.tensors[*place], &tensor.bytes));
            }
        }
        self.settled = None;
        for (stored, bytes) in writes {
            match self.engine.region(stored.region) {
                Some(_) if !bytes.is_empty() => {
                    self.engine.write_region(stored.region, stored.offset, bytes)?;
                }
                Some(_) => {}
                None => self.supply.hold(&stored.path, bytes),
            }
        }
        self.engine.wait()
    }

    /// Takes the tensors that the source has: those on the device now, one after another, and the others whenever a
    /// program loads them, for as long as nothing else is written or [`Session::initialize`] is called. A moving average
    /// that it has not begins as its weight.
    ///
    /// # Errors
    /// If a tensor cannot be read, or the device is lost.
    pub fn take_weights(&mut self, source: Box<dyn WeightSource>) -> Result<(), DeviceError> {
        for place in 0..self.tensors.len() {
            let stored = &self.tensors[place];
            let length = stored.element.bytes(stored.shape.iter().product());
            if !source.has(&stored.path) || self.engine.region(stored.region).is_none() || length == 0 {
                continue;
            }
            let (path, element, shape) = (stored.path.clone(), stored.element, stored.shape.clone());
            let mut bytes = vec![0; length];
            source.read(&path, 0, &mut bytes)?;
            self.write_tensors(&[Tensor { path, element, shape, bytes }])?;
        }
        self.settled = None;
        self.supply.take(source);
        Ok(())
    }

    /// Submits a step and returns at once; a program that loads weights when all of them are on their way.
    ///
    /// # Errors
    /// If [`DEPTH`](Session::DEPTH) steps are in flight already, the batch is another program's, a weight cannot be
    /// loaded, or the device is lost.
    pub fn submit(&mut self, role: Role, batch: &Batch, clock: &Clock) -> Result<Ticket, DeviceError> {
        check_batch(self.program(role)?, batch)?;
        self.enqueue(role, Some(batch.bytes()), clock)
    }

    /// Submits a step with the input that is on the device from the step of this role before.
    ///
    /// # Errors
    /// As [`Session::submit`].
    pub fn submit_again(&mut self, role: Role, clock: &Clock) -> Result<Ticket, DeviceError> {
        self.enqueue(role, None, clock)
    }

    /// Waits for the oldest step in flight; `None` if there is none.
    ///
    /// # Errors
    /// If the device is lost or refused a command.
    pub fn collect(&mut self) -> Result<Option<Outputs>, DeviceError> {
        let Some((ticket, program)) = self.in_flight.pop_front() else { return Ok(None) };
        let bytes = self.engine.collect()?;
        Ok(Some(Outputs { ticket, ports: Arc::clone(&self.programs[program].outputs), bytes }))
    }

    /// How many steps are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Runs one step and waits for its outputs; the results of steps in flight before it are dropped.
    ///
    /// # Errors
    /// As [`Session::submit`] and [`Session::collect`].
    pub fn run(&mut self, role: Role, batch: &Batch, clock: &Clock) -> Result<Outputs, DeviceError> {
        while self.collect()?.is_some() {}
        self.submit(role, batch, clock)?;
        Ok(self.collect()?.expect("a step was just submitted"))
    }

    /// What the session has allocated on the device, in bytes: regions, arenas (shared by the programs, each
    /// as large as the largest needs, and windows likewise), what weights are loaded through, what threads work in, and
    /// for each program its input, output, parameters, host block and rings. It does not change while the session lives.
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        self.engine.allocated_bytes()
    }

    /// Runs all dispatches `times` times over and gives the shortest time of each, in nanoseconds; `None`
    /// where the adapter has no timestamps. [`Session::prepare`] comes before. What is done at once as one step of
    /// several dispatches is the time of the first of them.
    ///
    /// # Errors
    /// If the program is not open, or the device is lost.
    pub fn time_dispatches(&mut self, role: Role, times: usize) -> Result<Option<Vec<f64>>, DeviceError> {
        self.settled = None;
        let program = self.place(role)?;
        self.engine.time_dispatches(program, times)
    }

    fn enqueue(&mut self, role: Role, input: Option<&[u8]>, clock: &Clock) -> Result<Ticket, DeviceError> {
        if self.in_flight.len() >= DEPTH {
            return Err(DeviceError::Busy { in_flight: self.in_flight.len() });
        }
        let program = self.place(role)?;
        let settled = self.programs[program].program.settled;
        let host = host_block(&self.programs[program].program.scalars, clock);
        let first = if self.settled.take() == Some(program) { settled } else { 0 };
        let weights = Weights { tensors: &self.tensors, supply: &self.supply };
        self.engine.submit(program, Given { host: &host, input, first }, weights)?;
        self.settled = Some(program);
        let ticket = Ticket(self.submitted);
        self.submitted += 1;
        self.in_flight.push_back((ticket, program));
        Ok(ticket)
    }

    fn place(&self, role: Role) -> Result<usize, DeviceError> {
        self.programs.iter().position(|p| p.program.role == role).ok_or_else(|| no_program(role))
    }
}

fn check_batch(program: &Program, batch: &Batch) -> Result<(), DeviceError> {
    let fits = program.inputs == batch.ports() && program.input_bytes == batch.bytes().len() as u64;
    if fits { Ok(()) } else { Err(DeviceError::Batch { role: program.role.to_string() }) }
}

/// The sizes of memory that programs share, of which each needs `of`.
pub(crate) fn shared(programs: &[Arc<Program>], of: fn(&Program) -> &Vec<u64>) -> Vec<u64> {
    let count = programs.iter().map(|p| of(p).len()).max().unwrap_or(0);
    (0..count).map(|i| programs.iter().filter_map(|p| of(p).get(i)).copied().max().unwrap_or(0)).collect()
}

fn no_program(role: Role) -> DeviceError {
    DeviceError::NoProgram { role: role.to_string() }
}
