//! Each pass on a graph it changes and on one it must leave alone.

use nnc::ir::{Graph, NodeId, Source, TensorType};
use nnc::ops::{
    Broadcast, Concat, Contract, Conv, ConvGeometry, ConvInputGradient, ConvWeightGradient, Pad, Permute,
    Reduce, Reshape, Slice, StopGradient,
};
use nnc::passes::{Anchor, clusters, optimize, run_one};
use nnc::program::artifact_of;
use nnc_runtime::artifact::Role;
use nnc_tests::siblings::{siblings, trained_siblings};
use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Expr, Profile, Scalar, Unary};

fn profile(name: &str) -> Profile {
    Profile::named(name).expect("the profile exists")
}

fn input(graph: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    graph.source(Source::Input { name: name.to_owned(), batched: false }, TensorType::f32(shape))
}

fn unary(graph: &mut Graph, op: Unary, value: NodeId) -> NodeId {
    graph.map(&[value], |b, x| b.unary(op, x[0]))
}

fn add(graph: &mut Graph, left: NodeId, right: NodeId) -> NodeId {
    graph.map(&[left, right], |b, x| b.binary(Binary::Add, x[0], x[1]))
}

/// The graph after one pass and the removal of what it left unread.
fn after(mut graph: Graph, pass: &str, results: &[NodeId]) -> Graph {
    graph.results = results.iter().enumerate().map(|(k, v)| (format!("y{k}"), *v)).collect();
    run_one(pass, &mut graph, &profile("webgpu-default"));
    run_one("dead_code", &mut graph, &profile("webgpu-default"));
    graph
}

/// How many kernels a whole pipeline makes of the graph.
fn kernels(mut graph: Graph, results: &[NodeId], target: &str) -> usize {
    graph.results = results.iter().enumerate().map(|(k, v)| (format!("y{k}"), *v)).collect();
    optimize(&mut graph, &profile(target), |_, _| {});
    clusters(&graph, &profile(target)).len()
}

#[test]
fn dead_code_removes_what_no_result_needs_and_nothing_else() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[4]);
    let y = unary(&mut graph, Unary::Exp, x);
    let _ = unary(&mut graph, Unary::Sin, y);
    assert_eq!(after(graph, "dead_code", &[y]).len(), 2);
}

#[test]
fn algebra_drops_views_that_change_nothing_and_keeps_those_that_do() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[2, 3]);
    let same = graph.must(Reshape::new(&[2, 3]), &[x]);
    let same = graph.must(Permute::new(&[0, 1]), &[same]);
    let same = graph.must(StopGradient, &[same]);
    let y = unary(&mut graph, Unary::Exp, same);
    assert_eq!(after(graph, "algebra", &[y]).len(), 2);

    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[2, 3]);
    let turned = graph.must(Permute::new(&[1, 0]), &[x]);
    let y = unary(&mut graph, Unary::Exp, turned);
    assert_eq!(after(graph, "algebra", &[y]).len(), 3);
}

#[test]
fn algebra_reads_around_a_broadcast_only_where_the_shape_stays() {
    let mut graph = Graph::new();
    let (x, b) = (input(&mut graph, "x", &[2, 3]), input(&mut graph, "b", &[3]));
    let wide = graph.must(Broadcast::new(&[2, 3]), &[b]);
    let y = add(&mut graph, x, wide);
    assert_eq!(after(graph, "algebra", &[y]).len(), 3);

    let mut graph = Graph::new();
    let b = input(&mut graph, "b", &[3]);
    let wide = graph.must(Broadcast::new(&[2, 3]), &[b]);
    let y = unary(&mut graph, Unary::Exp, wide);
    assert_eq!(after(graph, "algebra", &[y]).len(), 3);
}

#[test]
fn constants_fold_and_move_into_formulas_unless_they_give_the_shape() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[3]);
    let two = graph.constant(2.0, TensorType::f32([]));
    let three = graph.constant(3.0, TensorType::f32([]));
    let six = graph.map(&[two, three], |b, x| b.binary(Binary::Mul, x[0], x[1]));
    let y = add(&mut graph, x, six);
    assert_eq!(after(graph, "constants", &[y]).len(), 2);

    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[3]);
    let rows = graph.constant(2.0, TensorType::f32([4, 1]));
    let y = add(&mut graph, x, rows);
    assert_eq!(after(graph, "constants", &[y]).len(), 3);
}

#[test]
fn equal_values_become_one_and_random_streams_stay_apart() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[3]);
    let (a, b) = (unary(&mut graph, Unary::Exp, x), unary(&mut graph, Unary::Exp, x));
    let y = add(&mut graph, a, b);
    assert_eq!(after(graph, "common_subexpressions", &[y]).len(), 3);

    let mut graph = Graph::new();
    let (a, b) = (graph.random([3]), graph.random([3]));
    let y = add(&mut graph, a, b);
    assert_eq!(after(graph, "common_subexpressions", &[y]).len(), 3);
}

#[test]
fn numbers_of_the_training_loop_are_computed_on_the_host_and_tensors_are_not() {
    use nnc_runtime::artifact::HostSymbol;
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[3]);
    let step = graph.host(Expr::identity(Scalar::F32), vec![HostSymbol::Step]);
    let decay = unary(&mut graph, Unary::Neg, step);
    let decay = unary(&mut graph, Unary::Exp, decay);
    let y = graph.map(&[x, decay], |b, x| b.binary(Binary::Mul, x[0], x[1]));
    assert_eq!(after(graph, "host_scalars", &[y]).len(), 3);
}

#[test]
fn a_number_made_of_a_tensor_stays_on_the_device() {
    use nnc_runtime::artifact::HostSymbol;
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[]);
    let step = graph.host(Expr::identity(Scalar::F32), vec![HostSymbol::Step]);
    let y = add(&mut graph, x, step);
    assert_eq!(after(graph, "host_scalars", &[y]).len(), 3);
}

#[test]
fn what_is_made_of_no_tensor_is_made_by_each_reader_and_a_map_of_a_tensor_once() {
    let maps = |random: bool| {
        let mut graph = Graph::new();
        let x = input(&mut graph, "x", &[4]);
        let source = if random { graph.random([4]) } else { x };
        let mask = unary(&mut graph, Unary::Exp, source);
        let results = [Unary::Sin, Unary::Tanh].map(|op| unary(&mut graph, op, mask));
        after(graph, "generators", &results).len()
    };
    assert_eq!((maps(true), maps(false)), (5, 4));
}

#[test]
fn a_dropout_mask_is_computed_by_each_reader_and_stored_by_none() {
    let mut graph = Graph::new();
    let (x, w) = (input(&mut graph, "x", &[8, 16]), input(&mut graph, "w", &[16, 16]));
    let noise = graph.random([8, 16]);
    let mask = graph.map(&[noise], |b, x| {
        let half = b.real(0.5);
        b.binary(Binary::Lt, x[0], half)
    });
    let drop = |graph: &mut Graph, value| {
        graph.map(&[mask, value], |b, x| {
            let zero = b.real(0.0);
            b.select(x[0], x[1], zero)
        })
    };
    let first = graph.must(Contract::new("mk", "kn", "mn"), &[x, w]);
    let first = drop(&mut graph, first);
    let second = graph.must(Contract::new("mk", "kn", "mn"), &[first, w]);
    let second = drop(&mut graph, second);
    assert_eq!(kernels(graph, &[second], "nvidia-hopper"), 2, "each product masks its own result");
}

#[test]
fn a_copy_is_made_where_a_view_will_not_do_and_nowhere_else() {
    let conv = |turned: bool| {
        let mut graph = Graph::new();
        let (mut x, w) = (input(&mut graph, "x", &[2, 3, 4, 4]), input(&mut graph, "w", &[5, 3, 3, 3]));
        if turned {
            x = graph.must(Permute::new(&[0, 1, 3, 2]), &[x]);
        }
        let y = graph.must(Conv::new(ConvGeometry::plain(2)), &[x, w]);
        kernels(graph, &[y], "nvidia-hopper")
    };
    assert_eq!((conv(false), conv(true)), (1, 2));
}

#[test]
fn a_product_takes_a_transposed_operand_as_it_is() {
    let mut graph = Graph::new();
    let (x, w) = (input(&mut graph, "x", &[4, 6]), input(&mut graph, "w", &[5, 6]));
    let turned = graph.must(Permute::new(&[1, 0]), &[w]);
    let y = graph.must(Contract::new("mk", "kn", "mn"), &[x, turned]);
    assert_eq!(kernels(graph, &[y], "nvidia-hopper"), 1);
}

#[test]
fn bias_activation_and_residual_are_epilogues_of_a_convolution() {
    let mut graph = Graph::new();
    let (x, w) = (input(&mut graph, "x", &[2, 3, 8, 8]), input(&mut graph, "w", &[4, 3, 3, 3]));
    let (bias, skip) = (input(&mut graph, "b", &[4, 1, 1]), input(&mut graph, "s", &[2, 4, 6, 6]));
    let y = graph.must(Conv::new(ConvGeometry::plain(2)), &[x, w]);
    let y = add(&mut graph, y, bias);
    let y = add(&mut graph, y, skip);
    let y = unary(&mut graph, Unary::Tanh, y);
    assert_eq!(kernels(graph, &[y], "webgpu-default"), 1);
}

#[test]
fn softmax_is_one_kernel_and_a_long_column_is_not_a_row() {
    let softmax = |graph: &mut Graph, x: NodeId, axis: usize| {
        let shape = graph.ty(x).shape.clone();
        let mut ones = shape.clone();
        ones[axis] = 1;
        let most = graph.must(Reduce::new(Reduction::Max, &[axis]), &[x]);
        let most = graph.reshape(most, &ones);
        let shifted = graph.map(&[x, most], |b, x| {
            let d = b.binary(Binary::Sub, x[0], x[1]);
            b.unary(Unary::Exp, d)
        });
        let total = graph.must(Reduce::new(Reduction::Sum, &[axis]), &[shifted]);
        let total = graph.reshape(total, &ones);
        graph.map(&[shifted, total], |b, x| b.binary(Binary::Div, x[0], x[1]))
    };
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[64, 100]);
    let y = softmax(&mut graph, x, 1);
    assert_eq!(kernels(graph, &[y], "webgpu-default"), 1);

    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[64, 100]);
    let y = softmax(&mut graph, x, 0);
    assert!(kernels(graph, &[y], "webgpu-default") > 1);
}

#[test]
fn values_that_depend_on_each_other_by_way_of_another_kernel_stay_apart() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[6, 6]);
    let a = unary(&mut graph, Unary::Exp, x);
    let product = graph.must(Contract::new("mk", "kn", "mn"), &[a, a]);
    let turned = graph.must(Permute::new(&[1, 0]), &[product]);
    let y = add(&mut graph, a, turned);
    assert_eq!(kernels(graph, &[y], "nvidia-hopper"), 3);
}

#[test]
fn a_kernel_binds_no_more_buffers_than_the_profile_has() {
    let sum = |target: &str| {
        let mut graph = Graph::new();
        let inputs: Vec<NodeId> = (0..12).map(|k| input(&mut graph, &format!("x{k}"), &[32])).collect();
        let mut total = inputs[0];
        for &next in &inputs[1..] {
            total = add(&mut graph, total, next);
        }
        kernels(graph, &[total], target)
    };
    assert_eq!(sum("nvidia-hopper"), 1);
    assert!(sum("webgpu-default") > 1);
}

#[test]
fn padding_is_read_in_place_of_being_stored() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[3, 5]);
    let padded = graph.must(Pad::new(&[1, 1], &[1, 1], 0.0), &[x]);
    let y = unary(&mut graph, Unary::Exp, padded);
    assert_eq!(kernels(graph, &[y], "webgpu-default"), 1);
}

#[test]
fn the_sum_of_a_constant_counts_its_elements() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[2]);
    let threes = graph.constant(3.0, TensorType::f32([2, 5]));
    let total = graph.must(Reduce::new(Reduction::Sum, &[1]), &[threes]);
    let y = add(&mut graph, x, total);
    let folded = after(graph, "constants", &[y]);
    assert!(nnc::ir::print(&folded).contains("15.0"), "{}", nnc::ir::print(&folded));
}

/// `(x - mean) * (1 / deviation)` of each channel, and 0.9 of a running mean with 0.1 of this one.
fn channels(graph: &mut Graph, shape: &[usize]) -> [NodeId; 2] {
    let x = input(graph, "x", shape);
    let running = input(graph, "running", &[shape[1]]);
    #[allow(clippy::cast_precision_loss)]
    let count = (shape.iter().product::<usize>() / shape[1]) as f64;
    let mean = |graph: &mut Graph, value: NodeId| {
        let sum = graph.must(Reduce::new(Reduction::Sum, &[0, 2, 3]), &[value]);
        let mean = graph.map(&[sum], |b, x| {
            let count = b.real(count);
            b.binary(Binary::Div, x[0], count)
        });
        (mean, graph.reshape(mean, &[1, shape[1], 1, 1]))
    };
    let (center, along) = mean(graph, x);
    let moved = graph.map(&[x, along], |b, x| b.binary(Binary::Sub, x[0], x[1]));
    let squares = graph.map(&[moved], |b, x| b.binary(Binary::Mul, x[0], x[0]));
    let (_, spread) = mean(graph, squares);
    let kept = graph.map(&[running], |b, x| {
        let share = b.real(0.9);
        b.binary(Binary::Mul, x[0], share)
    });
    let next = add(graph, kept, center);
    [graph.map(&[moved, spread], |b, x| b.binary(Binary::Div, x[0], x[1])), next]
}

#[test]
fn a_normalization_of_channels_is_one_kernel_where_a_workgroup_takes_a_channel() {
    let count = |shape: &[usize], target: &str| {
        let mut graph = Graph::new();
        let results = channels(&mut graph, shape);
        kernels(graph, &results, target)
    };
    assert_eq!(count(&[64, 16, 16, 16], "nvidia-hopper"), 1);
    assert_eq!(count(&[64, 16, 16, 16], "webgpu-default"), 1);
    assert_eq!(count(&[64, 16, 32, 32], "nvidia-hopper"), 1);
    assert!(count(&[64, 16, 32, 32], "webgpu-default") > 1, "256 invocations would take 65,536 elements");
    assert!(count(&[64, 16, 16, 16], "lavapipe") > 1, "a workgroup is one processor there");
}

#[test]
fn a_map_is_computed_where_it_is_read_unless_that_stores_its_operand() {
    let members_of_the_convolution = |keep: bool| {
        let mut graph = Graph::new();
        let x = input(&mut graph, "x", &[2, 3, 8, 8]);
        let w = input(&mut graph, "w", &[4, 3, 3, 3]);
        let z = input(&mut graph, "z", &[2, 4, 6, 6]);
        let y = graph.must(Conv::new(ConvGeometry::plain(2)), &[x, w]);
        let y = unary(&mut graph, Unary::Exp, y);
        let product = graph.map(&[y, z], |b, x| b.binary(Binary::Mul, x[0], x[1]));
        let sum = graph.must(Reduce::new(Reduction::Sum, &[0, 2, 3]), &[product]);
        let results = if keep { vec![y, sum] } else { vec![sum] };
        graph.results = results.iter().enumerate().map(|(k, v)| (format!("y{k}"), *v)).collect();
        let target = profile("nvidia-hopper");
        optimize(&mut graph, &target, |_, _| {});
        let clusters = clusters(&graph, &target);
        let conv = clusters.iter().find(|cluster| matches!(cluster.anchor, Anchor::Conv(_)));
        conv.expect("the convolution has a kernel").members.len()
    };
    assert_eq!(members_of_the_convolution(true), 2, "the operand is stored anyway, the product never");
    assert_eq!(members_of_the_convolution(false), 3, "the product is stored, its operand never");
}

#[test]
fn a_value_read_three_times_gathers_three_gradients() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[]);
    let parts = [Unary::Exp, Unary::Sin, Unary::Tanh].map(|op| unary(&mut graph, op, x));
    let pair = add(&mut graph, parts[0], parts[1]);
    let loss = add(&mut graph, pair, parts[2]);
    let gradient = nnc::gradient::differentiate(&mut graph, loss, &[x]).expect("it has one")[0];
    let at = nnc::ir::Tensor::new([], vec![0.5]);
    let inputs = [("x".to_owned(), at)].into();
    let environment = nnc::ir::Environment { inputs, ..nnc::ir::Environment::default() };
    let found = nnc::ir::evaluate(&graph, &environment)[&gradient.expect("it reaches the loss")].data()[0];
    let expected = 0.5_f64.exp() + 0.5_f64.cos() + 1.0 - 0.5_f64.tanh().powi(2);
    assert!((found - expected).abs() < 1e-12, "{found} in place of {expected}");
}

#[test]
fn a_slice_reads_the_part_it_lies_in_and_a_padding_that_it_misses_not_at_all() {
    let slice = |from: usize, extent: usize, padded: bool| {
        let mut graph = Graph::new();
        let x = input(&mut graph, "x", &[2, 3]);
        let (left, right) = (unary(&mut graph, Unary::Exp, x), unary(&mut graph, Unary::Sin, x));
        let whole = match padded {
            true => graph.must(Pad::new(&[0, 2], &[0, 1], 0.5), &[left]),
            false => graph.must(Concat::new(1), &[left, right]),
        };
        let part = graph.must(Slice::new(&[0, from], &[2, extent], &[1, 1]), &[whole]);
        let y = unary(&mut graph, Unary::Cos, part);
        nnc::ir::print(&after(graph, "algebra", &[y]))
    };
    let (first, second, both) = (slice(0, 3, false), slice(4, 2, false), slice(2, 2, false));
    assert!(!first.contains("concat") && !first.contains("sin(") && !second.contains("exp("), "{second}");
    assert!(second.contains("slice{0+2,1+2}") && both.contains("concat"), "{second}\n{both}");
    let (beside, inside, across) = (slice(0, 2, true), slice(2, 2, true), slice(1, 3, true));
    assert!(beside.contains("constant 0.5") && !beside.contains("exp("), "{beside}");
    assert!(inside.contains("slice{0+2,0+2}") && !inside.contains("pad"), "{inside}");
    assert!(across.contains("pad"), "{across}");
    let touching = slice(0, 3, true);
    assert!(touching.contains("pad"), "{touching}");
}

#[test]
fn a_product_with_zeros_is_zeros_and_one_with_ones_is_a_product() {
    let product = |value: f64| {
        let mut graph = Graph::new();
        let x = input(&mut graph, "x", &[2, 3]);
        let constant = graph.constant(value, TensorType::f32([3, 4]));
        let y = graph.must(Contract::new("mk", "kn", "mn"), &[x, constant]);
        nnc::ir::print(&after(graph, "constants", &[y]))
    };
    assert!(!product(0.0).contains("contract") && product(1.0).contains("contract"));
}

#[test]
fn a_concat_whose_parts_are_computed_costs_no_kernel() {
    let launches = |third: bool| {
        let mut graph = Graph::new();
        let (x, w) = (input(&mut graph, "x", &[8, 16]), input(&mut graph, "w", &[16, 4]));
        let left = graph.must(Contract::new("mk", "kn", "mn"), &[x, w]);
        let right = unary(&mut graph, Unary::Sin, x);
        let parts = if third { vec![left, right, x] } else { vec![left, right] };
        let whole = graph.must(Concat::new(1), &parts);
        let y = graph.must(Reduce::new(Reduction::Sum, &[0]), &[whole]);
        graph.results.push(("y".to_owned(), y));
        let (built, _) = artifact_of(graph, Role::Infer, &profile("nvidia-hopper"));
        built.lowered.stages.iter().flat_map(|stage| &stage.work).count()
    };
    assert_eq!((launches(false), launches(true)), (3, 4));
}

/// A product, its rows divided by their sums, and a product of that; `scores` of the one and shares of the other.
fn product_row(graph: &mut Graph, left: [usize; 3], right: [usize; 3]) -> [NodeId; 2] {
    let (q, k, v) =
        (input(graph, "q", &left), input(graph, "k", &right), input(graph, "v", &[left[0], right[1], 4]));
    let scores = graph.must(Contract::new("bqd", "bkd", "bqk"), &[q, k]);
    let sums = graph.must(Reduce::new(Reduction::Sum, &[2]), &[scores]);
    let sums = graph.must(Reshape::new(&[left[0], left[1], 1]), &[sums]);
    let shares = graph.map(&[scores, sums], |b, x| b.binary(Binary::Div, x[0], x[1]));
    [scores, graph.must(Contract::new("bqk", "bkc", "bqc"), &[shares, v])]
}

/// How many rows between products the pass finds, and how many values belong to them.
fn rows_found(graph: Graph, results: &[NodeId]) -> (usize, usize) {
    let graph = after(graph, "product_rows", results);
    let rows: Vec<u32> = graph.nodes().into_iter().filter_map(|id| graph.node(id).product_row).collect();
    let most = rows.iter().max().map_or(0, |last| *last as usize + 1);
    (most, rows.len())
}

#[test]
fn rows_between_products_are_one_kernel_each_unless_something_else_needs_their_values() {
    let mut graph = Graph::new();
    let [_, y] = product_row(&mut graph, [2, 5, 3], [2, 7, 3]);
    assert_eq!(rows_found(graph, &[y]), (1, 4));

    let mut graph = Graph::new();
    let [scores, y] = product_row(&mut graph, [2, 5, 3], [2, 7, 3]);
    let again = graph.must(Contract::new("bqk", "bqd", "bkd"), &[scores, y]);
    assert_eq!(rows_found(graph, &[y, again]), (2, 6));

    let mut graph = Graph::new();
    let [scores, y] = product_row(&mut graph, [2, 5, 3], [2, 7, 3]);
    assert_eq!(rows_found(graph, &[y, scores]), (0, 0));

    let mut graph = Graph::new();
    let [scores, y] = product_row(&mut graph, [2, 5, 3], [2, 7, 3]);
    let across = graph.must(Reduce::new(Reduction::Sum, &[1]), &[scores]);
    assert_eq!(rows_found(graph, &[y, across]), (0, 0));

    let mut graph = Graph::new();
    let [_, y] = product_row(&mut graph, [2, 5, 3], [2, 9000, 3]);
    assert_eq!(rows_found(graph, &[y]), (0, 0));

    let mut graph = Graph::new();
    let [_, y] = product_row(&mut graph, [2, 5, 300], [2, 7, 300]);
    assert_eq!(rows_found(graph, &[y]), (0, 0));
}

#[test]
fn a_cell_is_the_end_of_its_product_only_where_nothing_needs_the_gates_in_one_piece() {
    let gates = |also: bool, target: &str| {
        let mut graph = Graph::new();
        let (x, w) = (input(&mut graph, "x", &[8, 16]), input(&mut graph, "w", &[16, 12]));
        let gates = graph.must(Contract::new("mk", "kn", "mn"), &[x, w]);
        let part =
            |graph: &mut Graph, k: usize| graph.must(Slice::new(&[0, 4 * k], &[8, 4], &[1, 1]), &[gates]);
        let (a, b, c) = (part(&mut graph, 0), part(&mut graph, 1), part(&mut graph, 2));
        let sum = add(&mut graph, a, b);
        let sum = add(&mut graph, sum, c);
        let again = graph.must(Contract::new("mn", "kn", "mk"), &[gates, w]);
        let results = if also { vec![sum, again] } else { vec![sum] };
        kernels(graph, &results, target)
    };
    assert_eq!((gates(false, "nvidia-hopper"), gates(false, "webgpu-default")), (1, 1));
    assert_eq!(gates(true, "nvidia-hopper"), 3);
}

/// Whether each of these values is stored in halves once the whole pipeline has run.
fn narrowed(mut graph: Graph, results: &[NodeId], target: &str, values: &[NodeId]) -> Vec<bool> {
    graph.results.extend(results.iter().enumerate().map(|(k, v)| (format!("y{k}"), *v)));
    graph.narrow = true;
    optimize(&mut graph, &profile(target), |_, _| {});
    values.iter().map(|id| graph.node(*id).narrow).collect()
}

/// `x w v`, with the sine between the products; the middle, a moment of the middle, and the end.
fn two_products(graph: &mut Graph) -> [NodeId; 3] {
    let x = input(graph, "x", &[8, 16]);
    let weight = |graph: &mut Graph, name: &str, shape: &[usize]| {
        graph.source(Source::Region(name.to_owned()), TensorType::f32(shape))
    };
    let (w, v) = (weight(graph, "w", &[16, 32]), weight(graph, "v", &[32, 4]));
    let middle = graph.must(Contract::new("mk", "kn", "mn"), &[x, w]);
    let middle = unary(graph, Unary::Sin, middle);
    let moment = graph.must(Reduce::new(Reduction::Sum, &[0]), &[middle]);
    let end = graph.must(Contract::new("mk", "kn", "mn"), &[middle, v]);
    [middle, moment, end]
}

#[test]
fn narrow_takes_what_passes_between_kernels_and_leaves_what_leaves_and_statistics() {
    for (target, has) in [("nvidia-hopper", true), ("lavapipe", true), ("webgpu-default", false)] {
        let mut graph = Graph::new();
        let [middle, moment, end] = two_products(&mut graph);
        let scaled = unary(&mut graph, Unary::Exp, moment);
        let found = narrowed(graph, &[end, scaled], target, &[middle, moment, end, scaled]);
        assert_eq!(found, [has, false, false, false], "{target}");
    }
}

#[test]
fn narrow_leaves_gradients_of_weights_and_what_is_added_to_them() {
    let mut graph = Graph::new();
    let [middle, _, end] = two_products(&mut graph);
    let weight = graph.must(Contract::new("km", "kn", "mn"), &[middle, end]);
    let other = graph.must(Contract::new("kn", "km", "mn"), &[end, middle]);
    let more = unary(&mut graph, Unary::Exp, other);
    let sum = add(&mut graph, weight, more);
    let packed = graph.must(nnc::ops::Pack::new(&[0], 128), &[sum]);
    let norm = graph.must(Reduce::new(Reduction::Sum, &[0]), &[packed]);
    let found = narrowed(graph, &[norm], "nvidia-hopper", &[middle, end, weight, other, sum]);
    assert_eq!(found, [true, true, false, false, false]);
}

#[test]
fn narrow_leaves_what_a_statistic_centred_and_is_but_reduced_over_the_same_axes() {
    let centred = |axes: &[usize], used: bool| {
        let mut graph = Graph::new();
        // Rows too long for one workgroup, and two sums of each: nothing of this is one kernel.
        let x = input(&mut graph, "x", &[4, 20_000]);
        let most = graph.must(Reduce::new(Reduction::Max, &[1]), &[x]);
        let most = graph.reshape(most, &[4, 1]);
        let less = graph.map(&[x, most], |b, x| b.binary(Binary::Sub, x[0], x[1]));
        let weight = unary(&mut graph, Unary::Exp, less);
        let sum = graph.must(Reduce::new(Reduction::Sum, axes), &[weight]);
        let largest = graph.must(Reduce::new(Reduction::Max, axes), &[weight]);
        let mut results = vec![sum, largest];
        if used {
            let v = input(&mut graph, "v", &[20_000, 3]);
            results.push(graph.must(Contract::new("mk", "kn", "mn"), &[weight, v]));
        }
        let narrow = narrowed(graph.clone(), &results, "nvidia-hopper", &[weight])[0];
        graph.results.extend(results.iter().map(|v| (format!("r{}", v.index()), *v)));
        (
            narrow,
            artifact_of(graph, Role::Infer, &profile("nvidia-hopper")).0.plan.areas.contains_key(&weight),
        )
    };
    assert_eq!(centred(&[1], false), (false, true), "stored, and not in halves");
    assert_eq!((centred(&[0], false), centred(&[1], true)), ((true, true), (true, true)));
}

#[test]
fn narrow_leaves_what_is_put_in_order_and_what_is_to_stay_wide() {
    let mut graph = Graph::new();
    let [middle, _, end] = two_products(&mut graph);
    let order = graph.must(nnc::ops::Order::new(1, false), &[end]);
    assert_eq!(narrowed(graph, &[order], "lavapipe", &[middle, end]), [true, false]);

    let mut graph = Graph::new();
    graph.set_origin(std::sync::Arc::new(nnc::ir::Origin { wide: true, ..nnc::ir::Origin::default() }));
    let [middle, _, end] = two_products(&mut graph);
    assert_eq!(narrowed(graph, &[end], "lavapipe", &[middle]), [false]);
}

/// What follows a convolution of `x` by a computed weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A sum of each channel, and a map.
    Reduced,
    /// A map alone.
    Mapped,
    /// Another convolution, and a sum.
    Convolved,
    /// A sum, and the value is a result itself.
    Given,
}

/// How many convolutions the pass leaves of two of one value; the first is followed by a sum.
fn convolutions(next: Next, geometry: ConvGeometry, other: bool, given: bool, bytes: u64) -> usize {
    let mut graph = Graph::new();
    let (x, z) = (input(&mut graph, "x", &[2, 4, 5, 5]), input(&mut graph, "z", &[2, 4, 5, 5]));
    let mut results = Vec::new();
    for (k, (of, geometry)) in
        [(x, ConvGeometry::plain(2)), (if other { z } else { x }, geometry)].into_iter().enumerate()
    {
        let mut weight = input(&mut graph, &format!("w{k}"), &[8, 4 / geometry.groups, 1, 1]);
        if !given {
            weight = unary(&mut graph, Unary::Tanh, weight);
        }
        let y = graph.must(Conv::new(geometry), &[of, weight]);
        let next = if k == 0 { Next::Reduced } else { next };
        if next != Next::Mapped {
            results.push(graph.must(Reduce::new(Reduction::Sum, &[0, 2, 3]), &[y]));
        }
        match next {
            Next::Reduced | Next::Mapped => results.push(unary(&mut graph, Unary::Tanh, y)),
            Next::Convolved => {
                let weight = input(&mut graph, "v", &[3, 8, 1, 1]);
                results.push(graph.must(Conv::new(ConvGeometry::plain(2)), &[y, weight]));
            }
            Next::Given => results.push(y),
        }
    }
    graph.results = results.iter().enumerate().map(|(k, v)| (format!("y{k}"), *v)).collect();
    run_one("siblings", &mut graph, &Profile { binding_bytes: bytes, ..profile("webgpu-default") });
    count(&graph, "conv{")
}

fn count(graph: &Graph, label: &str) -> usize {
    let is_it = |id: &NodeId| graph.operator(*id).is_some_and(|op| op.label().starts_with(label));
    graph.nodes().into_iter().filter(is_it).count()
}

#[test]
fn convolutions_of_one_value_are_one_where_that_costs_no_copy_and_no_launch() {
    let plain = || ConvGeometry::plain(2);
    let bytes = 1 << 20;
    assert_eq!(convolutions(Next::Reduced, plain(), false, false, bytes), 1);
    assert_eq!(convolutions(Next::Mapped, plain(), false, false, bytes), 2, "the map ends its kernel");
    assert_eq!(convolutions(Next::Convolved, plain(), false, false, bytes), 3, "a convolution reads it");
    assert_eq!(convolutions(Next::Given, plain(), false, false, bytes), 2, "it is a result");
    assert_eq!(convolutions(Next::Reduced, plain(), true, false, bytes), 2, "they read two values");
    assert_eq!(convolutions(Next::Reduced, plain(), false, true, bytes), 2, "the weights would be copied");
    let stride = ConvGeometry { stride: vec![2, 2], ..plain() };
    assert_eq!(convolutions(Next::Reduced, stride, false, false, bytes), 2, "the windows move otherwise");
    let groups = ConvGeometry { groups: 2, ..plain() };
    assert_eq!(convolutions(Next::Reduced, groups, false, false, bytes), 2, "one is of groups");
    assert_eq!(
        convolutions(Next::Reduced, plain(), false, false, 2 * 2 * 8 * 25 * 4),
        1,
        "both fit a binding"
    );
    assert_eq!(convolutions(Next::Reduced, plain(), false, false, 2 * 2 * 8 * 25 * 4 - 1), 2, "one fits");
}

#[test]
fn a_convolution_whose_weight_comes_from_another_one_waits_for_it() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[2, 4, 5, 5]);
    let mut weight = input(&mut graph, "w", &[4, 4, 1, 1]);
    let mut sums = Vec::new();
    for _ in 0..3 {
        weight = unary(&mut graph, Unary::Tanh, weight);
        let y = graph.must(Conv::new(ConvGeometry::plain(2)), &[x, weight]);
        let sum = graph.must(Reduce::new(Reduction::Sum, &[0, 2, 3]), &[y]);
        sums.push(sum);
        let more = graph.reshape(sum, &[4, 1, 1, 1]);
        weight = add(&mut graph, weight, more);
    }
    assert_eq!(count(&after(graph, "siblings", &sums), "conv{"), 3);
}

/// A step that trains two convolutions of one value, whose weights lie `apart` elements from another in their region, after
/// the pass: how many operators begin with these labels.
fn trained_pair(apart: usize, labels: [&str; 6]) -> [usize; 6] {
    use nnc::ir::{FlatRegion, StoredId, StoredTensor};
    use nnc_runtime::artifact::{Init, StoredKind};
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", &[2, 8, 5, 5]);
    let x = unary(&mut graph, Unary::Tanh, x);
    let ty = TensorType::f32([8, 8, 1, 1]);
    let weights = ["a", "b"].map(|path| {
        let id = StoredId(graph.stored.len());
        let init = Init::Constant(0.0);
        let tensor = StoredTensor { path: path.to_owned(), kind: StoredKind::Weight, ty: ty.clone(), init };
        graph.stored.push(tensor);
        graph.source(Source::Stored(id), ty.clone())
    });
    let members = vec![(StoredId(0), 0), (StoredId(1), 64 + apart)];
    graph.regions.push(FlatRegion { name: "weights".to_owned(), elements: 192, members, fill: 0.0 });
    let mut packed = Vec::new();
    let mut terms = Vec::new();
    for weight in weights {
        let y = graph.must(Conv::new(ConvGeometry::plain(2)), &[x, weight]);
        let sum = graph.must(Reduce::new(Reduction::Sum, &[0, 2, 3]), &[y]);
        let sum = graph.reshape(sum, &[8, 1, 1]);
        let dy = graph.map(&[y, sum], |b, x| b.binary(Binary::Mul, x[0], x[1]));
        let geometry = ConvGeometry::plain(2);
        packed.push(graph.must(ConvWeightGradient::new(geometry.clone(), &[1, 1]), &[x, dy]));
        terms.push(graph.must(ConvInputGradient::new(geometry, &[5, 5]), &[dy, weight]));
    }
    let packed = graph.must(nnc::ops::Pack::new(&[0, 64 + apart], 192), &packed);
    let dx = add(&mut graph, terms[0], terms[1]);
    let dx = unary(&mut graph, Unary::Tanh, dx);
    let graph = after(graph, "siblings", &[packed, dx]);
    labels.map(|label| count(&graph, label))
}

#[test]
fn gradients_of_one_value_are_one_where_the_weights_lie_side_by_side() {
    let labels = ["conv{", "conv_weight_gradient", "conv_input_gradient", "pack{0 ", "concat", "map"];
    assert_eq!(trained_pair(0, labels), [1, 1, 1, 1, 1, 4], "no sum is left, and the weights take no concat");
    assert_eq!(trained_pair(64, labels), [2, 2, 2, 0, 0, 5]);
}

#[test]
fn branches_that_are_normalized_are_one_whether_their_weights_are_stored_or_computed() {
    for sample in siblings().into_iter().chain(trained_siblings()) {
        let mut graph = sample.graph;
        optimize(&mut graph, &profile("webgpu-default"), |_, _| {});
        let found =
            ["conv{", "conv_weight_gradient", "conv_input_gradient"].map(|label| count(&graph, label));
        assert_eq!(found, [1, 1, 1], "{}\n{}", sample.name, nnc::ir::print(&graph));
    }
}
