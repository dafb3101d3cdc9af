#!/usr/bin/env bash
# Whole runs of the digits network on the default adapter: accuracy by seed, memory over thousands of steps, the same
# bytes after `kill -9` and Ctrl-C as without, and an embedding program beside `nnc eval`.
#
#   tests/bench/runs.sh NNC CLASSIFY      from the repository's root; both are release builds, CLASSIFY is the example
#                                         `classify` of nnc-runtime
set -euo pipefail
nnc=$1
classify=$2
model=models/mnist.nn
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== test accuracy after each of 5 epochs, by seed"
for seed in 42 7 2026; do
  "$nnc" train $model --set epochs=5 --set seed=$seed --out "$work/s$seed" --json 2>/dev/null |
    python3 -c 'import json,sys; print(sys.argv[1], [round(json.loads(l)["test"]["accuracy"], 4) for l in sys.stdin])' $seed
done

echo "== resident memory while training, every 1.5 s"
"$nnc" train $model --set epochs=1000 --set stop=false --out "$work/long" --json >"$work/long.json" 2>/dev/null &
run=$!
for _ in 1 2 3 4 5 6 7; do
  sleep 1.5
  grep VmRSS "/proc/$run/status"
done
kill -INT $run
wait $run
tail -n 1 "$work/long.json"

train() { "$nnc" train $model --set epochs=12 --set stop=false --out "$work/$1" --json "${@:2}" 2>/dev/null; }
echo "== weights of an unbroken run, of one killed and resumed, of one interrupted and resumed"
train whole >/dev/null
train killed >/dev/null &
sleep 1.6
kill -9 $! || true
wait $! 2>/dev/null || true
train killed --resume >/dev/null
train broken >/dev/null &
sleep 1.6
kill -INT $! || true
wait $! || true
train broken --resume >/dev/null
sha256sum "$work"/{whole,killed,broken}/weights.safetensors | cut -d' ' -f1

echo "== accuracy by nnc eval, and by a program that links the runtime alone"
"$nnc" build $model -o "$work/digits.nna" >/dev/null 2>&1
"$nnc" eval $model --weights "$work/whole/weights.safetensors" --json
"$classify" "$work/digits.nna" "$work/whole/weights.safetensors" models >"$work/classes"
python3 - "$work/classes" <<'P'
import gzip, sys
labels = gzip.open("data/digits/t10k-labels-idx1-ubyte.gz").read()[8:]
classes = [int(line) for line in open(sys.argv[1])]
print(len(classes), sum(c == l for c, l in zip(classes, labels)) / len(labels))
P
