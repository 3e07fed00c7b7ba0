"""How the search for digits goes: how many steps, and how long each is."""

from __future__ import annotations

from dataclasses import dataclass

ROUNDED = 0.5  # how far values are moved to digits in the first step; wholly from the same share of the steps on


@dataclass(frozen=True, slots=True)
class Schedule:
    """So many steps of the search; the first is about `first` long (1: from a digit to the next), then they shrink."""

    steps: int
    first: float
    fall: float

    def at(self, step: int) -> float:
        """Length of a step, from 0 on."""
        return self.first * (1 - step / self.steps) ** self.fall

    def rounded(self, step: int) -> float:
        """How far a step moves values to the nearest digit before it decodes them: 1 is wholly."""
        return min(1.0, ROUNDED + (1 - ROUNDED) * step / (self.steps * ROUNDED))
