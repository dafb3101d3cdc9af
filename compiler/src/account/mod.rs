//! What became of every line of a model: which kernels compute it, what was fused into them, what moves nothing, what
//! takes over memory, and why kernels stay apart that read from one another.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::Profile;

use crate::elaborate::Row;
use crate::ir::{Graph, NodeId};
use crate::lower::is_view;
use crate::ops::Lowering;
use crate::passes::why_separate;
use crate::program::Built;
use crate::source::{Sources, Span};

use words::{listed, stored};

/// Sources of one kernel that are named; a kernel with more of them names the first.
const NAMED: usize = 3;

/// A line of a model and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineAccount {
    /// The start of the line.
    pub span: Span,
    /// The line as written, without blanks around it.
    pub text: String,
    /// What became of it.
    pub facts: Vec<Fact>,
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
    /// Something moves no numbers.
    Elided,
    /// A result takes over memory, or is written straight into its place in a larger one.
    Aliased,
    /// Something is computed a second time instead of being kept.
    Again,
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
            FactKind::Elided => "elided",
            FactKind::Aliased => "aliased",
            FactKind::Again => "again",
            FactKind::Gone => "gone",
        }
    }
}

/// The lines of the model's files in order, with what became of each in the program `built`. `rows` is the layer table.
#[must_use]
pub fn account(built: &Built, rows: &[Row], sources: &Sources, profile: &Profile) -> Vec<LineAccount> {
    let mut teller = Teller { built, sources, lines: BTreeMap::new() };
    teller.kernels(profile);
    teller.stored_rows();
    teller.views();
    teller.memory();
    teller.seconds();
    teller.gone(rows);
    let lines = teller.lines.into_iter().map(|((file, line), mut facts)| {
        facts.sort_by_key(|fact| fact.kind);
        let source = sources.source(file);
        let start = source.line_start(line);
        let span = Span::new(file, start, start);
        LineAccount { span, text: source.line(line).trim().to_owned(), facts }
    });
    lines.collect()
}

/// A line: its file and its number from 0.
type Place = (crate::source::FileId, usize);

struct Teller<'a> {
    built: &'a Built,
    sources: &'a Sources,
    lines: BTreeMap<Place, Vec<Fact>>,
}

impl<'a> Teller<'a> {
    fn graph(&self) -> &'a Graph {
        &self.built.graph
    }

    /// The line of the model that `node` comes from: the outermost use that leads to it.
    fn line(&self, node: NodeId) -> Option<Place> {
        let span = self.origin(node).spans.last()?;
        Some((span.file, self.sources.source(span.file).line_of(span.start)))
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

    fn kernels(&mut self, profile: &Profile) {
        let homes: BTreeMap<NodeId, usize> = self
            .built
            .lowered
            .stages
            .iter()
            .enumerate()
            .flat_map(|(kernel, stage)| stage.cluster.members.iter().map(move |member| (*member, kernel)))
            .collect();
        let mut separations = self.separations(&homes, profile);
        for (kernel, stage) in self.built.lowered.stages.iter().enumerate() {
            let members = &stage.cluster.members;
            let home = members.iter().find_map(|member| self.line(*member));
            let names = listed(members.iter().map(|member| self.name(*member)));
            if stage.work.is_empty() {
                let text = format!("k{kernel} launches nothing: the parts of {names} are written in place");
                self.tell(home, FactKind::Kernel, text);
                continue;
            }
            self.tell(home, FactKind::Kernel, format!("k{kernel} computes {names} ({})", stage.label));
            let mut elsewhere: BTreeMap<Place, Vec<String>> = BTreeMap::new();
            for member in members {
                if let Some(line) = self.line(*member).filter(|line| Some(*line) != home) {
                    elsewhere.entry(line).or_default().push(self.name(*member));
                }
            }
            for (line, names) in elsewhere {
                let text = format!("{} in k{kernel}{}", listed(names), self.at(home, line));
                self.tell(Some(line), FactKind::Fused, text);
            }
            for reason in separations.remove(&kernel).unwrap_or_default() {
                self.tell(home, FactKind::Apart, reason);
            }
            let copies = members.iter().find(|member| self.is_copy(**member));
            if let Some(copy) = copies {
                let readers = self.graph().readers(*copy).into_iter().map(|(reader, _)| self.name(reader));
                let text = format!("k{kernel} copies, because {} needs it in one piece", listed(readers));
                self.tell(home, FactKind::Copied, text);
            }
        }
    }

    /// The values between products that are stored, and why.
    fn stored_rows(&mut self) {
        for node in self.graph().nodes() {
            if let Some(refusal) = self.graph().node(node).refusal {
                let text = format!("the values from {} on are stored: {}", self.name(node), stored(refusal));
                self.tell(self.line(node), FactKind::Apart, text);
            }
        }
    }

    /// ` of line 5`, where that is another one than `line`.
    fn at(&self, home: Option<Place>, line: Place) -> String {
        match home {
            Some((file, number)) if file == line.0 => format!(", line {}", number + 1),
            Some((file, number)) => format!(", {}:{}", self.sources.source(file).path(), number + 1),
            None => String::new(),
        }
    }

    /// For each kernel those that it reads from, and why it is not one with them.
    fn separations(
        &self,
        homes: &BTreeMap<NodeId, usize>,
        profile: &Profile,
    ) -> BTreeMap<usize, Vec<String>> {
        let mut pairs: BTreeMap<(usize, usize), (NodeId, NodeId)> = BTreeMap::new();
        for (reader, kernel) in homes {
            for operand in self.graph().operands(*reader) {
                let base = self.built.lowered.layouts[&operand].base;
                let works = |kernel: &usize| !self.built.lowered.stages[*kernel].work.is_empty();
                if let Some(producer) = homes.get(&base).filter(|it| *it != kernel && works(it)) {
                    pairs.entry((*kernel, *producer)).or_insert((base, *reader));
                }
            }
        }
        let asked: Vec<(NodeId, NodeId)> = pairs.values().copied().collect();
        let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let reasons = why_separate(self.graph(), profile, &asked);
        for (((kernel, producer), (value, reader)), reason) in pairs.into_iter().zip(reasons) {
            let reasons = found.entry(kernel).or_default();
            if reasons.len() < NAMED {
                reasons.push(format!("k{kernel} from k{producer}: {}", self.reason(reason, value, reader)));
            }
        }
        found
    }

    fn is_copy(&self, node: NodeId) -> bool {
        let lowering = self.graph().operator(node).map(|op| op.lower());
        matches!(lowering, Some(Lowering::Map(expr)) if expr.is_identity())
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

    fn memory(&mut self) {
        for (value, operand) in &self.built.plan.in_place {
            let text = format!(
                "{} writes over {}, which nothing reads later",
                self.name(*value),
                self.name(*operand)
            );
            self.tell(self.line(*value), FactKind::Aliased, text);
        }
        let lowered = &self.built.lowered;
        let packed = lowered.parts.iter().map(|(part, (whole, _))| (*part, *whole));
        for (part, whole) in packed.chain(lowered.homes.parts()) {
            let (by, of) = self.names(part, whole);
            let text = format!("{by} writes straight into its part of {of}");
            self.tell(self.line(part), FactKind::Aliased, text);
        }
    }

    /// What is computed a second time, by the kernel that does.
    fn seconds(&mut self) {
        let mut found: BTreeMap<(Place, usize), Vec<String>> = BTreeMap::new();
        for (kernel, stage) in self.built.lowered.stages.iter().enumerate() {
            for member in stage.cluster.members.iter().filter(|id| self.graph().node(**id).again) {
                if let Some(line) = self.line(*member) {
                    found.entry((line, kernel)).or_default().push(self.name(*member));
                }
            }
        }
        for ((line, kernel), names) in found {
            let text = format!("k{kernel} computes {} a second time instead of keeping it", listed(names));
            self.tell(Some(line), FactKind::Again, text);
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
