"""The header of a weights file, read without any library: sizes of the network and where its tensors lie."""

from __future__ import annotations

import json
import struct
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltokc.errors import ModelError
from ltokc.geometry import Level

if TYPE_CHECKING:
    from ltokc.tokenizer.receptive_field import ReceptiveField

WEIGHTS = "model.safetensors"
MAX_HEADER = 10 << 20
PRIOR_KIND = 1  # the network of formats/LTK.md, section 5; weights that say nothing are of this kind


class Weights:
    """A .safetensors file of a model.  Its header is read once, when first asked for; all raise ModelError."""

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def header(self) -> dict[str, Any]:
        """The JSON header: name -> {"dtype", "shape", "data_offsets"}, and "__metadata__"."""
        name = self.path.name
        try:
            with open(self.path, "rb") as f:
                (size,) = struct.unpack("<Q", f.read(8))
                if size > MAX_HEADER:
                    raise ModelError(f"{name} is damaged: its header claims {size} bytes")
                header = json.loads(f.read(size))
        except (OSError, struct.error, ValueError) as error:
            raise ModelError(f"cannot read {name}: {error}") from error
        if not isinstance(header, dict):
            raise ModelError(f"{name} is damaged: its header is no object")
        return header

    @cached_property
    def config(self) -> dict[str, Any]:
        """Sizes of the tokenizer (`ltokc.tokenizer.nn.config.LadderConfig` as a dict)."""
        try:
            config = json.loads(self.header["__metadata__"]["config"])
            config["levels"] = list(config["levels"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.path.name} says nothing of the sizes of its network") from error
        return config

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The levels of tokens, coarse to fine."""
        try:
            return tuple(Level(level["stride"], level["digits"], level["size"]) for level in self.config["levels"])
        except (KeyError, TypeError) as error:
            raise ModelError(f"{self.path.name} says nothing of the levels of its tokens") from error

    @property
    def prior_kind(self) -> int:
        """Which network the prior is."""
        return self.config.get("prior_kind", PRIOR_KIND)

    @cached_property
    def field(self) -> ReceptiveField:
        """How far the networks look."""
        from ltokc.tokenizer.receptive_field import receptive_field

        return receptive_field(self.header, [level.stride for level in self.levels])
