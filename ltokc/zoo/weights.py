"""The header of a weights file, read without any library: sizes of the network and where its tensors lie."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from ltokc.errors import ModelError

MAX_HEADER = 10 << 20


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a .safetensors file.  Raises ModelError."""
    try:
        with open(path, "rb") as f:
            (size,) = struct.unpack("<Q", f.read(8))
            if size > MAX_HEADER:
                raise ModelError(f"{path.name} is damaged: its header claims {size} bytes")
            header = json.loads(f.read(size))
    except (OSError, struct.error, ValueError) as error:
        raise ModelError(f"cannot read {path.name}: {error}") from error
    if not isinstance(header, dict):
        raise ModelError(f"{path.name} is damaged: its header is no object")
    return header


def read_config(path: Path) -> dict[str, Any]:
    """Sizes of the tokenizer (`ltokc.tokenizer.nn.config.LadderConfig` as a dict), from the metadata.  Raises
    ModelError.
    """
    try:
        return json.loads(read_header(path)["__metadata__"]["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path.name} says nothing of the sizes of its network") from error
