"""What is done to a file: a conversion takes a job and gives bytes, and what there is to tell of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ltokc.jobs.paths import Job


@dataclass(frozen=True, slots=True)
class Result:
    """A conversion's output bytes, its line for people, its JSON fields, notes that -v shows, losses always told."""

    data: bytes
    line: str
    fields: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)


Convert = Callable[[Job], Result]
