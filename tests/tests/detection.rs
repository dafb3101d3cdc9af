//! The mean average precision of the library against one that sorts, over boxes drawn at random.

use std::collections::BTreeMap;
use std::sync::Arc;

use nnc::diagnostic::{Colour, render_all};
use nnc::elaborate::{Expansion, Request, elaborate, load};
use nnc::ir::{Environment, StoredId, Tensor, evaluate};
use nnc::source::NoFiles;
use nnc_runtime::artifact::HostSymbol;
use nnc_tests::graphs::Draw;

const N: usize = 3;
const SIDE: usize = 2;
const CLASSES: usize = 2;
const ANCHORS: [(f64, f64); 2] = [(1.0, 1.5), (1.5, 0.75)];
const CELLS: usize = ANCHORS.len() * SIDE * SIDE;
const FIELDS: usize = 5 + CLASSES;

const MODEL: &str = "
const anchors = [(1.0, 1.5), (1.5, 0.75)]
model M(grid: f32[N, 14, 2, 2]) -> out: f32[N, 14, 2, 2] {
  weight w: f32[1] = ones
  grid * w
}
data d {
  grid:  f32[14, 2, 2]
  truth: f32[2, 2, 2, 7]
  train = safetensors(\"d\")
}
train M on d {
  batch = 3
  epochs = 1
  loss = mean(out)
  optimizer = sgd
  metrics { map = mean_average_precision(out, truth, anchors, iou=0.3, suppress=0.6) }
}
";

/// A box of an image: left, top, right, bottom, what it is and how certain that is.
#[derive(Clone, Copy, Debug)]
struct Found {
    corners: [f64; 4],
    class: usize,
    certain: f64,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn corners(cell: usize, x: f64, y: f64, w: f64, h: f64) -> [f64; 4] {
    let (anchor, row, column) = (cell / (SIDE * SIDE), cell / SIDE % SIDE, cell % SIDE);
    let (x, y) = (x + column as f64, y + row as f64);
    let (w, h) = (w.exp() * ANCHORS[anchor].0 / 2.0, h.exp() * ANCHORS[anchor].1 / 2.0);
    [x - w, y - h, x + w, y + h]
}

fn covered(a: [f64; 4], b: [f64; 4]) -> f64 {
    let side = |k: usize| (a[k + 2].min(b[k + 2]) - a[k].max(b[k])).max(0.0);
    let area = |c: [f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both)
}

/// The area under the best precision at each recall, of detections in the order of their certainty.
fn average_precision(mut said: Vec<(f64, bool)>, count: usize) -> f64 {
    said.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut points = Vec::new();
    let mut hits = 0.0;
    for (place, (_, right)) in said.iter().enumerate() {
        hits += f64::from(u8::from(*right));
        points.push((hits / count as f64, hits / (place + 1) as f64));
    }
    let (mut area, mut before) = (0.0, 0.0);
    for (place, (recall, _)) in points.iter().enumerate() {
        let best = points[place..].iter().fold(0.0_f64, |best, (_, precision)| best.max(*precision));
        area += (recall - before) * best;
        before = *recall;
    }
    area
}

/// One image: what was found and is not covered by something surer of its class, and which of it is right.
fn judged(found: &[Found], real: &[Found]) -> Vec<(usize, f64, bool)> {
    let surer = |a: &Found, b: &Found| a.class == b.class && a.certain > b.certain;
    let kept: Vec<&Found> = found
        .iter()
        .filter(|one| {
            !found.iter().any(|other| surer(other, one) && covered(one.corners, other.corners) > 0.6)
        })
        .collect();
    let fits = |one: &Found, object: &Found| {
        one.class == object.class && covered(one.corners, object.corners) >= 0.3
    };
    let first = |one: &Found, object: &Found| {
        fits(one, object) && !kept.iter().any(|other| surer(other, one) && fits(other, object))
    };
    kept.iter().map(|one| (one.class, one.certain, real.iter().any(|object| first(one, object)))).collect()
}

/// The numbers of the grid and the truth, and the mean average precision by sorting, of the first `counted` images.
/// Certainties lie further apart than the levels at which they are counted.
fn drawn(seed: u64, counted: usize) -> (Tensor, Tensor, f64) {
    let mut draw = Draw::new(seed);
    let mut ranks: Vec<usize> = (0..N * CELLS).collect();
    for k in (1..ranks.len()).rev() {
        ranks.swap(k, draw.below(k + 1));
    }
    let mut between = |low: f64, high: f64| low + (high - low) * draw.below(100_003) as f64 / 100_003.0;
    let mut grid = Tensor::new([N, 14, SIDE, SIDE], vec![0.0; N * CELLS * FIELDS]);
    let mut truth = Tensor::new([N, ANCHORS.len(), SIDE, SIDE, FIELDS], vec![0.0; N * CELLS * FIELDS]);
    let mut said: Vec<Vec<(f64, bool)>> = vec![Vec::new(); CLASSES];
    let mut count = [0; CLASSES];
    for image in 0..N {
        let (mut found, mut real) = (Vec::new(), Vec::new());
        for cell in 0..CELLS {
            let logits = [between(-2.0, 2.0), between(-2.0, 2.0), between(-0.4, 0.4), between(-0.4, 0.4)];
            let (a, b) = (between(-2.0, 2.0), between(-2.0, 2.0));
            let certain = (ranks[image * CELLS + cell] + 1) as f64 / 52.0;
            let present = certain / sigmoid((b - a).abs());
            let conf = (present / (1.0 - present)).ln();
            let own = [logits[0], logits[1], logits[2], logits[3], conf, a, b];
            let (anchor, place) = (cell / (SIDE * SIDE), cell % (SIDE * SIDE));
            for (k, value) in own.iter().enumerate() {
                grid.data_mut()[(image * 14 + anchor * FIELDS + k) * SIDE * SIDE + place] = *value;
            }
            let (x, y) = (sigmoid(logits[0]), sigmoid(logits[1]));
            let class = usize::from(b > a);
            found.push(Found { corners: corners(cell, x, y, logits[2], logits[3]), class, certain });
            if between(0.0, 1.0) < 0.6 {
                let (x, y) = (between(0.0, 1.0), between(0.0, 1.0));
                let (w, h) = (between(-0.4, 0.4), between(-0.4, 0.4));
                let class = usize::from(between(0.0, 1.0) < 0.5);
                let kinds = [f64::from(u8::from(class == 0)), f64::from(u8::from(class == 1))];
                let start = (image * CELLS + cell) * FIELDS;
                let values = [x, y, w, h, 1.0, kinds[0], kinds[1]];
                truth.data_mut()[start..start + FIELDS].copy_from_slice(&values);
                real.push(Found { corners: corners(cell, x, y, w, h), class, certain: 1.0 });
                count[class] += usize::from(image < counted);
            }
        }
        for (class, certain, right) in judged(&found, &real).into_iter().filter(|_| image < counted) {
            said[class].push((certain, right));
        }
    }
    let known: Vec<usize> = (0..CLASSES).filter(|class| count[*class] > 0).collect();
    let areas = known.iter().map(|class| average_precision(said[*class].clone(), count[*class]));
    let mean = areas.sum::<f64>() / known.len().max(1) as f64;
    (grid, truth, mean)
}

/// The metric's value by the meaning of its graph, in an evaluation that counts `examples` of the batch.
fn measured(grid: &Tensor, truth: &Tensor, examples: usize) -> f64 {
    let loaded = load("model.nn", MODEL, &[], &NoFiles);
    let bundle = Arc::new(loaded.value);
    let checked = elaborate(&bundle, &Request::new(Expansion::Evaluation));
    let printed = render_all(&checked.diagnostics, bundle.sources(), Colour::Never);
    let one = checked.value.unwrap_or_else(|| panic!("{printed}"));
    let inputs = [("grid", grid), ("truth", truth)];
    let environment = Environment {
        inputs: inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())).collect(),
        stored: BTreeMap::from([(StoredId(0), Tensor::new([1], vec![1.0]))]),
        symbols: BTreeMap::from([(HostSymbol::Examples, examples as f64)]),
        ..Environment::default()
    };
    let node = one.graph.results.iter().find(|(name, _)| name == "map").expect("the metric is a result").1;
    evaluate(&one.graph, &environment)[&node].data()[0]
}

#[test]
fn mean_average_precision_is_that_of_a_sorted_list() {
    let mut seen = Vec::new();
    for seed in 0..4 {
        let (grid, truth, wanted) = drawn(seed, N);
        let found = measured(&grid, &truth, N);
        assert!((found - wanted).abs() < 1e-6, "seed {seed}: {found}, by sorting {wanted}");
        seen.push(wanted);
    }
    assert!(seen.iter().any(|value| *value > 0.05 && *value < 0.95), "the draws are trivial: {seen:?}");
}

#[test]
fn images_that_only_fill_a_batch_do_not_count() {
    let (grid, truth, wanted) = drawn(3, 2);
    let found = measured(&grid, &truth, 2);
    assert!((found - wanted).abs() < 1e-6, "{found}, by sorting {wanted}");
    assert!((measured(&grid, &truth, N) - found).abs() > 1e-6, "the third image changes nothing");
}
