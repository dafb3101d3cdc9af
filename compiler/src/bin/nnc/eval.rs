//! `nnc eval FILE --weights W`: loss and metrics on a part of the data.

use std::path::PathBuf;

use nnc_runtime::artifact::Role;
use nnc_runtime::train::{evaluate, evaluate_each};
use nnc_runtime::{Session, weights};
use serde_json::{Map, Value};

use crate::device::DeviceArguments;
use crate::failure::Failure;
use crate::model::ModelArguments;
use crate::output;
use crate::per_example;
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
    /// Writes loss and metrics of each example, in the order of the data: a table, or where OUT ends in `.safetensors`
    /// one tensor for each. Every example is then a batch of its own.
    #[arg(long, value_name = "OUT")]
    per_example: Option<PathBuf>,
    /// One JSON object on stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let device = arguments.device.open()?;
    let batch = arguments.per_example.as_ref().map(|_| 1);
    let artifact = arguments.model.compile_for_data(device.profile(), &[Role::Evaluate], batch)?.artifact;
    let training = training_of(artifact.training.as_ref())?;
    let mut session = Session::open(&artifact, &device)?;
    session.initialize(training.seed)?;
    session.write_tensors(&weights::load(&arguments.weights, session.tensors())?)?;
    let (part, base) = (arguments.part.as_str(), arguments.model.base());
    let measured = match &arguments.per_example {
        None => evaluate(&mut session, training, part, &base)?,
        Some(out) => {
            per_example::write(out, |each| evaluate_each(&mut session, training, part, &base, each))?
        }
    };
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
