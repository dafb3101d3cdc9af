#!/usr/bin/env bash
# Whole runs in mixed precision beside f32 on the default adapter: loss, accuracy and loss scale of each epoch, the time
# and the planned memory of a step.
#
#   tests/bench/mixed.sh NNC [EPOCHS]      from the repository's root; NNC is a release build
set -euo pipefail
nnc=$1
epochs=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for model in mnist activity resnet18; do
  for precision in f32 mixed; do
    echo "== $model in $precision"
    "$nnc" train models/$model.nn --precision $precision --set epochs="$epochs" --out "$work/$model-$precision" \
      --json 2>/dev/null
    "$nnc" bench models/$model.nn --precision $precision --json 2>/dev/null |
      python3 -c 'import json,sys; s = json.loads(sys.stdin.readline()); print("step:", round(s["median_ms"], 3), "ms,", s["planned_bytes"] >> 20, "MiB,", s["dispatches"], "dispatches")'
  done
done
