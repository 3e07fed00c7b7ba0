"""How sessions of ONNX Runtime are set up: quiet, no spinning threads, one pool of memory, which can be emptied."""

from __future__ import annotations

import threading
from functools import cache

import numpy as np

from ltokc.ort.graphs import Graph
from ltokc.ort.silent import ort

SPINNING = "session.intra_op.allow_spinning"  # of threads that wait for work: it takes the cores from others
SHARED_ARENA = "session.use_env_allocators"
_REGISTERING = threading.Lock()  # a pool can be registered once, and sessions are made by several threads
GROW_AS_ASKED = 1  # not to the next power of two
SHRINK = "memory.enable_memory_arena_shrinkage"  # of the options of a run: the pool is emptied after it


def session_options(threads: int | None) -> ort.SessionOptions:
    """threads: of an operation; None: ONNX Runtime's own choice."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # it would plan a second block beside what the first run of a shape has taken
    options.add_session_config_entry(SPINNING, "0")
    with _REGISTERING:
        shared = _shared_arena()
    if shared:
        options.add_session_config_entry(SHARED_ARENA, "1")
    if threads:
        options.intra_op_num_threads = threads
    return options


@cache
def _shared_arena() -> bool:
    """One pool for the process, if nobody has registered one: else each session would keep its own peak."""
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    try:
        ort.create_and_register_allocator(place, ort.OrtArenaCfg({"arena_extend_strategy": GROW_AS_ASKED}))
    except Exception:  # noqa: BLE001 (ONNX Runtime raises a family of its own)
        return False
    return True


def empty_pool() -> None:
    """Gives the system back what of the shared pool no running session uses; the next run takes it again."""
    if _shared_arena():
        session, options = _nothing()
        session.run(None, {"x": np.zeros(1, np.uint8)}, options)


@cache
def _nothing() -> tuple[ort.InferenceSession, ort.RunOptions]:
    """A session that copies one byte, and options that empty the pool after it."""
    graph, options = Graph(), ort.RunOptions()
    graph.node("Identity", ["x"], "y")
    options.add_run_config_entry(SHRINK, "cpu:0")
    model = graph.model({"x": (np.uint8, 1)}, ["y"])
    return ort.InferenceSession(model, session_options(1), providers=["CPUExecutionProvider"]), options
