"""Every layout of TIFF: its pixels come out right, or it is refused.

Layouts are written by tifffile, and by a small writer for samples that are no whole bytes; what is right is known from
the samples, not from a reader.
"""

from __future__ import annotations

import io
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ltokc.errors import FormatError
from ltokc.pictures.load import load
from tests.support.tiffs import floating_point_differences, packed, tiff

tifffile = pytest.importorskip("tifffile")
HEIGHT, WIDTH = 32, 48
ORDERS, TILES = "<>", (None, (16, 16))
BANDS = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "separated": 4, "ycbcr": 3, "cielab": 3, "palette": 1}
EXTRA = {"unassociated": "unassalpha", "associated": "assocalpha", "unspecified": "unspecified"}
TYPES = ("bool", "uint8", "uint16", "uint32", "int8", "int16", "float16", "float32")
SCALES = {"uint8": 1, "uint16": 257, "uint32": 16843009}


def bands(number: int) -> np.ndarray:
    """(H, W, number) uint8, every band another gradient."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    first = x * 255 // (WIDTH - 1), y * 255 // (HEIGHT - 1), (x + y) * 255 // (WIDTH + HEIGHT - 2)
    return np.stack([*first, 255 - first[0] // 2, first[1] // 2, 255 - first[2]][:number], -1).astype(np.uint8)


def samples_of(values: np.ndarray, kind: str) -> np.ndarray:
    """Values of 8 bits as samples of a type, over the whole of its range (signed: from 0)."""
    if kind == "bool":
        return values > 127
    if kind.startswith("float"):
        return (values / 255).astype(kind)
    if kind.startswith("int"):
        return (values.astype(np.int64) << 8 * np.dtype(kind).itemsize - 9).astype(kind)
    return values.astype(kind) * np.asarray(SCALES[kind], kind)


def expected_pixels(photometric: str, values: np.ndarray, extra: str | None) -> tuple[np.ndarray, np.ndarray | None]:
    """RGB and alpha that values of 8 bits stand for."""
    colour, alpha = values[..., : BANDS[photometric]], None
    if extra == "unassociated":
        alpha = values[..., -1]
    gray = np.repeat(colour[..., :1], 3, axis=2)
    if photometric in ("minisblack", "palette"):
        return gray, alpha
    if photometric == "miniswhite":
        return 255 - gray, alpha
    mode = {"rgb": "RGB", "separated": "CMYK", "ycbcr": "YCbCr"}[photometric]
    return np.asarray(Image.fromarray(np.ascontiguousarray(colour), mode).convert("RGB")), alpha


def layouts(photometric: str) -> Iterator[dict[str, Any]]:
    """All that differs in the way the samples lie, as arguments of `written`."""
    extras = (None, *EXTRA) if photometric in ("minisblack", "rgb", "separated") else (None,)
    kinds = ("bool", "uint8", "uint16", "float32") if photometric == "palette" else TYPES
    for kind, extra, order, tile, deflate in itertools.product(kinds, extras, ORDERS, TILES, (False, True)):
        for planes, predictor in itertools.product((False, True), (False, True)):
            yield {"kind": kind, "extra": extra, "order": order, "tile": tile, "deflate": deflate, "planes": planes,
                   "predictor": predictor}  # fmt: skip


def written(
    photometric: str, values: np.ndarray, kind: str, extra: str | None, order: str, tile: tuple[int, int] | None,
    deflate: bool, planes: bool, predictor: bool,
) -> bytes | None:  # fmt: skip
    """A file of that layout; None for one that tifffile does not write."""
    samples, options = samples_of(values, kind), {}
    if values.shape[2] == 1:
        if planes:
            return None
        samples = samples[..., 0]
    else:
        options["planarconfig"] = "separate" if planes else "contig"
        samples = np.moveaxis(samples, -1, 0) if planes else samples
    if extra:
        options["extrasamples"] = [EXTRA[extra]]
    if photometric == "palette":
        options["colormap"] = np.tile(np.arange(2 if kind == "bool" else 256), (3, 1)).astype(np.uint16) * 257
    if predictor and not deflate:
        return None
    out = io.BytesIO()
    try:
        tifffile.imwrite(
            out, samples, photometric=photometric, byteorder=order, tile=tile, metadata=None,
            compression="zlib" if deflate else None, predictor=predictor, **options,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, RuntimeError, NotImplementedError):
        return None
    return out.getvalue()


@pytest.mark.parametrize("photometric", [name for name in BANDS if name != "cielab"])
@pytest.mark.filterwarnings("ignore")
def test_layouts_are_right_or_refused(photometric: str) -> None:
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    wrong, taken = [], set()
    for layout in layouts(photometric):
        values = bands(BANDS[photometric] + (layout["extra"] is not None))
        if layout["kind"] == "bool":
            values = (values > 127) * np.uint8(255)
        data = written(photometric, values, **layout)
        if data is None:
            continue
        try:
            picture = load(io.BytesIO(data))
        except FormatError:
            continue
        rgb, alpha = expected_pixels(photometric, values, layout["extra"])
        apart = int(np.abs(picture.rgb.astype(int) - rgb).max())
        if layout["extra"] == "associated":
            apart = 0 if picture.alpha is not None and np.array_equal(picture.alpha, values[..., -1]) else 255
        elif (alpha is None) != (picture.alpha is None) or (alpha is not None and (alpha != picture.alpha).any()):
            apart = 255
        if apart > 1:
            wrong.append((layout, apart))
        taken.add((layout["kind"], layout["planes"], layout["deflate"], layout["order"]))
    assert not wrong, f"{len(wrong)} read wrongly, of them {wrong[:8]}"
    # what cameras, scanners and editors write
    raw = photometric != "ycbcr"  # Pillow 11.3 refuses it without compression
    for order, deflate in itertools.product(ORDERS, (False, True) if raw else (True,)):
        assert ("uint8", False, deflate, order) in taken
        if photometric in ("minisblack", "rgb", "separated"):
            assert ("uint16", False, deflate, order) in taken


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32])
@pytest.mark.parametrize("photometric", [0, 1, 2])
def test_packed_samples(photometric: int, bits: int, order: str) -> None:
    values = np.rint(bands(3 if photometric == 2 else 1) / 255 * (2**bits - 1)).astype(np.int64)
    shown = np.rint(values / (2**bits - 1) * 255)
    expected = 255 - shown if photometric == 0 else shown
    tags = {258: [bits] * values.shape[2], 262: [photometric], 277: [values.shape[2]]}
    taken = 0
    for deflate in (False, True):
        if bits == 24:
            return
        data = tiff(WIDTH, HEIGHT, [packed(values, bits, order)], tags, order, deflate)
        try:
            picture = load(io.BytesIO(data))
        except FormatError:
            continue
        assert np.abs(picture.rgb - expected).max() <= 1
        taken += 1
    if bits in (1, 2, 4, 8) and photometric in (0, 1):
        assert taken == 2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("predictor", [1, 3])
def test_float_gray(predictor: int, order: str) -> None:
    values = bands(1)[..., 0]
    samples = (values / 255).astype(np.float32)
    tags = {258: [32], 262: [1], 277: [1], 339: [3], 317: [predictor]}
    rows = floating_point_differences(samples) if predictor == 3 else samples.astype(f"{order}f4").tobytes()
    try:
        picture = load(io.BytesIO(tiff(WIDTH, HEIGHT, [rows], tags, order, deflate=True)))
    except FormatError:
        assert order == ">"
        return
    assert np.array_equal(picture.rgb[..., 0], values)


@pytest.mark.parametrize("bits", [[8, 8, 4], [5, 6, 5], [16, 8, 8]])
def test_bands_of_different_bits_are_refused(bits: list[int]) -> None:
    data = tiff(8, 8, [bytes(8 * 8 * 4)], {258: bits, 262: [2], 277: [3]})
    with pytest.raises(FormatError):
        load(io.BytesIO(data))


@pytest.mark.parametrize("number", [4, 9, 10, 32803, 32844, 34892, 60000])
def test_other_photometric_interpretations_are_refused(number: int) -> None:
    """Masks, ICC and ITU Lab, the mosaic of a sensor, its linear RGB, logarithmic luminance, unknown."""
    data = tiff(8, 8, [bytes(8 * 8)], {258: [8], 262: [number], 277: [1]})
    with pytest.raises(FormatError):
        load(io.BytesIO(data))


def test_lab_in_planes_is_refused_and_lab_of_pixels_is_not() -> None:
    lab = np.zeros((8, 8, 3), np.uint8)
    lab[..., 0] = 128
    data = tiff(8, 8, [lab.tobytes()], {258: [8] * 3, 262: [8], 277: [3]})
    assert np.abs(load(io.BytesIO(data)).rgb.astype(int) - 119).max() <= 2
    planes = tiff(8, 8, [lab[..., i].tobytes() for i in range(3)], {258: [8] * 3, 262: [8], 277: [3], 284: [2]})
    with pytest.raises(FormatError, match="layout of TIFF"):
        load(io.BytesIO(planes))


def raw_like(first: dict[int, tuple[int, ...]]) -> bytes:
    """A TIFF of a preview of 24 x 16 pixels in its first directory, with these tags of 32 bits."""
    out = io.BytesIO()
    extra = [(tag, 4, len(value), value, True) for tag, value in first.items() if tag != 254]
    subfile = first.get(254, (0,))[0]
    tifffile.imwrite(out, bands(3)[:16, :24], photometric="rgb", metadata=None, subfiletype=subfile, extratags=extra)
    return out.getvalue()


@pytest.mark.parametrize("tags", [{254: (1,)}, {50706: (1, 4, 0, 0)}], ids=["reduced", "DNG"])
def test_a_preview_is_not_taken_for_the_picture(tags: dict[int, tuple[int, ...]]) -> None:
    assert load(io.BytesIO(raw_like({}))).rgb.shape == (16, 24, 3)
    with pytest.raises(FormatError, match="raw converter"):
        load(io.BytesIO(raw_like(tags)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("number", [1, 2])
def test_a_larger_picture_in_a_sub_directory_is_not_overlooked(number: int, order: str) -> None:
    for sides, larger in (((96, 64), True), ((12, 8), False)):
        out = io.BytesIO()
        with tifffile.TiffWriter(out, byteorder=order) as writer:
            writer.write(bands(3)[:16, :24], photometric="rgb", metadata=None, subifds=number)
            for i in range(number):
                shape = (sides[1], sides[0], 3) if i == number - 1 else (8, 12, 3)
                writer.write(np.zeros(shape, np.uint8), photometric="rgb", metadata=None)
        if larger:
            with pytest.raises(FormatError, match="96 x 64"):
                load(io.BytesIO(out.getvalue()))
        else:
            assert load(io.BytesIO(out.getvalue())).rgb.shape == (16, 24, 3)


def test_a_canon_raw_file_is_known_by_its_mark() -> None:
    data = bytearray(tiff(24, 16, [bytes(24 * 16)], {258: [8], 262: [1], 277: [1]}))
    data[8:12] = b"CR\2\0"  # lies in the pixels here
    with pytest.raises(FormatError, match="raw file"):
        load(io.BytesIO(bytes(data)))
