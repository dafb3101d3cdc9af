//! Measuring a part of the data with the current weights.

use std::path::Path;
use std::sync::Arc;

use super::error::TrainError;
use crate::artifact::{Role, Training};
use crate::data::{self, Batches, Feed};
use crate::gpu::Session;
use crate::host::{Clock, Measured};

/// Loss and metrics over all examples of a part, exact also where the last batch is short.
///
/// # Errors
/// If the part's data cannot be used, or the device fails.
pub fn evaluate(
    session: &mut Session,
    training: &Training,
    part: &str,
    base: &Path,
) -> Result<Vec<Measured>, TrainError> {
    while session.collect()?.is_some() {}
    let dataset = Arc::new(data::open(&training.data, part, base)?);
    let feed = Feed::evaluation(dataset, session.program(Role::Evaluate)?)?;
    measure(session, part, &feed, &names(training), &Clock::single(training.seed, 0))
}

/// `loss` and the metrics.
pub(super) fn names(training: &Training) -> Vec<String> {
    std::iter::once("loss".to_owned()).chain(training.metrics.iter().cloned()).collect()
}

/// The means of these outputs over all examples of the feed; two steps are in flight.
pub(super) fn measure(
    session: &mut Session,
    part: &str,
    feed: &Feed,
    names: &[String],
    clock: &Clock,
) -> Result<Vec<Measured>, TrainError> {
    let mut sums = vec![0.0; names.len()];
    let mut total = 0.0;
    let mut waiting = std::collections::VecDeque::new();
    let mut collect = |session: &mut Session, waiting: &mut std::collections::VecDeque<f64>| {
        if let (Some(examples), Some(outputs)) = (waiting.pop_front(), session.collect()?) {
            for (sum, name) in sums.iter_mut().zip(names) {
                *sum += examples * outputs.number(name).unwrap_or(f64::NAN);
            }
            total += examples;
        }
        Ok::<(), TrainError>(())
    };
    let mut batches = Batches::start(feed.clone(), 0, 0, 1);
    while let Some(batch) = batches.next() {
        let examples = batch.examples as u64;
        session.submit(Role::Evaluate, &batch, &Clock { examples, ..*clock })?;
        waiting.push_back(examples as f64);
        batches.recycle(batch);
        if session.in_flight() == Session::DEPTH {
            collect(session, &mut waiting)?;
        }
    }
    while !waiting.is_empty() {
        collect(session, &mut waiting)?;
    }
    let mean = |sum: f64| if total > 0.0 { sum / total } else { f64::NAN };
    let measured = names.iter().zip(sums);
    Ok(measured
        .map(|(name, sum)| Measured { part: part.to_owned(), name: name.clone(), value: mean(sum) })
        .collect())
}
