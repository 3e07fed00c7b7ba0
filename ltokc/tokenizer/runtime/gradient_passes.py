"""The gradient by the digits through two graphs: there to the picture, and back from the gradient by its pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ltokc.tokenizer.gradient import BACKWARD, FORWARD
from ltokc.tokenizer.runtime import ByPixels, feeds
from ltokc.tokenizer.windows import pack, unpack

LEAST = 1e-30  # root of the mean square of a gradient, below which it is nothing
RunGraph = Callable[[str, feeds.Feeds], feeds.Feeds]  # (name of a graph, what it may take) -> its outputs


def through_graphs(
    run: RunGraph, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], by_pixels: ByPixels,
    backward: str = BACKWARD,
) -> list[np.ndarray | None]:  # fmt: skip
    """See `ltokc.tokenizer.runtime`, `digit_gradient`.

    backward: the graph of the way back.  It gets a gradient whose mean square is 1, for which 8-bit integers are made.
    """
    there = run(FORWARD, feeds.of_decoder(digits, masks, None))
    by_picture = by_pixels(unpack(there.pop("picture")))
    size = np.float32(max(np.sqrt(np.square(by_picture).mean(dtype=np.float64)), LEAST))
    sent = {f"sent_{k}": mask for k, mask in enumerate(masks)}
    back = run(backward, {"picture": pack(by_picture.astype(np.float32, copy=False) / size), **there, **sent})
    return [_scaled(back.get(f"digits_{k}"), size) for k in range(len(digits))]


def _scaled(gradient: np.ndarray | None, size: np.float32) -> np.ndarray | None:
    return None if gradient is None else gradient * size
