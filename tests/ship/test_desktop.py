"""What systems ask of a program: manual pages, completion, thumbnails and a file type."""

from __future__ import annotations

import configparser
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import ltokc
from tests.support.cli_runner import ENVIRONMENT, HEIGHT, ROOT, WIDTH, program, run
from tests.support.pictures import smooth
from tests.support.scripts import script

# -- manual pages --------------------------------------------------------------------------------------------------


def test_roff_is_escaped() -> None:
    escape = script("write_docs").escape
    assert escape("a\\b -c 'd'\n.e") == "a\\eb \\-c \\(aqd\\(aq\n\\&.e"


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_man_pages_format_without_warnings() -> None:
    for path in sorted((ROOT / "docs" / "man").glob("*.1")):
        done = subprocess.run(
            ["groff", "-man", "-Tascii", "-P-cbou", "-ww", str(path)], capture_output=True, check=True, timeout=60
        )
        assert done.stderr == b"", path.name
        text = done.stdout.decode()
        synopsis = text.partition("SYNOPSIS")[2].partition("DESCRIPTION")[0]
        assert path.stem.replace("-", " ") in synopsis.replace("-", " ") and "EXIT STATUS" in text


# -- completion ----------------------------------------------------------------------------------------------------


def test_completion_scripts_are_clicks() -> None:
    writer = script("write_docs")
    for shell, name in writer.SHELLS.items():
        text = (writer.COMPLETIONS / name).read_text("utf-8")
        assert f"_LTOKC_COMPLETE={shell}_complete" in text
        assert "ltokc" in writer.completion(shell)


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which `ltokc` is a program."""
    program = tmp_path / "bin" / "ltokc"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ltokc "$@"\n')
    program.chmod(0o755)
    return {**ENVIRONMENT, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [("ltokc en", ["encode"]), ("ltokc batch --re", ["--recursive", "--resume", "--report"]),
     ("ltokc encode --alpha ", ["keep", "drop", "blend"])],
)  # fmt: skip
def test_bash_completes(installed: dict[str, str], words: str, expected: list[str]) -> None:
    typed = words.split(" ")
    code = f"""
        source {ROOT / "desktop" / "completions" / "ltokc.bash"}
        complete -p ltokc >/dev/null || exit 9
        COMP_WORDS=({" ".join(typed[:-1])} "{typed[-1]}"); COMP_CWORD={len(typed) - 1}
        _ltokc_completion ltokc; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", code], env=installed, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == expected


@pytest.mark.parametrize("words", ["ltokc encode pho", "ltokc decode x.ltk -o ", "ltokc batch -d ", "ltokc info "])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_files_are_completed_as_files(shell: str, words: str) -> None:
    # bash and zsh give all words and a position, fish those before and the one that is typed
    last = words.rpartition(" ")[2]
    asked = {"COMP_WORDS": words, "COMP_CWORD": last if shell == "fish" else str(len(words.split(" ")) - 1)}
    environment = {**ENVIRONMENT, **asked, "_LTOKC_COMPLETE": f"{shell}_complete"}
    done = subprocess.run([sys.executable, "-m", "ltokc"], env=environment, capture_output=True, text=True, check=True)
    assert "file" in done.stdout.replace(",", "\n").split()


def test_module_is_the_program() -> None:
    assert program("--version").stdout.startswith(f"ltokc {ltokc.__version__}".encode())


# -- thumbnails, file type -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "expected"), [("40", (40, 33)), ("1000", (WIDTH, HEIGHT)), ("1", (1, 1))])
def test_thumbnail(here: Path, encoded: bytes, size: str, expected: tuple[int, int]) -> None:
    Path("x.ltk").write_bytes(encoded)
    assert run("thumbnail", "x.ltk", "t", "-s", size).exit_code == 0
    with Image.open("t") as image:
        assert (image.format, image.size) == ("PNG", expected)


def test_thumbnail_is_the_picture_even_of_a_cut_file(here: Path) -> None:
    rgba = np.dstack([smooth(300, 200), np.full((200, 300), 200, np.uint8)])
    data = ltokc.encode(Image.fromarray(rgba))
    Path("x.ltk").write_bytes(data)
    result = run("thumbnail", "x.ltk", "-", "-s", "64")
    small = Image.open(io.BytesIO(result.stdout_bytes))
    assert (small.mode, small.size) == ("RGBA", (64, 43))
    wanted = Image.fromarray(smooth(300, 200)).resize((64, 43))
    assert np.abs(np.asarray(small, float)[..., :3] - np.asarray(wanted, float)).mean() < 8
    Path("cut.ltk").write_bytes(data[:90])
    assert run("thumbnail", "cut.ltk", "t.jpg").exit_code == 0
    assert Image.open("t.jpg").format == "JPEG"
    before = Path("t.jpg").read_bytes()
    assert run("thumbnail", "text.png", "t.jpg").exit_code == 1
    assert Path("t.jpg").read_bytes() == before


def test_thumbnailer_entry_calls_the_command(here: Path, encoded: bytes) -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[assignment, method-assign]
    entry.read(ROOT / "desktop" / "ltokc.thumbnailer")
    fields = entry["Thumbnailer Entry"]
    assert fields["MimeType"] == "image/x-ltk;" and fields["TryExec"] == "ltokc"
    Path("a picture.ltk").write_bytes(encoded)
    values = {"%s": "48", "%i": "a picture.ltk", "%o": "out"}
    name, *words = [values.get(word, word) for word in fields["Exec"].split()]
    result = run(*words)
    assert (name, result.exit_code, result.stderr) == ("ltokc", 0, "")
    assert max(Image.open("out").size) == 48


def test_mime_type_and_magic(here: Path, encoded: bytes) -> None:
    space = "{http://www.freedesktop.org/standards/shared-mime-info}"
    kind = ElementTree.parse(ROOT / "formats" / "ltk-mime.xml").getroot().find(f"{space}mime-type")
    assert kind is not None and kind.get("type") == "image/x-ltk"
    if not shutil.which("file"):
        pytest.skip("file is not installed")
    Path("x").write_bytes(encoded)
    done = subprocess.run(["file", "-b", "--mime-type", "-m", str(ROOT / "formats" / "ltk.magic"), "x"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "image/x-ltk"


@pytest.mark.skipif(not shutil.which("update-mime-database"), reason="shared-mime-info is not installed")
def test_mime_database_takes_the_type(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    shutil.copy(ROOT / "formats" / "ltk-mime.xml", packages / "ltokc.xml")
    subprocess.run(["update-mime-database", str(tmp_path)], check=True, capture_output=True, timeout=60)
    assert "image/x-ltk" in (tmp_path / "types").read_text()
