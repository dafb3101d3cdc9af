//! `nnc check`: everything that can be said about a file without a device, and without making kernels.

use std::sync::Arc;

use nnc_runtime::artifact::{Data, Role};

use crate::compile::{Request, compile};
use crate::diagnostic::{Checked, Diagnostic, Findings, Severity};
use crate::elaborate::{self, Bundle, Elaborated, Expansion, Subject};
use crate::update::training_step;

/// The most models of a file.
const MODELS: usize = 256;

/// The diagnostics of every model of the file in every expansion that it has, and of its training step. Kernels are
/// made only where the file promises to keep within a `memory`. The roles of the request do not matter.
#[must_use]
pub fn check(bundle: &Arc<Bundle>, request: &Request) -> Vec<Diagnostic> {
    examine(bundle, request).diagnostics
}

/// As [`check`], with the data that the models are trained on, whose files [`look_into`](crate::look_into) holds
/// against it; none after an error, nor data that no reader of this version reads.
#[must_use]
pub fn examine(bundle: &Arc<Bundle>, request: &Request) -> Checked<Vec<Data>> {
    let mut found = Findings::default();
    let mut data: Vec<Data> = Vec::new();
    let mut last_step = None;
    let mut subjects = elaborate::subjects(bundle, &request.dims);
    if let Some(name) = &request.model
        && subjects.iter().all(|subject| subject.model.as_ref() != Some(name))
    {
        subjects.push(Subject { model: Some(name.clone()), dims: request.dims.clone(), trained: false });
    }
    if let Some(one_too_many) = subjects.get(MODELS) {
        let name = one_too_many.model.as_deref().unwrap_or("");
        let message = format!("this file has {} models", subjects.len());
        let diagnostic = Diagnostic::error("E0213", message, bundle.definition_span(name));
        found.add(diagnostic.fact(format!("at most {MODELS} can stand in one file")));
        return Checked { value: data, diagnostics: found.finish() };
    }
    let mut left = elaborate::WORK_OF_A_FILE;
    for subject in &subjects {
        let step = expanded(bundle, subject, &mut left, &mut found);
        let readable = step.as_ref().filter(|step| step.unread.is_empty());
        let read = readable.and_then(|step| step.training.as_ref()).map(|training| &training.data);
        data.extend(read.filter(|read| data.iter().all(|known| known.name != read.name)).cloned());
        last_step = step.or(last_step);
    }
    found.extend(elaborate::items(bundle, &request.dims));
    let clean = !found.has_errors();
    found.extend(elaborate::lints(bundle, clean));
    if let Some(step) = last_step
        && !found.has_errors()
    {
        found.extend(step.unread.into_iter().map(not_read));
        if !found.has_errors() && step.settings.memory.is_some() {
            let request = Request { roles: vec![Role::Train], ..request.clone() };
            found.extend(compile(bundle, &request).diagnostics);
        }
    }
    if found.has_errors() {
        data.clear();
    }
    Checked { value: data, diagnostics: found.finish() }
}

/// Adds what the expansions of one model show; what its training step comes to, where it has one.
fn expanded(
    bundle: &Arc<Bundle>,
    subject: &Subject,
    left: &mut usize,
    found: &mut Findings,
) -> Option<Elaborated> {
    let mut step = None;
    let mut stored = Vec::new();
    let mut expansions = subject.expansions().to_vec();
    while !expansions.is_empty() {
        let expansion = expansions.remove(0);
        let known = stored.len();
        let (model, dims) = (subject.model.clone(), subject.dims.clone());
        let request = elaborate::Request { model, expansion, batch: None, dims, stored };
        let checked = elaborate::elaborate_within(bundle, &request, left);
        found.extend(checked.diagnostics);
        stored = request.stored;
        // The same mistakes would be found again: the expansions of one model differ in little.
        let Some(mut elaborated) = checked.value else { break };
        stored.clone_from(&elaborated.graph.stored);
        if subject.trained && expansion != Expansion::Training {
            found.extend(elaborate::only_in_use(&elaborated, known));
        }
        if !subject.trained && expansion == Expansion::Inference && elaborated.differs_in_training {
            expansions.push(Expansion::Training);
        }
        if expansion == Expansion::Training && !elaborated.groups.is_empty() {
            found.extend(training_step(&mut elaborated, Role::Train));
            step = Some(elaborated);
        }
    }
    step
}

/// What this version leaves out as a warning: the model is right, and can be built and measured.
fn not_read(diagnostic: Diagnostic) -> Diagnostic {
    if diagnostic.code == "E0508" {
        Diagnostic { code: "W0504", severity: Severity::Warning, ..diagnostic }
    } else {
        diagnostic
    }
}
