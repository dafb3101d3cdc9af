//! The passes: rewrites that keep a graph's meaning, one file each, in one table.
//!
//! [`Pipeline`] runs the table, and holds the graph against its invariants after each run. What a run does can be left
//! out ([`Selection`]), to see what it gains, or to find the one that breaks a result ([`bisect()`]).

mod algebra;
mod bisect;
mod buffers;
mod common_subexpressions;
mod constants;
mod dead_code;
mod fuse;
mod generators;
mod host_scalars;
mod materialize;
mod narrow;
mod pipeline;
mod product_rows;
mod selection;
mod siblings;
mod verify;

use nnc_wgsl::Profile;

use crate::ir::{Graph, Part};

pub use bisect::{Culprit, bisect};
pub(crate) use buffers::may_share;
pub use fuse::{Anchor, Cluster, Separate, clusters, why_separate};
pub use pipeline::{Moment, Pipeline, Run, Unit, optimize, run_one};
pub use selection::{Refused, Selection};
pub use verify::verify;

/// A rewrite of a graph.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Its name, as `--skip` and `--after` take it.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Why nothing can do without it, if that is so.
    pub needed: Option<&'static str>,
    /// What of it can be left out by itself.
    pub parts: &'static [Part],
    /// What rewrites the graph; it asks [`Graph::allowance`] before each rewrite, unless it is needed.
    pub run: fn(&mut Graph, &Profile),
}

/// The passes in the order they run.
pub const PIPELINE: [Pass; 15] = [
    dead_code::PASS,
    algebra::PASS,
    constants::PASS,
    common_subexpressions::PASS,
    host_scalars::PASS,
    constants::PASS,
    algebra::PASS,
    common_subexpressions::PASS,
    dead_code::PASS,
    siblings::PASS,
    generators::PASS,
    product_rows::PASS,
    materialize::PASS,
    fuse::PASS,
    narrow::PASS,
];

/// Forms the kernels of a graph that has been optimized and changed since, and says anew which values are narrow.
///
/// # Panics
/// If the graph is not sound: our bug.
pub fn form_kernels(graph: &mut Graph, profile: &Profile, selection: &Selection) {
    (fuse::PASS.run)(graph, profile);
    graph.allowance.allow(selection.limit(narrow::PASS.name));
    (narrow::PASS.run)(graph, profile);
    if let Err(broken) = verify(graph) {
        panic!("what is computed again broke the graph: {broken}");
    }
}
