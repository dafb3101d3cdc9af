//! One program: from a graph to dispatches.

use std::sync::Arc;

use nnc_runtime::artifact::{Artifact, Program, Role};
use nnc_wgsl::Profile;

use crate::assemble::{KernelTable, assemble, bindings};
use crate::bind::BoundLaunch;
use crate::ir::Graph;
use crate::lower::{Lowered, lower};
use crate::passes::{self, Moment, Pipeline, Run, Selection};
use crate::plan::{Plan, Storage, plan};
use crate::recompute::recompute;
use crate::source::Sources;

/// How often a choice of what is computed again is held against its plan.
const ATTEMPTS: usize = 6;

/// A graph on its way.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// After elaboration.
    Elaborated,
    /// After the gradients and the update were added.
    Differentiated,
    /// Before a pass.
    Before(&'a Run),
    /// After a pass.
    Optimized(&'a Run),
    /// After its kernels were made.
    Lowered,
    /// After its memory was planned.
    Planned,
    /// After its launches were put together.
    Assembled,
}

/// A program and everything it was made through.
#[derive(Clone, Debug)]
pub struct Built {
    /// What it is for.
    pub role: Role,
    /// The optimized graph, with clusters.
    pub graph: Graph,
    /// Its kernels.
    pub lowered: Lowered,
    /// Its memory.
    pub plan: Plan,
}

/// What the programs of one artifact share while they are built.
#[derive(Debug)]
pub struct Workshop<'a> {
    /// The kind of device.
    pub profile: &'a Profile,
    /// The texts that origins point into.
    pub sources: &'a Sources,
    /// Memory that outlives a step.
    pub storage: Storage,
    /// Which rewrites are made.
    pub selection: Selection,
    /// The most bytes of weights that programs of use may have on the device at a time, where they load them.
    pub weight_budget: Option<u64>,
    /// The kernels met so far.
    pub kernels: KernelTable,
}

impl Workshop<'_> {
    /// Optimizes, lowers, plans and assembles a graph; `observe` sees it on its way. Where kernels that bind the
    /// arenas as a whole do not fit the profile, all of it is done again with a buffer for every value. A training step
    /// computes large values again instead of keeping them, more of them where `limit`, the most bytes of device
    /// memory, asks for it; whether it is kept is for the caller to see.
    pub fn build(
        &mut self,
        mut graph: Graph,
        role: Role,
        batch: usize,
        limit: Option<u64>,
        mut observe: impl FnMut(&Step<'_>, &Graph),
    ) -> (Built, Program) {
        let given = passes::may_share(self.profile).then(|| graph.clone());
        self.optimize(&mut graph, &mut observe);
        let (mut built, mut bound) = self.bound(graph, role, limit, &mut observe);
        if let Some(mut graph) = given.filter(|_| !bound.iter().all(|launch| launch.fits)) {
            graph.apart = true;
            self.optimize(&mut graph, &mut observe);
            (built, bound) = self.bound(graph, role, limit, &mut observe);
        }
        let Built { graph, lowered, plan, .. } = &built;
        let program = assemble(graph, lowered, plan, bound, role, batch, self.sources, &mut self.kernels);
        observe(&Step::Assembled, graph);
        (built, program)
    }

    fn optimize(&self, graph: &mut Graph, observe: &mut impl FnMut(&Step<'_>, &Graph)) {
        Pipeline::default().run(graph, self.profile, &self.selection, |moment, graph| match moment {
            Moment::Before(run) => observe(&Step::Before(run), graph),
            Moment::After(run) => observe(&Step::Optimized(run), graph),
        });
    }

    /// The kernels and the memory of an optimized graph, within the limit if they can be, and what each launch binds.
    fn bound(
        &mut self,
        graph: Graph,
        role: Role,
        limit: Option<u64>,
        observe: &mut impl FnMut(&Step<'_>, &Graph),
    ) -> (Built, Vec<BoundLaunch>) {
        let mut built = self.planned(graph, role, observe);
        if matches!(role, Role::Train | Role::Gradient) {
            built = self.within(built, limit, observe);
        }
        let bound = bindings(&built.lowered, &built.plan, self.profile);
        (built, bound)
    }

    /// A step that computes again what it need not keep. The plan is close to what the choice foresees, and where it
    /// takes more, the choice aims lower.
    fn within(
        &mut self,
        kept: Built,
        limit: Option<u64>,
        observe: &mut impl FnMut(&Step<'_>, &Graph),
    ) -> Built {
        let arenas = |built: &Built| built.plan.arenas.iter().sum::<u64>();
        let elsewhere = self.bytes(&kept) - arenas(&kept);
        let allowed = limit.map(|limit| limit.saturating_sub(elsewhere));
        let (mut best, mut aim) = (None, allowed);
        for _ in 0..ATTEMPTS {
            let Some(mut graph) = recompute(&kept.graph, &kept.lowered, &kept.plan, aim) else { break };
            passes::form_kernels(&mut graph, self.profile, &self.selection);
            let built = self.planned(graph, kept.role, observe);
            let taken = arenas(&built);
            if taken < best.as_ref().map_or(arenas(&kept), arenas) {
                best = Some(built);
            }
            let Some(allowed) = allowed.filter(|allowed| taken > *allowed) else { break };
            let last = aim.unwrap_or(allowed);
            if last == 0 {
                break;
            }
            aim = Some(last.saturating_sub((taken - allowed).max(last / 64)));
        }
        best.unwrap_or(kept)
    }

    /// The device memory that a step works in, in bytes.
    #[must_use]
    pub fn bytes(&self, built: &Built) -> u64 {
        let regions: u64 = self.storage.regions.iter().map(|region| region.bytes).sum();
        let arenas: u64 = built.plan.arenas.iter().sum();
        regions + arenas + built.plan.input_bytes + built.plan.output_bytes
    }

    /// The kernels and the memory of a graph whose kernels are formed.
    fn planned(&mut self, graph: Graph, role: Role, observe: &mut impl FnMut(&Step<'_>, &Graph)) -> Built {
        let mut lowered = lower(&graph, self.profile);
        let budget = self.weight_budget.filter(|_| matches!(role, Role::Evaluate | Role::Infer));
        if budget.is_none() && matches!(role, Role::Evaluate | Role::Infer) {
            lowered.settle(&graph);
        }
        observe(&Step::Lowered, &graph);
        let mut plan = plan(&graph, &lowered, &mut self.storage, role, self.profile);
        if let Some(budget) = budget {
            plan.load_weights(&graph, &lowered, &self.storage, budget, self.profile);
        }
        observe(&Step::Planned, &graph);
        Built { role, graph, lowered, plan }
    }
}

/// The artifact of one graph by itself, for tests of the steps after elaboration.
#[must_use]
pub fn artifact_of(graph: Graph, role: Role, profile: &Profile) -> (Built, Artifact) {
    artifact_from(graph, &Sources::new(), 1, role, profile)
}

/// [`artifact_of`] for a graph that was elaborated from these texts for `batch` examples.
#[must_use]
pub fn artifact_from(
    graph: Graph,
    sources: &Sources,
    batch: usize,
    role: Role,
    profile: &Profile,
) -> (Built, Artifact) {
    artifact_selected(graph, sources, batch, role, profile, &Selection::default())
}

/// [`artifact_from`] with these rewrites alone.
#[must_use]
pub fn artifact_selected(
    graph: Graph,
    sources: &Sources,
    batch: usize,
    role: Role,
    profile: &Profile,
    selection: &Selection,
) -> (Built, Artifact) {
    let storage = Storage::new(&graph.stored, &graph.regions, false);
    let selection = selection.clone();
    let kernels = KernelTable::default();
    let workshop = Workshop { profile, sources, storage, selection, weight_budget: None, kernels };
    workshop.artifact(graph, role, batch, None)
}

/// [`artifact_of`] for a training step that may take `limit` bytes of device memory.
#[must_use]
pub fn artifact_within(graph: Graph, limit: u64, profile: &Profile) -> (Built, Artifact) {
    let storage = Storage::new(&graph.stored, &graph.regions, false);
    let (sources, selection) = (&Sources::new(), Selection::default());
    let kernels = KernelTable::default();
    let workshop = Workshop { profile, sources, storage, selection, weight_budget: None, kernels };
    workshop.artifact(graph, Role::Train, 1, Some(limit))
}

impl Workshop<'_> {
    /// The artifact of this one program.
    fn artifact(mut self, graph: Graph, role: Role, batch: usize, limit: Option<u64>) -> (Built, Artifact) {
        let (built, program) = self.build(graph, role, batch, limit, |_, _| {});
        let artifact = Artifact {
            compiler: env!("CARGO_PKG_VERSION").to_owned(),
            model: "graph".to_owned(),
            profile: self.profile.clone(),
            kernels: self.kernels.kernels.into_values(),
            works: self.kernels.works.into_values(),
            regions: self.storage.regions,
            tensors: self.storage.tensors,
            programs: vec![program],
            training: None,
            values: Arc::default(),
        };
        (built, artifact)
    }
}
