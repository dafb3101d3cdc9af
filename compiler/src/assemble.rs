//! Programs as the artifact holds them: every launch with its parameters, bindings and grid.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Range;

use nnc_runtime::artifact::{Area, Dispatch, Location, Program, Requirement, Role, Step, Written};
use nnc_wgsl::schedule::Spec;
use nnc_wgsl::{Element, Kernel, Profile, Slot};

use crate::bind::{BoundLaunch, bind};
use crate::ir::{Graph, NodeId};
use crate::lower::{Lowered, Work};
use crate::plan::Plan;
use crate::source::Sources;

/// The distinct kernels of an artifact, and what they compute, each in the order they were met.
#[derive(Clone, Debug, Default)]
pub struct KernelTable {
    /// The kernels.
    pub kernels: Distinct<Kernel>,
    /// The specifications.
    pub works: Distinct<Spec>,
}

/// Values that are there once each.
#[derive(Clone, Debug)]
pub struct Distinct<T> {
    values: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Distinct { values: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Distinct<T> {
    fn place(&mut self, value: &T) -> usize {
        if let Some(&place) = self.places.get(value) {
            return place;
        }
        self.values.push(value.clone());
        self.places.insert(value.clone(), self.values.len() - 1);
        self.values.len() - 1
    }

    /// All of them, in the order they were met.
    #[must_use]
    pub fn into_values(self) -> Vec<T> {
        self.values
    }
}

/// What all launches of a program bind, in order.
///
/// # Panics
/// If a launch binds a value without memory: our bug.
#[must_use]
pub fn bindings(lowered: &Lowered, plan: &Plan, profile: &Profile) -> Vec<BoundLaunch> {
    let mut bound = Vec::new();
    for (number, stage) in lowered.stages.iter().enumerate() {
        for (place, work) in stage.work.iter().enumerate() {
            for launch in &work.schedule.launches {
                let areas: Vec<Option<Area>> =
                    launch.slots.iter().map(|&slot| plan.area(lowered, number, place, slot)).collect();
                bound.push(bind(launch, &areas, profile));
            }
        }
    }
    bound
}

/// The program of a graph that was lowered, planned and [bound](bindings).
///
/// # Panics
/// If `bound` has not one entry for each launch.
#[must_use]
#[allow(clippy::too_many_arguments)]
pub fn assemble(
    graph: &Graph,
    lowered: &Lowered,
    plan: &Plan,
    bound: Vec<BoundLaunch>,
    role: Role,
    batch: usize,
    sources: &Sources,
    kernels: &mut KernelTable,
) -> Program {
    let mut dispatches = Vec::with_capacity(bound.len());
    let mut steps = Vec::new();
    let mut bound = bound.into_iter();
    let mut first = Vec::with_capacity(lowered.stages.len());
    for (number, stage) in lowered.stages.iter().enumerate() {
        first.push(dispatches.len());
        let written: Vec<NodeId> = stage.work.iter().flat_map(|w| w.writes.iter().copied()).collect();
        let first = written.first().copied().unwrap_or(stage.cluster.members[0]);
        let origin = &graph.node(first).origin;
        let label = match origin.path.as_str() {
            "" => stage.label.clone(),
            path => format!("{}  {path}", stage.label),
        };
        let requires = requirements(graph, &stage.cluster.members, sources);
        for (place, work) in stage.work.iter().enumerate() {
            let begin = dispatches.len();
            for launch in &work.schedule.launches {
                let BoundLaunch { kernel, params, bindings, .. } =
                    bound.next().expect("every launch has been bound");
                let writes = launch.slots.iter().filter_map(|slot| match slot {
                    Slot::Write(k) if graph.ty(work.writes[*k]).element == Element::F32 => {
                        let area = plan.area(lowered, number, place, *slot)?;
                        let element = graph.stored_element(work.into[*k]);
                        Some(Written { area, element, what: describe(graph, work.writes[*k]) })
                    }
                    _ => None,
                });
                dispatches.push(Dispatch {
                    kernel: kernels.kernels.place(&kernel),
                    params,
                    bindings,
                    workgroups: launch.workgroups,
                    label: label.clone(),
                    origin: location(graph, first, sources),
                    writes: writes.collect(),
                    requires: requires.clone(),
                });
            }
            let area = |slot: Slot| plan.area(lowered, number, place, slot);
            steps.push(step(work, kernels.works.place(&work.spec), begin..dispatches.len(), area));
        }
    }
    Program {
        role,
        batch,
        inputs: plan.inputs.clone(),
        outputs: plan.outputs.clone(),
        input_bytes: plan.input_bytes,
        output_bytes: plan.output_bytes,
        arenas: plan.arenas.clone(),
        windows: Some(plan.windows.bytes).filter(|bytes| *bytes > 0).into_iter().collect(),
        loads: plan.windows.loads(&first),
        scalars: lowered.hosts.clone().into_scalars(),
        settled: first.get(lowered.settled).copied().unwrap_or(dispatches.len()),
        dispatches,
        steps,
        copies: plan.copies.clone(),
    }
}

/// A work on its memory; what no launch binds is not read.
fn step(work: &Work, spec: usize, dispatches: Range<usize>, area: impl Fn(Slot) -> Option<Area>) -> Step {
    let bound: BTreeSet<usize> = work
        .schedule
        .launches
        .iter()
        .flat_map(|launch| &launch.slots)
        .filter_map(|slot| if let Slot::Read(k) = slot { Some(*k) } else { None })
        .collect();
    let read = |k: usize| if bound.contains(&k) { area(Slot::Read(k)) } else { None };
    Step {
        work: spec,
        reads: (0..work.reads.len()).map(read).collect(),
        writes: (0..work.writes.len()).filter_map(|k| area(Slot::Write(k))).collect(),
        dispatches,
    }
}

/// What the formulas of these nodes require, each said once.
fn requirements(graph: &Graph, members: &[NodeId], sources: &Sources) -> Vec<Requirement> {
    let mut found: Vec<Requirement> = Vec::new();
    for &id in members {
        let Some(text) = &graph.node(id).origin.requires else { continue };
        let requirement = Requirement { text: text.to_string(), origin: location(graph, id, sources) };
        if !found.contains(&requirement) {
            found.push(requirement);
        }
    }
    found
}

/// A value for people: `conv in layer1.0`.
fn describe(graph: &Graph, id: NodeId) -> String {
    let label = graph.operator(id).map(|op| op.label()).unwrap_or_default();
    let name = label.split('{').next().unwrap_or_default();
    match graph.node(id).origin.path.as_str() {
        "" => name.to_owned(),
        path => format!("{name} in {path}"),
    }
}

/// Where the value stands in the text.
#[must_use]
pub fn location(graph: &Graph, id: NodeId, sources: &Sources) -> Option<Location> {
    let span = *graph.node(id).origin.spans.first()?;
    let source = sources.source(span.file);
    let (line, column) = source.position(span.start);
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some(Location { file: source.path().to_owned(), line: word(line), column: word(column) })
}
