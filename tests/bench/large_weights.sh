#!/usr/bin/env bash
# A network with 3 GiB of weights, used on the software driver within a weight budget of 512 MiB.
#
#   tests/bench/large_weights.sh NNC [WIDTH [LAYERS]]      from the repository's root; 4096 and 48 without them
#
# NNC is the command, built for release. Model, weights and inputs are made in a temporary folder, which needs as much
# room and is removed at the end. First the same network with an eighth of the width is run with all weights on the
# device and with an eighth of them: the outputs must be the same bytes. Then the large one; printed are its seconds and
# the most memory that the process had (the memory of the software driver's device is the process's own).
set -euo pipefail
nnc=$1
width=${2:-4096}
layers=${3:-48}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# make WIDTH: DIR/WIDTH.nn, DIR/WIDTH.safetensors with weights and DIR/WIDTH.x.safetensors with two examples.
make() {
  cat >"$folder/$1.nn" <<N
model Deep(x: f32[N, $1]) -> y: f32[N, 16] {
  x -> repeat $layers { linear($1) -> relu } -> linear(16)
}
N
  "$nnc" weights "$folder/$1.nn" --json >"$folder/$1.jsonl"
  python3 - "$folder/$1" "$1" <<'P'
import array, json, random, struct, sys
path, width = sys.argv[1], int(sys.argv[2])
random.seed(width)
# Uniform with the variance 2 / width, which keeps the size of what goes through a layer. The block's length has no
# factor in common with a row's, so that no two rows of a matrix are alike.
limit = (6 / width) ** 0.5
block = array.array("f", (random.uniform(-limit, limit) for _ in range(262_147))).tobytes()

def write(path, tensors):
    head, end = {}, 0
    for name, shape in tensors:
        count = 4
        for extent in shape:
            count *= extent
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + count]}
        end += count
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        left = end
        while left > 0:
            left -= file.write(block[:left])
    return end

rows = [json.loads(line) for line in open(path + ".jsonl")]
size = write(path + ".safetensors", [(row["name"], row["shape"]) for row in rows])
write(path + ".x.safetensors", [("x", [2, width])])
print(f"width {width}: {size / 2**20:.0f} MiB of weights")
P
}

# use WIDTH OUT [ARGUMENT ..]: the outputs of the network.
use() {
  local name=$1 out=$2
  shift 2
  /usr/bin/time -f '%e %M' -o "$folder/time" "$nnc" run "$folder/$name.nn" --device cpu \
    --weights "$folder/$name.safetensors" --input "$folder/$name.x.safetensors" --output "$folder/$out" "$@" \
    2>"$folder/said" || { cat "$folder/said" >&2; exit 1; }
}

small=$((width / 8))
make "$small"
budget=$((small * small * 4 * layers / 8))
use "$small" kept
use "$small" loaded --weight-budget "$budget"
cmp "$folder/kept" "$folder/loaded"
echo "width $small: the same bytes with all weights on the device and with $budget bytes of them"

make "$width"
use "$width" large --weight-budget 512MiB
read -r seconds kib <"$folder/time"
python3 - "$folder/large" <<'P'
import json, math, struct, sys
data = open(sys.argv[1], "rb").read()
start = 8 + struct.unpack("<Q", data[:8])[0]
values = struct.unpack(f"<{(len(data) - start) // 4}f", data[start:])
if not all(map(math.isfinite, values)) or len(set(values)) < len(values) // 2:
    sys.exit(f"these are no outputs: {values}")
P
echo "width $width: $seconds s, at most $((kib / 1024)) MiB resident, with --weight-budget 512MiB"
