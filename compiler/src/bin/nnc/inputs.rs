//! Batches from a safetensors file whose tensors are named as a program's inputs.

use std::path::Path;
use std::sync::Arc;

use nnc_runtime::artifact::{Data, Field, Part, Program};
use nnc_runtime::data::{self, Feed};
use nnc_runtime::{Batch, weights};

use crate::failure::Failure;

/// How many examples the file holds: the length of axis 0, which all its tensors share.
pub(crate) fn examples(file: &Path) -> Result<usize, Failure> {
    let tensors = weights::read(file)?;
    let count = tensors.iter().find_map(|t| t.shape.first().copied());
    count
        .filter(|n| *n > 0)
        .ok_or_else(|| Failure::new(format!("`{}` has no tensor with examples along axis 0", file.display())))
}

/// All batches of the file, the last one with what is left; numbers are converted to what the program takes.
pub(crate) fn batches(
    file: &Path,
    program: &Program,
) -> Result<impl Iterator<Item = Batch> + use<>, Failure> {
    let fields = program
        .inputs
        .iter()
        .map(|port| Field {
            name: port.name.clone(),
            element: port.element,
            shape: if port.batched { port.shape[1..].to_vec() } else { port.shape.clone() },
            range: None,
        })
        .collect();
    let part = Part {
        name: "input".to_owned(),
        reader: "safetensors".to_owned(),
        paths: vec![file.to_string_lossy().into_owned()],
        options: Vec::new(),
        origin: None,
    };
    let data = Data { name: "input".to_owned(), fields, parts: vec![part] };
    let dataset = Arc::new(data::open(&data, "input", Path::new(""))?);
    let feed = Feed::evaluation(dataset, program)?;
    let order = feed.order(0);
    Ok((0..feed.batches()).map(move |index| {
        let mut batch = feed.empty();
        feed.fill(&order, index, &mut batch);
        batch
    }))
}
