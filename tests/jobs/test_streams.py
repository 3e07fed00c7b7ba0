"""Reading and writing of whole files (`ltokc.jobs.streams`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ltokc.errors import LtokcError
from ltokc.jobs import streams


def test_write_makes_folders_and_names_the_file_that_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    streams.write("new/er/x.ltk", b"abc")
    assert streams.read("new/er/x.ltk") == b"abc"
    assert os.listdir("new/er") == ["x.ltk"]
    Path("pictures").mkdir()
    Path("pictures/a.png").write_bytes(b"x")
    with pytest.raises((OSError, LtokcError), match=r"a\.png"):
        streams.write("pictures/a.png/x.ltk", b"abc")
