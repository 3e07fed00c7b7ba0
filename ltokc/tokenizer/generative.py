"""What a generative decode is told, and the names and sizes of what belongs to it.  Loads without numpy."""

from __future__ import annotations

from dataclasses import dataclass

from ltokc.arguments import number, whole
from ltokc.errors import UsageError

FAITHFUL, GENERATIVE = DECODERS = ("faithful", "generative")
WEIGHTS = "generative.safetensors"
GRAPH = "generative.onnx"
MAX_SEED = 2**32 - 1
COARSE = 16  # stride of the coarsest noise, which the generator reads doubled at stride 8
COARSE_PLANES = 4
OWN_PLANES = {8: 8, 4: 8, 2: 4}  # planes of noise by the stride that they are drawn at
PLANES = OWN_PLANES | {8: OWN_PLANES[8] + COARSE_PLANES}  # by the stride that they are read at


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which sample of the pictures that the tokens allow: `seed` 0 to 2**32 - 1, `detail` 0 (faithful) to 1.

    Raises UsageError outside of these.
    """

    seed: int = 0
    detail: float = 1.0

    def __post_init__(self) -> None:
        whole("seed", self.seed, 0, MAX_SEED)
        number("detail", self.detail, 0, 1)


def sampling_of(decoder: str, seed: int = 0, detail: float = 1.0) -> Sampling | None:
    """What a decoder's name asks for: None is the faithful picture, as `auto` and no detail are.  Raises UsageError."""
    if decoder not in ("auto", *DECODERS):
        raise UsageError(f"decoder is auto, {' or '.join(DECODERS)}, not {decoder!r}")
    sampling = Sampling(seed, detail)
    return sampling if decoder == GENERATIVE and detail > 0 else None
