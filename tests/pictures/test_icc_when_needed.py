"""littleCMS is loaded for pictures with a profile, and for no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from tests.support.cli_runner import ENVIRONMENT

CODE = """
import sys
from ltokc.pictures.load import load
load(sys.argv[1])
print("PIL.ImageCms" in sys.modules)
"""


@pytest.mark.parametrize("profile", [False, True])
def test_a_picture_without_a_profile_needs_none(tmp_path: Path, profile: bool) -> None:
    path = tmp_path / "a.png"
    icc = {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()} if profile else {}
    Image.new("RGB", (16, 16), (90, 60, 30)).save(path, **icc)
    done = subprocess.run([sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.stdout.strip() == str(profile), done.stderr
