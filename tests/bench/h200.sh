#!/usr/bin/env bash
# The digits network on an NVIDIA GPU through Vulkan: every kernel against its meaning, then ms per training step
# beside PyTorch's in the same run, as one table of ratios.
#
#   tests/bench/h200.sh [NNC]      from the repository's root; NNC is the command, .bench/nnc without it
#
# `.bench/` holds what is brought along and not committed: a release build of the command. `.gl/` holds the Vulkan
# loader's Debian packages for a machine that has a driver and no loader. Results go to $OUT, or to runs/h200.
set -euo pipefail

nnc=${1:-.bench/nnc}
model=models/mnist.nn
out=${OUT:-runs/h200}
mkdir -p "$out"

if ! ldconfig -p | grep -q libvulkan && compgen -G '.gl/*.deb' >/dev/null; then
  for package in .gl/*.deb; do dpkg -x "$package" /; done
  ldconfig
fi
driver=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -e "$driver" ]; then export VK_DRIVER_FILES=$driver; fi
chmod +x "$nnc"

"$nnc" devices
echo "== verify"
verified=0
"$nnc" verify "$model" >"$out/verify.txt" 2>&1 || verified=$?
tail -n 25 "$out/verify.txt"
echo "verify ended with $verified"

echo "== bench"
python3 tests/bench/torch_digits.py >"$out/torch_1.jsonl"
for batch in 64 1024; do
  "$nnc" bench "$model" --batch "$batch" --steps 200 --json >"$out/nnc_$batch.jsonl"
done
"$nnc" bench "$model" --batch 64 --steps 200 --kernels >"$out/kernels.txt" 2>&1 || true
python3 tests/bench/torch_digits.py >"$out/torch_2.jsonl"
cat "$out/kernels.txt"
python3 tests/bench/table.py "$out"
exit "$verified"
