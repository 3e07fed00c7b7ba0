"""Threads of the BLAS inside numpy, which after it is loaded heeds only a call of its own."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SETTERS = ("scipy_openblas_set_num_threads64_", "openblas_set_num_threads64_", "openblas_set_num_threads",
           "MKL_Set_Num_Threads", "bli_thread_set_num_threads")  # fmt: skip
GETTERS = ("scipy_openblas_get_num_threads64_", "openblas_get_num_threads64_", "openblas_get_num_threads",
           "MKL_Get_Max_Threads", "bli_thread_get_num_threads")  # fmt: skip


def limit_blas(count: int) -> bool:
    """Sets the threads of numpy's BLAS for this process; False where it is one that cannot be told.

    Loads numpy.  Accelerate (macOS) keeps its own number, and so does any BLAS on Windows.
    """
    setter = _function(SETTERS)
    if setter is None:
        return False
    setter(count)
    return True


def blas_threads() -> int | None:
    """Threads of numpy's BLAS; None where it does not say."""
    getter = _function(GETTERS)
    return None if getter is None else int(getter())


class _Alone:
    """How many are inside of `one_blas_thread`, and the threads that were set before the first."""

    lock = threading.Lock()
    inside = 0
    before: int | None = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One thread for products that take a millisecond: where cores have other work, more of them spin while they wait.

    For the whole process, until the last one that is inside leaves.
    """
    with _Alone.lock:
        if not _Alone.inside:
            _Alone.before = blas_threads()
            limit_blas(1)
        _Alone.inside += 1
    try:
        yield
    finally:
        with _Alone.lock:
            _Alone.inside -= 1
            if not _Alone.inside and _Alone.before is not None:
                limit_blas(_Alone.before)


def _function(names: tuple[str, ...]) -> Callable[..., Any] | None:
    import numpy as np

    core = getattr(np, "_core", None) or np.core
    try:  # what is loaded already is not loaded again: names are found in it and in what it is linked with
        library = ctypes.CDLL(core._multiarray_umath.__file__)
    except OSError:
        return None
    return next((getattr(library, name) for name in names if hasattr(library, name)), None)
