//! The graph of a program: sources, operators and the values between them.
//!
//! Every node is one value. Edges run from operand to reader and carry the operand's slot. Node numbers are
//! stable while a graph is rewritten; printed numbers are those of [`Graph::order`]. petgraph has its one home here.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use nnc_runtime::artifact::HostSymbol;
use nnc_wgsl::{Element, Expr, ExprBuilder, Ref, Scalar};
use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef;

use super::allowance::Allowance;
use super::refusal::Refusal;
use super::stored::{FlatRegion, StoredId, StoredTensor};
use super::types::TensorType;
use crate::ops::{Map, Operator, Reshape, TypeError};
use crate::source::Span;

/// A node of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(NodeIndex<u32>);

impl NodeId {
    /// Its number; stable, but freed numbers are given again.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.index()
    }
}

/// Where a value comes from in the text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Origin {
    /// The stage or expression, then each use of a block around it, innermost first.
    pub spans: Vec<Span>,
    /// The scope path, such as `layer1.0.conv`.
    pub path: String,
    /// What must hold where the value is computed, which is not a number elsewhere.
    pub requires: Option<Arc<str>>,
    /// Whether it is to be stored in `f32` even in mixed precision.
    pub wide: bool,
}

impl Origin {
    /// The same place, of a value that is computed from the one there and requires nothing itself.
    #[must_use]
    pub fn of_derived(origin: &Arc<Origin>) -> Arc<Origin> {
        if origin.requires.is_none() {
            return origin.clone();
        }
        Arc::new(Origin { requires: None, ..Origin::clone(origin) })
    }
}

/// A value without operands.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// What the program is given: a model input or a data field.
    Input {
        /// Its name.
        name: String,
        /// Whether axis 0 is the batch.
        batched: bool,
    },
    /// A tensor that outlives the step.
    Stored(StoredId),
    /// All trained weights of a group as one flat tensor (see [`super::stored`]), or one optimizer moment.
    Region(String),
    /// A number computed on the host once a step: a formula of `symbols`.
    Host {
        /// One `f32` or `i32` result.
        expr: Expr,
        /// Its operands.
        symbols: Vec<HostSymbol>,
    },
    /// The same number everywhere.
    Constant(f64),
    /// Uniform numbers in [0, 1) from this random stream, by seed, step and place.
    Random {
        /// Which stream of the program.
        stream: u32,
    },
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A value without operands.
    Source(Source),
    /// An operator applied to the operands in slot order.
    Operator(Arc<dyn Operator>),
}

/// A value.
#[derive(Clone, Debug)]
pub struct Node {
    /// What computes it.
    pub kind: Kind,
    /// Its type.
    pub ty: TensorType,
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// The kernel that computes it, once [`crate::passes`] has formed kernels.
    pub cluster: Option<u32>,
    /// The row between products that it belongs to, once the pass `product_rows` has found it: all values of one number
    /// are computed by one kernel.
    pub product_row: Option<u32>,
    /// Why the values from this product to others are stored, where the pass `product_rows` found that they are reduced
    /// between them; or why this convolution is not one with others of its input, where the pass `siblings` found those.
    pub refusal: Option<Refusal>,
    /// Where the values come from that the pass `siblings` joined in this one.
    pub joined: Vec<Arc<Origin>>,
    /// Whether it is a second computation of a value that is not kept ([`crate::recompute`]): its kernel runs right
    /// before the first that needs it.
    pub again: bool,
    /// Whether its elements lie in memory as `f16`, once the pass `narrow` has found that they may: kernels compute in
    /// `f32` either way.
    pub narrow: bool,
}

/// A value that replaces a stored tensor or region when the step ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assignment {
    /// A [`Source::Stored`] or [`Source::Region`] node.
    pub target: NodeId,
    /// Its next value, of the same type.
    pub value: NodeId,
}

/// A program as a graph.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    net: StableDiGraph<Node, usize>,
    origin: Arc<Origin>,
    streams: u32,
    /// The elementwise formulas that were added.
    formulas: HashMap<Expr, Arc<Map>>,
    /// What the program gives back, by name.
    pub results: Vec<(String, NodeId)>,
    /// The results whose axis 0 is the batch.
    pub batched: BTreeSet<String>,
    /// What outlives the step.
    pub assignments: Vec<Assignment>,
    /// The tensors that outlive the step; shared by the programs of one artifact.
    pub stored: Vec<StoredTensor>,
    /// The flat regions that hold trained weights; those of optimizer moments have no members.
    pub regions: Vec<FlatRegion>,
    /// Whether kernels bind each value by itself: the arenas are too large to be bound as a whole.
    pub apart: bool,
    /// How many more rewrites may be made of it.
    pub allowance: Allowance,
    /// Whether values between kernels are stored in `f16` where that is enough.
    pub narrow: bool,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Graph {
        Graph::default()
    }

    /// States where the nodes added from now on come from.
    pub fn set_origin(&mut self, origin: Arc<Origin>) {
        self.origin = origin;
    }

    /// Where the nodes that are added now come from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Adds a value without operands.
    pub fn source(&mut self, source: Source, ty: TensorType) -> NodeId {
        let origin = self.origin.clone();
        let kind = Kind::Source(source);
        self.add(kind, ty, origin)
    }

    fn add(&mut self, kind: Kind, ty: TensorType, origin: Arc<Origin>) -> NodeId {
        let node = Node {
            kind,
            ty,
            origin,
            cluster: None,
            product_row: None,
            refusal: None,
            joined: Vec::new(),
            again: false,
            narrow: false,
        };
        NodeId(self.net.add_node(node))
    }

    /// Adds a splat constant.
    pub fn constant(&mut self, value: f64, ty: TensorType) -> NodeId {
        self.source(Source::Constant(value), ty)
    }

    /// Adds a number computed on the host from `symbols`.
    pub fn host(&mut self, expr: Expr, symbols: Vec<HostSymbol>) -> NodeId {
        let element = Element::of(expr.result_type(0));
        self.source(Source::Host { expr, symbols }, TensorType::new(element, []))
    }

    /// Adds uniform random numbers from a stream of their own.
    pub fn random(&mut self, shape: impl Into<Vec<usize>>) -> NodeId {
        let stream = self.streams;
        self.streams += 1;
        self.source(Source::Random { stream }, TensorType::f32(shape))
    }

    /// Adds an operator.
    ///
    /// # Errors
    /// If the operator refuses the types of the operands.
    pub fn apply(&mut self, op: impl Operator + 'static, operands: &[NodeId]) -> Result<NodeId, TypeError> {
        self.apply_shared(Arc::new(op), operands)
    }

    /// [`Graph::apply`] for an operator that is already shared.
    ///
    /// # Errors
    /// If the operator refuses the types of the operands.
    pub fn apply_shared(&mut self, op: Arc<dyn Operator>, operands: &[NodeId]) -> Result<NodeId, TypeError> {
        let types: Vec<&TensorType> = operands.iter().map(|&v| self.ty(v)).collect();
        let ty = op.infer(&types)?;
        let origin = self.origin.clone();
        let kind = Kind::Operator(op);
        let node = self.add(kind, ty, origin);
        for (slot, operand) in operands.iter().enumerate() {
            self.net.add_edge(operand.0, node.0, slot);
        }
        Ok(node)
    }

    /// [`Graph::apply`] where the types are known to fit.
    ///
    /// # Panics
    /// If they do not: a bug of the caller.
    pub fn must(&mut self, op: impl Operator + 'static, operands: &[NodeId]) -> NodeId {
        self.must_shared(Arc::new(op), operands)
    }

    /// [`Graph::must`] for an operator that is already shared.
    ///
    /// # Panics
    /// If the types do not fit: a bug of the caller.
    pub fn must_shared(&mut self, op: Arc<dyn Operator>, operands: &[NodeId]) -> NodeId {
        match self.apply_shared(op.clone(), operands) {
            Ok(node) => node,
            Err(error) => panic!("`{}` was applied to operands that do not fit: {error}", op.label()),
        }
    }

    /// Adds an elementwise formula with one result. Nodes with equal formulas share one operator.
    ///
    /// # Errors
    /// If the operands have other types than those of the formula, or do not broadcast.
    pub fn formula(&mut self, expr: Expr, operands: &[NodeId]) -> Result<NodeId, TypeError> {
        let op = match self.formulas.get(&expr) {
            Some(op) => op.clone(),
            None => {
                let op = Arc::new(Map::new(expr.clone()));
                self.formulas.insert(expr, op.clone());
                op
            }
        };
        self.apply_shared(op, operands)
    }

    /// Adds an elementwise formula of operands that are known to broadcast.
    ///
    /// # Panics
    /// If they do not: a bug of the caller.
    pub fn map(&mut self, operands: &[NodeId], f: impl FnOnce(&mut ExprBuilder, &[Ref]) -> Ref) -> NodeId {
        let scalars: Vec<Scalar> = operands.iter().map(|&v| self.ty(v).element.scalar()).collect();
        match self.formula(Expr::build(&scalars, f), operands) {
            Ok(node) => node,
            Err(error) => panic!("a formula was applied to operands that do not fit: {error}"),
        }
    }

    /// The same elements under another shape; the value itself where the shape is the same.
    ///
    /// # Panics
    /// If the shape has another number of elements: a bug of the caller.
    pub fn reshape(&mut self, value: NodeId, shape: &[usize]) -> NodeId {
        if self.ty(value).shape == shape { value } else { self.must(Reshape::new(shape), &[value]) }
    }

    /// The node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.net[id.0]
    }

    /// The node, to be changed.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.net[id.0]
    }

    /// The type of a value.
    #[must_use]
    pub fn ty(&self, id: NodeId) -> &TensorType {
        &self.net[id.0].ty
    }

    /// What the elements of a value are where they lie in memory.
    #[must_use]
    pub fn stored_element(&self, id: NodeId) -> Element {
        let node = self.node(id);
        if node.narrow { Element::F16 } else { node.ty.element }
    }

    /// The memory that a value takes, in bytes.
    #[must_use]
    pub fn stored_bytes(&self, id: NodeId) -> usize {
        let ty = self.ty(id);
        TensorType { element: self.stored_element(id), shape: ty.shape.clone() }.bytes()
    }

    /// The operator of a node, if it is one.
    #[must_use]
    pub fn operator(&self, id: NodeId) -> Option<&Arc<dyn Operator>> {
        match &self.net[id.0].kind {
            Kind::Operator(op) => Some(op),
            Kind::Source(_) => None,
        }
    }

    /// The operands in slot order.
    #[must_use]
    pub fn operands(&self, id: NodeId) -> Vec<NodeId> {
        let mut edges: Vec<(usize, NodeId)> = self
            .net
            .edges_directed(id.0, Direction::Incoming)
            .map(|e| (*e.weight(), NodeId(e.source())))
            .collect();
        edges.sort_unstable();
        edges.into_iter().map(|(_, operand)| operand).collect()
    }

    /// Whether `wanted` holds for an operand of the node.
    #[must_use]
    pub fn reads_any(&self, id: NodeId, wanted: impl Fn(NodeId) -> bool) -> bool {
        self.net.neighbors_directed(id.0, Direction::Incoming).any(|operand| wanted(NodeId(operand)))
    }

    /// The readers of a value with the slot they read it in, in the order of their numbers.
    #[must_use]
    pub fn readers(&self, id: NodeId) -> Vec<(NodeId, usize)> {
        let mut readers: Vec<(NodeId, usize)> = self
            .net
            .edges_directed(id.0, Direction::Outgoing)
            .map(|e| (NodeId(e.target()), *e.weight()))
            .collect();
        readers.sort_unstable();
        readers
    }

    /// Whether the value leaves the program: a result, or the next value of a stored tensor.
    #[must_use]
    pub fn is_output(&self, id: NodeId) -> bool {
        self.results.iter().any(|(_, v)| *v == id) || self.assignments.iter().any(|a| a.value == id)
    }

    /// Makes every reader, result and assignment of `old` use `new` instead.
    pub fn replace(&mut self, old: NodeId, new: NodeId) {
        let edges: Vec<_> = self
            .net
            .edges_directed(old.0, Direction::Outgoing)
            .map(|e| (e.id(), e.target(), *e.weight()))
            .collect();
        for (edge, reader, slot) in edges {
            if reader == new.0 {
                continue;
            }
            self.net.remove_edge(edge);
            self.net.add_edge(new.0, reader, slot);
        }
        for (_, value) in &mut self.results {
            if *value == old {
                *value = new;
            }
        }
        for assignment in &mut self.assignments {
            if assignment.value == old {
                assignment.value = new;
            }
        }
    }

    /// Makes one operand of a reader another value.
    ///
    /// # Panics
    /// If the reader has no such slot.
    pub fn set_operand(&mut self, reader: NodeId, slot: usize, value: NodeId) {
        let edge = self.net.edges_directed(reader.0, Direction::Incoming).find(|e| *e.weight() == slot);
        let edge = edge.expect("the reader has the slot").id();
        self.net.remove_edge(edge);
        self.net.add_edge(value.0, reader.0, slot);
    }

    /// Removes a node that nothing reads.
    ///
    /// # Panics
    /// If something reads it.
    pub fn remove(&mut self, id: NodeId) {
        assert!(self.readers(id).is_empty(), "a node that is removed has no readers");
        self.net.remove_node(id.0);
    }

    /// All nodes, in the order of their numbers.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        self.net.node_indices().map(NodeId).collect()
    }

    /// All nodes, each after its operands; among those that are ready the lowest number comes first.
    ///
    /// # Panics
    /// If the graph has a cycle.
    #[must_use]
    pub fn order(&self) -> Vec<NodeId> {
        let mut missing: Vec<usize> =
            vec![0; self.net.node_indices().map(|i| i.index() + 1).max().unwrap_or(0)];
        let mut ready = BTreeSet::new();
        for node in self.net.node_indices() {
            let count = self.net.edges_directed(node, Direction::Incoming).count();
            missing[node.index()] = count;
            if count == 0 {
                ready.insert(node);
            }
        }
        let mut order = Vec::with_capacity(self.net.node_count());
        while let Some(node) = ready.pop_first() {
            order.push(NodeId(node));
            for edge in self.net.edges_directed(node, Direction::Outgoing) {
                let reader = edge.target();
                missing[reader.index()] -= 1;
                if missing[reader.index()] == 0 {
                    ready.insert(reader);
                }
            }
        }
        assert_eq!(order.len(), self.net.node_count(), "a graph has no cycles");
        order
    }

    /// The number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.net.node_count()
    }

    /// Whether there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.net.node_count() == 0
    }
}
