"""Silent units: channels of a block's 3x3 convolution that its ReLU lets pass on no picture.

Training leaves some behind.  They compute for nothing, so that graphs that encode do without them: any choice of tokens
makes a good file, even if such a unit fired after all.  A decoder has to do the same everywhere with any digits that a
file may hold, and keeps all of its units.

`ltokc models prune` finds them, and says so in the metadata of `model.safetensors`, in its `config` as `silent`: blocks
and the numbers of their silent channels.  Tensors stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ltokc.errors import ModelError

KEY = "silent"
Silent = Mapping[str, tuple[int, ...]]  # block -> numbers of channels, rising


def silent_units(header: Mapping[str, Any]) -> Silent:
    """What the header of a weights file says of them; nothing where it says nothing.

    Raises ModelError for a block that is not there, and for numbers that are none of its channels.
    """
    try:
        said = json.loads(header.get("__metadata__", {}).get("config", "{}")).get(KEY, {})
        return {name: _checked(channels, header[f"{name}.b.weight"]["shape"][0]) for name, channels in said.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError("the weights do not have the units that are said to be silent") from error


def with_silent(config: str, silent: Silent) -> str:
    """The JSON of a network's config that says which units are silent."""
    return json.dumps(json.loads(config) | {KEY: silent}, sort_keys=True)


def awake_units(header: Mapping[str, Any], silent: Silent, block: str) -> list[int] | None:
    """Numbers of a block's channels that may fire; None: all."""
    quiet = set(silent.get(block, ()))
    return [i for i in range(header[f"{block}.b.weight"]["shape"][0]) if i not in quiet] if quiet else None


def _checked(channels: list[int], count: int) -> tuple[int, ...]:
    out = tuple(channels)
    if not all(type(i) is int and 0 <= i < count for i in out) or list(out) != sorted(set(out)):
        raise ValueError("not numbers of channels")
    return out
