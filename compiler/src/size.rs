//! Tensors that no kernel can address.

use nnc_runtime::artifact::StoredKind;

use crate::diagnostic::Diagnostic;
use crate::ir::{Graph, Kind, Source};
use crate::ops::Lowering;
use crate::source::Span;

/// The most elements of a tensor: kernels count them, and the work beside them, in 32 bits.
pub(crate) const ELEMENTS: usize = 1 << 31;

/// The number of elements of a tensor of these extents; the largest number there is where they are more.
pub(crate) fn elements(extents: impl IntoIterator<Item = usize>) -> u128 {
    extents.into_iter().fold(1, |count: u128, extent| count.saturating_mul(extent as u128))
}

/// `E0316` for a tensor of this shape.
pub(crate) fn too_many(what: &str, shape: &str, count: u128, span: Span) -> Diagnostic {
    Diagnostic::error("E0316", format!("{what} is too large"), span)
        .fact(format!("it would be {shape}"))
        .note(format!("that is {count} elements, and a tensor has at most {ELEMENTS}"))
        .help("make the layer or the batch smaller")
}

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
    let count = elements(node.ty.shape.iter().copied());
    Some(too_many(&name, &node.ty.to_string(), count, at))
}
