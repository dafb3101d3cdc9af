//! Networks of any length, as text: what a long model costs to read is measured on them.

use std::fmt::Write as _;

/// The layers of one turn of the body: convolutions with their normalizations, a residual connection, an activation.
const TURN: [&str; 5] = [
    "conv(16, 3, pad=1, bias=false) -> batch_norm -> relu",
    "add { conv(16, 3, pad=1, bias=false) -> batch_norm; identity } -> relu",
    "conv(16, 1) -> relu",
    "conv(16, 3, pad=1) -> batch_norm -> silu",
    "dropout(0.1) -> conv(16, 3, pad=1)",
];

/// The layers of a turn: its stages, branches included.
const TURN_LAYERS: usize = 15;

/// The layers that end every network.
const END_LAYERS: usize = 5;

/// A classifier of small images with about `layers` layers written one after the other, with data and training.
///
/// Its lines are as long as people write them, a few stages each, in blocks of 300 layers: a long model is written
/// in parts.
#[must_use]
pub fn long_model(layers: usize) -> String {
    let turns = layers.saturating_sub(END_LAYERS).div_ceil(TURN_LAYERS);
    let mut text = String::new();
    let mut parts = 0;
    for first in (0..turns).step_by(20) {
        let _ = writeln!(text, "block part_{parts}(x: f32[N, C, H, W]) {{\n  x");
        for _ in first..turns.min(first + 20) {
            for line in TURN {
                let _ = writeln!(text, "    -> {line}");
            }
        }
        text += "}\n\n";
        parts += 1;
    }
    text +=
        "model Long(image: f32[N, 3, 8, 8]) -> logits: f32[N, 10] {\n  image\n    -> conv(16, 3, pad=1)\n";
    for part in 0..parts {
        let _ = writeln!(text, "    -> part_{part}");
    }
    text += "    -> global_avg_pool -> linear(64) -> relu -> linear(10)\n}\n\n";
    text += "\
data images {
  image: f32[3, 8, 8]
  label: i32 in 0..10
  train = idx(\"images\", \"labels\")
}

train Long on images {
  batch     = 32
  epochs    = 10
  loss      = cross_entropy(logits, label)
  optimizer = sgd(lr=0.1, momentum=0.9)
}
";
    text
}
