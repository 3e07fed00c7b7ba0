"""Pictures through the networks, whole or in windows with a halo, so that memory stays bounded.

A window's core is 16x16 cells (1024x1024 px); the halo around it is context that is computed and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ltokc.prior import LevelShape
from ltokc.runtime import Runtime

CELL = 64
CORE, HALO = 16, 4  # cells
WHOLE = 2048 * 2048  # pictures of up to so many pixels (padded) go through in one piece

Progress = Callable[[int, int], None]


def windows(rows: int, columns: int) -> Iterator[tuple[slice, slice, slice, slice]]:
    """(y, x) of the core and (y, x) of core and halo, in cells, for a grid of cells."""
    if rows * columns * CELL * CELL <= WHOLE:
        yield slice(0, rows), slice(0, columns), slice(0, rows), slice(0, columns)
        return
    for y in range(0, rows, CORE):
        for x in range(0, columns, CORE):
            y1, x1 = min(rows, y + CORE), min(columns, x + CORE)
            yield (
                slice(y, y1), slice(x, x1),
                slice(max(0, y - HALO), min(rows, y1 + HALO)), slice(max(0, x - HALO), min(columns, x1 + HALO)),
            )  # fmt: skip


def scaled(cells: slice, factor: int, origin: int = 0) -> slice:
    """A range of cells as a range of a finer grid, counted from cell `origin`."""
    return slice((cells.start - origin) * factor, (cells.stop - origin) * factor)


def tokenize(
    runtime: Runtime,
    levels: Sequence[LevelShape],
    rgb: np.ndarray,
    masks: Sequence[np.ndarray],
    progress: Progress | None = None,
) -> list[np.ndarray]:
    """(H, W, 3) uint8 and per level masks bool (rows, columns) -> per level digits int8 (rows, columns, d)."""
    height, width = rgb.shape[:2]
    rows, columns = -(-height // CELL), -(-width // CELL)
    out = [np.zeros((*mask.shape, level.digits), np.int8) for mask, level in zip(masks, levels, strict=True)]
    parts = list(windows(rows, columns))
    for i, (y, x, outer_y, outer_x) in enumerate(parts):
        window = rgb[scaled(outer_y, CELL), scaled(outer_x, CELL)]
        lack = [
            (outer_y.stop - outer_y.start) * CELL - window.shape[0],
            (outer_x.stop - outer_x.start) * CELL - window.shape[1],
        ]
        window = np.pad(window, ((0, lack[0]), (0, lack[1]), (0, 0)), "edge")
        sent = [
            _window(m, outer_y, outer_x, CELL // lv.stride)[None, None].astype(np.uint8)
            for m, lv in zip(masks, levels, strict=True)
        ]
        for k, digits in enumerate(runtime.tokenize(pack(window), sent)):
            scale = CELL // levels[k].stride
            core = digits[0][:, scaled(y, scale, outer_y.start), scaled(x, scale, outer_x.start)]
            out[k][scaled(y, scale), scaled(x, scale)] = core.transpose(1, 2, 0)
        if progress:
            progress(i + 1, len(parts))
    return out


def detokenize(
    runtime: Runtime, levels: Sequence[LevelShape], digits: Sequence[np.ndarray], masks: Sequence[np.ndarray],
    height: int, width: int, progress: Progress | None = None,
) -> np.ndarray:  # fmt: skip
    """Inverse of `tokenize`: (height, width, 3) uint8."""
    rows, columns = -(-height // CELL), -(-width // CELL)
    out = np.empty((height, width, 3), np.uint8)
    parts = list(windows(rows, columns))
    for i, (y, x, outer_y, outer_x) in enumerate(parts):
        window_digits, window_masks = [], []
        for k, level in enumerate(levels):
            scale = CELL // level.stride
            window_digits.append(
                np.ascontiguousarray(_window(digits[k], outer_y, outer_x, scale).transpose(2, 0, 1)[None])
            )
            window_masks.append(_window(masks[k], outer_y, outer_x, scale)[None, None].astype(np.uint8))
        picture = unpack(runtime.detokenize(window_digits, window_masks))
        core = picture[scaled(y, CELL, outer_y.start), scaled(x, CELL, outer_x.start)]
        target = out[scaled(y, CELL), scaled(x, CELL)]
        target[...] = core[: target.shape[0], : target.shape[1]]
        if progress:
            progress(i + 1, len(parts))
    return out


def _window(grid: np.ndarray, y: slice, x: slice, scale: int) -> np.ndarray:
    return grid[scaled(y, scale), scaled(x, scale)]


def pack(rgb: np.ndarray) -> np.ndarray:
    """4x4 px into the channels: (H, W, 3) -> (1, 48, H/4, W/4), channel = colour * 16 + y * 4 + x."""
    h, w = rgb.shape[0] // 4, rgb.shape[1] // 4
    return np.ascontiguousarray(rgb.reshape(h, 4, w, 4, 3).transpose(4, 1, 3, 0, 2).reshape(1, 48, h, w))


def unpack(packed: np.ndarray) -> np.ndarray:
    """Inverse of `pack`."""
    h, w = packed.shape[2:]
    return packed.reshape(3, 4, 4, h, w).transpose(3, 1, 4, 2, 0).reshape(h * 4, w * 4, 3)
