"""What is there stays: no verb replaces a file that it did not make, unless --overwrite says so."""

from __future__ import annotations

import inspect
import os
import shlex
import shutil
import stat
import subprocess
import sys
from glob import glob
from pathlib import Path

import pytest
from click import Context
from PIL import Image

from ltokc import codec
from ltokc.cli import cli
from tests.support.cli_runner import ENVIRONMENT, ROOT, program, run
from tests.support.folding import folding_folder
from tests.support.pictures import grainy

WRITERS = [
    ("encode photo.png", "photo.ltk"),
    ("encode photo.png -o mine", "mine"),
    ("encode photo.png -d out", "out/photo.ltk"),
    ("encode -r in -d out", "out/photo.ltk"),
    ("encode photo.png --keep-suffix", "photo.png.ltk"),
    ("decode small.ltk", "small.png"),
    ("decode small.ltk -f webp", "small.webp"),
    ("decode small.ltk -o mine.png", "mine.png"),
    ("decode small.ltk -d out", "out/small.png"),
    ("decode -r packed -d in", "in/photo.png"),
    ("trim small.ltk --tokens 5 -o mine.ltk", "mine.ltk"),
    ("thumbnail small.ltk mine.png", "mine.png"),
    ("tokens small.ltk --npz -o mine.npz", "mine.npz"),
    ("tokens small.ltk -o mine.txt", "mine.txt"),
    ("info small.ltk --heatmap mine.png", "mine.png"),
    ("compare photo.png small.ltk --html mine.html", "mine.html"),
    ("batch in/photo.png -d out -j 1", "out/photo.ltk"),
    ("batch -r in -d out -j 2", "out/photo.ltk"),
    ("batch -r in -d out -j 1 --resume", "out/photo.ltk"),
    ("batch -r in -d out -j 1 --keep-suffix", "out/photo.png.ltk"),
    ("batch --decode -r packed -d in -j 1", "in/photo.png"),
    ("batch --decode -r packed -d in -j 1 --resume", "in/photo.png"),
    ("batch -r in -d out -j 1 --report mine.csv", "mine.csv"),
    ("batch -r in -d out -j 1 --resume --report mine.json", "mine.json"),
]  # fmt: skip
MINE = b"the only one there is"


@pytest.fixture
def place(here: Path, encoded: bytes) -> Path:
    """photo.png, small.ltk, in/photo.png, packed/photo.ltk."""
    for name, data in (("small.ltk", encoded), ("packed/photo.ltk", encoded), ("in/photo.png", b"")):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(data or Path("photo.png").read_bytes())
    return here


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file() and "journal" not in path.name}


@pytest.mark.parametrize(("line", "output"), WRITERS, ids=[line for line, _ in WRITERS])
def test_no_verb_replaces_a_file_that_it_did_not_make(place: Path, line: str, output: str) -> None:
    Path(output).parent.mkdir(exist_ok=True)
    Path(output).write_bytes(MINE)
    before = files()
    refused = run(*line.split())
    assert refused.exit_code == 1, refused.output
    assert f"{output} exists; --overwrite replaces it" in refused.stderr
    assert files() == before
    allowed = run(*line.split(), "--overwrite")
    assert allowed.exit_code == 0, allowed.output
    after = files()
    assert after.pop(output) != before.pop(output)
    assert before.items() <= after.items()


def test_overwrite_and_no_clobber_exclude_each_other(place: Path) -> None:
    for verb in (["encode", "photo.png"], ["decode", "small.ltk"], ["batch", "in", "-d", "out"],
                 ["trim", "small.ltk", "--tokens", "3", "-o", "x.ltk"]):  # fmt: skip
        result = run(*verb, "--overwrite", "-n")
        assert result.exit_code == 2 and "exclude each other" in result.stderr


def test_a_second_run_is_refused_and_names_the_option(place: Path) -> None:
    """Nobody can tell who made photo.ltk: it may be a better file than the one that would replace it."""
    assert run("encode", "photo.png", "-q", "0.9").exit_code == 0
    first = Path("photo.ltk").read_bytes()
    again = run("encode", "photo.png")
    assert again.exit_code == 1 and "photo.ltk exists; --overwrite replaces it, -o or -d names another place" in (
        again.stderr
    )
    assert Path("photo.ltk").read_bytes() == first
    assert run("encode", "photo.png", "--overwrite").exit_code == 0
    assert Path("photo.ltk").read_bytes() != first


def test_a_file_that_appears_meanwhile_is_not_replaced(place: Path) -> None:
    os.mkfifo("slow.ltk")
    data = Path("small.ltk").read_bytes()
    process = subprocess.Popen([sys.executable, "-m", "ltokc", "decode", "slow.ltk", "-o", "new.png"], env=ENVIRONMENT,
                               stderr=subprocess.PIPE)  # fmt: skip
    descriptor = os.open("slow.ltk", os.O_WRONLY)  # waits for the reader
    Path("new.png").write_bytes(MINE)
    os.write(descriptor, data)
    os.close(descriptor)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1 and b"new.png: exists" in stderr
    assert Path("new.png").read_bytes() == MINE and not list(Path().glob(".*.tmp"))


# -- photo.jpg and photo.png -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", [["encode"], ["batch", "-j", "1"]])
def test_two_pictures_of_one_name(place: Path, verb: list[str]) -> None:
    Image.open("photo.png").save("photo.jpg")
    one = run(*verb, "photo.jpg", "photo.png", "-d", "one")
    assert one.exit_code == 1 and "one/photo.ltk is already meant for photo.jpg; --keep-suffix keeps both" in (
        one.stderr
    )
    assert set(os.listdir("one")) - {".ltokc-batch.journal"} == {"photo.ltk"}
    assert run(*verb, "photo.jpg", "-d", "two").exit_code == 0
    assert run(*verb, "photo.png", "-d", "two").exit_code == 1, "in a second run"
    assert run(*verb, "photo.jpg", "photo.png", "-d", "both", "--keep-suffix").exit_code == 0
    assert set(os.listdir("both")) - {".ltokc-batch.journal"} == {"photo.jpg.ltk", "photo.png.ltk"}


def test_decoding_gives_the_names_back(place: Path) -> None:
    for name in ("photo.png.ltk", "photo.jpeg.ltk"):
        shutil.copy("small.ltk", f"packed/{name}")
    Path("packed/photo.ltk").unlink()
    assert run("decode", "-r", "packed", "-d", "png").exit_code == 0
    assert sorted(os.listdir("png")) == ["photo.jpeg.png", "photo.png"]
    assert run("batch", "--decode", "-r", "packed", "-d", "jpg", "-f", "jpg", "-j", "1").exit_code == 0
    assert set(os.listdir("jpg")) - {".ltokc-batch.journal"} == {"photo.jpeg", "photo.png.jpg"}
    shutil.copy("photo.png", "packed/photo.png")
    beside = run("decode", "packed/photo.png.ltk")
    assert beside.exit_code == 1 and "packed/photo.png exists" in beside.stderr


def test_keep_suffix_is_for_encoding(place: Path) -> None:
    result = run("batch", "--decode", "-r", "packed", "-d", "out", "--keep-suffix")
    assert result.exit_code == 2 and "--keep-suffix is for encoding" in result.stderr


# -- two names, one file -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", [["encode"], ["batch", "-j", "2"], ["batch", "-j", "1", "--overwrite"],
                                  ["batch", "-j", "1", "--resume"]], ids=" ".join)  # fmt: skip
def test_two_names_that_the_output_folder_takes_for_one(tmp_path: Path, here: Path, verb: list[str]) -> None:
    Path("in").mkdir()
    for seed, name in enumerate(("IMG_1.png", "img_1.png")):
        Image.fromarray(grainy(40, 30, seed)).save(f"in/{name}")
    if len(os.listdir("in")) == 1:
        pytest.skip("the current folder folds case itself")
    with folding_folder(tmp_path / "folds") as folder:
        done = program(*verb, "-r", "in", "-d", f"{folder}/out")
        text = f"{folder}/out/img_1.ltk is already meant for in/IMG_1.png; --keep-suffix keeps both"
        assert done.returncode == 1 and text in done.stderr.decode()
        alone = codec.encode("in/IMG_1.png")
        assert (folder / "out" / "IMG_1.ltk").read_bytes() == alone
    assert program(*verb, "-r", "in", "-d", "apart").returncode == 0
    assert {p.name for p in Path("apart").glob("*.ltk")} == {"IMG_1.ltk", "img_1.ltk"}


# -- permissions and times ---------------------------------------------------------------------------------------------
@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize(
    ("line", "source", "output"),
    [("encode photo.png", "photo.png", "photo.ltk"), ("decode small.ltk", "small.ltk", "small.png"),
     ("trim small.ltk --tokens 5 -o new.ltk", "small.ltk", "new.ltk"),
     ("thumbnail small.ltk new.png", "small.ltk", "new.png"), ("tokens small.ltk -o new.txt", "small.ltk", "new.txt"),
     ("info small.ltk --heatmap new.png", "small.ltk", "new.png"),
     ("compare photo.png small.ltk --html new.html", "photo.png", "new.html"),
     ("batch in/photo.png -d out -j 1", "in/photo.png", "out/photo.ltk"),
     ("batch in/photo.png -d out -j 1 --keep-smaller -q 1", "in/photo.png", "out/photo.ltk")],
)  # fmt: skip
def test_what_is_private_stays_private(place: Path, line: str, source: str, output: str) -> None:
    Path(source).chmod(0o600)
    assert run(*line.split()).exit_code == 0
    assert stat.S_IMODE(Path(output).stat().st_mode) == 0o600
    Path(output).chmod(0o640)
    assert run(*line.split(), "--overwrite").exit_code == 0
    assert stat.S_IMODE(Path(output).stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("line", "source", "output"),
    [("encode photo.png", "photo.png", "photo.ltk"), ("decode small.ltk", "small.ltk", "small.png"),
     ("trim small.ltk --tokens 5 -o new.ltk", "small.ltk", "new.ltk"),
     ("batch in/photo.png -d out -j 1", "in/photo.png", "out/photo.ltk")],
)  # fmt: skip
def test_times_are_kept_where_that_is_asked_for(place: Path, line: str, source: str, output: str) -> None:
    os.utime(source, (10**9, 10**9))
    assert run(*line.split(), "--keep-times").exit_code == 0
    assert Path(output).stat().st_mtime == 10**9
    assert run(*line.split(), "--overwrite").exit_code == 0
    assert Path(output).stat().st_mtime > 10**9


# -- the lines that we show --------------------------------------------------------------------------------------------
def shown_in(path: str) -> list[str]:
    """The command lines in a document."""
    lines = [line.strip().partition("  #")[0] for line in (ROOT / path).read_text("utf-8").splitlines()]
    return [line for line in lines if line.startswith("ltokc ")]


def shown_by(verb: str) -> list[str]:
    """The examples in the help of a command ("" for the program), what they say behind two spaces left out."""
    text = inspect.cleandoc((cli.get_command(Context(cli), verb) if verb else cli).help or "")  # type: ignore[union-attr]
    lines = text.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    return [line.strip().partition("   ")[0] for line in lines]


def words_of(line: str) -> list[str]:
    """A line's words without the program's name, patterns expanded as a shell does."""
    words = shlex.split(line)[1:]
    bare = set(line.split())  # in quotes they are the program's
    return [name for word in words for name in (sorted(glob(word)) if "*" in word and word in bare else [word])]


@pytest.fixture
def shop(here: Path, encoded: bytes) -> Path:
    """What the examples take, and nothing else."""
    for name in ("photo.jpg", "holiday/a.jpg", "holiday/deep/b.jpg", "pictures/c.jpg", "pictures/deep/d.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.open("photo.png").save(name)
    return here


def do(line: str) -> None:
    """Does an example that is no pipe; no file that was there may change."""
    before = files()
    result = run(*words_of(line))
    assert result.exit_code in (0, 3), f"{line}: {result.output}"
    after = {name: data for name, data in files().items() if name in before}
    assert after == before, line


def test_no_line_of_the_readme_harms_the_next(shop: Path) -> None:
    Path("photo.png").unlink()
    lines = [line for line in shown_in("README.md") if line.split()[1] in ("encode", "decode", "batch")]
    assert len(lines) >= 3
    for line in lines:
        do(line)


@pytest.mark.parametrize("verb", ["", "encode", "decode", "info", "trim", "tokens", "batch", "compare", "thumbnail"])
def test_no_example_of_the_help_harms_the_next(shop: Path, encoded: bytes, verb: str) -> None:
    """The examples of a command one after the other; of pipes the name behind > is new."""
    if verb not in ("", "encode", "batch"):
        Path("small").mkdir()
        for name, data in (("photo.ltk", encoded), ("small/e.ltk", encoded), ("half.ltk", encoded[:-40])):
            Path(name).write_bytes(data)
    Image.open("photo.png").save("photo.webp") if verb == "compare" else None
    if verb == "batch":
        Path("small").mkdir()
        Path("small/e.ltk").write_bytes(encoded)
    examples = shown_by(verb)
    assert examples
    for line in examples:
        if "map.ltk" in line:  # a picture of many megapixels
            continue
        if ">" in line:
            assert not os.path.lexists(line.rpartition(">")[2].strip()), line
        elif "|" not in line:
            do(line)
