//! `nnc verify FILE --bisect`: the pass, and the one of its rewrites, that makes a result differ from its meaning.

use std::sync::Arc;

use nnc::Request;
use nnc::compile::{Step, compile_observed};
use nnc::elaborate::Bundle;
use nnc::ir::Graph;
use nnc::passes::{Culprit, Pipeline, Selection, bisect};
use nnc::program::artifact_selected;
use nnc::verify::{Meaning, Verifiable, verify};
use nnc_runtime::artifact::Role;
use nnc_runtime::{Batch, Clock, Device, Session};
use serde_json::json;

use crate::failure::Failure;
use crate::model::{self, ModelArguments};
use crate::output;
use crate::sample;

/// Searches each program of the request; ends with the first that is wrong.
pub(crate) fn run(
    arguments: &ModelArguments,
    bundle: &Arc<Bundle>,
    request: &Request,
    device: &Device,
    json: bool,
) -> Result<(), Failure> {
    let mut given: Vec<(Role, Graph)> = Vec::new();
    let checked = compile_observed(bundle, request, |role, step, graph| {
        if matches!(step, Step::Elaborated | Step::Differentiated) {
            given.retain(|(of, _)| *of != role);
            given.push((role, graph.clone()));
        }
    });
    let artifact = model::finish(checked, bundle, &arguments.settings)?.artifact;
    let seed = artifact.training.as_ref().map_or(0, |training| training.seed);
    for (role, graph) in given {
        let Some(batch) = sample::batch(&artifact, role) else { continue };
        let clock = Clock::single(seed, batch.examples as u64);
        let suspect = Suspect { bundle, device, role, graph, batch, clock };
        let (culprit, tries) = suspect.search()?;
        if json {
            output::line(&told_json(role, &culprit, tries).to_string());
        } else {
            output::line(&told(role, &culprit, tries, &arguments.file.to_string_lossy()));
        }
        if culprit != Culprit::Nothing {
            return Err(Failure::Wrong);
        }
    }
    Ok(())
}

/// A program before its passes, and what it is run on.
struct Suspect<'a> {
    bundle: &'a Bundle,
    device: &'a Device,
    role: Role,
    graph: Graph,
    batch: Batch,
    clock: Clock,
}

impl Suspect<'_> {
    /// What makes it wrong, and how many programs were run to find that.
    fn search(&self) -> Result<(Culprit, usize), Failure> {
        let (mut meaning, mut tries) = (None, 0);
        let culprit = bisect(&Pipeline::default(), |selection| {
            tries += 1;
            self.is_wrong(selection, &mut meaning)
        })?;
        Ok((culprit, tries))
    }

    fn is_wrong(&self, selection: &Selection, meaning: &mut Option<Meaning>) -> Result<bool, Failure> {
        let (sources, examples) = (self.bundle.sources(), self.batch.examples);
        let profile = self.device.profile();
        let (built, artifact) =
            artifact_selected(self.graph.clone(), sources, examples, self.role, profile, selection);
        let mut session = Session::open(&artifact, self.device)?;
        session.initialize(self.clock.seed)?;
        let known = match meaning.take() {
            Some(known) => known,
            None => Meaning::of(&self.graph, &session, self.role, &self.batch, &self.clock)?,
        };
        let change = meaning.insert(known).change_in(&built.graph);
        if let Some(change) = change {
            output::note(&format!("{}: `{}` is off by {:.1e}", self.role, change.name, change.error));
            return Ok(true);
        }
        let program = Verifiable { graph: &built.graph, lowered: &built.lowered, plan: &built.plan };
        let findings = verify(&mut session, &artifact, self.role, &program, &self.batch, &self.clock)?;
        let wrong = findings.iter().find(|finding| !finding.is_right());
        match wrong {
            Some(finding) => output::note(&format!(
                "{}: kernel {} (`{}`) is off by {:.1e}",
                self.role, finding.stage, finding.label, finding.error
            )),
            None => output::note(&format!("{}: right", self.role)),
        }
        Ok(wrong.is_some())
    }
}

fn told(role: Role, culprit: &Culprit, tries: usize, file: &str) -> String {
    match culprit {
        Culprit::Nothing => format!("{role}: right with all passes"),
        Culprit::Rest => format!(
            "{role}: wrong with every pass left out that can be: the fault is in the passes that kernels need, in the \
             kernels, in the plan or in the device; `nnc verify {file} --until {}:0` names the kernel",
            first_unit()
        ),
        Culprit::Unit { unit, rewrite, .. } => {
            let (name, before) = (&unit.name, rewrite - 1);
            format!(
                "{role}: wrong from rewrite {rewrite} of `{name}` on ({}), found in {tries} runs\n\
                 wrong: nnc verify {file} --until {name}:{rewrite}\n\
                 right: nnc verify {file} --until {name}:{before}\n\
                 shown: nnc dump optimized {file} --until {name}:{rewrite}{}",
                unit.about,
                changes(name)
            )
        }
    }
}

/// The option that shows what a run changes; the parts of passes change no graph.
fn changes(name: &str) -> String {
    let pipeline = Pipeline::default();
    let is_run = pipeline.runs().iter().any(|run| run.name == name);
    if is_run { format!(" --changes {name}") } else { String::new() }
}

fn first_unit() -> String {
    Pipeline::default().units().first().map_or_else(String::new, |unit| unit.name.clone())
}

fn told_json(role: Role, culprit: &Culprit, tries: usize) -> serde_json::Value {
    let (found, rewrite) = match culprit {
        Culprit::Nothing => ("nothing".to_owned(), None),
        Culprit::Rest => ("rest".to_owned(), None),
        Culprit::Unit { unit, rewrite, .. } => (unit.name.clone(), Some(*rewrite)),
    };
    json!({ "program": role.to_string(), "culprit": found, "rewrite": rewrite, "runs": tries })
}
