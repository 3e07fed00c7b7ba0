"""What `--effort` buys: decodes that measure the picture before its plan is made, and a search for better digits.

Effort 0 believes the halting head and gives all cells the same depth.  Effort 1 decodes the picture at the depth that
is expected (once, if that was about right) and measures every cell, so that the quality is met and cells get levels by
gain per bit; then it rounds the digits together by one gradient (`ltokc.rate.rounding`).  Effort 2 takes several, one
after the other.  Efforts 3 and 4 make the plan as 1 does and then search for digits (`ltokc.rate.refine.search`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ltokc.arguments import whole
from ltokc.geometry import Grid, Size
from ltokc.rate.defaults import HIGHEST_EFFORT
from ltokc.rate.refine.schedule import Schedule
from ltokc.tokenizer.gradient import GRAPHS
from ltokc.tokenizer.runtime import DETOKENIZER, TOKENIZER


@dataclass(frozen=True, slots=True)
class Effort:
    """One effort.

    decodes: at most, to measure the picture; gradients: by which digits are rounded together, 0: not at all; schedule:
    of the search for digits, None for none; error_left and bits_left: error and bits with the digits that these find
    and what is done for colours, as a share of those before (the error somewhat above its mean, so that few pictures
    miss their quality).
    """

    number: int
    decodes: int = 3
    gradients: int = 0
    schedule: Schedule | None = None
    error_left: float = 1.0
    bits_left: float = 1.0

    @property
    def measures(self) -> bool:
        """Whether the picture is decoded before its plan is made."""
        return self.decodes > 0

    @property
    def graphs(self) -> tuple[str, ...]:
        """The model's graphs that encoding runs, in their order."""
        return (TOKENIZER, *((DETOKENIZER,) if self.measures else ()), *(GRAPHS if self.gradients else ()))

    def require(self) -> None:
        """Raises ModelError if what the effort needs is not installed."""
        if self.schedule is not None:
            from ltokc.rate.refine.search import require_torch

            require_torch()

    def of_picture(self, size: Size, rounds: bool) -> Effort:
        """This effort for a picture of a size; rounds: whether the model has a rounding kernel."""
        from ltokc.rate.rounding.together import fits

        return self if not self.gradients or (rounds and fits(size, self.gradients)) else PLAIN

    def steps(self, grid: Grid) -> int:
        """Steps of choosing digits for a picture of so many cells: once for a quality, up to twice for a size."""
        if self.gradients:
            from ltokc.rate.rounding.together import windows_of

            return windows_of(grid) * self.gradients
        if self.schedule is None:
            return 0
        from ltokc.rate.refine.search import TILING

        return self.schedule.steps * len(TILING.windows(grid))


PLAIN = Effort(1, error_left=0.97)  # of the default for large pictures, and of models without a rounding kernel
EFFORTS = (
    Effort(0, decodes=0),
    Effort(1, gradients=1, error_left=0.94),
    Effort(2, gradients=6, error_left=0.89),
    Effort(3, schedule=Schedule(24, 0.061, 4), error_left=0.82, bits_left=0.99),
    Effort(4, schedule=Schedule(48, 0.045, 4), error_left=0.78, bits_left=0.99),
)


def effort_of(number: int) -> Effort:
    """The effort of a number.  Raises UsageError."""
    return EFFORTS[whole("effort", number, 0, HIGHEST_EFFORT)]
