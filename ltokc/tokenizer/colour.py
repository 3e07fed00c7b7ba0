"""How the coarse digits move the colour of large areas: a linear model of a decoder, for the encoder alone.

One digit more at one position changes the means of the 16x16 areas around it by nearly the same amounts wherever it
is (`ltokc.train.colour` fits them to decodes).  Rate control chooses digits by it (`ltokc.rate.colour`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ltokc.errors import ModelError
from ltokc.geometry import Level
from ltokc.metrics.colour import SIDE
from ltokc.tokenizer.tensors import read_tensors

if TYPE_CHECKING:
    from pathlib import Path

FILE = "colour.safetensors"
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LevelResponse:
    """What digits of one level do, whose tokens have a side of `s` areas of 16x16 pixels.

    kernels: (digits, 3 s, 3 s, 3), change of red, green, blue in each area of the position and its eight neighbours;
    texture: (digits, 3), summed over areas: squared change of luma and of the two colour differences inside them, and
    of red, green, blue in their means that is not as the kernel has it;
    bits: (digits, size), of each value on the average.
    """

    kernels: Floats
    texture: Floats
    bits: Floats

    @property
    def side(self) -> int:
        """Areas along a token's side."""
        return self.kernels.shape[1] // 3


@dataclass(frozen=True, slots=True)
class ColourResponse:
    """Of the levels with strides of 16 pixels and more."""

    levels: tuple[LevelResponse, ...]

    @classmethod
    def load(cls, path: Path, levels: Sequence[Level]) -> ColourResponse:
        """Raises ModelError on a file that is none of ours, or of a model with other levels."""
        tensors = read_tensors(path)
        found = []
        for k, level in enumerate(coarse(levels)):
            side = 3 * level.stride // SIDE
            shapes = {"kernels": (level.digits, side, side, 3), "texture": (level.digits, 3),
                      "bits": (level.digits, level.size)}  # fmt: skip
            parts = {name: tensors.get(f"{name}.{k}") for name in shapes}
            for name, array in parts.items():
                if array is None or array.shape != shapes[name] or not np.isfinite(array).all():
                    raise ModelError(f"{FILE} is damaged or of a model with other levels")
            found.append(LevelResponse(**{name: np.asarray(array, np.float32) for name, array in parts.items()}))
        return cls(tuple(found))

    def tensors(self) -> dict[str, np.ndarray]:
        """What `load` reads."""
        return {
            f"{name}.{k}": getattr(level, name)
            for k, level in enumerate(self.levels)
            for name in ("kernels", "texture", "bits")
        }


def coarse(levels: Sequence[Level]) -> list[Level]:
    """The levels whose tokens are no smaller than an area; they come first."""
    return [level for level in levels if level.stride >= SIDE]
