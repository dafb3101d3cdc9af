//! What became of every line of a model: which kernels compute it, what was fused into them, what moves nothing, what
//! takes over memory, and why kernels stay apart that read from one another.

mod again;
mod kernels;
mod memory;
mod siblings;
mod traffic;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::Profile;

use crate::elaborate::Row;
use crate::ir::{Graph, NodeId, Origin, Refusal};
use crate::lower::is_view;
use crate::program::Built;
use crate::source::{Sources, Span};

use words::{first_of, listed, stored};

pub use traffic::traffic;

/// A line of a model and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineAccount {
    /// The start of the line.
    pub span: Span,
    /// The line as written, without blanks around it.
    pub text: String,
    /// What became of it.
    pub facts: Vec<Fact>,
    /// The kernels that are built around something of the line.
    pub kernels: Vec<KernelAccount>,
}

/// A kernel of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelAccount {
    /// Its number in `nnc dump plan`.
    pub number: usize,
    /// The number of its first dispatch.
    pub first: usize,
    /// How many dispatches it takes.
    pub dispatches: usize,
    /// What they read and write, in bytes.
    pub bytes: u64,
}

impl LineAccount {
    /// How many dispatches the line takes.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        self.kernels.iter().map(|kernel| kernel.dispatches).sum()
    }

    /// What they read and write, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.kernels.iter().map(|kernel| kernel.bytes).sum()
    }
}

/// Something that became of a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// Of which kind it is.
    pub kind: FactKind,
    /// One sentence.
    pub text: String,
}

/// The kinds of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKind {
    /// A kernel is built around something of the line.
    Kernel,
    /// Something of the line is computed by a kernel of another line.
    Fused,
    /// A kernel stays apart from one that it reads from.
    Apart,
    /// Something is copied.
    Copied,
    /// Something is computed a second time instead of being kept, or by several kernels and stored by none.
    Again,
    /// Something moves no numbers.
    Elided,
    /// A result takes over memory, or is written straight into its place in a larger one.
    Aliased,
    /// A result does not take over the memory of what it is made of.
    Kept,
    /// Nothing is left.
    Gone,
}

impl FactKind {
    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            FactKind::Kernel => "kernel",
            FactKind::Fused => "fused",
            FactKind::Apart => "apart",
            FactKind::Copied => "copied",
            FactKind::Again => "again",
            FactKind::Elided => "elided",
            FactKind::Aliased => "aliased",
            FactKind::Kept => "kept",
            FactKind::Gone => "gone",
        }
    }
}

/// The lines of the model's files in order, with what became of each in the program `built`. `rows` is the layer table.
#[must_use]
pub fn account(built: &Built, rows: &[Row], sources: &Sources, profile: &Profile) -> Vec<LineAccount> {
    let mut teller = Teller { built, sources, lines: BTreeMap::new(), kernels: BTreeMap::new() };
    teller.kernels(profile);
    teller.stored_rows();
    teller.siblings();
    teller.views();
    teller.memory();
    teller.seconds();
    teller.copies();
    teller.kept();
    teller.computed_again();
    teller.gone(rows);
    let mut kernels = teller.kernels;
    let lines = teller.lines.into_iter().map(|((file, line), mut facts)| {
        facts.sort_by_key(|fact| fact.kind);
        let source = sources.source(file);
        let start = source.line_start(line);
        let span = Span::new(file, start, start);
        let kernels = kernels.remove(&(file, line)).unwrap_or_default();
        LineAccount { span, text: source.line(line).trim().to_owned(), facts, kernels }
    });
    lines.collect()
}

/// A line: its file and its number from 0.
type Place = (crate::source::FileId, usize);

struct Teller<'a> {
    built: &'a Built,
    sources: &'a Sources,
    lines: BTreeMap<Place, Vec<Fact>>,
    kernels: BTreeMap<Place, Vec<KernelAccount>>,
}

impl<'a> Teller<'a> {
    fn graph(&self) -> &'a Graph {
        &self.built.graph
    }

    /// The line of the model that `node` comes from: the outermost use that leads to it.
    fn line(&self, node: NodeId) -> Option<Place> {
        self.line_of(self.origin(node))
    }

    /// The line of the model that a place is on.
    fn line_of(&self, origin: &Origin) -> Option<Place> {
        let span = origin.spans.last()?;
        Some((span.file, self.sources.source(span.file).line_of(span.start)))
    }

    /// Tells for each line the reasons, each with what it holds for.
    fn tell_grouped(&mut self, kind: FactKind, found: impl IntoIterator<Item = (Place, String, String)>) {
        let mut groups: BTreeMap<(Place, String), Vec<String>> = BTreeMap::new();
        for (line, reason, what) in found {
            let group = groups.entry((line, reason)).or_default();
            if !group.contains(&what) {
                group.push(what);
            }
        }
        for ((line, reason), what) in groups {
            self.tell(Some(line), kind, format!("{}: {reason}", first_of(&what)));
        }
    }

    fn tell(&mut self, place: Option<Place>, kind: FactKind, text: String) {
        if let Some(place) = place {
            let facts = self.lines.entry(place).or_default();
            let fact = Fact { kind, text };
            if !facts.contains(&fact) {
                facts.push(fact);
            }
        }
    }

    /// The values between products that are stored, and why.
    fn stored_rows(&mut self) {
        for node in self.graph().nodes() {
            let refusal = self.graph().node(node).refusal;
            if let Some(refusal) = refusal.filter(|refusal| !matches!(refusal, Refusal::Lone(_))) {
                let text = format!("the values from {} on are stored: {}", self.name(node), stored(refusal));
                self.tell(self.line(node), FactKind::Apart, text);
            }
        }
    }

    fn views(&mut self) {
        let mut by_line: BTreeMap<Place, Vec<String>> = BTreeMap::new();
        for node in self.graph().nodes() {
            let view = self.graph().operator(node).is_some_and(|op| is_view(&op.lower()));
            let own = self.built.lowered.layouts.get(&node).is_some_and(|layout| layout.base == node);
            if view
                && !own
                && let Some(line) = self.line(node)
            {
                by_line.entry(line).or_default().push(self.name(node));
            }
        }
        for (line, names) in by_line {
            let text =
                format!("views in {} move nothing: readers find the elements where they lie", listed(names));
            self.tell(Some(line), FactKind::Elided, text);
        }
    }

    /// The stages of the layer table of which no node is left.
    fn gone(&mut self, rows: &[Row]) {
        let nodes = self.graph().nodes();
        let left: BTreeSet<Span> =
            nodes.iter().flat_map(|node| self.origin(*node).spans.iter().copied()).collect();
        for row in rows.iter().filter(|row| !row.block && !left.contains(&row.span)) {
            let inside = left.iter().any(|span| row.span.contains(*span));
            if !inside {
                let line = (row.span.file, self.sources.source(row.span.file).line_of(row.span.start));
                let text = format!("nothing is left of `{}` in this program", row.operation);
                self.tell(Some(line), FactKind::Gone, text);
            }
        }
    }
}
