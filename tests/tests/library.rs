//! The formulas of the standard library against their definitions, computed by the meaning of the graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::{Bundle, Elaborated, Expansion, Request, elaborate, load};
use nnc::gradient::differentiate;
use nnc::ir::{Environment, Graph, Kind, NodeId, Source, StoredId, Tensor, TensorType, evaluate};
use nnc::source::NoFiles;
use nnc_runtime::artifact::HostSymbol;

fn bundle(text: &str) -> Arc<Bundle> {
    let loaded = load("model.nn", text, &[], &NoFiles);
    let printed = render_all(&loaded.diagnostics, loaded.value.sources(), Colour::Never);
    assert_eq!(printed, "");
    Arc::new(loaded.value)
}

fn expanded(text: &str, expansion: Expansion, batch: usize) -> Elaborated {
    let bundle = bundle(text);
    let request = Request { batch: Some(batch), ..Request::new(expansion) };
    let checked = elaborate(&bundle, &request);
    let printed = render_all(&checked.diagnostics, bundle.sources(), Colour::Never);
    checked.value.unwrap_or_else(|| panic!("{printed}"))
}

/// Fixed numbers in (-1, 1) that differ from place to place.
fn spread(shape: &[usize], salt: usize) -> Tensor {
    let size: usize = shape.iter().product();
    let numbers = (0..size).map(|place| ((place * 37 + salt * 11) % 101) as f64 / 50.5 - 1.0).collect();
    Tensor::new(shape.to_vec(), numbers)
}

/// Stored tensors in order: their paths and numbers.
fn weights(graph: &Graph) -> BTreeMap<StoredId, Tensor> {
    let stored = graph.stored.iter().enumerate();
    stored.map(|(place, one)| (StoredId(place), spread(&one.ty.shape, place + 1))).collect()
}

fn environment(graph: &Graph, inputs: &[(&str, Tensor)]) -> Environment {
    Environment {
        inputs: inputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        stored: weights(graph),
        symbols: BTreeMap::from([(HostSymbol::Step, 1.0), (HostSymbol::Epoch, 0.0)]),
        ..Environment::default()
    }
}

fn result(graph: &Graph, name: &str, environment: &Environment) -> Tensor {
    let node = graph.results.iter().find(|(known, _)| known == name).map(|(_, node)| *node);
    evaluate(graph, environment)[&node.expect("the result is there")].clone()
}

fn close(found: &[f64], wanted: &[f64], within: f64) {
    assert_eq!(found.len(), wanted.len());
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= within, "at {place}: {found} instead of {wanted}");
    }
}

/// What a formula of `x: f32[N, 5]` gives, for inference.
fn of_formula(formula: &str, x: &Tensor) -> Tensor {
    let text = format!("model M(x: f32[N, 5]) {{ {formula} }}\n");
    let one = expanded(&text, Expansion::Inference, x.shape()[0]);
    result(&one.graph, "output", &environment(&one.graph, &[("x", x.clone())]))
}

#[test]
fn activations_are_their_definitions() {
    let x = spread(&[3, 5], 1);
    let x = Tensor::new([3, 5], x.data().iter().map(|value| value * 4.0).collect::<Vec<_>>());
    type Definition = (&'static str, fn(f64) -> f64);
    let definitions: [Definition; 8] = [
        ("relu(x)", |x| x.max(0.0)),
        ("leaky_relu(x, 0.2)", |x| if x > 0.0 { x } else { 0.2 * x }),
        ("sigmoid(x)", |x| 1.0 / (1.0 + (-x).exp())),
        ("silu(x)", |x| x / (1.0 + (-x).exp())),
        ("softplus(x)", |x| x.exp().ln_1p()),
        ("elu(x)", |x| if x > 0.0 { x } else { x.exp() - 1.0 }),
        ("mish(x)", |x| x * x.exp().ln_1p().tanh()),
        ("x -> abs -> sqrt", |x| x.abs().sqrt()),
    ];
    for (formula, definition) in definitions {
        let wanted: Vec<f64> = x.data().iter().map(|value| definition(*value)).collect();
        close(of_formula(formula, &x).data(), &wanted, 1e-12);
    }
}

#[test]
fn activations_have_their_slopes_also_at_zero_and_far_out() {
    let points: Vec<f64> =
        vec![0.0, 1.0, -1.0, 0.25, -3.0, 30.0, -30.0, 100.0, -100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0];
    let x = Tensor::new([3, 5], points);
    let formulas = "relu(x); leaky_relu(x, 0.2); sigmoid(x); silu(x); softplus(x); elu(x); erf(x); gelu(x); mish(x); \
        softmax(x); log_softmax(x); x * bce_logits(x, 0.3)";
    for formula in formulas.split("; ") {
        let text = format!("model M(x: f32[N, 5]) {{ {formula} }}\n");
        let mut graph = expanded(&text, Expansion::Inference, 3).graph;
        let output = graph.results[0].1;
        let weight =
            graph.source(Source::Input { name: "w".into(), batched: false }, graph.ty(output).clone());
        let loss = nnc_tests::graphs::weighed_sum(&mut graph, output, weight);
        let is_input = |id: &NodeId| matches!(&graph.node(*id).kind, Kind::Source(Source::Input { name, .. }) if name == "x");
        let input = graph.nodes().into_iter().find(is_input).expect("the model has an input");
        let gradient = differentiate(&mut graph, loss, &[input]).expect("a formula has a gradient")[0];
        let at = |x: &Tensor, node: NodeId| {
            let known = [("x", x.clone()), ("w", nnc_tests::graphs::weights(&[3, 5]))];
            evaluate(&graph, &environment(&graph, &known))[&node].clone()
        };
        let derived = at(&x, gradient.expect("the gradient is not 0"));
        for (place, found) in derived.data().iter().enumerate() {
            let moved = |by: f64| {
                let mut moved = x.clone();
                moved.data_mut()[place] += by;
                at(&moved, loss).data()[0]
            };
            let step = 1e-5;
            let (left, right) = ((moved(0.0) - moved(-step)) / step, (moved(step) - moved(0.0)) / step);
            assert!(found.is_finite(), "{formula} at {}: {found}", x.data()[place]);
            if (left - right).abs() < 1e-3 {
                let near = (found - 0.5 * (left + right)).abs() < 1e-3;
                assert!(near, "{formula} at {}: {found} between {left} and {right}", x.data()[place]);
            }
        }
    }
}

#[test]
fn gelu_has_the_values_of_the_normal_distribution() {
    let x = Tensor::new([1, 5], vec![-2.0, -0.5, 0.0, 1.0, 3.0]);
    let wanted =
        [-2.0 * 0.022_750_131_948, -0.5 * 0.308_537_538_726, 0.0, 0.841_344_746_069, 3.0 * 0.998_650_101_968];
    close(of_formula("gelu(x)", &x).data(), &wanted, 1e-6);
}

#[test]
fn softmax_of_large_numbers_is_finite_and_sums_to_one() {
    let x = Tensor::new([2, 5], vec![1000.0, 999.0, -1000.0, 0.0, 1.0, -5.0, -6.0, -7.0, -8.0, -9.0]);
    let y = of_formula("softmax(x)", &x);
    for row in y.data().chunks(5) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{row:?}");
    }
    close(&y.data()[..2], &[1.0 / (1.0 + (-1.0_f64).exp()), 1.0 / (1.0 + 1.0_f64.exp())], 1e-12);
}

const CLASSIFIER: &str = "
model M(x: f32[N, 5]) -> logits: f32[N, 5] { x * 3 }
data d {
  x: f32[5]
  y: i32 in 0..5
  train = csv(\"d.csv\")
}
train M on d {
  batch = 4
  epochs = 1
  loss = cross_entropy(logits, y, smooth=SMOOTH)
  optimizer = sgd
  metrics { first = accuracy(logits, y); two = accuracy(logits, y, top=2); count = sum(x[:, 0] * 0 + 1) / N }
}
";

fn cross_entropy(x: &Tensor, labels: &[usize], smooth: f64) -> f64 {
    let rows = x.data().chunks(5).zip(labels);
    let losses = rows.map(|(row, label)| {
        let logits: Vec<f64> = row.iter().map(|value| value * 3.0).collect();
        let total = logits.iter().map(|value| value.exp()).sum::<f64>().ln();
        let mean = logits.iter().sum::<f64>() / 5.0;
        (1.0 - smooth) * (total - logits[*label]) + smooth * (total - mean)
    });
    let losses: Vec<f64> = losses.collect();
    losses.iter().sum::<f64>() / losses.len() as f64
}

#[test]
fn cross_entropy_is_the_mean_of_minus_the_log_probability() {
    let x = spread(&[4, 5], 3);
    let labels = Tensor::new([4], vec![0.0, 3.0, 4.0, 1.0]);
    for smooth in [0.0, 0.1] {
        let one = expanded(&CLASSIFIER.replace("SMOOTH", &smooth.to_string()), Expansion::Training, 4);
        let environment = environment(&one.graph, &[("x", x.clone()), ("y", labels.clone())]);
        let loss = result(&one.graph, "loss", &environment);
        close(loss.data(), &[cross_entropy(&x, &[0, 3, 4, 1], smooth)], 1e-12);
    }
}

#[test]
fn an_evaluation_counts_only_the_examples_that_are_there() {
    let x = spread(&[4, 5], 3);
    let labels = Tensor::new([4], vec![0.0, 3.0, 4.0, 1.0]);
    let one = expanded(&CLASSIFIER.replace("SMOOTH", "0.1"), Expansion::Evaluation, 4);
    let mut environment = environment(&one.graph, &[("x", x.clone()), ("y", labels)]);
    for count in 1..=4 {
        environment.symbols.insert(HostSymbol::Examples, count as f64);
        let part = Tensor::new([count, 5], x.data()[..count * 5].to_vec());
        let loss = result(&one.graph, "loss", &environment);
        close(loss.data(), &[cross_entropy(&part, &[0, 3, 4, 1][..count], 0.1)], 1e-12);
        close(result(&one.graph, "count", &environment).data(), &[1.0], 1e-12);
    }
}

#[test]
fn accuracy_counts_the_first_of_equal_scores() {
    let one = expanded(&CLASSIFIER.replace("SMOOTH", "0.0"), Expansion::Training, 4);
    let rows = [
        [1.0, 1.0, 0.0, 0.0, 0.0],
        [1.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 3.0, 2.0, 1.0, 0.0],
        [0.0, 3.0, 2.0, 1.0, 0.0],
    ];
    let x = Tensor::new([4, 5], rows.concat());
    let labels = Tensor::new([4], vec![0.0, 1.0, 2.0, 3.0]);
    let environment = environment(&one.graph, &[("x", x), ("y", labels)]);
    close(result(&one.graph, "first", &environment).data(), &[0.25], 1e-12);
    close(result(&one.graph, "two", &environment).data(), &[0.75], 1e-12);
}

const NORMALIZED: &str = "
model M(x: f32[N, 3, 2, 2]) -> y: f32[N, 3, 2, 2] { x -> batch_norm }
data d {
  x: f32[3, 2, 2]
  train = csv(\"d.csv\")
}
train M on d {
  batch = 4
  epochs = 1
  loss = mean(y * x)
  optimizer = sgd
  metrics { probe = sum(y ** 2) }
}
";

#[test]
fn batch_norm_normalizes_by_the_biased_variance_and_remembers_the_unbiased_one() {
    let x = spread(&[4, 3, 2, 2], 5);
    let one = expanded(NORMALIZED, Expansion::Training, 4);
    let paths: Vec<&str> = one.graph.stored.iter().map(|stored| stored.path.as_str()).collect();
    let names = ["weight", "bias", "running_mean", "running_var"].map(|name| format!("batch_norm.{name}"));
    assert_eq!(paths, names);
    let environment = environment(&one.graph, &[("x", x.clone())]);
    let values = evaluate(&one.graph, &environment);
    let kept = |path: &str| {
        let found = one.graph.assignments.iter().find(|assignment| {
            matches!(&one.graph.node(assignment.target).kind,
                Kind::Source(Source::Stored(id)) if one.graph.stored[id.0].path == path)
        });
        values[&found.expect("the state is assigned").value].data().to_vec()
    };
    let (mut means, mut variances, mut total) = (Vec::new(), Vec::new(), 0.0);
    for channel in 0..3 {
        let numbers: Vec<f64> = (0..4)
            .flat_map(|n| (0..4).map(move |place| (n, place)))
            .map(|(n, place)| x.data()[(n * 3 + channel) * 4 + place])
            .collect();
        let mean = numbers.iter().sum::<f64>() / 16.0;
        let squares = numbers.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let at = |stored: usize| environment.stored[&StoredId(stored)].data()[channel];
        means.push(0.9 * at(2) + 0.1 * mean);
        variances.push(0.9 * at(3) + 0.1 * squares / 15.0);
        for value in numbers {
            total += ((value - mean) / (squares / 16.0 + 1e-5).sqrt() * at(0) + at(1)).powi(2);
        }
    }
    close(&kept("batch_norm.running_mean"), &means, 1e-12);
    close(&kept("batch_norm.running_var"), &variances, 1e-12);
    close(result(&one.graph, "probe", &environment).data(), &[total], 1e-9);
}

#[test]
fn batch_norm_in_use_takes_what_it_remembers() {
    let x = spread(&[2, 3, 2, 2], 5);
    let one = expanded(NORMALIZED, Expansion::Inference, 2);
    assert!(one.graph.assignments.is_empty());
    let mut environment = environment(&one.graph, &[("x", x.clone())]);
    environment.stored.insert(StoredId(3), Tensor::new([3], vec![0.5, 1.0, 2.0]));
    let y = result(&one.graph, "y", &environment);
    let at = |stored: usize, channel: usize| environment.stored[&StoredId(stored)].data()[channel];
    let wanted: Vec<f64> = (0..24)
        .map(|place| {
            let channel = place / 4 % 3;
            let scale = at(0, channel) / (at(3, channel) + 1e-5).sqrt();
            (x.data()[place] - at(2, channel)) * scale + at(1, channel)
        })
        .collect();
    close(y.data(), &wanted, 1e-12);
}

/// Runs an optimizer for some steps on one weight whose gradient is `w ** 2`.
fn steps(optimizer: &str, count: usize) -> Vec<f64> {
    let text = CLASSIFIER
        .replace("SMOOTH", "0.0")
        .replace("optimizer = sgd", &format!("optimizer = {optimizer}"))
        .replace("x * 3", "x -> linear(5)");
    let one = expanded(&text, Expansion::Training, 4);
    let handle = &one.groups.first().expect("a trained model has an optimizer").optimizer;
    let mut graph = Graph::new();
    let w = graph.source(Source::Region("weights".to_owned()), TensorType::f32([2]));
    let g = graph.map(&[w], |b, x| b.binary(nnc_wgsl::Binary::Mul, x[0], x[0]));
    let update = handle.apply(&mut graph, w, g).value.expect("the optimizer has no errors");
    let mut environment = Environment::default();
    environment.regions.insert("weights".to_owned(), Tensor::new([2], vec![1.0, -0.5]));
    for state in &update.states {
        environment
            .regions
            .insert(format!("optimizer.{}", state.name), Tensor::new([2], vec![state.init; 2]));
    }
    for step in 1..=count {
        environment.symbols.insert(HostSymbol::Step, step as f64);
        environment.symbols.insert(HostSymbol::Epoch, 0.0);
        let values = evaluate(&graph, &environment);
        environment.regions.insert("weights".to_owned(), values[&update.w].clone());
        for state in &update.states {
            let after: NodeId = state.after;
            environment.regions.insert(format!("optimizer.{}", state.name), values[&after].clone());
        }
    }
    environment.regions["weights"].data().to_vec()
}

#[test]
fn adam_is_the_algorithm_of_the_paper() {
    for start in [1.0_f64, -0.5] {
        let (mut w, mut m, mut v) = (start, 0.0, 0.0);
        for step in 1..=3 {
            let g = w * w;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m_hat, v_hat) = (m / (1.0 - 0.9_f64.powi(step)), v / (1.0 - 0.999_f64.powi(step)));
            w -= 0.01 * m_hat / (f64::sqrt(v_hat) + 1e-8);
        }
        let found = steps("adam(lr=0.01)", 3);
        close(&[found[usize::from(start < 0.0)]], &[w], 1e-12);
    }
}

#[test]
fn adamax_is_the_algorithm_of_the_paper() {
    let (mut w, mut m, mut u) = (1.0_f64, 0.0, 0.0_f64);
    for step in 1..=4 {
        let g = w * w + 0.01 * w;
        m = 0.9 * m + 0.1 * g;
        u = f64::max(0.5 * u, g.abs() + 1e-3);
        w -= 0.2 / (1.0 - 0.9_f64.powi(step)) * m / u;
    }
    let found = steps("adamax(lr=0.2, beta2=0.5, eps=1e-3, decay=0.01)", 4);
    close(&found[..1], &[w], 1e-12);
}

#[test]
fn var_and_std_are_over_all_or_along_axes() {
    let x = spread(&[3, 5], 1);
    let var = |of: &[f64]| {
        let mean = of.iter().sum::<f64>() / of.len() as f64;
        of.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / of.len() as f64
    };
    let rows: Vec<f64> = x.data().chunks(5).map(var).collect();
    let columns: Vec<f64> = (0..5)
        .map(|column| var(&x.data().iter().skip(column).step_by(5).copied().collect::<Vec<_>>()))
        .collect();
    close(of_formula("var(x, axis=1)", &x).data(), &rows, 1e-12);
    close(of_formula("var(x, 0)", &x).data(), &columns, 1e-12);
    close(of_formula("var(x)", &x).data(), &[var(x.data())], 1e-12);
    let roots: Vec<f64> = rows.iter().map(|var| var.sqrt()).collect();
    let kept = of_formula("std(x, axis=-1, keep=true)", &x);
    assert_eq!(kept.shape(), [3, 1]);
    close(kept.data(), &roots, 1e-12);
    let raised: Vec<f64> = rows.iter().map(|var| (var + 0.25).sqrt()).collect();
    close(of_formula("std(x, 1, eps=0.25)", &x).data(), &raised, 1e-12);
}

#[test]
fn sgd_with_momentum_and_decay_is_pytorchs() {
    let (mut w, mut v) = (1.0_f64, 0.0);
    for _ in 0..3 {
        let d = w * w + 0.01 * w;
        v = 0.9 * v + d;
        w -= 0.1 * v;
    }
    close(&steps("sgd(lr=0.1, momentum=0.9, decay=0.01)", 3)[..1], &[w], 1e-12);
    close(&steps("sgd(lr=0.1)", 1), &[1.0 - 0.1, -0.5 - 0.1 * 0.25], 1e-12);
}

#[test]
fn adamw_and_rmsprop_are_pytorchs() {
    let (mut w, mut m, mut v) = (1.0_f64, 0.0, 0.0);
    for step in 1..=2 {
        let g = w * w;
        w *= 1.0 - 0.01 * 0.1;
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        let (m_hat, v_hat) = (m / (1.0 - 0.9_f64.powi(step)), v / (1.0 - 0.999_f64.powi(step)));
        w -= 0.01 * m_hat / (f64::sqrt(v_hat) + 1e-8);
    }
    close(&steps("adamw(lr=0.01, decay=0.1)", 2)[..1], &[w], 1e-12);
    let (mut w, mut square) = (1.0_f64, 0.0);
    for _ in 0..2 {
        let g = w * w;
        square = 0.9 * square + 0.1 * g * g;
        w -= 0.01 * g / (f64::sqrt(square) + 1.0);
    }
    close(&steps("rmsprop(lr=0.01, alpha=0.9, eps=1.0)", 2)[..1], &[w], 1e-12);
}

#[test]
fn schedules_are_formulas_of_the_step() {
    close(&steps("sgd(lr=warmup(0.1, steps=4))", 1)[..1], &[1.0 - 0.025], 1e-12);
    close(&steps("sgd(lr=step_decay(0.1, every=30, by=0.1))", 1)[..1], &[0.9], 1e-12);
    close(&steps("sgd(lr=step_decay(0.1, at=[0, 5], by=0.1))", 1)[..1], &[1.0 - 0.01], 1e-12);
    close(&steps("sgd(lr=0.045 * 0.94 ** (epoch // 2))", 1)[..1], &[1.0 - 0.045], 1e-12);
}

#[test]
fn lstm_walks_with_the_gates_in_pytorchs_order() {
    let text = "model M(x: f32[N, 3, 2]) -> (y: f32[N, 3, 2], h: f32[N, 2], c: f32[N, 2]) {
      seq, h, c = x -> lstm(2)
      seq, h, c
    }\n";
    let one = expanded(text, Expansion::Inference, 1);
    let x = spread(&[1, 3, 2], 9);
    let environment = environment(&one.graph, &[("x", x.clone())]);
    let at = |stored: usize| environment.stored[&StoredId(stored)].data().to_vec();
    let (into, around, shift, again) = (at(0), at(1), at(2), at(3));
    let (mut h, mut c) = (vec![0.0; 2], vec![0.0; 2]);
    let mut wanted = Vec::new();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for row in x.data().chunks(2) {
        let gate = |k: usize| {
            shift[k]
                + again[k]
                + (0..2).map(|i| into[k * 2 + i] * row[i] + around[k * 2 + i] * h[i]).sum::<f64>()
        };
        let gates: Vec<f64> = (0..8).map(gate).collect();
        for unit in 0..2 {
            let keep = sigmoid(gates[2 + unit]) * c[unit];
            c[unit] = keep + sigmoid(gates[unit]) * gates[4 + unit].tanh();
            h[unit] = sigmoid(gates[6 + unit]) * c[unit].tanh();
        }
        wanted.extend(h.clone());
    }
    close(result(&one.graph, "y", &environment).data(), &wanted, 1e-12);
    close(result(&one.graph, "h", &environment).data(), &h, 1e-12);
    close(result(&one.graph, "c", &environment).data(), &c, 1e-12);
}

#[test]
fn gru_applies_the_reset_gate_after_the_recurrent_product() {
    let text = "model M(x: f32[N, 3, 2]) -> (y: f32[N, 3, 2], h: f32[N, 2]) {
      seq, h = x -> gru(2)
      seq, h
    }\n";
    let one = expanded(text, Expansion::Inference, 1);
    let x = spread(&[1, 3, 2], 9);
    let environment = environment(&one.graph, &[("x", x.clone())]);
    let at = |stored: usize| environment.stored[&StoredId(stored)].data().to_vec();
    let (into, around, shift, again) = (at(0), at(1), at(2), at(3));
    let mut h = vec![0.0; 2];
    let mut wanted = Vec::new();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for row in x.data().chunks(2) {
        let comes = |k: usize| shift[k] + (0..2).map(|i| into[k * 2 + i] * row[i]).sum::<f64>();
        let stays = |k: usize| again[k] + (0..2).map(|i| around[k * 2 + i] * h[i]).sum::<f64>();
        let next: Vec<f64> = (0..2)
            .map(|unit| {
                let r = sigmoid(comes(unit) + stays(unit));
                let z = sigmoid(comes(2 + unit) + stays(2 + unit));
                let n = (comes(4 + unit) + r * stays(4 + unit)).tanh();
                (1.0 - z) * n + z * h[unit]
            })
            .collect();
        h = next;
        wanted.extend(h.clone());
    }
    close(result(&one.graph, "y", &environment).data(), &wanted, 1e-12);
}

#[test]
fn dropout_keeps_the_mean_while_training_and_does_nothing_in_use() {
    let text = CLASSIFIER.replace("SMOOTH", "0.0").replace("x * 3", "x -> dropout(0.25)");
    let text = text.replace("two = accuracy(logits, y, top=2);", "kept = sum(logits);");
    let training = expanded(&text, Expansion::Training, 4);
    let ones = Tensor::new([4, 5], vec![1.0; 20]);
    let labels = Tensor::new([4], vec![0.0; 4]);
    let inputs = [("x", ones), ("y", labels)];
    let kept = result(&training.graph, "kept", &environment(&training.graph, &inputs)).data()[0];
    let survivors = kept * 0.75;
    assert!((survivors - survivors.round()).abs() < 1e-9 && survivors < 20.0, "{survivors} of 20 survive");
    let evaluation = expanded(&text, Expansion::Evaluation, 4);
    let mut environment = environment(&evaluation.graph, &inputs);
    environment.symbols.insert(HostSymbol::Examples, 4.0);
    close(result(&evaluation.graph, "kept", &environment).data(), &[20.0], 1e-12);
}

#[test]
fn what_is_drawn_has_the_shares_and_moments_that_were_asked_for() {
    let outputs = [
        ("d", "dropout(x, 0.25)"),
        ("c", "dropout_channels(x, 0.25)"),
        ("n", "normal_like(x)"),
        ("f", "random_flip(x, 0.25)"),
        ("r", "random_crop(x, 4)"),
        ("j", "color_jitter(x, 0.2)"),
    ];
    let side = |name: &str| if name == "r" { 4 } else { 6 };
    let typed = outputs.map(|(name, _)| format!("{name}: f32[N, 4, {0}, {0}]", side(name))).join(", ");
    let formulas = outputs.map(|(_, formula)| formula).join(", ");
    let text = format!("model M(x: f32[N, 4, 6, 6]) -> ({typed}) {{ {formulas} }}\n");
    let one = expanded(&text, Expansion::Training, 64);
    // 1 + the column + 10 times the row, so that every place tells where it comes from.
    let number = |place: usize| 1.0 + (place % 6) as f64 + 10.0 * ((place / 6) % 6) as f64;
    let x = Tensor::new([64, 4, 6, 6], (0..64 * 144).map(number).collect::<Vec<_>>());
    let environment = environment(&one.graph, &[("x", x.clone())]);
    let of = |name: &str| result(&one.graph, name, &environment);
    let near = |share: f64, wanted: f64, within: f64| {
        assert!((share - wanted).abs() < within, "{share} instead of {wanted}");
    };

    let (d, x) = (of("d"), x.data());
    let zeros = d.data().iter().filter(|value| **value == 0.0).count();
    near(zeros as f64 / 9216.0, 0.25, 0.02);
    let kept = d.data().iter().zip(x).all(|(y, x)| *y == 0.0 || (y - x / 0.75).abs() < 1e-9);
    assert!(kept, "what is kept is scaled");

    let dropped: Vec<bool> = of("c").data().chunks(36).map(|channel| channel[0] == 0.0).collect();
    for (place, y) in of("c").data().iter().enumerate() {
        let wanted = if dropped[place / 36] { 0.0 } else { x[place] / 0.75 };
        assert!((y - wanted).abs() < 1e-9, "a channel is dropped as a whole: {y} at {place}");
    }
    near(dropped.iter().filter(|dropped| **dropped).count() as f64 / 256.0, 0.25, 0.1);

    let drawn = of("n");
    let moment = |k: i32| drawn.data().iter().map(|value| value.powi(k)).sum::<f64>() / 9216.0;
    for (k, wanted, within) in [(1, 0.0, 0.04), (2, 1.0, 0.06), (3, 0.0, 0.15), (4, 3.0, 0.4)] {
        near(moment(k), wanted, within);
    }

    let flipped = of("f");
    let turned = |place: usize| x[place - place % 6 + 5 - place % 6];
    let of_example = |n: usize| n * 144..(n + 1) * 144;
    let is_turned = |n: usize| flipped.data()[n * 144] == turned(n * 144);
    for n in 0..64 {
        let wanted: Vec<f64> = of_example(n).map(|k| if is_turned(n) { turned(k) } else { x[k] }).collect();
        assert_eq!(flipped.data()[of_example(n)], wanted[..], "example {n} is turned as a whole, or not");
    }
    near((0..64).filter(|n| is_turned(*n)).count() as f64 / 64.0, 0.25, 0.17);

    let mut corners = std::collections::BTreeSet::new();
    for cut in of("r").data().chunks(64) {
        for (place, value) in cut.iter().enumerate() {
            let (row, column) = ((place / 4) % 4, place % 4);
            assert_eq!(*value, cut[0] + column as f64 + 10.0 * row as f64, "one window of each example");
        }
        corners.insert(cut[0] as usize);
    }
    let known = [1, 2, 3, 11, 12, 13, 21, 22, 23];
    assert!(corners.len() >= 7 && corners.iter().all(|corner| known.contains(corner)), "{corners:?}");

    let middle = x[..144].iter().sum::<f64>() / 144.0;
    let mut changes = Vec::new();
    for y in of("j").data().chunks(144) {
        let bright = y.iter().sum::<f64>() / 144.0 / middle;
        let contrast = (y[1] - y[0]) / bright;
        assert!((0.8..1.2).contains(&bright) && (0.8..1.2).contains(&contrast), "{bright}, {contrast}");
        for (y, x) in y.iter().zip(x) {
            assert!(
                (y - ((x - middle) * contrast + middle) * bright).abs() < 1e-6,
                "one change of an example"
            );
        }
        changes.extend([bright, contrast]);
    }
    near(changes.iter().sum::<f64>() / 128.0, 1.0, 0.04);
    assert!(changes.iter().any(|change| (change - 1.0).abs() > 0.15), "{changes:?}");
}

#[test]
fn a_grad_formula_replaces_the_derived_gradient() {
    let text = "
fn through(x) {
  grad x = 3 * dy
  round(x)
}
model M(x: f32[N, 5]) -> logits: f32[N, 5] {
  weight w: f32[5] = ones
  through(x * w)
}
data d {
  x: f32[5]
  train = csv(\"d.csv\")
}
train M on d {
  batch = 2
  epochs = 1
  loss = sum(logits)
  optimizer = sgd
}
";
    let mut one = expanded(text, Expansion::Training, 2);
    let loss = one.loss.expect("there is a loss");
    let gradients = differentiate(&mut one.graph, loss, &one.trained).expect("it has a gradient");
    let x = spread(&[2, 5], 2);
    let environment = environment(&one.graph, &[("x", x.clone())]);
    let values = evaluate(&one.graph, &environment);
    let w = environment.stored[&StoredId(0)].data();
    let rounded: f64 = (0..10).map(|place| (x.data()[place] * w[place % 5]).round_ties_even()).sum();
    close(values[&loss].data(), &[rounded], 1e-9);
    let gradient = gradients[0].expect("the weight has a gradient");
    let wanted: Vec<f64> = (0..5).map(|k| 3.0 * (x.data()[k] + x.data()[5 + k])).collect();
    close(values[&gradient].data(), &wanted, 1e-12);
}

#[test]
fn weights_begin_as_pytorchs() {
    use nnc_runtime::artifact::Init;
    let one =
        expanded("model M(x: f32[N, 4, 8, 8]) { x -> conv(6, 3, groups=2) }\n", Expansion::Inference, 1);
    let bound = 1.0 / 18.0_f64.sqrt();
    for stored in &one.graph.stored {
        assert_eq!(stored.init, Init::Uniform { low: -bound, high: bound }, "{}", stored.path);
    }
    let text = "@init(he)\nmodel M(x: f32[N, 50]) { x -> linear(10) }\n";
    let one = expanded(text, Expansion::Inference, 1);
    assert_eq!(one.graph.stored[0].init, Init::Normal { mean: 0.0, std: (2.0_f64 / 50.0).sqrt() });
}

#[test]
fn a_field_whose_shape_prepare_changes_is_stored_as_it_was() {
    let text = "
model M(x: f32[N, 1, 8, 8]) -> y: f32[N, 2] { x -> flatten -> linear(2) }
data d {
  x: f32[1, 8, 8]
  train = idx(\"d\")
  prepare { x = x -> pad(2) -> scale(1 / 255) }
}
train M on d {
  batch = 2
  epochs = 1
  loss = mean(y)
  optimizer = sgd
}
";
    let one = expanded(text, Expansion::Training, 2);
    let training = one.training.expect("it is trained");
    assert_eq!(training.data.fields[0].shape, [1, 4, 4]);
}

#[test]
fn transposed_convolution_and_pooling_have_the_stated_extents() {
    let text = "model M(x: f32[N, 3, 7, 7]) -> (a: f32[N, 4, 14, 14], b: f32[N, 3, 4, 4], c: f32[N, 3, 7, 7], d: f32[N, 3, 14, 14]) {
      a = x -> conv_transpose(4, 4, stride=2, pad=1)
      b = x -> max_pool(3, stride=2, pad=1)
      c = x -> avg_pool(3, stride=1, pad=same)
      a, b, c, x -> upsample(2)
    }\n";
    let one = expanded(text, Expansion::Inference, 1);
    let x = spread(&[1, 3, 7, 7], 1);
    let environment = environment(&one.graph, &[("x", x.clone())]);
    let d = result(&one.graph, "d", &environment);
    assert_eq!(d.at(&[0, 2, 9, 5]), x.at(&[0, 2, 4, 2]));
    let b = result(&one.graph, "b", &environment);
    assert_eq!(
        b.at(&[0, 0, 0, 0]),
        [0, 1, 7, 8].map(|place| x.data()[place]).into_iter().fold(-9.0, f64::max)
    );
}

#[test]
fn bilinear_upsampling_draws_lines_between_the_centers() {
    let text = "model M(x: f32[N, 1, 1, 2]) -> y: f32[N, 1, 2, 4] { x -> upsample(2, mode=bilinear) }\n";
    let one = expanded(text, Expansion::Inference, 1);
    let environment = environment(&one.graph, &[("x", Tensor::new([1, 1, 1, 2], vec![1.0, 3.0]))]);
    let row = [1.0, 1.5, 2.5, 3.0];
    close(result(&one.graph, "y", &environment).data(), &[row, row].concat(), 1e-12);
}

#[test]
fn products_with_several_row_axes_are_plain_matrix_products() {
    let text = "model M(x: f32[N, 3, 5]) -> y: f32[N, 3, 2] { x -> linear(2) }\n";
    let one = expanded(text, Expansion::Inference, 2);
    let x = spread(&[2, 3, 5], 4);
    let environment = environment(&one.graph, &[("x", x.clone())]);
    let y = result(&one.graph, "y", &environment);
    let (w, b) = (&environment.stored[&StoredId(0)], &environment.stored[&StoredId(1)]);
    for (n, t, o) in [(0, 0, 0), (1, 2, 1), (0, 1, 1)] {
        let product: f64 = (0..5).map(|i| x.at(&[n, t, i]) * w.at(&[o, i])).sum();
        assert!((y.at(&[n, t, o]) - product - b.at(&[o])).abs() < 1e-12);
    }
    let shapes: Vec<&[usize]> =
        one.graph.nodes().iter().map(|node| one.graph.ty(*node).shape.as_slice()).collect();
    assert!(shapes.contains(&[6, 5].as_slice()), "{shapes:?}");
}

#[test]
fn a_product_over_the_batch_counts_only_the_examples_that_are_there() {
    let x = spread(&[4, 5], 3);
    let gram = "count = einsum(\"n i, n j -> i j\", x, x)[0, 1]";
    let text = CLASSIFIER.replace("SMOOTH", "0.1").replace("count = sum(x[:, 0] * 0 + 1) / N", gram);
    let one = expanded(&text, Expansion::Evaluation, 4);
    let mut environment = environment(&one.graph, &[("x", x.clone()), ("y", Tensor::new([4], vec![0.0; 4]))]);
    for count in 1..=4 {
        environment.symbols.insert(HostSymbol::Examples, count as f64);
        let wanted: f64 = x.data().chunks(5).take(count).map(|row| row[0] * row[1]).sum();
        close(result(&one.graph, "count", &environment).data(), &[wanted], 1e-12);
    }
}

#[test]
fn a_loss_over_pairs_counts_only_the_pairs_that_are_there() {
    let x = spread(&[4, 5], 3);
    let pairs = "count = mean(exp(concat(x, 2 * x, axis=0) @ transpose(concat(x, 2 * x, axis=0)) / 100))";
    let text = CLASSIFIER.replace("SMOOTH", "0.1").replace("count = sum(x[:, 0] * 0 + 1) / N", pairs);
    let one = expanded(&text, Expansion::Evaluation, 4);
    let mut environment = environment(&one.graph, &[("x", x.clone()), ("y", Tensor::new([4], vec![0.0; 4]))]);
    for count in 1..=4 {
        environment.symbols.insert(HostSymbol::Examples, count as f64);
        let rows = x.data().chunks(5).take(count);
        let views: Vec<Vec<f64>> = [1.0, 2.0]
            .iter()
            .flat_map(|by| rows.clone().map(move |row| row.iter().map(|v| v * by).collect()))
            .collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let total: f64 = views.iter().flat_map(|a| views.iter().map(|b| (dot(a, b) / 100.0).exp())).sum();
        close(result(&one.graph, "count", &environment).data(), &[total / (4 * count * count) as f64], 1e-12);
    }
}

#[test]
fn dropout_lets_the_gradient_through_where_it_kept_the_value() {
    for formula in ["dropout(x, 0.25)", "dropout_channels(x, 0.4)", "dropout(dropout(x, 0.2), 0.3)"] {
        let text = format!("model M(x: f32[N, 4, 3, 3]) -> y: f32[N, 4, 3, 3] {{ {formula} }}\n");
        let Elaborated { mut graph, .. } = expanded(&text, Expansion::Training, 8);
        let input = |id: &NodeId| matches!(&graph.node(*id).kind, Kind::Source(Source::Input { .. }));
        let x = graph.nodes().into_iter().find(input).expect("there is one input");
        let y = graph.results[0].1;
        let ones = graph.constant(1.0, TensorType::f32([8, 4, 3, 3]));
        let total = nnc_tests::graphs::weighed_sum(&mut graph, y, ones);
        let slope = differentiate(&mut graph, total, &[x]).expect("there is a gradient")[0];
        graph.results.push(("slope".to_owned(), slope.expect("it is not 0")));
        let environment = environment(&graph, &[("x", Tensor::new([8, 4, 3, 3], vec![2.0; 288]))]);
        let [y, slope] = ["y", "slope"].map(|name| result(&graph, name, &environment));
        let halves: Vec<f64> = y.data().iter().map(|value| value / 2.0).collect();
        close(slope.data(), &halves, 1e-12);
        assert!(halves.contains(&0.0) && halves.iter().any(|value| *value > 0.0), "{formula}");
    }
}

/// A formula of `x: f32[N, 2]` and `k: i32[N]` as a metric of a batch that holds these examples and others behind them.
fn measured(formula: &str, batch: usize, examples: usize) -> f64 {
    let text = format!(
        "fn ordered(x, down) {{\n  y, _ = sort(x, axis=0, descending=down)\n  y\n}}\n\
         fn best(x, k) {{\n  y, _ = top_k(x, k, axis=0)\n  y\n}}\n\
         model M(x: f32[N, 2]) -> y: f32[N, 2] {{ x -> linear(2) }}\n\
         data d {{\n  x: f32[2]\n  k: i32 in 0..9\n  train = safetensors(\"a\")\n}}\n\
         train M on d {{\n  batch = {batch}\n  epochs = 1\n  loss = mse(y, 0)\n  optimizer = sgd\n  \
         metrics {{ m = {formula} }}\n}}\n"
    );
    let one = expanded(&text, Expansion::Evaluation, batch);
    // What lies behind the examples that count would come first, in either order.
    let number = |place: usize| {
        if place < 2 * examples { ((place * 7) % 11) as f64 } else { [-50.0, 50.0][place / 2 % 2] }
    };
    let whole =
        |place: usize| if place < examples { ((place * 5) % 7) as f64 } else { [8.0, 0.0][place % 2] };
    let x = Tensor::new([batch, 2], (0..2 * batch).map(number).collect::<Vec<_>>());
    let k = Tensor::new([batch], (0..batch).map(whole).collect::<Vec<_>>());
    let mut environment = environment(&one.graph, &[("x", x), ("k", k)]);
    environment.symbols.insert(HostSymbol::Examples, examples as f64);
    result(&one.graph, "m", &environment).data()[0]
}

#[test]
fn orders_and_places_are_those_of_the_examples_that_a_short_batch_has() {
    for formula in [
        "sum(ordered(x, false) * (1 + places(x, 0)))",
        "sum(ordered(x, true) * (1 + places(x, 0)))",
        "sum(argsort(x, axis=0) * (1 + places(x, 0)))",
        "sum(argsort(k, axis=0, descending=true) * (1 + places(k, 0)))",
        "sum(best(x, 2) * vector([[1, 2], [3, 4]]))",
        "sum(best(k, 1))",
        "sum(x[-1]) + 3 * sum(x[0]) + 5 * x[-2, 1]",
        "sum(x[-3:] * vector([[1, 2], [3, 4], [5, 6]]))",
        "sum(x[-3::2] * vector([[1, 2], [3, 4]]))",
        "sum(x[0:2] * vector([[1, 2], [3, 4]])) + sum(k[-1] * k[0])",
        "sum(window(x, 0, 1, 2))",
        "mean(x[1:] * x[:-1])",
        "sum(cumsum(x, axis=0, reverse=true))",
    ] {
        let whole = measured(formula, 3, 3);
        for batch in [4, 5, 8] {
            let short = measured(formula, batch, 3);
            assert!((whole - short).abs() < 1e-9, "{formula}: {short} of {batch} instead of {whole}");
        }
    }
    for formula in ["sum(x[0:4])", "sum(x[-4])", "sum(best(x, 4))", "sum(x[3])"] {
        assert!(measured(formula, 5, 3).is_nan(), "{formula} wants more examples than there are");
        assert!(measured(formula, 5, 5).is_finite(), "{formula} has all examples");
    }
}
