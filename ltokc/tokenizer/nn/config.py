"""Sizes of the tokenizer, as a frozen record that travels in the metadata of the weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ltokc.geometry import CELL, STRIDES, Level
from ltokc.tokenizer.silent import KEY

__all__ = ["CELL", "STRIDES", "LadderConfig", "Level"]


@dataclass(frozen=True, slots=True)
class LadderConfig:
    """Sizes per stride 4, 8, 16, 32, 64 (in this order) and the levels, coarse to fine.

    told: the queries see how many levels each place will keep (`ltokc.tokenizer.nn.query`).
    """

    encoder_channels: tuple[int, ...] = (64, 128, 192, 224, 256)
    encoder_blocks: tuple[int, ...] = (1, 2, 2, 2, 1)
    decoder_channels: tuple[int, ...] = (96, 160, 224, 256, 256)
    decoder_blocks: tuple[int, ...] = (
        3,
        2,
        2,
        2,
    )  # before the levels of strides 8, 16, 32; at stride 4 before the pixels
    query_channels: tuple[int, ...] = (0, 96, 128, 160, 160)
    final_blocks: int = 2  # at stride 8, after the last level
    levels: tuple[Level, ...] = (
        (Level(64, 6, 7),)
        + (Level(32, 6, 7),) * 2
        + (Level(16, 6, 5),) * 3
        + (Level(8, 5, 5),) * 3
        + (Level(8, 8, 5),) * 2
    )
    told: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_dict(cls, fields: dict) -> LadderConfig:
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items() if k != KEY}
        if "levels" in fields:
            fields["levels"] = tuple(Level(**v) if isinstance(v, dict) else Level(*v) for v in fields["levels"])
        return cls(**fields)

    @classmethod
    def from_json(cls, text: str) -> LadderConfig:
        return cls.from_dict(json.loads(text))
