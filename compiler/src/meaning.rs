//! What a resumed run must find unchanged, as checksums of the graphs that the text became.
//!
//! Graphs before the passes are the same for every device, and do not hold how long a run is or where it saves; so a
//! run goes on with more epochs, or on another device, and not with another activation.

use std::fmt::Write as _;

use nnc_runtime::artifact::Meaning;

use crate::elaborate::Bundle;
use crate::ir::{Graph, Kind, NodeId, print};
use crate::source::Span;
use crate::syntax::ast::ItemKind;

/// The checksums of what is done to the examples and of what the model computes, from the expanded graph. The step is
/// added by [`add_step`].
pub(crate) fn meaning(bundle: &Bundle, graph: &Graph) -> Meaning {
    let (mut data, mut model) = (String::new(), String::new());
    for id in graph.order() {
        let outermost = graph.node(id).origin.spans.last().copied();
        match outermost.and_then(|span| home(bundle, span)) {
            Some(Home::Data) => line(graph, id, &mut data),
            Some(Home::Model) => line(graph, id, &mut model),
            None => {}
        }
    }
    Meaning { data: Meaning::checksum(&data), model: Meaning::checksum(&model), step: 0 }
}

/// Adds the checksum of the whole step: the expanded graph with its gradients and the update.
pub(crate) fn add_step(meaning: Meaning, graph: &Graph) -> Meaning {
    Meaning { step: Meaning::checksum(&print(graph)), ..meaning }
}

enum Home {
    Data,
    Model,
}

/// The kind of item that the text at `span` stands in.
fn home(bundle: &Bundle, span: Span) -> Option<Home> {
    match bundle.item_at(span)? {
        ItemKind::Data(_) => Some(Home::Data),
        ItemKind::Definition(_) | ItemKind::Const(_) => Some(Home::Model),
        ItemKind::Use(_) | ItemKind::Train(_) => None,
    }
}

/// The operator with its attributes and its type, without the numbers of its operands, which other lines move.
fn line(graph: &Graph, id: NodeId, text: &mut String) {
    let node = graph.node(id);
    let what = match &node.kind {
        Kind::Operator(operator) => operator.label(),
        Kind::Source(source) => format!("{source:?}"),
    };
    writeln!(text, "{what}: {}", node.ty).expect("a string takes text");
}
