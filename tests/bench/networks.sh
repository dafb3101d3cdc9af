#!/usr/bin/env bash
# Four networks on an NVIDIA GPU beside PyTorch in one run: ms a training step in f32 and in mixed precision, and the ratio
# to PyTorch's of the same network, as Markdown.
#
#   tests/bench/networks.sh [NNC] [BASELINE]      from the repository's root
#
# BASELINE is the script that prints PyTorch's figures, one JSON object a line; .bench/torch_gpu.py without it.
set -euo pipefail
nnc=${1:-.bench/nnc}
baseline=${2:-.bench/torch_gpu.py}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 tests/bench/inception.py "$work/inception"
python3 tests/bench/resnet.py "$work/resnet"
python3 "$baseline" >"$work/torch.txt" 2>"$work/torch.err" || { tail -n 5 "$work/torch.err"; exit 1; }
median() {
  "$nnc" bench "$@" --json 2>/dev/null | python3 -c '
import json, sys
print(next((row["median_ms"] for row in map(json.loads, sys.stdin) if "median_ms" in row), "nan"))'
}
{
  for precision in f32 mixed; do
    echo "inceptionv3 32 $precision $(median "$work/inception/inception.nn" --precision $precision --steps 30)"
    echo "resnet18 128 $precision $(median "$work/resnet/resnet.nn" --precision $precision --steps 20)"
    echo "mnist_cnn 64 $precision $(median models/mnist.nn --precision $precision --steps 300)"
    echo "lstm_har 32 $precision $(median models/activity.nn --precision $precision --steps 300)"
  done
} >"$work/nnc.txt"
"$nnc" devices 2>/dev/null | head -n 1 || true
grep gemm "$work/torch.txt" || true
python3 - "$work" <<'P'
import json, pathlib, sys
work = pathlib.Path(sys.argv[1])
rows = [json.loads(line) for line in (work / "torch.txt").read_text().splitlines() if line.startswith("{")]
torch = {(r["model"], r["batch"], r["prec"], r["graph"]): r["ms"] for r in rows if r["mode"] == "train" and not r["compile"]}
kinds = [("fp32", False), ("fp32", True), ("tf32", False), ("tf32", True), ("ampcl", False), ("ampcl", True)]
names = ["f32", "f32 graph", "TF32", "TF32 graph", "AMP", "AMP graph"]
print("| network | batch | precision | nnc, ms | " + " | ".join(names) + " |")
print("|---" * (4 + len(names)) + "|")
for line in (work / "nnc.txt").read_text().splitlines():
    model, batch, precision, ms = line.split()
    cells = []
    for prec, graph in kinds:
        theirs = torch.get((model, int(batch), prec, graph))
        cells.append(f"{theirs:.2f} ({float(ms) / theirs:.2f})" if theirs else "")
    print(f"| {model} | {batch} | {precision} | {float(ms):.3f} | " + " | ".join(cells) + " |")
P
