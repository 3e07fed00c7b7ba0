"""Small files of every option, for `bench.verification.exactness_cases`: of photographs, and of random bytes.

Tokens that the prior itself draws from random bytes go where no photograph does.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ("astronaut.jpg", "chelsea.png", "coffee.jpg")


def make_files(count: int, seed: int, model: str | None = None) -> list[bytes]:
    """Small files of every option; the same ones for the same encoder."""
    from PIL import Image

    photos = [np.asarray(Image.open(ROOT / "examples" / name).convert("RGB")) for name in PHOTOS]
    return [make_file(random.Random(f"{seed}/{i}"), photos, model) for i in range(count)]


def make_file(rng: random.Random, photos: list[np.ndarray], model: str | None) -> bytes:
    from ltokc import codec, container
    from ltokc.container import Header, Ltk, Segment, segment_boxes
    from ltokc.entropy.depth_map import read_depths
    from ltokc.entropy.file import FileWriter
    from ltokc.entropy.range_coder import RangeDecoder
    from ltokc.entropy.segment import SegmentWriter
    from ltokc.geometry import CELL
    from ltokc.token_grid import full_masks, token_capacity
    from ltokc.zoo.model import open_model

    opened = open_model(model)
    size = (1, 16, 64, 64, 64, 64, 64, 130)  # mostly one cell: many cases rather than large ones
    width, height = rng.randint(1, rng.choice(size)), rng.randint(1, rng.choice(size))
    segment_cells = 0
    if rng.random() < 0.05:  # a thin strip: two segments
        width, height, segment_cells = rng.randint(513, 700), rng.randint(1, 8), 8
    boxes = segment_boxes(width, height, segment_cells)
    ltk = Ltk(Header(opened.entry.id, opened.entry.bitstream_hash, width, height, segment_cells), ())
    depth_map = rng.random() < 0.2
    if rng.random() < 0.6:
        photo = rng.choice(photos)
        y, x = rng.randrange(photo.shape[0] - min(height, 250)), rng.randrange(photo.shape[1] - min(width, 440))
        rgb = photo[y : y + height, x : x + width]
        rgb = np.pad(rgb, ((0, height - rgb.shape[0]), (0, width - rgb.shape[1]), (0, 0)), "wrap")
        if not depth_map and not segment_cells:
            return codec.encode(rgb, rng.random() ** 3, model=opened.entry.id, patches="off")
        writers = []
        for box in boxes:
            depths = None
            if depth_map:
                depths = np.array([rng.randint(0, len(opened.levels)) for _ in range(box.grid.cells)])
                depths = depths.reshape(box.grid)
            whole = opened.networks("onnx", "cpu").tokenize(rgb[box.at(CELL)])
            kept = whole.only(full_masks(opened.levels, *box.grid, depths))
            writers.append(SegmentWriter(opened.prior, kept.digits, depths))
        keep = [int(rng.random() ** 4 * writer.total) for writer in writers]
        return FileWriter(writers).write(ltk, keep)
    segments = []
    for _, _, columns, rows in boxes:
        # enough bytes for every token there can be; a first byte of FF might name no symbol
        stream, share = b"\x7f" + rng.randbytes(2000 * rows * columns), rng.random() ** 4
        tokens = int(share * token_capacity(opened.levels, rows, columns))
        if depth_map:
            depths = read_depths(RangeDecoder(stream), rows, columns, len(opened.levels))
            tokens = int(share * sum(mask.sum() for mask in full_masks(opened.levels, rows, columns, depths)))
        segments.append(Segment(tokens, depth_map, stream[: 100 + 4 * tokens]))
    return container.write(replace(ltk, segments=tuple(segments)))
