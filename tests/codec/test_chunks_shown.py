"""What chunks and the flag GRAY change in a picture, through every verb: decode, info, verify, trim, cuts, plug-in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc import container
from ltokc.container import bitstreams
from ltokc.container.patches import Patch, parse, spell
from ltokc.errors import FormatError
from ltokc.geometry import CellBox
from tests.support.cli_runner import run
from tests.support.golden_files import GOOD
from tests.support.pictures import grainy

pytest.importorskip("onnxruntime")


def golden(name: str) -> bytes:
    return (GOOD / f"6-{name}.ltk").read_bytes()


def without(data: bytes, *names: bytes) -> bytes:
    ltk = container.read(data)
    return container.write(ltk.with_chunks(tuple(c for c in ltk.chunks if c.fourcc not in names)))


def pixels(data: bytes, **options: object) -> np.ndarray:
    return np.asarray(ltokc.decode(data, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "suffix", "mode"),
    [("gray-flag", "png", "L"), ("gray-flag", "jpg", "L"), ("gray-flag", "avif", "L"), ("gray-flag", "webp", "RGB"),
     ("gray-flag-alpha", "png", "LA"), ("gray-flag-alpha", "webp", "RGBA"), ("gray-flag-alpha", "ppm", "RGB"),
     ("patch-vp8l", "png", "RGB"), ("chunk-all", "png", "RGBA")],
)  # fmt: skip
def test_files_that_decode_writes(name: str, suffix: str, mode: str, tmp_path: Path) -> None:
    source, target = GOOD / f"6-{name}.ltk", tmp_path / f"out.{suffix}"
    assert run("decode", str(source), "-o", str(target)).exit_code == 0
    with Image.open(target) as image:
        assert image.mode == mode
        if suffix in ("png", "webp"):
            assert np.array_equal(
                np.asarray(image.convert("RGBA")), np.asarray(ltokc.decode(source.read_bytes()).convert("RGBA"))
            )


@pytest.mark.parametrize("name", ["gray-flag-all", "gray-flag-alpha", "patch-feather", "colour-plain"])
def test_other_commands_take_them(name: str, tmp_path: Path) -> None:
    source = str(GOOD / f"6-{name}.ltk")
    for words in (("info", source, "--heatmap", str(tmp_path / "map.png")), ("verify", source),
                  ("thumbnail", source, str(tmp_path / "small.png"), "-s", "20")):  # fmt: skip
        result = run(*words)
        assert result.exit_code == 0, result.stderr
    assert (", gray" in run("info", source).stdout) == name.startswith("gray")
    with Image.open(tmp_path / "small.png") as image:
        assert max(image.size) == 20 and (image.mode in ("L", "LA")) == name.startswith("gray")


@pytest.mark.parametrize(("name", "mode"), [("gray-flag", "L"), ("gray-flag-alpha", "LA"), ("patch-av1", "RGB")])
def test_the_plug_in_has_the_same_picture(name: str, mode: str) -> None:
    ltokc.register_pillow()
    with Image.open(GOOD / f"6-{name}.ltk") as image:
        assert image.mode == mode
        assert np.array_equal(np.asarray(image), pixels(golden(name)))


def test_info_says_what_is_inside() -> None:
    about = ltokc.info(golden("gray-flag-all"))
    assert about.gray and [name for name, _ in about.chunks] == ["cOLr", "pTCH"]
    assert not ltokc.info(golden("chunk-all")).gray


@pytest.mark.parametrize("name", ["patch-segments", "chunk-all", "gray-flag-all"])
def test_trimming_keeps_chunks_and_flags(name: str) -> None:
    data = golden(name)
    shorter = container.read(ltokc.trim(data, tokens=5))
    whole = container.read(data)
    assert (shorter.header, shorter.chunks) == (whole.header, whole.chunks)
    assert sum(segment.tokens for segment in shorter.segments) <= 5 < sum(segment.tokens for segment in whole.segments)


def test_a_cut_file_loses_its_last_chunks_alone() -> None:
    """Cut behind the patch of the first segment the second patch is not there; the rest is as it was."""
    data = golden("patch-segments")
    part = data[:-1]
    found = container.read(part, allow_truncated=True)
    assert [c.fourcc for c in found.chunks] == [b"pTCH"]
    left = pixels(part, allow_truncated=True)
    whole, learned = pixels(data), pixels(without(data, b"pTCH"))
    assert np.array_equal(left[:, :1024], whole[:, :1024]) and np.array_equal(left[:, 1024:], learned[:, 1024:])
    assert (left[:, 1024:] != whole[:, 1024:]).any()


def test_a_crop_decodes_the_patches_that_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    data, plain, seen = golden("patch-segments"), bitstreams.decode, []

    def counted(coding: int, body: bytes, width: int, height: int, what: str) -> np.ndarray:
        seen.append((width, height))
        return plain(coding, body, width, height, what)

    monkeypatch.setattr(bitstreams, "decode", counted)
    for box, wanted in (((300, 0, 100, 20), []), ((100, 0, 30, 9), [(128, 20)]), ((1090, 5, 10, 5), [(76, 20)]),
                        ((0, 0, 1100, 20), [(128, 20), (76, 20)])):  # fmt: skip
        seen.clear()
        ltokc.decode(data, crop=box)
        assert seen == wanted


def test_a_patch_over_all_is_the_picture() -> None:
    """Lossless whatever the tokens are, and a file for anything that can be drawn."""
    rgb = grainy(100, 70)
    ltk = container.read(ltokc.encode(rgb, tokens=0))
    body = bitstreams.encode(bitstreams.VP8L, Image.fromarray(rgb))
    chunk = container.Chunk(container.PATCHES, spell(Patch(0, bitstreams.VP8L, 0, (CellBox(0, 0, 2, 2),), body)))
    data = container.write(ltk.with_chunks((chunk,)))
    assert np.array_equal(pixels(data), rgb)
    ltokc.verify(data)


def test_damage_inside_a_patch_is_an_error_where_it_is_shown() -> None:
    ltk = container.read(golden("patch-segments"))
    patch = parse(ltk.chunks[1].data, ltk.header)
    broken = replace(patch, picture=patch.picture[:20])
    data = container.write(replace(ltk, chunks=(ltk.chunks[0], container.Chunk(container.PATCHES, spell(broken)))))
    for verb in (ltokc.decode, ltokc.verify):
        with pytest.raises(FormatError, match="the picture of a patch is damaged"):
            verb(data)
    ltokc.decode(data, crop=(0, 0, 200, 20))
    assert ltokc.tokens(data).count == 27
