#!/usr/bin/env python3
"""Writes the names and shapes of torchvision's weights, one `name shape` a line, for the tests to compare with.

    tests/torchvision/names.py FOLDER
"""

import pathlib
import sys

import torch
import torchvision

MODELS = {
    "resnet18": lambda: torchvision.models.resnet18(weights=None),
    "inception_v3": lambda: torchvision.models.inception_v3(weights=None, aux_logits=True, init_weights=False),
}

for name, make in MODELS.items():
    state = make().state_dict()
    lines = [f"# torchvision {torchvision.__version__}, torch {torch.__version__}: {name}"]
    lines += [f"{key} {'x'.join(map(str, value.shape))}" for key, value in state.items()]
    pathlib.Path(sys.argv[1], f"{name}.txt").write_text("\n".join(lines) + "\n")
