//! The cases of `tests/goldens/layers/`: models of one layer each, and what PyTorch makes of them.
//!
//! `tests/goldens/make_layers.py` says how a case is written and where its numbers come from.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::{Bundle, Elaborated, Expansion, Request, elaborate, load};
use nnc::gradient::differentiate;
use nnc::ir::{Environment, Graph, Kind, NodeId, Source, StoredId, Tensor};
use nnc::source::NoFiles;
use nnc_runtime::artifact::HostSymbol;
use nnc_wgsl::Element;

use crate::graphs::{weighed_sum, weights};
use crate::other_shapes::with_shapes;
use crate::tensors::{Values, read};
use crate::workspace::root;

/// A model and its numbers.
#[derive(Clone, Debug)]
pub struct LayerCase {
    /// The file and the model, and which of its other shapes: `convolution.Strided`, `convolution.Strided@1`.
    pub name: String,
    /// The file's text.
    text: String,
    /// The model.
    model: String,
    /// The size of the batch.
    batch: usize,
    /// Whether it is expanded for a training step.
    training: bool,
    /// `in.NAME`, `out.NAME`, `grad.NAME` and `after.PATH`.
    numbers: BTreeMap<String, Values>,
}

/// A case's program: its results are the outputs by name and the gradients as `grad.NAME`.
#[derive(Clone, Debug)]
pub struct LayerProgram {
    /// The program.
    pub graph: Graph,
    /// The text that it came from, and the library's.
    pub bundle: Arc<Bundle>,
    /// The size of the batch.
    pub batch: usize,
    /// The model's inputs, and the weights of its outputs' elements in what is differentiated.
    pub inputs: BTreeMap<String, Tensor>,
    /// Weights and states.
    pub stored: BTreeMap<StoredId, Tensor>,
}

impl LayerProgram {
    /// The environment with these inputs, at step 1 of seed 0.
    #[must_use]
    pub fn environment(&self) -> Environment {
        let symbols = [HostSymbol::Step, HostSymbol::Examples].map(|symbol| (symbol, 1.0));
        Environment {
            inputs: self.inputs.clone(),
            stored: self.stored.clone(),
            symbols: symbols.into(),
            ..Environment::default()
        }
    }
}

/// Every case, file by file; those of one file where the variable `NNC_LAYERS` names it.
///
/// # Panics
/// If a file has no numbers.
#[must_use]
pub fn layer_cases() -> Vec<LayerCase> {
    let folder = root().join("tests/goldens/layers");
    let wanted = std::env::var("NNC_LAYERS").ok();
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "nn"));
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let group = path.file_stem().and_then(|stem| stem.to_str()).expect("a file has a name").to_owned();
        if wanted.as_ref().is_some_and(|wanted| *wanted != group) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let numbers = read(&path.with_extension("safetensors"));
        cases.extend(of_file(&group, &text, &numbers));
    }
    cases
}

/// What a line of other shapes begins with, before the batch.
const ALSO: &str = "also (";

/// The numbers of a case, without its name.
fn own(numbers: &BTreeMap<String, Values>, variant: &str) -> BTreeMap<String, Values> {
    let prefix = format!("{variant}.");
    let own = |(key, values): (&String, &Values)| {
        key.strip_prefix(&prefix).map(|key| (key.to_owned(), values.clone()))
    };
    numbers.iter().filter_map(own).collect()
}

fn of_file(group: &str, text: &str, numbers: &BTreeMap<String, Values>) -> Vec<LayerCase> {
    let lines: Vec<&str> = text.lines().collect();
    let mut cases = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let Some((model, _)) = line.strip_prefix("model ").and_then(|rest| rest.split_once('(')) else {
            continue;
        };
        let comment: Vec<&str> =
            lines[..place].iter().rev().map_while(|line| line.strip_prefix("# ")).collect();
        let batch = comment.iter().find_map(|line| line.strip_prefix("N = "));
        let case = LayerCase {
            name: format!("{group}.{model}"),
            text: text.to_owned(),
            model: model.to_owned(),
            batch: batch.map_or(2, |batch| batch.parse().expect("`N` is a whole number")),
            training: comment.contains(&"training"),
            numbers: own(numbers, model),
        };
        let others: Vec<&&str> = comment.iter().rev().filter(|line| line.starts_with(ALSO)).collect();
        assert!(others.len() >= 2, "{}: fewer than three shapes", case.name);
        for (place, line) in others.iter().enumerate() {
            let batch: String = line[ALSO.len()..].chars().take_while(char::is_ascii_digit).collect();
            let batch = batch.parse().expect("a shape begins with the batch");
            cases.push(case.on_other_shapes(place + 1, batch, numbers));
        }
        cases.push(case);
    }
    let known = |key: &&String| cases.iter().any(|case| key.starts_with(&format!("{}.", case.variant())));
    let strays: Vec<&String> = numbers.keys().filter(|key| !known(key)).collect();
    assert!(strays.is_empty(), "{group}: numbers of no model: {strays:?}");
    cases
}

impl LayerCase {
    /// The same model on the shapes of its `place`th line of others.
    fn on_other_shapes(&self, place: usize, batch: usize, numbers: &BTreeMap<String, Values>) -> LayerCase {
        let numbers = own(numbers, &format!("{}@{place}", self.model));
        let mut case = LayerCase { name: format!("{}@{place}", self.name), batch, numbers, ..self.clone() };
        let shapes = ["in", "out"].into_iter().flat_map(|kind| case.tensors(kind));
        let shapes = shapes.map(|(name, values)| (name, values.shape.as_slice())).collect();
        let text = with_shapes(&case.text, &case.model, &shapes);
        case.text = text;
        case
    }

    /// The name of its numbers: `Strided` or `Strided@1`.
    fn variant(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The tensors under `kind`, such as `out`, by name.
    #[must_use]
    pub fn tensors(&self, kind: &str) -> BTreeMap<&str, &Values> {
        let mut found = BTreeMap::new();
        for (key, values) in &self.numbers {
            if let Some(name) = key.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.')) {
                found.insert(name, values);
            }
        }
        found
    }

    /// The model's program with the gradients of its inputs and weights.
    ///
    /// # Panics
    /// If the model has errors, or does not fit its numbers.
    #[must_use]
    pub fn program(&self) -> LayerProgram {
        let (bundle, Elaborated { mut graph, .. }) = self.elaborated();
        let given = self.tensors("in");
        let mut outputs: Vec<&String> = graph.results.iter().map(|(name, _)| name).collect();
        outputs.sort();
        assert!(outputs.iter().eq(self.tensors("out").keys()), "{}: its outputs are {outputs:?}", self.name);
        let tensor = |name: &str| {
            let values = given.get(name).unwrap_or_else(|| panic!("{}: no numbers for `{name}`", self.name));
            Tensor::new(values.shape.clone(), values.data.clone())
        };
        let paths: Vec<String> = graph.stored.iter().map(|stored| stored.path.clone()).collect();
        let stored: BTreeMap<StoredId, Tensor> =
            paths.iter().enumerate().map(|(place, path)| (StoredId(place), tensor(path))).collect();
        let mut inputs = BTreeMap::new();
        let mut variables: BTreeMap<String, NodeId> = BTreeMap::new();
        for id in graph.nodes() {
            match &graph.node(id).kind {
                Kind::Source(Source::Input { name, .. }) => {
                    inputs.insert(name.clone(), tensor(name));
                    variables.insert(name.clone(), id);
                }
                Kind::Source(Source::Stored(place)) => {
                    variables.insert(paths[place.0].clone(), id);
                }
                _ => {}
            }
        }
        let used = inputs.len() + stored.len();
        assert_eq!(used, given.len(), "{}: inputs and weights are {variables:?}", self.name);
        let slopes = self.tensors("grad");
        let wanted: Vec<(&str, Option<NodeId>)> =
            slopes.keys().map(|name| (*name, variables.get(*name).copied())).collect();
        self.differentiate(&mut graph, &mut inputs, &wanted);
        LayerProgram { graph, bundle, batch: self.batch, inputs, stored }
    }

    fn elaborated(&self) -> (Arc<Bundle>, Elaborated) {
        let loaded = load("case.nn", &self.text, &[], &NoFiles);
        let printed = render_all(&loaded.diagnostics, loaded.value.sources(), Colour::Never);
        assert_eq!(printed, "", "{}", self.name);
        let bundle = Arc::new(loaded.value);
        let expansion = if self.training { Expansion::Training } else { Expansion::Inference };
        let model = Some(self.model.clone());
        let request = Request { model, batch: Some(self.batch), ..Request::new(expansion) };
        let checked = elaborate(&bundle, &request);
        let printed = render_all(&checked.diagnostics, bundle.sources(), Colour::Never);
        let elaborated = checked.value.unwrap_or_else(|| panic!("{}:\n{printed}", self.name));
        (bundle, elaborated)
    }

    /// Adds the gradients of the weighed sum of all float outputs for `wanted` as results; 0 where it is.
    fn differentiate(
        &self,
        graph: &mut Graph,
        inputs: &mut BTreeMap<String, Tensor>,
        wanted: &[(&str, Option<NodeId>)],
    ) {
        let mut loss: Option<NodeId> = None;
        for (name, output) in graph.results.clone() {
            let ty = graph.ty(output).clone();
            if ty.element != Element::F32 {
                continue;
            }
            let upstream = format!("upstream of {name}");
            inputs.insert(upstream.clone(), weights(&ty.shape));
            let weight = graph.source(Source::Input { name: upstream, batched: false }, ty);
            let part = weighed_sum(graph, output, weight);
            loss = Some(match loss {
                Some(loss) => graph.map(&[loss, part], |b, x| b.binary(nnc_wgsl::Binary::Add, x[0], x[1])),
                None => part,
            });
        }
        let known: Vec<NodeId> = wanted.iter().filter_map(|(_, node)| *node).collect();
        let (Some(loss), false) = (loss, known.is_empty()) else { return };
        let gradients =
            differentiate(graph, loss, &known).unwrap_or_else(|e| panic!("{}: {e:?}", self.name)).into_iter();
        for ((name, _), gradient) in wanted.iter().filter(|(_, node)| node.is_some()).zip(gradients) {
            if let Some(gradient) = gradient {
                graph.results.push((format!("grad.{name}"), gradient));
            }
        }
    }
}
