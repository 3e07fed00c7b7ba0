"""The values of a colour grid (chunk cOLr): bytes to corrections of colour, and steps to bytes of coding 2.

A value is a number of steps of luma or of one of two colour differences.  All values of a plane have one distribution,
peaked at 0, whose shape the head names; they are range coded, luma first, each plane in raster order.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ltokc.container.colour import CODED, LARGEST_STEP, LARGEST_VALUE, WHOLE, Corrections, Head, check, head_of
from ltokc.container.colour import plain_values as plain
from ltokc.container.records import Header
from ltokc.entropy.range_coder import TOTAL, RangeDecoder, RangeEncoder
from ltokc.errors import FormatError
from ltokc.geometry import CELL

FIRST = (256, 181, 128, 90, 64, 45, 32, 22, 16, 11, 8, 5, 4, 2, 2, 1)  # of 256: weight of 1 against that of 0
SHAPES = 16  # of each kind
HIGHEST_WEIGHT = 1 << 24
MOST_QUARTERS = 1023  # of luma and of a colour difference, either way: black to white
BLOCK = 4096  # values decoded at a time, so that memory stays small
FROM_BLUE, FROM_RED = 50, 130  # of 256: what green loses where blue and red gain, so that luma stays
Counts = npt.NDArray[np.int64]
Steps = npt.NDArray[np.int64]


@lru_cache(maxsize=1024)
def counts_of(shape: tuple[int, int], largest: int) -> Counts:
    """(2 largest + 1,) counts of -largest to largest, sum 2**16, none below 1.

    shape: (i, j): 1 has FIRST[i] / 256 of the weight of 0, then every number (16 j + 8) / 256 of that of the last.
    """
    weights = [HIGHEST_WEIGHT, HIGHEST_WEIGHT * FIRST[shape[0]] >> 8]
    while len(weights) <= largest:
        weights.append(weights[-1] * (16 * shape[1] + 8) >> 8)
    both = np.array([*weights[:0:-1], *weights], np.int64)
    counts: Counts = 1 + both * (TOTAL - len(both)) // both.sum()
    counts[largest] += TOTAL - counts.sum()
    return counts


def decode(data: bytes, header: Header) -> Corrections:
    """Corrections from the data of a chunk of any coding.  Raises FormatError; what it allocates is bounded."""
    check(data, header)
    if data[0] != CODED:
        return Corrections(plain(data, header), CELL)
    head = head_of(data, header)
    steps = _steps(head, data[len(head.data) :], header)
    if np.abs(steps).max() * head.step > MOST_QUARTERS:
        raise FormatError("the colour grid is out of range")
    return Corrections(quarters(steps, head.step), head.spacing)


def _steps(head: Head, stream: bytes, header: Header) -> Steps:
    """(planes, rows, columns) int64."""
    grid, decoder = head.lattice(header), RangeDecoder(stream)
    out = np.empty((len(head.shapes), grid.cells), np.int64)
    for values, shape in zip(out, head.shapes, strict=True):
        counts = counts_of(shape, head.largest)
        for at in range(0, len(values), BLOCK):
            part = values[at : at + BLOCK]
            part[:] = decoder.decode(np.broadcast_to(counts, (len(part), len(counts))))
    out -= head.largest
    symbols = out.reshape(len(out), *grid)
    return summed(symbols) if head.differences else symbols


def encode(steps: Steps, head: Head) -> bytes:
    """The data of a chunk of coding 2: steps (planes, rows, columns) within what the head says, largest included."""
    if not (0 < head.step <= LARGEST_STEP and 0 < head.largest <= LARGEST_VALUE and head.fineness <= WHOLE):
        raise ValueError("a head outside of the format")
    encoder = RangeEncoder()
    for values, shape in zip(differences(steps) if head.differences else steps, head.shapes, strict=True):
        counts = counts_of(shape, head.largest)
        for at in range(0, values.size, BLOCK):
            part = values.ravel()[at : at + BLOCK] + head.largest
            encoder.encode(part, np.broadcast_to(counts, (len(part), len(counts))))
    return head.data + encoder.finish()


def quarters(steps: Steps, step: int) -> npt.NDArray[np.int32]:
    """Steps of luma, blue and red, (3, rows, columns), or of luma alone, as quarters of red, green, blue or of all."""
    scaled = steps.astype(np.int32) * np.int32(step)
    if len(scaled) == 1:
        return scaled
    luma, blue, red = scaled
    return np.stack([luma + red, luma - ((FROM_BLUE * blue + FROM_RED * red + 128) >> 8), luma + blue])


def differences(steps: Steps) -> Steps:
    """From the value to the left, in the first column from the one above; (planes, rows, columns)."""
    out = np.diff(steps, axis=2, prepend=0)
    out[:, :, 0] = np.diff(steps[:, :, 0], axis=1, prepend=0)
    return out


def summed(steps: Steps) -> Steps:
    """Inverse of `differences`."""
    out = steps.copy()
    out[:, :, 0] = np.cumsum(out[:, :, 0], axis=1)
    return np.cumsum(out, axis=2)
