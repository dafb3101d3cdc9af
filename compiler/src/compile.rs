//! From a model's file to its artifact: the steps of the crate in order.

use std::sync::Arc;

use nnc_runtime::artifact::{Artifact, Role, StoredKind, Training};
use nnc_wgsl::Profile;

use crate::assemble::KernelTable;
use crate::diagnostic::{Checked, Diagnostic, Findings};
use crate::elaborate::{Bundle, Elaborated, Expansion, Row, elaborate, only_in_use};
use crate::ir::{Graph, NodeId, StoredTensor};
use crate::meaning::{add_step, meaning};
use crate::passes::Selection;
use crate::plan::{ALIGNMENT, Reading, Storage, least, readings};
use crate::program::{Built, Workshop};
use crate::source::Span;
use crate::update;

pub use crate::program::Step;

/// What is to be compiled.
#[derive(Clone, Debug)]
pub struct Request {
    /// The kind of device.
    pub profile: Profile,
    /// The programs wanted, each at most once.
    pub roles: Vec<Role>,
    /// The model; without it that of the last `train`, else the last model.
    pub model: Option<String>,
    /// The batch size; without it that of `train`, for inference 1.
    pub batch: Option<usize>,
    /// Free dims by name.
    pub dims: Vec<(String, usize)>,
    /// In what precision values are stored; without it as `train` says, and for use in `f32`.
    pub precision: Option<Precision>,
    /// Whether the examples that the file names are to be read: then what no reader can do is an error.
    pub reads_data: bool,
    /// Which rewrites the passes make.
    pub selection: Selection,
    /// The most bytes of weights that evaluation and inference may have on the device at a time.
    pub weight_budget: Option<u64>,
}

impl Request {
    /// These programs of the file's last model, with the sizes the file states.
    #[must_use]
    pub fn new(profile: Profile, roles: &[Role]) -> Request {
        let roles = roles.to_vec();
        Request {
            profile,
            roles,
            model: None,
            batch: None,
            dims: Vec::new(),
            precision: None,
            reads_data: false,
            selection: Selection::default(),
            weight_budget: None,
        }
    }
}

/// In what precision values between kernels are stored. Kernels compute and sum in `f32`, and weights are `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// All in `f32`.
    F32,
    /// A training step in `f16`, with a loss scale; evaluation and use in `f32`.
    Mixed,
    /// The training step as in `Mixed`, evaluation and use in `f16` too.
    F16,
}

/// A compiled model.
#[derive(Debug)]
pub struct Compiled {
    /// What is written to a file and executed.
    pub artifact: Artifact,
    /// The programs with all they were made through, in the order of the artifact's.
    pub programs: Vec<Built>,
    /// Memory that outlives a step.
    pub storage: Storage,
    /// The layer table of the first program.
    pub rows: Vec<Row>,
}

/// Compiles the model. The value is absent after an error.
#[must_use]
pub fn compile(bundle: &Arc<Bundle>, request: &Request) -> Checked<Option<Compiled>> {
    compile_observed(bundle, request, |_, _, _| {})
}

/// [`compile`], with every graph shown to `observe` on its way.
pub fn compile_observed(
    bundle: &Arc<Bundle>,
    request: &Request,
    mut observe: impl FnMut(Role, &Step<'_>, &Graph),
) -> Checked<Option<Compiled>> {
    let mut found = Findings::default();
    let mut prepared: Vec<Prepared> = Vec::new();
    let mut stored: Vec<StoredTensor> = Vec::new();
    for &role in &ordered(&request.roles) {
        let Checked { value, diagnostics } = prepare(bundle, request, role, &stored, &mut observe);
        found.extend(diagnostics);
        match value {
            Some(next) => {
                stored.clone_from(&next.graph.stored);
                prepared.push(next);
            }
            None => return Checked { value: None, diagnostics: found.finish() },
        }
    }
    let regions = prepared.iter().map(|p| &p.graph).find(|g| !g.regions.is_empty());
    let regions = regions.map(|g| g.regions.clone()).unwrap_or_default();
    let weight_budget = request.weight_budget.filter(|budget| *budget < weight_bytes(&stored));
    let mut workshop = Workshop {
        profile: &request.profile,
        sources: bundle.sources(),
        storage: Storage::new(&stored, &regions, weight_budget.is_some()),
        selection: request.selection.clone(),
        weight_budget,
        kernels: KernelTable::default(),
    };
    let (mut programs, mut built) = (Vec::new(), Vec::new());
    let (mut model, mut training, mut rows) = (String::new(), None, Vec::new());
    for next in prepared {
        let Prepared { role, mut graph, batch, .. } = next;
        graph.stored.clone_from(&stored);
        let show = |step: &Step<'_>, graph: &Graph| observe(role, step, graph);
        let (made, program) = workshop.build(graph, role, batch, next.memory, show);
        if let Some(limit) = next.memory
            && let Some(diagnostic) = over_budget(&made, workshop.bytes(&made), limit, next.span)
        {
            found.add(diagnostic);
        }
        if let Some(budget) = weight_budget.filter(|_| matches!(role, Role::Evaluate | Role::Infer))
            && let Some(diagnostic) = over_weight_budget(&made, budget, bundle.definition_span(&next.model))
        {
            found.add(diagnostic);
        }
        programs.push(program);
        built.push(made);
        model = next.model;
        training = training.or(next.training);
        if rows.is_empty() {
            rows = next.rows;
        }
    }
    if found.has_errors() {
        return Checked { value: None, diagnostics: found.finish() };
    }
    let storage = workshop.storage;
    let artifact = Artifact {
        compiler: env!("CARGO_PKG_VERSION").to_owned(),
        model,
        profile: request.profile.clone(),
        kernels: workshop.kernels.kernels.into_values(),
        works: workshop.kernels.works.into_values(),
        regions: storage.regions.clone(),
        tensors: storage.tensors.clone(),
        programs,
        training,
        values: Arc::default(),
    };
    let compiled = Compiled { artifact, programs: built, storage, rows };
    Checked { value: Some(compiled), diagnostics: found.finish() }
}

/// Training first: it knows all weights and their order.
fn ordered(roles: &[Role]) -> Vec<Role> {
    let order = [Role::Train, Role::Gradient, Role::Evaluate, Role::Infer];
    order.into_iter().filter(|role| roles.contains(role)).collect()
}

/// A graph that is ready for the passes.
struct Prepared {
    role: Role,
    graph: Graph,
    batch: usize,
    model: String,
    training: Option<Training>,
    rows: Vec<Row>,
    /// The most bytes the step may take.
    memory: Option<u64>,
    /// Where that is written.
    span: Option<Span>,
}

/// Expands the model for one role, with its gradients and its update.
fn prepare(
    bundle: &Arc<Bundle>,
    request: &Request,
    role: Role,
    stored: &[StoredTensor],
    observe: &mut impl FnMut(Role, &Step<'_>, &Graph),
) -> Checked<Option<Prepared>> {
    let expansion = match role {
        Role::Train | Role::Gradient => Expansion::Training,
        Role::Evaluate => Expansion::Evaluation,
        Role::Infer => Expansion::Inference,
    };
    let wanted = crate::elaborate::Request {
        model: request.model.clone(),
        expansion,
        batch: request.batch,
        dims: request.dims.clone(),
        stored: stored.to_vec(),
    };
    let Checked { value, mut diagnostics } = elaborate(bundle, &wanted);
    let Some(mut elaborated) = value else { return Checked { value: None, diagnostics } };
    if matches!(role, Role::Evaluate | Role::Infer) {
        if request.roles.contains(&Role::Train) {
            diagnostics.extend(only_in_use(&elaborated, stored.len()));
        }
        update::use_averages(&mut elaborated.graph);
    }
    observe(role, &Step::Elaborated, &elaborated.graph);
    let before = (role == Role::Train).then(|| meaning(bundle, &elaborated.graph));
    if request.reads_data {
        diagnostics.extend(elaborated.unread.iter().cloned());
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Checked { value: None, diagnostics };
        }
    }
    if role != Role::Infer && elaborated.loss.is_none() {
        let span = bundle.definition_span(&elaborated.model);
        let message = "the file has no `train` for this model, or one without a loss";
        let missing = Diagnostic::error("E0505", message, span)
            .help("add `train NAME on DATA { batch = ..; loss = ..; optimizer = .. }`");
        diagnostics.push(missing);
        return Checked { value: None, diagnostics };
    }
    let narrow = is_narrow(request, role, elaborated.settings.is_mixed());
    let has_halves = request.profile.f16;
    if narrow && !has_halves {
        let span = elaborated.settings.precision_span;
        let span = span.unwrap_or_else(|| bundle.definition_span(&elaborated.model));
        diagnostics.push(in_f32_after_all(&request.profile, span));
    }
    elaborated.graph.narrow = narrow && has_halves;
    elaborated.settings.precision = Some(if narrow && has_halves { "mixed" } else { "f32" }.to_owned());
    if matches!(role, Role::Train | Role::Gradient) {
        diagnostics.extend(update::training_step(&mut elaborated, role));
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Checked { value: None, diagnostics };
        }
        observe(role, &Step::Differentiated, &elaborated.graph);
    }
    if let (Some(before), Some(training)) = (before, &mut elaborated.training) {
        training.meaning = add_step(before, &elaborated.graph);
    }
    let Elaborated { graph, batch, model, training, rows, settings, .. } = elaborated;
    let memory = settings.memory.filter(|_| role == Role::Train);
    let span = settings.memory_span;
    let prepared = Prepared { role, graph, batch, model, training, rows, memory, span };
    Checked { value: Some(prepared), diagnostics }
}

/// Whether a program is asked to store values in `f16`; `mixed` is what `train` says.
fn is_narrow(request: &Request, role: Role, mixed: bool) -> bool {
    match role {
        Role::Train => request.precision.map_or(mixed, |precision| precision != Precision::F32),
        Role::Evaluate | Role::Infer => request.precision == Some(Precision::F16),
        Role::Gradient => false,
    }
}

fn in_f32_after_all(profile: &Profile, span: Span) -> Diagnostic {
    let message = format!("`{}` has no f16: values are stored in f32", profile.name);
    Diagnostic::warning("W0503", message, span)
        .fact("f16 is asked for here")
        .help("compile for a device that has it, or take f32")
}

/// The bytes of all weights, each with the room it takes in device memory.
fn weight_bytes(stored: &[StoredTensor]) -> u64 {
    let weights = stored.iter().filter(|tensor| tensor.kind == StoredKind::Weight);
    weights.map(|tensor| (tensor.ty.bytes() as u64).next_multiple_of(ALIGNMENT)).sum()
}

/// A diagnostic where one kernel of a program reads more weights than may be on the device at a time, with the largest
/// of them by line.
fn over_weight_budget(built: &Built, budget: u64, model: Span) -> Option<Diagnostic> {
    let mut readings = readings(&built.graph, &built.lowered);
    let (stage, least) = least(&readings).filter(|(_, least)| *least > budget)?;
    readings.retain(|reading| reading.stages.contains(&stage));
    readings.sort_by_key(|reading| (std::cmp::Reverse(reading.bytes), reading.stored));
    let largest = &readings[0];
    let path = |reading: &Reading| built.graph.stored[reading.stored.0].path.clone();
    let of = |reading: &Reading| built.graph.node(reading.nodes[0]).origin.spans.first().copied();
    let message = "the weights of one kernel do not fit into `--weight-budget`";
    let mut diagnostic = Diagnostic::error("E0509", message, of(largest).unwrap_or(model)).fact(format!(
        "`{}` reads {least} bytes of weights at once, {} of them `{}`, and {budget} are allowed",
        built.lowered.stages[stage].label,
        largest.bytes,
        path(largest),
    ));
    for reading in readings.iter().skip(1).take(4) {
        if let Some(at) = of(reading) {
            diagnostic = diagnostic.label(at, format!("`{}` takes {} bytes", path(reading), reading.bytes));
        }
    }
    Some(
        diagnostic
            .help(format!("`--weight-budget {least}` is the least that will do; smaller layers need less")),
    )
}

/// A diagnostic where a training step takes more memory, in bytes, than the file allows, with the largest tensors by
/// line.
fn over_budget(built: &Built, taken: u64, limit: u64, span: Option<Span>) -> Option<Diagnostic> {
    if taken <= limit {
        return None;
    }
    let mut largest: Vec<NodeId> = built.plan.alive.keys().copied().collect();
    largest.sort_by_key(|id| (std::cmp::Reverse(built.graph.stored_bytes(*id)), *id));
    let again = built.graph.nodes().into_iter().filter(|id| built.graph.node(*id).again).count();
    let mut diagnostic =
        Diagnostic::error("E0509", "the step does not fit into `memory`", span.unwrap_or_default()).fact(
            format!("it takes {taken} bytes, {limit} are allowed, and {again} values are computed again"),
        );
    for id in largest.into_iter().take(5) {
        let node = built.graph.node(id);
        if let Some(&at) = node.origin.spans.first() {
            diagnostic =
                diagnostic.label(at, format!("{} takes {} bytes", node.ty, built.graph.stored_bytes(id)));
        }
    }
    Some(diagnostic.help("a smaller `batch` takes less"))
}
