#!/usr/bin/env python3
"""ResNet-18 for images of 224 x 224: the text of the model, to be measured with drawn inputs.

    tests/bench/resnet.py FOLDER      writes FOLDER/{resnet.nn,blocks.nn}

The network is that of tests/examples/resnet18.nn, with batch 128, Adam and no augmentation: what PyTorch's side of the
figures has. There is no data: `nnc bench` draws its inputs.
"""

import pathlib
import re
import sys

here = pathlib.Path(__file__).resolve().parent.parent / "examples"
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)

text = (here / "resnet18.nn").read_text()
text = re.sub(r'  train = images.*\n  test  = images.*\n', '  train = safetensors("images.safetensors")\n', text)
text = re.sub(r"  prepare \{.*?\n  \}\n  augment \{[^\n]*\n", "", text, flags=re.S)
text = re.sub(r"  batch .*\n  epochs .*\n", "  batch = 128\n  steps = 8\n", text)
text = re.sub(r"  precision .*\n", "", text)
text = re.sub(r"optimizer = .*\n", "optimizer = adam(lr=1e-4)\n", text)
text = re.sub(r"  metrics \{.*?\n  \}\n", "", text, flags=re.S)
text = re.sub(r"  (save|stop) .*\n", "", text)
(folder / "resnet.nn").write_text(text)
(folder / "blocks.nn").write_text((here / "blocks.nn").read_text())
