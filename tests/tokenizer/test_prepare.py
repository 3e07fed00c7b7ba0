"""Graphs that are opened beside other work: once, and as good as those that were waited for."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import ltokc
from ltokc.errors import ModelError
from ltokc.rate.effort import effort_of
from ltokc.threads import beside
from ltokc.tokenizer.gradient import BACKWARD, BACKWARD_8, FORWARD
from ltokc.tokenizer.runtime import DETOKENIZER, TOKENIZER, Runtime, open_runtime
from ltokc.tokenizer.runtime.graphs import OpenedOnce
from ltokc.zoo import registry
from ltokc.zoo.model import open_model
from tests.support.pictures import grainy


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> Runtime:
    pytest.importorskip("onnxruntime")
    return open_runtime(registry.folder(registry.find()), "onnx", "cpu", threads=2)


def test_one_session_for_all_who_ask(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    ltokc.set_threads(2)
    try:
        runtime.prepare(DETOKENIZER)
        runtime.prepare(DETOKENIZER)
        data = ltokc.encode(grainy(70, 60), 0.4, effort=0)
        whole = np.asarray(ltokc.decode(data, backend="onnx"))
        monkeypatch.setattr(type(open_model()), "runtime", lambda *_: runtime)
        assert np.array_equal(np.asarray(ltokc.decode(data)), whole)
    finally:
        ltokc.set_threads(None)


def test_what_fails_beside_is_no_error_there() -> None:
    ltokc.set_threads(2)
    done = threading.Event()

    def fails() -> None:
        done.set()
        raise OSError("lost")

    try:
        beside(fails)
        assert done.wait(30)
        ltokc.set_threads(1)
        done.clear()
        beside(fails)  # no thread is wanted: it is left to who needs it
        assert not done.is_set()
    finally:
        ltokc.set_threads(None)


def test_one_that_takes_long_keeps_only_who_asks_for_it_waiting() -> None:
    opened, begun, go_on = OpenedOnce[str](), threading.Event(), threading.Event()

    def slowly() -> str:
        begun.set()
        assert go_on.wait(30)
        return "slow"

    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(opened.get("a", slowly))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    assert opened.get("b", lambda: "quick") == "quick"
    assert not got
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert got == ["slow"] * 3
    assert opened.get("a", lambda: "again") == "slow"


def test_one_that_failed_is_tried_again() -> None:
    opened = OpenedOnce[int]()
    with pytest.raises(ZeroDivisionError):
        opened.get("a", lambda: 1 // 0)
    assert opened.get("a", lambda: 1) == 1


@pytest.mark.parametrize(
    ("effort", "graphs"),
    [(0, [TOKENIZER]), (1, [TOKENIZER, DETOKENIZER, FORWARD, BACKWARD]), (3, [TOKENIZER, DETOKENIZER])],
)
def test_an_effort_opens_what_it_runs(runtime: Runtime, effort: int, graphs: list[str]) -> None:
    """In their order, and nothing that it does not run; the way back in the form that this runtime runs."""
    assert list(effort_of(effort).graphs) == graphs
    ltokc.set_threads(2)
    try:
        runtime.prepare(*effort_of(effort).graphs)
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join(60)
    finally:
        ltokc.set_threads(None)
    assert list(runtime.opened.held) == [BACKWARD_8 if name == BACKWARD else name for name in graphs]  # type: ignore[attr-defined]


def test_a_graph_that_cannot_be_opened_is_told_when_it_is_run(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    broken = open_runtime(tmp_path, "onnx", "cpu", threads=2)
    ltokc.set_threads(2)
    try:
        broken.prepare(TOKENIZER, DETOKENIZER)
    finally:
        ltokc.set_threads(None)
    with pytest.raises(ModelError, match="cannot load detokenizer"):
        broken.detokenize([], [])
