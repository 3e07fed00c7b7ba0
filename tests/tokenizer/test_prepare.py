"""A decoder that is opened beside other work: once, and as good as one that was waited for."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import ltokc
from ltokc.threads import beside
from ltokc.tokenizer.runtime import Runtime, open_runtime
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
        runtime.prepare()
        runtime.prepare()
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
