"""What is said of losses: all of them, and at the caller's line."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.cli import main
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


@pytest.mark.parametrize("size", [200, 500, 5000])
@pytest.mark.parametrize("colour", [(255, 0, 0), (37, 200, 90), (128, 128, 128)])
@pytest.mark.filterwarnings("ignore::ltokc.LossWarning")
def test_one_colour_of_a_wanted_size_is_that_colour(colour: tuple[int, int, int], size: int) -> None:
    picture = Image.new("RGB", (300, 300), colour)
    data = ltokc.encode(picture, target_size=size)
    assert len(data) <= size
    assert np.array_equal(np.asarray(ltokc.decode(data).convert("RGB")), np.asarray(picture))


def test_one_colour_of_too_small_a_size_is_of_tokens() -> None:
    data = ltokc.encode(Image.new("RGB", (300, 300), (255, 0, 0)), target_size=60)
    assert len(data) <= 60 and not ltokc.info(data).patches
