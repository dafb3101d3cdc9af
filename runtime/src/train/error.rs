//! Why a training run ended early.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::data::DataError;
use crate::durable::WriteError;
use crate::host::NotMeasured;
use crate::session::{DeviceError, Fault, place};
use crate::weights::WeightsError;

/// A training run, or an evaluation, that could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The device, or a program it was asked for.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The examples.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The checkpoint to go on from, or to write.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Weights to start from, or to write.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The log.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// `stop` or `save` asks for something that is not measured.
    #[error(transparent)]
    NotMeasured(#[from] NotMeasured),
    /// The folder has the files of an earlier run.
    #[error(
        "`{}` holds the `{file}` of an earlier run; go on with it by `--resume`, replace it by `--overwrite`, \
         or name another folder with `--out`",
        folder.display()
    )]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// The first of its files.
        file: &'static str,
    },
    /// Another run holds the folder.
    #[error(
        "another run is writing into `{}`; wait for its end, or name another folder with `--out`",
        folder.display()
    )]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// Neither `epochs` nor `steps` says when to end.
    #[error("the training has no end; set `epochs` or `steps`")]
    NoEnd,
    /// The loss, or a gradient of a finite loss, is infinite or not a number.
    #[error(
        "{} at step {step} (epoch {epoch}): {}; {}",
        broken(*loss),
        cause(fault.as_deref()),
        remedy(fault.as_deref(), *checkpoint)
    )]
    NotFinite {
        /// The loss.
        loss: f64,
        /// The step, from 1.
        step: u64,
        /// The epoch, from 1.
        epoch: u64,
        /// The first value of the step that is not finite, where a repetition found one.
        fault: Option<Box<Fault>>,
        /// The step of the checkpoint that the run left, if it writes any.
        checkpoint: Option<u64>,
    },
    /// What a loss or metric requires does not hold for examples that it is measured on.
    #[error(
        "`{name}` is not a number for the examples {first} to {last} of `{part}`: {}; {}",
        cause(Some(fault.as_ref())),
        MEND
    )]
    Unmet {
        /// The loss or metric.
        name: String,
        /// The part of the data.
        part: String,
        /// The first example of the batch, from 0.
        first: u64,
        /// The last example of the batch, from 0.
        last: u64,
        /// What does not hold, and where it is required.
        fault: Box<Fault>,
    },
}

/// What to do where data or formulas are not as a formula requires.
const MEND: &str = "mend the data, `prepare` or the formula";

fn broken(loss: f64) -> String {
    if loss.is_finite() {
        format!("a gradient of the loss {loss} is not finite")
    } else {
        format!("the loss is {loss}")
    }
}

fn remedy(fault: Option<&Fault>, checkpoint: Option<u64>) -> String {
    if fault.is_some_and(|fault| !fault.unmet.is_empty()) {
        return format!("{MEND}, and train anew");
    }
    let change = "lower the learning rate or set `clip`";
    match checkpoint {
        Some(step) => format!("{change}, and go on from step {step} with `--resume`"),
        None => change.to_owned(),
    }
}

fn cause(fault: Option<&Fault>) -> String {
    match fault {
        Some(fault) if !fault.unmet.is_empty() => {
            let unmet: Vec<String> = fault
                .unmet
                .iter()
                .map(|one| format!("{} (required at {})", one.text, place(one.origin.as_ref())))
                .collect();
            let which = if unmet.len() == 1 { "this does not hold" } else { "one of these does not hold" };
            format!("{which}: {}", unmet.join("; "))
        }
        Some(fault) => format!(
            "first `{}` is not finite ({} elements), written by `{}` at {}",
            fault.what,
            fault.count,
            fault.label,
            place(fault.origin.as_ref())
        ),
        None => "a repetition of the step found no other value that is not finite".to_owned(),
    }
}
