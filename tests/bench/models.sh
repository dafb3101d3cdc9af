#!/usr/bin/env bash
# Every model of `models/`, trained as its file says on the default adapter.
#
#   tests/bench/models.sh NNC OUT [MODEL ..]      from the repository's root; all models without MODEL
#
# One line a model: its seconds, device set-up and all, the steps it took, and what was measured after its last epoch and
# at its best. Weights go to OUT/MODEL, the log of each epoch to OUT/MODEL.jsonl. The exit code is 1 if a training ended early.
set -uo pipefail
nnc=$1
out=$2
shift 2
mkdir -p "$out"
models=("$@")
if [ $# = 0 ]; then
  for file in models/*.nn; do models+=("$(basename "$file" .nn)"); done
fi
ended=0
for model in "${models[@]}"; do
  begin=$(date +%s.%N)
  "$nnc" train "models/$model.nn" --out "$out/$model" --json >"$out/$model.jsonl" 2>"$out/$model.txt" ||
    { ended=1; tail -n 2 "$out/$model.txt"; }
  python3 - "$model" "$begin" "$(date +%s.%N)" "$out/$model.jsonl" <<'P'
import json, sys
name, begin, end, path = sys.argv[1:]
epochs = [row for row in map(json.loads, open(path)) if "epoch" in row]
if not epochs:
    sys.exit(f"{name}: no epoch")
last = epochs[-1]
measured = []
for part in ("train", "test"):
    for key, value in last.get(part, {}).items():
        every = [row[part][key] for row in epochs]
        measured.append(f"{part} {key} {value:.4g} ({min(every):.4g} to {max(every):.4g})")
print(f"{name:<12} {float(end) - float(begin):7.1f} s  {last['steps']:6} steps  {len(epochs):3} epochs  {', '.join(measured)}")
P
done
exit $ended
