#!/usr/bin/env bash
# Times of the front end in a release build: Inception v3, and networks of 2,500, 5,000 and 10,000 layers.
#
#   tests/bench/front_end.sh [FILE...]      from anywhere; other models in place of those
#
# `front end` is text to typed graphs for training and for use; `check` is all of `nnc check`, with the evaluation and
# the training step. Every figure is the least of five runs. Wanted: Inception v3 under 20 ms, 10,000 layers under
# 1 s, and as much time for each layer of a long network as of a short one.
set -euo pipefail

cd "$(dirname "$0")/../.."
exec cargo run --release --quiet -p nnc-tests --example front_end -- "$@"
