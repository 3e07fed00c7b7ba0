"""Pictures of several windows and segments without their size: the default model cuts up small pictures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ltokc.tokenizer.windows import TILING
from ltokc.zoo.model import open_model


def small_tiling(monkeypatch: pytest.MonkeyPatch, **changes: int) -> None:
    """Changes `Tiling` of the default model: one_segment, segment, whole, core."""
    monkeypatch.setattr(open_model(), "tiling", replace(TILING, **changes))


def small_segments(monkeypatch: pytest.MonkeyPatch, cells: int = 8) -> None:
    """Pictures of more than `cells` cells have segments of 8x8 cells."""
    small_tiling(monkeypatch, one_segment=cells, segment=8)
