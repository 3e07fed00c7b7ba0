"""The exceptions of ltokc.  A user sees them as one line: `ltokc: photo.png: reason`."""


class LtokcError(Exception):
    """Anything that ltokc raises on purpose."""


class FormatError(LtokcError):
    """The bytes are no valid .ltk file, or no readable picture."""


class LimitError(LtokcError):
    """The file asks for more than the limits allow (`docs` of the command: --limit-pixels)."""


class ModelError(LtokcError):
    """A model is unknown, missing or damaged, or its runtime is not installed."""


class UsageError(LtokcError):
    """The caller's arguments do not fit together."""
