"""The benchmark: tables, and the files it writes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("scipy")

from bench.common.pictures import synthetic_picture
from bench.common.resume import Unfinished
from bench.quality.curves import MEAN_COLUMNS, bd_rates, markdown, mean_rows, read_means, write_means
from bench.quality.rate_distortion import main as run_main
from bench.quality.rate_distortion import measure, parse_qualities
from bench.quality.side_by_side import main as sidebyside_main
from bench.speed.single import benchmark, ratios
from ltokc.compare.scores import METRICS
from ltokc.compare.tables import finite
from ltokc.errors import UsageError

CURVE = [(0.05, 20.0), (0.1, 24.0), (0.2, 27.5), (0.4, 31.0), (0.9, 35.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    for name, size in (("b.png", (176, 168)), ("a.png", (164, 200))):
        synthetic_picture(*size).save(path / name)
    return path


def row(codec: str, q: float, bpp: float, psnr: float, image: str = "a.png") -> dict:
    return {"image": image, "codec": codec, "q": q, "bytes": round(bpp * 1000), "bpp": bpp, "psnr": psnr,
            "ms_ssim": None, "lpips_squeeze": None, "ssimulacra2": None}  # fmt: skip


def test_means_are_over_pictures() -> None:
    (mean,) = mean_rows([row("jpeg", 5, 0.2, 20.0), row("jpeg", 5, 0.4, 30.0, "b.png")])
    assert mean["images"] == 2 and mean["bpp"] == pytest.approx(0.3) and mean["psnr"] == 25
    assert mean["psnr_pooled"] == pytest.approx(-10 * math.log10((10**-2 + 10**-3) / 2))
    assert (mean["mean_bytes"], mean["min_bytes"], mean["max_bytes"]) == (300, 200, 400)
    assert mean["ms_ssim"] is None and tuple(mean) == MEAN_COLUMNS


def test_means_survive_a_csv(tmp_path: Path) -> None:
    means = mean_rows([row("jpeg", 5, 0.25, 20.0), row("webp", 0.05, 0.5, 25.5)])
    write_means(tmp_path / "means.csv", means)
    back = read_means(tmp_path / "means.csv")
    assert back == [m | {"psnr_pooled": round(m["psnr_pooled"], 5)} for m in means]
    (tmp_path / "bad.csv").write_text("codec,q\njpeg,5\n")
    with pytest.raises(UsageError, match="bpp"):
        read_means(tmp_path / "bad.csv")


def test_table_has_the_codec_itself_and_its_envelope() -> None:
    rows = [row("ltokc", q, rate / 2, metric) for q, (rate, metric) in enumerate(CURVE)]
    rows += [row("avif", q, rate, metric) for q, (rate, metric) in enumerate(CURVE)]
    rows += [row("avif_half", q, rate / 4, metric - 3) for q, (rate, metric) in enumerate(CURVE)]
    rates = bd_rates(mean_rows(rows))
    psnr = [rate for rate in rates if rate["metric"] == "psnr"]
    assert [rate["curves"] for rate in psnr] == [["avif"], ["avif", "avif_half"]]
    assert psnr[0]["bd_rate"] == pytest.approx(-0.5) and psnr[1]["bd_rate"] > -0.5
    table = markdown(rates).splitlines()
    assert table[0].count("|") == len(METRICS) + 2
    assert table[2].startswith("| AVIF | no overlap | no overlap | -50.0 % (20.0 to 35.0) |")
    assert table[3].startswith("| AVIF with half size |")


def test_qualities_of_a_run() -> None:
    assert parse_qualities((), ["jpeg"])["jpeg"][0] == 1
    assert parse_qualities(("0,0.5",), ["ltokc", "jpeg"])["ltokc"] == (0, 0.5)
    assert parse_qualities(("7", "webp=1,2"), ["webp"]) == {"webp": (1, 2)}
    for bad in ("5", "webp=1", "jpeg=x"):
        with pytest.raises(UsageError):
            parse_qualities((bad,), ["jpeg", "avif"])


def test_json_has_no_infinities() -> None:
    assert finite({"a": [1.5, math.inf, (math.nan, "x")]}) == {"a": [1.5, None, [None, "x"]]}


def test_run_writes_rows_means_and_what_it_ran_on(folder: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "results.json", tmp_path / "means.csv"
    arguments = [
        "--images",
        folder,
        "--codecs",
        "jpeg,webp_half",
        "--qualities",
        "jpeg=10,60",
        "--qualities",
        "webp_half=20",
    ]
    result = CliRunner().invoke(run_main, [str(a) for a in (*arguments, "--out", out, "--csv", table)])
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert report["images"] == ["a.png", "b.png"]
    assert [(r["image"], r["codec"], r["q"]) for r in report["rows"]] == [
        (image, codec, q)
        for image in ("a.png", "b.png")
        for codec, q in (("jpeg", 10), ("jpeg", 60), ("webp_half", 20))
    ]
    assert all(r["bytes"] > 0 and r["psnr"] > 10 and 0 < r["ms_ssim"] < 1 for r in report["rows"])
    assert report["versions"]["pillow"] and report["machine"]["cores"] and "commit" in report
    assert str(folder) not in out.read_text()
    assert [(m["codec"], m["q"], m["images"]) for m in read_means(table)] == [
        ("jpeg", 10, 2),
        ("jpeg", 60, 2),
        ("webp_half", 20, 2),
    ]


def test_ready_curves_are_not_measured_again(folder: Path, tmp_path: Path) -> None:
    ready = tmp_path / "rivals.csv"
    write_means(ready, mean_rows([row("jpeg", q, rate, metric) for q, (rate, metric) in enumerate(CURVE)]))
    common = ["--images", str(folder), "--rivals", str(ready), "--out", str(tmp_path / "results.json")]
    result = CliRunner().invoke(run_main, [*common, "--codecs", "jpeg,webp", "--qualities", "webp=5", "--limit", "1"])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "results.json").read_text())
    assert {r["codec"] for r in report["rows"]} == {"webp"} and report["ready_curves"] == ["jpeg"]
    assert [m["codec"] for m in report["means"]] == ["webp"] + ["jpeg"] * 5
    result = CliRunner().invoke(run_main, [*common, "--codecs", "jpeg"])
    assert result.exit_code == 1 and "nothing to measure" in result.output


def test_a_run_that_was_stopped_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "results.json"
    words = ["--images", str(folder), "--codecs", "jpeg", "--qualities", "30", "--out", str(out)]
    seen = []

    def stopping(path: Path, *rest: object) -> list[dict]:
        if seen:
            raise KeyboardInterrupt
        seen.append(path.name)
        return measure(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("bench.quality.rate_distortion.measure", stopping)
    assert CliRunner().invoke(run_main, words).exit_code == 1 and not out.exists()
    kept = tmp_path / "results.json.rows"
    with open(kept, "a") as file:
        file.write('[{"image": "b.p')  # killed while it wrote
    monkeypatch.setattr("bench.quality.rate_distortion.measure", measure)
    other = CliRunner().invoke(run_main, [*words, "--limit", "1", "--out", str(tmp_path / "other.json")])
    assert "measured before" not in other.output
    result = CliRunner().invoke(run_main, words)
    assert result.exit_code == 0 and "1 of 2 pictures were measured before" in result.output
    assert [r["image"] for r in json.loads(out.read_text())["rows"]] == ["a.png", "b.png"] and not kept.exists()


def test_rows_of_another_run_are_not_taken_over(tmp_path: Path) -> None:
    one = Unfinished(tmp_path / "results.json", {"q": [1.0]})
    assert one.resume() == []
    one.add([{"image": "a.png", "psnr": math.inf}])
    assert Unfinished(tmp_path / "results.json", {"q": [1.0]}).resume() == [[{"image": "a.png", "psnr": math.inf}]]
    assert Unfinished(tmp_path / "results.json", {"q": [2.0]}).resume() == []
    assert one.resume() == []


def test_run_in_processes_gives_the_same_rows(folder: Path, tmp_path: Path) -> None:
    rows = []
    for jobs in ("1", "2"):
        out = tmp_path / f"{jobs}.json"
        words = ["--images", str(folder), "--codecs", "jpeg", "--qualities", "30", "--jobs", jobs, "--out", str(out)]
        assert CliRunner().invoke(run_main, words).exit_code == 0
        rows.append([{k: v for k, v in r.items() if "seconds" not in k} for r in json.loads(out.read_text())["rows"]])
    assert rows[0] == rows[1]


def test_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from bench.quality.plot import main as plot_main

    means = mean_rows(
        [row(codec, q, rate, metric) for codec in ("ltokc", "avif_half") for q, (rate, metric) in enumerate(CURVE)]
    )
    (tmp_path / "results.json").write_text(json.dumps({"means": means}))
    out = tmp_path / "curves.png"
    result = CliRunner().invoke(plot_main, [str(tmp_path / "results.json"), "--out", str(out)])
    assert result.exit_code == 0, result.output
    with Image.open(out) as image:
        assert image.format == "PNG" and min(image.size) > 300


def test_side_by_side_and_close_up(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    words = ["--image", str(folder / "a.png"), "--bytes", "900", "--codecs", "webp,jpeg", "--out", str(out)]
    result = CliRunner().invoke(sidebyside_main, words)
    assert result.exit_code == 0, result.output
    assert "WebP" in result.output and "JPEG" in result.output and "PSNR" in result.output
    with Image.open(out) as whole:
        assert whole.width > 3 * 164 and whole.height > 200
    result = CliRunner().invoke(sidebyside_main, [*words, "--crop", "10,20,30,40", "--zoom", "8"])
    assert result.exit_code == 0, result.output
    with Image.open(out) as close:
        assert close.height > 40 * 8
        pixel = Image.open(folder / "a.png").convert("RGB").getpixel((10, 20))
        assert close.getpixel((8, 8)) == close.getpixel((15, 15)) == pixel
    for bad in ("1,2,3", "150,0,30,30", "-1,0,5,5"):
        result = CliRunner().invoke(sidebyside_main, [*words, "--crop", bad])
        assert result.exit_code == 1 and "--crop" in result.output


def test_side_by_side_with_what_is_generated(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    words = ["--image", str(folder / "a.png"), "--bytes", "900", "--codecs", "ltokc", "--columns", "3", "--generated"]
    result = CliRunner().invoke(sidebyside_main, [*words, "--out", str(out)])
    assert result.exit_code == 0, result.output
    plain, generated = result.output.strip().splitlines()
    assert "ltokc: " in plain and "ltokc, generative: " in generated
    assert plain.split(": ")[1].split(";")[0] == generated.split(": ")[1].split(";")[0]  # the same bytes


def test_speed_of_rivals_and_ratios() -> None:
    report = benchmark(synthetic_picture(64, 48), 0.6, 1, ("webp",))
    assert report["in_process"]["webp"]["encode_seconds"] > 0
    assert 5 < report["start_to_file"]["webp"]["decode"]["peak_megabytes"] < 500
    assert report["ratios"]["in_process"] == {}
    found = ratios({"ltokc": {"a": {"b": 3.0}}, "webp": {"a": {"b": 2.0}}}, {"x": ("a", "b")})
    assert found == {"webp": {"x": 1.5}}


def test_report_of_a_folder(folder: Path, tmp_path: Path) -> None:
    from bench.quality.report import main as report_main

    page, rows = tmp_path / "page.html", tmp_path / "rows.csv"
    words = ["--images", str(folder), "--out", str(page), "--csv", str(rows), "--versus", "webp", "--no-curves"]
    result = CliRunner().invoke(report_main, [*words, "--limit", "1", "--metric", "psnr"])
    assert result.exit_code == 0, result.output
    assert "1 pictures" in result.output and page.read_text().startswith("<!doctype html>")
    assert [line.split(",")[3] for line in rows.read_text().splitlines()[1:]] == ["file", "same_bytes", "same_quality"]
    result = CliRunner().invoke(report_main, ["--images", str(tmp_path), "--out", str(page)])
    assert result.exit_code == 1 and "no pictures" in result.output


def test_bd_rates_are_averaged_over_pictures(tmp_path: Path) -> None:
    from bench.quality.per_picture import main as per_picture_main

    rows = []
    for image, factor in (("a.png", 0.5), ("b.png", 0.8)):
        rows += [row("webp", i, bpp, psnr, image) for i, (bpp, psnr) in enumerate(CURVE)]
        rows += [row("ltokc", i, bpp * factor, psnr, image) for i, (bpp, psnr) in enumerate(CURVE)]
    (tmp_path / "rows.json").write_text(json.dumps({"rows": rows}))
    out = tmp_path / "out.json"
    arguments = [str(tmp_path / "rows.json"), "--earlier", str(tmp_path / "rows.json"), "--out", str(out)]
    done = CliRunner().invoke(per_picture_main, arguments, catch_exceptions=False)
    found = {rate["rival"]: rate for rate in json.loads(out.read_text())["bd_rates"] if rate["metric"] == "psnr"}
    assert found["webp"]["bd_rate"] == pytest.approx(-0.35, abs=1e-3) and found["webp"]["pictures"] == 2
    assert found["webp"]["best"] == pytest.approx(-0.5, abs=1e-3) and "-35.0 %" in done.output
    assert found["earlier"]["bd_rate"] == pytest.approx(0, abs=1e-6)
    mixed = CliRunner().invoke(per_picture_main, arguments[:1] * 2)
    assert mixed.exit_code == 1 and "a.png has 2 rows of webp at 0" in mixed.output
