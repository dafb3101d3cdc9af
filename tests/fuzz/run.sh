#!/usr/bin/env bash
# Coverage-guided fuzzing of the front end, on one core, seeded with the project's models.
#
#   tests/fuzz/run.sh [SECONDS]      from anywhere; 1200 without it
#
# Needs cargo-fuzz and a nightly toolchain. What it learns stays in tests/fuzz/corpus, what it finds in
# tests/fuzz/artifacts; neither is committed. A finding is run again with
# `cargo +nightly fuzz run --fuzz-dir tests/fuzz -s none check FILE`. No sanitizer is used: the compiler has no unsafe
# code, and runs three times as fast without.
set -euo pipefail

cd "$(dirname "$0")"
corpus=corpus/check
mkdir -p "$corpus"
find ../examples ../../models ../goldens ../cases ../../compiler/std -name '*.nn' | sort | while read -r model; do
  cp "$model" "$corpus/$(echo "$model" | tr -c 'A-Za-z0-9\n' _)"
done
exec cargo +nightly fuzz run --fuzz-dir . -s none check -- \
  -max_total_time="${1:-1200}" -timeout=10 -rss_limit_mb=1024 -max_len=8192 -dict=words.dict -print_final_stats=1
