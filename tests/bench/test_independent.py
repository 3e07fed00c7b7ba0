"""Benchmarks beside an earlier checkout: its codec in a process, butteraugli's figures, bytes at each quality, text."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.common.butteraugli import PROGRAM, distance, program_of, read_distance
from bench.common.earlier import Earlier, commit_of
from bench.quality import at_quality, calibration, independent, text_at_bytes
from ltokc import codec
from ltokc.spawn import find_program
from tests.support.pictures import grainy, smooth

CHECKOUT = Path(__file__).resolve().parents[2]
needs_butteraugli = pytest.mark.skipif(find_program(PROGRAM) is None, reason=f"needs {PROGRAM}")
needs_tesseract = pytest.mark.skipif(find_program("tesseract") is None, reason="needs tesseract")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    Image.fromarray(np.concatenate([smooth(96, 128), grainy(96, 128)], 1)).save(tmp_path / "pictures" / "one.png")
    return tmp_path / "pictures"


def test_a_checkout_s_codec_answers_from_its_own_process(folder: Path) -> None:
    path = folder / "one.png"
    with Earlier(CHECKOUT) as earlier:
        files = [earlier.coded(path, quality=q, effort=0) for q in (0.2, 0.6)]
        pid = earlier.process.pid
    for (data, shown), q in zip(files, (0.2, 0.6), strict=True):
        assert data == codec.encode(Image.open(path), q, effort=0)
        assert np.array_equal(np.asarray(shown), np.asarray(codec.decode(data)))
    assert pid and earlier.process.returncode == 0


def test_a_checkout_that_fails_is_an_error(folder: Path, tmp_path: Path) -> None:
    with Earlier(CHECKOUT) as earlier, pytest.raises(click.ClickException, match=r"one\.png could not be encoded"):
        earlier.coded(folder / "one.png", quality="blue")
    with pytest.raises(click.ClickException, match="no checkout"):
        commit_of(tmp_path)


def test_what_butteraugli_says_is_read() -> None:
    found = read_distance("131.7814331055\n3-norm: 67.725242\n")
    assert (found.largest, found.norm) == (131.7814331055, 67.725242)
    for wrong in ("", "no such file", "1.0\nnan: x"):
        with pytest.raises(click.ClickException, match="failed"):
            read_distance(wrong)


@needs_butteraugli
def test_butteraugli_is_zero_of_the_same_and_grows(folder: Path, tmp_path: Path) -> None:
    image, program = Image.open(folder / "one.png"), program_of(None)
    some, more = (image.resize((n, n * 3 // 8)).resize(image.size) for n in (128, 32))
    distances = [distance(program, image, each) for each in (image, some, more)]
    assert distances[0].norm == 0 < distances[1].norm < distances[2].norm
    assert all(each.largest >= each.norm for each in distances)
    out = tmp_path / "out.json"
    given = ["--images", folder, "--before", CHECKOUT, "--qualities", ".2,.8", "--avif", "5,60", "--out", out]
    result = CliRunner().invoke(independent.main, [str(word) for word in given], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert {(row["codec"], row["q"]) for row in report["rows"]} >= {("ltokc", 0.2), ("before", 0.8), ("avif", 60)}
    against = next(row for row in report["summary"] if row["rival"] == "before")
    assert against["mean_curves"] == pytest.approx(0, abs=0.05)  # the same encoder on both sides


def test_a_gain_at_one_metric_is_no_gain_at_another() -> None:
    rows = [
        {"image": name, "codec": codec_name, "q": q, "bpp": bpp * share, "ssimulacra2": points,
         "butteraugli_3_norm": 10 - points / 10, "butteraugli_largest": 20 - points / 10}
        for name in ("a", "b") for codec_name, share in (("ltokc", 0.5), ("before", 1.0))
        for q, bpp, points in ((0.2, 0.1, 10), (0.4, 0.2, 30), (0.6, 0.4, 50))
    ]  # fmt: skip
    found = {(row["codec"], row["rival"], row["metric"]): row for row in independent.summary(rows)}
    ours = found["ltokc", "before", "butteraugli_3_norm"]
    assert ours["mean_curves"] == pytest.approx(-0.5) and ours["by_picture"]["fewer_bytes"] == 2
    assert found["ltokc", "avif", "ssimulacra2"] == {
        "codec": "ltokc", "rival": "avif", "metric": "ssimulacra2", "mean_curves": None, "by_picture": {"pictures": 0},
    }  # fmt: skip


def test_bytes_at_each_quality_by_kind() -> None:
    rows = [
        {"image": image, "codec": name, "q": q, "bpp": bpp * share, "ssimulacra2": points}
        for image, ours in (("1-photo-x.png", 0.5), ("2-photo-y.png", 1.5), ("3-art-z.png", 1.0))
        for name, share in (("ltokc", ours), ("avif", 1.0))
        for q, bpp, points in ((0.2, 0.1, 10), (0.4, 0.2, 30), (0.6, 0.4, 50))
    ]
    rows[2]["ssimulacra2"] = 60  # better than AVIF gets
    lines = {(line["kind"], line["q"]): line for line in at_quality.table(rows, "avif", "ssimulacra2")}
    photos = lines["photo", 0.4]
    assert (photos["mean"], photos["best"], photos["worst"]) == pytest.approx((0, -0.5, 0.5))
    assert photos["above_limit"] == 1 and photos["compared"] == photos["pictures"] == 2
    assert lines["photo", 0.6]["compared"] == 1 and lines["art", 0.2]["mean"] == pytest.approx(0)
    assert at_quality.kind_of("01.png") == at_quality.ANY


def test_misses_and_falls_of_measured_rows(tmp_path: Path) -> None:
    measured = {0.2: (100, -80.0), 0.4: (200, -20.0), 0.6: (190, 10.0), 0.8: (400, 5.0), 0.9: (500, 50.0)}
    rows = [{"image": "a", "codec": "ltokc", "q": q, "bytes": size, "ssimulacra2": points}
            for q, (size, points) in measured.items()]  # fmt: skip
    record, out = tmp_path / "rows.json", tmp_path / "out.json"
    record.write_text(json.dumps({"model": "ladder-6", "rows": rows}))
    result = CliRunner().invoke(calibration.main, [str(record), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())["rows.json"]
    lines = {line["q"]: line for line in found["calibration"]}
    assert lines[0.2]["wanted"] == pytest.approx(-52.2, abs=0.1) and lines[0.2]["miss"] == 1
    assert lines[0.6]["miss"] == 0 and lines[0.8]["worst"] == pytest.approx(95 / 68.85 - 1, abs=0.001)
    assert found["steps"] == 4 and [(fall["from"], fall["to"]) for fall in found["falls"]] == [(0.4, 0.6), (0.6, 0.8)]


@needs_tesseract
def test_text_at_equal_bytes(tmp_path: Path) -> None:
    from bench.common.rendered import page

    name, image, text = page(6)
    (tmp_path / "pages").mkdir()
    image.crop((0, 0, 480, 76)).save(tmp_path / "pages" / f"{name}.png")
    (tmp_path / "pages" / f"{name}.txt").write_text("\n".join(text.splitlines()[:2]), "utf-8")
    out = tmp_path / "out.json"
    given = ["--images", tmp_path / "pages", "--bpp", ".1,.4", "--out", out]
    result = CliRunner().invoke(text_at_bytes.main, [str(word) for word in given], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    low, high = json.loads(out.read_text())["summary"]
    assert low["unit"] == "characters" and set(low["error_rates"]) == {"ltokc", "avif", "webp"}
    assert high["bytes"]["ltokc"] <= 0.4 * 480 * 76 / 8 and high["original"] < 0.2
    assert all(high["error_rates"][name] <= low["error_rates"][name] <= 1 for name in low["error_rates"])
