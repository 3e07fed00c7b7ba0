"""What is wanted of a file: a quality, a number of tokens, or a size."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ltokc.arguments import HIGHEST, above_zero, number, whole
from ltokc.errors import UsageError
from ltokc.geometry import Size
from ltokc.rate.defaults import DEFAULT_QUALITY


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
    def check(*, strict: bool = False, **given: float | None) -> None:
        """The keywords of `ltokc.encode`: quality, tokens, target_size, target_bpp, strict.

        Raises UsageError for more than one, and for a number that is none or out of its range.
        """
        rates = {name: value for name, value in given.items() if value is not None}
        if len(rates) > 1:
            raise UsageError(f"one rate control at a time, not {' and '.join(rates)}")
        if strict and not rates.keys() & {"target_size", "target_bpp"}:
            raise UsageError("strict goes with target_size or target_bpp")
        if "quality" in rates:
            number("quality", rates["quality"], 0, 1)
        if "tokens" in rates:
            whole("tokens", rates["tokens"], 0)
        if "target_size" in rates:
            whole("target_size", rates["target_size"], 1)
        if "target_bpp" in rates:
            above_zero("target_bpp", rates["target_bpp"])

    @classmethod
    def of(cls, picture: Size, *, strict: bool = False, **given: float | None) -> RateTarget:
        """From the keywords of `ltokc.encode` that `check` has passed; none is quality 0.6."""
        rates = {name: value for name, value in given.items() if value is not None}
        if "tokens" in rates:
            return cls(tokens=min(int(rates["tokens"]), HIGHEST))
        if "target_bpp" in rates:
            size = min(float(rates["target_bpp"]) * picture.pixels / 8, HIGHEST)
            return cls(size=max(1, int(size)), strict=strict)
        if "target_size" in rates:
            return cls(size=min(int(rates["target_size"]), HIGHEST), strict=strict)
        return cls(quality=float(rates.get("quality", DEFAULT_QUALITY)))

    def with_bits(self, bits: float) -> RateTarget:
        """The streams' share of a wanted size, in bits."""
        return replace(self, bits=bits)
