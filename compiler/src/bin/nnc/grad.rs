//! `nnc grad FILE`: the loss and the gradient of every weight for one batch, in training mode.

use std::path::PathBuf;

use nnc_runtime::artifact::Role;
use nnc_runtime::session::place;
use nnc_runtime::{Clock, Session, weights};

use crate::device::DeviceArguments;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::model::{self, ModelArguments};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// The weights; first values if left out.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// A safetensors file with the data's fields by name: one batch.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The safetensors file to write: `loss`, and each gradient under its weight's name.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let device = arguments.device.open()?;
    let bundle = arguments.model.load()?;
    let inputs = Inputs::open(&arguments.input)?;
    let batch = inputs.examples(&bundle.fields())?;
    let request = arguments.model.request(device.profile(), &[Role::Gradient], Some(batch));
    let artifact =
        model::finish(nnc::compile(&bundle, &request), &bundle, &arguments.model.settings)?.artifact;
    let mut session = Session::open(&artifact, &device)?;
    let seed = artifact.training.as_ref().map_or(0, |t| t.seed);
    session.initialize(seed)?;
    if let Some(path) = &arguments.weights {
        session.write_tensors(&weights::load(path, session.tensors())?)?;
    }
    let mut batches = inputs.batches(&artifact, session.program(Role::Gradient)?)?;
    let batch = batches.next().ok_or_else(|| Failure::new("the input has no examples"))??;
    let clock = Clock::single(seed, batch.examples as u64);
    let outputs = session.run(Role::Gradient, &batch, &clock)?;
    let loss = outputs.number("loss").unwrap_or(f64::NAN);
    if let Some(fault) = session.unmet(Role::Gradient, &batch, &clock)?
        && let Some(one) = fault.unmet.first()
    {
        let at = place(one.origin.as_ref());
        let message = format!("the loss is {loss}: this does not hold: {} (required at {at})", one.text);
        return Err(Failure::new(format!("{message}; mend the input or the formula")));
    }
    weights::write(&arguments.output, &outputs.tensors())?;
    output::note(&format!("loss {}, gradients in `{}`", loss as f32, arguments.output.display()));
    Ok(())
}
