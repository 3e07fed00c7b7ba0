"""How many threads a process takes: as told, and one in a process that is one of several."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

import ltokc
from ltokc import threads
from ltokc.blas import blas_threads, limit_blas, one_blas_thread
from ltokc.errors import UsageError
from ltokc.zoo.model import open_model
from tests.support.pictures import grainy

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("LTOKC_THREADS", raising=False)
    blas, ours = blas_threads(), torch.get_num_threads()
    yield
    threads.set_threads(None)
    torch.set_num_threads(ours)
    if blas is not None:
        limit_blas(blas)


class Files(torch.utils.data.Dataset):
    """What a worker makes of a picture: its process, threads of the runtime and of BLAS, and the file."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> tuple[int, int, int | None, bytes]:
        data = ltokc.encode(grainy(96, 64), 0.5)
        ltokc.decode(data)
        runtime = open_model().runtime("onnx", "cpu")
        return os.getpid(), runtime.threads, blas_threads(), data  # type: ignore[attr-defined]


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("told", [None, "2"])
def test_workers_of_a_data_loader(start: str, told: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after the parent has used the codec, whose threads no forked process has."""
    if start not in torch.multiprocessing.get_all_start_methods():
        pytest.skip("the system cannot start processes so")
    expected = ltokc.encode(grainy(96, 64), 0.5)
    if told is not None:
        monkeypatch.setenv("LTOKC_THREADS", told)
    loader = torch.utils.data.DataLoader(Files(), batch_size=None, num_workers=2, multiprocessing_context=start)
    found = list(loader)
    assert {data for *_, data in found} == {expected}
    assert os.getpid() not in {process for process, *_ in found} and len({process for process, *_ in found}) == 2
    assert {count for _, count, *_ in found} == {int(told or 1)}
    assert {blas for _, _, blas, _ in found} <= {int(told or 1), None}


def test_set_threads_covers_every_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTOKC_THREADS", "1")
    ltokc.set_threads(2)
    assert threads.threads() == threads.runtime_threads() == 2
    assert blas_threads() in (2, None)
    model = open_model()
    assert model.runtime("onnx", "cpu").threads == 2  # type: ignore[attr-defined]
    model.runtime("torch", "cpu")
    assert torch.get_num_threads() == 2
    ltokc.set_threads(None)
    assert threads.threads() == 1


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_what_is_no_number_of_threads(count: object) -> None:
    with pytest.raises(UsageError, match="threads is a whole number"):
        ltokc.set_threads(count)  # type: ignore[arg-type]


def test_threads_do_not_change_a_file() -> None:
    picture = grainy(200, 150)
    files = []
    for count in (1, 2):
        ltokc.set_threads(count)
        files.append(ltokc.encode(picture, 0.6))
        assert np.asarray(ltokc.decode(files[-1])).shape == (150, 200, 3)
    assert files[0] == files[1]


def test_one_blas_thread_is_for_the_time_being() -> None:
    """Also where two are inside and the first leaves first, and where what is inside fails."""
    before = blas_threads()
    if before is None:
        pytest.skip("numpy's BLAS does not say")
    try:
        limit_blas(2)
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        assert blas_threads() == 1
        first.__exit__(None, None, None)
        assert blas_threads() == 1
        second.__exit__(None, None, None)
        assert blas_threads() == 2
        with pytest.raises(ValueError, match="inside"), one_blas_thread():
            raise ValueError("inside")
        assert blas_threads() == 2
    finally:
        limit_blas(before)
