#!/usr/bin/env python3
"""Dispatches of a training step by the line that asks for them, beside the fewest that this design could do with.

    tests/bench/dispatches.py NNC

Each thing stands on a line of its own; a dispatch counts for the line that its first operation comes from. What a
neighbour's kernel does on the way counts for nobody. No device is needed: the plans are those of the named profiles.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

PROFILES = ["nvidia-hopper", "webgpu-default"]

MODEL = """model M(x: f32[N, {shape}]) -> y: f32[N, 10] {{
  x
    -> {before}
    -> {layer}
    -> {after}
}}
data d {{
  x:     f32[{shape}]
  label: i32 in 0..10
  train = safetensors("d.safetensors")
}}
train M on d {{
  batch     = 64
  epochs    = 1
  loss      = cross_entropy(y, label)
  optimizer = adam(lr=1e-3)
}}
use "std/attention.nn"
fn looked(x) {{
  h = x -> heads_first(4)
  attend(h, h, h, true) -> rearrange("n h t d -> n t (h d)")
}}
"""
LAYER, LOSS, OPTIMIZER = 4, 15, 16

# (what, shape, before, layer, after, lines, fewest, why)
ROWS = [
    ("cross entropy and Adam", "1024", "identity", "identity", "linear(10)", [LOSS, OPTIMIZER], 4,
     "a row's loss, softmax and gradient; mean over the batch; guard over all gradients; all weights"),
    ("layer norm", "64", "linear(64)", "layer_norm", "linear(10)", [LAYER], 3,
     "a row's statistics and values; a row's gradient; both weights' gradients over the batch"),
    ("batch norm and relu", "8, 16, 16", "conv(16, 3, pad=1)", "batch_norm -> relu", "conv(10, 16) -> flatten", [LAYER], 3,
     "a channel's statistics and values; relu's slope on the next convolution's gradient; a channel's gradient"),
    ("causal attention", "50, 64", "linear(64)", "looked", "mean(axis=1) -> linear(10)", [LAYER, 20, 21], 4,
     "rows of queries; their gradient; rows of keys, for keys and values; the sum of the three"),
]
STEPS = (20, 40)

# (what, layer, fewest, why): of a walk, each step
WALKS = [
    ("LSTM", "lstm(32)", 2, "product and cell, and their gradient"),
    ("GRU", "gru(32)", 2, "the same"),
    ("GRU, reset before", "gru(32, reset_after=false)", 4, "the second product needs the first; the same backwards"),
    ("MGU", "mgu(32)", 4, "the same"),
    ("LSTM, projected", "lstm(32, project=8)", 4, "the projection needs the cell; the same backwards"),
    ("LSTM, cut each 5th", "lstm(32, truncate=5)", 2, "as the LSTM"),
]


def dispatches(nnc, text, profile):
    """The places of all dispatches of the training step, `line:column`."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "m.nn"
        model.write_text(text)
        dump = [nnc, "dump", "kernels", model, "--role", "train", "--target", profile]
        table = subprocess.run(dump, check=True, capture_output=True, text=True).stdout.splitlines()[1:]
    return [line.rsplit("m.nn:", 1)[-1] if "m.nn:" in line else "" for line in table]


def main():
    nnc = sys.argv[1]
    print(f"{'':24}{'  '.join(PROFILES):>32}  fewest")
    for what, shape, before, layer, after, lines, fewest, why in ROWS:
        text = MODEL.format(shape=shape, before=before, layer=layer, after=after)
        heads = tuple(f"{line}:" for line in lines)
        counts = [sum(place.startswith(heads) for place in dispatches(nnc, text, p)) for p in PROFILES]
        print(f"{what:24}{counts[0]:>16}{counts[1]:>16}{fewest:>8}  {why}")
    for what, layer, fewest, why in WALKS:
        counts = []
        for profile in PROFILES:
            texts = [MODEL.format(shape=f"{steps}, 6", before="identity", layer=f"{layer} -> last", after="linear(10)")
                     for steps in STEPS]
            few, many = (len(dispatches(nnc, text, profile)) for text in texts)
            counts.append((many - few) / (STEPS[1] - STEPS[0]))
        print(f"{what + ', a step':24}{counts[0]:>16.1f}{counts[1]:>16.1f}{fewest:>8}  {why}")


main()
