"""Where a picture's output gets another name, the one of the run before does not stay beside it in silence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from tests.support.cli_runner import names, run
from tests.support.pictures import two_tones as small

COPIED = ("-q", "1", "--patches", "off")  # the .ltk file would be larger than small() makes its source
CODED = ("-q", "0", "--alpha", "drop")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("v").mkdir()
    small("v/shot.png")


def batch(*arguments: str, folder: str = "vo") -> Result:
    return run("batch", "v", "-d", folder, "-e", "0", "-j", "1", "--keep-smaller", *arguments)


def outputs(folder: str = "vo") -> set[str]:
    return {path.name for path in Path(folder).iterdir() if "journal" not in path.name}


def test_an_output_of_another_kind_takes_the_place_of_the_one_before() -> None:
    source = Path("v/shot.png").read_bytes()
    assert batch(*COPIED).exit_code == 0 and outputs() == {"shot.png"}
    rehearsed = batch(*CODED, "--resume", "--dry-run")
    assert "vo/shot.png: of an earlier run, would be removed" in rehearsed.stderr and outputs() == {"shot.png"}
    for options, left, gone in ((CODED, "shot.ltk", "shot.png"), (COPIED, "shot.png", "shot.ltk")) * 2:
        result = batch(*options, "--resume", "--report", "r.json", "--overwrite")
        assert result.exit_code == 0 and outputs() == {left}, result.stderr
        assert f"v/shot.png: removed what an earlier run had written for it: vo/{gone}" in result.stderr
        (row,) = json.loads(Path("r.json").read_text())["pictures"]
        assert row["removed"] == f"vo/{gone}" and row["status"] != "unchanged"
    assert Path("vo/shot.png").read_bytes() == source == Path("v/shot.png").read_bytes()


def test_a_source_that_changed_to_and_fro_has_one_output() -> None:
    before = Path("v/shot.png").read_bytes()
    assert batch("-q", "0.5", "--patches", "off").exit_code == 0
    first = outputs()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)).save("v/shot.png")
    assert batch("-q", "0.5", "--patches", "off", "--resume").exit_code == 0
    assert first == {"shot.png"} and outputs() == {"shot.ltk"}
    Path("v/shot.png").write_bytes(before)
    assert batch("-q", "0.5", "--patches", "off", "--resume").exit_code == 0
    assert outputs() == {"shot.png"} and Path("vo/shot.png").read_bytes() == before


def test_what_lay_there_after_a_kill_goes_with_the_next_run() -> None:
    """A kill between the new output and the removal of the old one: all is done before, and yet there are two."""
    assert batch(*COPIED).exit_code == 0
    assert batch(*CODED, "--resume").exit_code == 0
    Path("vo/shot.png").write_bytes(Path("v/shot.png").read_bytes())
    rehearsed = batch(*CODED, "--resume", "--dry-run")
    assert rehearsed.stderr.splitlines()[0] == "vo/shot.png: of an earlier run, would be removed"
    result = batch(*CODED, "--resume")
    assert result.exit_code == 0 and outputs() == {"shot.ltk"}
    assert "nothing to do" not in result.stderr
    assert "nothing to do" in batch(*CODED, "--resume").stderr


@pytest.mark.parametrize("options", [("--resume",), ("--overwrite",)], ids=" ".join)
def test_a_file_that_changed_since_is_the_users_and_an_error(options: tuple[str, ...]) -> None:
    assert batch(*CODED).exit_code == 0
    Path("vo/shot.ltk").write_bytes(b"mine")
    result = batch(*COPIED, *options)
    assert result.exit_code == 1 and "vo/shot.ltk" in result.stderr
    assert Path("vo/shot.ltk").read_bytes() == b"mine" and outputs() == {"shot.ltk"}


def test_done_before_is_not_said_over_a_file_that_changed() -> None:
    assert batch(*COPIED).exit_code == 0
    Path("vo/shot.ltk").write_bytes(b"mine")
    for options in (("--resume",), ("--resume", "--dry-run")):
        result = batch(*COPIED, *options)
        assert result.exit_code == 1 and "vo/shot.ltk is there too, and not as a batch has written it" in result.stderr
    assert outputs() == {"shot.ltk", "shot.png"}


def test_without_resume_or_overwrite_nothing_is_removed() -> None:
    assert batch(*COPIED).exit_code == 0
    result = batch(*CODED)
    assert result.exit_code == 1 and "vo/shot.png exists; --overwrite replaces it, --resume goes on" in result.stderr
    assert batch(*CODED, "-n").exit_code == 3 and outputs() == {"shot.png"}
    plain = run("batch", "v", "-d", "vo", "-e", "0", "-j", "1", *CODED)
    assert plain.exit_code == 1 and "vo/shot.png exists" in plain.stderr and outputs() == {"shot.png"}
    assert batch(*CODED, "--overwrite").exit_code == 0 and outputs() == {"shot.ltk"}


def test_other_ways_of_naming_leave_nothing_either() -> None:
    assert batch(*CODED, "--keep-suffix").exit_code == 0 and outputs() == {"shot.png.ltk"}
    assert batch(*COPIED, "--resume").exit_code == 0 and outputs() == {"shot.png"}
    assert batch(*CODED, "--keep-suffix", "--resume").exit_code == 0 and outputs() == {"shot.png.ltk"}


def test_a_file_that_no_batch_wrote_stays_beside_a_coded_one() -> None:
    Path("vo").mkdir()
    Path("vo/shot.png").write_bytes(b"mine")
    assert batch(*CODED, "--resume").exit_code == 0
    assert batch(*CODED, "--resume").exit_code == 0
    assert outputs() == {"shot.ltk", "shot.png"} and Path("vo/shot.png").read_bytes() == b"mine"


def test_outputs_of_other_pictures_are_no_leftovers() -> None:
    """With --keep-suffix shot.png was shot.png.ltk, which is now the output of shot.png.png."""
    assert batch(*CODED, "--keep-suffix").exit_code == 0
    small("v/shot.png.png", 1)
    assert batch(*CODED, "--resume").exit_code == 0
    assert outputs() == {"shot.ltk", "shot.png.ltk"}
    assert batch(*CODED, "--resume").exit_code == 0 and outputs() == {"shot.ltk", "shot.png.ltk"}


def test_in_the_folder_of_the_sources_only_ltk_files_go() -> None:
    others = ("--exclude", "*.ltk")
    source = Path("v/shot.png").read_bytes()
    assert batch(*CODED, *others, folder="v").exit_code == 0 and outputs("v") == {"shot.png", "shot.ltk"}
    assert batch(*COPIED, "--resume", *others, folder="v").exit_code == 0
    assert outputs("v") == {"shot.png"} and Path("v/shot.png").read_bytes() == source
    assert batch(*CODED, "--resume", *others, folder="v").exit_code == 0 and outputs("v") == {"shot.png", "shot.ltk"}


def test_a_copy_of_a_picture_that_is_left_out_now_stays() -> None:
    """v/shot.jpg would have the same .ltk file as v/shot.png, but it is another picture."""
    Path("v/shot.png").rename("v/shot.jpg")
    assert batch(*COPIED).exit_code == 0 and outputs() == {"shot.jpg"}
    small("v/shot.png", 1)
    assert batch(*CODED, "--resume", "--exclude", "*.jpg").exit_code == 0
    assert outputs() == {"shot.jpg", "shot.ltk"}
    assert "v/shot.jpg" in names()
