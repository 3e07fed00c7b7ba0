"""What a set of comparisons says together: bytes at equal quality, quality at equal bytes, mean curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ltokc.compare.records import CurvePoint, PictureComparison, Scores
from ltokc.compare.scores import LOWER_IS_BETTER, METRICS


@dataclass(frozen=True, slots=True)
class RivalSummary:
    """Ours against one rival over a set.

    ratio: our bytes over the rival's at equal quality, geometric mean over `pictures` pictures (0.7: 30 % fewer), None
    where no picture has it.  bounds: pictures among them where the rival's smallest file was still better than ours, so
    that it would need even less; missing: pictures left out, where its best file was worse.  better: pictures on which
    ours has the better score at equal bytes, of `compared`; below: how far the rival's files lie below ours in the
    mean, as a share; larger: pictures where the rival's smallest file is larger than ours; downscaled: pictures where
    it had to be downscaled.
    """

    name: str
    label: str
    metric: str
    ratio: float | None
    pictures: int
    bounds: int
    missing: int
    better: int
    compared: int
    below: float
    larger: int
    downscaled: int


def metric_of(pictures: Iterable[PictureComparison]) -> str | None:
    """The metric that quality was made equal by, the most frequent one; None without rivals."""
    found = Counter(rival.same_quality.metric for picture in pictures for rival in picture.rivals)
    return found.most_common(1)[0][0] if found else None


def summarize(pictures: Sequence[PictureComparison]) -> list[RivalSummary]:
    """One summary for each rival, in order of appearance."""
    metric = metric_of(pictures)
    names = dict.fromkeys(rival.name for picture in pictures for rival in picture.rivals)
    return [_summary(name, metric, pictures) for name in names] if metric else []


def _summary(name: str, metric: str, pictures: Sequence[PictureComparison]) -> RivalSummary:
    pairs = [(p, rival) for p in pictures for rival in p.rivals if rival.name == name]
    logs, bounds, missing, better, compared = [], 0, 0, 0, 0
    for picture, rival in pairs:
        equal = rival.same_quality
        if equal.metric == metric and equal.bytes is not None:
            logs.append(math.log(picture.ours.bytes / equal.bytes))
            bounds += equal.bound
        else:
            missing += 1
        ours, theirs = picture.ours.scores.get(metric), rival.same_bytes.scores.get(metric)
        if ours is not None and theirs is not None:
            compared += 1
            better += ours < theirs if metric in LOWER_IS_BETTER else ours > theirs
    return RivalSummary(
        name, pairs[0][1].label, metric, math.exp(sum(logs) / len(logs)) if logs else None, len(logs), bounds, missing,
        better, compared, sum(rival.below for _, rival in pairs) / len(pairs),
        sum(rival.below < 0 for _, rival in pairs), sum(rival.same_bytes.scale > 1 for _, rival in pairs),
    )  # fmt: skip


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Mean of each metric, None where one is missing or infinite."""

    def mean(metric: str) -> float | None:
        values = [s.get(metric) for s in scores]
        known = [v for v in values if v is not None and math.isfinite(v)]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    return Scores(**{metric: mean(metric) for metric in METRICS})


def mean_curves(pictures: Sequence[PictureComparison]) -> dict[str, list[CurvePoint]]:
    """Per codec the points at each quality, means over all pictures that have a curve, by rate."""
    groups: dict[tuple[str, float], list[CurvePoint]] = {}
    for point in (point for picture in pictures for point in picture.curve):
        groups.setdefault((point.codec, point.quality), []).append(point)
    curves: dict[str, list[CurvePoint]] = {}
    for (codec, quality), group in groups.items():
        size, bpp = sum(p.bytes for p in group) / len(group), sum(p.bpp for p in group) / len(group)
        mean = CurvePoint(codec, quality, round(size), bpp, mean_scores([p.scores for p in group]))
        curves.setdefault(codec, []).append(mean)
    return {codec: sorted(points, key=lambda p: p.bpp) for codec, points in curves.items()}
