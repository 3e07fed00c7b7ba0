"""What the graphs of a model are given, by the names of their inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ltokc.tokenizer.generative import PLANES
from ltokc.tokenizer.runtime import Cuts, state_cut

Feeds = dict[str, np.ndarray]


def of_tokenizer(
    packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None, depth: Sequence[np.ndarray] | None
) -> Feeds:
    """depth: None for all levels everywhere, empty for a graph that is not told."""
    feeds = {"packed": packed, **{f"sent_{k}": m for k, m in enumerate(masks)}, **_ends(cuts)}
    if depth is None:
        depth = [np.full(mask.shape, np.float32(len(masks))) for mask in masks]
    return feeds | {f"depth_{k}": d for k, d in enumerate(depth)}


def of_decoder(digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], cuts: Cuts | None) -> Feeds:
    feeds = {f"sent_{k}": m for k, m in enumerate(masks)} | {f"digits_{k}": d for k, d in enumerate(digits)}
    return feeds | _ends(cuts)


def of_generator(
    digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], noise: Sequence[np.ndarray], detail: float,
    cuts: Cuts | None,
) -> Feeds:  # fmt: skip
    feeds = of_decoder(digits, masks, cuts or _uncut(noise))
    feeds |= {f"noise_{stride}": part for stride, part in zip(PLANES, noise, strict=True)}
    return feeds | {"detail": np.array(detail, np.float32)}


def _uncut(noise: Sequence[np.ndarray]) -> Cuts:
    """Cuts that leave everything, which the graph of the generative decoder always asks for."""
    height, width = noise[0].shape[2:]
    return {state_cut(stride): ((0, height * 8 // stride), (0, width * 8 // stride)) for stride in (32, 16, 8, 4)}


def _ends(cuts: Cuts | None) -> Feeds:
    """Cuts as inputs of the graph: `<name>_from` and `<name>_to`, int64 (2,)."""
    feeds = {}
    for name, (rows, columns) in (cuts or {}).items():
        feeds[f"{name}_from"], feeds[f"{name}_to"] = np.array(list(zip(rows, columns, strict=True)), np.int64)
    return feeds
