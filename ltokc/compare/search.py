"""The rival's file at the same bytes, and at the same quality: two searches over its qualities, on one memory.

Nothing is encoded or scored twice: the second search starts where the first one ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image

from ltokc.compare.codecs import Codec, Downscaled, make_codec
from ltokc.compare.records import EqualQuality, FileRecord, Rival, Scores
from ltokc.compare.scores import LOWER_IS_BETTER, Scorer
from ltokc.metrics.fidelity import bits_per_pixel

VARIANTS = ("", "_half", "_quarter")  # tried in this order, the next only where the one before does not go low enough


class QualitySteps:
    """The qualities of one codec on one picture, smallest file first; files and scores are kept."""

    def __init__(self, codec: Codec, image: Image.Image, scorer: Scorer):
        self.codec, self.image, self.scorer = codec, image, scorer
        self.last = len(codec.steps) - 1
        self.scale = codec.factor if isinstance(codec, Downscaled) else 1
        self._data: dict[int, bytes] = {}
        self._pixels: dict[int, Image.Image] = {}
        self._values: dict[tuple[int, str], float | None] = {}

    def data(self, step: int) -> bytes:
        """The file of a step."""
        if step not in self._data:
            self._data[step] = self.codec.encode(self.image, self.codec.steps[step])
        return self._data[step]

    def decoded(self, step: int) -> Image.Image:
        """The picture in it, at the size of the original."""
        return self.codec.decode(self.data(step))

    def score(self, step: int, metric: str) -> float:
        """One metric, turned so that more is better; worse than everything where it cannot be had."""
        key = (step, metric)
        if key not in self._values:
            self._values[key] = self.scorer.score_one(metric, self.decoded(step))
        value = self._values[key]
        if value is None:
            return -math.inf
        return -value if metric in LOWER_IS_BETTER else value

    def record(self, step: int) -> FileRecord:
        """The file of a step with all its metrics."""
        data, codec = self.data(step), self.codec
        known = {metric: value for (s, metric), value in self._values.items() if s == step}
        scores = self.scorer.scores(self.decoded(step), known)
        self._values.update({(step, metric): scores.get(metric) for metric in Scores.__slots__})
        bpp = bits_per_pixel(len(data), *self.image.size)
        return FileRecord(codec.name, codec.label, len(data), bpp, scores, codec.steps[step], self.scale, data)

    def step_of_bytes(self, limit: int) -> int | None:
        """The last step whose file has at most `limit` bytes; None where the first one has more."""
        larger = first_at_least(lambda step: math.log(len(self.data(step))), math.log(limit + 0.5), self.last)
        return larger - 1 if larger else None

    def step_of_quality(self, metric: str, wanted: float, start: int) -> int | None:
        """The first step that is not worse than `wanted` (more is better); None where the last step is worse."""
        step = first_at_least(lambda step: self.score(step, metric), wanted, self.last, start)
        return step if step <= self.last else None


def first_at_least(value: Callable[[int], float], wanted: float, last: int, start: int = 0) -> int:
    """The first of the steps 0..last whose value is `wanted` or more, last + 1 where none is; values rise.

    Widening strides from `start` until the place is bracketed; then guesses on a line between the ends of the bracket,
    every third one its middle, so that few values are needed where they rise evenly and log2(last) suffice always.
    """
    low, high = -1, last + 1
    values: dict[int, float] = {}
    probe, stride, guesses = min(max(start, 0), last), 4, 0
    while high - low > 1:
        values[probe] = value(probe)
        low, high = (low, probe) if values[probe] >= wanted else (probe, high)
        if low in values and high in values:
            guesses += 1
            rise = values[high] - values[low]
            even = guesses % 3 == 0 or not math.isfinite(rise) or rise <= 0
            share = 0.5 if even else (wanted - values[low]) / rise
            probe = low + int(share * (high - low))
        else:
            probe, stride = (probe - stride if high == probe else probe + stride), stride * 2
        probe = max(low + 1, min(high - 1, probe))
    return high


def compare_rival(
    name: str, image: Image.Image, scorer: Scorer, limit: int, metric: str, wanted: float | None
) -> Rival:
    """Searches one rival (a name of `codecs`, with or without a variant) both ways.

    image: RGB original; limit: bytes of our file; metric, wanted: its quality by a name in METRICS (None: unknown, then
    only bytes are searched).  Where the rival's smallest file is too large (too good), the picture is downscaled by 2,
    then by 4, with Lanczos.  Raises UsageError for an unknown name.
    """
    codecs = [make_codec(name)] if "_" in name else [make_codec(name + variant) for variant in VARIANTS]
    scales = [QualitySteps(codec, image, scorer) for codec in codecs]
    starts = [scales[0].step_of_bytes(limit)]
    while starts[-1] is None and len(starts) < len(scales):
        starts.append(scales[len(starts)].step_of_bytes(limit))
    same_bytes = scales[len(starts) - 1].record(starts[-1] or 0)
    below = 1 - same_bytes.bytes / limit
    if wanted is None:
        equal = EqualQuality(metric, None, None)
    else:
        equal = equal_quality(scales, [start or 0 for start in starts], metric, wanted)
    return Rival(name, codecs[0].label, same_bytes, below, equal)


def equal_quality(scales: Sequence[QualitySteps], starts: Sequence[int], metric: str, wanted: float) -> EqualQuality:
    """The smallest file that is not worse than `wanted` by a metric (its own sense).

    scales: one rival at full, half and quarter size; starts: the step at which the search begins at each.  The picture
    is downscaled only where the smallest file before was still better than wanted.
    """
    target = -wanted if metric in LOWER_IS_BETTER else wanted
    best: tuple[QualitySteps, int] | None = None
    bound = False
    for i, steps in enumerate(scales):
        step = steps.step_of_quality(metric, target, starts[i] if i < len(starts) else 0)
        if step is None:
            break
        if best is None or len(steps.data(step)) < len(best[0].data(best[1])):
            best = steps, step
            bound = step == 0 and steps.score(0, metric) > target
        if step > 0 or steps.score(0, metric) <= target:
            break
    if best is None:
        return EqualQuality(metric, None, None)
    steps, step = best
    return EqualQuality(metric, steps.record(step), _exact_bytes(steps, step, metric, target), bound)


def _exact_bytes(steps: QualitySteps, step: int, metric: str, target: float) -> float:
    """Bytes at exactly `target`, between a step that reaches it and the one before, linear in log bytes."""
    above, size = steps.score(step, metric), len(steps.data(step))
    if step == 0 or not math.isfinite(above):
        return size
    below, smaller = steps.score(step - 1, metric), len(steps.data(step - 1))
    if not below < target <= above:
        return size
    share = (target - below) / (above - below)
    return float(smaller * (size / smaller) ** share)
