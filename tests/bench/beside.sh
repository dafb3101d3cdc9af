#!/usr/bin/env bash
# Two builds of the command side by side on the default adapter: ms of a training step of each model, twice in turns.
#
#   tests/bench/beside.sh BEFORE AFTER [MODEL ..]      from the repository's root; all models without MODEL
set -euo pipefail
before=$1
after=$2
shift 2
models=("$@")
if [ $# = 0 ]; then
  for file in models/*.nn; do models+=("$(basename "$file" .nn)"); done
fi
median() { "$1" bench "models/$2.nn" --steps 60 --json 2>/dev/null | python3 -c '
import json, sys
print(next(row["median_ms"] for row in map(json.loads, sys.stdin) if "median_ms" in row))'; }
printf '%-14s %9s %9s %9s %9s\n' "ms a step" before after before after
for model in "${models[@]}"; do
  printf '%-14s %9.3f %9.3f %9.3f %9.3f\n' "$model" "$(median "$before" "$model")" "$(median "$after" "$model")" \
    "$(median "$before" "$model")" "$(median "$after" "$model")"
done
