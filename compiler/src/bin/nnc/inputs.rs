//! Batches from a safetensors file whose tensors are named as a program's inputs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnc_runtime::Batch;
use nnc_runtime::artifact::{Artifact, Data, Field, Part, Port, Program};
use nnc_runtime::data::{self, DataError, Feed};

use crate::failure::Failure;
use crate::output;

/// A file of inputs: what it holds by name, of what shape.
#[derive(Debug)]
pub(crate) struct Inputs {
    path: PathBuf,
    shapes: Vec<(String, Vec<usize>)>,
}

impl Inputs {
    /// Looks at the file.
    pub(crate) fn open(path: &Path) -> Result<Inputs, Failure> {
        let shapes = data::tensor_shapes(path).map_err(|error| match error {
            DataError::Missing { path } => {
                Failure::file(&path, &std::io::Error::from(std::io::ErrorKind::NotFound))
            }
            other => Failure::from(other),
        })?;
        Ok(Inputs { path: path.to_owned(), shapes })
    }

    /// How many examples the file holds: the length of axis 0 of the tensors called like one of `batched`.
    pub(crate) fn examples(&self, batched: &BTreeSet<&str>) -> Result<usize, Failure> {
        let file = self.path.display();
        let inputs = || self.shapes.iter().filter(|(name, _)| batched.contains(name.as_str()));
        match inputs().find_map(|(name, shape)| Some((name, shape, *shape.first()?))) {
            Some((name, shape, 0)) => {
                Err(Failure::new(format!("`{file}` has no examples: `{name}` has the shape {shape:?}")))
            }
            Some((_, _, examples)) => Ok(examples),
            None if inputs().next().is_some() => Err(Failure::new(format!(
                "`{file}` has no examples: none of its inputs has an axis to count them along"
            ))),
            None => {
                let list = |names: Vec<&str>| {
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                };
                Err(Failure::new(format!(
                    "`{file}` has no tensor that the model takes; it takes: {}; the file has: {}",
                    list(batched.iter().copied().collect()),
                    list(self.shapes.iter().map(|(name, _)| name.as_str()).collect())
                )))
            }
        }
    }

    /// All batches of the file for `program` of `artifact`, the last one with what is left; numbers are
    /// converted to what the program takes, and checked against the range of the field they are called like.
    pub(crate) fn batches(
        &self,
        artifact: &Artifact,
        program: &Program,
    ) -> Result<impl Iterator<Item = Result<Batch, Failure>> + use<>, Failure> {
        if let Some(port) = program.inputs.iter().find(|port| !port.batched) {
            let name = &port.name;
            let help = "give it `N` as its first dim: inputs come as examples along axis 0";
            return Err(Failure::new(format!("the input `{name}` has no batch dim; {help}")));
        }
        let declared = |name: &str| {
            artifact.training.iter().flat_map(|t| &t.data.fields).find(|field| field.name == name)
        };
        let fields = program.inputs.iter().map(|port| Field {
            name: port.name.clone(),
            element: port.element,
            shape: port.shape[1..].to_vec(),
            range: declared(&port.name).and_then(|field| field.range),
        });
        let part = Part {
            name: "input".to_owned(),
            reader: "safetensors".to_owned(),
            paths: vec![self.path.to_string_lossy().into_owned()],
            options: Vec::new(),
            origin: None,
        };
        let data = Data { name: "input".to_owned(), fields: fields.collect(), parts: vec![part] };
        let dataset = Arc::new(data::open(&data, "input", Path::new(""))?);
        let feed = Feed::evaluation(dataset, program)?;
        self.note_unused(&program.inputs);
        let order = feed.order(0);
        Ok((0..feed.batches()).map(move |index| {
            let mut batch = feed.empty();
            feed.fill(&order, index, &mut batch)?;
            Ok(batch)
        }))
    }

    fn note_unused(&self, ports: &[Port]) {
        let unused: Vec<&str> = self
            .shapes
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| ports.iter().all(|port| port.name != *name))
            .collect();
        if !unused.is_empty() {
            let file = self.path.display();
            output::note(&format!("`{file}`: left out, the program does not take it: {}", unused.join(", ")));
        }
    }
}

/// The names of a program's inputs that have a batch dim.
pub(crate) fn batched_names(program: &Program) -> BTreeSet<&str> {
    program.inputs.iter().filter(|port| port.batched).map(|port| port.name.as_str()).collect()
}
