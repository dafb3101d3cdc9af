"""Writes the goldens: initial weights, batches, and what JAX makes of them in float64.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install -r requirements.txt
    /tmp/golden/bin/python make.py                 # the committed files, beside this script
    /tmp/golden/bin/python make.py --full FOLDER   # the digits network in full width, into FOLDER
    /tmp/golden/bin/python make.py --check         # recompute, compare with the committed files, write nothing

For each network NAME:

    NAME.weights.safetensors    where training starts; PyTorch's names and layouts
    NAME.train.safetensors      the batches of all steps, one after the other
    NAME.batch.safetensors      the first batch alone
    NAME.gradient.safetensors   `loss`, and the gradient of every weight under its name, for the first batch
    NAME.OPTIMIZER.safetensors  `losses` of every step; for batch norm also every weight and state afterwards

All sums are float64 on float32 weights; results are rounded to float32 once, when written. Nothing here shares
code with nnc: the networks are written out again in JAX, and the optimizers by their published formulas.
The metadata of each file names the versions and the seed.
"""

import argparse
import gzip
import json
import platform
import struct
import sys
from functools import partial
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import jaxlib
import numpy as np
from jax import lax
from safetensors.numpy import load_file, save_file

SEED = 20181107
STEPS = 20
HERE = Path(__file__).resolve().parent
DIGITS = HERE.parent.parent / "data" / "digits"

FULL = {"first": 32, "second": 64, "hidden": 1024}
NARROW = {"first": 8, "second": 16, "hidden": 64}


# Layers, each as PyTorch defines it. x: [n, c, h, w] or [n, c].


def conv(x, weight, bias=None, stride=1, pad=0):
    """weight: [out, in, kh, kw]; `pad` on every side."""
    y = lax.conv_general_dilated(
        x, weight, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
    )
    return y if bias is None else y + bias[None, :, None, None]


def max_pool(x, size):
    window = (1, 1, size, size)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def linear(x, weight, bias):
    """weight: [out, in]"""
    return x @ weight.T + bias


def batch_norm(x, weight, bias, running, eps=1e-5, momentum=0.1):
    """In training: the batch's biased variance normalizes, its unbiased one enters the running average."""
    mean = x.mean((0, 2, 3))
    var = ((x - mean[None, :, None, None]) ** 2).mean((0, 2, 3))
    y = (x - mean[None, :, None, None]) / jnp.sqrt(var + eps)[None, :, None, None]
    count = x.size // x.shape[1]
    old_mean, old_var = running
    running = (
        (1 - momentum) * old_mean + momentum * mean,
        (1 - momentum) * old_var + momentum * var * count / (count - 1),
    )
    return y * weight[None, :, None, None] + bias[None, :, None, None], running


def cross_entropy(logits, label):
    log_p = logits - jax.scipy.special.logsumexp(logits, axis=-1, keepdims=True)
    return -log_p[jnp.arange(label.shape[0]), label].mean()


# Networks: (weights, states, batch) -> (loss, states after).


def digits(w, states, image, label):
    x = image / 255
    x = max_pool(jax.nn.relu(conv(x, w["conv.weight"], w["conv.bias"], pad=2)), 2)
    x = max_pool(jax.nn.relu(conv(x, w["conv_2.weight"], w["conv_2.bias"], pad=2)), 2)
    x = jax.nn.relu(linear(x.reshape(x.shape[0], -1), w["linear.weight"], w["linear.bias"]))
    return cross_entropy(linear(x, w["linear_2.weight"], w["linear_2.bias"]), label), states


def residual(w, states, image, label):
    after = dict(states)

    def conv_bn(x, path, stride=1, pad=1):
        norm = f"{path}.batch_norm"
        mean, var = f"{norm}.running_mean", f"{norm}.running_var"
        x = conv(x, w[f"{path}.conv.weight"], stride=stride, pad=pad)
        y, (after[mean], after[var]) = batch_norm(
            x, w[f"{norm}.weight"], w[f"{norm}.bias"], (states[mean], states[var])
        )
        return y

    def block(x, path, stride, project):
        main = jax.nn.relu(conv_bn(x, f"{path}.conv_bn", stride))
        main = conv_bn(main, f"{path}.conv_bn_2")
        return jax.nn.relu(main + (conv_bn(x, f"{path}.conv_bn_3", stride, pad=0) if project else x))

    x = jax.nn.relu(conv_bn(image, "conv_bn"))
    x = block(x, "residual", 1, project=False)
    x = block(x, "residual_2", 2, project=True)
    return cross_entropy(linear(x.mean((2, 3)), w["linear.weight"], w["linear.bias"]), label), after


# Optimizers: PyTorch's formulas; `t` counts steps from 1.


def adam(w, g, kept, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = kept
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return w - lr * (m / (1 - beta1**t)) / (jnp.sqrt(v / (1 - beta2**t)) + eps), (m, v)


def sgd(w, g, kept, t, lr=0.05, momentum=0.9):
    buffer = momentum * kept[0] + g
    return w - lr * buffer, (buffer, kept[1])


# Initial values: PyTorch's defaults, U(-1/sqrt(fan in), 1/sqrt(fan in)); norms off 1 and 0 so that they matter.


def uniform(rng, shape, fan_in):
    return rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(np.sqrt(fan_in))


def digits_weights(rng, first, second, hidden):
    shapes = [
        ("conv", (first, 1, 5, 5)),
        ("conv_2", (second, first, 5, 5)),
        ("linear", (hidden, second * 49)),
        ("linear_2", (10, hidden)),
    ]
    weights = {}
    for path, shape in shapes:
        fan_in = int(np.prod(shape[1:]))
        weights[f"{path}.weight"] = uniform(rng, shape, fan_in)
        weights[f"{path}.bias"] = uniform(rng, shape[:1], fan_in)
    return weights, {}


def residual_weights(rng):
    shapes = [
        ("conv_bn", (8, 3, 3, 3)),
        ("residual.conv_bn", (8, 8, 3, 3)),
        ("residual.conv_bn_2", (8, 8, 3, 3)),
        ("residual_2.conv_bn", (16, 8, 3, 3)),
        ("residual_2.conv_bn_2", (16, 16, 3, 3)),
        ("residual_2.conv_bn_3", (16, 8, 1, 1)),
    ]
    weights, states = {}, {}
    for path, shape in shapes:
        out = shape[:1]
        weights[f"{path}.conv.weight"] = uniform(rng, shape, int(np.prod(shape[1:])))
        weights[f"{path}.batch_norm.weight"] = rng.uniform(0.5, 1.5, out).astype(np.float32)
        weights[f"{path}.batch_norm.bias"] = rng.uniform(-0.5, 0.5, out).astype(np.float32)
        states[f"{path}.batch_norm.running_mean"] = np.zeros(out, np.float32)
        states[f"{path}.batch_norm.running_var"] = np.ones(out, np.float32)
    weights["linear.weight"] = uniform(rng, (5, 16), 16)
    weights["linear.bias"] = uniform(rng, (5,), 16)
    return weights, states


# Data.


def idx(path):
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def digits_data(rng, batch):
    """Real digits as bytes, in an order drawn by `rng`."""
    images = idx(DIGITS / "train-images-idx3-ubyte.gz")
    labels = idx(DIGITS / "train-labels-idx1-ubyte.gz")
    chosen = rng.permutation(len(images))[: batch * STEPS]
    return {"image": images[chosen][:, None].copy(), "label": labels[chosen].astype(np.int32)}


def residual_data(rng, batch):
    """One pattern a class under noise, so that there is something to learn."""
    label = rng.integers(0, 5, batch * STEPS).astype(np.int32)
    patterns = rng.standard_normal((5, 3, 10, 10))
    image = patterns[label] + 0.5 * rng.standard_normal((batch * STEPS, 3, 10, 10))
    return {"image": image.astype(np.float32), "label": label}


# Computing.


def part(data, step, batch):
    """The batch of this step (from 0)."""
    rows = slice(step * batch, (step + 1) * batch)
    return {name: np.ascontiguousarray(values[rows]) for name, values in data.items()}


def lift(tensors, dtype):
    return {name: jnp.asarray(t, dtype) for name, t in tensors.items()}


def gradient(network, weights, states, batch, dtype):
    (loss, after), gradients = jax.jit(jax.value_and_grad(network, has_aux=True))(
        lift(weights, dtype), lift(states, dtype), jnp.asarray(batch["image"], dtype), batch["label"]
    )
    return loss, after, gradients


def train(network, optimizer, weights, states, data, batch, dtype):
    """The loss of every step, before its update, and all weights and states after the last."""
    step = jax.jit(jax.value_and_grad(network, has_aux=True))
    weights, states = lift(weights, dtype), lift(states, dtype)
    kept = {name: (jnp.zeros_like(w), jnp.zeros_like(w)) for name, w in weights.items()}
    losses = []
    for t in range(STEPS):
        now = part(data, t, batch)
        (loss, states), g = step(weights, states, jnp.asarray(now["image"], dtype), now["label"])
        losses.append(loss)
        for name in weights:
            weights[name], kept[name] = optimizer(weights[name], g[name], kept[name], t + 1)
    return jnp.stack(losses), weights | states


def distance(a, b):
    """The largest difference, relative to the largest magnitude of the golden `b`."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.abs(a - b).max() / max(np.abs(b).max(), np.finfo(np.float32).tiny))


def golden(name, network, start, data, batch, optimizers, keep_after):
    """Every file of a network, as {file: tensors}; prints how far JAX's own float32 is from its float64."""
    weights, states = start
    first = part(data, 0, batch)
    loss, _, gradients = gradient(network, weights, states, first, jnp.float64)
    files = {
        f"{name}.weights": weights | states,
        f"{name}.train": data,
        f"{name}.batch": first,
        f"{name}.gradient": {"loss": loss} | gradients,
    }
    loss32, _, gradients32 = gradient(network, weights, states, first, jnp.float32)
    worst = max(distance(gradients32[p], gradients[p]) for p in gradients)
    print(f"{name}: loss {float(loss):.9f}; float32 is off by {distance(loss32, loss):.1e}, gradients {worst:.1e}")
    for label, optimizer in optimizers.items():
        losses, after = train(network, optimizer, weights, states, data, batch, jnp.float64)
        losses32, after32 = train(network, optimizer, weights, states, data, batch, jnp.float32)
        curve = float(np.abs(losses32 / losses - 1).max())
        drift = max(distance(after32[p], after[p]) for p in after)
        print(f"  {label}: loss {losses[0]:.4f} -> {losses[-1]:.4f}; float32 is off by {curve:.1e}, weights {drift:.1e}")
        files[f"{name}.{label}"] = {"losses": losses} | (after if keep_after else {})
    return files


def rounded(tensors):
    """As they are stored: bytes and integers as they are, everything else as float32."""
    arrays = {name: np.asarray(t) for name, t in tensors.items()}
    return {n: np.ascontiguousarray(a if a.dtype in (np.uint8, np.int32) else a.astype(np.float32)) for n, a in arrays.items()}


def write(folder, files):
    made = {
        "script": "tests/goldens/make.py",
        "seed": str(SEED),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": np.__version__,
        "computed": "float64 on the CPU, stored as float32",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, tensors in files.items():
        save_file(rounded(tensors), folder / f"{name}.safetensors", {"made": json.dumps(made)})


def check(folder, files):
    """Inputs must be equal; results may differ by the order of sums in another version or processor."""
    for name, tensors in files.items():
        stored = load_file(folder / f"{name}.safetensors")
        assert stored.keys() == tensors.keys(), f"{name}: other tensors than stored"
        for path, tensor in rounded(tensors).items():
            apart = distance(tensor, stored[path])
            assert apart <= 1e-6, f"{name}: `{path}` is off by {apart:.1e}"
    print(f"{len(files)} files agree")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--full", metavar="FOLDER", type=Path, help="the digits network in full width")
    arguments.add_argument("--check", action="store_true", help="compare with the committed files")
    chosen = arguments.parse_args()

    widths = FULL if chosen.full else NARROW
    rng = np.random.default_rng(SEED)
    weights = digits_weights(rng, **widths)
    files = golden("digits", digits, weights, digits_data(rng, 16), 16, {"adam": adam}, keep_after=False)
    if chosen.full:
        write(chosen.full, files)
        model = (HERE / "digits.nn").read_text()
        for name, width in FULL.items():
            old = f"const {name:<6} = {NARROW[name]}"
            assert old in model, f"digits.nn has no line `{old}`"
            model = model.replace(old, f"const {name:<6} = {width}")
        (chosen.full / "digits.nn").write_text(model)
        return

    rng = np.random.default_rng(SEED + 1)
    weights = residual_weights(rng)
    both = {"sgd": sgd, "adam": partial(adam, lr=1e-2)}
    files |= golden("residual", residual, weights, residual_data(rng, 8), 8, both, keep_after=True)
    if chosen.check:
        check(HERE, files)
    else:
        write(HERE, files)


if __name__ == "__main__":
    sys.exit(main())
