//! The programs of an artifact on the processor. A step is computed when it is submitted.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use nnc_wgsl::HOST_SLOTS;

use super::access::{Data, Tensor};
use super::memory::Memory;
use super::processor::Processor;
use super::product::columns;
use super::room;
use super::step::{Areas, Work, has_few_axes};
use super::team::{Needs, Team};
use super::tile::AXES;
use crate::artifact::{Area, Artifact, Buffer, Load, Program, Step};
use crate::session::{self, DEPTH, DeviceError, Given, Weights, shared, size};

/// The bytes of a tensor that come from elsewhere are copied in pieces of this size.
const PIECE: usize = 1 << 20;

/// The programs and their memory.
#[derive(Debug)]
pub(crate) struct Engine {
    processor: Processor,
    team: Team,
    /// Memory that all threads share within a step.
    shared: Memory,
    /// `None` where the tensors of a region come when a program loads them.
    regions: Vec<Option<Arc<Memory>>>,
    programs: Vec<Loaded>,
    /// The outputs of steps that were not collected.
    done: VecDeque<Vec<u8>>,
    /// What tensors from elsewhere come through.
    piece: Vec<u8>,
    allocated: u64,
}

/// A program on its memory.
#[derive(Debug)]
struct Loaded {
    program: Arc<Program>,
    works: Vec<Work>,
    memory: Blocks,
    host: [u32; HOST_SLOTS],
}

/// The blocks of memory of a program: regions, arenas, windows, input, output.
#[derive(Debug)]
struct Blocks {
    all: Vec<Arc<Memory>>,
    /// Where arenas begin, windows, and the input.
    begins: [usize; 3],
}

impl Blocks {
    fn place(&self, buffer: Buffer) -> usize {
        let [arenas, windows, input] = self.begins;
        match buffer {
            Buffer::Region(i) => i,
            Buffer::Arena(i) => arenas + i,
            Buffer::Window(i) => windows + i,
            Buffer::Input => input,
            Buffer::Output => input + 1,
        }
    }

    fn block(&self, buffer: Buffer) -> &Memory {
        &self.all[self.place(buffer)]
    }

    fn tensor(&self, area: &Area) -> Tensor {
        Tensor { memory: self.place(area.buffer), begin: area.offset }
    }
}

impl Engine {
    /// Opens programs of a valid artifact.
    pub(crate) fn open(
        processor: &Processor,
        artifact: &Artifact,
        programs: &[Arc<Program>],
    ) -> Result<Engine, DeviceError> {
        let arena_bytes = shared(programs, |program| &program.arenas);
        let window_bytes = shared(programs, |program| &program.windows);
        let opened: Vec<&Program> = programs.iter().map(Arc::as_ref).collect();
        let resident = artifact.resident(&opened);
        let kept = artifact.regions.iter().zip(&resident).filter(|(_, resident)| **resident);
        let taken = kept.map(|(region, _)| region.bytes).chain(arena_bytes.iter().copied());
        let bytes: u64 = taken.chain(window_bytes.iter().copied()).sum();
        if room::available().is_some_and(|available| bytes > available) {
            return Err(DeviceError::OutOfMemory { what: "the network".to_owned(), bytes });
        }
        let blocks = |sizes: Vec<u64>| -> Vec<Arc<Memory>> {
            sizes.into_iter().map(|bytes| Arc::new(Memory::new(bytes))).collect()
        };
        let (arenas, windows) = (blocks(arena_bytes), blocks(window_bytes));
        let regions: Vec<Option<Arc<Memory>>> = artifact
            .regions
            .iter()
            .zip(&resident)
            .map(|(region, resident)| resident.then(|| Arc::new(Memory::new(region.bytes))))
            .collect();
        let absent = Arc::new(Memory::new(0));
        let width = columns(pulp::Arch::new());
        let mut needs = Needs::default();
        let mut loaded = Vec::with_capacity(programs.len());
        for program in programs {
            let mut all: Vec<Arc<Memory>> =
                regions.iter().map(|region| Arc::clone(region.as_ref().unwrap_or(&absent))).collect();
            let begins = [all.len(), all.len() + arenas.len(), all.len() + arenas.len() + windows.len()];
            all.extend(arenas.iter().chain(&windows).cloned());
            all.extend(blocks(vec![program.input_bytes, program.output_bytes]));
            let memory = Blocks { all, begins };
            let works = program.steps.iter().map(|step| prepare(processor, artifact, step, &memory));
            let works = works.collect::<Result<Vec<Work>, DeviceError>>()?;
            needs = works.iter().fold(needs, |needs, work| needs.or(work.needs(width)));
            loaded.push(Loaded { program: Arc::clone(program), works, memory, host: [0; HOST_SLOTS] });
        }
        let loads = programs.iter().flat_map(|program| &program.loads);
        let from_elsewhere = loads.filter(|load| !resident[artifact.tensors[load.tensor].region]).count() > 0;
        let own = loaded.iter().flat_map(|one| &one.memory.all[one.memory.begins[2]..]);
        let kept = regions.iter().flatten().chain(&arenas).chain(&windows).chain(own);
        let shared = Memory::new(4 * needs.shared as u64);
        let piece = vec![0; if from_elsewhere { PIECE } else { 0 }];
        Ok(Engine {
            allocated: kept.map(|memory| memory.bytes()).sum::<u64>()
                + shared.bytes()
                + processor.threads() as u64 * needs.bytes()
                + piece.len() as u64,
            team: Team::new(processor.threads(), needs),
            processor: processor.clone(),
            shared,
            regions,
            programs: loaded,
            done: VecDeque::with_capacity(DEPTH),
            piece,
        })
    }

    fn on_device(&self, region: usize) -> &Memory {
        self.regions[region].as_ref().expect("a session asks for regions that are on the device")
    }

    /// Does the steps that begin with these dispatches, each after the loads that come before it; `each` is called
    /// around every step with its first dispatch.
    fn steps(
        &mut self,
        program: usize,
        dispatches: Range<usize>,
        weights: Option<Weights<'_>>,
        mut each: impl FnMut(usize, &mut dyn FnMut()) + Send,
    ) -> Result<(), DeviceError> {
        let loaded = &self.programs[program];
        let data = Data { memories: &loaded.memory.all, host: &loaded.host };
        let steps = loaded.program.steps.iter().zip(&loaded.works);
        let steps = steps.filter(|(step, _)| dispatches.contains(&step.dispatches.start));
        let (team, shared) = (&self.team, &self.shared);
        let mut do_steps = |steps: &mut dyn Iterator<Item = (&Step, &Work)>| {
            for (step, work) in steps {
                each(step.dispatches.start, &mut || work.run(team, data, shared));
            }
        };
        match weights.filter(|_| !loaded.program.loads.is_empty()) {
            None => {
                let steps: &mut (dyn Iterator<Item = (&Step, &Work)> + Send) = &mut { steps };
                self.processor.run(|| do_steps(&mut *steps));
            }
            Some(weights) => {
                for (step, work) in steps {
                    let before = step.dispatches.start;
                    for load in loaded.program.loads.iter().filter(|load| load.before == before) {
                        bring(loaded, &self.regions, weights, load, &mut self.piece)?;
                    }
                    self.processor.run(|| do_steps(&mut std::iter::once((step, work))));
                }
            }
        }
        Ok(())
    }

    fn copy(&self, program: usize) {
        let Loaded { program, memory, .. } = &self.programs[program];
        for (from, to) in &program.copies {
            memory.block(to.buffer).copy(to.offset, memory.block(from.buffer), from.offset, from.bytes);
        }
    }

    fn upload(&mut self, program: usize, host: &[u32; HOST_SLOTS], input: &[u8]) {
        let loaded = &mut self.programs[program];
        loaded.host = *host;
        loaded.memory.block(Buffer::Input).write(0, input);
    }
}

/// A step on its memory.
fn prepare(
    processor: &Processor,
    artifact: &Artifact,
    step: &Step,
    memory: &Blocks,
) -> Result<Work, DeviceError> {
    let spec = &artifact.works[step.work];
    if !has_few_axes(spec) {
        let what = "the axes of a step".to_owned();
        let adapter = processor.name().to_owned();
        return Err(DeviceError::OverLimit { what, needed: AXES as u64 + 1, allowed: AXES as u64, adapter });
    }
    let reads: Vec<Option<Tensor>> =
        step.reads.iter().map(|area| area.as_ref().map(|area| memory.tensor(area))).collect();
    let writes: Vec<Tensor> = step.writes.iter().map(|area| memory.tensor(area)).collect();
    Ok(Work::new(spec, &Areas { reads: &reads, writes: &writes }))
}

/// Brings a tensor into its window.
fn bring(
    loaded: &Loaded,
    regions: &[Option<Arc<Memory>>],
    weights: Weights<'_>,
    load: &Load,
    piece: &mut [u8],
) -> Result<(), DeviceError> {
    let tensor = &weights.tensors[load.tensor];
    let (window, length) = (loaded.memory.block(load.area.buffer), size(tensor));
    if let Some(region) = &regions[tensor.region] {
        window.copy(load.area.offset, region, tensor.offset, length as u64);
        return Ok(());
    }
    for start in (0..length).step_by(PIECE) {
        let piece = &mut piece[..(length - start).min(PIECE)];
        weights.fill(load.tensor, start, piece)?;
        window.write(load.area.offset + start as u64, piece);
    }
    Ok(())
}

impl session::Engine for Engine {
    fn regions(&self) -> usize {
        self.regions.len()
    }

    fn region(&self, region: usize) -> Option<u64> {
        self.regions[region].as_ref().map(|memory| memory.bytes())
    }

    fn clear_region(&mut self, region: usize) -> Result<(), DeviceError> {
        self.on_device(region).clear();
        Ok(())
    }

    fn write_region(&mut self, region: usize, offset: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.on_device(region).write(offset, bytes);
        Ok(())
    }

    fn read_region(&self, region: usize) -> Result<Vec<u8>, DeviceError> {
        let memory = self.on_device(region);
        let mut bytes = vec![0; memory.bytes() as usize];
        memory.read(0, &mut bytes);
        Ok(bytes)
    }

    fn wait(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn submit(&mut self, program: usize, given: Given<'_>, weights: Weights<'_>) -> Result<(), DeviceError> {
        self.upload(program, given.host, given.input.unwrap_or_default());
        let places = given.first..self.programs[program].program.dispatches.len();
        self.steps(program, places, Some(weights), |_, step| step())?;
        self.copy(program);
        let loaded = &self.programs[program];
        let mut output = vec![0; loaded.program.output_bytes as usize];
        loaded.memory.block(Buffer::Output).read(0, &mut output);
        self.done.push_back(output);
        Ok(())
    }

    fn collect(&mut self) -> Result<Vec<u8>, DeviceError> {
        Ok(self.done.pop_front().expect("a session collects the steps that it began"))
    }

    fn prepare(&mut self, program: usize, host: &[u32; HOST_SLOTS], input: &[u8]) -> Result<(), DeviceError> {
        self.upload(program, host, input);
        Ok(())
    }

    fn dispatch(
        &mut self,
        program: usize,
        dispatches: Range<usize>,
        weights: Weights<'_>,
    ) -> Result<(), DeviceError> {
        self.steps(program, dispatches, Some(weights), |_, step| step())
    }

    fn copies(&mut self, program: usize) -> Result<(), DeviceError> {
        self.copy(program);
        Ok(())
    }

    fn clear_arenas(&mut self, program: usize) -> Result<(), DeviceError> {
        let memory = &self.programs[program].memory;
        let [arenas, windows, _] = memory.begins;
        memory.all[arenas..windows].iter().for_each(|arena| arena.clear());
        Ok(())
    }

    fn read_area(&self, program: usize, area: &Area) -> Result<Vec<u8>, DeviceError> {
        let mut bytes = vec![0; area.bytes as usize];
        self.programs[program].memory.block(area.buffer).read(area.offset, &mut bytes);
        Ok(bytes)
    }

    fn write_area(&mut self, program: usize, area: &Area, bytes: &[u8]) -> Result<(), DeviceError> {
        self.programs[program].memory.block(area.buffer).write(area.offset, bytes);
        Ok(())
    }

    fn time_dispatches(&mut self, program: usize, times: usize) -> Result<Option<Vec<f64>>, DeviceError> {
        let count = self.programs[program].program.dispatches.len();
        let mut best = vec![f64::INFINITY; count];
        for step in &self.programs[program].program.steps {
            best[step.dispatches.start + 1..step.dispatches.end].fill(0.0);
        }
        for _ in 0..times {
            self.steps(program, 0..count, None, |first, step| {
                let begin = Instant::now();
                step();
                best[first] = best[first].min(begin.elapsed().as_nanos() as f64);
            })?;
        }
        Ok(Some(best))
    }

    fn allocated_bytes(&self) -> u64 {
        self.allocated
    }
}

#[cfg(test)]
mod tests {
    use crate::artifact::Role;
    use crate::batch::Batch;
    use crate::example;
    use crate::host::Clock;
    use crate::session::{Device, Session};

    const X: [f32; 8] = [1.0, 2.0, -1.0, 0.5, 0.25, -0.75, 2.0, 1.0];
    const T: [f32; 4] = [1.0, 0.0, -1.0, 2.0];

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// The weights after 20 steps, and the losses on the way.
    fn trained(threads: usize) -> (Vec<f64>, Vec<f64>) {
        let device = Device::cpu(Some(threads)).unwrap();
        let mut session = Session::open(&example::linear(), &device).unwrap();
        session.initialize(7).unwrap();
        let mut batch = Batch::new(session.program(Role::Train).unwrap());
        batch.set("x", &bytes(&X)).unwrap();
        batch.set("t", &bytes(&T)).unwrap();
        let mut losses = Vec::new();
        for step in 1..=20 {
            session.submit(Role::Train, &batch, &Clock { step, ..Clock::single(7, 4) }).unwrap();
            if session.in_flight() == Session::DEPTH {
                losses.extend(session.collect().unwrap().unwrap().number("loss"));
            }
        }
        losses.extend(session.collect().unwrap().unwrap().number("loss"));
        (session.read_tensors(|tensor| tensor.path == "w").unwrap()[0].values(), losses)
    }

    #[test]
    fn a_hand_written_artifact_trains_to_the_same_bits_with_any_number_of_threads() {
        let (weights, losses) = trained(1);
        assert_eq!(trained(2), (weights.clone(), losses.clone()));
        let loss = |w: &[f64]| -> f64 {
            let distance =
                |i: usize| f64::from(X[2 * i]) * w[0] + f64::from(X[2 * i + 1]) * w[1] - f64::from(T[i]);
            (0..4).map(|i| distance(i).powi(2)).sum::<f64>() / 4.0
        };
        assert_eq!(losses.len(), 20);
        assert!(
            losses[19] < 0.5 * losses[0] && loss(&weights) <= losses[19] * 1.01,
            "{losses:?} {weights:?}"
        );
    }

    #[test]
    fn a_loss_that_is_not_finite_is_traced_to_the_step_that_made_it() {
        let device = Device::cpu(None).unwrap();
        let mut session = Session::open(&example::linear(), &device).unwrap();
        session.initialize(7).unwrap();
        let mut batch = Batch::new(session.program(Role::Train).unwrap());
        batch.set("x", &bytes(&X)).unwrap();
        batch.set("t", &bytes(&[1.0, f32::INFINITY, 0.0, 0.0])).unwrap();
        let fault = session.trace(Role::Train, &batch, &Clock::single(7, 4)).unwrap().unwrap();
        assert_eq!((fault.dispatch, fault.what.as_str()), (1, "loss"));
        let times = session.time_dispatches(Role::Train, 2).unwrap().unwrap();
        assert!(times.len() == 4 && times.iter().all(|time| time.is_finite()));
    }
}
