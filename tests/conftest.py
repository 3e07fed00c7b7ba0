"""Fixtures that several test files share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread in each, or they wait for each other
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LTOKC_THREADS"):  # read when numpy is imported, hence here
        os.environ.setdefault(name, "1")

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # some tests import the runtime themselves
os.environ["LTOKC_CACHE"] = "off"  # tests leave nothing in the user's folders

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, settings
from PIL import Image

from ltokc.cli import cli
from tests.support.cli_runner import HEIGHT, WIDTH

# No test fails for the time it takes: a fresh clone builds hypothesis' tables first, and machines may be busy.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 96x80 pixels: a sky, a slope, a disc and some grain."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    rgb = np.stack([90 + y, 120 + 0.6 * y, 230 - 1.5 * y], -1)
    rgb[y > 40 + 12 * np.sin(x / 15)] *= 0.5
    rgb[(x - 66) ** 2 + (y - 22) ** 2 < 150] = (250, 230, 120)
    rgb += np.random.default_rng(0).normal(0, 4, rgb.shape)
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def encoded(photo: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """photo as a .ltk file, made by the command."""
    out = tmp_path_factory.mktemp("encoded") / "photo.ltk"
    result = CliRunner().invoke(cli, ["encode", str(photo), "-o", str(out)])
    assert result.exit_code == 0, result.stderr
    return out.read_bytes()


@pytest.fixture
def here(tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with photo.png and some things that are no pictures."""
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(photo.read_bytes())
    Path("text.png").write_text("not a picture")
    Path("empty.png").touch()
    Path("folder").mkdir()
    return tmp_path


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """This process hears SIGINT, which a job in the background (`nohup make test &`) inherits as ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
