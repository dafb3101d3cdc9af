//! The passes: rewrites that keep a graph's meaning, in one table, run by one runner.

mod algebra;
mod buffers;
mod common_subexpressions;
mod constants;
mod dead_code;
mod fuse;
mod generators;
mod host_scalars;
mod materialize;
mod product_rows;
mod verify;

use nnc_wgsl::Profile;

use crate::ir::Graph;

pub(crate) use buffers::may_share;
pub use fuse::{Anchor, Cluster, Separate, clusters, why_separate};
pub use verify::verify;

/// A rewrite of a graph.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Its name, as `--after` takes it.
    pub name: &'static str,
    run: fn(&mut Graph, &Profile),
}

/// The passes in the order they run.
pub const PIPELINE: [Pass; 11] = [
    Pass { name: "dead_code", run: dead_code::run },
    Pass { name: "algebra", run: algebra::run },
    Pass { name: "constants", run: constants::run },
    Pass { name: "common_subexpressions", run: common_subexpressions::run },
    Pass { name: "host_scalars", run: host_scalars::run },
    Pass { name: "cleanup", run: cleanup },
    Pass { name: "generators", run: generators::run },
    Pass { name: "product_rows", run: product_rows::run },
    Pass { name: "materialize", run: materialize::run },
    Pass { name: "last_dead_code", run: dead_code::run },
    Pass { name: "fuse", run: fuse::run },
];

/// Runs the pipeline; `observe` sees the graph after each pass.
///
/// # Panics
/// If a pass breaks an invariant of the graph: our bug, and the message names the pass.
pub fn optimize(graph: &mut Graph, profile: &Profile, mut observe: impl FnMut(&Pass, &Graph)) {
    for pass in &PIPELINE {
        (pass.run)(graph, profile);
        if let Err(broken) = verify(graph) {
            panic!("the pass `{}` broke the graph: {broken}", pass.name);
        }
        observe(pass, graph);
    }
}

/// Forms the kernels of a graph that has been optimized and changed since.
///
/// # Panics
/// If the graph is not sound: our bug.
pub fn form_kernels(graph: &mut Graph, profile: &Profile) {
    fuse::run(graph, profile);
    if let Err(broken) = verify(graph) {
        panic!("what is computed again broke the graph: {broken}");
    }
}

/// Runs one pass.
///
/// # Panics
/// If there is no pass of this name.
pub fn run_one(name: &str, graph: &mut Graph, profile: &Profile) {
    let pass = PIPELINE.iter().find(|p| p.name == name);
    (pass.expect("the pass is in the pipeline").run)(graph, profile);
}

fn cleanup(graph: &mut Graph, profile: &Profile) {
    constants::run(graph, profile);
    algebra::run(graph, profile);
    common_subexpressions::run(graph, profile);
    dead_code::run(graph, profile);
}
