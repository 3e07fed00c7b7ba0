"""Patches of a set of cells: one picture a segment, lossless or lossy, whichever is smaller."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from ltokc.container import av1, bitstreams, patches
from ltokc.container.bitstreams import AV1, VP8, VP8L, WEBP_MAX_SIDE
from ltokc.container.patches import Patch
from ltokc.container.records import Header, segment_box, segment_count
from ltokc.geometry import CELL, CellBox
from ltokc.rate.patches.canvas import canvas_of
from ltokc.rate.patches.drawn import Drawing
from ltokc.rate.patches.rectangles import rectangles_of

FEATHER = 4  # px over which a patch fades towards cells without one
LOSSLESS_WORTH = 1.04  # times the bytes of a lossy picture that a lossless one may take
HOPELESS = 1.15  # times them, above which a quick lossless one is not tried better
OUT_OF_REACH = 2.5  # times them, above which a plain one is not tried better: most of the time, where photographs are
SPEEDS = (8, 6, 5, 4, 3)  # of AV1, by the encoder's effort: of photographs, and where cells are chosen
# of drawings that stay: below 5, AV1 looks for blocks that repeat, which takes a fifth of the bytes of lettering
DRAWN_SPEEDS = (6, 4, 4, 3, 3)
QUICKER = (1 << 21, 1 << 23)  # px, of drawings beyond which the next quicker speed is taken
TUNED = {"tune": "ssimulacra2"}  # of photographs by AV1: 2 to 8 % fewer bytes below 80 points; lettering takes more
SCREEN = {"tune-content": "screen"}  # of AV1, palettes and copies also where it sees none: much or nothing is gained
# of AV1: photographs in a seventh less time, 5 % fewer bytes at equal PSNR, as many at equal look; drawings 1 % fewer
ALWAYS = {"disable-trellis-quant": "1"}
LEAN = {"enable-1to4-partitions": "0"}  # of drawings that stay: a quarter less time, 1 % more bytes
QUICK, PLAIN, SMALL = (
    (100, 4),
    (40, 2),
    (100, 6),
)  # quality and effort of VP8L; the last: seconds, 2 % less
LARGE = 1 << 19  # px, of pictures that the last is not tried for
SMALL_FROM = 2  # effort of the encoder from which on it is tried
LEAST_EQUAL = 0.25  # share of equal neighbours from which on lossless coding has a chance
PALETTE, SAMPLED = 256, 16  # colours up to which it has one anyhow (dithered pictures); rows, of which one is looked at
Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


def lossy_coding() -> int | None:
    """AV1 where Pillow has it, else VP8; None: it has neither."""
    return AV1 if features.check("avif") else VP8 if features.check("webp") else None


@dataclass(frozen=True, slots=True)
class PatchCoder:
    """Codes cells of a picture (H, W, 3), whose file will have this header.

    effort: 0 to 4, the encoder's; drawing: what is drawn in it; with nothing, AV1 is tuned for the look.
    screen: whether AV1 shall take it for a screen, whatever it looks like; thorough: whether it may take the time of
    patches that stay.  made: what was coded before, of which copies with other settings know.
    """

    rgb: Pixels
    header: Header
    effort: int
    drawing: Drawing
    screen: bool = False
    thorough: bool = False
    made: dict[tuple[object, ...], bytes] = field(default_factory=dict, repr=False, compare=False)

    def patches(self, cells: Mask, quality: int) -> tuple[Patch, ...]:
        """The patches of the cells in the map (rows, columns), at a lossy quality of 0 to 100."""
        return tuple(self._patch(number, shown, box, quality) for number, shown, box in self._segments(cells))

    def is_screen(self, cells: Mask, quality: int) -> bool:
        """Whether AV1 takes cells for a screen by itself, so that `screen` would change nothing."""
        coded = (self.lossy(canvas_of(self.rgb, shown, box), quality) for _, shown, box in self._segments(cells))
        return all(each.coding == AV1 and av1.is_screen(each.body) for each in coded)

    def lossy(self, pixels: Pixels, quality: int) -> Coded:
        """Pixels (h, w, 3) by the lossy codec.  It must be there."""
        coding = lossy_coding()
        assert coding is not None
        effort = 10 - self._speed(pixels.shape[0] * pixels.shape[1]) if coding == AV1 else 5
        drawn = self.drawing.present
        advanced = (SCREEN if self.screen else {}) | (LEAN if self.thorough else {}) if drawn else TUNED
        return Coded(coding, self._made(coding, pixels, quality, effort, ALWAYS | advanced))

    def _made(
        self, coding: int, pixels: Pixels, quality: int, effort: int, advanced: Mapping[str, str] | None = None
    ) -> bytes:  # fmt: skip
        """Pixels by a codec; what is asked for again is not coded again."""
        gray = self.header.gray and coding != VP8L
        digest = hashlib.blake2b(pixels.tobytes()).digest()
        key = (coding, pixels.shape, digest, quality, effort, *sorted((advanced or {}).items()))
        if key not in self.made:
            image = Image.fromarray(pixels).convert("L" if gray else "RGB")
            kind = "4:0:0" if gray else "4:4:4"
            self.made[key] = bitstreams.encode(coding, image, quality, effort, kind, advanced)
        return self.made[key]

    def _speed(self, pixels: int) -> int:
        """Of AV1."""
        quick = SPEEDS[self.effort]
        if not self.thorough or not self.drawing.present:
            return quick
        return min(quick, DRAWN_SPEEDS[self.effort] + sum(pixels > limit for limit in QUICKER))

    def seen(self, pixels: Pixels, quality: int) -> Pixels:
        """What the lossy codec makes of pixels (h, w, 3)."""
        height, width = pixels.shape[:2]
        found = self.lossy(pixels, quality)
        return bitstreams.decode(found.coding, found.body, width, height, "a patch")

    def smallest(self, pixels: Pixels, quality: int, equal: float) -> Coded:
        """Lossy at this quality, or lossless where that is hardly larger.

        equal: share of the pixels that are equal to their neighbours.
        """
        lossy = self.lossy(pixels, quality)
        may = max(pixels.shape[:2]) <= WEBP_MAX_SIDE and features.check("webp")
        if not may or (equal < LEAST_EQUAL and not _has_palette(pixels)):
            return lossy
        tried: list[bytes] = []
        for setting, hopeless in ((PLAIN, OUT_OF_REACH), (QUICK, HOPELESS)):
            tried.append(self._made(VP8L, pixels, *setting))
            if min(map(len, tried)) > hopeless * len(lossy.body):
                return lossy
        if self.effort >= SMALL_FROM and pixels.shape[0] * pixels.shape[1] <= LARGE:
            tried.append(self._made(VP8L, pixels, *SMALL))
        best = Coded(VP8L, min(tried, key=len))
        return best if len(best.body) <= LOSSLESS_WORTH * len(lossy.body) else lossy

    def shown(self, found: tuple[Patch, ...], under: Pixels) -> Pixels:
        """What patches show over a picture (H, W, 3), without fading at their borders."""
        out = under.copy()
        for patch in found:
            pixels, place = patches.decode(patch, self.header), patches.area(patch, self.header)
            segment = segment_box(self.header, patch.segment)
            for left, top, columns, rows in patch.rectangles:
                x, y = CELL * (segment.left + left), CELL * (segment.top + top)
                part = pixels[y - place.top :, x - place.left :][: CELL * rows, : CELL * columns]
                out[y : y + part.shape[0], x : x + part.shape[1]] = part
        return out

    def _patch(self, number: int, shown: Mask, box: CellBox, quality: int) -> Patch:
        segment = segment_box(self.header, number)
        pixels = canvas_of(self.rgb, shown, box)
        share = float(np.where(shown, self.drawing.equal, 1.0)[box.at(1)].mean())
        coded = self.smallest(pixels, quality, share)
        inside = shown[segment.at(1)]
        return Patch(number, coded.coding, 0 if inside.all() else FEATHER, rectangles_of(inside), coded.body)

    def _segments(self, cells: Mask) -> Iterator[tuple[int, Mask, CellBox]]:
        """Number of each segment that has cells, a map of them alone, and the smallest box around them."""
        for number in range(segment_count(self.header)):
            place = segment_box(self.header, number).at(1)
            if not cells[place].any():
                continue
            own = np.zeros_like(cells)
            own[place] = cells[place]
            rows, columns = np.unique(np.argwhere(own)[:, 0]), np.unique(np.argwhere(own)[:, 1])
            left, top = int(columns[0]), int(rows[0])
            yield number, own, CellBox(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def _has_palette(pixels: Pixels) -> bool:
    """Whether some rows of pixels (h, w, 3) have so few colours that the picture may have a palette."""
    rows = pixels[::SAMPLED].reshape(-1, 3).astype(np.uint32)
    return len(np.unique(rows[:, 0] << 16 | rows[:, 1] << 8 | rows[:, 2])) <= PALETTE


@dataclass(frozen=True, slots=True)
class Coded:
    """A bitstream and its coding (`ltokc.container.bitstreams`)."""

    coding: int
    body: bytes


def bytes_of(found: tuple[Patch, ...]) -> int:
    """Bytes that patches take in a file: names, lengths and checksums of their chunks included."""
    return sum(len(patches.spell(patch)) + 12 for patch in found)
