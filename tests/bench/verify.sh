#!/usr/bin/env bash
# Every kernel of every model's training step, gradients included, against its meaning in f64, on the default adapter.
#
#   tests/bench/verify.sh NNC [BATCH]      from the repository's root; batches of 2 without BATCH
#
# One line a model: what `nnc verify` says at its end, and the seconds it took. The exit code is 1 if any is wrong.
set -uo pipefail
nnc=$1
batch=${2:-2}
wrong=0
for model in models/*.nn; do
  begin=$SECONDS
  if said=$("$nnc" verify "$model" --batch "$batch" 2>&1); then state=right; else state=WRONG wrong=1; fi
  printf '%-24s %-6s %5d s  %s\n' "$model" $state $((SECONDS - begin)) "$(tail -n 1 <<<"$said")"
done
exit $wrong
