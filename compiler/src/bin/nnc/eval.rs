//! `nnc eval FILE --weights W`: loss and metrics on a part of the data.

use std::path::PathBuf;

use nnc_runtime::artifact::Role;
use nnc_runtime::train::evaluate;
use nnc_runtime::{Session, weights};
use serde_json::{Map, Value};

use crate::device::DeviceArguments;
use crate::failure::Failure;
use crate::model::ModelArguments;
use crate::output;
use crate::train::{training_of, values};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// The weights.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The part of the data.
    #[arg(long, default_value = "test")]
    part: String,
    /// One JSON object on stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let device = arguments.device.open()?;
    let artifact = arguments.model.compile_for_data(device.profile(), &[Role::Evaluate])?.artifact;
    let training = training_of(artifact.training.as_ref())?;
    let mut session = Session::open(&artifact, &device)?;
    session.initialize(training.seed)?;
    session.write_tensors(&weights::load(&arguments.weights, session.tensors())?)?;
    let measured = evaluate(&mut session, training, &arguments.part, &arguments.model.base())?;
    if arguments.json {
        let numbers: Map<String, Value> =
            measured.iter().map(|m| (m.name.clone(), Value::from(m.value))).collect();
        let line: Map<String, Value> = [(arguments.part.clone(), numbers.into())].into_iter().collect();
        output::line(&Value::from(line).to_string());
    } else {
        output::line(&format!("{} {}", arguments.part, values(measured.iter())));
    }
    Ok(())
}
