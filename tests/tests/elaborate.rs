//! The networks of `tests/examples` expand as they should.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::{Bundle, Elaborated, Expansion, Request, elaborate, load};
use nnc::ir::{Environment, Graph, Kind, NodeId, Source, Tensor, TensorType, evaluate};
use nnc::source::{Loader, Sources};
use nnc_runtime::artifact::{HostExpr, HostSymbol, Save};

/// Files of `tests/examples`.
struct Examples;

impl Loader for Examples {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let text = fs::read_to_string(folder.join(path)).map_err(|error| error.to_string())?;
        Ok((path.to_owned(), text))
    }
}

fn bundle(name: &str) -> Arc<Bundle> {
    let (path, text) = Examples.load(name, "").expect("the example is there");
    let loaded = load(&path, &text, &[], &Examples);
    let printed = render_all(&loaded.diagnostics, loaded.value.sources(), Colour::Never);
    assert_eq!(printed, "", "{name}");
    Arc::new(loaded.value)
}

fn expanded(name: &str, request: &Request) -> Elaborated {
    let bundle = bundle(name);
    let checked = elaborate(&bundle, request);
    let printed = render_all(&checked.diagnostics, bundle.sources(), Colour::Never);
    assert!(!checked.has_errors(), "{name} {:?}:\n{printed}", request.expansion);
    checked.value.expect("a model without errors has a graph")
}

fn parameters(elaborated: &Elaborated) -> usize {
    let weights = elaborated.graph.stored.iter();
    weights
        .filter(|stored| stored.kind == nnc_runtime::artifact::StoredKind::Weight)
        .map(|stored| stored.ty.size())
        .sum()
}

#[test]
fn the_digits_network_expands_in_three_ways() {
    let training = expanded("mnist.nn", &Request::new(Expansion::Training));
    assert_eq!(parameters(&training), 3_274_634);
    let paths: Vec<&str> = training.graph.stored.iter().map(|stored| stored.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "conv.weight",
            "conv.bias",
            "conv_2.weight",
            "conv_2.bias",
            "linear.weight",
            "linear.bias",
            "linear_2.weight",
            "linear_2.bias",
        ]
    );
    let names = |one: &Elaborated| one.graph.results.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&training), ["loss", "accuracy"]);
    assert_eq!(training.batch, 64);
    let mut request = Request::new(Expansion::Evaluation);
    request.stored.clone_from(&training.graph.stored);
    let evaluation = expanded("mnist.nn", &request);
    assert_eq!(evaluation.graph.stored, training.graph.stored);
    request.expansion = Expansion::Inference;
    let inference = expanded("mnist.nn", &request);
    assert_eq!(names(&inference), ["logits"]);
    assert_eq!(inference.batch, 1);
}

/// The number of trained weights of each example, counted by hand from its text or stated by its authors.
const EXAMPLES: [(&str, usize); 10] = [
    ("activity.nn", 155_206),
    ("bilstm_siamese.nn", 518_656),
    ("char_gru.nn", 2_623_584),
    ("custom.nn", 545_290),
    ("inception_v3.nn", 27_161_264),
    ("mnist.nn", 3_274_634),
    ("resnet18.nn", 11_689_512),
    ("transformer.nn", 23_142_402),
    ("unet.nn", 7_700_226),
    ("vae.nn", 267_425),
];

/// Those of them that are trained.
const TRAINED: [&str; 8] = [
    "activity.nn",
    "char_gru.nn",
    "custom.nn",
    "inception_v3.nn",
    "mnist.nn",
    "resnet18.nn",
    "transformer.nn",
    "vae.nn",
];

/// Small batches and short sequences, so that graphs stay small.
fn small(expansion: Expansion) -> Request {
    let dims = vec![("T".to_owned(), 6), ("S".to_owned(), 5)];
    Request { batch: Some(2), dims, ..Request::new(expansion) }
}

#[test]
fn weight_counts_are_those_of_the_papers() {
    for (name, count) in EXAMPLES {
        let expansion = if !TRAINED.contains(&name) { Expansion::Inference } else { Expansion::Training };
        assert_eq!(parameters(&expanded(name, &small(expansion))), count, "{name}");
    }
    assert_eq!(parameters(&expanded("tiny_yolo.nn", &small(Expansion::Inference))), 15_861_773);
}

#[test]
fn expansions_share_weights_by_path() {
    for (name, _) in EXAMPLES {
        if !TRAINED.contains(&name) {
            continue;
        }
        let training = expanded(name, &small(Expansion::Training));
        for expansion in [Expansion::Evaluation, Expansion::Inference] {
            let alone: Vec<String> = paths(&expanded(name, &small(expansion)));
            let known = paths(&training);
            assert!(alone.iter().all(|path| known.contains(path)), "{name} {expansion:?}: {alone:?}");
        }
    }
}

#[test]
fn every_weight_of_a_trained_example_gets_a_gradient() {
    for (name, _) in EXAMPLES {
        if !TRAINED.contains(&name) {
            continue;
        }
        let mut one = expanded(name, &small(Expansion::Training));
        let loss = one.loss.expect("a trained model has a loss");
        let gradients = nnc::gradient::differentiate(&mut one.graph, loss, &one.trained)
            .unwrap_or_else(|missing| panic!("{name}: {}", missing.reason));
        assert_eq!(nnc::elaborate::missing_gradients(&one, &gradients), None, "{name}");
    }
}

fn paths(one: &Elaborated) -> Vec<String> {
    one.graph.stored.iter().map(|stored| stored.path.clone()).collect()
}

#[test]
fn weights_are_named_as_in_pytorch_below_their_scopes() {
    let resnet = paths(&expanded("resnet18.nn", &small(Expansion::Inference)));
    for path in [
        "conv_bn.conv.weight",
        "conv_bn.batch_norm.running_mean",
        "layer1.0.basic.conv_bn.conv.weight",
        "layer1.1.basic.conv_bn_2.batch_norm.bias",
        "basic.conv_bn_3.conv.weight",
        "linear.bias",
    ] {
        assert!(resnet.iter().any(|known| known == path), "{path} is not among {resnet:?}");
    }
    let gru = paths(&expanded("char_gru.nn", &small(Expansion::Inference)));
    for path in ["embed.weight", "gru.weight_ih_l0", "gru.bias_hh_l1", "linear.weight"] {
        assert!(gru.iter().any(|known| known == path), "{path} is not among {gru:?}");
    }
    let siamese = paths(&expanded("bilstm_siamese.nn", &small(Expansion::Inference)));
    assert!(siamese.iter().any(|path| path == "enc.lstm.weight_hh_l0_reverse"), "{siamese:?}");
    assert!(siamese.iter().all(|path| path.starts_with("enc.")), "{siamese:?}");
}

#[test]
fn every_model_is_clean() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the models are there") {
        let path = entry.expect("an entry can be read").path();
        if path.extension().is_none_or(|extension| extension != "nn") {
            continue;
        }
        count += 1;
        let text = fs::read_to_string(&path).expect("a model is text");
        let loaded = load(&path.to_string_lossy(), &text, &[], &Examples);
        let mut found = loaded.diagnostics;
        let bundle = Arc::new(loaded.value);
        let profile = nnc_wgsl::Profile::named("webgpu-default").expect("the profile exists");
        found.extend(nnc::check(&bundle, &nnc::Request::new(profile, &[])));
        assert_eq!(render_all(&found, bundle.sources(), Colour::Never), "", "{}", path.display());
    }
    assert!(count >= 5, "only {count} models");
}

/// The next number of a fixed sequence (xorshift), so that a failure can be repeated.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).expect("31 bits fit")
}

/// `text` with one token replaced by another of the text, dropped, or swapped with its neighbour.
fn damaged(text: &str, state: &mut u64) -> String {
    let mut sources = Sources::new();
    let file = sources.add("model.nn", text);
    let tokens = nnc::syntax::lex(sources.source(file)).value;
    let range = |place: usize| tokens[place].span.start as usize..tokens[place].span.end as usize;
    let place = next(state) % (tokens.len() - 1);
    let mut out = text.to_owned();
    match next(state) % 4 {
        0 => out.replace_range(range(place), ""),
        1 => {
            out.replace_range(range(place + 1), &text[range(place)]);
            out.replace_range(range(place), &text[range(place + 1)]);
        }
        _ => out.replace_range(range(place), &text[range(next(state) % tokens.len())]),
    }
    out
}

#[test]
fn damaged_models_are_diagnosed() {
    let mut state = 0x2545_f491_4f6c_dd1d;
    let (mut rejected, mut accepted) = (0, 0);
    for name in ["mnist.nn", "custom.nn", "vae.nn", "activity.nn", "bilstm_siamese.nn", "transformer.nn"] {
        let (_, text) = Examples.load(name, "").expect("the example is there");
        for _ in 0..ROUNDS {
            let changed = damaged(&text, &mut state);
            let loaded = load("model.nn", &changed, &[], &Examples);
            if loaded.has_errors() {
                continue;
            }
            let bundle = Arc::new(loaded.value);
            for expansion in [Expansion::Training, Expansion::Evaluation] {
                let checked = elaborate(&bundle, &small(expansion));
                if checked.value.is_some() {
                    accepted += 1;
                } else {
                    assert!(checked.has_errors(), "{changed}");
                    rejected += 1;
                }
                let printed = render_all(&checked.diagnostics, bundle.sources(), Colour::Never);
                assert!(!printed.contains("--> std/"), "{printed}");
            }
        }
    }
    assert!(rejected > ROUNDS && accepted > ROUNDS / 2, "{rejected} rejected, {accepted} accepted");
}

/// Damaged texts of each example.
const ROUNDS: usize = 60;

#[test]
fn the_command_line_replaces_constants_and_settings() {
    let set = |pairs: &[(&str, &str)]| {
        let (path, text) = Examples.load("resnet18.nn", "").expect("the example is there");
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
        let loaded = load(&path, &text, &pairs, &Examples);
        assert!(!loaded.has_errors());
        let bundle = Arc::new(loaded.value);
        let request = Request { batch: None, ..small(Expansion::Training) };
        let checked = elaborate(&bundle, &request);
        (render_all(&checked.diagnostics, bundle.sources(), Colour::Never), checked.value)
    };
    let (printed, one) =
        set(&[("classes", "10"), ("batch", "3"), ("epochs", "2 + 2"), ("optimizer.momentum", "0.5")]);
    let one = one.unwrap_or_else(|| panic!("{printed}"));
    assert_eq!(parameters(&one), 11_689_512 - 990 * 513);
    let training = one.training.expect("it is trained");
    assert_eq!((one.batch, training.batch, training.epochs), (3, 3, Some(4)));
    let (printed, none) = set(&[("batsh", "3")]);
    assert!(none.is_none());
    assert!(
        printed.contains("there is no setting `batsh`") && printed.contains("did you mean `batch`?"),
        "{printed}"
    );
    let (printed, none) = set(&[("dims.T", "3")]);
    assert!(none.is_none());
    assert!(printed.contains("there is no setting `dims.T`"), "{printed}");
    let (printed, none) = set(&[("clases", "3")]);
    assert!(none.is_none());
    assert!(printed.contains("did you mean `classes`?"), "{printed}");
    let (printed, none) = set(&[("optimizer.learning", "3")]);
    assert!(none.is_none());
    assert!(printed.contains("`sgd` has no argument `learning`"), "{printed}");
}

/// What expanding `text` for inference says, and the expansion.
fn said(text: &str, set: &[(&str, &str)]) -> (String, Option<Elaborated>) {
    let set: Vec<(String, String)> =
        set.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
    let loaded = load("model.nn", text, &set, &Examples);
    let printed = render_all(&loaded.diagnostics, loaded.value.sources(), Colour::Never);
    assert!(!loaded.has_errors(), "{printed}");
    let bundle = Arc::new(loaded.value);
    let checked = elaborate(&bundle, &Request::new(Expansion::Inference));
    (render_all(&checked.diagnostics, bundle.sources(), Colour::Never), checked.value)
}

#[test]
fn only_constants_can_be_replaced_where_nothing_is_trained() {
    let text = "const width = 4\n\nmodel Net(x: f32[N, 4]) -> y: f32[N, width] {\n  x -> linear(width)\n}\n";
    let (printed, one) = said(text, &[("width", "7")]);
    let one = one.unwrap_or_else(|| panic!("{printed}"));
    assert_eq!(parameters(&one), 35);
    for path in ["wdith", "batch", "optimizer.lr", "dims.Q"] {
        let (printed, none) = said(text, &[(path, "5")]);
        assert!(none.is_none(), "{path}");
        assert!(printed.contains(&format!("there is no constant `{path}`")), "{printed}");
        assert_eq!(printed.contains("did you mean `width`?"), path == "wdith", "{printed}");
    }
}

#[test]
fn ten_thousand_layers_become_kernels_in_seconds() {
    let layers = ["relu", "tanh", "linear(4)", "layer_norm"].map(|layer| format!(" -> {layer}"));
    let chain: String = layers.iter().cycle().take(10_000).cloned().collect();
    let text = format!("model Deep(x: f32[N, 4]) -> y: f32[N, 4] {{\n  x{chain}\n}}\n");
    let start = std::time::Instant::now();
    let bundle = Arc::new(load("deep.nn", &text, &[], &Examples).value);
    let profile = nnc_wgsl::Profile::named("webgpu-default").expect("the profile exists");
    let request = nnc::Request::new(profile, &[nnc_runtime::artifact::Role::Infer]);
    let checked = nnc::compile(&bundle, &request);
    let printed = render_all(&checked.diagnostics, bundle.sources(), Colour::Never);
    let compiled = checked.value.unwrap_or_else(|| panic!("{printed}"));
    assert_eq!(compiled.programs[0].lowered.stages.len(), 2 * 2_500 + 1);
    let seconds = start.elapsed().as_secs();
    assert!(seconds < 120, "it took {seconds} s, where an unoptimized build on one core takes ten");
}

/// What `save = best(..)` takes for better: less of a loss, more of everything else.
#[test]
fn best_keeps_the_smallest_loss_and_the_largest_of_everything_else() {
    for (value, lessened) in [
        ("test.loss", true),
        ("-test.loss", true),
        ("test.off", true),
        ("test.hits", false),
        ("test.spread", false),
        ("test.loss / 2", false),
        ("1 - test.hits", false),
    ] {
        let text = format!(
            "model M(x: f32[N, 4]) -> y: f32[N, 3] {{ x -> linear(3) }}\ndata d {{\n  x: f32[4]\n  k: i32 in 0..3\n  \
             z: f32[3]\n  train = safetensors(\"a\")\n  test = safetensors(\"b\")\n}}\ntrain M on d {{\n  epochs = 1\n  \
             loss = cross_entropy(y, k)\n  optimizer = sgd\n  metrics {{ off = mae(y, z); hits = accuracy(y, k); \
             spread = mean(y) }}\n  save = best({value})\n}}\n"
        );
        let loaded = load("model.nn", &text, &[], &Examples);
        let checked = elaborate(&Arc::new(loaded.value), &Request::new(Expansion::Training));
        let training = checked.value.and_then(|value| value.training).expect("the model is trained");
        let Some(Save::Best { value: kept, .. }) = training.save else { panic!("{value} is not kept") };
        assert_eq!(matches!(kept, HostExpr::Neg(_)), lessened, "{value}: {kept:?}");
    }
}

const ROWS: &str = "data d {\n  x: f32[4]\n  k: i32 in 0..3\n  train = safetensors(\"a\")\n}\n";

/// A number that is assigned to a state of an optimizer is kept, and what follows reads it.
#[test]
fn an_optimizer_keeps_numbers() {
    let text = format!(
        "optimizer mine(w, g) {{\n  state v = 0\n  state at = 0\n  v = 3\n  at = step\n  w = w - g * v\n}}\n\
         model M(x: f32[N, 4]) -> y: f32[N, 3] {{ x -> linear(3) }}\n{ROWS}train M on d {{\n  epochs = 1\n  \
         loss = cross_entropy(y, k)\n  optimizer = mine\n}}\n"
    );
    let loaded = load("model.nn", &text, &[], &Examples);
    let checked = elaborate(&Arc::new(loaded.value), &Request::new(Expansion::Training));
    let elaborated = checked.value.expect("the model is trained");
    let mut graph = Graph::new();
    let w = graph.constant(10.0, TensorType::f32([4]));
    let g = graph.constant(2.0, TensorType::f32([4]));
    let update = elaborated.groups[0].optimizer.apply(&mut graph, w, g).value.expect("the formula is right");
    let symbols = [(HostSymbol::Step, 7.0)].into();
    let values = evaluate(&graph, &Environment { symbols, ..Environment::default() });
    let after = |name: &str| {
        let state = update.states.iter().find(|state| state.name == name).expect("the state is declared");
        values[&state.after].data().to_vec()
    };
    assert_eq!(after("v"), [3.0; 4]);
    assert_eq!(after("at"), [7.0; 4]);
    assert_eq!(values[&update.w].data(), [4.0; 4]);
}

/// A weight belongs to the first group that it fits; what fits none is the optimizer's of `train`.
#[test]
fn groups_take_weights_by_path_and_by_pattern() {
    let text = format!(
        "model M(x: f32[N, 4]) -> y: f32[N, 3] {{ x -> linear(8) as first -> linear(8) as second -> linear(3) as head \
         }}\n{ROWS}train M on d {{\n  epochs = 1\n  loss = cross_entropy(y, k)\n  optimizer = sgd\n  \
         update \"*.bias\" {{ optimizer = adam }}\n  update second {{ optimizer = lion }}\n  \
         update \"head.w*t\" {{ optimizer = rmsprop }}\n}}\n"
    );
    let loaded = load("model.nn", &text, &[], &Examples);
    let checked = elaborate(&Arc::new(loaded.value), &Request::new(Expansion::Training));
    let elaborated = checked.value.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    let path = |node: &NodeId| match &elaborated.graph.node(*node).kind {
        Kind::Source(Source::Stored(id)) => elaborated.graph.stored[id.0].path.clone(),
        other => panic!("a weight is stored, not {other:?}"),
    };
    let groups: Vec<(String, Vec<String>)> = elaborated
        .groups
        .iter()
        .map(|group| (group.name.clone(), group.trained.iter().map(path).collect()))
        .collect();
    let expected = [
        ("*.bias", vec!["first.bias", "second.bias", "head.bias"]),
        ("second", vec!["second.weight"]),
        ("head.w*t", vec!["head.weight"]),
        ("", vec!["first.weight"]),
    ];
    let expected =
        expected.map(|(name, paths)| (name.to_owned(), paths.into_iter().map(str::to_owned).collect()));
    assert_eq!(groups, expected);
}

/// The places of the largest and the smallest over several axes count in the order of memory, the first where several
/// are as large.
#[test]
fn a_place_over_several_axes_counts_in_the_order_of_memory() {
    let text = "model M(x: f32[2, 2, 3]) -> (a: i32[2], b: i32[2, 1, 1], c: i32[3]) {\n  \
                argmax(x, axis=[1, 2]), argmin(x, axis=[2, 1], keep=true), argmax(x, axis=[0, 1])\n}\n";
    let loaded = load("model.nn", text, &[], &Examples);
    let checked = elaborate(&Arc::new(loaded.value), &Request::new(Expansion::Inference));
    let elaborated = checked.value.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    let numbers = vec![1.0, 5.0, 2.0, 5.0, 0.0, 3.0, -1.0, -7.0, 4.0, 9.0, -7.0, 6.0];
    let inputs = [("x".to_owned(), Tensor::new([2, 2, 3], numbers))].into();
    let values = evaluate(&elaborated.graph, &Environment { inputs, ..Environment::default() });
    let result = |name: &str| {
        let found = elaborated.graph.results.iter().find(|(result, _)| result == name);
        values[&found.expect("the model has this output").1].clone()
    };
    assert_eq!(result("a").data(), [1.0, 3.0]);
    assert_eq!(result("b"), Tensor::new([2, 1, 1], vec![4.0, 1.0]));
    assert_eq!(result("c").data(), [3.0, 0.0, 3.0]);
}

/// `freeze` takes weights as well as scopes.
#[test]
fn one_weight_can_be_frozen() {
    for (freeze, left) in [
        ("head.bias", vec!["first.weight", "first.bias", "head.weight"]),
        ("[first, \"head.weight\"]", vec!["head.bias"]),
        ("first.weight", vec!["first.bias", "head.weight", "head.bias"]),
        ("\"*.bias\"", vec!["first.weight", "head.weight"]),
        ("[\"*ir*.w*\", \"*d\"]", vec!["first.bias"]),
    ] {
        let text = format!(
            "model M(x: f32[N, 4]) -> y: f32[N, 3] {{ x -> linear(8) as first -> linear(3) as head }}\n{ROWS}\
             train M on d {{\n  freeze = {freeze}\n  epochs = 1\n  loss = cross_entropy(y, k)\n  optimizer = sgd\n}}\n"
        );
        let loaded = load("model.nn", &text, &[], &Examples);
        let checked = elaborate(&Arc::new(loaded.value), &Request::new(Expansion::Training));
        let elaborated = checked.value.expect("the model is trained");
        let stored = |node| match &elaborated.graph.node(node).kind {
            Kind::Source(Source::Stored(id)) => elaborated.graph.stored[id.0].path.clone(),
            _ => panic!("a trained weight is stored"),
        };
        let trained: Vec<String> = elaborated.trained.iter().map(|node| stored(*node)).collect();
        assert_eq!(trained, left, "{freeze}");
    }
}
