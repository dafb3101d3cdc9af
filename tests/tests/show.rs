//! `nnc show`: the layer table adds up, and pictures can be read.

use std::fs;

use nnc_tests::command::{nnc, succeed};
use nnc_tests::workspace;
use serde_json::Value;

/// What `nnc show --json` prints.
fn shown(arguments: &[&str]) -> Vec<Value> {
    let output = succeed(nnc(&[&["show", "--json"], arguments].concat()));
    let lines = String::from_utf8(output.stdout).expect("output is text");
    lines.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} of {value} is a number"))
}

/// A model's file with this text.
fn model(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("model.nn");
    fs::write(&path, text).expect("a file can be written");
    let path = path.to_string_lossy().into_owned();
    (folder, path)
}

#[test]
fn networks_have_as_many_weights_as_the_papers_say() {
    let wanted = [("resnet18.nn", 11_689_512), ("inception_v3.nn", 27_161_264), ("tiny_yolo.nn", 15_861_773)];
    let folder = tempfile::tempdir().expect("a folder can be made");
    let examples = workspace::root().join("tests/examples");
    for (name, weights) in wanted {
        let text = fs::read_to_string(examples.join(name)).expect("an example is text");
        let unmeasured = |line: &&str| !line.contains("mean_average_precision") && !line.contains("test.map");
        let text: Vec<&str> = text.lines().filter(unmeasured).collect();
        fs::write(folder.path().join(name), text.join("\n")).expect("a file can be written");
        fs::copy(examples.join("blocks.nn"), folder.path().join("blocks.nn")).expect("a file can be copied");
        let lines = shown(&[&folder.path().join(name).to_string_lossy()]);
        let (sums, layers) = lines.split_last().expect("there are sums");
        assert_eq!(number(sums, "weights"), weights, "{name}");
        assert_eq!(layers.iter().map(|layer| number(layer, "weights")).sum::<u64>(), weights, "{name}");
        let used = layers.iter().filter(|layer| layer["training_only"] == false);
        assert_eq!(used.map(|layer| number(layer, "bytes")).sum::<u64>(), number(sums, "bytes"), "{name}");
    }
}

#[test]
fn operations_of_layers_are_those_of_their_formulas() {
    let (_folder, path) = model(
        "model M(x: f32[N, 4, 10, 10]) -> y: f32[N, 3] {\n  x -> conv(8, 3) -> max_pool(2) -> flatten -> linear(3, bias=false)\n}\n",
    );
    let lines = shown(&[&path]);
    let flops: Vec<u64> = lines.iter().map(|line| number(line, "flops")).collect();
    let conv = 8 * 8 * 8 * (2 * 4 * 9 + 1);
    let pool = 8 * 4 * 4 * 4;
    let linear = 2 * 3 * 8 * 4 * 4;
    assert_eq!(flops, [conv, pool, 0, linear, conv + pool + linear]);
    let bytes: Vec<u64> = lines.iter().map(|line| number(line, "bytes")).collect();
    assert_eq!(bytes[..4], [4 * 512, 4 * 128, 4 * 128, 4 * 3]);
    let weights: Vec<u64> = lines.iter().map(|line| number(line, "weights")).collect();
    assert_eq!(weights, [8 * 4 * 9 + 8, 0, 0, 384, 296 + 384]);
}

#[test]
fn weights_without_a_layer_have_a_line() {
    let (_folder, path) =
        model("model M(x: f32[N, 4]) {\n  weight gain: f32[4] = ones\n  x * gain -> linear(2)\n}\n");
    let lines = shown(&[&path]);
    let gain = lines.iter().find(|line| line["name"] == "gain").expect("the weight has a line");
    assert_eq!((number(gain, "weights"), gain["operation"].as_str()), (4, Some("weight")));
    assert_eq!(number(&lines[lines.len() - 1], "weights"), 4 + 10);
}

/// Left, top, width and height of the boxes of an image.
fn boxes(svg: &str) -> Vec<[f64; 4]> {
    let value = |line: &str, key: &str| -> f64 {
        let rest = line.split(&format!(" {key}=\"")).nth(1).expect("the attribute is there");
        rest.split('"').next().and_then(|text| text.parse().ok()).expect("it is a number")
    };
    let lines = svg.lines().filter(|line| line.contains("<rect class="));
    lines.map(|line| ["x", "y", "width", "height"].map(|key| value(line, key))).collect()
}

#[test]
fn boxes_of_a_picture_lie_inside_it_and_apart() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (name, count) in [("resnet18", 40), ("inception_v3", 120), ("unet", 20), ("gan", 4)] {
        let out = folder.path().join(format!("{name}.svg"));
        let example = format!("tests/examples/{name}.nn");
        let _ = succeed(nnc(&["show", &example, "--graph", &out.to_string_lossy()]));
        let svg = fs::read_to_string(&out).expect("the picture is text");
        let size = svg.split("viewBox=\"0 0 ").nth(1).and_then(|rest| rest.split('"').next());
        let size: Vec<f64> =
            size.expect("it has a size").split(' ').map(|n| n.parse().expect("a number")).collect();
        let boxes = boxes(&svg);
        assert!(boxes.len() >= count, "{name} has {} boxes", boxes.len());
        for (place, [x, y, width, height]) in boxes.iter().enumerate() {
            assert!(*x >= 0.0 && x + width <= size[0] && *y >= 0.0 && y + height <= size[1], "{name}");
            for [left, top, wide, high] in &boxes[..place] {
                let apart = x + width < *left || left + wide < *x || y + height < *top || top + high < *y;
                assert!(apart, "{name}: boxes at {x}, {y} and {left}, {top} overlap");
            }
        }
        assert_eq!(svg.matches("<path class=\"edge\"").count(), arrows(&example), "{name}");
    }
}

/// The arrows of the same picture for Graphviz.
fn arrows(example: &str) -> usize {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let out = folder.path().join("model.dot");
    let _ = succeed(nnc(&["show", example, "--graph", &out.to_string_lossy()]));
    fs::read_to_string(&out).expect("the picture is text").matches(" -> ").count()
}

#[test]
fn a_fork_is_drawn_from_its_input_to_its_join() {
    let (folder, path) = model(
        "model M(x: f32[N, 8, 4, 4]) -> y: f32[N, 8, 4, 4] {\n  x -> add { conv(8, 3, pad=1) -> batch_norm; identity } -> relu\n}\n",
    );
    let out = folder.path().join("model.dot");
    let _ = succeed(nnc(&["show", &path, "--graph", &out.to_string_lossy()]));
    let dot = fs::read_to_string(&out).expect("the picture is text");
    let label = |number: &str| {
        let line = dot
            .lines()
            .find(|line| line.starts_with(&format!("  {number} [label=")))
            .expect("it has a label");
        line.split('"').nth(1).and_then(|label| label.split("\\n").next()).expect("it is quoted").to_owned()
    };
    let mut edges: Vec<(String, String)> = dot
        .lines()
        .filter_map(|line| line.trim().split_once(" -> "))
        .map(|(from, to)| (label(from), label(to)))
        .collect();
    edges.sort();
    let wanted = [
        ("add { .. }", "relu"),
        ("batch_norm", "add { .. }"),
        ("conv(8, 3, pad=1)", "batch_norm"),
        ("relu", "y"),
        ("x", "add { .. }"),
        ("x", "conv(8, 3, pad=1)"),
    ];
    assert_eq!(edges, wanted.map(|(from, to)| (from.to_owned(), to.to_owned())));
}

#[test]
fn a_definition_of_the_library_is_printed_with_its_doc() {
    let output = succeed(nnc(&["show", "--std", "conv_bn"]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("## Convolution, batch norm, activation."), "{text}");
    assert!(text.contains("block conv_bn(x: f32[N, C, H, W]") && text.trim_end().ends_with('}'), "{text}");
    let unknown = nnc(&["show", "--std", "conv_b"]).output().expect("it runs");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `conv_bn`?"));
}

#[test]
fn calls_in_formulas_are_layers_as_stages_are() {
    let (_folder, path) = model(
        "block half(x: f32[N, C]) { relu(linear(x, C)) * 0.5 }\n\nmodel M(x: f32[N, 4]) -> y: f32[N, 3] {\n  \
         relu(linear(x, 8)) -> half -> linear(3)\n}\n",
    );
    let lines = shown(&[&path]);
    let (sums, layers) = lines.split_last().expect("there are sums");
    let row = |layer: &Value| {
        let text = |key: &str| layer[key].as_str().expect("a text").to_owned();
        (
            text("operation"),
            text("output"),
            number(layer, "weights"),
            number(layer, "flops"),
            number(layer, "bytes"),
        )
    };
    let row_of = |operation: &str, output: &str, weights, flops, bytes| {
        (operation.to_owned(), output.to_owned(), weights, flops, bytes)
    };
    let rows: Vec<_> = layers.iter().map(row).collect();
    let wanted = [
        row_of("linear(x, 8)", "f32[N, 8]", 40, 72, 32),
        row_of("relu(linear(x, 8))", "f32[N, 8]", 0, 8, 32),
        row_of("linear(x, C)", "f32[N, 8]", 72, 136, 32),
        row_of("relu(linear(x, C))", "f32[N, 8]", 0, 8, 32),
        row_of("linear(3)", "f32[N, 3]", 27, 51, 12),
    ];
    assert_eq!(rows, wanted);
    assert_eq!(number(sums, "bytes"), 140);
}
