"""The verbs of the command line on real pictures and files, with the default model."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.cli_runner import HEIGHT, WIDTH, names, run


def test_truncated_jpeg_fails(here: Path, photo: Path) -> None:
    buffer = io.BytesIO()
    Image.open(photo).save(buffer, "jpeg")
    Path("cut.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    result = run("encode", "cut.jpg")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("ltokc: cut.jpg: ")
    assert not Path("cut.ltk").exists()


def test_encode_says_what_it_did_on_stderr(here: Path) -> None:
    result = run("encode", "photo.png")
    assert result.exit_code == 0, result.stderr
    size = Path("photo.ltk").stat().st_size
    assert result.stderr.startswith(f"photo.png -> photo.ltk  {WIDTH}x{HEIGHT}  {size:,} bytes  ")
    assert result.stderr.endswith(" s\n")
    assert result.stdout == ""
    assert names() == {"photo.png", "text.png", "empty.png", "photo.ltk"}
    assert run("encode", "photo.png", "--overwrite", "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("args", "limit"),
    [
        (["--target-size", "300"], 300),
        (["--target-size", "0.3kB"], 300),
        (["--target-bpp", "0.3"], 0.3 * WIDTH * HEIGHT / 8),
    ],
)
def test_strict_targets_are_kept(here: Path, args: list[str], limit: float) -> None:
    assert run("encode", "photo.png", "--strict", *args).exit_code == 0
    assert 0.5 * limit < Path("photo.ltk").stat().st_size <= limit


def test_quality_and_tokens_set_the_rate(here: Path) -> None:
    sizes = []
    for args in (["-q", "0.1"], ["-q", "0.9"], ["--tokens", "4"]):
        assert run("encode", "photo.png", "--overwrite", *args).exit_code == 0
        sizes.append(Path("photo.ltk").stat().st_size)
    assert sizes[2] < sizes[1]
    assert sizes[0] < sizes[1]


def test_encode_json(here: Path) -> None:
    result = run("encode", "photo.png", "missing.png", "--json")
    assert result.exit_code == 1
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["input"] == "photo.png"
    assert first["output"] == "photo.ltk"
    assert (first["width"], first["height"]) == (WIDTH, HEIGHT)
    assert first["bytes"] == Path("photo.ltk").stat().st_size
    assert second["input"] == "missing.png"
    assert second["error"]


def test_batch_does_the_others_and_sums_up(here: Path) -> None:
    result = run("encode", "text.png", "photo.png", "-d", "out")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "1 done, 1 failed"
    assert os.listdir("out") == ["photo.ltk"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_tree_is_mirrored_in_one_process_and_in_several(here: Path, photo: Path, jobs: str) -> None:
    for name in ("in/a.png", "in/deep/b.png", "in/deep/c.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(photo.read_bytes() if "c" not in name else b"broken")
    result = run("encode", "-r", "in", "-d", "out", "-j", jobs)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "2 done, 1 failed"
    assert "ltokc: in/deep/c.png: " in result.stderr
    assert {str(p) for p in Path("out").rglob("*.ltk")} == {"out/a.ltk", "out/deep/b.ltk"}


def test_nothing_to_do(here: Path) -> None:
    Path("photo.ltk").write_bytes(b"mine")
    assert run("encode", "photo.png", "-n").exit_code == 3
    assert Path("photo.ltk").read_bytes() == b"mine"
    for command in ("encode", "decode", "info", "verify"):
        result = run(command, "-r", "folder")
        assert (result.exit_code, result.stderr) == (3, "nothing to do\n")


def test_json_has_a_row_for_what_is_skipped_and_what_failed(here: Path, encoded: bytes) -> None:
    Path("in").mkdir()
    Path("in/a.ltk").write_bytes(encoded)
    Path("in/b.ltk").write_bytes(b"broken")
    Path("in/c.ltk").write_bytes(encoded)
    Path("in/c.png").write_bytes(b"mine")
    Path("photo.ltk").write_bytes(b"mine")
    for line, expected in (
        (["encode", "photo.png", "text.png", "-n"], {"photo.png": "skipped", "text.png": "failed"}),
        (["decode", "in/a.ltk", "in/b.ltk", "in/c.ltk", "-n"],
         {"in/a.ltk": "done", "in/b.ltk": "failed", "in/c.ltk": "skipped"}),
        (["trim", "in/a.ltk", "--tokens", "9", "-o", "photo.ltk", "-n"], {"in/a.ltk": "skipped"}),
        (["trim", "in/a.ltk", "--tokens", "9", "-o", "new.ltk", "-n"], {"in/a.ltk": "done"}),
        (["trim", "in/b.ltk", "--tokens", "9", "-o", "other.ltk"], {"in/b.ltk": "failed"}),
    ):  # fmt: skip
        rows = [json.loads(row) for row in run(*line, "--json").stdout.splitlines()]
        assert {row["input"]: row["status"] for row in rows} == expected, line
        for row in rows:
            if row["status"] == "skipped":
                assert row["notes"] == f"{row['output']} exists"
            assert bool(row.get("error")) == (row["status"] == "failed")


def test_decode_writes_the_picture(here: Path, encoded: bytes) -> None:
    Path("small.ltk").write_bytes(encoded)
    result = run("decode", "small.ltk")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith(f"small.ltk -> small.png  {WIDTH}x{HEIGHT}  ")
    with Image.open("small.png") as image:
        assert (image.size, image.mode, image.format) == ((WIDTH, HEIGHT), "RGB", "PNG")


@pytest.mark.parametrize(
    ("args", "name", "kind"),
    [
        (["-f", "jpg"], "photo.jpg", "JPEG"),
        (["-o", "x.jpeg"], "x.jpeg", "JPEG"),
        (["-o", "x.webp"], "x.webp", "WEBP"),
        (["-o", "x.ppm"], "x.ppm", "PPM"),
        (["-o", "x.dat", "-f", "png"], "x.dat", "PNG"),
        (["-f", "avif", "-d", "out"], "out/photo.avif", "AVIF"),
    ],
)
def test_decode_formats(here: Path, encoded: bytes, args: list[str], name: str, kind: str) -> None:
    Path("photo.ltk").write_bytes(encoded)
    result = run("decode", "photo.ltk", *args)
    assert result.exit_code == 0, result.stderr
    with Image.open(name) as image:
        assert (image.format, image.size) == (kind, (WIDTH, HEIGHT))


def test_decode_to_npy_crop_and_json(here: Path, encoded: bytes) -> None:
    Path("photo.ltk").write_bytes(encoded)
    assert run("decode", "photo.ltk", "-o", "all.npy").exit_code == 0
    result = run("decode", "photo.ltk", "-o", "part.npy", "--crop", "10,20,30,40", "--json")
    assert json.loads(result.stdout)["height"] == 40
    assert np.array_equal(np.load("part.npy"), np.load("all.npy")[20:60, 10:40])
    outside = run("decode", "photo.ltk", "-o", "no.npy", "--crop", "90,0,10,10")
    assert outside.exit_code == 1
    assert "reaches outside" in outside.stderr


def test_decode_keeps_the_original(here: Path, encoded: bytes, photo: Path) -> None:
    Path("photo.ltk").write_bytes(encoded)
    result = run("decode", "photo.ltk")
    assert result.exit_code == 1
    assert "photo.png exists; --overwrite replaces it, -o or -d names another place" in result.stderr
    assert Path("photo.png").read_bytes() == photo.read_bytes()
    assert run("decode", "photo.ltk", "-n").exit_code == 3
    assert run("decode", "photo.ltk", "-o", "photo.png").exit_code == 1
    assert Path("photo.png").read_bytes() == photo.read_bytes()
    assert run("decode", "photo.ltk", "-o", "photo.png", "--overwrite").exit_code == 0


def test_truncated_file_needs_permission(here: Path, encoded: bytes) -> None:
    Path("cut.ltk").write_bytes(encoded[: len(encoded) * 2 // 3])
    refused = run("decode", "cut.ltk")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert not Path("cut.png").exists()
    assert run("decode", "cut.ltk", "--allow-truncated").exit_code == 0
    assert Image.open("cut.png").size == (WIDTH, HEIGHT)
    assert run("verify", "cut.ltk").exit_code == 1


def test_standard_streams(here: Path, photo: Path, encoded: bytes) -> None:
    packed = run("encode", "-", input=photo.read_bytes())
    assert packed.exit_code == 0, packed.stderr
    assert packed.stdout_bytes == encoded
    image = run("decode", "-", "-f", "png", input=packed.stdout_bytes)
    assert Image.open(io.BytesIO(image.stdout_bytes)).size == (WIDTH, HEIGHT)
    about = run("info", "-", "--json", input=encoded)
    assert json.loads(about.stdout)["bytes"] == len(encoded)


def test_info(here: Path, encoded: bytes) -> None:
    Path("photo.ltk").write_bytes(encoded)
    text = run("info", "photo.ltk")
    assert text.exit_code == 0, text.stderr
    assert text.stdout.startswith("photo.ltk\n")
    assert f"{WIDTH} x {HEIGHT} px" in text.stdout
    assert text.stderr == ""
    fields = json.loads(run("info", "photo.ltk", "--json").stdout)
    assert (fields["input"], fields["width"], fields["bytes"]) == ("photo.ltk", WIDTH, len(encoded))
    assert fields["bpp"] == pytest.approx(8 * len(encoded) / WIDTH / HEIGHT, abs=1e-4)


def test_verify_notices_damage(here: Path, encoded: bytes) -> None:
    Path("photo.ltk").write_bytes(encoded)
    result = run("verify", "photo.ltk")
    assert (result.exit_code, result.stderr) == (0, "photo.ltk: ok\n")
    damaged = bytearray(encoded)
    damaged[len(damaged) // 2] ^= 1
    Path("bad.ltk").write_bytes(damaged)
    both = run("verify", "bad.ltk", "photo.ltk", "--json")
    assert both.exit_code == 1
    assert [json.loads(line).get("ok") for line in both.stdout.splitlines()] == [None, True]


def test_trim(here: Path, encoded: bytes) -> None:
    Path("photo.ltk").write_bytes(encoded)
    assert run("trim", "photo.ltk", "--target-size", "150", "-o", "less.ltk").exit_code == 0
    assert Path("less.ltk").stat().st_size <= 150
    assert run("verify", "less.ltk").exit_code == 0
    result = run("trim", "photo.ltk", "--tokens", "5", "-o", "five.ltk", "--json")
    assert json.loads(result.stdout)["tokens"] == 5
    assert run("trim", "photo.ltk", "--tokens", "5", "-o", "photo.ltk").exit_code == 2


@pytest.mark.parametrize(("options", "said"), [
    (("--target-size", "1M"), "bytes are all there is of this file, less than the 1,000,000 that were asked for"),
    (("--tokens", "9999"), "tokens are all there is of this file, fewer than were asked for"),
])  # fmt: skip
def test_trim_says_where_there_is_no_more(here: Path, encoded: bytes, options: tuple[str, ...], said: str) -> None:
    Path("photo.ltk").write_bytes(encoded)
    result = run("trim", "photo.ltk", *options, "-o", "same.ltk", "--json")
    assert result.exit_code == 0 and said in result.stderr and Path("same.ltk").read_bytes() == encoded
    (loss,) = json.loads(result.stdout)["losses"]
    assert loss.endswith(said) and f"photo.ltk: {loss}" in result.stderr.splitlines()
    assert "all there is" not in run("trim", "photo.ltk", "--target-size", str(len(encoded)), "-o", "b.ltk").stderr


def test_tokens(here: Path, encoded: bytes) -> None:
    Path("photo.ltk").write_bytes(encoded)
    assert run("tokens", "photo.ltk").stdout.startswith("level ")
    levels = json.loads(run("tokens", "photo.ltk", "--json").stdout)["levels"]
    strides = [level["stride"] for level in levels]
    assert strides == sorted(strides, reverse=True)
    assert run("tokens", "photo.ltk", "--npz", "-o", "t.npz").exit_code == 0
    with np.load("t.npz", allow_pickle=False) as arrays:
        for i, level in enumerate(levels):
            assert [[t is not None for t in row] for row in level["tokens"]] == arrays[f"mask_{i}"].tolist()
            digits = [t for row in level["tokens"] for t in row if t is not None]
            assert digits == arrays[f"level_{i}"][arrays[f"mask_{i}"]].tolist()


def test_models(here: Path) -> None:
    entries = [json.loads(line) for line in run("models", "list", "--json").stdout.splitlines()]
    assert [e["default"] for e in entries].count(True) == 1
    (default,) = (e for e in entries if e["default"])
    assert run("models").stdout == run("models", "list").stdout
    assert default["name"] in run("models", "list").stdout
    assert run("models", "show").stdout == run("models", "show", default["name"]).stdout
    assert Path(run("models", "path").stdout.rstrip("\n")).is_dir()
    assert run("models", "verify", default["name"]).exit_code == 0
