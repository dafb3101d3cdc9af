//! The table of passes: what can be left out, what it is then, and how a fault is found in it.

use std::convert::Infallible;
use std::path::Path;

use nnc::ir::{Graph, Kind, Source, TensorType};
use nnc::ops::Contract;
use nnc::passes::{Culprit, PIPELINE, Pass, Pipeline, Selection, bisect};
use nnc::program::artifact_selected;
use nnc::source::Sources;
use nnc::verify::{encode, open};
use nnc_runtime::artifact::{HostSymbol, Role};
use nnc_runtime::{Batch, Clock};
use nnc_tests::attentions::attentions;
use nnc_tests::command::{nnc, succeed};
use nnc_tests::device::device;
use nnc_tests::graphs::{Sample, cells, chains, differentiated, joins, random, weights};
use nnc_tests::siblings::{siblings, trained_siblings};
use nnc_tests::slots::{sibling_slots, slots};
use nnc_wgsl::{Binary, Expr, PROFILES, Profile, Scalar, Unary};
use serde_json::Value;

/// Everything that can be left out, by name.
fn units() -> Vec<String> {
    Pipeline::default().units().into_iter().map(|unit| unit.name).collect()
}

/// Graphs in which every pass finds something.
fn samples() -> Vec<Sample> {
    let drawn = (0..60).map(|seed| random(seed, 4 + usize::try_from(seed % 12).expect("small")));
    let examples = nnc::ops::examples();
    let examples = examples.iter().step_by(5).map(differentiated);
    examples
        .chain([scheduled(), masked()])
        .chain(joins())
        .chain(cells())
        .chain(attentions())
        .chain(siblings())
        .chain(slots(41))
        .chain(sibling_slots(11))
        .chain(drawn)
        .collect()
}

/// An input times a formula of the step.
fn scheduled() -> Sample {
    let mut graph = Graph::new();
    let x = graph.source(Source::Input { name: "x0".to_owned(), batched: false }, TensorType::f32([3]));
    let step = graph.host(Expr::identity(Scalar::F32), vec![HostSymbol::Step]);
    let decay = graph.map(&[step], |b, x| b.unary(Unary::Exp, x[0]));
    let decay = graph.map(&[decay], |b, x| b.unary(Unary::Tanh, x[0]));
    let y = graph.map(&[x, decay], |b, x| b.binary(Binary::Mul, x[0], x[1]));
    graph.results.push(("y".to_owned(), y));
    let inputs = [("x0".to_owned(), weights(&[3]))].into();
    let name = "a schedule".to_owned();
    Sample { name, graph, inputs, gradients: Vec::new(), stored: Default::default() }
}

/// Two products, each with half of its result dropped by one mask.
fn masked() -> Sample {
    let mut graph = Graph::new();
    let ty = TensorType::f32([8, 8]);
    let [mut value, w] = ["x0", "x1"]
        .map(|name| graph.source(Source::Input { name: name.to_owned(), batched: false }, ty.clone()));
    let noise = graph.random([8, 8]);
    let mask = graph.map(&[noise], |b, x| {
        let half = b.real(0.5);
        b.binary(Binary::Lt, x[0], half)
    });
    for _ in 0..2 {
        let product = graph.must(Contract::new("mk", "kn", "mn"), &[value, w]);
        value = graph.map(&[mask, product], |b, x| {
            let zero = b.real(0.0);
            b.select(x[0], x[1], zero)
        });
    }
    graph.results.push(("y".to_owned(), value));
    let inputs = ["x0", "x1"].map(|name| (name.to_owned(), weights(&[8, 8]))).into();
    Sample { name: "a mask".to_owned(), graph, inputs, gradients: Vec::new(), stored: Default::default() }
}

/// The pipeline without one unit, and with all before it alone.
fn selections(unit: usize) -> [Selection; 2] {
    let pipeline = Pipeline::default();
    [Selection::default().without(&units()[unit]), Selection::first(&pipeline, unit, None)]
}

#[test]
fn whatever_is_left_out_the_meaning_stays_and_every_profile_has_kernels() {
    for (number, sample) in samples().into_iter().enumerate() {
        let before = sample.results(&sample.graph);
        for unit in 0..units().len() {
            let profile = PROFILES[(number + unit) % PROFILES.len()];
            let profile = Profile::named(profile).expect("the profile exists");
            let selection = &selections(unit)[number % 2];
            let sources = Sources::new();
            let graph = sample.graph.clone();
            let (built, _) = artifact_selected(graph, &sources, 1, Role::Infer, &profile, selection);
            for (name, value) in sample.results(&built.graph) {
                for (v, e) in value.data().iter().zip(before[&name].data()) {
                    let same = v == e || v.is_nan() && e.is_nan();
                    let near = same || (v - e).abs() <= 1e-9 * e.abs().max(1.0);
                    assert!(near, "{}: `{name}` is {v} with {selection:?}, was {e}", sample.name);
                }
            }
        }
    }
}

#[test]
fn whatever_is_left_out_the_kernels_compute_the_meaning() {
    let Some(device) = device() else { return };
    let samples = samples();
    for (number, sample) in samples.iter().enumerate() {
        let unit = number * 7 % units().len();
        for selection in selections(unit) {
            let (graph, sources) = (sample.graph.clone(), Sources::new());
            let profile = device.profile();
            let (_, artifact) = artifact_selected(graph, &sources, 1, Role::Infer, profile, &selection);
            let mut session = open(&artifact, &device, 0).unwrap_or_else(|e| panic!("{}: {e}", sample.name));
            let program = artifact.program(Role::Infer).expect("the program was built");
            let mut batch = Batch::new(program);
            for port in &program.inputs {
                let bytes = encode(&sample.inputs[&port.name], port.element);
                batch.set(&port.name, &bytes).expect("the input fits");
            }
            let outputs = session.run(Role::Infer, &batch, &Clock::single(0, 1)).expect("it runs");
            for (name, value) in sample.results(&sample.graph) {
                let found = outputs.tensor(&name).expect("the output is there").values();
                let scale = value.data().iter().fold(1e-2_f64, |m, v| m.max(v.abs()));
                for (f, e) in found.iter().zip(value.data()) {
                    let same = f == e || f.is_nan() && e.is_nan();
                    let near = same || (f - e).abs() <= 2e-3 * scale;
                    assert!(near, "{}: `{name}` is {f} with {selection:?}, means {e}", sample.name);
                }
            }
        }
    }
}

#[test]
fn every_unit_leaves_something_out_somewhere() {
    let samples = samples();
    let printed = |sample: &Sample, selection: &Selection| {
        PROFILES.map(|profile| {
            let profile = Profile::named(profile).expect("the profile exists");
            let (graph, sources) = (sample.graph.clone(), Sources::new());
            let (built, artifact) = artifact_selected(graph, &sources, 1, Role::Infer, &profile, selection);
            let dispatches = &artifact.programs[0].dispatches;
            format!("{}{dispatches:?}{:?}", nnc::ir::print(&built.graph), built.plan.copies)
        })
    };
    // What a second run of a pass finds was left by those between, and no sample has all of it; what is computed again
    // is larger than any sample.
    let later = [
        "constants.2",
        "algebra.2",
        "common_subexpressions.2",
        "dead_code.1",
        "dead_code.2",
        "plan.recompute",
    ];
    let trained =
        (0..12).map(|seed| nnc_tests::graphs::training(seed, usize::try_from(seed).expect("small")));
    let mut narrow = chains();
    narrow.iter_mut().for_each(|sample| sample.graph.narrow = true);
    let trained = trained.chain(trained_siblings());
    let samples: Vec<Sample> = samples.into_iter().chain(trained).chain(narrow).collect();
    let all: Vec<_> = samples.iter().map(|sample| printed(sample, &Selection::default())).collect();
    let does_nothing = |unit: &String| {
        let without = Selection::default().without(unit);
        samples.iter().zip(&all).all(|(sample, all)| printed(sample, &without) == *all)
    };
    let idle: Vec<String> =
        units().into_iter().filter(|unit| !later.contains(&unit.as_str())).filter(does_nothing).collect();
    assert!(idle.is_empty(), "of these no sample shows anything: {idle:?}");
}

#[test]
fn the_pipeline_leaves_nothing_that_a_run_of_its_first_passes_would_change() {
    for sample in samples() {
        let profile = Profile::named("webgpu-default").expect("the profile exists");
        let mut graph = sample.graph.clone();
        nnc::passes::optimize(&mut graph, &profile, |_, _| {});
        let before = nnc::ir::print(&graph);
        nnc::passes::run_one("dead_code", &mut graph, &profile);
        assert_eq!(nnc::ir::print(&graph), before, "{}", sample.name);
    }
}

#[test]
fn names_stand_for_all_runs_of_a_pass_and_what_is_needed_says_why() {
    let pipeline = Pipeline::default();
    let parsed = |skip: &[&str], until: Option<&str>| {
        let skip: Vec<String> = skip.iter().map(|&name| name.to_owned()).collect();
        Selection::parse(&pipeline, &skip, until).map_err(|refused| refused.to_string())
    };
    let twice = Selection::default().without("constants.1").without("constants.2");
    assert_eq!(parsed(&["constants"], None), Ok(twice));
    assert_eq!(parsed(&["fuse.rows"], None), Ok(Selection::default().without("fuse.rows")));
    let refused = parsed(&["fuse"], None).expect_err("it is needed");
    assert!(
        refused.contains("`fuse` cannot be left out: it says which kernel") && refused.contains("fuse.rows")
    );
    let refused = parsed(&["materialize"], None).expect_err("it is needed");
    assert!(refused.contains("`materialize` cannot be left out: kernels find"), "{refused}");
    let refused = parsed(&["rows"], None).expect_err("it is unknown");
    assert!(refused.contains("there is no pass `rows`") && refused.contains("fuse.rows"), "{refused}");
    assert!(parsed(&[], Some("algebra.1:x")).expect_err("it is no number").contains("`x` is no number"));
    let until = parsed(&[], Some("algebra.1:5")).expect("it can be selected");
    assert_eq!((until.limit("dead_code.1"), until.limit("algebra.1")), (None, Some(5)));
    assert!(units()[2..].iter().all(|unit| until.limit(unit) == Some(0)), "{until:?}");
    for pass in PIPELINE.iter().filter(|pass| pass.needed.is_none()) {
        assert!(parsed(&[pass.name], None).is_ok(), "{}", pass.name);
    }
}

#[test]
fn a_fault_is_found_wherever_it_is_in_as_many_runs_as_a_logarithm() {
    let pipeline = Pipeline::default();
    for (place, unit) in units().into_iter().enumerate() {
        for rewrite in [1, 2, 3, 17, 1000] {
            let mut runs = 0;
            let is_wrong = |selection: &Selection| -> Result<bool, Infallible> {
                runs += 1;
                Ok(selection.limit(&unit).is_none_or(|limit| limit >= rewrite))
            };
            let Ok(culprit) = bisect(&pipeline, is_wrong);
            let Culprit::Unit { unit: found, before, rewrite: first } = culprit else {
                panic!("{unit}:{rewrite} is {culprit:?}")
            };
            assert_eq!((found.name, before, first), (unit.clone(), place, rewrite));
            let most = 2 + units().len().ilog2() + 1 + 2 * (rewrite.ilog2() + 1);
            assert!(runs <= most, "{unit}:{rewrite} took {runs} runs, more than {most}");
        }
    }
    assert_eq!(bisect(&pipeline, |_| Ok::<_, Infallible>(false)), Ok(Culprit::Nothing));
    assert_eq!(bisect(&pipeline, |_| Ok::<_, Infallible>(true)), Ok(Culprit::Rest));
}

/// Puts another node in the place of each constant: the same number, but where `wrong` holds.
fn replaced(graph: &mut Graph, wrong: fn(f64) -> bool) {
    for id in graph.order() {
        if let Kind::Source(Source::Constant(value)) = graph.node(id).kind
            && !graph.readers(id).is_empty()
        {
            if !graph.allowance.take() {
                return;
            }
            let ty = graph.ty(id).clone();
            let value = if wrong(value) { value + 1.0 } else { value };
            let other = graph.constant(value, ty);
            graph.replace(id, other);
        }
    }
}

const RIGHT: Pass = Pass {
    name: "right",
    about: "puts equal constants in the place of constants",
    needed: None,
    parts: &[],
    run: |graph, _| replaced(graph, |_| false),
};

const WRONG: Pass = Pass {
    name: "wrong",
    about: "takes one constant for another",
    needed: None,
    parts: &[],
    run: |graph, _| replaced(graph, |value| value == 7.0),
};

/// A sum of an input and constants, and what it is for an input of 0.
fn sum_of_constants() -> Sample {
    let mut graph = Graph::new();
    let ty = TensorType::f32([1]);
    let mut total = graph.source(Source::Input { name: "x0".to_owned(), batched: false }, ty.clone());
    for value in [1.0, 2.0, 3.0, 5.0, 7.0, 11.0, 13.0] {
        let constant = graph.constant(value, ty.clone());
        total = graph.map(&[total, constant], |b, x| b.binary(Binary::Add, x[0], x[1]));
    }
    graph.results.push(("y".to_owned(), total));
    let inputs = [("x0".to_owned(), nnc::ir::Tensor::new([1], vec![0.0]))].into();
    Sample { name: "a sum".to_owned(), graph, inputs, gradients: Vec::new(), stored: Default::default() }
}

#[test]
fn a_wrong_pass_is_found_by_what_it_does_to_a_result() {
    let profile = Profile::named("webgpu-default").expect("the profile exists");
    let sample = sum_of_constants();
    let expected = sample.results(&sample.graph)["y"].clone();
    for place in 0..6 {
        let mut passes = vec![RIGHT; 5];
        passes.insert(place, WRONG);
        let pipeline = Pipeline::of(&passes);
        let is_wrong = |selection: &Selection| -> Result<bool, Infallible> {
            let mut graph = sample.graph.clone();
            pipeline.run(&mut graph, &profile, selection, |_, _| {});
            Ok(sample.results(&graph)["y"] != expected)
        };
        let Ok(Culprit::Unit { unit, before, rewrite }) = bisect(&pipeline, is_wrong) else {
            panic!("the fault at {place} is not found")
        };
        assert_eq!((unit.name.as_str(), before, rewrite), ("wrong", place, 5));
    }
}

#[test]
#[should_panic(expected = "the pass `breaks` broke the graph")]
fn a_pass_that_breaks_the_graph_is_named() {
    let breaks = Pass {
        name: "breaks",
        about: "gives a result another type",
        needed: None,
        parts: &[],
        run: |graph, _| {
            let id = graph.results[0].1;
            graph.node_mut(id).ty = TensorType::f32([2]);
        },
    };
    let profile = Profile::named("webgpu-default").expect("the profile exists");
    let mut graph = sum_of_constants().graph;
    Pipeline::of(&[RIGHT, breaks]).run(&mut graph, &profile, &Selection::default(), |_, _| {});
}

/// The table of `nnc build --passes` for a model of the repository.
fn table(model: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let out = folder.path().join("m.nna").to_string_lossy().into_owned();
    let output = succeed(nnc(&["build", &format!("models/{model}"), "-o", &out, "--passes", "--json"]));
    assert!(Path::new(&out).exists());
    serde_json::from_slice(&output.stdout).expect("it is one JSON object")
}

#[test]
fn the_table_of_passes_ends_with_the_dispatches_of_the_program() {
    let table = table("mnist.nn");
    let dispatches = table["programs"]["train"]["dispatches"].as_u64().expect("a number");
    let passes = &table["passes"];
    assert_eq!(passes["all"]["dispatches"].as_u64(), Some(dispatches));
    assert!(passes["least"]["dispatches"].as_u64().is_some_and(|least| least > 2 * dispatches));
    let rows = passes["passes"].as_array().expect("a list");
    let row = |name: &str| rows.iter().find(|row| row["pass"] == name).unwrap_or_else(|| panic!("no {name}"));
    let upto: Vec<u64> =
        units().iter().map(|unit| row(unit)["up_to"]["dispatches"].as_u64().expect("a number")).collect();
    assert_eq!(upto.last(), Some(&dispatches));
    for unit in ["fuse.rows", "fuse.epilogues", "lower.packs"] {
        let without = row(unit)["without"]["dispatches"].as_u64().expect("a number");
        assert!(without > dispatches, "without {unit}: {without}");
    }
    for run in Pipeline::default().runs() {
        assert!(row(&run.name)["ms"].as_f64().is_some(), "{} took some time", run.name);
    }
}

#[test]
fn what_a_pass_changes_can_be_shown() {
    let dumped = |arguments: &[&str]| {
        let output = succeed(nnc(&[&["dump", "optimized", "models/mnist.nn"], arguments].concat()));
        String::from_utf8(output.stdout).expect("text")
    };
    let before = dumped(&["--before", "algebra.2"]);
    assert_eq!(before, dumped(&["--after", "constants.2"]));
    assert_ne!(before, dumped(&["--after", "algebra.1"]));
    let changes = dumped(&["--changes", "fuse"]);
    assert!(changes.starts_with("@@ -1,") && changes.contains("\n+k0 "), "{changes}");
    assert_eq!(dumped(&["--changes", "product_rows"]), "", "there is no row between products");
    assert_eq!(dumped(&["--after", "dead_code"]), dumped(&["--after", "dead_code.2"]));
    for (arguments, message) in [
        (["--after", "fusion"], "there is no pass `fusion`; there are: dead_code.1"),
        (["--skip", "fuse"], "`fuse` cannot be left out"),
    ] {
        let refused = nnc(&[&["dump", "optimized", "models/mnist.nn"], &arguments[..]].concat()).output();
        let refused = refused.expect("it runs");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && said.contains(message), "{said}");
    }
}

#[test]
fn verifying_a_right_model_finds_no_culprit() {
    if device().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("m.nn");
    let model = "model M(x: f32[N, 6]) -> y: f32[N, 3] {\n  x -> dropout(0.5) -> linear(3) -> softmax\n}\n\
                 data d {\n  x: f32[6]\n  label: i32 in 0..3\n  train = csv(\"d.csv\")\n}\n\
                 train M on d {\n  batch = 4\n  epochs = 1\n  loss = cross_entropy(y, label)\n  \
                 optimizer = adam\n}\n";
    std::fs::write(&path, model).expect("a file can be written");
    let output = succeed(nnc(&["verify", &path.to_string_lossy(), "--bisect"]));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let right: Vec<&str> = said.lines().filter(|line| line.ends_with("right with all passes")).collect();
    assert_eq!(right.len(), 4, "{said}");
}
