"""What a comparison found, as frozen records that pass between processes and into CSV, JSON and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ltokc.jobs.rows import Row

Bytes = bytes  # the type, where a field has its name


@dataclass(frozen=True, slots=True)
class Scores:
    """Quality of a decoded picture; None where a metric could not be had.  Higher is better but for LPIPS.

    psnr: dB, inf for equal pictures; ms_ssim: 0..1; ssimulacra2: 100 equal, under 0 bad; lpips_squeeze: 0 equal.
    """

    psnr: float | None = None
    ms_ssim: float | None = None
    ssimulacra2: float | None = None
    lpips_squeeze: float | None = None

    def get(self, metric: str) -> float | None:
        """One of the metrics by its name in `ltokc.compare.scores.METRICS`."""
        value: float | None = getattr(self, metric)
        return value


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of the picture.

    codec: a name of `ltokc.compare.codecs` ("ltokc", "webp", "webp_half"), or "" for a file of another kind;
    label: for people; quality: the codec's own scale, None where it is not known; scale: 1, or 2 and 4 where the
    picture was downscaled before encoding; data: the file itself, or b"" where it is not kept.
    """

    codec: str
    label: str
    bytes: int
    bpp: float
    scores: Scores
    quality: float | None = None
    scale: int = 1
    data: Bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class EqualQuality:
    """What a rival needs to be as good as our file by one metric.

    file: its smallest file that is not worse, None where its best file is still worse (then `bytes` is None too);
    bytes: the size at which it would be exactly as good, between that file and the next smaller one on a line through
    the logarithm of bytes; bound: even its smallest file is better, so that `bytes` is only an upper bound.
    """

    metric: str
    file: FileRecord | None
    bytes: float | None
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Rival:
    """One rival on one picture.

    same_bytes: its best file that is not larger than ours; below: how far it lands below ours, as a share of ours
    (0.03: 3 % smaller), negative where even its smallest file is larger.  same_quality: see there.
    """

    name: str
    label: str
    same_bytes: FileRecord
    below: float
    same_quality: EqualQuality


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One codec at one quality on one picture, without the file."""

    codec: str
    quality: float
    bytes: int
    bpp: float
    scores: Scores


@dataclass(frozen=True, slots=True)
class View:
    """A picture as the report shows it: bytes of a file that browsers read, and what was done to it ("": nothing)."""

    mime: str
    data: bytes = field(repr=False)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Views:
    """Pictures of one comparison: the original, the files in order, each rival's file of equal bytes, a small original.

    heat: a PNG with transparency over the whole picture, or None; `heat_bits`: the bits per pixel that its strongest
    colour stands for.
    """

    original: View
    files: tuple[View, ...]
    rivals: tuple[View, ...]
    thumb: View
    heat: View | None = None
    heat_bits: float = 0.0

    def size(self) -> int:
        """Bytes of all views together."""
        views = (self.original, *self.files, *self.rivals, self.thumb, *((self.heat,) if self.heat else ()))
        return sum(len(view.data) for view in views)


@dataclass(frozen=True, slots=True)
class PictureComparison:
    """One original, the files made of it and their rivals.

    files: at least one; the first is the file that rivals are searched to.  curve: points of rate-distortion curves,
    ours and rivals'; views: None where no pictures are wanted; notes: what was changed before comparing.
    source, status: of a picture of a batch its path, and what became of it, as in `ltokc.jobs.rows.Row`; else "".
    """

    name: str
    width: int
    height: int
    files: tuple[FileRecord, ...]
    rivals: tuple[Rival, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    views: Views | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    status: str = ""

    @property
    def ours(self) -> FileRecord:
        """The file that rivals are searched to."""
        return self.files[0]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a report of a batch holds beside its comparisons.

    totals: over all its pictures, see `ltokc.jobs.rows.totals`; without: the rows of those that have no comparison.
    """

    totals: dict[str, Any]
    without: tuple[Row, ...] = ()
