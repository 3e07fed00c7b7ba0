"""What nobody means to give: names with escape sequences, numbers without end, closed streams, foreign metadata."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc import container
from ltokc.compare.codecs import make_codec
from ltokc.container import EXIF, ICC, XMP, Chunk
from ltokc.errors import LossWarning
from tests.support.cli_runner import ENVIRONMENT, names, program, run

EVIL = "a\x1b]0;owned\x07\x1b[31m\u009b2J\u202e.ltk"
NUMBER = "9" * 400
POSIX = pytest.mark.skipif(os.name != "posix", reason="file descriptors and names of POSIX")


@POSIX
def test_no_escape_sequence_of_a_name_reaches_the_terminal(here: Path, encoded: bytes) -> None:
    Path(EVIL).write_bytes(encoded)
    Path("missing").mkdir()
    for args in (
        ["info", EVIL], ["verify", EVIL], ["decode", EVIL, "-vv", "-o", "o.png"], ["info", f"missing/{EVIL}", "-vv"],
        ["compare", "photo.png", EVIL], ["encode", "photo.png", "-o", f"x/{EVIL}"],
        ["decode", EVIL, "-o", "o.\x07\x1b"],
        ["encode", "photo.png", f"-m{EVIL}"], [EVIL], [f"--{EVIL}"], ["info", f"--{EVIL}"], ["trim", EVIL, EVIL],
        ["tokens", EVIL], ["encode", "photo.png", "-q", EVIL], ["batch", EVIL, "-d", EVIL, "--shard", EVIL],
    ):  # fmt: skip
        result = run(*args)
        for text in (result.stdout, result.stderr):
            assert not [c for c in text if not c.isprintable() and c != "\n"], (args, text)


@POSIX
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_names_that_the_encoding_of_the_terminal_lacks(here: Path, encoded: bytes, encoding: str) -> None:
    Path("写真→.ltk").write_bytes(encoded)
    for args in (["info", "写真→.ltk"], ["compare", "photo.png", "写真→.ltk"], ["verify", "写真→.ltk"], ["--help"]):
        environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
        done = subprocess.run([sys.executable, "-m", "ltokc", *args], env=environment, capture_output=True, timeout=60,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (["encode", "photo.png", "--target-size", NUMBER], 2), (["encode", "photo.png", "-q", NUMBER], 2),
        (["encode", "photo.png", "-q", "9" * 5000], 2), (["encode", "photo.png", "-o", "o.ltk", "--tokens", NUMBER], 0),
        (["encode", "photo.png", "--tokens", "9" * 5000], 2), (["encode", "photo.png", "-e", NUMBER], 2),
        (["encode", "photo.png", "--target-bpp", NUMBER], 2), (["encode", "photo.png", "-m", NUMBER], 1),
        (["decode", "photo.ltk", "-o", "o.png", "--crop", f"{NUMBER},0,1,1"], 1),
        (["decode", "photo.ltk", "-o", "o.png", "--tokens", NUMBER], 0),
        (["trim", "photo.ltk", "-o", "o.ltk", "--tokens", NUMBER], 0),
        (["thumbnail", "photo.ltk", "o.png", "-s", NUMBER], 2),
        (["batch", ".", "-d", "o", "--shard", f"1/{NUMBER}"], 2),
        (["verify", "photo.ltk", "--limit-pixels", NUMBER], 0),
    ],
    ids=lambda value: value if isinstance(value, int) else " ".join(value)[:40],
)  # fmt: skip
def test_numbers_without_end(here: Path, encoded: bytes, args: list[str], status: int) -> None:
    Path("photo.ltk").write_bytes(encoded)
    result = run(*args)
    assert result.exit_code == status, result.output
    assert "internal error" not in result.stderr and len(result.stderr) < 400
    assert "9" * 40 not in result.output


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_sizes_that_are_no_numbers(encoded: bytes, value: float) -> None:
    for name in ("target_size", "tokens"):
        with pytest.raises(ltokc.UsageError, match=name):
            ltokc.trim(encoded, **{name: value})
    for name in ("quality", "tokens", "target_size", "target_bpp"):
        with pytest.raises(ltokc.UsageError, match=name):
            ltokc.encode(np.zeros((8, 8, 3), np.uint8), **{name: value})


@pytest.mark.parametrize("kind", ["avif", "png", "jpg", "webp"])
@pytest.mark.parametrize("data", [b"no TIFF at all", b"", b"\xff" * 70000, b"MM\0*\0\0\0\x08\xff\xff"], ids=len)
def test_foreign_metadata_costs_no_picture(here: Path, kind: str, data: bytes) -> None:
    """Chunks of another encoder: whatever a format cannot hold is left out, and said."""
    whole = container.read(ltokc.encode(np.zeros((48, 64, 3), np.uint8), tokens=1))
    chunks = tuple(Chunk(code, data) for code in (EXIF, XMP, ICC))
    Path("x.ltk").write_bytes(container.write(replace(whole, chunks=chunks)))
    result = run("decode", "x.ltk", "-o", f"x.{kind}")
    assert result.exit_code == 0, result.stderr
    assert Image.open(f"x.{kind}").size == (64, 48)
    if kind == "avif" and data == b"no TIFF at all":
        assert "EXIF left out: it cannot be written as avif" in result.stderr


def test_rivals_of_long_narrow_noise() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 17000, 3), np.uint8))
    assert make_codec("jpeg").encode(noise, 95)[:2] == b"\xff\xd8"
    with pytest.raises(ltokc.UsageError, match="WebP cannot hold this picture"):
        make_codec("webp").encode(noise, 50)


def closing(*numbers: int) -> object:
    return lambda: [os.close(number) for number in numbers]


@POSIX
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_are_no_outputs(here: Path, encoded: bytes, closed: tuple[int, ...]) -> None:
    """Whatever number the next file has, what is meant for people does not go into it."""
    Path("photo.ltk").write_bytes(encoded)
    words = [sys.executable, "-m", "ltokc", "decode", "photo.ltk", "missing.ltk", "-d", "out", "-v"]
    done = subprocess.run(words, env=ENVIRONMENT, timeout=60, check=False, preexec_fn=closing(*closed))  # type: ignore
    assert done.returncode == 1
    assert Image.open("out/photo.png").size == (96, 80)
    assert Path("photo.ltk").read_bytes() == encoded


@POSIX
def test_what_needs_a_closed_stream_is_told() -> None:
    done = program("info", "-", preexec_fn=closing(0))
    assert done.returncode == 1 and b"Bad file descriptor" in done.stderr and done.stderr.count(b"\n") == 1
    done = program("-V", preexec_fn=closing(1))
    assert done.returncode == 1 and b"Traceback" not in done.stderr


@pytest.mark.parametrize("line", [
    ["encode", ""], ["encode", "photo.png", "-o", ""], ["encode", "photo.png", "-d", ""], ["decode", ""],
    ["batch", "photo.png", "-d", ""], ["batch", "", "-d", "out"], ["trim", "a.ltk", "--tokens", "1", "-o", ""],
    ["batch", "photo.png", "-d", "out", "--report", ""], ["info", ""], ["compare", "photo.png", ""],
    ["info", "a.ltk", "--heatmap", ""], ["thumbnail", "a.ltk", ""], ["tokens", ""],
    ["compare", "photo.png", "photo.png", "--html", ""],
])  # fmt: skip
def test_an_empty_name_is_called_that(here: Path, line: list[str]) -> None:
    before = names()
    result = run(*line)
    assert result.exit_code == 2 and "the name is empty, as that of a shell variable that is not set" in result.stderr
    assert names() == before


def test_messages_name_options_here_and_arguments_in_python(here: Path) -> None:
    """Of errors and of losses."""
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    frames[0].save("two.gif", save_all=True, append_images=frames[1:])
    Image.open("photo.png").save("whole.jpg")
    Path("cut.jpg").write_bytes(Path("whole.jpg").read_bytes()[:-300])
    for line, said in (
        (["cut.jpg"], "; --allow-damaged takes what there is of it"),
        (["two.gif", "-e", "0"], "(encode with --frame N takes another)"),
        (["photo.png", "--limit-pixels", "9"], "over the limit of 9 (--limit-pixels)"),
    ):
        for command in (["encode", *line, "--overwrite"], ["batch", *line, "-d", "out", "-j", "1", "--overwrite"]):
            assert said in run(*command).stderr
    with pytest.raises(ltokc.FormatError, match="; allow_damaged=True takes what there is of it$"):
        ltokc.encode("cut.jpg")
    with pytest.warns(LossWarning, match="encode with frame=N takes another"):
        ltokc.encode("two.gif", effort=0)
    with pytest.raises(ltokc.LimitError, match=r"over the limit of 9 \(limit_pixels\)$"):
        ltokc.encode("photo.png", limit_pixels=9)


def test_a_report_that_only_versus_writes_is_told_so(here: Path) -> None:
    result = run("batch", "photo.png", "-d", "out", "--report", "a.html")
    assert result.exit_code == 1 + ("Usage" in result.stderr) and ".json (with --versus also .html)" in result.stderr
