"""The tensors of a file of weights that lies beside a model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltokc.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a .safetensors file by name.  Raises ModelError on a file that is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read {path.name}: {error}") from error
