//! Training: epochs over the data, checkpoints that continue bit for bit, and what is reported meanwhile.
//!
//! Two steps are in flight; their results arrive a step late and stall nothing. After each epoch the other
//! parts of the data are measured with the current weights, then `stop` and `save` are looked at. A checkpoint
//! is written when the step after it has given a finite loss: until then it may be one that cannot go on.
//! A run that `steps` ends within an epoch is measured and saved there too, but that belongs to no checkpoint: resumed,
//! it ends with the bytes of a run that never stopped there.

mod error;
mod evaluate;
mod files;
mod folder;
mod run;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::artifact::Training;
use crate::checkpoint::Progress;
use crate::host::Measured;
use crate::session::Session;

pub use error::TrainError;
pub use evaluate::{Example, Unmeasured, evaluate, evaluate_each};
pub use folder::{Folder, Start};

/// How a run is started and where it leaves its files.
#[derive(Debug, Default)]
pub struct Options<'a> {
    /// What relative paths of the training start at: the folder of the model's file.
    pub base: PathBuf,
    /// Where weights, checkpoint and log are written, and whether the run goes on from there; nowhere if `None`.
    pub out: Option<Folder>,
    /// Weights to start from instead of first values.
    pub weights: Option<PathBuf>,
    /// Checkpoints within an epoch.
    pub checkpoints: Checkpoints,
    /// Looked at between steps: when true, the steps in flight are finished, a checkpoint is written, and the
    /// run ends.
    pub interrupt: Option<&'a AtomicBool>,
}

/// When checkpoints are written besides those at the end of each epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoints {
    /// When so much time has passed since the last one.
    Every(Duration),
    /// After so many steps.
    EverySteps(u64),
}

impl Default for Checkpoints {
    fn default() -> Checkpoints {
        Checkpoints::Every(Duration::from_secs(30))
    }
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The run begins, or goes on.
    Started {
        /// Steps done before.
        step: u64,
        /// Steps in an epoch.
        steps_per_epoch: u64,
        /// Steps in the whole run.
        total_steps: u64,
        /// Examples a step.
        batch: u64,
    },
    /// A step is done.
    Step {
        /// Its number, from 1.
        step: u64,
        /// Its epoch, from 1.
        epoch: u64,
        /// Its number in the epoch, from 1.
        position: u64,
        /// Its loss.
        loss: f64,
        /// Its loss scale, in mixed precision.
        loss_scale: Option<f64>,
        /// Whether its gradients overflowed, so that it changed nothing but the scale.
        skipped: bool,
    },
    /// The steps of an epoch are done; the other parts are being measured.
    Measuring {
        /// The part.
        part: String,
    },
    /// An epoch is done and measured.
    Epoch(EpochReport),
    /// The weights were written because `save` asks for it.
    Saved {
        /// The file.
        path: PathBuf,
        /// Whether a file of an earlier run was there before.
        replaced: bool,
    },
}

/// What one epoch came to.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// Its number, from 1.
    pub epoch: u64,
    /// What was measured: the means over the epoch for `train`, with the weights after it for other parts.
    pub measured: Vec<Measured>,
    /// Steps done in the run.
    pub steps: u64,
    /// The loss scale of its last step, in mixed precision.
    pub loss_scale: Option<f64>,
    /// How many of its steps a too large loss scale left out.
    pub skipped: u64,
    /// How long its steps took, in seconds.
    pub seconds: f64,
}

impl EpochReport {
    /// One line of JSON: `{"epoch":1,"train":{"loss":0.5},"test":{"loss":0.4},"steps":125,"seconds":1.5}`; in mixed
    /// precision with `"loss_scale":65536.0,"skipped":0` before the seconds.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut line = serde_json::Map::new();
        line.insert("epoch".to_owned(), self.epoch.into());
        for Measured { part, name, value } in &self.measured {
            let values = line.entry(part.clone()).or_insert_with(|| serde_json::Map::new().into());
            if let Some(values) = values.as_object_mut() {
                values.insert(name.clone(), (*value).into());
            }
        }
        line.insert("steps".to_owned(), self.steps.into());
        if let Some(scale) = self.loss_scale {
            line.insert("loss_scale".to_owned(), scale.into());
            line.insert("skipped".to_owned(), self.skipped.into());
        }
        line.insert("seconds".to_owned(), ((self.seconds * 1e3).round() / 1e3).into());
        serde_json::Value::from(line).to_string()
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All epochs or steps are done.
    Finished,
    /// The rule of `stop` holds.
    Stopped,
    /// It was interrupted; it can be resumed.
    Interrupted,
}

/// A run that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How.
    pub ended: Ended,
    /// Where it stands.
    pub progress: Progress,
}

/// Trains the network. The session must have the `Train` program open, and `Evaluate` where the data has
/// parts other than `train`.
///
/// # Errors
/// If the data, the checkpoint or the device fails, a file cannot be written, or the loss is not finite: then
/// the checkpoint is the last one that was followed by a finite loss, or else the beginning of the run.
pub fn train(
    session: &mut Session,
    training: &Training,
    options: &Options<'_>,
    report: &mut dyn FnMut(Event),
) -> Result<Summary, TrainError> {
    run::Run::new(session, training, options)?.train(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_one_line_of_json() {
        let measured =
            |part: &str, name: &str, value| Measured { part: part.to_owned(), name: name.to_owned(), value };
        let report = EpochReport {
            epoch: 2,
            measured: vec![
                measured("train", "loss", 0.5),
                measured("train", "accuracy", 0.25),
                measured("test", "loss", f64::NAN),
            ],
            steps: 250,
            loss_scale: None,
            skipped: 0,
            seconds: 1.23456,
        };
        assert_eq!(
            report.to_json(),
            r#"{"epoch":2,"train":{"loss":0.5,"accuracy":0.25},"test":{"loss":null},"steps":250,"seconds":1.235}"#
        );
        let mixed = EpochReport { loss_scale: Some(32768.0), skipped: 1, measured: Vec::new(), ..report };
        assert_eq!(
            mixed.to_json(),
            r#"{"epoch":2,"steps":250,"loss_scale":32768.0,"skipped":1,"seconds":1.235}"#
        );
    }
}
