"""The rounding kernel: how digits that are rounded one by one act together on what the picture is worth.

Rounding a digit the other way changes the gradient of its neighbours.  That answer is nearly the same everywhere, so
that one 3x3 kernel over the digits around stands for it, whatever the picture and the depths of its cells.
`ltokc.train.rounding.fit` fits it to a finished model; `ltokc.rate.rounding` rounds with it.  Files do not depend
on it.

Only the levels of strides 16 and 8 take part.  They are *folded*: a token of stride 8 counts as channels of the square
of stride 16 that it lies in, so that all are channels of one grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltokc.errors import ModelError
from ltokc.geometry import Level
from ltokc.tokenizer.gradient import STRIDE

FILE = "rounding.safetensors"
MAX_BYTES = 1 << 26


def channels_of(level: Level) -> int:
    """Channels that a level takes when it is folded; 0: it does not take part."""
    return level.digits * (STRIDE // level.stride) ** 2 if level.stride <= STRIDE else 0


def folded_channels(levels: Sequence[Level]) -> int:
    """Channels of all levels together."""
    return sum(map(channels_of, levels))


@dataclass(frozen=True, slots=True)
class RoundingKernel:
    """weight: (n, n, 3, 3) float32, n the folded channels, symmetric: weight[i, j, y, x] = weight[j, i, 2 - y, 2 - x].

    A step of one of digit j changes the gradient of digit i by weight[i, j, y, x] over the pixels of the picture, the
    gradient being that of `ltokc.metrics.look.loss_gradient`.  y and x place the square of digit j about that
    of digit i, 1 being the same.
    peaks: float32 (places,), of the gradient on its way back (`ltokc.train.export.eight_bit_graph`), if measured.
    """

    weight: npt.NDArray[np.float32]
    peaks: npt.NDArray[np.float32] | None = None

    @property
    def zeros(self) -> float:
        """Share of the numbers that are zero."""
        return float((self.weight == 0).mean())

    @classmethod
    def load(cls, path: Path, levels: Sequence[Level]) -> RoundingKernel:
        """Reads `rounding.safetensors`.  Raises ModelError for a file that is damaged or made for other levels."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError("it is too large")
            tensors = load_file(path)
            weight, peaks = tensors["weight"].astype(np.float32), tensors.get("peaks")
            n = folded_channels(levels)
            if weight.shape != (n, n, 3, 3):
                raise ValueError(f"shape {weight.shape} does not fit the levels, which take {n} channels")
            if not np.isfinite(weight).all():
                raise ValueError("not all of its numbers are finite")
            if peaks is not None and not (np.isfinite(peaks) & (peaks > 0)).all():
                raise ValueError("not all of its peaks are above zero")
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelError(f"{path.name} cannot be used ({error})") from error
        return cls(weight, peaks)

    def save(self, path: Path, about: dict[str, str]) -> None:
        """Writes the weight as float16, with `about` as metadata."""
        from safetensors.numpy import save_file

        tensors = {"weight": self.weight.astype(np.float16)}
        save_file(tensors | ({} if self.peaks is None else {"peaks": self.peaks}), path, about)
