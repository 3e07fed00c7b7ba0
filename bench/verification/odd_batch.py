"""A folder of odd pictures through `ltokc batch` and back, as users do it: what became of each, and was it said.

    python -m bench odd-batch FOLDER --only bench/verification/odd_batch_files.txt --out odd-batch.json

FOLDER holds test pictures of other projects, which stay where they are.  With --only those files alone are taken that a
list names: the one in this folder names 200, of checkouts Pillow, image-png, image-tiff (both of image-rs), libavif and
pngsuite (of lunapaint), side by side in FOLDER.  Both ways are real processes.  Of each file:

    kept       encoded and decoded to a picture of its size, with nothing to say
    converted  the same, with a note of what was changed (colour, bits)
    dropped    the same, and a word without -v says what is not kept (frames, resolution)
    refused    one line says why
    left out   no picture known here: named with -v, counted without
    silent     none of these: no row and no word, or a loss that nothing tells of
    crashed    an error that is not the program's own, or an output that does not decode

What a file has to lose is read from its bytes (`bench.verification.odd_files`), not asked of the program.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

import click

from bench.common.record import model_name, write_report
from bench.verification.odd_files import at_stake

OUTCOMES = ("kept", "converted", "dropped", "refused", "left out", "silent", "crashed")
GREW = "the .ltk file is larger than its source"  # said, and nothing is lost
WORDS = {"frames": ("frame", "page"), "bits": ("bit",), "colour": ("colour", "profile", "gamma", "PQ", "HLG")}


def ltokc(*words: str) -> str:
    """Runs the program; what it says on stderr."""
    command = [sys.executable, "-m", "ltokc", *words]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stderr


def became_of(path: Path, row: dict[str, Any] | None, back: Path | None, said: str) -> tuple[str, str]:
    """The outcome of a file and its words.  back: the picture decoded, if there is one; said: all of stderr."""
    if row is None:
        return ("left out", "") if f"{path}: left out" in said else ("silent", "no row, no word")
    if row["status"] == "failed":
        error = row["error"]
        return ("crashed", error) if not error or "internal error" in error else ("refused", error)
    if back is None or not _has_size(back, (row["width"], row["height"])):
        return "crashed", "does not come back in its size"
    losses = "; ".join(loss for loss in row["losses"].split("; ") if loss and not loss.startswith(GREW))
    told = "; ".join(filter(None, (row["notes"], losses)))
    stake = at_stake(path.read_bytes())
    stake["colour"] = stake.get("colour", False) and not _has_profile(back)
    lost = [kind for kind, any_ in stake.items() if any_ and not _said(kind, told)]
    if lost:
        return "silent", ", ".join(lost)
    return ("dropped" if losses else "converted" if row["notes"] else "kept"), told


def _said(kind: str, told: str) -> bool:
    return any(word in told for word in WORDS[kind])


def _has_size(path: Path, size: tuple[int, int]) -> bool:
    from PIL import Image

    with Image.open(path) as image:
        return image.size == size


def _has_profile(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as image:
        return bool(image.info.get("icc_profile"))


def report_of(folder: Path, rows: list[dict[str, Any]], said: str, back: Path) -> dict[str, Any]:
    """Outcomes of all files.  rows: of `batch --report`; said: its stderr; back: the folder of the decoded pictures."""
    by_input, found = {row["input"]: row for row in rows}, []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        inside = path.relative_to(folder)
        names = (inside, Path(f"{inside}.png"))  # photo.png.ltk comes back as photo.png, photo.jpg.ltk as photo.jpg.png
        picture = next((back / name for name in names if (back / name).is_file()), None)
        found.append((str(inside), *became_of(path, by_input.get(str(path)), picture, said)))
    counts = Counter(what for _, what, _ in found)
    return {
        "files": len(found), "outcomes": {what: counts[what] for what in OUTCOMES},
        "said_at_the_end": said.splitlines()[-1].replace(str(folder), folder.name),
        "refused_for": dict(Counter(words[:70] for _, what, words in found if what == "refused").most_common(20)),
        "dropped": dict(Counter(words[:70] for _, what, words in found if what == "dropped").most_common(20)),
        "bad": [{"file": name, what: words} for name, what, words in found if what in ("silent", "crashed")],
    }  # fmt: skip


def selected(folder: Path, names: list[str], into: Path) -> Path:
    """A folder in `into` with copies of these files of `folder`, named as it.  Raises UsageError."""
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise click.UsageError(f"{len(missing)} files of the list are not in {folder}, the first of them {missing[0]}")
    copies = into / folder.resolve().name
    for name in names:
        (copies / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, copies / name)
    return copies


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", type=click.File(), help="List of files to take, a path inside FOLDER on each line.")
@click.option("--out", type=click.Path(path_type=Path), help="File of the record of counts.")
@click.option("-j", "--jobs", default=1, show_default=True, help="Pictures that `batch` works on at a time.")
def main(folder: Path, only: TextIO | None, out: Path | None, jobs: int) -> None:
    """Encode and decode all in FOLDER; see the module's docstring."""
    with tempfile.TemporaryDirectory() as work:
        if only is not None:
            folder = selected(folder, only.read().splitlines(), Path(work, "selection"))
        packed, back, table = (str(Path(work, name)) for name in ("packed", "back", "rows.json"))
        said = ltokc("batch", "-r", str(folder), "-d", packed, "--keep-suffix", "-v", "-e", "0", "--metadata", "all",
                     "-j", str(jobs), "--report", table)  # fmt: skip
        ltokc("batch", "--decode", "-r", packed, "-d", back, "-v", "-j", str(jobs))
        rows = json.loads(Path(table).read_text())["pictures"]
        report = report_of(folder, rows, said, Path(back))
    print(json.dumps(report, indent=1))
    if out is not None:
        write_report(model_name(), report, out)
    sys.exit(bool(report["bad"]))


if __name__ == "__main__":
    main()
