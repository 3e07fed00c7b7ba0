"""ltokc: a learned image codec.  `ltokc.encode(image, quality=0.6) -> bytes`, `ltokc.decode(data) -> PIL.Image.Image`.

The verbs are those of the command line.  They are loaded at first use (PEP 562), so that `import ltokc` is light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltokc.codec import decode, encode, info, tokens, trim, verify
    from ltokc.errors import FormatError, LimitError, LtokcError, ModelError, UsageError

__version__ = "0.1.0"

_VERBS = ("decode", "encode", "info", "tokens", "trim", "verify")
_ERRORS = ("FormatError", "LimitError", "LtokcError", "ModelError", "UsageError")
__all__ = [
    "FormatError", "LimitError", "LtokcError", "ModelError", "UsageError", "__version__",
    "decode", "encode", "info", "register_pillow", "tokens", "trim", "verify",
]  # fmt: skip


def register_pillow() -> None:
    """Teaches Pillow to open and save .ltk files; see `ltokc.LtkImagePlugin`."""
    import_module("ltokc.LtkImagePlugin")


def __getattr__(name: str) -> Any:
    for module, names in (("ltokc.codec", _VERBS), ("ltokc.errors", _ERRORS)):
        if name in names:
            loaded = import_module(module)
            globals().update({n: getattr(loaded, n) for n in names})
            return globals()[name]
    raise AttributeError(f"module 'ltokc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
