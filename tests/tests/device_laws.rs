//! Laws that take a device: the kernels of a program compute its graph's meaning, within the plan's memory.

use std::collections::{BTreeMap, BTreeSet};

use nnc::ir::{Kind, Source, StoredId, Tensor, evaluate};
use nnc::program::{Built, artifact_of, artifact_within};
use nnc::verify::{Verifiable, encode, open, verify};
use nnc_runtime::artifact::{Area, Artifact, Bound, Buffer, Role};
use nnc_runtime::{Batch, Clock, Device};
use nnc_tests::attentions::attentions;
use nnc_tests::device::{device, devices, processor};
use nnc_tests::graphs::{Sample, cells, chains, differentiated, joins, random, training};
use nnc_tests::siblings::{siblings, trained_siblings};
use nnc_tests::slots::sibling_slots;
use nnc_wgsl::{PROFILES, Profile};

fn samples(profile: &str) -> Vec<Sample> {
    let count = if matches!(profile, "lavapipe" | "cpu") { 120 } else { 30 };
    let drawn = (0..count).map(|seed| random(seed, 4 + usize::try_from(seed % 14).expect("small")));
    nnc::ops::examples()
        .iter()
        .map(differentiated)
        .chain(chains())
        .chain(joins())
        .chain(cells())
        .chain(attentions())
        .chain(siblings())
        .chain(sibling_slots(17))
        .chain(drawn)
        .collect()
}

/// The profiles of adapters by name, and a software device without subgroup operations, as GL is.
fn profiles() -> Vec<Profile> {
    let alone = Profile { name: "lavapipe alone".to_owned(), subgroup: 1, ..named("lavapipe") };
    let adapters = PROFILES.iter().filter(|name| **name != "cpu");
    adapters.map(|name| named(name)).chain([alone]).collect()
}

/// The profiles whose programs differ where no kernel is read.
fn profiles_of_the_processor() -> [Profile; 2] {
    ["cpu", "nvidia-hopper"].map(named)
}

fn named(name: &str) -> Profile {
    Profile::named(name).expect("the profile exists")
}

/// Samples whose values between kernels are stored in half precision.
fn narrow_samples(profile: &str) -> Vec<Sample> {
    let (count, every) = if profile == "lavapipe" { (40, 1) } else { (12, 3) };
    let drawn = (0..count).map(|seed| random(seed, 4 + usize::try_from(seed % 14).expect("small")));
    let fixed = chains().into_iter().chain(joins()).chain(cells()).chain(attentions()).chain(siblings());
    let mut samples: Vec<Sample> = fixed.step_by(every).chain(drawn).collect();
    samples.iter_mut().for_each(|sample| sample.graph.narrow = true);
    samples
}

fn check(device: &Device, sample: &Sample, profile: &Profile) -> usize {
    let (built, artifact) = artifact_of(sample.graph.clone(), Role::Infer, profile);
    let mut session = open(&artifact, device, 0).unwrap_or_else(|e| panic!("{}: {e}", sample.name));
    let program = artifact.program(Role::Infer).expect("the program was built");
    let mut batch = Batch::new(program);
    for port in &program.inputs {
        let bytes = encode(&sample.inputs[&port.name], port.element);
        batch.set(&port.name, &bytes).expect("the input fits");
    }
    let verifiable = Verifiable { graph: &built.graph, lowered: &built.lowered, plan: &built.plan };
    let findings = verify(&mut session, &artifact, Role::Infer, &verifiable, &batch, &Clock::single(0, 1));
    for finding in findings.unwrap_or_else(|e| panic!("{}: {e}", sample.name)) {
        assert!(
            finding.is_right(),
            "{} on {}: kernel {} ({}) is off by {:e} at {}\n{}",
            sample.name,
            profile.name,
            finding.stage,
            finding.label,
            finding.error,
            finding.operator,
            nnc::ir::print(&built.graph)
        );
    }
    let narrow = built.graph.nodes().into_iter().filter(|id| built.graph.node(*id).narrow).count();
    if !sample.graph.narrow {
        whole_run_agrees(&mut session, sample, &batch);
    }
    narrow
}

/// The results of one uninterrupted submission against the f64 meaning of the graph before any pass.
fn whole_run_agrees(session: &mut nnc_runtime::Session, sample: &Sample, batch: &Batch) {
    let outputs = session.run(Role::Infer, batch, &Clock::single(0, 1)).expect("the program runs");
    let expected = sample.results(&sample.graph);
    for (name, value) in expected {
        let found =
            outputs.tensor(&name).unwrap_or_else(|| panic!("{}: no output `{name}`", sample.name)).values();
        let scale = value.data().iter().fold(1e-2_f64, |m, v| m.max(v.abs()));
        for (f, e) in found.iter().zip(value.data()) {
            let near = (f - e).abs() <= 2e-3 * scale;
            assert!(near, "{}: `{name}` is {f}, its meaning {e}", sample.name);
        }
    }
}

#[test]
fn kernels_compute_the_meaning() {
    let Some(device) = device() else { return };
    for profile in profiles() {
        for sample in samples(&profile.name) {
            check(&device, &sample, &profile);
        }
    }
}

#[test]
fn kernels_compute_the_meaning_of_what_is_stored_in_halves() {
    let Some(device) = device().filter(|device| device.profile().f16) else { return };
    for profile in profiles().into_iter().filter(|profile| profile.f16) {
        let samples = narrow_samples(&profile.name);
        let narrow: usize = samples.iter().map(|sample| check(&device, sample, &profile)).sum();
        assert!(narrow > samples.len(), "{} of {} samples on {}", narrow, samples.len(), profile.name);
    }
}

#[test]
fn the_processor_computes_the_meaning() {
    let device = processor(2);
    for profile in profiles_of_the_processor() {
        for sample in samples(&profile.name) {
            check(&device, &sample, &profile);
        }
    }
}

#[test]
fn the_processor_computes_the_meaning_of_what_is_stored_in_halves() {
    let device = processor(2);
    for profile in profiles_of_the_processor() {
        let samples = narrow_samples(&profile.name);
        let narrow: usize = samples.iter().map(|sample| check(&device, sample, &profile)).sum();
        assert!(narrow > samples.len(), "{} of {} samples on {}", narrow, samples.len(), profile.name);
    }
}

/// The gradients of every network of `models/` from one batch, on the processor and on an adapter: the same programs with
/// the same first weights and random numbers.
#[test]
fn the_processor_and_an_adapter_agree_on_every_model() {
    let Some(adapter) = device() else { return };
    let folder = nnc_tests::workspace::root().join("models");
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut paths: Vec<std::path::PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "nn"));
    paths.sort();
    assert!(paths.len() > 5, "{paths:?}");
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("the model can be read");
        let name = path.display().to_string();
        let bundle = nnc::elaborate::load(&name, &text, &[], &nnc::source::NoFiles);
        let request =
            nnc::Request { batch: Some(2), ..nnc::Request::new(named("lavapipe"), &[Role::Gradient]) };
        let compiled = nnc::compile(&std::sync::Arc::new(bundle.value), &request);
        let artifact = compiled.value.expect("the model compiles").artifact;
        let batch = drawn(&artifact);
        let gradients = |device: &Device| {
            let mut session = open(&artifact, device, 3).expect("the artifact opens");
            session.run(Role::Gradient, &batch, &Clock::single(3, 2)).expect("the step runs").tensors()
        };
        for (one, other) in gradients(&processor(2)).iter().zip(gradients(&adapter)) {
            let (one_values, other_values) = (one.values(), other.values());
            let length =
                |of: &mut dyn Iterator<Item = f64>| of.map(|value| value * value).sum::<f64>().sqrt();
            let apart = length(&mut one_values.iter().zip(&other_values).map(|(a, b)| a - b));
            let whole = length(&mut other_values.iter().copied());
            assert!(apart <= 2e-2 * whole + 1e-6, "{name}: `{}` is {apart} off, of {whole}", one.path);
        }
    }
}

/// A batch of numbers that the data could hold.
fn drawn(artifact: &Artifact) -> Batch {
    let program = artifact.program(Role::Gradient).expect("the program was built");
    let mut batch = Batch::new(program);
    for (place, port) in (0u32..).zip(&program.inputs) {
        let field = artifact.training.iter().flat_map(|t| &t.data.fields).find(|f| f.name == port.name);
        let (low, high) = field.and_then(|field| field.range).unwrap_or((0, 1));
        let number = |k: u32| {
            let unit = f64::from(nnc_wgsl::random_uniform(1, 0, place, k));
            match port.element {
                nnc_wgsl::Element::I32 => low as f64 + (unit * (high - low) as f64).floor(),
                nnc_wgsl::Element::U8 => (unit * 256.0).floor(),
                nnc_wgsl::Element::Bool => (unit * 2.0).floor(),
                // Some losses take numbers between 0 and 1 alone.
                nnc_wgsl::Element::F32 | nnc_wgsl::Element::F16 => unit,
            }
        };
        let size: usize = port.shape.iter().product();
        let values = (0..u32::try_from(size).expect("small")).map(number).collect();
        let mut bytes = encode(&Tensor::new(port.shape.clone(), values), port.element);
        bytes.resize(port.element.bytes(size), 0);
        batch.set(&port.name, &bytes).expect("the input fits");
    }
    batch
}

/// A step is divided by what it computes, not by who computes it.
#[test]
fn the_processor_computes_the_same_bytes_with_any_number_of_threads() {
    let profile = named("cpu");
    for sample in samples("cpu") {
        let (_, artifact) = artifact_of(sample.graph.clone(), Role::Infer, &profile);
        let mut batch = Batch::new(artifact.program(Role::Infer).expect("the program was built"));
        for port in &artifact.programs[0].inputs {
            batch.set(&port.name, &encode(&sample.inputs[&port.name], port.element)).expect("the input fits");
        }
        let run = |threads: usize| {
            let mut session = open(&artifact, &processor(threads), 0).expect("the artifact opens");
            session.run(Role::Infer, &batch, &Clock::single(0, 1)).expect("the program runs").tensors()
        };
        let alone = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == alone, "{} with {threads} threads", sample.name);
        }
    }
}

/// What a step leaves in each stored tensor and region, by path; a region only where no tensor lies in it.
fn left_behind(sample: &Sample) -> BTreeMap<String, Tensor> {
    let graph = &sample.graph;
    let values = evaluate(graph, &sample.environment());
    let mut left: BTreeMap<String, Tensor> =
        sample.stored.iter().map(|(id, value)| (graph.stored[id.0].path.clone(), value.clone())).collect();
    for assignment in &graph.assignments {
        let value = &values[&assignment.value];
        match &graph.node(assignment.target).kind {
            Kind::Source(Source::Stored(id)) => {
                left.insert(graph.stored[id.0].path.clone(), value.clone());
            }
            Kind::Source(Source::Region(name)) => {
                let region = graph.regions.iter().find(|r| r.name == *name).expect("the region exists");
                for (id, offset) in &region.members {
                    let shape = graph.stored[id.0].ty.shape.clone();
                    let size: usize = shape.iter().product();
                    let part = Tensor::new(shape, value.data()[*offset..offset + size].to_vec());
                    left.insert(graph.stored[id.0].path.clone(), part);
                }
                if region.members.is_empty() {
                    left.insert(name.clone(), value.clone());
                }
            }
            other => panic!("{other:?} cannot be assigned"),
        }
    }
    left
}

#[test]
fn a_step_changes_what_outlives_it_as_its_meaning_says() {
    let adapters = PROFILES.into_iter().filter(|name| *name != "cpu");
    let on_gpu =
        device().into_iter().flat_map(|device| adapters.clone().map(move |name| (device.clone(), name)));
    for (device, name) in on_gpu.chain([(processor(2), "cpu")]) {
        let profile = named(name);
        let count = if matches!(name, "lavapipe" | "cpu") { 40 } else { 10 };
        let drawn = (0..count).map(|seed| training(seed, usize::try_from(seed % 12).expect("small")));
        for sample in drawn.chain(trained_siblings()) {
            let (_, artifact) = artifact_of(sample.graph.clone(), Role::Train, &profile);
            let mut session = open(&artifact, &device, 0).unwrap_or_else(|e| panic!("{}: {e}", sample.name));
            let tensors = |sample: &Sample| -> Vec<nnc_runtime::Tensor> {
                let of = |(id, value): (&StoredId, &Tensor)| {
                    let stored = &sample.graph.stored[id.0];
                    nnc_runtime::Tensor {
                        path: stored.path.clone(),
                        element: stored.ty.element,
                        shape: stored.ty.shape.clone(),
                        bytes: encode(value, stored.ty.element),
                    }
                };
                sample.stored.iter().map(of).collect()
            };
            session.write_tensors(&tensors(&sample)).expect("the tensors fit");
            let program = artifact.program(Role::Train).expect("the program was built");
            let mut batch = Batch::new(program);
            for port in &program.inputs {
                batch.set(&port.name, &encode(&sample.inputs[&port.name], port.element)).expect("it fits");
            }
            session.run(Role::Train, &batch, &Clock::single(0, 1)).expect("the program runs");
            let expected = left_behind(&sample);
            for found in session.read_tensors(|_| true).expect("the device answers") {
                let meaning = &expected[&found.path];
                let scale = meaning.data().iter().fold(1.0_f64, |m, v| m.max(v.abs()));
                for (f, e) in found.values().iter().zip(meaning.data()) {
                    let near = (f - e).abs() <= 1e-4 * scale;
                    assert!(near, "{} on {name}: {} is {f}, its meaning {e}", sample.name, found.path);
                }
            }
        }
    }
}

/// Elements of very different size, so that another order of adding gives another sum.
fn uneven(shape: &[usize]) -> Tensor {
    let value =
        |k: usize| f64::from(((k * 7919 + 13) % 1009) as f32 * 10f32.powi((k * 31 % 9) as i32 - 4) - 0.37);
    Tensor::new(shape, (0..shape.iter().product()).map(value).collect())
}

/// Sums of elements by index: the same bytes in every run, with few indices and many elements of each as well.
#[test]
fn elements_added_by_an_index_give_the_same_bytes_again() {
    devices().iter().for_each(added_by_an_index);
}

fn added_by_an_index(device: &Device) {
    for (name, few) in [("spread", 251), ("all at one place", 1), ("at few places", 7)] {
        // Either of the two schedules, and rows of one element and of many.
        for (rows, width) in [(100, 5), (5000, 1), (5000, 12)] {
            let mut graph = nnc::ir::Graph::new();
            let given = |graph: &mut nnc::ir::Graph, name: &str, ty: nnc::ir::TensorType| {
                graph.source(Source::Input { name: name.to_owned(), batched: false }, ty)
            };
            let shape = [rows, width];
            let x = given(&mut graph, "x", nnc::ir::TensorType::f32(shape));
            let i32s = nnc::ir::TensorType::new(nnc_wgsl::Element::I32, shape);
            let index = given(&mut graph, "index", i32s);
            let sums = graph.must(nnc::ops::ScatterAdd::new(0, 251), &[x, index]);
            graph.results.push(("sums".to_owned(), sums));
            let (values, mut places) = (uneven(&shape), Tensor::new(shape, vec![0.0; rows * width]));
            for (k, at) in places.data_mut().iter_mut().enumerate() {
                *at = (k / width * 613 % few) as f64;
            }
            let (_, artifact) = artifact_of(graph, Role::Infer, device.profile());
            let mut batch = Batch::new(artifact.program(Role::Infer).expect("the program was built"));
            batch.set("x", &encode(&values, nnc_wgsl::Element::F32)).expect("the input fits");
            batch.set("index", &encode(&places, nnc_wgsl::Element::I32)).expect("the input fits");
            let mut runs = Vec::new();
            for _ in 0..2 {
                let mut session = open(&artifact, device, 0).expect("the artifact opens");
                for _ in 0..3 {
                    let outputs = session.run(Role::Infer, &batch, &Clock::single(0, 1)).expect("it runs");
                    runs.push(outputs.tensor("sums").expect("the output is there").clone());
                }
            }
            assert!(runs.iter().all(|run| run.bytes == runs[0].bytes), "{name}, {rows} rows of {width}");
            let mut forth = vec![0f32; 251 * width];
            let mut back = forth.clone();
            let at = |k: usize| places.data()[k] as usize * width + k % width;
            (0..rows * width).for_each(|k| forth[at(k)] += values.data()[k] as f32);
            (0..rows * width).rev().for_each(|k| back[at(k)] += values.data()[k] as f32);
            assert!(rows < 1000 || forth != back, "{name}: the order of these elements does not matter");
            let bytes: Vec<u8> = forth.iter().flat_map(|sum| sum.to_le_bytes()).collect();
            assert_eq!(
                runs[0].bytes, bytes,
                "{name}, {rows} rows of {width}: added in the order of the rows"
            );
        }
    }
}

/// What the laws say of kernels whose values share a binding, they say of some.
#[test]
fn some_samples_share_bindings_where_a_kernel_has_few() {
    let profile = Profile::named("webgpu-default").expect("the profile exists");
    let shares = |sample: &Sample| {
        let (_, artifact) = artifact_of(sample.graph.clone(), Role::Infer, &profile);
        artifact.kernels.iter().any(|kernel| kernel.params.iter().any(|name| name.ends_with("_begin")))
    };
    let (cells, all) =
        (cells().iter().any(&shares), samples(&profile.name).iter().filter(|one| shares(one)).count());
    assert!(cells && all > 3, "{all} samples share bindings, recurrent cells: {cells}");
}

/// The areas of the arenas that a dispatch touches.
fn touched(artifact: &Artifact, dispatch: usize) -> Vec<Area> {
    let bindings = artifact.programs[0].dispatches[dispatch].bindings.iter();
    let areas = bindings.filter_map(|b| match b {
        Bound::Area(area) => Some(*area),
        Bound::Host => None,
    });
    areas.filter(|area| matches!(area.buffer, Buffer::Arena(_) | Buffer::Output)).collect()
}

fn overlap(a: Area, b: Area) -> bool {
    a.buffer == b.buffer && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
}

/// For each value with memory of its own the first and last stage that touches it or a part of it, found from the
/// stages alone.
fn lifetimes(built: &Built) -> Vec<(nnc::ir::NodeId, Area, usize, usize)> {
    let mut found: Vec<(nnc::ir::NodeId, Area, usize, usize)> = Vec::new();
    for (number, stage) in built.lowered.stages.iter().enumerate() {
        let reads = stage.work.iter().flat_map(|w| w.reads.iter().flatten().copied());
        for id in reads.chain(stage.work.iter().flat_map(|w| w.into.iter().copied())) {
            let id = built.lowered.homes.root(id);
            let area = built.plan.areas[&id];
            match found.iter_mut().find(|(known, ..)| *known == id) {
                Some(entry) => entry.3 = number,
                None => found.push((id, area, number, number)),
            }
        }
    }
    for (id, area, _, last) in &mut found {
        let leaves = area.buffer == Buffer::Output || built.graph.is_output(*id);
        if leaves {
            *last = built.lowered.stages.len();
        }
    }
    found
}

#[test]
fn values_alive_together_do_not_overlap() {
    for name in PROFILES {
        let profile = Profile::named(name).expect("the profile exists");
        let inferred = samples(name).into_iter().map(|sample| (sample, Role::Infer));
        let trained =
            (0..60).map(|seed| (training(seed, usize::try_from(seed % 12).expect("small")), Role::Train));
        for (sample, role) in inferred.chain(trained) {
            let (built, artifact) = match role {
                Role::Train => artifact_within(sample.graph.clone(), 0, &profile),
                _ => artifact_of(sample.graph.clone(), role, &profile),
            };
            let values = lifetimes(&built);
            let sources = |id: nnc::ir::NodeId| built.graph.operator(id).is_none();
            for before in values.iter().filter(|v| sources(v.0)) {
                for after in values.iter().filter(|v| !sources(v.0) && overlap(before.1, v.1)) {
                    assert!(
                        before.3 <= after.2,
                        "{} on {name}: {after:?} replaces {before:?}, which is read later",
                        sample.name
                    );
                }
            }
            for (i, a) in values.iter().enumerate() {
                for b in &values[..i] {
                    let part = |x: nnc::ir::NodeId, y: nnc::ir::NodeId| {
                        built.lowered.parts.get(&x).is_some_and(|(pack, _)| *pack == y)
                    };
                    if sources(a.0) || sources(b.0) || part(a.0, b.0) || part(b.0, a.0) {
                        continue;
                    }
                    // A value may begin in the stage in which the operand whose memory it takes ends.
                    let taken = built.plan.in_place.get(&a.0) == Some(&b.0)
                        || built.plan.in_place.get(&b.0) == Some(&a.0);
                    let together = if taken { a.2 < b.3 && b.2 < a.3 } else { a.2 <= b.3 && b.2 <= a.3 };
                    assert!(
                        !(together && overlap(a.1, b.1)),
                        "{} on {name}: {:?} and {:?} are alive together and overlap",
                        sample.name,
                        a,
                        b
                    );
                }
            }
            for dispatch in 0..artifact.programs[0].dispatches.len() {
                for area in touched(&artifact, dispatch) {
                    let size = match area.buffer {
                        Buffer::Arena(k) => artifact.programs[0].arenas[k],
                        _ => artifact.programs[0].output_bytes,
                    };
                    assert!(area.offset + area.bytes <= size, "{}: {area:?} of {size} bytes", sample.name);
                }
            }
        }
    }
}

/// The elements of its memory that a value takes, at each of its places.
fn elements(layout: &nnc::lower::Layout) -> BTreeSet<i64> {
    let mut places = BTreeSet::from([layout.offset]);
    for (&extent, &stride) in layout.shape.iter().zip(&layout.strides) {
        let steps = (0..i64::try_from(extent).expect("small")).map(|step| step * stride);
        places = steps.flat_map(|step| places.iter().map(move |at| at + step)).collect();
    }
    places
}

#[test]
fn parts_written_in_place_fill_their_whole_and_do_not_overlap() {
    let mut found = 0;
    for name in PROFILES {
        let profile = Profile::named(name).expect("the profile exists");
        for sample in samples(name) {
            let (built, _) = artifact_of(sample.graph.clone(), Role::Infer, &profile);
            let homes = &built.lowered.homes;
            let mut taken: BTreeMap<(nnc::ir::NodeId, i64), nnc::ir::NodeId> = BTreeMap::new();
            let parts: BTreeSet<nnc::ir::NodeId> = homes.parts().map(|(part, _)| part).collect();
            let is_whole = |id: nnc::ir::NodeId| homes.parts().any(|(_, whole)| whole == id);
            for part in parts.into_iter().filter(|part| !is_whole(*part)) {
                let size = built.graph.ty(part).size();
                for place in homes.places(&built.graph, part) {
                    let elements = elements(&place);
                    assert_eq!(elements.len(), size, "{}: {place:?} holds every element once", sample.name);
                    let whole = i64::try_from(built.graph.ty(place.base).size()).expect("small");
                    for at in elements {
                        assert!((0..whole).contains(&at), "{}: {place:?} leaves its whole", sample.name);
                        let other = taken.insert((place.base, at), part);
                        assert!(other.is_none(), "{}: {other:?} lies where {part:?} does", sample.name);
                    }
                    found += 1;
                }
            }
        }
    }
    assert!(found > 100, "only {found} parts were written in place");
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    let profile = Profile::named("nvidia-hopper").expect("the profile exists");
    for seed in 0..20 {
        let once = artifact_of(random(seed, 12).graph, Role::Infer, &profile).1;
        let again = artifact_of(random(seed, 12).graph, Role::Infer, &profile).1;
        assert_eq!(nnc_runtime::format::write(&once), nnc_runtime::format::write(&again), "seed {seed}");
    }
}

#[test]
fn every_kernel_is_accepted_and_translates() {
    use nnc_wgsl::{Target, translate, validate};
    for name in PROFILES {
        let profile = Profile::named(name).expect("the profile exists");
        for sample in samples(name).into_iter().chain(narrow_samples(name)) {
            let (_, artifact) = artifact_of(sample.graph.clone(), Role::Infer, &profile);
            for kernel in &artifact.kernels {
                validate(kernel).unwrap_or_else(|e| panic!("{}: {e}\n{}", sample.name, kernel.wgsl));
                for target in [Target::Msl, Target::Spirv, Target::Hlsl] {
                    translate(kernel, target).unwrap_or_else(|e| panic!("{}: {target:?}: {e}", sample.name));
                }
            }
        }
    }
}
