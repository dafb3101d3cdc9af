"""Prints what `h200.sh` measured as one table: ms per training step, and nnc's time over PyTorch's.

PyTorch runs before and after nnc; both medians are shown, and the ratio is to the smaller.
"""

import json
import sys
from pathlib import Path


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def main():
    folder = Path(sys.argv[1])
    before, after = lines(folder / "torch_1.jsonl"), lines(folder / "torch_2.jsonl")
    nnc = {}
    for batch in (64, 1024):
        rows = [row for row in lines(folder / f"nnc_{batch}.jsonl") if "median_ms" in row]
        nnc[batch] = rows[-1]["median_ms"]
    print(f"{'batch':>5}  {'against':<16} {'PyTorch ms':>16} {'nnc ms':>8} {'nnc / PyTorch':>14}")
    for first, second in zip(before, after):
        batch = first["batch"]
        name = f"{first['precision']}, {'CUDA graph' if first['graph'] else 'eager'}"
        both = f"{first['median_ms']:.3f} {second['median_ms']:.3f}"
        ratio = nnc[batch] / min(first["median_ms"], second["median_ms"])
        print(f"{batch:>5}  {name:<16} {both:>16} {nnc[batch]:>8.3f} {ratio:>14.2f}")


if __name__ == "__main__":
    main()
