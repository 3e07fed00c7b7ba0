"""What runtimes of ONNX graphs share: the tokenizer's outputs, the gradient's two graphs, and how graphs are opened."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np

from ltokc.errors import ModelError
from ltokc.threads import beside
from ltokc.tokenizer.gradient import BACKWARD
from ltokc.tokenizer.runtime import ByPixels, Cuts, feeds
from ltokc.tokenizer.runtime.gradient_passes import through_graphs

Opened = TypeVar("Opened")


class OpenedOnce(Generic[Opened]):
    """What takes long to open, by key: each once, whoever asks for it first, and different ones at a time."""

    def __init__(self) -> None:
        self.held: dict[str, Opened] = {}
        self._opening: dict[str, threading.Lock] = {}

    def get(self, key: str, open_it: Callable[[], Opened]) -> Opened:
        with self._opening.setdefault(key, threading.Lock()):
            if key not in self.held:
                self.held[key] = open_it()
            return self.held[key]

    def close(self, key: str) -> None:
        """Forgets what was opened; who is using it has it until then."""
        with self._opening.setdefault(key, threading.Lock()):
            self.held.pop(key, None)


def key_of(graph: str, cuts: Cuts | None) -> str:
    """A graph with cuts is another one than that without; those that it has are named by `cuts`."""
    return graph if cuts is None else f"{graph} in windows"


class GraphRuntime(ABC):
    """See `ltokc.tokenizer.runtime.Runtime`."""

    opened: OpenedOnce[Any]  # graphs by name; those with cuts have names of their own

    def prepare(self, *graphs: str) -> None:
        names = [self._backward() if name == BACKWARD else name for name in graphs]
        if any(name not in self.opened.held for name in names):
            beside(partial(self._open_all, names))

    def _open_all(self, graphs: Sequence[str]) -> None:
        for name in graphs:
            with contextlib.suppress(ModelError):  # who runs it is told
                self._open(name)

    @abstractmethod
    def _open(self, name: str) -> object:
        """Opens a graph for whole pictures.  Raises ModelError."""

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

    def release(self, done: str | None = None) -> None:
        if done is not None:
            self.opened.close(key_of(done, {}))
        self._emptied()

    @abstractmethod
    def _emptied(self) -> None:
        """Gives memory back that graphs took for what they ran on."""

    @abstractmethod
    def _tokenized(
        self, outputs: Sequence[str], packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None,
        depth: Sequence[np.ndarray] | None,
    ) -> list[np.ndarray]:  # fmt: skip
        """These outputs of the tokenizer's graph."""

    @abstractmethod
    def _all(self, name: str, given: feeds.Feeds) -> feeds.Feeds:
        """All outputs of a graph by name.  It takes its inputs out of what is given."""
