"""The depth map at the head of a segment's stream: how many levels each cell keeps (formats/LTK.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ltokc.entropy.range_coder import CutDecoder, RangeDecoder


def read_depths(decoder: RangeDecoder | CutDecoder, rows: int, columns: int, levels: int) -> npt.NDArray[np.int64]:
    """The depth map at the head of a stream, (rows, columns); cells that a cut stream does not reach keep nothing."""
    values = np.zeros(rows * columns, np.int64)
    for i, (_, counts) in enumerate(depth_counts(values, (rows, columns), levels)):
        symbol = decoder.decode(counts)
        if not len(symbol):
            break
        values[i] = symbol[0]
    return values.reshape(rows, columns)


def depth_counts(values: np.ndarray, grid: tuple[int, int], levels: int) -> Iterator[tuple[int, np.ndarray]]:
    """The depths of the cells in raster order with the counts of each, (1, levels + 1), sum 2**16, given those before.

    `values` may be filled by the caller as it goes.  The prediction is the mean of left and upper neighbour (the first
    cell: all levels); a distance e from it has weight 4096 >> min(2 e, 12).
    """
    columns = grid[1]
    for i in range(len(values)):
        y, x = divmod(i, columns)
        if i == 0:
            prediction = levels
        elif y == 0:
            prediction = int(values[i - 1])
        elif x == 0:
            prediction = int(values[i - columns])
        else:
            prediction = (int(values[i - 1]) + int(values[i - columns]) + 1) // 2
        weights = np.array([4096 >> min(2 * abs(v - prediction), 12) for v in range(levels + 1)], np.int64)
        counts = 1 + weights * (2**16 - levels - 1) // weights.sum()
        counts[prediction] += 2**16 - counts.sum()
        yield int(values[i]), counts[None]
