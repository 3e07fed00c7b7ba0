"""Every metric of a decoded picture against its original: bytes, PSNR, MS-SSIM, LPIPS (SqueezeNet), SSIMULACRA2.

Higher is better for all but LPIPS.  A metric that cannot be had (no weights given, a package that is not installed,
a picture too small) is None.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ltokc.metrics import MS_SSIM_LEAST_SIDE, bits_per_pixel, ms_ssim, psnr

METRICS = ("ssimulacra2", "ms_ssim", "psnr", "lpips_squeeze")
LABELS = {"ssimulacra2": "SSIMULACRA2", "ms_ssim": "MS-SSIM", "psnr": "PSNR", "lpips_squeeze": "LPIPS-SqueezeNet"}
LOWER_IS_BETTER = frozenset({"lpips_squeeze"})
LPIPS_LEAST_SIDE = 32
SSIMULACRA2_LEAST_SIDE = 8


class Lpips:
    """LPIPS on SqueezeNet features with weights from a file; the features of the reference are computed once."""

    def __init__(self, weights: str | Path):
        from ltokc.train.lpips import LPIPS

        self.model = LPIPS(weights).eval()

    def features(self, rgb: np.ndarray) -> list[Any]:
        """Raw taps of an (H, W, 3) uint8 picture."""
        import torch

        pixels = torch.from_numpy(rgb.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        with torch.no_grad():
            return self.model.raw_taps(pixels)

    def distance(self, a: list[Any], b: list[Any]) -> float:
        import torch

        with torch.no_grad():
            return float(self.model.distance(a, b))


class Reference:
    """One original; `score` judges decoded pictures against it."""

    def __init__(self, image: Image.Image, lpips: Lpips | None = None):
        self.rgb = np.asarray(image.convert("RGB"))
        least = min(self.rgb.shape[:2])
        self.lpips = lpips if least >= LPIPS_LEAST_SIDE else None
        self.features = self.lpips.features(self.rgb) if self.lpips else []
        self.structural = least >= MS_SSIM_LEAST_SIDE
        self.ssimulacra2 = _ssimulacra2_reference(self.rgb) if least >= SSIMULACRA2_LEAST_SIDE else None

    def score(self, decoded: Image.Image, size: int) -> dict[str, float | int | None]:
        """All metrics of a picture decoded from `size` bytes: bytes, bpp and the names in METRICS."""
        rgb = np.asarray(decoded.convert("RGB"))
        height, width = self.rgb.shape[:2]
        return {
            "bytes": size,
            "bpp": bits_per_pixel(size, width, height),
            "psnr": psnr(self.rgb, rgb),
            "ms_ssim": ms_ssim(self.rgb, rgb) if self.structural else None,
            "lpips_squeeze": self.lpips.distance(self.lpips.features(rgb), self.features) if self.lpips else None,
            "ssimulacra2": self.ssimulacra2.score(rgb) if self.ssimulacra2 else None,
        }


def _ssimulacra2_reference(rgb: np.ndarray) -> Any:
    if importlib.util.find_spec("ssimulacra2") is None:
        return None
    from bench.ssimulacra2 import Reference as Ssimulacra2Reference

    return Ssimulacra2Reference(rgb)
