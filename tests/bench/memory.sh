#!/usr/bin/env bash
# The memory of Inception v3's training step at batch 32, under limits: dispatches, bytes, ms a step, and whether the
# weights after eight steps are those of the step that keeps everything, bit for bit.
#
#   tests/bench/memory.sh [NNC] [PROFILE] [LIMIT ..]      from the repository's root; limits in MiB
set -euo pipefail
nnc=${1:-target/release/nnc}
profile=${2:-nvidia-hopper}
shift $(($# < 2 ? $# : 2))
limits=("$@")
[ $# = 0 ] && limits=(2200 2000 1800 1600 1400)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 tests/bench/inception.py "$work"
printf '%-12s %10s %10s %10s %10s %12s  %s\n' 'limit, MiB' dispatches alive arenas peak 'ms a step' weights
for limit in none default "${limits[@]}"; do
  text=$work/$limit.nn
  skip=()
  cp "$work/inception.nn" "$text"
  case $limit in
    none) skip=(--skip plan.recompute) ;;
    default) ;;
    *) sed -i "s/^  batch .*/&\n  memory = $limit MiB/" "$text" ;;
  esac
  row=$("$nnc" build "$text" --target "$profile" "${skip[@]}" -o "$work/out.nna" | grep '^train')
  ms=-; sum=-
  if [ "${DEVICE:-yes}" = yes ]; then
    ms=$("$nnc" bench "$text" "${skip[@]}" --steps 30 --json 2>/dev/null | python3 -c '
import json, sys
print(next(row["median_ms"] for row in map(json.loads, sys.stdin) if "median_ms" in row))')
    # `nnc train` leaves nothing out: the weights of the step that keeps everything are not to be had.
    if [ "$limit" != none ]; then
      "$nnc" train "$text" --out "$work/run-$limit" --overwrite >/dev/null 2>"$work/said" || cat "$work/said"
      sum=$(sha256sum "$work/run-$limit/weights.safetensors" | cut -c1-16)
    fi
  fi
  echo "$row" | awk -v limit="$limit" -v ms="$ms" -v sum="$sum" \
    '{ printf "%-12s %10s %10s %10s %10s %12s  %s\n", limit, $3, $4 " " $5, $6 " " $7, $8 " " $9, ms, sum }'
done
