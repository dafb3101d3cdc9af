//! Tensors that no kernel can address.

use nnc_runtime::artifact::StoredKind;

use crate::diagnostic::Diagnostic;
use crate::ir::{Graph, Kind, Source};
use crate::ops::Lowering;
use crate::source::Span;

/// The most elements of a tensor: kernels count them in 32 bits.
const ELEMENTS: usize = u32::MAX as usize;

/// `E0316` for the first tensor of the graph with more elements than a kernel can count; `span` is shown where
/// the tensor has no place in the text.
pub(crate) fn too_large(graph: &Graph, span: Span) -> Option<Diagnostic> {
    let id = graph.nodes().into_iter().find(|id| graph.ty(*id).size() > ELEMENTS)?;
    let node = graph.node(id);
    let name = match &node.kind {
        Kind::Source(Source::Stored(stored)) => {
            let tensor = &graph.stored[stored.0];
            let kind = if tensor.kind == StoredKind::Weight { "weight" } else { "state" };
            format!("the {kind} `{}`", tensor.path)
        }
        Kind::Source(Source::Input { name, .. }) => format!("the input `{name}`"),
        Kind::Source(Source::Region(name)) => format!("the region `{name}`"),
        Kind::Operator(op) if matches!(op.lower(), Lowering::Pack { .. }) => {
            "the tensor of all weights".to_owned()
        }
        Kind::Source(Source::Host { .. } | Source::Constant(_) | Source::Random { .. })
        | Kind::Operator(_) => "a tensor".to_owned(),
    };
    let at = node.origin.spans.first().copied().unwrap_or(span);
    let diagnostic = Diagnostic::error("E0316", format!("{name} is too large"), at)
        .fact(format!("it would be {}", node.ty))
        .note(format!("a tensor has at most {ELEMENTS} elements"))
        .help("make the layer or the batch smaller");
    Some(diagnostic)
}
