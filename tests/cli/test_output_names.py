"""Outputs named in every way that users know: as other codecs spell them, as the shell gives them, and as addresses."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.cli_runner import ENVIRONMENT, HEIGHT, WIDTH, names, program, run

posix = pytest.mark.skipif(os.name != "posix", reason="/dev/stdout and pipes with names")
SAID = [
    (["encode", "photo.png", "out.ltk"], "the output is named with -o: photo.png -o out.ltk"),
    (["encode", "photo.png", "x.ltk"], "the output is named with -o: photo.png -o x.ltk"),
    (["decode", "x.ltk", "out.png"], "the output is named with -o: x.ltk -o out.png"),
    (["decode", "x.ltk", "photo.png", "--overwrite"], "the output is named with -o: x.ltk -o photo.png"),
    (["decode", "x.ltk", "out.npy"], "the output is named with -o: x.ltk -o out.npy"),
    (["encode", "photo.png", "-o", "out.avif"], "-o out.avif: what is written is an .ltk file, no .avif"),
    (["encode", "photo.png", "-o", "out.PNG"], "-o out.PNG: what is written is an .ltk file, no .png"),
    (["trim", "x.ltk", "--tokens", "3", "-o", "out.png"], "what is written is an .ltk file, no .png"),
    (["decode", "x.ltk", "-f", "jpg", "-o", "y.png"], "-f jpg and -o y.png name two formats"),
    (["decode", "x.ltk", "-f", "png", "-o", "y.ltk"], "-f png and -o y.ltk name two formats"),
    (["decode", "x.ltk", "-f", "png", "-o", "y.tif"], "-f png and -o y.tif name two formats"),
    (["thumbnail", "x.ltk", "out.tif"], "out.tif: thumbnails are PNG, JPEG, WebP or AVIF files, no .tif"),
    (["info", "x.ltk", "--heatmap", "map.jpg"], "--heatmap map.jpg: a heat map is a PNG file, no .jpg"),
    (["encode", "photo.png", "-d", "s3://bucket/out"], "s3://bucket/out: is an address"),
    (["encode", "photo.png", "-o", "gs://bucket/out.ltk"], "gs://bucket/out.ltk: is an address"),
    (["encode", "https://example.org/photo.png"], "https://example.org/photo.png: is an address"),
    (["batch", "photo.png", "-d", "s3://bucket/out"], "s3://bucket/out: is an address"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "text"), SAID, ids=[" ".join(a) for a, _ in SAID])
def test_what_is_not_meant_is_refused_and_said(here: Path, encoded: bytes, args: list[str], text: str) -> None:
    Path("x.ltk").write_bytes(encoded)
    before = {name: Path(name).read_bytes() for name in names()}
    folders = set(Path().rglob("*/"))
    result = run(*args)
    assert result.exit_code == 2, result.output
    assert text in result.stderr
    assert result.stderr.startswith(f"Usage: ltokc {args[0]} "), "the usage is that of the command"
    assert {name: Path(name).read_bytes() for name in names()} == before and set(Path().rglob("*/")) == folders


def test_a_format_and_a_name_that_fit(here: Path, encoded: bytes) -> None:
    Path("x.ltk").write_bytes(encoded)
    for kind, name, found in (("jpg", "y.jpeg", "JPEG"), ("ppm", "y.pnm", "PPM"), ("png", "y.dat", "PNG")):
        assert run("decode", "x.ltk", "-f", kind, "-o", name).exit_code == 0
        with Image.open(name) as image:
            assert image.format == found


@posix
def test_the_systems_names_of_the_standard_streams(here: Path, encoded: bytes) -> None:
    picture = Path("photo.png").read_bytes()
    packed = program("encode", "photo.png", "-o", "/dev/stdout")
    assert (packed.returncode, packed.stdout) == (0, encoded)
    assert program("encode", "/dev/stdin", "-o", "/dev/stdout", input=picture).stdout == encoded
    assert program("encode", "/dev/stdin", input=picture).stdout == encoded
    Path("x.ltk").write_bytes(encoded)
    shown = program("decode", "x.ltk", "-o", "/dev/stdout")
    with Image.open(io.BytesIO(shown.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))
    with open("redirected.ltk", "wb") as file:
        words = [sys.executable, "-m", "ltokc", "encode", "photo.png", "-o", "/dev/stdout"]
        assert subprocess.run(words, env=ENVIRONMENT, stdout=file, check=False, timeout=60).returncode == 0
    assert Path("redirected.ltk").read_bytes() == encoded
    assert b"cannot both go to stdout" in program("encode", "photo.png", "-o", "/dev/stdout", "--json").stderr


@posix
@pytest.mark.parametrize("line", ["encode photo.png -o {}", "encode photo.png -o {} --overwrite --keep-times"])
def test_a_pipe_of_the_shell(here: Path, encoded: bytes, line: str) -> None:
    """As bash gives it for `-o >(command)`: a name of a descriptor of a pipe."""
    ours, theirs = os.pipe()
    words = [sys.executable, "-m", "ltokc", *line.format(f"/dev/fd/{theirs}").split()]
    done = subprocess.run(words, env=ENVIRONMENT, pass_fds=[theirs], capture_output=True, check=False, timeout=60)
    os.close(theirs)
    with os.fdopen(ours, "rb") as file:
        assert (done.returncode, file.read()) == (0, encoded), done.stderr


@posix
def test_nothing_is_left_of_a_device_that_is_written(here: Path) -> None:
    assert run("encode", "photo.png", "-o", "/dev/null").exit_code == 0
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")


@pytest.mark.parametrize("line", [
    "encode photo.png -o new/", "encode photo.png -o new/.", "decode x.ltk -f png -o new/", "thumbnail x.ltk new/",
    "trim x.ltk --tokens 5 -o new/", "tokens x.ltk --npz -o new/", "info x.ltk --heatmap new/",
    "compare photo.png x.ltk --html new/",
])  # fmt: skip
def test_a_name_that_ends_as_a_folder_is_refused_before_any_work(here: Path, encoded: bytes, line: str) -> None:
    Path("x.ltk").write_bytes(encoded)
    before = names()
    result = run(*line.split())
    assert result.exit_code == 2 and "is a folder" in result.stderr, result.stderr
    assert names() == before and not Path("new").exists()
