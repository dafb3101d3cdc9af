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
use crate::recompute::recompute;
use crate::source::Sources;

/// How often a choice of what is computed again is held against its plan.
const ATTEMPTS: usize = 6;

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
    /// arenas as a whole do not fit the profile, all of it is done again with a buffer for every value. A training step
    /// computes large values again instead of keeping them, more of them where `limit`, the most bytes of device
    /// memory, asks for it; whether it is kept is for the caller to see.
    pub fn build(
        &mut self,
        mut graph: Graph,
        role: Role,
        batch: usize,
        limit: Option<u64>,
        mut observe: impl FnMut(&Pass, &Graph),
    ) -> (Built, Program) {
        let given = passes::may_share(self.profile).then(|| graph.clone());
        passes::optimize(&mut graph, self.profile, &mut observe);
        let (mut built, mut bound) = self.bound(graph, role, limit);
        if let Some(mut graph) = given.filter(|_| !bound.iter().all(|launch| launch.fits)) {
            graph.apart = true;
            passes::optimize(&mut graph, self.profile, observe);
            (built, bound) = self.bound(graph, role, limit);
        }
        let Built { graph, lowered, plan, .. } = &built;
        let program = assemble(graph, lowered, plan, bound, role, batch, self.sources, &mut self.kernels);
        (built, program)
    }

    /// The kernels and the memory of an optimized graph, within the limit if they can be, and what each launch binds.
    fn bound(&mut self, graph: Graph, role: Role, limit: Option<u64>) -> (Built, Vec<BoundLaunch>) {
        let mut built = self.planned(graph, role);
        if matches!(role, Role::Train | Role::Gradient) {
            built = self.within(built, limit);
        }
        let bound = bindings(&built.lowered, &built.plan, self.profile);
        (built, bound)
    }

    /// A step that computes again what it need not keep. The plan is close to what the choice foresees, and where it
    /// takes more, the choice aims lower.
    fn within(&mut self, kept: Built, limit: Option<u64>) -> Built {
        let arenas = |built: &Built| built.plan.arenas.iter().sum::<u64>();
        let elsewhere = self.bytes(&kept) - arenas(&kept);
        let allowed = limit.map(|limit| limit.saturating_sub(elsewhere));
        let (mut best, mut aim) = (kept.clone(), allowed);
        for _ in 0..ATTEMPTS {
            let mut graph = kept.graph.clone();
            if !recompute(&mut graph, &kept.lowered, &kept.plan, aim) {
                break;
            }
            passes::form_kernels(&mut graph, self.profile);
            let built = self.planned(graph, kept.role);
            let taken = arenas(&built);
            if taken < arenas(&best) {
                best = built;
            }
            let Some(allowed) = allowed.filter(|allowed| taken > *allowed) else { break };
            let last = aim.unwrap_or(allowed);
            if last == 0 {
                break;
            }
            aim = Some(last.saturating_sub((taken - allowed).max(last / 64)));
        }
        best
    }

    /// The device memory that a step works in, in bytes.
    #[must_use]
    pub fn bytes(&self, built: &Built) -> u64 {
        let regions: u64 = self.storage.regions.iter().map(|region| region.bytes).sum();
        let arenas: u64 = built.plan.arenas.iter().sum();
        regions + arenas + built.plan.input_bytes + built.plan.output_bytes
    }

    /// The kernels and the memory of a graph whose kernels are formed.
    fn planned(&mut self, graph: Graph, role: Role) -> Built {
        let lowered = lower(&graph, self.profile);
        let plan = plan(&graph, &lowered, &mut self.storage, role, self.profile);
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
    made_alone(graph, sources, batch, role, None, profile)
}

/// [`artifact_of`] for a training step that may take `limit` bytes of device memory.
#[must_use]
pub fn artifact_within(graph: Graph, limit: u64, profile: &Profile) -> (Built, Artifact) {
    made_alone(graph, &Sources::new(), 1, Role::Train, Some(limit), profile)
}

fn made_alone(
    graph: Graph,
    sources: &Sources,
    batch: usize,
    role: Role,
    limit: Option<u64>,
    profile: &Profile,
) -> (Built, Artifact) {
    let storage = Storage::new(&graph.stored, &graph.regions);
    let mut workshop = Workshop { profile, sources, storage, kernels: KernelTable::default() };
    let (built, program) = workshop.build(graph, role, batch, limit, |_, _| {});
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
