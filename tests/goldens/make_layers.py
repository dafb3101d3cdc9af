"""Numbers for tests/tests/layer_goldens.rs: layers, losses and cells as PyTorch computes them, in float64.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install -r requirements_layers.txt
    /tmp/golden/bin/python make_layers.py               # every file of layers/
    /tmp/golden/bin/python make_layers.py pooling       # layers/pooling.nn alone
    /tmp/golden/bin/python make_layers.py --check       # recompute, compare with the committed numbers, write nothing

A case is a model of a file `layers/GROUP.nn` with Python in the comment right above it:

    # x, w, b = draw(N, 3, 7, 8), weight("conv.weight", 4, 3, 3, 3), weight("conv.bias", 4)
    # y = F.conv2d(x, w, b, stride=2)
    model Strided(x: f32[N, 3, 7, 8]) -> y: f32[N, 4, 3, 3] { x -> conv(4, 3, stride=2) }

The variables that are drawn are the model's inputs, those with the names of its outputs are what it must give. What
is drawn:

    draw(*shape, low=-2, high=2)        an input of floats
    whole(low, high, *shape)            an input of whole numbers, below `high`
    weight(path, *shape, low=, high=)   a weight under the path that nnc gives it
    state(path, *shape, low=, high=)    a running average, say; `after(path, tensor)` is what a step leaves there

`N`, the batch, is 2 where no line says otherwise. A line `training` expands the model for a training step. At hand are
torch, F (torch.nn.functional), nn, torchvision, np and math.

Every case has two lines or more like

    # also (1, 3, 9, 5)

which run it again on other shapes, those of the drawn inputs in their order; `N` is then the first number. The model
is the same, with these shapes in its signature. The first of them is the awkward one: a batch of 1, odd sizes.

`layers/GROUP.safetensors` then holds for each case CASE, and for its other shapes as CASE@1, CASE@2, `CASE.in.NAME`, `CASE.out.NAME`, `CASE.after.PATH` and
`CASE.grad.NAME`: the gradient of the sum of all float outputs, each weighed by `upstream`, for every float input and
weight. Sums are float64 on float32 values, and rounded to float32 once, when written. Nothing here shares code with
nnc. The metadata names the versions and the seed, which is the case's name.
"""

import argparse
import ast
import json
import math
import platform
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

FOLDER = Path(__file__).resolve().parent / "layers"
HEAD = re.compile(r"((?:^#(?: .*)?\n)+)model (\w+)\(", re.MULTILINE)
ALSO = "# also "


def cases(text):
    """(name, Python, names of the outputs, shapes of what is drawn or None) of every model and shape."""
    for found in HEAD.finditer(text):
        comment, name = found.groups()
        signature = text[found.start(2) : text.index("{", found.end())]
        _, arrow, outputs = signature.partition("->")
        names = re.findall(r"(\w+):", outputs) if arrow else ["output"]
        lines = comment.splitlines()
        python = "\n".join(line[2:] for line in lines if not line.startswith(ALSO))
        yield name, python, names, None
        others = [ast.literal_eval(f"[{line.removeprefix(ALSO)}]") for line in lines if line.startswith(ALSO)]
        assert len(others) >= 2, f"{name}: fewer than three shapes"
        for place, shapes in enumerate(others, 1):
            yield f"{name}@{place}", python, names, shapes


def upstream(shape):
    """Fixed numbers between 0.4 and 1.6, the weights of an output's elements in what is differentiated."""
    k = torch.arange(math.prod(shape))
    return (0.4 + (k * 29 % 37).double() / 30).reshape(shape)


def run(name, python, outputs, shapes=None):
    """The tensors of a case by their names in the file; what is drawn has `shapes`, where they are given."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    drawn, named, left = [], {}, {}
    asked = lambda shape: shapes[len(drawn)] if shapes else shape  # noqa: E731

    def floats(shape, low, high):
        numbers = rng.uniform(low, high, shape).astype(np.float32)
        return torch.from_numpy(numbers.astype(np.float64)).requires_grad_()

    def draw(*shape, low=-2.0, high=2.0):
        drawn.append(floats(asked(shape), low, high))
        return drawn[-1]

    def whole(low, high, *shape):
        drawn.append(torch.from_numpy(np.asarray(rng.integers(low, high, asked(shape)))))
        return drawn[-1]

    def weight(path, *shape, low=-1.0, high=1.0):
        named[path] = floats(shape, low, high)
        return named[path]

    def state(path, *shape, low=-1.0, high=1.0):
        named[path] = floats(shape, low, high).detach()
        return named[path].clone()

    def after(path, tensor):
        left[path] = tensor

    scope = {"torch": torch, "F": F, "nn": nn, "np": np, "math": math, "torchvision": torchvision}
    scope |= {"draw": draw, "whole": whole, "weight": weight, "state": state, "after": after}
    scope |= {"N": 2, "training": True}
    before = set(scope)
    if shapes:
        scope["N"] = shapes[0][0]
        python = re.sub(r"^N = .*$", "", python, flags=re.MULTILINE)
    exec(compile(python, name, "exec"), scope)
    assert not shapes or len(shapes) == len(drawn), f"{name}: {len(drawn)} inputs are drawn"
    variables = {key: value for key, value in scope.items() if key not in before and isinstance(value, torch.Tensor)}
    missing = [output for output in outputs if output not in variables]
    assert not missing, f"{name}: the comment computes no {missing}"
    inputs = {key: t for key, t in variables.items() if any(t is one for one in drawn)} | named
    results = {output: variables[output] for output in outputs}
    total = sum((y * upstream(y.shape)).sum() for y in results.values() if y.is_floating_point())
    known = {key: t for key, t in inputs.items() if t.requires_grad}
    slopes = [None] * len(known)
    if isinstance(total, torch.Tensor) and total.requires_grad:
        slopes = torch.autograd.grad(total, list(known.values()), allow_unused=True)
    tensors = {f"{name}.in.{key}": t for key, t in inputs.items()}
    tensors |= {f"{name}.out.{key}": t for key, t in results.items()}
    tensors |= {f"{name}.after.{key}": t for key, t in left.items()}
    for (key, t), slope in zip(known.items(), slopes):
        tensors[f"{name}.grad.{key}"] = torch.zeros_like(t) if slope is None else slope
    return {key: stored(t) for key, t in tensors.items()}


def stored(tensor):
    """As it is written: floats as float32, whole numbers and truths as int32."""
    numbers = tensor.detach().numpy()
    kind = np.float32 if np.issubdtype(numbers.dtype, np.floating) else np.int32
    numbers = np.asarray(numbers.astype(kind), order="C")
    assert np.isfinite(numbers).all(), "a number of a golden is finite"
    return numbers


def write(path, tensors):
    made = {
        "script": "tests/goldens/make_layers.py",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "seed": "crc32 of the case's name",
        "computed": "float64 on the CPU, stored as float32",
    }
    header, end = {"__metadata__": {"made": json.dumps(made)}}, 0
    for key, numbers in tensors.items():
        begin, end = end, end + numbers.nbytes
        kind = "F32" if numbers.dtype == np.float32 else "I32"
        header[key] = {"dtype": kind, "shape": list(numbers.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    bodies = [numbers.tobytes() for numbers in tensors.values()]
    path.write_bytes(b"".join([struct.pack("<Q", len(text)), text, *bodies]))


def read(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    del header["__metadata__"]
    kinds = {"F32": np.float32, "I32": np.int32}
    tensors = {}
    for key, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[key] = np.frombuffer(raw[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def check(path, tensors):
    """Inputs must be equal; results may differ by the order of sums in another version or processor."""
    known = read(path)
    assert known.keys() == tensors.keys(), f"{path.name}: other tensors than stored"
    for key, numbers in tensors.items():
        apart = np.abs(numbers.astype(np.float64) - known[key]).max(initial=0.0)
        scale = max(np.abs(known[key]).max(initial=0.0), np.finfo(np.float32).tiny)
        assert apart / scale <= 1e-6, f"{path.name}: `{key}` is off by {apart / scale:.1e}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("groups", nargs="*", help="files of layers/ without `.nn`; all of them without any")
    arguments.add_argument("--check", action="store_true", help="compare with the committed files")
    chosen = arguments.parse_args()
    torch.set_default_dtype(torch.float64)
    files = sorted(FOLDER.glob("*.nn"))
    if chosen.groups:
        files = [FOLDER / f"{group}.nn" for group in chosen.groups]
    for file in files:
        tensors = {}
        for case in cases(file.read_text()):
            tensors |= run(*case)
        path = file.with_suffix(".safetensors")
        if chosen.check:
            check(path, tensors)
        else:
            write(path, tensors)
        print(f"{file.stem}: {len(tensors)} tensors, {sum(t.nbytes for t in tensors.values())} bytes")


if __name__ == "__main__":
    sys.exit(main())
