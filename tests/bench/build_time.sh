#!/usr/bin/env bash
# Times of `nnc build`, step by step, of chains of 50, 100, 200 and 400 convolutions with batch norm and an activation.
#
#   tests/bench/build_time.sh [FILE...]      from anywhere; other models in place of those
#
# Every figure is the least of three runs. Wanted: as much time for each layer of the longest chain as of the shortest; a
# step that takes more than four times as much is named, and the exit code is 1.
set -euo pipefail

cd "$(dirname "$0")/../.."
exec cargo run --release --quiet -p nnc-tests --example build_time -- "$@"
