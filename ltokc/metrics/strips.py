"""Rows of a picture that are worked on at a time: what is computed of them stays in the processor's cache."""

from __future__ import annotations

STRIP_PIXELS = 1 << 14  # BLAS starts no threads for so few, which would only wait for each other


def row_strips(shape: tuple[int, ...]) -> list[slice]:
    """Strips of a picture of (H, W, ...), from the top: an even number of rows each, but for the last one."""
    step = max(2, STRIP_PIXELS // shape[1] // 2 * 2)
    return [slice(top, min(top + step, shape[0])) for top in range(0, shape[0], step)]
