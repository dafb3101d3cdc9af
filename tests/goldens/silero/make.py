"""Weights and numbers for tests/tests/silero.rs: Silero VAD's ONNX file as onnxruntime runs it on a sentence.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install numpy onnx onnxruntime safetensors silero-vad==6.2.3
    pip download --no-binary :all: --no-deps pocketsphinx==5.1.1   # for the recording; unpack it
    /tmp/golden/bin/python make.py pocketsphinx-5.1.1/test/data/librivox/sense_and_sensibility_01_austen_64kb-0880.wav

The weights are the 15 tensors within the ONNX file, under the names of the package's own `silero_vad_16k.safetensors`.
That file has the same names and shapes, but is of another training: between the two, probabilities differ by 0.17.
"""

import importlib.util
import sys
import wave
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file, save_file

FOLDER = Path(__file__).resolve().parent
MODELS = Path(importlib.util.find_spec("silero_vad").origin).parent / "data"
FRAME, CONTEXT, WIDTH = 512, 64, 128


def weights():
    """The tensors of the one-rate ONNX file by the names of the safetensors file, which lists them in the same order."""
    named = load_file(MODELS / "silero_vad_16k.safetensors")
    found = onnx.load(MODELS / "silero_vad_16k_op15.onnx").graph.initializer
    tensors = dict(zip(named, (onnx.numpy_helper.to_array(tensor) for tensor in found), strict=True))
    for name, tensor in tensors.items():
        assert tensor.shape == named[name].shape, name
    return tensors


def frames(path):
    """A recording of 16 kHz as frames, the last one filled up with zeros."""
    with wave.open(path) as recording:
        assert recording.getparams()[:3] == (1, 2, 16000), recording.getparams()
        samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16).astype(np.float32) / 32768
    filled = np.zeros(-(-len(samples) // FRAME) * FRAME, np.float32)
    filled[: len(samples)] = samples
    return filled.reshape(-1, FRAME)


def speech(frames):
    """What the package's `silero_vad.onnx` says of each frame, one call a frame, and its last state."""
    session = onnxruntime.InferenceSession(MODELS / "silero_vad.onnx", providers=["CPUExecutionProvider"])
    state = np.zeros((2, 1, WIDTH), np.float32)
    context = np.zeros((1, CONTEXT), np.float32)
    said = []
    for frame in frames:
        heard = np.concatenate([context, frame[None]], axis=1)
        probability, state = session.run(None, {"input": heard, "state": state, "sr": np.array(16000, np.int64)})
        context = heard[:, -CONTEXT:]
        said.append(probability[0, 0])
    return np.array(said, np.float32), state


def main():
    heard = frames(sys.argv[1])
    said, state = speech(heard)
    nothing = np.zeros((1, WIDTH), np.float32)
    save_file(weights(), FOLDER / "silero_vad.safetensors")
    save_file({"audio": heard[None], "h": nothing, "c": nothing}, FOLDER / "sentence.safetensors")
    expected = {"speech": said[None], "hn": state[0], "cn": state[1]}
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in expected.items()}, FOLDER / "speech.safetensors")


main()
