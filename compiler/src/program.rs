//! One program: from a graph to dispatches.

use std::sync::Arc;

use nnc_runtime::artifact::{Artifact, Program, Role};
use nnc_wgsl::Profile;

use crate::assemble::{KernelTable, assemble, bindings};
use crate::bind::BoundLaunch;
use crate::ir::Graph;
use crate::lower::{Lowered, lower};
use crate::passes::{self, Pass};
use crate::plan::{Plan, Storage, plan};
use crate::source::Sources;

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
    /// The kernels met so far.
    pub kernels: KernelTable,
}

impl Workshop<'_> {
    /// Optimizes, lowers, plans and assembles a graph; `observe` sees it after each pass. Where kernels that bind the
    /// arenas as a whole do not fit the profile, all of it is done again with a buffer for every value.
    pub fn build(
        &mut self,
        mut graph: Graph,
        role: Role,
        batch: usize,
        mut observe: impl FnMut(&Pass, &Graph),
    ) -> (Built, Program) {
        let given = passes::may_share(self.profile).then(|| graph.clone());
        passes::optimize(&mut graph, self.profile, &mut observe);
        let (mut built, mut bound) = self.bound(graph, role);
        if let Some(mut graph) = given.filter(|_| !bound.iter().all(|launch| launch.fits)) {
            graph.apart = true;
            passes::optimize(&mut graph, self.profile, observe);
            (built, bound) = self.bound(graph, role);
        }
        let Built { graph, lowered, plan, .. } = &built;
        let program = assemble(graph, lowered, plan, bound, role, batch, self.sources, &mut self.kernels);
        (built, program)
    }

    /// The kernels and the memory of an optimized graph, and what each launch binds.
    fn bound(&mut self, graph: Graph, role: Role) -> (Built, Vec<BoundLaunch>) {
        let lowered = lower(&graph, self.profile);
        let plan = plan(&graph, &lowered, &mut self.storage, role, self.profile);
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
    let storage = Storage::new(&graph.stored, &graph.regions);
    let mut workshop = Workshop { profile, sources, storage, kernels: KernelTable::default() };
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
