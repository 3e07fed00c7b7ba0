"""Records of whole comparisons, their tables, and the page without a browser."""

from __future__ import annotations

import base64
import csv
import hashlib
import html.parser
import io
import json
import math
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ltokc
from bench.common.pictures import synthetic_picture
from ltokc.compare import (
    batch_rows,
    compare_picture,
    report,
    summarize,
    tables,
    write,
    write_csv,
    write_json,
    write_report,
)
from ltokc.compare.records import CurvePoint, EqualQuality, FileRecord, PictureComparison, Rival, Scores
from ltokc.compare.report_text import change, texts
from ltokc.compare.summary import mean_curves, mean_scores
from ltokc.errors import FormatError, UsageError
from ltokc.jobs.rows import Row, as_csv
from tests.support.comparisons import HOSTILE, comparisons


def file_of(size: int, ssimulacra2: float, codec: str = "ltokc") -> FileRecord:
    return FileRecord(codec, codec, size, size / 1000, Scores(psnr=30.0, ssimulacra2=ssimulacra2), 0.5)


def picture_of(ours: int, equal: float | None, same: float = 10.0, bound: bool = False) -> PictureComparison:
    record = file_of(round(equal), 50.0, "webp") if equal else None
    rival = Rival(
        "webp", "WebP", file_of(ours - 50, same, "webp"), 50 / ours, EqualQuality("ssimulacra2", record, equal, bound)
    )
    return PictureComparison("a.png", 100, 80, (file_of(ours, 20.0),), (rival,))


# -- records ----------------------------------------------------------------------------------------------------------
def test_a_comparison_holds_what_it_measured() -> None:
    for found in comparisons():
        ours = found.ours
        assert ours.codec == "ltokc" and ours.data == b"" and ours.quality == 0.6
        assert ours.bpp == pytest.approx(8 * ours.bytes / (found.width * found.height))
        assert all(ours.scores.get(metric) is not None for metric in ("psnr", "ms_ssim", "ssimulacra2"))
        assert [rival.name for rival in found.rivals] == ["jpeg", "webp", "avif"]
        assert found.views is not None and found.views.heat is not None
        for rival, view in zip(found.rivals, found.views.rivals, strict=True):
            assert rival.below == pytest.approx(1 - rival.same_bytes.bytes / ours.bytes)
            assert len(view.data) == rival.same_bytes.bytes  # the page shows the very file
            with Image.open(io.BytesIO(view.data)) as image:
                scale = rival.same_bytes.scale
                assert image.size == (round(found.width / scale), round(found.height / scale))
            if rival.same_quality.file is not None and not rival.same_quality.bound:
                assert rival.same_quality.file.scores.ssimulacra2 >= ours.scores.ssimulacra2  # type: ignore[operator]
        with Image.open(io.BytesIO(found.views.files[0].data)) as image:
            assert image.format == "WEBP" and image.size == (found.width, found.height)


def test_records_pass_between_processes() -> None:
    found = comparisons()[0]
    assert pickle.loads(pickle.dumps(found)) == found


def test_several_files_are_measured_against_one_original() -> None:
    picture = synthetic_picture(64, 48)
    files = []
    for label, kind in (("a.jpg", "jpeg"), ("b.png", "png")):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        files.append((label, buffer.getvalue(), None))
    found = compare_picture(picture, files)
    assert [record.label for record in found.files] == ["a.jpg", "b.png"] and not found.rivals
    assert found.files[1].scores.psnr == math.inf and found.files[0].scores.psnr < 50  # type: ignore[operator]
    assert found.views is not None
    assert [view.mime for view in found.views.files] == ["image/jpeg", "image/webp"]
    assert found.views.files[0].data == files[0][1] and found.views.heat is None
    assert json.loads(tables.json_text([found]))["pictures"][0]["files"][1]["psnr"] is None


def test_transparency_is_compared_on_white() -> None:
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[:, :20] = (200, 30, 30, 255)
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "png")
    found = compare_picture(Image.fromarray(rgba), [("same.png", buffer.getvalue(), None)])
    assert found.ours.scores.psnr == math.inf and any("on white" in note for note in found.notes)
    found = compare_picture(Image.fromarray(rgba[..., :3]), [("clear.png", buffer.getvalue(), None)])
    assert list(found.notes) == ["clear.png: transparent: compared on white, and the original is not transparent"]


def test_what_cannot_be_compared_is_named() -> None:
    picture, other = synthetic_picture(64, 48), io.BytesIO()
    synthetic_picture(48, 64).save(other, "png")
    with pytest.raises(FormatError, match=r"b\.png: has 48x64 pixels and the original 64x48"):
        compare_picture(picture, [("b.png", other.getvalue(), None)])
    with pytest.raises(FormatError, match=r"^c\.ltk: "):
        compare_picture(picture, [("c.ltk", b"\x89LTK broken", None)])
    with pytest.raises(UsageError, match="lpips_squeeze"):
        batch_rows(synthetic_picture(48, 64), ltokc.encode(synthetic_picture(48, 64)), metric="lpips_squeeze")
    with pytest.raises(UsageError, match="no file"):
        compare_picture(picture, [])


@pytest.mark.parametrize("name", ["verses", "quality"])
def test_an_option_that_is_none_is_a_type_error_before_anything_is_read(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        compare_picture("no such file", [("a.ltk", b"", None)], **{name: ()})  # type: ignore[arg-type]


# -- summary ----------------------------------------------------------------------------------------------------------
def test_the_summary_is_a_geometric_mean_of_bytes() -> None:
    (found,) = summarize([picture_of(500, 1000.0), picture_of(1000, 500.0), picture_of(700, None, same=30.0)])
    assert found.ratio == pytest.approx(1.0) and (found.pictures, found.missing, found.bounds) == (2, 1, 0)
    assert (found.better, found.compared) == (2, 3)
    assert found.below == pytest.approx((0.1 + 0.05 + 50 / 700) / 3)
    (found,) = summarize([picture_of(700, None)])
    assert found.ratio is None
    assert summarize([replace(picture_of(10, 1.0), rivals=())]) == []
    (found,) = summarize([picture_of(500, 1000.0, bound=True)])
    assert found.bounds == 1 and found.ratio == pytest.approx(0.5)


def test_lower_is_better_for_lpips_in_the_summary() -> None:
    def with_lpips(record: FileRecord, value: float) -> FileRecord:
        return replace(record, scores=Scores(lpips_squeeze=value))

    found = picture_of(500, 1000.0)
    rival = found.rivals[0]
    rival = replace(
        rival, same_bytes=with_lpips(rival.same_bytes, 0.3), same_quality=EqualQuality("lpips_squeeze", None, None)
    )
    found = replace(found, files=(with_lpips(found.ours, 0.1),), rivals=(rival,))
    assert summarize([found])[0].better == 1


def test_means_of_scores_and_curves() -> None:
    mean = mean_scores([Scores(psnr=20.0, ms_ssim=0.5), Scores(psnr=30.0)])
    assert mean == Scores(psnr=25.0)
    assert mean_scores([Scores(psnr=math.inf), Scores(psnr=30.0)]).psnr is None
    points = [CurvePoint("webp", q, 10 * i, i, Scores(psnr=float(i))) for q, i in ((5, 3), (1, 1))]
    pictures = [replace(picture_of(10, None), curve=tuple(points))] * 2 + [picture_of(10, None)]
    curve = mean_curves(pictures)["webp"]
    assert [(p.quality, p.bpp, p.scores.psnr) for p in curve] == [(1, 1, 1.0), (5, 3, 3.0)]


def test_changes_in_words() -> None:
    assert change(0.64) == ("36\u00a0%", "fewer")
    assert change(1.07) == ("7\u00a0%", "more")
    assert change(1.001)[1] == "as many"


def test_the_headline_is_honest_in_both_directions() -> None:
    better = texts([picture_of(500, 1000.0)], "ssimulacra2", 1, None)
    worse = texts([picture_of(1000, 500.0)], "ssimulacra2", 1, None)
    assert "<b>50\u00a0% fewer bytes</b> than WebP at equal SSIMULACRA2" in better.headline
    assert "<b>100\u00a0% more bytes</b> than WebP" in worse.headline and "+100\u00a0%" in worse.stats
    assert "SSIMULACRA2 was in the training of the encoder" in better.method and "LPIPS" in better.method
    assert "flatters ours" in texts([picture_of(5, 9.0, bound=True)], "ssimulacra2", 1, None).method
    assert "WebP on 1 of 1" in texts([picture_of(5, None)], "ssimulacra2", 1, None).method


# -- tables -----------------------------------------------------------------------------------------------------------
def test_csv_and_json_hold_the_same_figures(tmp_path: Path) -> None:
    pictures = list(comparisons())
    write_csv(tmp_path / "a.csv", pictures)
    write_json(tmp_path / "a.json", pictures)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    whole = json.loads((tmp_path / "a.json").read_text())
    assert {row["picture"] for row in rows} == set(HOSTILE)
    for picture, fields in zip(pictures, whole["pictures"], strict=True):
        mine = [row for row in rows if row["picture"] == picture.name]
        assert [row["codec"] for row in mine if row["role"] == "file"] == ["ltokc"]
        same = {row["label"]: int(row["bytes"]) for row in mine if row["role"] == "same_bytes"}
        assert same == {rival.same_bytes.label: rival.same_bytes.bytes for rival in picture.rivals}
        assert same == {rival["same_bytes"]["label"]: rival["same_bytes"]["bytes"] for rival in fields["rivals"]}
        assert max(same.values()) <= picture.ours.bytes or any(rival.below < 0 for rival in picture.rivals)
    assert whole["versions"]["libwebp"] and len(whole["summary"]) == 3
    assert whole["pictures"][0]["curve"] and "curve" not in whole["pictures"][1]


# -- page -------------------------------------------------------------------------------------------------------------
class Page(html.parser.HTMLParser):
    """Elements of a page, and what its scripts hold."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str | None, str] = {}
        self.styles: list[str] = []
        self.text = ""
        self.inside: tuple[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside = (tag, dict(attrs).get("id"))

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside is None:
            self.text += data
        elif self.inside[0] == "style":
            self.styles.append(data)
        else:
            self.scripts[self.inside[1]] = self.scripts.get(self.inside[1], "") + data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, comparisons())
    return Page(path.read_text(encoding="utf-8"))


def test_names_are_data_and_never_elements(page: Page) -> None:
    kinds = {tag for tag, _ in page.tags}
    assert "img" not in kinds and "svg" not in kinds and "iframe" not in kinds
    assert sum(tag == "script" for tag, _ in page.tags) == 2 + len(HOSTILE)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert [p["name"] for p in json.loads(page.scripts["data"])["pictures"]] == list(HOSTILE)
    single = Page(report.report_html([comparisons()[1]]))
    assert single.text.count(HOSTILE[1]) == 2 and sum(tag == "script" for tag, _ in single.tags) == 3
    assert "alert(9)" not in str(Page(report.report_html(comparisons(), title="<script>alert(9)</script>")).scripts)


@settings(max_examples=40, deadline=None)
@given(name=st.text(max_size=40))
def test_any_name_survives_the_page(name: str) -> None:
    found = replace(comparisons()[0], name=name, views=None)
    data = Page(report.report_html([found], title=name)).scripts["data"]
    assert json.loads(data)["pictures"][0]["name"] == name


def test_the_page_loads_nothing_and_runs_its_own_script_only(page: Page) -> None:
    (policy,) = [a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a]
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;")
    for text, directive in ((page.scripts[None], "script-src"), (page.styles[0], "style-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    for _, attributes in page.tags:
        assert not {"src", "srcset", "action", "data"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    code = page.scripts[None]
    assert re.findall(r"https?://[^\"]*", code) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"\beval\(|\bFunction\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|fetch\(", code)
    assert "@import" not in page.styles[0] and "url(" not in page.styles[0]


def test_views_are_data_of_known_kinds(page: Page) -> None:
    data = json.loads(page.scripts["data"])
    for picture in data["pictures"]:
        views = json.loads(page.scripts[f"view-{picture['view']}"])
        sources = [views["original"], *views["files"], *views["rivals"], views["heat"]]
        kinds = [re.match(r"data:(image/[a-z]+);base64,", view["src"])[1] for view in sources]  # type: ignore[index]
        assert kinds == ["image/webp", "image/webp", "image/jpeg", "image/webp", "image/avif", "image/png"]


def test_pictures_beyond_the_budget_are_in_the_tables_only() -> None:
    many = [replace(comparisons()[i % 3], name=f"{i}.png") for i in range(40)]
    whole = len(report.report_html(many, budget=None))
    text = report.report_html(many, budget=whole // 2)
    assert len(text) <= whole // 2
    data = json.loads(Page(text).scripts["data"])
    shown = [i for i, picture in enumerate(data["pictures"]) if picture["view"] is not None]
    assert 10 <= len(shown) < 40 and len(data["pictures"]) == 40
    assert max(b - a for a, b in zip(shown, shown[1:], strict=False)) <= 5  # spread over the set
    assert f"{40 - len(shown)} of 40 pictures are in the tables" in Page(text).text
    assert all((picture["thumb"] is None) == (picture["view"] is None) for picture in data["pictures"])


def test_a_page_needs_a_picture_and_is_written_whole(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_report(tmp_path / "r.html", [])
    assert not list(tmp_path.iterdir())
    write_report(tmp_path / "deep" / "r.html", comparisons()[:1])
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["r.html"]


@pytest.mark.parametrize(
    ("name", "start"), [("a.html", "<!doctype"), ("b.HTM", "<!doctype"), ("c.csv", "picture,"), ("d.json", "{")]
)
def test_the_suffix_says_what_is_written(tmp_path: Path, name: str, start: str) -> None:
    write(tmp_path / name, comparisons(), title="set")
    assert (tmp_path / name).read_text().startswith(start)


def test_another_suffix_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.txt"):
        write(tmp_path / "a.txt", comparisons())
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_no_utf_8_is_written_as_in_the_report_of_a_batch(tmp_path: Path) -> None:
    picture = synthetic_picture(64, 48)
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    found = [compare_picture(picture, [("b.png", buffer.getvalue(), None)], name="a\udcff.png")]
    row = next(csv.DictReader(io.StringIO(tables.csv_text(found))))
    assert row["picture"].encode() in as_csv([Row("a\udcff.png", None, "failed")])
    write(tmp_path / "a.html", found)
    assert r"a\udcff.png" in (tmp_path / "a.html").read_text("utf-8")
