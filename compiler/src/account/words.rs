//! What nodes are called, and reasons as sentences.

use crate::account::Teller;
use crate::account::siblings::lone;
use crate::ir::{Graph, Kind, NodeId, Origin, Refusal};
use crate::lower::Copied;
use crate::passes::Separate;

/// How many of several kernels with one reason are named.
const SHOWN: usize = 4;

impl<'a> Teller<'a> {
    pub(super) fn origin(&self, node: NodeId) -> &'a Origin {
        &self.graph().node(node).origin
    }

    /// What the model's author calls the maker of `node`: the first word of the stage, or else the operator.
    pub(super) fn name(&self, node: NodeId) -> String {
        let written = self.origin(node).spans.first().map_or("", |span| self.sources.slice(*span));
        let name: String =
            written.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '.').collect();
        let operator = || operator_name(self.graph(), node);
        let is_name = name.starts_with(|c: char| c.is_alphabetic());
        format!("`{}`", if is_name { name } else { operator() })
    }

    /// The names of two nodes; where they are one, with the operators.
    pub(super) fn names(&self, one: NodeId, other: NodeId) -> (String, String) {
        let (first, second) = (self.name(one), self.name(other));
        if first != second {
            return (first, second);
        }
        let operator = |node: NodeId| operator_name(self.graph(), node);
        (format!("the {} of {first}", operator(one)), format!("the {} of {second}", operator(other)))
    }

    pub(super) fn reason(&self, reason: Separate, producer: NodeId, reader: NodeId) -> String {
        let (producer_name, reader_name) = self.names(producer, reader);
        match reason {
            Separate::ReadsFromMemory => {
                format!("{reader_name} reads whole windows or rows, which must lie in memory")
            }
            Separate::Moves => {
                format!("{producer_name} and {reader_name} put parts together, which is work of its own")
            }
            Separate::AnchorTakesMapsOnly => {
                format!(
                    "{reader_name} reduces, and the kernel of {producer_name} takes elementwise work only"
                )
            }
            Separate::BetweenProducts => {
                format!(
                    "one of {producer_name} and {reader_name} is a row between products, a kernel of its own"
                )
            }
            Separate::OtherSpace(one, other) => {
                format!("{producer_name} is over {}, {reader_name} over {}", extents(&one), extents(&other))
            }
            Separate::Around(_) => {
                format!("a kernel between {producer_name} and {reader_name} has to be done first")
            }
            Separate::OtherElements => {
                format!("{reader_name} needs other elements of {producer_name} than the one it stands at")
            }
            Separate::Settled => format!("{producer_name} and {reader_name} had their kernels when they met"),
            Separate::Buffers(limit) => format!("together they bind more than {limit} buffers"),
        }
    }
}

/// Why values between products are stored.
pub(super) fn stored(refusal: Refusal) -> String {
    match refusal {
        Refusal::Leave => {
            "something else than the products and reductions between them needs them".to_owned()
        }
        Refusal::Equality => "they are held against others for equality, as the largest is".to_owned(),
        Refusal::Axes => "they are summed along several axes, as the gradient of a bias is".to_owned(),
        Refusal::Length(length) => {
            format!("a row of {length} is longer than the memory of a workgroup holds")
        }
        Refusal::Buffers(limit) => format!("a kernel between the products binds more than {limit} buffers"),
        Refusal::Form => "no kernel has the form of the products around them".to_owned(),
        Refusal::Lone(why) => lone(why).to_owned(),
    }
}

/// Why an operand of a concat or a pack is copied; `name` names a value.
pub(super) fn copied(why: Copied, name: impl Fn(NodeId) -> String) -> String {
    match why {
        Copied::Given => "no kernel computes it".to_owned(),
        Copied::View => "it is a part of a value, or that in another order".to_owned(),
        Copied::BetweenProducts => "the kernel of a row between products writes it in one piece".to_owned(),
        Copied::Writer => "the kernel that computes it writes it in one piece".to_owned(),
        Copied::Reader(reader) => format!(
            "{} reads it in one piece, and the kernel that computes it cannot write it here as well",
            name(reader)
        ),
        Copied::Output => {
            "it leaves the program, and the kernel that computes it cannot write it here as well".to_owned()
        }
        Copied::Concat => "it has its place in another one".to_owned(),
        Copied::Places(places) => format!("its kernel writes it at {places} places already"),
        Copied::LeftOut => "`lower.concats` was left out".to_owned(),
    }
}

/// The first of these, and how many more there are.
pub(super) fn first_of(what: &[String]) -> String {
    let shown = &what[..what.len().min(SHOWN)];
    match what.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `a`, `a and b`, `a, b and c`; each once.
pub(super) fn listed(names: impl IntoIterator<Item = String>) -> String {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    match once.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The operator without its attributes.
pub(super) fn operator_name(graph: &Graph, node: NodeId) -> String {
    match &graph.node(node).kind {
        Kind::Operator(op) => op.label().split('{').next().unwrap_or_default().to_owned(),
        Kind::Source(_) => "input".to_owned(),
    }
}

fn extents(space: &[usize]) -> String {
    let extents: Vec<String> = space.iter().map(ToString::to_string).collect();
    format!("[{}]", extents.join(", "))
}
