//! `nnc run FILE|ARTIFACT`: the model's outputs from its inputs, of one file or of as many as stdin names.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use nnc_runtime::artifact::{Artifact, Program, Role};
use nnc_runtime::artifact_file::ArtifactFile;
use nnc_runtime::session::{Fault, place};
use nnc_runtime::weight_source::WeightSource;
use nnc_runtime::{Clock, Device, Session, Tensor, format, weights};

use crate::budget::BudgetArguments;
use crate::device::DeviceArguments;
use crate::failure::Failure;
use crate::inputs::{self, Inputs};
use crate::model::{self, ModelArguments};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model's file, or an artifact.
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    budget: BudgetArguments,
    /// The weights; an artifact may hold them itself.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// A safetensors file with the model's inputs by name.
    #[arg(long, value_name = "FILE", required_unless_present = "requests")]
    input: Option<PathBuf>,
    /// The safetensors file to write, with the model's outputs by name.
    #[arg(long, value_name = "FILE", required_unless_present = "requests")]
    output: Option<PathBuf>,
    /// Each line of stdin names an input and an output, apart by a tab. The name of an output that is written goes to
    /// stdout, so that the next input may depend on it; device and model are opened once.
    #[arg(long, conflicts_with_all = ["input", "output"])]
    requests: bool,
    /// Examples computed at once.
    #[arg(long, value_parser = model::batch)]
    batch: Option<usize>,
}

/// The most examples computed at once where the command line does not say.
const BATCH: usize = 64;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let device = arguments.device.open()?;
    match (&arguments.input, &arguments.output) {
        (Some(input), Some(output)) => {
            let inputs = Inputs::open(input)?;
            let mut running = Running::open(arguments, &device, &inputs)?;
            let names = running.answer(&inputs, output)?;
            output::note(&format!("`{}`: {names}", output.display()));
            Ok(())
        }
        _ => answer_requests(arguments, &device),
    }
}

/// Answers the lines of stdin, one after the other.
fn answer_requests(arguments: &Arguments, device: &Device) -> Result<(), Failure> {
    let mut running = None;
    for (number, line) in (1..).zip(std::io::stdin().lock().lines()) {
        let line = line.map_err(|e| Failure::new(format!("line {number} of stdin cannot be read: {e}")))?;
        let Some((input, output)) = line.split_once('\t') else {
            return Err(Failure::new(format!(
                "line {number} of stdin names no input and output, apart by a tab: `{line}`"
            )));
        };
        let inputs = Inputs::open(Path::new(input))?;
        let running = match &mut running {
            Some(running) => running,
            none => none.insert(Running::open(arguments, device, &inputs)?),
        };
        running.answer(&inputs, Path::new(output))?;
        output::line(output);
    }
    Ok(())
}

/// A model on a device, with its weights.
struct Running {
    artifact: Artifact,
    session: Session,
}

impl Running {
    /// Compiled for as many examples at once as these inputs have, where the command line does not say.
    fn open(arguments: &Arguments, device: &Device, inputs: &Inputs) -> Result<Running, Failure> {
        let (artifact, held) = artifact(arguments, device, inputs)?;
        let mut session = Session::open_roles(&artifact, device, &[Role::Infer])?;
        session.initialize(artifact.training.as_ref().map_or(0, |t| t.seed))?;
        match (&arguments.weights, held) {
            (Some(path), _) => model::give_weights(&mut session, &artifact, path)?,
            (None, Some(held)) => session.take_weights(Box::new(held))?,
            (None, None) => {}
        }
        Ok(Running { artifact, session })
    }

    /// Writes the outputs of all examples; their names and shapes.
    fn answer(&mut self, inputs: &Inputs, output: &Path) -> Result<String, Failure> {
        let session = &mut self.session;
        let mut outputs: Vec<Tensor> = Vec::new();
        let program = session.program(Role::Infer)?;
        let examples = inputs.examples(&inputs::batched_names(program))?;
        let batches = inputs.batches(&self.artifact, program)?;
        check_whole(program, examples)?;
        let mut first = 0;
        for batch in batches {
            let batch = batch?;
            let clock = Clock::single(0, batch.examples as u64);
            let results = session.run(Role::Infer, &batch, &clock)?;
            if let Some(fault) = session.unmet(Role::Infer, &batch, &clock)? {
                return Err(unmet(&fault, first, batch.examples));
            }
            first += batch.examples;
            append(&mut outputs, results.tensors(), session.program(Role::Infer)?, batch.examples);
        }
        weights::write(output, &outputs)?;
        let names: Vec<String> = outputs.iter().map(|t| format!("{} {:?}", t.path, t.shape)).collect();
        Ok(names.join(", "))
    }
}

/// The artifact, and the file of its given values where those stay there.
fn artifact(
    arguments: &Arguments,
    device: &Device,
    inputs: &Inputs,
) -> Result<(Artifact, Option<ArtifactFile>), Failure> {
    let file = &arguments.model.file;
    if is_artifact(file)? {
        return compiled(arguments);
    }
    let bundle = arguments.model.load()?;
    let batch = match arguments.batch {
        Some(batch) => batch,
        None => inputs.examples(&bundle.batched_inputs())?.min(BATCH),
    };
    let request = arguments.model.request(device.profile(), &[Role::Infer], Some(batch));
    let request = arguments.budget.apply(request);
    let artifact =
        model::finish(nnc::compile(&bundle, &request), &bundle, &arguments.model.settings)?.artifact;
    if arguments.weights.is_none() && artifact.tensors.iter().any(weights::is_saved) {
        return Err(Failure::new("`--weights` is missing: a model's file holds none"));
    }
    Ok((artifact, None))
}

/// What the model requires and these examples do not keep.
fn unmet(fault: &Fault, first: usize, examples: usize) -> Failure {
    let texts: Vec<String> = fault
        .unmet
        .iter()
        .map(|one| format!("{} (required at {})", one.text, place(one.origin.as_ref())))
        .collect();
    let which = if texts.len() == 1 { "this does not hold" } else { "one of these does not hold" };
    let last = first + examples - 1;
    Failure::new(format!("the examples {first} to {last}: {which}: {}; mend the input", texts.join("; ")))
}

/// The artifact as it was built, which must hold weights if none are given.
fn compiled(arguments: &Arguments) -> Result<(Artifact, Option<ArtifactFile>), Failure> {
    let file = arguments.model.file.display();
    let given = arguments.batch.map(|_| "--batch").or(arguments.budget.given());
    let given = given.or(arguments.model.settings.given());
    if let Some(name) = given {
        return Err(Failure::new(format!(
            "`{name}` is for a model's file: `{file}` is compiled; use it with `nnc build`"
        )));
    }
    let opened = ArtifactFile::open(&arguments.model.file);
    let (artifact, held) = opened.map_err(|e| Failure::new(format!("`{file}`: {e}")))?;
    let mut saved = artifact.tensors.iter().filter(|tensor| weights::is_saved(tensor));
    if arguments.weights.is_none() && saved.any(|tensor| !held.has(&tensor.path)) {
        return Err(Failure::new(format!(
            "`{file}` holds no weights; give `--weights`, or build it with `--weights`"
        )));
    }
    Ok((artifact, Some(held)))
}

fn is_artifact(file: &Path) -> Result<bool, Failure> {
    use std::io::Read;
    let mut start = Vec::new();
    let opened = std::fs::File::open(file).map_err(|e| Failure::file(file, &e))?;
    opened.take(4).read_to_end(&mut start).map_err(|e| Failure::file(file, &e))?;
    Ok(start == format::MAGIC)
}

/// Outputs that are not one for each example can be computed for a whole batch only.
fn check_whole(program: &Program, examples: usize) -> Result<(), Failure> {
    match program.outputs.iter().find(|port| !port.batched) {
        Some(port) if examples != program.batch => Err(Failure::new(format!(
            "the output `{}` is one for a whole batch: the input has {examples} examples, the batch is {}; use `--batch {examples}`",
            port.name, program.batch
        ))),
        _ => Ok(()),
    }
}

/// Adds the first `examples` examples of each batched output to what there is; others are replaced.
fn append(outputs: &mut Vec<Tensor>, results: Vec<Tensor>, program: &Program, examples: usize) {
    for (place, (mut result, port)) in results.into_iter().zip(&program.outputs).enumerate() {
        if port.batched {
            let size = result.bytes.len() / program.batch;
            result.bytes.truncate(size * examples);
            result.shape[0] = examples;
        }
        match outputs.get_mut(place) {
            Some(output) if port.batched => {
                output.shape[0] += examples;
                output.bytes.extend(result.bytes);
            }
            Some(output) => *output = result,
            None => outputs.push(result),
        }
    }
}
