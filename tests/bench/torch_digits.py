"""PyTorch's side of the digits comparison: ms per training step (forward, loss, gradients, Adam), data on the device.

Modes: float32 without and with TF32, launched eagerly or replayed as a captured CUDA graph. Prints one JSON object
a line: {"precision": "f32", "graph": false, "batch": 64, "median_ms": .., "min_ms": .., "max_ms": ..}.
Run it on the same machine and in the same call as `nnc bench`; compare ratios, not times. Needs torch and a GPU.
"""

import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

DEVICE = "cuda"
STEPS = 100


class Digits(nn.Module):
    """The network of models/mnist.nn."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 32, 5, padding=2)
        self.conv_2 = nn.Conv2d(32, 64, 5, padding=2)
        self.linear = nn.Linear(64 * 7 * 7, 1024)
        self.linear_2 = nn.Linear(1024, 10)

    def forward(self, image):
        x = F.max_pool2d(F.relu(self.conv(image)), 2)
        x = F.max_pool2d(F.relu(self.conv_2(x)), 2)
        x = F.dropout(F.relu(self.linear(x.flatten(1))), 0.5, self.training)
        return self.linear_2(x)


def training_step(batch, graph):
    """A function that runs one step."""
    torch.manual_seed(42)
    model = Digits().to(DEVICE).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True, capturable=graph)
    image = torch.rand(batch, 1, 28, 28, device=DEVICE)
    label = torch.randint(0, 10, (batch,), device=DEVICE)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(image), label).backward()
        optimizer.step()

    if not graph:
        return step
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            step()
    torch.cuda.current_stream().wait_stream(side)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        step()
    return captured.replay


def busy(seconds):
    """Keeps the GPU at work, so that its clocks are up when timing begins."""
    a = torch.randn(4096, 4096, device=DEVICE)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(10):
            a @ a
        torch.cuda.synchronize()


def measure(step):
    """The time of each of STEPS steps, in ms, by events on the device."""
    for _ in range(10):
        step()
    busy(0.3)
    times = []
    for _ in range(STEPS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        step()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return times


def main():
    print(f"torch {torch.__version__} on {torch.cuda.get_device_name()}", file=sys.stderr)
    torch.backends.cudnn.benchmark = True
    for batch in (64, 1024):
        for precision in ("f32", "tf32"):
            torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
            torch.backends.cudnn.allow_tf32 = precision == "tf32"
            for graph in (False, True):
                times = measure(training_step(batch, graph))
                row = {
                    "precision": precision,
                    "graph": graph,
                    "batch": batch,
                    "median_ms": round(statistics.median(times), 4),
                    "min_ms": round(min(times), 4),
                    "max_ms": round(max(times), 4),
                }
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
