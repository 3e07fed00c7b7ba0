"""ltokc: a learned image codec.  `ltokc.encode(image, quality=0.6) -> bytes`, `ltokc.decode(data) -> PIL.Image.Image`.

The verbs are those of the command line.  They are loaded at first use (PEP 562), so that `import ltokc` is light.
"""

# Up to `leave_current_folder` nothing is imported that Python has not loaded itself, not even `__future__`.
import importlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ltokc.codec import decode, encode, info, tokens, trim, verify
    from ltokc.errors import FormatError, LimitError, LossWarning, LtokcError, ModelError, TruncatedError, UsageError
    from ltokc.threads import set_threads

__version__ = "0.1.0"

_VERBS = ("decode", "encode", "info", "tokens", "trim", "verify")
_ERRORS = ("FormatError", "LimitError", "LossWarning", "LtokcError", "ModelError", "TruncatedError", "UsageError")
__all__ = [
    "FormatError", "LimitError", "LossWarning", "LtokcError", "ModelError", "TruncatedError", "UsageError",
    "__version__", "decode", "encode", "info", "register_pillow", "set_threads", "tokens", "trim", "verify",
]  # fmt: skip


def _leave_current_folder() -> None:
    """Under `python -m ltokc` takes the current folder off `sys.path`: what lies beside pictures is no code.

    It stays where this package itself comes from there, as in a checkout.
    """
    if sys.argv[:1] != ["-m"] or sys.flags.safe_path:
        return
    try:
        here = os.getcwd()
    except OSError:  # it is gone, and Python has not put it there
        return
    if sys.path[:1] == [here] and os.path.dirname(os.path.dirname(os.path.abspath(__file__))) != here:
        del sys.path[0]


_leave_current_folder()


def register_pillow() -> None:
    """Teaches Pillow to open and save .ltk files; see `ltokc.LtkImagePlugin`."""
    importlib.import_module("ltokc.LtkImagePlugin")


def __getattr__(name: str) -> "Any":
    for module, names in (("ltokc.codec", _VERBS), ("ltokc.errors", _ERRORS), ("ltokc.threads", ("set_threads",))):
        if name in names:
            loaded = importlib.import_module(module)
            globals().update({n: getattr(loaded, n) for n in names})
            return globals()[name]
    raise AttributeError(f"module 'ltokc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
