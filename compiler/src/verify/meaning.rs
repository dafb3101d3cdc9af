//! A program against the meaning of the graph that its passes began with.
//!
//! [`verify`](super::verify) holds each kernel against what its values mean in the graph after the passes, and so says
//! nothing about the passes. Here what leaves the program, its results and what it leaves in stored tensors, is computed
//! in f64 from the graphs before and after them.

use std::collections::BTreeMap;

use nnc_runtime::artifact::{Program, Role};
use nnc_runtime::{Batch, Clock, DeviceError, Session};

use super::{decode, distance, environment};
use crate::ir::{Environment, Graph, Kind, Source, StoredId, Tensor, evaluate};

/// How far a value of the graph after the passes may be from the same before them, relative to its largest magnitude:
/// sums in f64 in another order.
pub const SAME: f64 = 1e-9;

/// What a program finds when it starts, and what it means.
#[derive(Clone, Debug)]
pub struct Meaning {
    environment: Environment,
    leaves: Vec<(String, Tensor)>,
}

/// A value that leaves a program and is not what it was before the passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The result, or the stored tensor or region that is given a next value.
    pub name: String,
    /// The largest difference, relative to the largest magnitude of the value.
    pub error: f64,
}

impl Meaning {
    /// The meaning of `graph` for this batch, on the stored tensors that `session` holds now.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn of(
        graph: &Graph,
        session: &Session,
        role: Role,
        batch: &Batch,
        clock: &Clock,
    ) -> Result<Meaning, DeviceError> {
        let mut environment = environment(clock);
        environment.inputs = inputs(session.program(role)?, batch);
        let by_path: BTreeMap<&str, StoredId> =
            graph.stored.iter().enumerate().map(|(k, stored)| (stored.path.as_str(), StoredId(k))).collect();
        for tensor in session.read_tensors(|_| true)? {
            let value = decode(&tensor.bytes, tensor.element, &tensor.shape);
            match by_path.get(tensor.path.as_str()) {
                Some(id) => {
                    environment.stored.insert(*id, value);
                }
                None => {
                    environment.regions.insert(tensor.path, value);
                }
            }
        }
        for region in graph.regions.iter().filter(|region| region.members.is_empty()) {
            let filled = || Tensor::new([region.elements], vec![region.fill; region.elements]);
            environment.regions.entry(region.name.clone()).or_insert_with(filled);
        }
        let leaves = leaves(graph, &environment);
        Ok(Meaning { environment, leaves })
    }

    /// The first value that leaves the program and is another one in `graph`, which passes made of that of the meaning.
    #[must_use]
    pub fn change_in(&self, graph: &Graph) -> Option<Changed> {
        let found = leaves(graph, &self.environment);
        self.leaves.iter().zip(&found).find_map(|((name, expected), (_, found))| {
            let error = distance(found, expected, f64::MIN_POSITIVE, false);
            (error > SAME).then(|| Changed { name: name.clone(), error })
        })
    }
}

/// The inputs of a program, of which a batch holds the bytes.
fn inputs(program: &Program, batch: &Batch) -> BTreeMap<String, Tensor> {
    let of = |port: &nnc_runtime::artifact::Port| {
        let bytes = &batch.bytes()[port.offset as usize..];
        (port.name.clone(), decode(bytes, port.element, &port.shape))
    };
    program.inputs.iter().map(of).collect()
}

/// What leaves a program: its results, then the next values in the order in which they are assigned.
fn leaves(graph: &Graph, environment: &Environment) -> Vec<(String, Tensor)> {
    let values = evaluate(graph, environment);
    let results = graph.results.iter().map(|(name, id)| (name.clone(), values[id].clone()));
    let assigned = graph.assignments.iter().map(|assignment| {
        let name = match &graph.node(assignment.target).kind {
            Kind::Source(Source::Stored(id)) => graph.stored[id.0].path.clone(),
            Kind::Source(Source::Region(name)) => name.clone(),
            other => panic!("{other:?} cannot be assigned"),
        };
        (name, values[&assignment.value].clone())
    });
    results.chain(assigned).collect()
}
