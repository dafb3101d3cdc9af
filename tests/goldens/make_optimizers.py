"""Numbers for tests/tests/optimizer_goldens.rs: training runs under PyTorch's optimizers and schedules, in float64.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install -r requirements_layers.txt
    /tmp/golden/bin/python make_optimizers.py            # optimizers.json
    /tmp/golden/bin/python make_optimizers.py --check    # recompute, compare with the committed numbers, write nothing

Three linear layers, one of them of one weight and a batch of one, are each trained with the mean squared error for 3
epochs of 4 batches. For each case the file holds the optimizer as nnc writes it and, by layer, the loss of every step
and the weights at the end. What PyTorch lacks (Lion,
decoupled decay of SGD, an L1 penalty, a limit on elements) is written out below. Where nnc's text sets `average`, the
weights are their moving averages, by torch.optim.swa_utils. Nothing here shares code with nnc.
"""

import argparse
import json
import math
from pathlib import Path

import torch
from torch import optim
from torch.optim import lr_scheduler

FILE = Path(__file__).resolve().parent / "optimizers.json"
EPOCHS, BATCHES = 3, 4
# name: inputs, outputs, examples a batch
LAYERS = {"small": (5, 3, 4), "single": (1, 1, 1), "odd": (11, 7, 3)}


class Lion(optim.Optimizer):
    """Chen et al. 2023, algorithm 2."""

    def __init__(self, parameters, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "betas": betas, "decay": weight_decay})

    def step(self):
        for group in self.param_groups:
            lr, (first, second), decay = group["lr"], group["betas"], group["decay"]
            for w in group["params"]:
                m = self.state[w].setdefault("m", torch.zeros_like(w))
                c = first * m + (1 - first) * w.grad
                w.data -= lr * (c.sign() + decay * w.data)
                m.mul_(second).add_(w.grad, alpha=1 - second)


class Groups:
    """Several optimizers, each of its own weights."""

    def __init__(self, *parts):
        self.parts = parts

    def step(self):
        for part in self.parts:
            part.step()

    def zero_grad(self):
        for part in self.parts:
            part.zero_grad()


class Decoupled(optim.SGD):
    """Loshchilov and Hutter 2017, algorithm 1."""

    def __init__(self, parameters, decay, **given):
        super().__init__(parameters, **given)
        self.decay = decay

    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                w.data *= 1 - group["lr"] * self.decay
        super().step()


def treated(low=-math.inf, high=math.inf, by=1.0, l1=0.0):
    """What is done to a gradient before the optimizer sees it: cut off, then scaled, then the slope of the penalty."""
    return lambda weights: [w.grad.clamp(low, high) * by + l1 * w.detach().sign() for w in weights]


def clipped(most):
    """All gradients together, as one vector no longer than `most` (Pascanu et al. 2013, algorithm 1)."""

    def treat(weights):
        norm = math.sqrt(sum((w.grad**2).sum().item() for w in weights))
        return [w.grad * min(1, most / norm) for w in weights]

    return treat


def clipped_as_torch_does(most, *parts):
    """The gradients of each part of the weights, or of all, bounded together by torch.nn.utils.clip_grad_norm_."""

    def treat(weights):
        for part in parts or [slice(None)]:
            torch.nn.utils.clip_grad_norm_(weights[part], most)
        return [w.grad for w in weights]

    return treat


def per_step(of):
    return lambda optimizer: lr_scheduler.LambdaLR(optimizer, of)


def averages(share):
    """The weights' moving averages after another update; the share that they keep is a number, or a function of the
    update's number from 1."""

    def begin(weights):
        kept = [w.detach().clone() for w in weights]

        def move(k):
            keep = share(k) if callable(share) else share
            for average, w in zip(kept, weights):
                torch.optim.swa_utils.get_ema_multi_avg_fn(keep)([average], [w.detach()], None)
            return kept

        return move

    return begin


# name: the optimizer in nnc, in PyTorch, its schedule, whether that moves once a step, the treatment of gradients, the
# averages of the weights, the batches gathered for a step
CASES = {
    "sgd": ("sgd(lr=0.1)", lambda p: optim.SGD(p, lr=0.1)),
    "momentum": ("sgd(lr=0.1, momentum=0.9, decay=0.05)", lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05)),
    "nesterov": (
        "sgd(lr=0.1, momentum=0.9, nesterov=true)",
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    ),
    "decoupled": (
        "sgd(lr=0.1, momentum=0.9, decay=0.2, decoupled=true)",
        lambda p: Decoupled(p, 0.2, lr=0.1, momentum=0.9),
    ),
    "limited": (
        "sgd(lr=0.1, limit=0.3, rescale=0.5, l1=0.1)",
        lambda p: optim.SGD(p, lr=0.1),
        None,
        False,
        treated(-0.3, 0.3, 0.5, 0.1),
    ),
    "limited_to_both": (
        "adam(lr=0.1, limit=[-0.1, 0.4], rescale=3, l1=0.05)",
        lambda p: optim.Adam(p, lr=0.1),
        None,
        False,
        treated(-0.1, 0.4, 3, 0.05),
    ),
    "clipped": (
        "adam(lr=0.05)\n  clip      = 0.4",
        lambda p: optim.Adam(p, lr=0.05),
        None,
        False,
        clipped(0.4),
    ),
    "gathered": (
        "adam(lr=0.05)\n  accumulate = 2",
        lambda p: optim.Adam(p, lr=0.05),
        None,
        False,
        None,
        None,
        2,
    ),
    "groups": (
        'sgd(lr=0.1, momentum=0.9, decay=0.2)\n  update "*.bias" { optimizer = adam(lr=0.05) }',
        lambda p: Groups(optim.SGD(p[:1], lr=0.1, momentum=0.9, weight_decay=0.2), optim.Adam(p[1:], lr=0.05)),
    ),
    "groups_clipped": (
        'sgd(lr=0.1, momentum=0.9)\n  clip      = 0.4\n  update "*.bias" { optimizer = adam(lr=0.05) }',
        lambda p: Groups(optim.SGD(p[:1], lr=0.1, momentum=0.9), optim.Adam(p[1:], lr=0.05)),
        None,
        False,
        clipped_as_torch_does(0.4),
    ),
    "groups_clipped_apart": (
        'sgd(lr=0.1)\n  clip      = 0.4\n  update "*.bias" { optimizer = sgd(lr=0.2); clip = 0.4 }',
        lambda p: Groups(optim.SGD(p[:1], lr=0.1), optim.SGD(p[1:], lr=0.2)),
        None,
        False,
        clipped_as_torch_does(0.4, slice(0, 1), slice(1, 2)),
    ),
    "groups_gathered": (
        'sgd(lr=0.1)\n  accumulate = 2\n  clip      = 0.3\n  update "*.bias" { optimizer = sgd(lr=0.2) }',
        lambda p: Groups(optim.SGD(p[:1], lr=0.1), optim.SGD(p[1:], lr=0.2)),
        None,
        False,
        clipped_as_torch_does(0.3),
        None,
        2,
    ),
    "frozen": (
        "sgd(lr=0.1, momentum=0.9)\n  freeze    = [linear.bias]",
        lambda p: optim.SGD(p[:1], lr=0.1, momentum=0.9),
    ),
    "frozen_pattern": (
        'adam(lr=0.05, decay=0.1)\n  freeze    = "*.weight"',
        lambda p: optim.Adam(p[1:], lr=0.05, weight_decay=0.1),
    ),
    "adam": ("adam(lr=0.05, decay=0.1)", lambda p: optim.Adam(p, lr=0.05, weight_decay=0.1)),
    "amsgrad": (
        "adam(lr=0.2, beta1=0.8, beta2=0.6, amsgrad=true)",
        lambda p: optim.Adam(p, lr=0.2, betas=(0.8, 0.6), amsgrad=True),
    ),
    "adamw": (
        "adamw(lr=0.2, beta2=0.6, decay=0.1, amsgrad=true)",
        lambda p: optim.AdamW(p, lr=0.2, betas=(0.9, 0.6), weight_decay=0.1, amsgrad=True),
    ),
    "adamax": (
        "adamax(lr=0.05, beta2=0.6, decay=0.1)",
        lambda p: optim.Adamax(p, lr=0.05, betas=(0.9, 0.6), weight_decay=0.1),
    ),
    "rmsprop": (
        "rmsprop(lr=0.02, momentum=0.5, decay=0.1)",
        lambda p: optim.RMSprop(p, lr=0.02, momentum=0.5, weight_decay=0.1),
    ),
    "rmsprop_centered": (
        "rmsprop(lr=0.02, alpha=0.9, centered=true)",
        lambda p: optim.RMSprop(p, lr=0.02, alpha=0.9, centered=True),
    ),
    "adagrad": (
        "adagrad(lr=0.2, lr_decay=0.1, decay=0.05)",
        lambda p: optim.Adagrad(p, lr=0.2, lr_decay=0.1, weight_decay=0.05),
    ),
    "lion": ("lion(lr=0.03, decay=0.1)", lambda p: Lion(p, lr=0.03, weight_decay=0.1)),
    "average": (
        "adam(lr=0.05)\n  average   = 0.8",
        lambda p: optim.Adam(p, lr=0.05),
        None,
        False,
        None,
        averages(0.8),
    ),
    "average_by_formula": (
        "sgd(lr=0.1, momentum=0.9)\n  average   = min(0.7, (1 + step) / (10 + step))",
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        None,
        False,
        None,
        averages(lambda k: min(0.7, (1 + k) / (10 + k))),
    ),
    "step_decay": (
        "sgd(lr=step_decay(0.1, every=1, by=0.5))",
        lambda p: optim.SGD(p, lr=0.1),
        lambda o: lr_scheduler.StepLR(o, 1, 0.5),
    ),
    "milestones": (
        "sgd(lr=step_decay(0.1, at=[1, 2], by=0.3))",
        lambda p: optim.SGD(p, lr=0.1),
        lambda o: lr_scheduler.MultiStepLR(o, [1, 2], 0.3),
    ),
    "exponential": (
        "sgd(lr=exponential_decay(0.1, by=0.6))",
        lambda p: optim.SGD(p, lr=0.1),
        lambda o: lr_scheduler.ExponentialLR(o, 0.6),
    ),
    "cosine": (
        "sgd(lr=cosine(0.1))",
        lambda p: optim.SGD(p, lr=0.1),
        lambda o: lr_scheduler.CosineAnnealingLR(o, 12),
        True,
    ),
    "cosine_warmup": (
        "sgd(lr=cosine(0.1, warmup=3))",
        lambda p: optim.SGD(p, lr=0.1),
        per_step(lambda k: (k + 1) / 3 if k + 1 < 3 else 0.5 * (1 + math.cos(math.pi * (k + 1 - 3) / (12 - 3 + 1)))),
        True,
    ),
    "warmup": (
        "sgd(lr=warmup(0.1, steps=5))",
        lambda p: optim.SGD(p, lr=0.1),
        per_step(lambda k: min(1, (k + 1) / 5)),
        True,
    ),
    "polynomial": (
        "sgd(lr=polynomial_decay(0.1, power=2))",
        lambda p: optim.SGD(p, lr=0.1),
        lambda o: lr_scheduler.PolynomialLR(o, total_iters=12, power=2),
        True,
    ),
    "one_cycle": (
        "sgd(lr=one_cycle(0.2))",
        lambda p: optim.SGD(p, lr=0.2),
        lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.2, total_steps=12, cycle_momentum=False),
        True,
    ),
}


def data(layer):
    columns, rows, batch = LAYERS[layer]
    drawn = torch.Generator().manual_seed(7)
    draw = lambda *shape: torch.randn(shape, generator=drawn).double()
    return {
        "weight": draw(rows, columns) * 0.5,
        "bias": draw(rows) * 0.5,
        "x": draw(BATCHES * batch, columns),
        "y": draw(BATCHES * batch, rows),
    }


def run(layer, make, schedule=None, each_step=False, treat=None, average=None, gather=1):
    weight, bias, x, y = data(layer).values()
    weight, bias = weight.requires_grad_(), bias.requires_grad_()
    batch = LAYERS[layer][2]
    optimizer = make([weight, bias])
    scheduler = schedule(optimizer) if schedule else None
    move = average([weight, bias]) if average else None
    left = (weight, bias)
    losses = []
    for _ in range(EPOCHS):
        for place in range(0, BATCHES * batch, batch):
            loss = ((x[place : place + batch] @ weight.T + bias - y[place : place + batch]) ** 2).mean()
            (loss / gather).backward()
            losses.append(loss.item())
            if len(losses) % gather:
                continue
            if treat:
                weight.grad, bias.grad = treat([weight, bias])
            optimizer.step()
            optimizer.zero_grad()
            if move:
                left = move(len(losses))
            if scheduler and each_step:
                scheduler.step()
        if scheduler and not each_step:
            scheduler.step()
    return {"losses": losses, "weight": left[0].flatten().tolist(), "bias": left[1].tolist()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    out = {"torch": torch.__version__, "layers": {}, "cases": {}}
    for layer, (columns, rows, batch) in LAYERS.items():
        values = {name: values.flatten().tolist() for name, values in data(layer).items()}
        out["layers"][layer] = {"columns": columns, "rows": rows, "batch": batch, **values}
    for name, (text, *case) in CASES.items():
        runs = {layer: run(layer, *case) for layer in LAYERS}
        out["cases"][name] = {"optimizer": text, "runs": runs}
    if check:
        near = lambda a, b: (
            all(near(a[key], b[key]) for key in a)
            if isinstance(a, dict)
            else all(map(near, a, b))
            if isinstance(a, list)
            else a == b
            if isinstance(a, str)
            else abs(a - b) <= 1e-9
        )
        known = json.loads(FILE.read_text())
        assert near(out["cases"], known["cases"]) and near(out["layers"], known["layers"]), "the numbers differ"
        print(f"{len(CASES)} cases agree")
    else:
        FILE.write_text(json.dumps(out, indent=1) + "\n")
        print(f"{len(CASES)} cases, {FILE.stat().st_size} bytes")


main()
