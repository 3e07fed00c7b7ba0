"""Names of cameras repeat: --resume never takes a picture in another folder for one that changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from tests.support.cli_runner import run
from tests.support.pictures import grainy
from tests.support.pictures import two_tones as small

OTHER = "made of a picture in another folder"


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, folder in enumerate(("2023", "2024")):
        Path(folder).mkdir()
        Image.fromarray(grainy(70, 40, seed)).save(f"{folder}/IMG_1.png")


def batch(folder: str, *arguments: str, out: str = "out") -> Result:
    return run("batch", folder, "-d", out, "-e", "0", "-j", "1", *arguments)


def content(folder: str = "out") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if "journal" not in path.name}


def test_another_folder_s_picture_of_the_name_stays() -> None:
    assert batch("2023").exit_code == 0
    first = content()
    for arguments in (("--resume",), ("--resume", "--dry-run"), ("--resume", "-q", "0.3")):
        refused = batch("2024", *arguments)
        assert (
            refused.exit_code == 1
            and f"out/IMG_1.ltk exists; --overwrite replaces it, it was {OTHER}" in refused.stderr
        )
        assert content() == first
    assert batch("2024", "--resume", "--overwrite").exit_code == 0
    assert content() != first


def test_decoded_pictures_stay_too() -> None:
    for folder in ("2023", "2024"):
        assert batch(folder, out=f"{folder}-small").exit_code == 0
    decode = ("batch", "--decode", "-d", "back", "-j", "1")
    assert run(*decode, "2023-small").exit_code == 0
    first = content("back")
    refused = run(*decode, "2024-small", "--resume")
    assert refused.exit_code == 1 and OTHER in refused.stderr and content("back") == first


def test_a_picture_that_changed_or_a_folder_that_moved_goes_on() -> None:
    assert batch("2023").exit_code == 0
    first = content()
    os.rename("2023", "moved")
    unchanged = batch("moved", "--resume")
    assert (unchanged.exit_code, unchanged.stderr.splitlines()[-1]) == (0, "nothing to do") and content() == first
    assert batch("moved", "--resume", "-q", "0.3").exit_code == 0, "the same picture, with other options"
    again = content()
    assert again != first
    Image.fromarray(grainy(70, 40, 9)).save("moved/IMG_1.png")
    assert batch("moved", "--resume", "-q", "0.3").exit_code == 0, "it changed where it lies"
    assert content() != again


def test_a_copy_of_another_folder_s_picture_is_not_removed() -> None:
    small("2023/icon.png")
    os.unlink("2023/IMG_1.png")
    shutil.rmtree("2024")
    Path("2024").mkdir()
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (192, 128, 3), np.uint8)).save("2024/icon.png")
    assert batch("2023", "--keep-smaller", "-q", "1", "--patches", "off").exit_code == 0
    first = content()
    assert list(first) == ["icon.png"]
    refused = batch("2024", "--keep-smaller", "-q", "1", "--patches", "off", "--resume")
    assert refused.exit_code == 1 and OTHER in refused.stderr and content() == first


def test_an_output_that_changed_is_said_to_have() -> None:
    assert batch("2023").exit_code == 0
    os.truncate("out/IMG_1.ltk", 100)
    refused = batch("2023", "--resume")
    assert refused.exit_code == 1 and "--overwrite replaces it, it has changed since a batch wrote it" in refused.stderr
    assert batch("2023", "--resume", "--overwrite").exit_code == 0


def test_times_are_given_to_what_was_done_before() -> None:
    assert batch("2023").exit_code == 0
    os.utime("2023/IMG_1.png", (10**9, 10**9))
    assert batch("2023", "--resume").exit_code == 0 and os.stat("out/IMG_1.ltk").st_mtime != 10**9
    assert batch("2023", "--resume", "--keep-times").exit_code == 0
    assert os.stat("out/IMG_1.ltk").st_mtime == 10**9
