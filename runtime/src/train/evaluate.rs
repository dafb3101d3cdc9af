//! Measuring a part of the data with the current weights.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::error::TrainError;
use crate::artifact::{Role, Training};
use crate::data::{self, Batches, Feed};
use crate::gpu::Session;
use crate::host::{Clock, Measured};

/// What was measured on one example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example<'a> {
    /// Its place in the part, from 0.
    pub place: u64,
    /// How many examples the part has.
    pub of: u64,
    /// What is measured, by name: `loss` first.
    pub names: &'a [String],
    /// Its loss and metrics, in the order of the names.
    pub values: &'a [f64],
}

/// Loss and metrics over all examples of a part, exact also where the last batch is short.
///
/// # Errors
/// If the part's data cannot be used, the device fails, or the examples are not as a formula requires.
pub fn evaluate(
    session: &mut Session,
    training: &Training,
    part: &str,
    base: &Path,
) -> Result<Vec<Measured>, TrainError> {
    evaluate_each(session, training, part, base, &mut |_| Ok(()))
}

/// [`evaluate`], with what was measured on each example shown to `each`, in the order of the data. The examples are those
/// of the `Evaluate` program's batches: one by one where that was compiled for a batch of 1, else with the mean of a batch
/// at the place of its first.
///
/// # Errors
/// As [`evaluate`], and whatever `each` returns.
pub fn evaluate_each(
    session: &mut Session,
    training: &Training,
    part: &str,
    base: &Path,
    each: &mut dyn FnMut(&Example<'_>) -> Result<(), TrainError>,
) -> Result<Vec<Measured>, TrainError> {
    while session.collect()?.is_some() {}
    let dataset = Arc::new(data::open(&training.data, part, base)?);
    let feed = Feed::evaluation(dataset, session.program(Role::Evaluate)?)?;
    let (names, clock) = (names(training), Clock::single(training.seed, 0));
    Measuring { session, part, feed: &feed, names: &names, clock }.run(each)
}

/// `loss` and the metrics.
pub(super) fn names(training: &Training) -> Vec<String> {
    std::iter::once("loss".to_owned()).chain(training.metrics.iter().cloned()).collect()
}

/// The means of these outputs over all examples of the feed.
pub(super) fn measure(
    session: &mut Session,
    part: &str,
    feed: &Feed,
    names: &[String],
    clock: &Clock,
) -> Result<Vec<Measured>, TrainError> {
    Measuring { session, part, feed, names, clock: *clock }.run(&mut |_| Ok(()))
}

/// A pass over a part of the data.
struct Measuring<'a> {
    session: &'a mut Session,
    part: &'a str,
    feed: &'a Feed,
    names: &'a [String],
    clock: Clock,
}

/// A batch that was submitted.
struct Waiting {
    index: usize,
    first: u64,
    examples: u64,
}

impl Measuring<'_> {
    /// Two steps are in flight.
    fn run(
        mut self,
        each: &mut dyn FnMut(&Example<'_>) -> Result<(), TrainError>,
    ) -> Result<Vec<Measured>, TrainError> {
        let mut sums = vec![0.0; self.names.len()];
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        let (of, mut submitted) = (self.feed.examples() as u64, 0);
        let mut batches = Batches::start(self.feed.clone(), 0, 0, 1);
        let mut index = 0;
        loop {
            let next = batches.next();
            if let Some(batch) = &next {
                let examples = batch.examples as u64;
                self.session.submit(Role::Evaluate, batch, &Clock { examples, ..self.clock })?;
                waiting.push_back(Waiting { index, first: submitted, examples });
                submitted += examples;
                index += 1;
            }
            if next.is_none() || self.session.in_flight() == Session::DEPTH {
                let Some(done) = waiting.pop_front() else { break };
                let values = self.collect(&done)?;
                for (sum, value) in sums.iter_mut().zip(&values) {
                    *sum += done.examples as f64 * value;
                }
                each(&Example { place: done.first, of, names: self.names, values: &values })?;
            }
            if let Some(batch) = next {
                batches.recycle(batch);
            }
        }
        let mean = |sum: f64| if submitted > 0 { sum / submitted as f64 } else { f64::NAN };
        let measured = self.names.iter().zip(sums);
        Ok(measured
            .map(|(name, sum)| Measured { part: self.part.to_owned(), name: name.clone(), value: mean(sum) })
            .collect())
    }

    /// What the oldest step in flight has measured.
    fn collect(&mut self, done: &Waiting) -> Result<Vec<f64>, TrainError> {
        let outputs = self.session.collect()?;
        let number = |name: &String| outputs.as_ref().and_then(|o| o.number(name)).unwrap_or(f64::NAN);
        let values: Vec<f64> = self.names.iter().map(number).collect();
        match values.iter().position(|value| value.is_nan()) {
            Some(place) => self.unmet(done, &self.names[place].clone()).map(|()| values),
            None => Ok(values),
        }
    }

    /// An error where a formula requires something that does not hold for the batch.
    fn unmet(&mut self, done: &Waiting, name: &str) -> Result<(), TrainError> {
        let program = self.session.program(Role::Evaluate)?;
        if program.dispatches.iter().all(|dispatch| dispatch.requires.is_empty()) {
            return Ok(());
        }
        let mut batch = self.feed.empty();
        self.feed.fill(&self.feed.order(0), done.index, &mut batch);
        let clock = Clock { examples: done.examples, ..self.clock };
        match self.session.trace(Role::Evaluate, &batch, &clock)? {
            Some(fault) if !fault.unmet.is_empty() => Err(TrainError::Unmet {
                name: name.to_owned(),
                part: self.part.to_owned(),
                first: done.first,
                last: done.first + done.examples - 1,
                fault: Box::new(fault),
            }),
            _ => Ok(()),
        }
    }
}
