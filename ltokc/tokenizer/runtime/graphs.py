"""What runtimes of ONNX graphs share: the tokenizer's outputs, and the gradient's two graphs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from ltokc.tokenizer.gradient import BACKWARD
from ltokc.tokenizer.runtime import ByPixels, Cuts, feeds
from ltokc.tokenizer.runtime.gradient_passes import through_graphs


class GraphRuntime(ABC):
    """See `ltokc.tokenizer.runtime.Runtime`."""

    def tokenize(
        self, packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None = None,
        depth: Sequence[np.ndarray] | None = None,
    ) -> list[np.ndarray]:  # fmt: skip
        return self._tokenized([f"digits_{k}" for k in range(len(masks))], packed, masks, cuts, depth)

    def tokenize_values(
        self, packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None = None,
        depth: Sequence[np.ndarray] | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:  # fmt: skip
        names = [f"{what}_{k}" for what in ("digits", "values") for k in range(len(masks))]
        found = self._tokenized(names, packed, masks, cuts, depth)
        return found[: len(masks)], found[len(masks) :]

    def digit_gradient(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], by_pixels: ByPixels
    ) -> list[np.ndarray | None]:
        return through_graphs(self._all, digits, masks, by_pixels, self._backward())

    def _backward(self) -> str:
        """The graph of the gradient's way back."""
        return BACKWARD

    @abstractmethod
    def _tokenized(
        self, outputs: Sequence[str], packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None,
        depth: Sequence[np.ndarray] | None,
    ) -> list[np.ndarray]:  # fmt: skip
        """These outputs of the tokenizer's graph."""

    @abstractmethod
    def _all(self, name: str, given: feeds.Feeds) -> feeds.Feeds:
        """All outputs of a graph by name.  It takes its inputs out of what is given."""
