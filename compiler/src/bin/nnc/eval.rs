//! `nnc eval FILE --weights W`: loss and metrics on a part of the data.

use std::path::PathBuf;

use nnc::{Compiled, Request};
use nnc_runtime::artifact::{Artifact, Role};
use nnc_runtime::train::{evaluate, evaluate_each};
use nnc_runtime::{Device, Session};
use serde_json::{Map, Value};

use crate::budget::BudgetArguments;
use crate::device::DeviceArguments;
use crate::failure::Failure;
use crate::model::{self, ModelArguments};
use crate::output;
use crate::per_example;
use crate::train::{training_of, values};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    budget: BudgetArguments,
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
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let device = arguments.device.open()?;
    let (part, base) = (arguments.part.as_str(), arguments.model.base());
    let artifact = compile(arguments, &device, None)?.artifact;
    let training = training_of(artifact.training.as_ref())?;
    let measured = evaluate(&mut open(arguments, &device, &artifact)?, training, part, &base)?;
    if let Some(out) = &arguments.per_example {
        let alone = compile(arguments, &device, Some(1))?.artifact;
        let mut session = open(arguments, &device, &alone)?;
        let left = per_example::write(out, |each| evaluate_each(&mut session, training, part, &base, each))?;
        if left.count > 0 {
            let why = left.first.map_or_else(String::new, |error| format!("; the first: {error}"));
            output::note(&format!("{} examples have values that are not numbers{why}", left.count));
        }
    }
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

fn compile(arguments: &Arguments, device: &Device, batch: Option<usize>) -> Result<Compiled, Failure> {
    let bundle = arguments.model.load()?;
    let request = arguments.model.request(device.profile(), &[Role::Evaluate], batch);
    let request = arguments.budget.apply(Request { reads_data: true, ..request });
    model::finish(nnc::compile(&bundle, &request), &bundle, &arguments.model.settings)
}

/// The artifact on the device, with the weights.
fn open(arguments: &Arguments, device: &Device, artifact: &Artifact) -> Result<Session, Failure> {
    let mut session = Session::open(artifact, device)?;
    session.initialize(artifact.training.as_ref().map_or(0, |training| training.seed))?;
    model::give_weights(&mut session, artifact, &arguments.weights)?;
    Ok(session)
}
