//! One program: from a graph to dispatches.

use std::sync::Arc;

use nnc_runtime::artifact::{Artifact, Program, Role};
use nnc_wgsl::Profile;

use crate::assemble::{KernelTable, assemble, bindings};
use crate::bind::BoundLaunch;
use crate::ir::Graph;
use crate::lower::{Lowered, lower};
use crate::passes::{Moment, Pipeline, Run, Selection};
use crate::plan::{Plan, Storage, plan};
use crate::source::Sources;

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
    /// The kernels met so far.
    pub kernels: KernelTable,
}

impl Workshop<'_> {
    /// Optimizes, lowers, plans and assembles a graph; `observe` sees it on its way. Where kernels that bind the
    /// arenas as a whole do not fit the profile, all of it is done again with a buffer for every value.
    pub fn build(
        &mut self,
        mut graph: Graph,
        role: Role,
        batch: usize,
        mut observe: impl FnMut(&Step<'_>, &Graph),
    ) -> (Built, Program) {
        let given = graph.clone();
        self.optimize(&mut graph, &mut observe);
        let (mut built, mut bound) = self.bound(graph, role, &mut observe);
        if !bound.iter().all(|launch| launch.fits) {
            let mut graph = given;
            graph.apart = true;
            self.optimize(&mut graph, &mut observe);
            (built, bound) = self.bound(graph, role, &mut observe);
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

    /// The kernels and the memory of an optimized graph, and what each launch binds.
    fn bound(
        &mut self,
        graph: Graph,
        role: Role,
        observe: &mut impl FnMut(&Step<'_>, &Graph),
    ) -> (Built, Vec<BoundLaunch>) {
        let lowered = lower(&graph, self.profile);
        observe(&Step::Lowered, &graph);
        let plan = plan(&graph, &lowered, &mut self.storage, role, self.profile);
        observe(&Step::Planned, &graph);
        let bound = bindings(&lowered, &plan, self.profile);
        (Built { role, graph, lowered, plan }, bound)
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
    let storage = Storage::new(&graph.stored, &graph.regions);
    let selection = selection.clone();
    let mut workshop = Workshop { profile, sources, storage, selection, kernels: KernelTable::default() };
    let (built, program) = workshop.build(graph, role, batch, |_, _| {});
    let artifact = Artifact {
        compiler: env!("CARGO_PKG_VERSION").to_owned(),
        model: "graph".to_owned(),
        profile: profile.clone(),
        kernels: workshop.kernels.into_kernels(),
        regions: workshop.storage.regions,
        tensors: workshop.storage.tensors,
        programs: vec![program],
        training: None,
        values: Arc::default(),
    };
    (built, artifact)
}
