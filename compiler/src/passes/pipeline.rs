//! The one runner of passes: each run in order, each verified.

use std::collections::BTreeMap;

use nnc_wgsl::Profile;

use super::{PIPELINE, Pass, Selection, verify};
use crate::ir::{Allowance, Graph, Part};

/// What the lowering and the plan do that can be left out as well.
const LATER: [Part; 5] = [Part::Concats, Part::Packs, Part::InPlace, Part::NextValues, Part::Recompute];

/// Passes in the order they run.
#[derive(Clone, Debug)]
pub struct Pipeline {
    runs: Vec<Run>,
}

/// A pass in its place in the pipeline.
#[derive(Clone, Debug)]
pub struct Run {
    /// The name of the pass, or, where it runs several times, `NAME.1`, `NAME.2`, ..
    pub name: String,
    /// The pass.
    pub pass: Pass,
}

/// A run, or a part of one, that can be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// What it does.
    pub about: &'static str,
}

/// When a graph is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// The run is about to begin.
    Before(&'a Run),
    /// The run has ended; what it made is not yet verified.
    After(&'a Run),
}

impl Default for Pipeline {
    /// The passes of the compiler.
    fn default() -> Pipeline {
        Pipeline::of(&PIPELINE)
    }
}

impl Pipeline {
    /// These passes, in this order.
    #[must_use]
    pub fn of(passes: &[Pass]) -> Pipeline {
        let times = |name: &str, among: &[Pass]| among.iter().filter(|pass| pass.name == name).count();
        let run = |(place, pass): (usize, &Pass)| {
            let name = match times(pass.name, passes) {
                1 => pass.name.to_owned(),
                _ => format!("{}.{}", pass.name, times(pass.name, &passes[..=place])),
            };
            Run { name, pass: *pass }
        };
        Pipeline { runs: passes.iter().enumerate().map(run).collect() }
    }

    /// Each pass in its place.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Everything that can be left out, in the order in which it is done.
    #[must_use]
    pub fn units(&self) -> Vec<Unit> {
        let of_part = |part: &Part| Unit { name: part.name().to_owned(), about: part.about() };
        let of_run = |run: &Run| Unit { name: run.name.clone(), about: run.pass.about };
        let each = self.runs.iter().flat_map(|run| {
            let itself = run.pass.needed.is_none().then(|| of_run(run));
            itself.into_iter().chain(run.pass.parts.iter().map(of_part))
        });
        each.chain(LATER.iter().map(of_part)).collect()
    }

    /// Runs what is selected; `observe` sees the graph before and after each run.
    ///
    /// # Panics
    /// If a pass breaks an invariant of the graph: our bug, and the message names the run.
    pub fn run(
        &self,
        graph: &mut Graph,
        profile: &Profile,
        selection: &Selection,
        mut observe: impl FnMut(Moment<'_>, &Graph),
    ) {
        let parts = self.runs.iter().flat_map(|run| run.pass.parts).chain(&LATER);
        let limits: BTreeMap<Part, usize> =
            parts.filter_map(|part| Some((*part, selection.limit(part.name())?))).collect();
        graph.allowance = Allowance::of(limits);
        for run in &self.runs {
            let limit = selection.limit(&run.name);
            if limit == Some(0) {
                continue;
            }
            graph.allowance.allow(limit);
            observe(Moment::Before(run), graph);
            (run.pass.run)(graph, profile);
            observe(Moment::After(run), graph);
            if let Err(broken) = verify(graph) {
                panic!("the pass `{}` broke the graph: {broken}", run.name);
            }
        }
    }
}

/// Runs the passes of the compiler; `observe` sees the graph after each.
///
/// # Panics
/// If a pass breaks an invariant of the graph: our bug, and the message names the pass.
pub fn optimize(graph: &mut Graph, profile: &Profile, mut observe: impl FnMut(&Run, &Graph)) {
    Pipeline::default().run(graph, profile, &Selection::default(), |moment, graph| {
        if let Moment::After(run) = moment {
            observe(run, graph);
        }
    });
}

/// Runs one pass.
///
/// # Panics
/// If there is no pass of this name.
pub fn run_one(name: &str, graph: &mut Graph, profile: &Profile) {
    let pass = PIPELINE.iter().find(|p| p.name == name);
    (pass.expect("the pass is in the pipeline").run)(graph, profile);
}
