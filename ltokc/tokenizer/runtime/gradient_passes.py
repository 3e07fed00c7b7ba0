"""The gradient by the digits through two graphs: there to the picture, and back from the gradient by its pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ltokc.tokenizer.gradient import BACKWARD, FORWARD
from ltokc.tokenizer.runtime import ByPixels, feeds
from ltokc.tokenizer.windows import pack, unpack

RunGraph = Callable[[str, feeds.Feeds], feeds.Feeds]  # (name of a graph, what it may take) -> its outputs


def through_graphs(
    run: RunGraph, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], by_pixels: ByPixels
) -> list[np.ndarray | None]:
    """See `ltokc.tokenizer.runtime`, `digit_gradient`."""
    there = run(FORWARD, feeds.of_decoder(digits, masks, None))
    by_picture = by_pixels(unpack(there.pop("picture")))
    sent = {f"sent_{k}": mask for k, mask in enumerate(masks)}
    back = run(BACKWARD, {"picture": pack(by_picture.astype(np.float32, copy=False)), **there, **sent})
    return [back.get(f"digits_{k}") for k in range(len(digits))]
