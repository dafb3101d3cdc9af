//! The `nnc` command: the only place that prints, reads arguments and touches files.
//!
//! Data goes to stdout, everything else to stderr. Exit code 0: done. 1: the model has errors, or a check failed.
//! 2: anything else, with one line on stderr.

mod bench;
mod bisect;
mod budget;
mod build;
mod check;
mod device;
mod devices;
mod dump;
mod environment;
mod eval;
mod explain;
mod failure;
mod fmt;
mod grad;
mod inputs;
mod model;
mod output;
mod passes;
mod per_example;
mod progress;
mod run;
mod sample;
mod show;
mod snapshot;
mod train;
mod verify;
mod weights;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use failure::Failure;

/// Compiles a text file that describes a neural network to compute shaders, trains it and runs it.
#[derive(Debug, Parser)]
#[command(name = "nnc", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says everything that is wrong with models, without a device.
    Check(check::Arguments),
    /// Compiles a model to one artifact file.
    Build(build::Arguments),
    /// Trains a model as its `train` block says.
    Train(train::Arguments),
    /// Measures loss and metrics on a part of the data.
    Eval(eval::Arguments),
    /// Computes a model's outputs.
    Run(run::Arguments),
    /// Computes the loss and the gradient of every weight for one batch.
    Grad(grad::Arguments),
    /// Measures the time of a step.
    Bench(bench::Arguments),
    /// Compares every kernel with its meaning on this device.
    Verify(verify::Arguments),
    /// Prints what a model becomes on its way.
    Dump(dump::Arguments),
    /// Prints the layer table, or a definition of the standard library.
    Show(show::Arguments),
    /// Explains a diagnostic by its code.
    Explain(explain::Arguments),
    /// Writes files in their canonical layout.
    Fmt(fmt::Arguments),
    /// Writes what a model becomes beside it as text, or checks that it is still so.
    Snapshot(snapshot::Arguments),
    /// Lists the weights of a model.
    Weights(weights::Arguments),
    /// Lists the adapters of this machine.
    Devices(devices::Arguments),
}

impl Command {
    /// Whether it is asked for JSON on stdout.
    fn answers_in_json(&self) -> bool {
        match self {
            Command::Check(arguments) => arguments.json,
            Command::Build(arguments) => arguments.json,
            Command::Train(arguments) => arguments.json,
            Command::Eval(arguments) => arguments.json,
            Command::Bench(arguments) => arguments.json,
            Command::Verify(arguments) => arguments.json,
            Command::Show(arguments) => arguments.json,
            Command::Explain(arguments) => arguments.json,
            Command::Weights(arguments) => arguments.json,
            Command::Devices(arguments) => arguments.json,
            Command::Run(_)
            | Command::Grad(_)
            | Command::Dump(_)
            | Command::Fmt(_)
            | Command::Snapshot(_) => false,
        }
    }
}

/// The arguments; where one is unknown that is a setting of the file, how that is replaced.
fn arguments() -> Arguments {
    Arguments::try_parse().unwrap_or_else(|mut error| {
        let unknown = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(name)) if error.kind() == ErrorKind::UnknownArgument => name.clone(),
            _ => error.exit(),
        };
        if let Some(path) = nnc::elaborate::setting_path(unknown.trim_start_matches('-')) {
            let tip = format!("a setting of the file is replaced by `--set {path}=..`");
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        error.exit()
    })
}

fn main() -> ExitCode {
    environment::quiet_device_selection();
    let command = arguments().command;
    let json = command.answers_in_json();
    let result = match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Grad(arguments) => grad::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Dump(arguments) => dump::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Fmt(arguments) => fmt::run(&arguments),
        Command::Snapshot(arguments) => snapshot::run(&arguments),
        Command::Weights(arguments) => weights::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Wrong) => ExitCode::from(1),
        Err(Failure::Mistakes(said)) => {
            said.iter().for_each(|one| one.print(json));
            ExitCode::from(1)
        }
        Err(Failure::Stopped(message)) => {
            let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
            output::note(&format!("error: {}", lines.collect::<Vec<_>>().join("; ")));
            ExitCode::from(2)
        }
    }
}
