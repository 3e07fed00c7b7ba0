"""Networks whose hidden layers are in 8-bit integers: their graphs, and when a processor is right to run them.

Inside a block the 3x3 convolution and what lies around it are counted in 255 steps; all else stays in floating point.
How large each unit gets was measured on pictures (`ltokc models quantize`), and is part of the graphs.
Pixels of such a decoder are of the *fast* class of formats/LTK.md.
"""

from __future__ import annotations

from pathlib import Path

from ltokc.tokenizer.gradient import FORWARD
from ltokc.tokenizer.runtime import DETOKENIZER, TOKENIZER

FILE = "eight-bit.safetensors"  # what was measured
GRAPHS = {name: f"{name}8" for name in (TOKENIZER, DETOKENIZER, FORWARD)}  # graph -> its twin in integers
FILES = tuple(f"{name}.onnx" for name in GRAPHS.values())


def file_of(folder: Path, graph: str, fast: bool) -> str:
    """The file of a graph in a model's folder; fast: its twin in integers will do, if the model has one."""
    twin = folder / f"{GRAPHS.get(graph, graph)}.onnx"
    return twin.name if fast and twin.exists() else f"{graph}.onnx"
