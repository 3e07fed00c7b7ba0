"""How sessions of ONNX Runtime are set up: quiet, no spinning threads, one pool of memory for all of them."""

from __future__ import annotations

from functools import cache

from ltokc.ort.silent import ort

SPINNING = "session.intra_op.allow_spinning"  # of threads that wait for work: it takes the cores from others
SHARED_ARENA = "session.use_env_allocators"
GROW_AS_ASKED = 1  # not to the next power of two


def session_options(threads: int | None) -> ort.SessionOptions:
    """threads: of an operation; None: ONNX Runtime's own choice."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry(SPINNING, "0")
    if _shared_arena():
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
