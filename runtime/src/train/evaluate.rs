//! Measuring a part of the data with the current weights.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::error::TrainError;
use crate::artifact::{Role, Training, weight_of};
use crate::data::{self, Batches, Feed};
use crate::host::{Clock, Measured};
use crate::session::Session;

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
    let (feed, names, clock) = begin(session, training, part, base)?;
    measure(session, part, &feed, &names, &clock)
}

/// Examples that could not be measured alone.
#[derive(Debug, Default)]
pub struct Unmeasured {
    /// How many they are.
    pub count: u64,
    /// What a formula requires and the first of them does not keep, if it is that.
    pub first: Option<TrainError>,
}

/// Shows what was measured on each example to `each`, in the order of the data. The examples are those of the `Evaluate`
/// program's batches: one by one where that was compiled for a batch of 1, else with the mean of a batch at the place of
/// its first. What cannot be measured is not a number: a loss that leaves out some labels has nothing to say of an example
/// that has no others.
///
/// # Errors
/// If the part's data cannot be used, or the device fails, and whatever `each` returns.
pub fn evaluate_each(
    session: &mut Session,
    training: &Training,
    part: &str,
    base: &Path,
    each: &mut dyn FnMut(&Example<'_>) -> Result<(), TrainError>,
) -> Result<Unmeasured, TrainError> {
    let (feed, names, clock) = begin(session, training, part, base)?;
    let mut pass = Measuring::new(session, part, &feed, &names, clock);
    pass.run(each)?;
    pass.first = pass.first.take().or(pass.empty.take());
    Ok(Unmeasured { count: pass.unmeasured, first: pass.unmet()? })
}

/// The examples of a part, what is measured on them, and the numbers of the loop.
fn begin(
    session: &mut Session,
    training: &Training,
    part: &str,
    base: &Path,
) -> Result<(Feed, Vec<String>, Clock), TrainError> {
    while session.collect()?.is_some() {}
    let dataset = Arc::new(data::open(&training.data, part, base)?);
    let feed = Feed::evaluation(dataset, session.program(Role::Evaluate)?)?;
    Ok((feed, names(training), Clock::single(training.seed, 0)))
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
    let mut pass = Measuring::new(session, part, feed, names, *clock);
    let measured = pass.run(&mut |_| Ok(()))?;
    pass.unmet()?.map_or(Ok(measured), Err)
}

/// A pass over a part of the data.
struct Measuring<'a> {
    session: &'a mut Session,
    part: &'a str,
    feed: &'a Feed,
    names: &'a [String],
    clock: Clock,
    /// Examples of batches with a value that is not a number.
    unmeasured: u64,
    /// The first of these batches, with the name of the value.
    first: Option<(Waiting, String)>,
    /// The same of a batch of which nothing counts, which says nothing about the others.
    empty: Option<(Waiting, String)>,
}

/// What was measured on a batch.
struct OfBatch {
    values: Vec<f64>,
    /// By what each value counts beside those of other batches.
    weights: Vec<f64>,
}

/// A batch that was submitted.
#[derive(Clone, Copy)]
struct Waiting {
    index: usize,
    first: u64,
    examples: u64,
}

impl<'a> Measuring<'a> {
    fn new(
        session: &'a mut Session,
        part: &'a str,
        feed: &'a Feed,
        names: &'a [String],
        clock: Clock,
    ) -> Measuring<'a> {
        Measuring { session, part, feed, names, clock, unmeasured: 0, first: None, empty: None }
    }

    /// Two steps are in flight.
    fn run(
        &mut self,
        each: &mut dyn FnMut(&Example<'_>) -> Result<(), TrainError>,
    ) -> Result<Vec<Measured>, TrainError> {
        let mut sums = vec![(0.0, 0.0); self.names.len()];
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        let (of, mut submitted) = (self.feed.examples() as u64, 0);
        let mut batches = Batches::start(self.feed.clone(), 0, 0, 1);
        let mut index = 0;
        loop {
            let next = batches.next().transpose()?;
            if let Some(batch) = &next {
                let examples = batch.examples as u64;
                self.session.submit(Role::Evaluate, batch, &Clock { examples, ..self.clock })?;
                waiting.push_back(Waiting { index, first: submitted, examples });
                submitted += examples;
                index += 1;
            }
            if next.is_none() || self.session.in_flight() == Session::DEPTH {
                let Some(done) = waiting.pop_front() else { break };
                let OfBatch { values, weights } = self.collect(&done)?;
                for ((sum, total), (value, weight)) in sums.iter_mut().zip(values.iter().zip(weights)) {
                    if weight != 0.0 {
                        *sum += weight * value;
                        *total += weight;
                    }
                }
                each(&Example { place: done.first, of, names: self.names, values: &values })?;
            }
            if let Some(batch) = next {
                batches.recycle(batch);
            }
        }
        if sums.iter().any(|(_, total)| *total == 0.0) {
            self.first = self.first.take().or(self.empty.take());
        }
        let measured = self.names.iter().zip(sums);
        Ok(measured
            .map(|(name, (sum, total))| {
                let value = if total == 0.0 { f64::NAN } else { sum / total };
                Measured { part: self.part.to_owned(), name: name.clone(), value }
            })
            .collect())
    }

    /// What the oldest step in flight has measured.
    fn collect(&mut self, done: &Waiting) -> Result<OfBatch, TrainError> {
        let outputs = self.session.collect()?;
        let number = |name: &String| outputs.as_ref().and_then(|o| o.number(name)).unwrap_or(f64::NAN);
        let values: Vec<f64> = self.names.iter().map(number).collect();
        let weight = |name: &String| outputs.as_ref().and_then(|o| o.number(&weight_of(name)));
        let weights: Vec<f64> =
            self.names.iter().map(|name| weight(name).unwrap_or(done.examples as f64)).collect();
        if values.iter().any(|value| value.is_nan()) {
            self.unmeasured += done.examples;
        }
        let nothing = values.iter().zip(&weights).zip(self.names).filter(|((value, _), _)| value.is_nan());
        for ((_, weight), name) in nothing {
            let found = if *weight == 0.0 { &mut self.empty } else { &mut self.first };
            found.get_or_insert_with(|| (*done, name.clone()));
        }
        Ok(OfBatch { values, weights })
    }

    /// What a formula requires and the first batch with a value that is not a number does not keep. It is run once more,
    /// which wants that no step is in flight.
    fn unmet(&mut self) -> Result<Option<TrainError>, TrainError> {
        let Some((done, name)) = self.first.take() else { return Ok(None) };
        let program = self.session.program(Role::Evaluate)?;
        if program.dispatches.iter().all(|dispatch| dispatch.requires.is_empty()) {
            return Ok(None);
        }
        let mut batch = self.feed.empty();
        self.feed.fill(&self.feed.order(0), done.index, &mut batch)?;
        let clock = Clock { examples: done.examples, ..self.clock };
        let fault = self.session.trace(Role::Evaluate, &batch, &clock)?;
        Ok(fault.filter(|fault| !fault.unmet.is_empty()).map(|fault| TrainError::Unmet {
            name,
            part: self.part.to_owned(),
            first: done.first,
            last: done.first + done.examples - 1,
            fault: Box::new(fault),
        }))
    }
}
