"""What a comparison is asked to do: its keywords as callers write them, and the record that they become.

This module loads neither numpy nor Pillow, so that a command line can name the rivals without them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from ltokc.container import DEFAULT_LIMIT_PIXELS

RIVALS = ("jpeg", "webp", "avif", "jxl")  # every codec that ours is compared with, by its name in `codecs`
VERSUS = ("jpeg", "webp", "avif")  # those of a report: what Pillow alone can write


class CompareOptions(TypedDict, total=False):
    """Keywords of `compare_picture` and `batch_rows`.

    versus: names of `ltokc.compare.codecs`, the rivals searched to the first file.
    metric: a name of `ltokc.compare.scores.METRICS`, by which rivals are made equal in quality.  None: SSIMULACRA2
      where both sides have 8 pixels, else MS-SSIM, else PSNR.
    lpips: path of LPIPS weights (SqueezeNet, .safetensors).  None: no LPIPS.
    curve: also measure our codec and the rivals at the qualities `ltokc.compare.picture.CURVES`.
    views: keep pictures for the report.
    limit_pixels: the largest picture that is decoded, in pixels.  None: no limit.
    how: backend and device of our networks, as `ltokc.decode` takes them.
    generated: also each .ltk file as the generative decoder draws it, seed 0, behind the faithful picture.
    """

    versus: Sequence[str]
    metric: str | None
    lpips: str | os.PathLike[str] | None
    curve: bool
    views: bool
    limit_pixels: int | None
    how: Mapping[str, Any] | None
    generated: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """`CompareOptions` with every default filled in.  A keyword that is none of them is a TypeError."""

    versus: Sequence[str] = ()
    metric: str | None = None
    lpips: str | os.PathLike[str] | None = None
    curve: bool = False
    views: bool = True
    limit_pixels: int | None = DEFAULT_LIMIT_PIXELS
    how: Mapping[str, Any] | None = field(default_factory=dict)
    generated: bool = False

    @property
    def networks(self) -> dict[str, Any]:
        """Keywords for `ltokc.encode` and `ltokc.decode` that say where our networks run."""
        return dict(self.how or {})
