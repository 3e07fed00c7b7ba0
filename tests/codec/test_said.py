"""What is said of losses: all of them, and at the caller's line."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.cli import cli, main
from tests.support.pages import page
from tests.support.pictures import grainy

ltokc.register_pillow()


def test_trimming_tells_of_patches_that_go() -> None:
    data = ltokc.encode(page(), 0.6)
    assert ltokc.info(data).patches
    with pytest.warns(ltokc.LossWarning, match=r"patches over (\d+) % of the picture are left out") as told:
        small = ltokc.trim(data, target_size=len(data) // 4)
    assert len(small) <= len(data) // 4 and not ltokc.info(small).patches
    assert [Path(warning.filename).name for warning in told] == ["test_said.py"]


def test_trimming_within_the_tokens_says_nothing() -> None:
    data = ltokc.encode(grainy(128, 96), 0.6, effort=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(ltokc.trim(data, target_size=len(data) // 2)) <= len(data) // 2


def test_the_command_tells_of_patches_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.ltk").write_bytes(ltokc.encode(page(), 0.6))
    monkeypatch.setattr("sys.argv", ["ltokc", "trim", "a.ltk", "--target-size", "100", "-o", "b.ltk"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "% of the picture are left out to meet the size" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_every_loss_is_told_at_the_line_that_called(tmp_path: Path) -> None:
    """Also one that is noticed deep inside, so that none counts as told already, and one of Pillow's `save`."""
    buffer = io.BytesIO()
    Image.fromarray(grainy(64, 48)).save(buffer, "PNG", dpi=(100, 72))

    def lines(told: list[warnings.WarningMessage]) -> list[tuple[str, int]]:
        return [(Path(warning.filename).name, warning.lineno) for warning in told]

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        ltokc.encode(buffer, effort=0)
        ltokc.encode(buffer, effort=0)
        Image.open(buffer).save(tmp_path / "a.ltk", effort=0, metadata="none")
    found = lines(told)
    assert len(found) == 3 and {name for name, _ in found} == {"test_said.py"} and len(set(found)) == 3


@pytest.mark.parametrize("size", [70, 200, 500, 5000])  # of the first, hardly a token is left below the patch
@pytest.mark.parametrize("colour", [(255, 0, 0), (37, 200, 90), (128, 128, 128)])
@pytest.mark.filterwarnings("ignore::ltokc.LossWarning")
def test_one_colour_of_a_wanted_size_is_that_colour(colour: tuple[int, int, int], size: int) -> None:
    picture = Image.new("RGB", (300, 300), colour)
    data = ltokc.encode(picture, target_size=size)
    assert len(data) <= size
    assert np.array_equal(np.asarray(ltokc.decode(data).convert("RGB")), np.asarray(picture))


def test_one_colour_of_too_small_a_size_is_of_tokens() -> None:
    data = ltokc.encode(Image.new("RGB", (300, 300), (255, 0, 0)), target_size=45)
    assert len(data) <= 45 and not ltokc.info(data).patches


def told_in(how: dict) -> list[tuple[int, int]]:
    steps: list[tuple[int, int]] = []
    ltokc.encode(progress=lambda done, total: steps.append((done, total)), **how)
    return steps


MIXED = page(256, 192)
MIXED.paste(Image.fromarray(grainy(128, 96)), (0, 96))
RATES = [{}, {"quality": 0.95}, {"quality": 1.0}, {"tokens": 300}, {"target_size": 900}, {"target_bpp": 2.0}]


@pytest.mark.parametrize("effort", [0, 1, 2])
@pytest.mark.parametrize("picture", [Image.fromarray(grainy(160, 128)), MIXED], ids=["grain", "mixed"])
@pytest.mark.parametrize("rate", RATES, ids=lambda rate: "-".join(map(str, rate)) or "default")
def test_progress_rises_to_its_total_at_the_end(rate: dict, picture: Image.Image, effort: int) -> None:
    """Also of pictures with patches, whatever is tried for them; at effort 2 a size once failed on these."""
    steps = told_in({"image": picture, "effort": effort, **rate})
    done = [each for each, _ in steps]
    assert done == sorted(done) and len({total for _, total in steps}) == 1
    assert [pair for pair in steps if pair[0] == pair[1]] == steps[-1:]


def with_metadata(size: int, mode: str = "RGB") -> bytes:
    """A file with so many bytes of EXIF data, and alpha if the mode has it."""
    image = Image.fromarray(grainy(96, 96)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(grainy(96, 96, seed=3)).convert("L"))
    image.info["exif"] = b"Exif\0\0" + Image.Exif().tobytes()[6:] + bytes(size)
    return ltokc.encode(image, effort=0, metadata="all")


def test_trimming_leaves_metadata_out_before_it_gives_up() -> None:
    data = with_metadata(3000)
    with pytest.warns(ltokc.LossWarning, match=r"metadata left out to meet the size: eXIf \(3,"):
        small = ltokc.trim(data, target_size=700)
    assert 150 < len(small) <= 700 and ltokc.info(small).tokens > 50
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ltokc.trim(with_metadata(20), target_size=900) != data, "it has room"


def test_trimming_makes_alpha_coarser() -> None:
    data = with_metadata(0, "RGBA")
    with pytest.warns(ltokc.LossWarning, match="alpha coarsened to meet the size"):
        small = ltokc.trim(data, target_size=len(data) // 3)
    assert len(small) <= len(data) // 3 and ltokc.decode(small).mode == "RGBA"
    ltokc.verify(small)


def test_a_file_that_lost_its_patch_by_a_byte_says_so() -> None:
    data = ltokc.encode(page(), 1.0)
    assert ltokc.info(data).patches
    with pytest.warns(ltokc.LossWarning, match="a patch is missing"):
        ltokc.decode(data[:-1], allow_truncated=True)
    photo = ltokc.encode(grainy(96, 96), 0.6, effort=0, metadata="all")
    with pytest.warns(ltokc.LossWarning, match="tokens shown"):
        ltokc.decode(photo[:-9], allow_truncated=True)


def test_the_backend_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from ltokc.tokenizer import runtime

    found = runtime.find_spec
    monkeypatch.setattr(runtime, "find_spec", lambda name: None if name == "torch" else found(name))
    with pytest.raises(ltokc.ModelError, match="torch is not installed"):
        runtime.open_runtime(Path("nowhere"), "torch")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--target-bpp", "inf"], "inf is no finite number above 0"), (["--target-bpp", "0"], "0 is no finite number"),
        (["--metadata", "all,none"], "none or all by itself, or some of exif"),
    ],
)  # fmt: skip
def test_reasons_are_true(words: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(grainy(32, 32)).save(tmp_path / "x.png")
    with pytest.raises(SystemExit):
        cli(["encode", str(tmp_path / "x.png"), "-o", str(tmp_path / "x.ltk"), *words])
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_byte_less_costs_a_token_and_nothing_else(mode: str) -> None:
    """Also where metadata and alpha are most of the file."""
    data = with_metadata(2000, mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small = ltokc.trim(data, target_size=len(data) - 1)
    assert len(data) - 12 < len(small) < len(data) and ltokc.info(small).chunks == ltokc.info(data).chunks


def test_metadata_goes_before_a_patch_and_alpha_fills_what_is_left() -> None:
    image = page()
    image.info["exif"] = b"Exif\0\0" + Image.Exif().tobytes()[6:] + bytes(300)
    data = ltokc.encode(image, 0.95, metadata="all")
    assert ltokc.info(data).patches == 1
    with pytest.warns(ltokc.LossWarning, match="metadata left out"):
        small = ltokc.trim(data, target_size=len(data) - 100)
    assert ltokc.info(small).patches == 1 and b"eXIf" not in small
    data = with_metadata(0, "RGBA")
    with pytest.warns(ltokc.LossWarning, match="alpha coarsened"):
        small = ltokc.trim(data, target_size=len(data) * 2 // 3)
    assert len(small) > len(data) * 0.6


@pytest.mark.parametrize("dpi", [(-1, 5), (float("nan"), 1), (1e12, 1), ("a", 1)])
def test_a_resolution_that_is_none_is_refused(dpi: tuple) -> None:
    with pytest.raises(ValueError, match="dpi is a pair"):
        Image.new("RGB", (16, 16)).save(io.BytesIO(), "LTK", dpi=dpi)


@pytest.mark.parametrize("dpi", [(0, 0), np.array([72, 72]), None])
def test_a_resolution_that_is_unknown_is_left_out(dpi: object) -> None:
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "LTK", dpi=dpi)
    assert (b"pHYs" in out.getvalue()) == isinstance(dpi, np.ndarray)
