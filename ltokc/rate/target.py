"""What is wanted of a file: a quality, a number of tokens, or a size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ltokc.errors import UsageError
from ltokc.geometry import Size

DEFAULT_QUALITY = 0.6


@dataclass(frozen=True, slots=True)
class RateTarget:
    """One of quality (0 to 1), tokens, size (bytes of the whole file) and bits (of the streams alone) is set.

    strict: a size that not even the smallest file meets is an error.
    """

    quality: float | None = None
    tokens: int | None = None
    size: int | None = None
    bits: float | None = None
    strict: bool = False

    @staticmethod
    def check(**given: float | None) -> None:
        """The keywords of `ltokc.encode`: quality, tokens, target_size, target_bpp.

        Raises UsageError for more than one, for what is not finite, and for a quality outside of 0 to 1.
        """
        rates = {name: value for name, value in given.items() if value is not None}
        if len(rates) > 1:
            raise UsageError(f"one rate control at a time, not {' and '.join(rates)}")
        for name, value in rates.items():
            if not (isinstance(value, int) or math.isfinite(value)):
                raise UsageError(f"{name} is a number, not {value}")
        if "quality" in rates and not 0 <= rates["quality"] <= 1:
            raise UsageError(f"quality is 0 to 1, not {rates['quality']:g}")

    @classmethod
    def of(cls, picture: Size, *, strict: bool = False, **given: float | None) -> RateTarget:
        """From the keywords of `ltokc.encode` that `check` has passed; none is quality 0.6."""
        rates = {name: value for name, value in given.items() if value is not None}
        if "tokens" in rates:
            return cls(tokens=min(int(rates["tokens"]), 1 << 53))  # which a float holds
        if "target_bpp" in rates:
            return cls(size=int(rates["target_bpp"] * picture.pixels / 8), strict=strict)
        if "target_size" in rates:
            return cls(size=rates["target_size"], strict=strict)  # type: ignore[arg-type]
        return cls(quality=rates.get("quality", DEFAULT_QUALITY))

    def with_bits(self, bits: float) -> RateTarget:
        """The streams' share of a wanted size, in bits."""
        return replace(self, bits=bits)
