//! Who owns which weights, under which path, and where a name ends: the rules of `docs/language.md` over tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::{Elaborated, Expansion, Request, elaborate, load};
use nnc::ir::{Environment, Kind, Source, StoredId, Tensor, evaluate};
use nnc::source::NoFiles;

fn expanded(text: &str, expansion: Expansion) -> Elaborated {
    let loaded = load("model.nn", text, &[], &NoFiles);
    assert!(
        !loaded.has_errors(),
        "{}",
        render_all(&loaded.diagnostics, loaded.value.sources(), Colour::Never)
    );
    let bundle = Arc::new(loaded.value);
    let checked = elaborate(&bundle, &Request { batch: Some(2), ..Request::new(expansion) });
    let printed = render_all(&checked.diagnostics, bundle.sources(), Colour::Never);
    checked.value.unwrap_or_else(|| panic!("{text}\n{printed}"))
}

fn paths(text: &str) -> Vec<String> {
    let one = expanded(text, Expansion::Inference);
    one.graph.stored.iter().map(|stored| stored.path.clone()).collect()
}

/// The number of sources of the graph that read each stored tensor: two makers of one path would share a source.
fn uses(text: &str) -> usize {
    let one = expanded(text, Expansion::Inference);
    let stored = |kind: &Kind| matches!(kind, Kind::Source(Source::Stored(_)));
    one.graph.nodes().into_iter().filter(|id| stored(&one.graph.node(*id).kind)).count()
}

/// Bodies of `scan` over `x: f32[N, 4, 6]`, what stands before it, and the paths of what they own.
const WALKS: [(&str, &str, &str, &[&str]); 6] = [
    (
        "calls",
        "",
        "h = tanh((row -> linear(6)) + (h -> linear(6)))",
        &["linear.weight", "linear.bias", "linear_2.weight", "linear_2.bias"],
    ),
    (
        "calls behind others",
        "x = x -> linear(6)",
        "h = tanh((row -> linear(6)) + h)",
        &["linear.weight", "linear.bias", "linear_2.weight", "linear_2.bias"],
    ),
    (
        "a block of the model's own",
        "",
        "h = cell(row, h)",
        &["cell.linear.weight", "cell.linear.bias", "cell.w"],
    ),
    (
        "a layer declared inside",
        "",
        "layer e = linear(6) -> tanh\n h = e(row) + e(h)",
        &["e.linear.weight", "e.linear.bias"],
    ),
    (
        "a norm with its running statistics",
        "",
        "h = (row + h) -> batch_norm",
        &["batch_norm.weight", "batch_norm.bias", "batch_norm.running_mean", "batch_norm.running_var"],
    ),
    (
        "a walk in a walk",
        "",
        "s = scan one in x with g = h { g = g + (one -> linear(6))\n g }\n h = h + s[:, -1] + (row -> linear(6))",
        &["linear.weight", "linear.bias", "linear_2.weight", "linear_2.bias"],
    ),
];

#[test]
fn what_a_step_of_a_walk_owns_is_one_set_for_all_steps() {
    for (name, before, body, owned) in WALKS {
        for block in [false, true] {
            let walk = format!("{before}\n scan row in x with h = zeros(N, 6) {{\n {body}\n h\n }}",);
            let cell = "block cell(x: f32[N, C], h: f32[N, C]) { weight w: f32[C]\n tanh((x -> linear(C)) + w * h) }";
            let (text, prefix) = if block {
                let inner = format!("block walk(x: f32[N, T, C]) {{ {walk} }}");
                (format!("{cell}\n{inner}\nmodel M(x: f32[N, 4, 6]) {{ x -> walk }}\n"), "walk.")
            } else {
                (format!("{cell}\nmodel M(x: f32[N, 4, 6]) {{ {walk} }}\n"), "")
            };
            let mut wanted: Vec<String> = owned.iter().map(|path| format!("{prefix}{path}")).collect();
            let mut found = paths(&text);
            wanted.sort();
            found.sort();
            assert_eq!(found, wanted, "{name}");
            assert_eq!(uses(&text), wanted.len(), "{name}");
        }
    }
}

/// Every step of a walk moves the running statistics, as every use of a shared layer does.
#[test]
fn a_norm_in_a_walk_has_running_statistics_of_its_last_step() {
    let text = "model M(x: f32[N, 3, 2]) { scan row in x with k = 0 { row -> batch_norm } }\n";
    let one = expanded(text, Expansion::Training);
    assert_eq!(one.graph.assignments.len(), 2);
    let rows = [[1.0, 2.0], [3.0, 8.0], [-5.0, 0.5]];
    let x: Vec<f64> = rows.iter().chain(&rows).flatten().copied().collect();
    let mut environment = of_inputs(&[("x", Tensor::new([2, 3, 2], x))]);
    for (place, stored) in one.graph.stored.iter().enumerate() {
        let fill = if stored.path.ends_with("mean") { 0.0 } else { 1.0 };
        environment.stored.insert(StoredId(place), filled(&stored.ty.shape, fill));
    }
    let values = evaluate(&one.graph, &environment);
    let mean = one.graph.assignments.iter().find(|one_of| match &one.graph.node(one_of.target).kind {
        Kind::Source(Source::Stored(id)) => one.graph.stored[id.0].path == "batch_norm.running_mean",
        _ => false,
    });
    let found = values[&mean.expect("the mean is assigned").value].data().to_vec();
    for (channel, found) in found.into_iter().enumerate() {
        let wanted = rows.iter().fold(0.0, |mean, row| 0.9 * mean + 0.1 * row[channel]);
        assert!((found - wanted).abs() < 1e-6, "{found} instead of {wanted}");
    }
}

fn filled(shape: &[usize], number: f64) -> Tensor {
    Tensor::new(shape.to_vec(), vec![number; shape.iter().product()])
}

fn of_inputs(inputs: &[(&str, Tensor)]) -> Environment {
    Environment {
        inputs: inputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        stored: BTreeMap::new(),
        ..Environment::default()
    }
}

/// Stages of a model of `x: f32[N, 6]` in which a layer `e` is used twice, what stands before them, and the paths.
const SHARED: [(&str, &str, &str, &[&str]); 10] = [
    ("a join", "", "layer e = add { linear(6); identity }", &["e.linear.weight", "e.linear.bias"]),
    (
        "two branches",
        "",
        "layer e = mul { linear(6) -> sigmoid; linear(6) }",
        &["e.linear.weight", "e.linear.bias", "e.linear_2.weight", "e.linear_2.bias"],
    ),
    ("a join with an argument", "", "layer e = add(x) { linear(6) }", &["e.linear.weight", "e.linear.bias"]),
    (
        "an argument that owns weights",
        "",
        "layer e = add(x -> linear(6))",
        &["e.linear.weight", "e.linear.bias"],
    ),
    ("a label", "", "layer e = linear(6) as q", &["e.q.weight", "e.q.bias"]),
    (
        "a block without a scope",
        "@inline\nblock b(x: f32[N, C]) { weight w: f32[C]\n w * x -> linear(C) }\n",
        "layer e = b",
        &["e.w", "e.linear.weight", "e.linear.bias"],
    ),
    ("one call", "", "layer e = linear(6)", &["e.weight", "e.bias"]),
    ("two calls", "", "layer e = linear(6) -> relu", &["e.linear.weight", "e.linear.bias"]),
    ("a choice", "", "layer e = if true { linear(6) }", &["e.linear.weight", "e.linear.bias"]),
    (
        "turns",
        "",
        "layer e = repeat 2 { linear(6, bias=false) }",
        &["e.repeat.0.linear.weight", "e.repeat.1.linear.weight"],
    ),
];

#[test]
fn a_layer_shares_its_weights_whatever_its_chain_is() {
    for (name, items, layer, owned) in SHARED {
        let text = format!("{items}model M(x: f32[N, 6]) {{ {layer}\n x -> e -> e }}\n");
        assert_eq!(paths(&text), owned, "{name}");
        assert_eq!(uses(&text), owned.len(), "{name}");
    }
}

/// Models of `x: f32[N, 6]`, and the number of sets of weights that they own: one for each call that is written.
const MAKERS: [(&str, usize); 7] = [
    ("a = x -> linear(6) -> linear(6)\n layer linear_2 = linear(6)\n a -> linear_2", 3),
    ("layer linear_2 = linear(6)\n x -> linear(6) -> linear(6) -> linear_2", 3),
    ("x -> repeat 2 { linear(6) } -> repeat 2 { linear(6) } as repeat_2 -> repeat 2 { linear(6) }", 6),
    (
        "a = x -> linear(6) as a -> linear(6) as a_2\n b = x -> linear(6) as a\n c = x -> linear(6) as a\n \
         concat(a, b, c)",
        4,
    ),
    ("layer blk_2 = linear(6) -> linear(6)\n x -> blk -> blk -> blk_2", 4),
    ("x -> blk -> blk -> linear(6) as blk", 3),
    ("x -> add { linear(6); linear(6) } as res -> linear(6) as res", 3),
];

#[test]
fn only_a_layer_shares_weights() {
    for (body, sets) in MAKERS {
        let text =
            format!("block blk(x: f32[N, C]) {{ x -> linear(C) }}\nmodel M(x: f32[N, 6]) {{ {body} }}\n");
        assert_eq!(paths(&text).len(), 2 * sets, "{body}: {:?}", paths(&text));
    }
}

#[test]
fn a_label_names_the_scope_of_what_its_stage_makes() {
    for (body, scopes) in [
        ("x -> add { linear(6); linear(6) } as res", ["res.linear", "res.linear_2"]),
        ("x -> if true { linear(6) -> linear(6) } as res", ["res.linear", "res.linear_2"]),
        ("x -> add(x -> linear(6) -> linear(6)) as res", ["res.linear", "res.linear_2"]),
        ("x -> repeat 2 { linear(6) } as res", ["res.0.linear", "res.1.linear"]),
        ("x -> linear(6) as res -> relu as res -> linear(6) as res", ["res", "res_2"]),
        ("x -> identity as res -> linear(6) as res -> linear(6)", ["res", "linear"]),
    ] {
        let wanted: Vec<String> =
            scopes.iter().flat_map(|scope| [format!("{scope}.weight"), format!("{scope}.bias")]).collect();
        assert_eq!(paths(&format!("model M(x: f32[N, 6]) {{ {body} }}\n")), wanted, "{body}");
    }
}

/// Bodies of a model of `x: f32[N, 2, 2]`, each beside one without what binds a name inside braces.
const BRACES: [(&str, &str); 7] = [
    (
        "row = x[:, 0] * 100\n s = scan row in x with k = zeros(N, 2) { k = k + row\n k }\n row + 0 * s[:, 0]",
        "x[:, 0] * 100",
    ),
    ("k = x * 7\n s = scan row in x with k = zeros(N, 2) { k = k + row\n k }\n k + 0 * s", "x * 7"),
    ("h = x * 100\n s = if true { h = x + 1\n h } else { x }\n h + 0 * s", "x * 100"),
    ("i = x * 100\n x -> repeat i in 0..2 { identity } -> add(i)", "x + x * 100"),
    ("g = x * 3\n s = scan row in x with k = 0 { g = row * 5\n g }\n g + 0 * s", "x * 3"),
    (
        "s = scan row in x with k = 0 { k = k + 1\n row * k }\n s",
        "x * zeros(1, 2, 1) + x * (places(x, 1) + 1)",
    ),
    ("x -> repeat i in 0..2 { add(i) as one } -> add(one)", "x + 1 + x + 1"),
];

#[test]
fn a_name_ends_with_its_brace() {
    let x = Tensor::new([2, 2, 2], [1.0, -2.0, 3.0, 0.5, 4.0, 8.0, -1.0, 2.5].to_vec());
    let of = |body: &str| {
        let one = expanded(&format!("model M(x: f32[N, 2, 2]) {{ {body} }}\n"), Expansion::Inference);
        evaluate(&one.graph, &of_inputs(&[("x", x.clone())]))[&one.graph.results[0].1].data().to_vec()
    };
    for (body, plain) in BRACES {
        assert_eq!(of(body), of(plain), "{body}");
    }
}

/// Two walks in opposite directions whose states have one name, in numbers.
#[test]
fn walks_in_both_directions_keep_their_states_apart() {
    let text = "\
model M(x: f32[N, 3, 1]) -> (forth: f32[N, 1], back: f32[N, 1]) {
  _, h = scan row in x with h = zeros(N, 1) { h = 2 * h + row
    h }
  _, g = scan row in reverse x with h = zeros(N, 1) { h = 3 * h + row
    h }
  h, g
}
";
    let one = expanded(text, Expansion::Inference);
    let x = Tensor::new([2, 3, 1], [1.0, 2.0, 5.0, -1.0, 0.0, 4.0].to_vec());
    let values = evaluate(&one.graph, &of_inputs(&[("x", x)]));
    let found = |place: usize| values[&one.graph.results[place].1].data().to_vec();
    assert_eq!(found(0), [13.0, 0.0]);
    assert_eq!(found(1), [1.0 + 6.0 + 45.0, -1.0 + 0.0 + 36.0]);
}
