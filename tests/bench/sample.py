#!/usr/bin/env python3
"""Text from a trained character model, one request to `nnc run` a character.

    tests/bench/sample.py NNC runs/char_gru/best.safetensors [--start "ROMEO."] [--length 400] [--seed 1] [--warmth 0.8]

from the repository's root, after `nnc train models/char_gru.nn`. The model sees the last 64 characters; the next one is
drawn from what it says of their last place, after its logits were divided by WARMTH.
"""

import argparse
import gzip
import json
import math
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL, TEXT, WINDOW = "models/char_gru.nn", "data/plays/plays.txt.gz", 64


def write(path, numbers):
    """A safetensors file with the input `text`."""
    data = struct.pack(f"<{len(numbers)}i", *numbers)
    described = {"text": {"dtype": "I32", "shape": [1, len(numbers)], "data_offsets": [0, len(data)]}}
    head = json.dumps(described).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


def logits(path, place):
    """The output's numbers at a place of the text."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    described = json.loads(data[8 : 8 + size])["logits"]
    kinds = described["shape"][2]
    begin = 8 + size + described["data_offsets"][0] + 4 * kinds * place
    return struct.unpack(f"<{kinds}f", data[begin : begin + 4 * kinds])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("nnc")
    arguments.add_argument("weights")
    arguments.add_argument("--start", default="ROMEO.")
    arguments.add_argument("--length", type=int, default=400)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--warmth", type=float, default=0.8)
    asked = arguments.parse_args()

    alphabet = sorted(set(gzip.open(TEXT, "rt", encoding="utf-8", newline="").read()))
    number = {character: place for place, character in enumerate(alphabet)}
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        artifact, given, said = (Path(folder) / name for name in ("model.nna", "in.safetensors", "out.safetensors"))
        build = [asked.nnc, "build", MODEL, "--batch", "1", "--weights", asked.weights, "-o", artifact]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        run = [asked.nnc, "run", artifact, "--requests"]
        with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as model:
            text = asked.start
            while len(text) < asked.length:
                seen = [number[character] for character in text[-WINDOW:]]
                write(given, seen + [0] * (WINDOW - len(seen)))
                print(given, said, sep="\t", file=model.stdin, flush=True)
                if not model.stdout.readline():
                    sys.exit("`nnc run` has ended")
                scores = logits(said, len(seen) - 1)
                weights = [math.exp((score - max(scores)) / asked.warmth) for score in scores]
                text += draw.choices(alphabet, weights)[0]
            model.stdin.close()
    sys.stdout.write(text + "\n")


main()
