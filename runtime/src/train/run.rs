//! The training loop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::error::TrainError;
use super::evaluate::{measure, names};
use super::files::{Files, kept_tensors, make_folder_of, save_as_asked};
use super::folder::Start;
use super::{Checkpoints, Ended, EpochReport, Event, Options, Summary};
use crate::artifact::{HALTED, LOSS_SCALE, Role, SKIPPED, Training};
use crate::checkpoint::{self, CheckpointError, Fingerprint, Progress};
use crate::data::{self, Batches, Feed};
use crate::host::{self, Clock, EpochRecord, Measured};
use crate::session::{Outputs, Session};
use crate::tensor::Tensor;
use crate::weights;

/// A run between two steps.
pub(super) struct Run<'a> {
    session: &'a mut Session,
    training: &'a Training,
    options: &'a Options<'a>,
    names: Vec<String>,
    feed: Feed,
    others: Vec<(String, Feed)>,
    fingerprint: Fingerprint,
    files: Option<Files>,
    /// The state after a step whose successor is not known to be finite: written once that is.
    unproven: Option<(Progress, Vec<Tensor>)>,
    /// The step of the checkpoint that this run has on disk.
    on_disk: Option<u64>,
    /// What is done: every step whose results were collected.
    progress: Progress,
    /// The loss scale of the last step, in mixed precision.
    loss_scale: Option<f64>,
    /// Steps submitted, of the whole run.
    submitted: u64,
    steps_per_epoch: u64,
    total_steps: u64,
    began: Instant,
    saved_at: Option<Instant>,
    saved_step: u64,
    clocked: Instant,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        session: &'a mut Session,
        training: &'a Training,
        options: &'a Options<'a>,
    ) -> Result<Run<'a>, TrainError> {
        let open = |part: &str| data::open(&training.data, part, &options.base).map(Arc::new);
        let feed = Feed::training(open("train")?, session.program(Role::Train)?, training.seed)?;
        let mut examples = vec![("train".to_owned(), feed.examples() as u64)];
        let mut others = Vec::new();
        for part in training.data.parts.iter().filter(|p| p.name != "train") {
            let feed = Feed::evaluation(open(&part.name)?, session.program(Role::Evaluate)?)?;
            examples.push((part.name.clone(), feed.examples() as u64));
            others.push((part.name.clone(), feed));
        }
        let steps_per_epoch = feed.batches() as u64;
        let total_steps = total_steps(training, steps_per_epoch)?;
        let names = names(training);
        let fingerprint = checkpoint::fingerprint(session.tensors(), training, examples);
        begin(session, training, options)?;
        let mut progress = Progress::start(names.len());
        let resumed = options.out.as_ref().filter(|_| resumes(options));
        if let Some(folder) = resumed {
            let path = Files::checkpoint_path(folder.path());
            let (saved, tensors) = checkpoint::read(&path, &fingerprint)?;
            if saved.position > steps_per_epoch || saved.sums.len() != names.len() {
                let cause = format!("it stands at step {} of {steps_per_epoch}", saved.position);
                return Err(CheckpointError::Damaged { path, cause }.into());
            }
            session.write_tensors(&tensors)?;
            progress = Progress { failed: false, ..saved };
        }
        if let Some(save) = &training.save {
            make_folder_of(save, options)?;
        }
        let files = match &options.out {
            Some(folder) => Some(Files::open(folder, progress.history.len())?),
            None => None,
        };
        Ok(Run {
            submitted: progress.step,
            saved_step: progress.step,
            on_disk: resumed.map(|_| progress.step),
            unproven: None,
            loss_scale: None,
            session,
            training,
            options,
            names,
            feed,
            others,
            fingerprint,
            files,
            progress,
            steps_per_epoch,
            total_steps,
            began: Instant::now(),
            saved_at: None,
            clocked: Instant::now(),
        })
    }

    pub(super) fn train(mut self, report: &mut dyn FnMut(Event)) -> Result<Summary, TrainError> {
        report(Event::Started {
            step: self.progress.step,
            steps_per_epoch: self.steps_per_epoch,
            total_steps: self.total_steps,
            batch: self.training.batch as u64,
        });
        let (epoch, position) = (self.progress.epoch, self.progress.position);
        let mut batches = Batches::start(self.feed.clone(), epoch, position as usize, u64::MAX);
        let mut ended = if self.stops()? { Ended::Stopped } else { Ended::Finished };
        while ended == Ended::Finished && self.progress.step < self.total_steps {
            self.clocked = Instant::now();
            if self.run_steps(&mut batches, report)? {
                ended = Ended::Interrupted;
                break;
            }
            if self.progress.position < self.steps_per_epoch {
                self.end_within_epoch(report)?;
                break;
            }
            self.end_epoch(report)?;
            if self.stops()? {
                ended = Ended::Stopped;
            }
            self.save()?;
        }
        if ended == Ended::Interrupted || self.saved_at.is_none() {
            self.save()?;
        }
        self.write_unproven()?;
        Ok(Summary { ended, progress: self.progress })
    }

    /// The steps up to the end of the epoch; true if it was interrupted. All are collected at the end.
    fn run_steps(
        &mut self,
        batches: &mut Batches,
        report: &mut dyn FnMut(Event),
    ) -> Result<bool, TrainError> {
        let left_in_epoch = self.steps_per_epoch - self.progress.position;
        let end = (self.progress.step + left_in_epoch).min(self.total_steps);
        let mut interrupted = false;
        while self.submitted < end {
            interrupted = self.options.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed));
            if interrupted {
                break;
            }
            let batch = batches.next().expect("batches go on as long as the run asks for them");
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    self.drain(report)?;
                    self.save()?;
                    self.write_unproven()?;
                    return Err(error.into());
                }
            };
            let clock = self.clock(self.submitted + 1);
            self.session.submit(Role::Train, &batch, &clock)?;
            self.submitted += 1;
            batches.recycle(batch);
            if self.session.in_flight() == Session::DEPTH {
                self.collect(report)?;
            }
            if self.checkpoint_is_due() {
                self.drain(report)?;
                self.save()?;
            }
        }
        self.drain(report)?;
        Ok(interrupted)
    }

    fn drain(&mut self, report: &mut dyn FnMut(Event)) -> Result<(), TrainError> {
        while self.session.in_flight() > 0 {
            self.collect(report)?;
        }
        self.count_seconds();
        Ok(())
    }

    fn collect(&mut self, report: &mut dyn FnMut(Event)) -> Result<(), TrainError> {
        let Some(outputs) = self.session.collect()? else { return Ok(()) };
        let loss = outputs.number("loss").unwrap_or(f64::NAN);
        let halted = outputs.number(HALTED).is_some_and(|halted| halted != 0.0);
        if halted || !loss.is_finite() {
            return Err(self.not_finite(loss)?);
        }
        self.write_unproven()?;
        let skipped = self.add(&outputs);
        report(Event::Step {
            step: self.progress.step,
            epoch: self.progress.epoch + 1,
            position: self.progress.position,
            loss,
            loss_scale: self.loss_scale,
            skipped,
        });
        Ok(())
    }

    /// Counts a step; whether it was left out.
    fn add(&mut self, outputs: &Outputs) -> bool {
        let skipped = outputs.number(SKIPPED).is_some_and(|skipped| skipped != 0.0);
        self.loss_scale = outputs.number(LOSS_SCALE);
        self.progress.skipped += u64::from(skipped);
        self.progress.step += 1;
        self.progress.position += 1;
        for (sum, name) in self.progress.sums.iter_mut().zip(&self.names) {
            *sum += outputs.number(name).unwrap_or(f64::NAN);
        }
        skipped
    }

    /// Looks for the cause, and leaves a checkpoint from which a run with other settings can go on: the last one
    /// that was followed by a finite loss, or else the beginning. The weights of the bad step, though finite,
    /// would give the same loss again.
    fn not_finite(&mut self, loss: f64) -> Result<TrainError, TrainError> {
        let (step, epoch) = (self.progress.step + 1, self.progress.epoch + 1);
        while self.session.collect()?.is_some() {}
        self.unproven = None;
        let mut batch = self.feed.empty();
        let order = self.feed.order(self.progress.epoch);
        self.feed.fill(&order, self.progress.position as usize, &mut batch)?;
        let clock = self.clock(step);
        let fault = self.session.trace(Role::Train, &batch, &clock)?.map(Box::new);
        if self.on_disk.is_none() && self.files.is_some() {
            begin(self.session, self.training, self.options)?;
            self.progress = Progress::start(self.names.len());
            self.save()?;
            self.write_unproven()?;
        }
        if let Some(files) = &self.files {
            files.mark_failed(&self.fingerprint)?;
        }
        Ok(TrainError::NotFinite { loss, step, epoch, fault, checkpoint: self.on_disk })
    }

    /// The end of the run before that of its epoch: measured and saved as there, but the checkpoint is of the moment
    /// before, so that more steps go on as if there had been no end.
    fn end_within_epoch(&mut self, report: &mut dyn FnMut(Event)) -> Result<(), TrainError> {
        self.save()?;
        let here = self.progress.clone();
        self.end_epoch(report)?;
        self.progress = here;
        Ok(())
    }

    fn end_epoch(&mut self, report: &mut dyn FnMut(Event)) -> Result<(), TrainError> {
        let steps = self.progress.position as f64;
        let means = self.names.iter().zip(&self.progress.sums);
        let mut measured: Vec<Measured> = means
            .map(|(name, sum)| Measured { part: "train".to_owned(), name: name.clone(), value: sum / steps })
            .collect();
        let clock = self.clock(self.progress.step.max(1));
        for (part, feed) in &self.others {
            report(Event::Measuring { part: part.clone() });
            measured.extend(measure(self.session, part, feed, &self.names, &clock)?);
        }
        let progress = &mut self.progress;
        let line = EpochReport {
            epoch: progress.epoch + 1,
            measured: measured.clone(),
            steps: progress.step,
            loss_scale: self.loss_scale,
            skipped: progress.skipped,
            seconds: progress.seconds,
        };
        progress.history.push(EpochRecord { step: progress.step, measured });
        progress.epoch += 1;
        progress.position = 0;
        progress.seconds = 0.0;
        progress.skipped = 0;
        progress.sums.fill(0.0);
        if let Some(files) = &mut self.files {
            files.append(&line)?;
        }
        report(Event::Epoch(line));
        if let Some(save) = &self.training.save
            && let Some(saved) = save_as_asked(save, self.options, self.session, &mut self.progress)?
        {
            report(saved);
        }
        Ok(())
    }

    fn stops(&self) -> Result<bool, TrainError> {
        match &self.training.stop {
            Some(stop) => Ok(host::evaluate(stop, &self.progress.history)? != 0.0),
            None => Ok(false),
        }
    }

    fn checkpoint_is_due(&self) -> bool {
        self.files.is_some()
            && match self.options.checkpoints {
                Checkpoints::Every(interval) => self.saved_at.unwrap_or(self.began).elapsed() >= interval,
                Checkpoints::EverySteps(steps) => self.submitted - self.saved_step >= steps,
            }
    }

    /// Takes the state to be written by [`Run::write_unproven`].
    fn save(&mut self) -> Result<(), TrainError> {
        if self.files.is_some() {
            self.unproven = Some((self.progress.clone(), kept_tensors(self.session)?));
        }
        self.saved_at = Some(Instant::now());
        self.saved_step = self.submitted;
        Ok(())
    }

    fn write_unproven(&mut self) -> Result<(), TrainError> {
        if let (Some(files), Some((progress, tensors))) = (&self.files, self.unproven.take()) {
            files.save(self.session.tensors(), &tensors, &self.fingerprint, &progress)?;
            self.on_disk = Some(progress.step);
        }
        Ok(())
    }

    fn count_seconds(&mut self) {
        self.progress.seconds += self.clocked.elapsed().as_secs_f64();
        self.clocked = Instant::now();
    }

    fn clock(&self, step: u64) -> Clock {
        Clock {
            seed: self.training.seed,
            step,
            epoch: self.progress.epoch,
            examples: self.training.batch as u64,
            steps_per_epoch: self.steps_per_epoch,
            total_steps: self.total_steps,
        }
    }
}

/// First values, or those of the weight file that the run starts from.
fn begin(session: &mut Session, training: &Training, options: &Options<'_>) -> Result<(), TrainError> {
    session.initialize(training.seed)?;
    let stated = training.load.as_ref().filter(|_| !resumes(options)).map(|path| options.base.join(path));
    if let Some(path) = options.weights.clone().or(stated) {
        let tensors = weights::load(&path, session.tensors())?;
        session.write_tensors(&tensors)?;
    }
    Ok(())
}

fn resumes(options: &Options<'_>) -> bool {
    options.out.as_ref().is_some_and(|folder| folder.start() == Start::Resume)
}

fn total_steps(training: &Training, steps_per_epoch: u64) -> Result<u64, TrainError> {
    let by_epochs = training.epochs.map(|epochs| epochs.saturating_mul(steps_per_epoch));
    match (by_epochs, training.steps) {
        (Some(a), Some(b)) => Ok(a.min(b)),
        (Some(steps), None) | (None, Some(steps)) => Ok(steps),
        (None, None) => Err(TrainError::NoEnd),
    }
}
