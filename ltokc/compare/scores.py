"""Every metric of a decoded picture against its original: bytes, PSNR, MS-SSIM, LPIPS (SqueezeNet), SSIMULACRA2.

Higher is better for all but LPIPS.  A metric that cannot be had (no weights given, a picture too small) is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ltokc.compare.records import Scores
from ltokc.errors import UsageError
from ltokc.metrics.fidelity import MS_SSIM_LEAST_SIDE, bits_per_pixel, ms_ssim, psnr
from ltokc.metrics.ssimulacra2 import LEAST_SIDE
from ltokc.metrics.ssimulacra2 import Reference as Ssimulacra2Reference

METRICS = ("ssimulacra2", "ms_ssim", "psnr", "lpips_squeeze")
LABELS = {"ssimulacra2": "SSIMULACRA2", "ms_ssim": "MS-SSIM", "psnr": "PSNR", "lpips_squeeze": "LPIPS-SqueezeNet"}
SHORT = LABELS | {"lpips_squeeze": "LPIPS"}  # for narrow tables
DIGITS = {"ssimulacra2": 1, "ms_ssim": 3, "psnr": 2, "lpips_squeeze": 3}  # behind the point, for people
IN_THE_LOSS = frozenset({"psnr", "ms_ssim", "lpips_squeeze"})  # our networks were trained on these or forms of them
LOWER_IS_BETTER = frozenset({"lpips_squeeze"})
LPIPS_LEAST_SIDE = 32


class Lpips:
    """LPIPS on SqueezeNet features with weights from a file; the features of the reference are computed once.

    Raises UsageError: torch is not installed, or the file holds no such weights.
    """

    def __init__(self, weights: str | Path):
        try:
            from ltokc.losses.lpips import LPIPS
        except ImportError as error:
            raise UsageError('LPIPS needs torch: pip install "ltokc[train]"') from error
        try:
            self.model = LPIPS(weights).eval()
        except Exception as error:  # a missing file, another format, tensors of other names and shapes
            raise UsageError(f"{weights}: no LPIPS weights ({' '.join(str(error).split())[:120]})") from error

    def features(self, rgb: np.ndarray) -> list[Any]:
        """Raw taps of an (H, W, 3) uint8 picture."""
        return self.model.raw_taps_of(rgb)

    def distance(self, a: list[Any], b: list[Any]) -> float:
        """LPIPS of the taps of two pictures; 0 is equal."""
        return self.model.distance_of(a, b)


class Scorer:
    """Scores decoded pictures against one original (RGB); what of the original all scores need is computed once."""

    def __init__(self, image: Image.Image, lpips: Lpips | None = None):
        self.rgb = np.asarray(image.convert("RGB"))
        least = min(self.rgb.shape[:2])
        self.lpips = lpips if least >= LPIPS_LEAST_SIDE else None
        self.features = self.lpips.features(self.rgb) if self.lpips else []
        self.structural = least >= MS_SSIM_LEAST_SIDE
        self.ssimulacra2 = Ssimulacra2Reference(self.rgb) if least >= LEAST_SIDE else None

    def score_one(self, metric: str, decoded: Image.Image) -> float | None:
        """One metric (a name in METRICS) of a picture of the same size; None where it cannot be had."""
        rgb = np.asarray(decoded.convert("RGB"))
        if metric == "psnr":
            return psnr(self.rgb, rgb)
        if metric == "ms_ssim":
            return ms_ssim(self.rgb, rgb) if self.structural else None
        if metric == "ssimulacra2":
            return self.ssimulacra2.score(rgb) if self.ssimulacra2 else None
        if metric == "lpips_squeeze":
            return self.lpips.distance(self.lpips.features(rgb), self.features) if self.lpips else None
        raise UsageError(f"no metric '{metric}': there are {', '.join(METRICS)}")

    def scores(self, decoded: Image.Image, known: Mapping[str, float | None] | None = None) -> Scores:
        """All metrics; those in `known` are taken from there."""
        known = known or {}
        values = {m: known[m] if m in known else self.score_one(m, decoded) for m in METRICS}
        return Scores(**values)

    def score(self, decoded: Image.Image, size: int) -> dict[str, float | int | None]:
        """All metrics of a picture decoded from `size` bytes: bytes, bpp and the names in METRICS."""
        height, width = self.rgb.shape[:2]
        return {"bytes": size, "bpp": bits_per_pixel(size, width, height), **asdict(self.scores(decoded))}

    def best_metric(self) -> str:
        """The metric that quality is made equal by: SSIMULACRA2 where it can be had, else MS-SSIM, else PSNR."""
        return "ssimulacra2" if self.ssimulacra2 else "ms_ssim" if self.structural else "psnr"
