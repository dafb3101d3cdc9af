#!/usr/bin/env bash
# What each rewrite gains on the default adapter: dispatches, arenas and ms of a training step with everything, and with
# one thing left out at a time. Inception v3 has batch 32, the others the batch of their text.
#
#   tests/bench/passes.sh [NNC] [PROFILE] [MODEL ..]      from the repository's root
set -euo pipefail
nnc=${1:-target/release/nnc}
profile=${2:-nvidia-hopper}
shift $(($# < 2 ? $# : 2))
models=("$@")
[ $# = 0 ] && models=(inception resnet18 residual transformer activity)
parts=(siblings fuse.epilogues fuse.maps fuse.channels fuse.rows fuse.columns fuse.gates fuse.sinking fuse.neighbours product_rows
  lower.concats lower.packs plan.in_place plan.next_values plan.recompute)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 tests/bench/inception.py "$work"
measure() {
  local text=$1 name=$2
  shift 2
  local row ms
  row=$("$nnc" build "$text" --target "$profile" "$@" -o "$work/out.nna" | grep '^train' | awk '{ print $3, $6 $7 }')
  ms=$(timeout 120 "$nnc" bench "$text" "$@" --steps 40 --json 2>/dev/null | python3 -c '
import json, sys
print(next((row["median_ms"] for row in map(json.loads, sys.stdin) if "median_ms" in row), "-"))' || echo -)
  printf '%-14s %-18s %10s %12s %10.3f\n' "$(basename "$text" .nn)" "$name" $row "$ms"
}
printf '%-14s %-18s %10s %12s %10s\n' model without dispatches arenas 'ms a step'
for model in "${models[@]}"; do
  text=models/$model.nn
  [ "$model" = inception ] && text=$work/inception.nn
  measure "$text" -
  for part in "${parts[@]}"; do measure "$text" "$part" --skip "$part"; done
  measure "$text" -
done
