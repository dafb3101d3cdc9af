//! What lowering and the plan leave out, on a graph where they can and on one where they cannot.

use nnc::ir::{Assignment, Graph, NodeId, Source, StoredId, StoredTensor, TensorType};
use nnc::ops::{Concat, Contract, Pack, Reduce};
use nnc::program::{Built, artifact_of};
use nnc_runtime::artifact::{Init, Role, StoredKind};
use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Profile, Unary};

fn built(mut graph: Graph, results: &[NodeId]) -> Built {
    graph.results.extend(results.iter().enumerate().map(|(k, v)| (format!("y{k}"), *v)));
    artifact_of(graph, Role::Infer, &Profile::named("nvidia-hopper").expect("the profile exists")).0
}

fn input(graph: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    graph.source(Source::Input { name: name.to_owned(), batched: false }, TensorType::f32(shape))
}

fn product(graph: &mut Graph, left: NodeId, right: NodeId) -> NodeId {
    graph.must(Contract::new("mk", "kn", "mn"), &[left, right])
}

fn launches(built: &Built) -> usize {
    built.lowered.stages.iter().flat_map(|stage| &stage.work).count()
}

#[test]
fn a_map_takes_the_memory_of_an_operand_that_nothing_reads_later() {
    let taken = |again: bool| {
        let mut graph = Graph::new();
        let (x, w) = (input(&mut graph, "x", &[64, 64]), input(&mut graph, "w", &[64, 64]));
        let whole = product(&mut graph, x, w);
        let sums = graph.must(Reduce::new(Reduction::Sum, &[0]), &[whole]);
        let shares = graph.map(&[whole, sums], |b, x| b.binary(Binary::Div, x[0], x[1]));
        let y = product(&mut graph, shares, w);
        let results = if again { vec![y, product(&mut graph, whole, y)] } else { vec![y] };
        built(graph, &results).plan.in_place.len()
    };
    assert_eq!((taken(false), taken(true)), (1, 0));
}

/// A program that gives a stored tensor the next value that `next` makes of it and an input.
fn update(next: impl FnOnce(&mut Graph, NodeId, NodeId) -> NodeId) -> Built {
    let mut graph = Graph::new();
    let ty = TensorType::f32([64, 64]);
    let stored = StoredTensor {
        path: "s".to_owned(),
        kind: StoredKind::State,
        ty: ty.clone(),
        init: Init::Constant(0.0),
    };
    graph.stored.push(stored);
    let target = graph.source(Source::Stored(StoredId(0)), ty);
    let x = input(&mut graph, "x", &[64, 64]);
    let value = next(&mut graph, target, x);
    graph.assignments.push(Assignment { target, value });
    built(graph, &[])
}

#[test]
fn a_next_value_is_written_over_the_present_one_where_only_its_own_point_is_read() {
    let sum = |graph: &mut Graph, s, x| graph.map(&[s, x], |b, x| b.binary(Binary::Add, x[0], x[1]));
    assert!(update(sum).plan.copies.is_empty());
    assert_eq!(update(product).plan.copies.len(), 1, "a product reads rows and columns");
}

#[test]
fn a_part_of_a_pack_is_written_in_place_unless_it_leaves_the_program_itself() {
    let parts = |also: bool| {
        let mut graph = Graph::new();
        let (x, w) = (input(&mut graph, "x", &[8, 8]), input(&mut graph, "w", &[8, 8]));
        let left = product(&mut graph, x, w);
        let right = graph.must(Reduce::new(Reduction::Sum, &[0]), &[x]);
        let pack = graph.must(Pack::new(&[0, 64], 128), &[left, right]);
        let built = built(graph, &[pack, left][..if also { 2 } else { 1 }]);
        (built.lowered.parts.len(), launches(&built))
    };
    assert_eq!((parts(false), parts(true)), ((2, 2), (1, 3)));
}

#[test]
fn a_part_of_a_concat_is_copied_only_where_no_kernel_computes_it() {
    let copies = |computed: bool| {
        let mut graph = Graph::new();
        let x = input(&mut graph, "x", &[8, 8]);
        let part = if computed { graph.map(&[x], |b, x| b.unary(Unary::Exp, x[0])) } else { x };
        let left = product(&mut graph, x, x);
        let whole = graph.must(Concat::new(1), &[left, part]);
        let y = graph.must(Reduce::new(Reduction::Sum, &[0]), &[whole]);
        let built = built(graph, &[y]);
        let moves = built.lowered.stages.iter().filter(|stage| stage.label.starts_with("concat"));
        moves.map(|stage| stage.work.len()).sum::<usize>()
    };
    assert_eq!((copies(true), copies(false)), (0, 1));
}

#[test]
fn kernels_that_share_nothing_are_one_where_they_are_small_and_over_one_space() {
    let kernels = |left: &[usize], right: &[usize]| {
        let mut graph = Graph::new();
        let (a, b) = (input(&mut graph, "a", left), input(&mut graph, "b", right));
        let results = [a, b].map(|x| graph.map(&[x], |b, x| b.unary(Unary::Exp, x[0])));
        launches(&built(graph, &results))
    };
    assert_eq!(kernels(&[32, 32], &[32, 32]), 1);
    assert_eq!(kernels(&[32, 32], &[32, 31]), 2, "over another space");
    assert_eq!(kernels(&[512, 512], &[512, 512]), 2, "large, and nothing is shared");
}
