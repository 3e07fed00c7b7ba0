"""Patches that the encoder makes: where, how good, and what they leave as it was."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import ltokc
from ltokc import codec, container
from ltokc.container import patches
from ltokc.container.bitstreams import AV1, VP8, VP8L
from ltokc.errors import UsageError
from ltokc.geometry import CellBox
from ltokc.metrics.ssimulacra2 import Reference
from ltokc.rate.patches import high
from ltokc.rate.patches.drawn import drawing_of, maybe_drawn
from ltokc.rate.patches.rectangles import rectangles_of
from tests.support.pages import natural, page

EXAMPLE = Path(__file__).parents[2] / "examples" / "coffee.jpg"


def mixed() -> Image.Image:
    """A page whose left half is a photograph's."""
    image = page(384, 192)
    image.paste(Image.fromarray(natural(192, 192)), (0, 0))
    return image


def found(data: bytes) -> list[patches.Patch]:
    ltk = container.read(data)
    return [patches.parse(c.data, ltk.header) for c in ltk.chunks if c.fourcc == container.PATCHES]


def look(data: bytes, original: Image.Image) -> float:
    return Reference(np.asarray(original)).score(np.asarray(codec.decode(data).convert("RGB")))


# --- which cells -----------------------------------------------------------------------------------------------------
def test_lettering_is_drawn_and_photographs_are_not() -> None:
    assert maybe_drawn(np.asarray(page())) and drawing_of(np.asarray(page())).present
    assert not drawing_of(natural(256, 192)).present
    both = drawing_of(np.asarray(mixed()))
    assert both.present and not both.drawn[:, :3].any() and both.drawn[:, 3:].sum() >= 6


def test_overexposed_sky_is_no_drawing() -> None:
    """Its equal neighbours have as many colours at their border as pixels."""
    sky = np.clip(natural(256, 192).astype(int) * 2 + 40, 0, 255).astype(np.uint8)
    assert (sky == 255).all(2).mean() > 0.1
    assert not drawing_of(sky).present


def through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    """What JPEG makes of a picture: hardly any neighbours are equal afterwards."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


@pytest.mark.parametrize("quality", [60, 90])
def test_lettering_that_was_lossy_before_is_found(quality: int) -> None:
    """Noise on the ground leaves no equal neighbours."""
    noise = np.random.default_rng(3).integers(-2, 3, (192, 256, 3))
    noisy = Image.fromarray((np.asarray(page()).astype(int) + noise).clip(0, 255).astype(np.uint8))
    rgb = np.asarray(through_jpeg(noisy, quality))
    assert maybe_drawn(rgb) and drawing_of(rgb).present and drawing_of(rgb).lines.mean() > 0.8
    assert not drawing_of(np.asarray(through_jpeg(Image.fromarray(natural(256, 192)), quality))).present


def test_dense_lines_are_drawn() -> None:
    """Hardly any neighbours are equal where lines cross everywhere."""
    rng, image = np.random.default_rng(2), Image.new("RGB", (256, 192), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(110):
        draw.line([(int(x), int(y)) for x, y in rng.integers(0, (256, 192), (2, 2))], "black", 2)
    found = drawing_of(np.asarray(image))
    assert found.drawn.mean() > 0.8 and maybe_drawn(np.asarray(image))
    assert codec.info(ltokc.encode(image)).patches > 0.8


def test_rectangles_hold_each_cell_once_in_order() -> None:
    rng = np.random.default_rng(5)
    for share in (0.1, 0.5, 0.9, 1.0):
        cells = rng.random((7, 9)) < share
        seen = np.zeros((7, 9), int)
        made = rectangles_of(cells)
        for box in made:
            seen[box.at(1)] += 1
        assert np.array_equal(seen, cells.astype(int))
        assert [(b.top, b.left) for b in made] == sorted((b.top, b.left) for b in made)
    assert rectangles_of(np.ones((3, 4), bool)) == (CellBox(0, 0, 4, 3),)


# --- files -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("ink", "paper"), [("black", "white"), ("#d0d0d0", "#101418"), ("red", "blue")])
def test_a_page_is_a_patch_and_legible(ink: str, paper: str) -> None:
    image = page(ink=ink, paper=paper)
    data = ltokc.encode(image)
    about = codec.info(data)
    assert about.patches == 1 and about.patch_bytes > 0.8 * len(data)
    plain = ltokc.encode(image, patches="off")
    assert not found(plain)
    assert look(data, image) > look(plain, image) + 30
    assert look(data, image) > 60
    codec.verify(data)
    assert ltokc.encode(image) == data


def test_a_photograph_is_the_same_file_as_without() -> None:
    image = Image.fromarray(natural(320, 256))
    for quality in (0.3, 0.6):
        assert ltokc.encode(image, quality) == ltokc.encode(image, quality, patches="off")


def test_a_mixed_page_has_both() -> None:
    data = ltokc.encode(mixed())
    about, (patch,) = codec.info(data), found(data)
    assert 0.3 < about.patches < 0.75
    assert patch.feather > 0
    shown = np.asarray(codec.decode(data)).astype(int)
    original = np.asarray(mixed()).astype(int)
    assert np.abs(shown - original)[:, 256:].mean() < 6  # the lettering
    covered = patches.covered_cells([patch], container.read(data).header)
    assert not covered[1, 0] and covered[:, 4:].all()


@pytest.mark.parametrize("quality", [0.4, 0.6, 0.9])
def test_a_mixed_page_has_both_without_a_measurement(quality: float) -> None:
    """At effort 0 all cells that no patch covers have one depth."""
    data = codec.encode(mixed(), quality, effort=0)
    assert found(data) and look(data, mixed()) > look(codec.encode(mixed(), quality, effort=0, patches="off"), mixed())
    codec.verify(data)


def test_a_page_with_a_small_photograph_is_one_patch() -> None:
    """No cell is left to tokens for itself, and nothing fades."""
    image = page(384, 192)
    with Image.open(EXAMPLE) as photograph:
        image.paste(photograph.convert("RGB").resize((120, 80)), (40, 40))
    data = ltokc.encode(image)
    (patch,) = found(data)
    assert codec.info(data).patches == 1 and patch.feather == 0


def test_few_colours_are_lossless() -> None:
    """Large flat shapes with pixel-sharp noise of two colours: AV1 is dearer."""
    rng = np.random.default_rng(1)
    dots = np.where((rng.random((128, 128)) < 0.5)[..., None], 255, 0).astype(np.uint8).repeat(3, 2)
    image = Image.fromarray(dots.repeat(2, 0).repeat(2, 1))
    data = ltokc.encode(image, 0.8)
    assert {patch.coding for patch in found(data)} == {VP8L}
    assert np.array_equal(np.asarray(codec.decode(data).convert("RGB")), np.asarray(image))


def test_above_nine_tenths_a_patch_shows_everything_and_looks_grow() -> None:
    image = Image.fromarray(natural(320, 256))
    sizes, looks = [], []
    for quality in (0.9, 0.94, 0.98, 1.0):
        data = ltokc.encode(image, quality)
        assert codec.info(data).patches == 1 or quality == 0.9
        sizes.append(len(data))
        looks.append(look(data, image))
    assert looks == sorted(looks) and sizes[1:] == sorted(sizes[1:])
    assert looks[-1] >= 85
    steps = np.diff([high.look_of_quality(quality) for quality in (0.9, 0.92, 0.94, 0.96, 0.98, 1.0)])
    assert steps.max() - steps.min() < 3  # no quality is a leap
    everything = codec.info(ltokc.encode(image, 1, patches="off"))
    assert everything.tokens == everything.tokens_total and everything.patches == 0


def test_gray_and_alpha() -> None:
    image = page().convert("L")
    data = ltokc.encode(image, 0.7)
    assert found(data) and codec.decode(data).mode == "L"
    clear = page(ink="navy").convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    data = ltokc.encode(clear, 0.7)
    assert [c[0] for c in codec.info(data).chunks] == ["pTCH", "ALPH"]
    back = codec.decode(data)
    assert back.mode == "RGBA" and np.array_equal(np.asarray(back)[..., 3], np.asarray(clear)[..., 3])


def test_segments_have_their_own_and_crops_are_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.tilings import small_segments

    image = page(640, 192)
    small_segments(monkeypatch)
    data = ltokc.encode(image)
    assert [patch.segment for patch in found(data)] == [0, 1]
    whole = np.asarray(codec.decode(data))
    part = np.asarray(codec.decode(data, crop=(450, 30, 120, 90)))
    assert np.array_equal(part, whole[30:120, 450:570])


# --- sizes, cuts, tokens ---------------------------------------------------------------------------------------------
def test_a_wanted_size_is_met_with_patches_where_they_look_better() -> None:
    image = page(128, 128)
    size = 4 * len(ltokc.encode(image)) // 3
    data = ltokc.encode(image, target_size=size, strict=True)
    assert len(data) <= size and found(data)
    assert look(data, image) > look(ltokc.encode(image, target_size=size, patches="off"), image)


def test_a_size_above_all_tokens_is_filled() -> None:
    image = Image.fromarray(natural(192, 192))
    size = 2 * len(ltokc.encode(image, 1, patches="off"))
    data = ltokc.encode(image, target_size=size, say=lambda said: pytest.fail(said))
    assert 0.8 * size < len(data) <= size and found(data)


def test_tokens_alone_and_cuts() -> None:
    image = page()
    assert not found(ltokc.encode(image, tokens=200))
    data = ltokc.encode(image)
    least = codec.trim(data, target_size=len(data) // 2)
    assert len(least) <= len(data) // 2 and not found(least)
    assert codec.info(least).tokens == codec.info(data).tokens
    preview = codec.decode(data[: len(data) // 2], allow_truncated=True)
    assert np.array_equal(np.asarray(preview), np.asarray(codec.decode(least)))


def test_generative_decoding_paints_over_no_patch() -> None:
    data = ltokc.encode(page())
    drawn = codec.decode(data, decoder="generative")
    assert np.array_equal(np.asarray(drawn), np.asarray(codec.decode(data))) and "xmp" not in drawn.info


def test_heat_map_has_the_bits_of_patches() -> None:
    from ltokc.heatmap import bit_map

    data = ltokc.encode(page())
    assert bit_map(data, cell=64).sum() / 8 == pytest.approx(len(data), rel=0.05)
    assert bit_map(data, cell=64, tokens=True).sum() == codec.info(data).tokens


def test_plug_in_and_faults() -> None:
    ltokc.register_pillow()
    plain, patched = io.BytesIO(), io.BytesIO()
    page().save(plain, "LTK", patches="off")
    page().save(patched, "LTK")
    assert not found(plain.getvalue()) and found(patched.getvalue())
    with pytest.raises(UsageError, match="patches are auto or off"):
        ltokc.encode(page(), patches="on")


def test_without_avif_patches_are_webp(monkeypatch: pytest.MonkeyPatch) -> None:
    from ltokc.rate.patches import coding

    image = Image.fromarray(natural(128, 128))
    assert {patch.coding for patch in found(ltokc.encode(image, 0.96))} == {AV1}
    monkeypatch.setattr(coding.features, "check", lambda name: name != "avif")
    data = ltokc.encode(image, 0.96)
    assert {patch.coding for patch in found(data)} == {VP8}
    assert look(data, image) > look(ltokc.encode(image, 0.9), image)


@pytest.mark.parametrize("size", [(1, 1), (1, 130), (7, 70), (65, 63)])
def test_any_size_can_be_nearly_lossless(size: tuple[int, int]) -> None:
    image = Image.fromarray(natural(*size))
    data = ltokc.encode(image, 1.0)
    codec.verify(data)
    shown = np.asarray(codec.decode(data).convert("RGB")).astype(int)
    assert np.abs(shown - np.asarray(image)).mean() < 12


def test_qualities_of_a_page_rise() -> None:
    image = page(128, 128)
    files = [ltokc.encode(image, quality) for quality in (0.5, 0.7, 0.88, 0.94, 1.0)]
    looks = [look(data, image) for data in files]
    assert looks == sorted(looks) and len(files[-1]) >= len(files[0])


def test_lowest_qualities_of_a_map_are_tokens() -> None:
    """A patch there would take ten times the bytes, at some of these qualities and not at the next."""
    image = Image.new("RGB", (1280, 896), "#f2efe9")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    for park in ((80, 80, 380, 300), (860, 120, 1180, 360)):
        draw.rectangle(park, fill="#c8e6b4")
    draw.polygon([(0, 600), (320, 480), (520, 600), (1040, 520), (1280, 600), (1280, 896), (0, 896)], fill="#aad3df")
    main = ((0, 400, 1280, 400), (420, 0, 420, 660), (800, 0, 800, 580))
    side = (
        (160, 300, 160, 580),
        (600, 60, 600, 580),
        (1000, 360, 1000, 560),
        (0, 200, 1280, 200),
        (500, 500, 1200, 500),
    )
    for width, colour, roads in ((22, "#c9a46a", main), (16, "#fcd6a4", main), (10, "white", side)):
        for road in roads:
            draw.line(road, colour, width)
    for x, y, name in ((120, 170, "Weaver's Park"), (910, 230, "Botanic Garden"), (460, 370, "Station Road"),
                       (860, 470, "Mill Lane"), (40, 170, "A 417"), (620, 100, "St Aldate's")):  # fmt: skip
        draw.text((x, y), name, "#333333", font)
    image = image.resize((640, 448), Image.Resampling.LANCZOS)
    files = {quality: ltokc.encode(image, quality) for quality in (0.06, 0.1, 0.12, 0.24)}
    assert [bool(found(data)) for data in files.values()] == [False, False, False, True]
    assert len(files[0.12]) < len(files[0.24]) / 4
