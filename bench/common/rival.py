"""AVIF files of one picture at the bytes or the look of another codec's file, each made and looked at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from ltokc.compare.codecs import Avif, fit
from ltokc.metrics.ssimulacra2 import Reference

BEST = 100  # highest quality


@dataclass(slots=True)
class Rival:
    """AVIF files of one picture, each made and looked at once."""

    image: Image.Image
    reference: Reference
    files: dict[int, bytes] = field(default_factory=dict)
    looks: dict[int, float] = field(default_factory=dict)

    def file(self, quality: int) -> bytes:
        if quality not in self.files:
            self.files[quality] = Avif().encode(self.image, quality)
        return self.files[quality]

    def look(self, quality: int) -> float:
        if quality not in self.looks:
            self.looks[quality] = self.reference.score(np.asarray(Avif().decode(self.file(quality))))
        return self.looks[quality]

    def of_size(self, limit: int) -> tuple[Image.Image, int, str]:
        """The picture, size and codec of the best file of at most `limit` bytes."""
        quality = _last(lambda quality: len(self.file(quality)) <= limit)
        if quality is None:
            rival, found = fit("avif_half", self.image, limit)
            return rival.decode(found.data), len(found.data), rival.name
        return Avif().decode(self.file(quality)), len(self.file(quality)), "avif"

    def as_good(self, look: float) -> int | None:
        """Bytes of the smallest file that looks at least so good; None: no quality does."""
        worse = _last(lambda quality: self.look(quality) < look)
        if worse == BEST:
            return None
        return len(self.file(0 if worse is None else worse + 1))

    def bytes_at(self, look: float) -> float | None:
        """Bytes at a look: between two neighbouring qualities by the logarithm; None: outside of what there is."""
        worse = _last(lambda quality: self.look(quality) < look)
        if worse is None or worse == BEST:
            return None
        share = (look - self.look(worse)) / (self.look(worse + 1) - self.look(worse))
        low, high = (math.log(len(self.file(quality))) for quality in (worse, worse + 1))
        return math.exp(low + share * (high - low))


def _last(holds: Callable[[int], bool]) -> int | None:
    """The last quality for which something holds that holds up to one; None: for none."""
    low, high = 0, BEST + 1
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            low = middle + 1
        else:
            high = middle
    return low - 1 if low else None
