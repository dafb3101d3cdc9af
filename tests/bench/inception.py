#!/usr/bin/env python3
"""Inception v3 without its auxiliary head, on drawn images: the text of the model, and its data.

    tests/bench/inception.py FOLDER      writes FOLDER/{inception.nn,blocks.nn,images.safetensors}

The network is that of tests/examples/inception_v3.nn. 64 images of noise with drawn labels, batch 32, no clipping: what
the figures of memory and time need, and PyTorch's side of them has.
"""

import json
import pathlib
import random
import re
import struct
import sys

here = pathlib.Path(__file__).resolve().parent.parent / "examples"
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)

text = (here / "inception_v3.nn").read_text()
text = text.replace("(logits: f32[N, 1000], @training aux: f32[N, 1000])", "(logits: f32[N, 1000])")
text = re.sub(r"\n  aux = middle.*\n", "\n", text)
text = text.replace("  logits, aux\n", "  logits\n").replace(" as middle", "")
text = text.replace(" + 0.3 * cross_entropy(aux, label, smooth=0.1)", "").replace("  precision = mixed\n", "")
text = re.sub(r'  train = images.*\n  test  = images.*\n', '  train = safetensors("images.safetensors")\n', text)
text = re.sub(r"  prepare \{.*\}\n  augment \{.*\}\n", "", text)
text = re.sub(r"  epochs .*\n", "  steps = 8\n", text)
text = re.sub(r"  metrics .*\n  save .*\n", "", text)
text = re.sub(r"optimizer = rmsprop.*\n  clip .*\n", "optimizer = adam(lr=1e-4)\n", text)
(folder / "inception.nn").write_text(text)
(folder / "blocks.nn").write_text((here / "blocks.nn").read_text())

count, pixels = 64, 3 * 299 * 299
draw = random.Random(7)
images = struct.pack(f"<{pixels}f", *(draw.uniform(-1, 1) for _ in range(pixels)))
labels = struct.pack(f"<{count}i", *(draw.randrange(1000) for _ in range(count)))
header = {
    "image": {"dtype": "F32", "shape": [count, 3, 299, 299], "data_offsets": [0, count * len(images)]},
    "label": {
        "dtype": "I32",
        "shape": [count],
        "data_offsets": [count * len(images), count * len(images) + len(labels)],
    },
}
head = json.dumps(header).encode()
head += b" " * (-len(head) % 8)
with open(folder / "images.safetensors", "wb") as out:
    out.write(struct.pack("<Q", len(head)) + head)
    # Each image is the same noise, turned by its number, so that no two are equal.
    for number in range(count):
        at = 4 * 4099 * number
        out.write(images[at:] + images[:at])
    out.write(labels)
