"""What `ltokc -V` prints: versions of the package, the format, the default model and the runtimes."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from ltokc import __version__

RUNTIMES = ("onnxruntime-gpu", "onnxruntime", "openvino", "torch")


def versions() -> str:
    """Lines of text; loads no runtime, only asks what is installed."""
    from ltokc.container.records import VERSION

    return "\n".join([
        f"ltokc {__version__}", f"format {VERSION}", f"model {_model()}", f"runtime {_runtime()}",
        f"python {platform.python_version()}",
    ])  # fmt: skip


def _model() -> str:
    from ltokc.errors import LtokcError
    from ltokc.zoo import registry

    try:
        chosen = [f"{e.name} (id {e.id})" for e in registry.registry() if e.default]
    except (LtokcError, OSError):
        chosen = []
    return chosen[0] if chosen else "none"


def _runtime() -> str:
    found = []
    for name in RUNTIMES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found) or 'none (pip install "ltokc[cpu]")'
