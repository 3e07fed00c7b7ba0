"""The report in a real browser, from disk: it loads without errors or requests, and everything on it works.

Needs Debian's chromium (or another Chromium: CHROMIUM names its program) and the package playwright, which only drives
it.  LTOKC_REQUIRE_BROWSER=1, as CI sets it, makes a missing browser an error instead of a skip.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ltokc.compare import compare_picture, write_report
from tests.support.comparisons import HOSTILE, comparisons

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": "dark",
         "device_scale_factor": 2}  # fmt: skip


def _missing(what: str) -> None:
    if os.environ.get("LTOKC_REQUIRE_BROWSER"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        _missing("no Chromium on this machine (Debian: apt-get install chromium)")
    if importlib.util.find_spec("playwright") is None:
        _missing("the package playwright is not installed (it is in the extra dev)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report & more.html"
    write_report(path, comparisons(), title="<b>Set</b>")
    return path


class Opened:
    """A page, with everything that it complained of and asked for."""

    def __init__(self, browser: Browser, path: Path, **options: Any):
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.trouble: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.trouble.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def split(self) -> int:
        return int(self.page.locator("#handle").get_attribute("aria-valuenow") or -1)

    def transforms(self) -> list[str]:
        return self.page.locator(".view").evaluate_all("views => views.map(view => view.style.transform)")  # type: ignore[no-any-return]

    def scale(self) -> float:
        found = re.search(r"scale\(([\d.]+)\)", self.transforms()[0])
        assert found is not None
        return float(found[1])

    def column(self, place: int) -> list[str]:
        cells = self.page.locator(f"#pictures tbody tr td:nth-child({place + 1})")
        return cells.all_inner_texts()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def opened(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Opened]:
    yield from _opened(browser, report, request.param)


@pytest.fixture
def desktop(browser: Browser, report: Path) -> Iterator[Opened]:
    yield from _opened(browser, report, DESKTOP)


def _opened(browser: Browser, report: Path, options: dict[str, Any]) -> Iterator[Opened]:
    found = Opened(browser, report, **options)
    yield found
    assert found.trouble == [], "the page complained"
    assert [url[:60] for url in found.requests if not url.startswith("data:image/")] == [report.as_uri()[:60]]
    found.context.close()


def test_it_loads_whole_and_names_are_text(opened: Opened) -> None:
    page = opened.page
    assert "than WebP at equal SSIMULACRA2" in page.locator("h1").inner_text()
    assert page.title().startswith("<b>Set</b>: ltokc needs")
    assert page.locator("#strip button").count() == page.locator("#pictures tbody tr").count() == 3
    assert set(opened.column(0)) == set(HOSTILE)
    assert page.locator("#which").inner_text().startswith(HOSTILE[0])
    page.wait_for_function("[...document.images].every(image => image.complete)")
    assert page.locator("img").evaluate_all("images => images.every(image => image.naturalWidth > 0)")
    width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] == width[1], "the page scrolls sideways"


def test_every_source_is_what_it_says(desktop: Opened) -> None:
    """The right picture of each rival is its file: the browser's pixels have the size that the record says."""
    page, found = desktop.page, comparisons()[0]
    for rival in found.rivals:
        page.locator("#right").select_option(rival.name)
        image = page.locator('.pane[data-pane="right"] img').first
        page.wait_for_function("image => image.complete", arg=image.element_handle())
        size = image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
        scale = rival.same_bytes.scale
        assert size == [round(found.width / scale), round(found.height / scale)]
        tag = page.locator('.pane[data-pane="right"] .tag').inner_text()
        assert rival.label in tag and f"{rival.same_bytes.bytes:,} bytes" in tag


def test_the_line_moves_by_drag_and_by_keys(opened: Opened) -> None:
    page = opened.page
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    handle = page.locator("#handle i").bounding_box()
    assert box is not None and handle is not None and opened.split() == 50
    y = handle["y"] + handle["height"] / 2
    page.mouse.move(handle["x"] + handle["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], y)
    page.mouse.move(box["x"] + 0.25 * box["width"], y)
    page.mouse.up()
    assert abs(opened.split() - 25) <= 1
    right = page.locator('.pane[data-pane="right"]')
    assert right.evaluate("pane => parseFloat(pane.style.clipPath.split(' ').pop())") == pytest.approx(25, abs=1)
    page.mouse.move(box["x"] + 0.9 * box["width"], y)
    assert abs(opened.split() - 25) <= 1, "it moves without being held"
    page.locator("#handle").focus()
    before = opened.split()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert opened.split() == before + 12
    page.keyboard.press("End")
    assert opened.split() == 100
    page.keyboard.press("Home")
    assert opened.split() == 0


def test_zoom_and_pan_follow_on_all_panes(opened: Opened) -> None:
    page = opened.page
    fit = opened.scale()
    page.locator("#stage").focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert opened.scale() == pytest.approx(2.25 * fit, rel=0.01)
    assert len(set(opened.transforms())) == 1
    before = opened.transforms()[0]
    page.keyboard.press("ArrowRight")
    assert opened.transforms()[0] != before and len(set(opened.transforms())) == 1
    page.locator("#side").click()
    panes = page.locator(".pane")
    assert all(panes.nth(i).is_visible() for i in range(3)), "original, ours and a rival"
    assert len(set(opened.transforms())) == 1
    before = opened.transforms()[0]
    page.locator("#stage").scroll_into_view_if_needed()
    box = panes.nth(1).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 25, y - 10, steps=3)
    page.mouse.up()
    assert opened.transforms()[0] != before and len(set(opened.transforms())) == 1
    page.locator("#fit").click()
    page.locator("#slide").click()
    assert opened.scale() == pytest.approx(fit, rel=0.01)
    page.locator("#real").click()
    assert opened.scale() == pytest.approx(max(1, fit), rel=0.01)


def test_the_wheel_zooms_at_the_pointer_once_the_stage_has_the_focus(browser: Browser, report: Path) -> None:
    opened = Opened(browser, report, **DESKTOP)
    page = opened.page
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    assert box is not None
    fit = opened.scale()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.wheel(0, -10)
    page.wait_for_timeout(100)
    assert opened.scale() == pytest.approx(fit), "the page scrolls before that"
    page.locator("#stage").focus()
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"document.querySelector('.view').getBoundingClientRect().width > {1.5 * box['width']}")
    view = page.locator(".view").first.bounding_box()
    stage = page.locator("#stage").bounding_box()
    assert view is not None and stage is not None
    share = (stage["x"] + 0.25 * stage["width"] - view["x"]) / view["width"]
    assert share == pytest.approx(0.25, abs=0.02), "the point under the pointer stays"
    opened.context.close()


def test_the_table_sorts_by_any_column_both_ways(desktop: Opened) -> None:
    page = desktop.page
    heads = page.locator("#pictures thead tr:last-child th")
    for place in range(1, heads.count()):

        def numbers(place: int = place) -> list[float]:
            texts = [re.sub(r"[½¼×≤,\s]", "", text).replace("−", "-") for text in desktop.column(place)]
            return [float(text) for text in texts]

        before = sorted(numbers())
        button = heads.nth(place).locator("button")
        button.click()
        kind = heads.nth(place).get_attribute("aria-sort")
        assert numbers() == (before if kind == "ascending" else before[::-1])
        assert button.evaluate("button => button === document.activeElement"), "the focus stays"
        page.keyboard.press("Enter")
        assert heads.nth(place).get_attribute("aria-sort") != kind
        assert numbers() == (before[::-1] if kind == "ascending" else before)
    assert page.locator("#pictures th[aria-sort]").count() == 1


def test_a_name_in_the_table_opens_its_picture(desktop: Opened) -> None:
    page = desktop.page
    page.locator("#pictures tbody button.name").nth(2).click()
    assert page.locator("#which").inner_text().startswith(HOSTILE[2])
    assert page.locator("#strip button").nth(2).get_attribute("aria-pressed") == "true"
    assert page.url.endswith("#picture-3")
    page.keyboard.press("p")
    assert page.locator("#which").inner_text().startswith(HOSTILE[1])
    page.reload()
    assert page.locator("#which").inner_text().startswith(HOSTILE[1])
    desktop.requests[1:] = [url for url in desktop.requests[1:] if not url.startswith("file:")]


def test_heat_map_and_original_are_laid_over(desktop: Opened) -> None:
    page = desktop.page
    assert page.locator("img.heat").count() == 0
    page.locator("#heat").click()
    assert page.locator('.pane[data-pane="left"] img.heat').count() == page.locator("img.heat").count() == 1
    page.locator("#stage").focus()
    page.keyboard.press("h")
    assert page.locator("img.heat").count() == 0
    original = page.locator('.pane[data-pane="original"]')
    assert not original.is_visible()
    page.keyboard.press("o")
    assert original.is_visible() and not page.locator("#handle").is_visible()
    page.locator("#hold").click()
    assert not original.is_visible()


def test_the_plots_follow_the_metric(opened: Opened) -> None:
    page = opened.page
    first = page.locator("#curve svg").get_attribute("aria-label")
    assert page.locator("#curve path.curve").count() == 4  # ours and three rivals
    assert page.locator("#dots circle").count() == sum(
        rival.same_quality.bytes is not None for found in comparisons() for rival in found.rivals
    )
    page.locator("#metrics button", has_text="PSNR").click()
    assert page.locator("#curve svg").get_attribute("aria-label") != first
    assert "PSNR† at equal bytes" in page.locator("#pictures thead").inner_text()
    names = page.locator("#curve text.name")
    boxes = [names.nth(i).bounding_box() for i in range(names.count())]
    tops = sorted(box["y"] for box in boxes if box)
    assert all(b - a > 8 for a, b in zip(tops, tops[1:], strict=False)), "names cover each other"


def test_light_and_dark(opened: Opened) -> None:
    def brightness() -> float:
        colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    before = brightness()
    opened.page.locator("#theme").click()
    assert abs(brightness() - before) > 150
    opened.page.locator("#theme").click()
    assert brightness() == before


def test_two_fingers_zoom(browser: Browser, report: Path) -> None:
    opened = Opened(browser, report, **PHONE)
    page = opened.page
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    assert box is not None
    fit, session = opened.scale(), opened.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def fingers(kind: str, apart: float) -> None:
        points = [] if kind == "touchEnd" else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 30)
    for apart in (40, 60, 90):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    assert opened.scale() == pytest.approx(3 * fit, rel=0.2)
    assert opened.trouble == []
    opened.context.close()


def test_files_of_one_picture_without_rivals(browser: Browser, tmp_path: Path) -> None:
    import io

    from bench.common.pictures import synthetic_picture

    picture, jpeg, png = synthetic_picture(60, 90), io.BytesIO(), io.BytesIO()
    picture.save(jpeg, "jpeg")
    picture.save(png, "png")
    found = compare_picture(
        picture, [("a.jpg", jpeg.getvalue(), None), ("b.png", png.getvalue(), None)], name="one.png"
    )
    write_report(tmp_path / "one.html", [found])
    opened = Opened(browser, tmp_path / "one.html", **DESKTOP)
    page = opened.page
    assert page.locator("h1").inner_text() == "2 files beside the original"
    assert (
        page.locator("#all").is_hidden() and page.locator("#strip").is_hidden() and page.locator("#viewer").is_visible()
    )
    assert page.locator("#files tbody tr").count() == 2
    assert [page.locator(side).input_value() for side in ("#left", "#right")] == ["file0", "file1"]
    assert page.locator("#heat").is_disabled() and opened.trouble == []
    opened.context.close()
