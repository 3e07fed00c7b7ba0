"""`ltokc batch` on real pictures and files, with the default model, in this process unless a test says otherwise."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from ltokc.jobs import journal
from tests.support.cli_runner import ENVIRONMENT, names, run
from tests.support.pictures import grainy

JOURNAL = "out/.ltokc-batch.journal"
USAGE = [
    (["in"], "Missing option '-d'"),
    (["in", "-d", "photo.png"], "is not a folder"),
    (["in", "-d", "out", "--shard", "3/2"], "is not I/N"),
    (["in", "-d", "out", "--shard", "0/2"], "is not I/N"),
    (["in", "-d", "out", "-q", "0.5", "--tokens", "9"], "one rate control at a time"),
    (["in", "-d", "out", "-q", "60"], "did you mean 0.6?"),
    (["in", "-d", "out", "--strict"], "--strict goes with"),
    (["in", "-d", "out", "--report", "r.txt"], "the suffix says the kind"),
    (["in", "-d", "out", "--format", "png"], "--format is for decoding"),
    (["in", "-d", "out", "--decode", "-q", "0.5"], "--quality is for encoding"),
    (["in", "-d", "out", "--decode", "--keep-smaller"], "--keep-smaller is for encoding"),
    (["-", "-d", "out"], "standard input has no name for a file in -d; encode and decode give it one with -o"),
]


@pytest.fixture
def tree(here: Path) -> Path:
    """in/a.png, in/sub/b.png (small) and in/sub/bad.png, which is no picture."""
    Path("in/sub").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "sub/b.png")):
        Image.fromarray(grainy(40, 30 + seed, seed)).save(f"in/{name}")
    shutil.copy("text.png", "in/sub/bad.png")
    return here


def batch(*args: str, jobs: str = "1") -> Result:
    return run("batch", *args, "-j", jobs)


def outputs(folder: str = "out") -> dict[str, bytes]:
    """Everything below a folder but the journals."""
    files = (p for p in Path(folder).rglob("*") if p.is_file() and not journal.NAME.fullmatch(p.name))
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.mark.parametrize(("args", "text"), USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_usage_errors(tree: Path, args: list[str], text: str) -> None:
    before = names()
    result = run("batch", *args)
    assert result.exit_code == 2, result.output
    assert text in result.stderr
    assert names() == before


def test_tree_is_encoded_and_a_failure_is_named_at_the_end(tree: Path) -> None:
    result = batch("-r", "in", "-d", "out", "-q", "0.3")
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("ltokc: in/sub/bad.png: ")
    assert lines[1] == "ltokc: failed: in/sub/bad.png"
    assert lines[-1] == "2 done, 1 failed"
    run("encode", "in/a.png", "-q", "0.3", "-o", "alone.ltk")
    assert outputs() == {"a.ltk": Path("alone.ltk").read_bytes(), "sub/b.ltk": Path("out/sub/b.ltk").read_bytes()}
    assert not list(Path("out").rglob("*.tmp"))


def test_decoding_gives_what_decode_gives(tree: Path) -> None:
    os.unlink("in/sub/bad.png")
    assert batch("-r", "in", "-d", "out").exit_code == 0
    assert batch("--decode", "-r", "out", "-d", "back", "-f", "webp").exit_code == 0
    assert run("decode", "out/sub/b.ltk", "-o", "b.webp").exit_code == 0
    assert set(outputs("back")) == {"a.webp", "sub/b.webp"}
    assert outputs("back")["sub/b.webp"] == Path("b.webp").read_bytes()
    result = batch("-r", "out", "-d", "other")
    assert (result.exit_code, result.stderr) == (
        3, "no pictures, but .ltk files: did you mean --decode?\nleft out: 2 .ltk files\nnothing to do\n",
    )  # fmt: skip


def test_reports(tree: Path) -> None:
    assert (
        batch("-r", "in", "-d", "out", "--report", "r.csv", "--report", "to/r.json", "--metadata", "all").exit_code == 1
    )
    rows = list(csv.DictReader(Path("r.csv").open(newline="")))
    assert [(row["input"], row["status"]) for row in rows] == [
        ("in/a.png", "done"), ("in/sub/b.png", "done"), ("in/sub/bad.png", "failed"),
    ]  # fmt: skip
    first = rows[0]
    assert (first["output"], first["width"], first["height"]) == ("out/a.ltk", "40", "30")
    assert int(first["input_bytes"]) == Path("in/a.png").stat().st_size
    assert int(first["output_bytes"]) == Path("out/a.ltk").stat().st_size
    assert "not a picture" in rows[2]["error"]
    report = json.loads(Path("to/r.json").read_text())
    assert (report["totals"]["done"], report["totals"]["failed"], report["totals"]["pixels"]) == (
        2,
        1,
        40 * 30 + 40 * 31,
    )
    assert [str(row["width"] or "") for row in report["pictures"]] == [row["width"] for row in rows]


def test_json_has_every_picture(tree: Path) -> None:
    result = batch("-r", "in", "-d", "out", "--json", jobs="2")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {(row["input"], row["status"]) for row in rows} == {
        ("in/a.png", "done"), ("in/sub/b.png", "done"), ("in/sub/bad.png", "failed"),
    }  # fmt: skip


def test_dry_run_writes_nothing(tree: Path) -> None:
    before = names()
    result = batch("-r", "in", "-d", "out", "--dry-run", "--report", "r.csv")
    assert result.exit_code == 0
    said = result.stderr.splitlines()
    assert "in/sub/b.png -> out/sub/b.ltk" in said
    assert "3 would be done" in said and not any(line.startswith("3 done") for line in said)
    assert names() == before and not Path("out").exists()
    os.unlink("in/sub/bad.png")
    batch("-r", "in", "-d", "out")
    assert batch("-r", "in", "-d", "out", "--dry-run", "--resume").exit_code == 0


def test_resume_does_what_changed_and_nothing_else(tree: Path) -> None:
    resume = ("-r", "in", "-d", "out", "--resume", "--report", "r.json")

    def again(*args: str) -> dict[str, str]:
        batch(*resume, *args)
        return {row["input"]: row["status"] for row in json.loads(Path("r.json").read_text())["pictures"]}

    a, b, bad = "in/a.png", "in/sub/b.png", "in/sub/bad.png"
    assert again("-q", "0.3") == {a: "done", b: "done", bad: "failed"}
    first = outputs()
    assert again("-q", "0.3") == {a: "unchanged", b: "unchanged", bad: "failed"}
    rows = json.loads(Path("r.json").read_text())["pictures"]
    assert rows[0]["width"] == 40 and rows[0]["output_bytes"] == len(first["a.ltk"]), "the report is whole all the same"
    assert again("-q", "0.4") == {a: "done", b: "done", bad: "failed"}
    assert again("-q", "0.3", "--resume", "--device", "cpu") == {a: "done", b: "done", bad: "failed"}
    assert outputs() == first
    shutil.copy(a, bad)
    Path("out/sub/b.ltk").write_bytes(first["sub/b.ltk"][:-1])
    assert again("-q", "0.3") == {a: "unchanged", b: "failed", bad: "done"}, "no batch wrote that"
    assert outputs()["sub/b.ltk"] == first["sub/b.ltk"][:-1]
    assert again("-q", "0.3", "--overwrite") == {a: "unchanged", b: "done", bad: "unchanged"}
    assert outputs()["sub/b.ltk"] == first["sub/b.ltk"]
    Path("out/a.ltk").unlink()
    assert again("-q", "0.3") == {a: "done", b: "unchanged", bad: "unchanged"}
    result = batch(*resume, "-q", "0.3")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, "nothing to do")


def test_without_a_journal_nothing_is_believed(tree: Path) -> None:
    batch("in/a.png", "-d", "out")
    Path(JOURNAL).unlink()
    refused = batch("in/a.png", "-d", "out", "--resume")
    assert refused.exit_code == 1
    assert "out/a.ltk exists; --overwrite replaces it, no batch before has written it" in refused.stderr
    assert batch("in/a.png", "-d", "out", "--resume", "--overwrite").exit_code == 0


def test_resume_replaces_what_a_batch_wrote_and_nothing_else(tree: Path) -> None:
    os.unlink("in/sub/bad.png")
    assert batch("-r", "in", "-d", "out", "-q", "0.3", "--report", "r.csv").exit_code == 0
    first = outputs()
    assert batch("-r", "in", "-d", "out", "-q", "0.4").exit_code == 1, "without --resume"
    assert outputs() == first
    Path("out/sub/b.ltk").write_bytes(b"mine")
    resumed = batch("-r", "in", "-d", "out", "-q", "0.4", "--resume", "--report", "r.csv")
    assert resumed.exit_code == 1 and "out/sub/b.ltk exists; --overwrite" in resumed.stderr
    assert outputs()["a.ltk"] != first["a.ltk"] and outputs()["sub/b.ltk"] == b"mine"
    Path("r.csv").write_bytes(b"mine")
    before = outputs()
    refused = batch("-r", "in", "-d", "out", "-q", "0.3", "--resume", "--report", "r.csv")
    assert refused.exit_code == 1 and "r.csv exists; --overwrite replaces it" in refused.stderr
    assert Path("r.csv").read_bytes() == b"mine" and outputs() == before, "told before any work"


@pytest.mark.skipif(os.name == "nt", reason="no name has these letters there")
def test_resume_knows_names_with_a_backslash_and_a_colon(here: Path) -> None:
    for name in ("a\\b", "c\\..\\d:1"):
        shutil.copy("photo.png", f"folder/{name}.png")
    assert batch("folder", "-d", "out", "-e", "0").exit_code == 0
    again = batch("folder", "-d", "out", "-e", "0", "--resume", "-v")
    assert again.exit_code == 0 and again.stderr.count("unchanged") + again.stderr.count("done before") == 2
    assert batch("folder", "-d", "out", "-e", "0", "-q", "0.3", "--resume").exit_code == 0, "and may replace them"


def test_resume_notices_other_bytes_of_equal_size_and_time(tree: Path) -> None:
    assert batch("in/a.png", "-d", "out").exit_code == 0
    first, size, times = outputs(), Path("in/a.png").stat().st_size, Path("in/a.png").stat()
    Image.fromarray(grainy(40, 30, 7)).save("in/a.png", compress_level=9)
    data = Path("in/a.png").read_bytes()
    Path("in/a.png").write_bytes((data + b"\0" * max(0, size - len(data)))[: max(size, len(data))])
    if Path("in/a.png").stat().st_size != size:  # bytes after the end of a PNG are nothing
        Image.fromarray(grainy(40, 30, 7)[:, :20]).resize((40, 30)).save("in/a.png")
        Path("in/a.png").write_bytes(Path("in/a.png").read_bytes().ljust(size, b"\0"))
    os.utime("in/a.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (Path("in/a.png").stat().st_size, Path("in/a.png").stat().st_mtime_ns) == (size, times.st_mtime_ns)
    assert batch("in/a.png", "-d", "out", "--resume").exit_code == 0
    assert outputs() != first


def test_no_clobber(tree: Path) -> None:
    Path("out").mkdir()
    Path("out/a.ltk").write_bytes(b"mine")
    assert batch("in/*.png", "-d", "out", "-n", "--report", "r.json").exit_code == 3
    (row,) = json.loads(Path("r.json").read_text())["pictures"]
    assert (row["status"], row["notes"]) == ("skipped", "out/a.ltk exists")
    assert outputs() == {"a.ltk": b"mine"}
    assert not Path(JOURNAL).exists()


def small_png(path: str) -> None:
    """A picture that is small as a PNG and large as tokens: one square of noise, repeated, one bit per pixel."""
    noise = np.random.default_rng(0).integers(0, 2, (16, 16)) * 255
    Image.fromarray(np.tile(noise, (8, 8)).astype(np.uint8)).convert("1").save(path, optimize=True)


def test_keep_smaller_copies_what_would_grow(tree: Path) -> None:
    os.unlink("in/sub/bad.png")
    small_png("in/sub/small.png")
    arguments = ("-r", "in", "-d", "out", "-q", "0.9", "--patches", "off", "--report", "r.json")
    assert batch(*arguments).exit_code == 0
    assert len(outputs()["sub/small.ltk"]) > Path("in/sub/small.png").stat().st_size
    shutil.rmtree("out")
    assert batch(*arguments, "--keep-smaller", "--overwrite").exit_code == 0
    assert set(outputs()) == {"a.ltk", "sub/b.ltk", "sub/small.png"}
    rows = json.loads(Path("r.json").read_text())["pictures"]
    assert [row["status"] for row in rows] == ["done", "done", "copied"]
    assert all(row["output_bytes"] <= row["input_bytes"] for row in rows)


def test_keep_smaller_copy_is_the_source_and_is_resumed(here: Path) -> None:
    Path("in").mkdir()
    small_png("in/small.png")
    arguments = ("-r", "in", "--keep-smaller", "-q", "1", "--patches", "off", "-d")
    assert batch(*arguments, "out").exit_code == 0
    assert outputs() == {"small.png": Path("in/small.png").read_bytes()}
    assert batch(*arguments, "out", "--resume").exit_code == 0
    assert batch(*arguments, "out", "-n").exit_code == 3
    Path("out/small.png").write_bytes(b"hurt")
    assert batch(*arguments, "out", "--resume").exit_code == 1
    assert outputs() == {"small.png": b"hurt"}
    assert batch(*arguments, "out", "--resume", "--overwrite").exit_code == 0
    assert outputs() == {"small.png": Path("in/small.png").read_bytes()}
    before = names() | {"in/.ltokc-batch.journal"}
    assert batch(*arguments, "in", "--json").exit_code == 0, "into the folder itself: the source is there already"
    assert names() == before


def test_a_name_that_a_copy_did_not_take_is_not_called_an_output(here: Path) -> None:
    """in/small.gif is copied, so that no out/small.ltk is there when small.png is refused."""
    Path("in").mkdir()
    small_png("in/small.png")
    shutil.copy("in/small.png", "in/small.gif")  # its bytes tell what it is
    result = batch("in", "-d", "out", "--keep-smaller", "-q", "1", "--patches", "off")
    assert result.exit_code == 1 and set(outputs()) == {"small.gif"}
    assert "in/small.png: out/small.ltk is already meant for in/small.gif; --keep-suffix keeps both" in result.stderr


def test_shards_are_a_stable_partition(tree: Path) -> None:
    for n in range(12):
        shutil.copy("in/a.png", f"in/sub/{n}.png")

    def shard(i: int) -> set[str]:
        result = batch("-r", "in", "-d", "out", "--dry-run", "--json", "--shard", f"{i}/3")
        return {json.loads(line)["output"] for line in result.stdout.splitlines()}

    parts = [shard(i) for i in (1, 2, 3)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 15
    assert sum(map(bool, parts)) > 1
    shutil.rmtree("in/sub")
    assert all(shard(i + 1) <= part for i, part in enumerate(parts)), "others in the tree change nothing"


@pytest.mark.parametrize(
    ("args", "said"),
    [(["in", "-d", "out"], "pictures"), (["--decode", "in/done", "-d", "out", "--dry-run"], ".ltk files")],
    ids=["encode", "decode"],
)
def test_a_shard_without_a_picture_is_done(tree: Path, encoded: bytes, args: list[str], said: str) -> None:
    Path("in/done").mkdir()
    for name in ("done/a", "done/b", "c"):
        Path(f"in/{name}.ltk").write_bytes(encoded)
    Image.open("in/a.png").save("in/b.png")
    found = [batch(*args, "--shard", f"{i}/40") for i in range(1, 41)]
    none = [i for i, result in enumerate(found, 1) if "nothing to do" in result.stderr]
    assert len(none) >= 38
    for i in none:
        assert found[i - 1].exit_code == 0
        assert f"nothing to do: shard {i}/40 has none of 2 {said}" in found[i - 1].stderr
        assert "did you mean" not in found[i - 1].stderr
    assert run("batch", "in/done", "-d", "out", "--shard", "1/40").exit_code == 3, "no shard has one"


def test_resume_knows_the_work_of_shards(tree: Path) -> None:
    os.unlink("in/sub/bad.png")
    for i in ("1/2", "2/2"):
        assert batch("-r", "in", "-d", "out", "--shard", i).exit_code in (0, 3)
    assert batch("-r", "in", "-d", "out", "--resume").exit_code == 0


def test_light_until_there_is_work(tree: Path) -> None:
    batch("in/a.png", "-d", "out")
    code = (
        "import sys\n"
        "from ltokc.cli import cli\n"
        "try:\n    cli(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "sys.exit(str({'torch', 'onnxruntime', 'PIL', 'numpy', 'tqdm'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, "batch", "in/a.png", "-d", "out", "--resume"]
    done = subprocess.run(command, env=ENVIRONMENT, timeout=60, capture_output=True, check=False, text=True)
    assert done.stderr.splitlines()[-1] == "set()"


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_terminal_gets_whole_lines(tree: Path) -> None:
    import fcntl
    import termios

    master, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))
    command = [sys.executable, "-m", "ltokc", "batch", "-r", "in", "-d", "out", "-j", "1"]
    with os.fdopen(terminal, "wb") as stderr:
        done = subprocess.run(command, env=ENVIRONMENT, stderr=stderr, stdout=subprocess.PIPE, timeout=60, check=False)
    said = os.read(master, 1 << 16).decode()
    os.close(master)
    assert (done.returncode, done.stdout) == (1, b"")
    assert " MP/s, " in said and " -> " in said
    assert any(part.startswith("ltokc: in/sub/bad.png: ") for part in said.replace("\n", "\r").split("\r"))


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
def test_killed_at_any_moment_and_resumed_gives_the_same_bytes(here: Path) -> None:
    """kill -9 of the whole group after every output that appears; no half file on the way, equal bytes in the end."""
    Path("in/sub").mkdir(parents=True)
    for n in range(4):
        Image.fromarray(grainy(64, 48, n)).save(f"in/{'sub/' * (n % 2)}{n}.png")
    assert batch("-r", "in", "-d", "whole", "-q", "0.3").exit_code == 0
    expected = outputs("whole")
    command = [sys.executable, "-m", "ltokc", "batch", "-r", "in", "-d", "out", "-q", "0.3", "-j", "2", "--resume"]
    for wanted in (1, 3):
        process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL, start_new_session=True)
        limit = time.monotonic() + 60
        while process.poll() is None and len(list(Path("out").rglob("*.ltk"))) < wanted:
            assert time.monotonic() < limit
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        found = {name: data for name, data in outputs().items() if not name.endswith(".tmp")}
        assert all(expected[name] == data for name, data in found.items())
        assert len(found) >= wanted
    Path("out/sub").mkdir(exist_ok=True)
    (run_mark,) = {f["run"] for f in list(journal.parse(Path(JOURNAL).read_bytes()))[:1]}
    Path(f"out/sub/.1.ltk.{run_mark}0123456789ab.tmp").write_bytes(b"half")  # as a kill inside a write leaves it
    before = {entry.target for entries in journal.read_all("out").values() for entry in entries}
    result = batch("-r", "in", "-d", "out", "-q", "0.3", "--resume", "--json")
    statuses = {Path(row["input"]).stem: row["status"] for row in map(json.loads, result.stdout.splitlines())}
    assert all(statuses[Path(name).stem] == "unchanged" for name in before)
    assert outputs() == expected
    again = batch("-r", "in", "-d", "out", "-q", "0.3", "--resume")
    assert again.exit_code == 0


def test_a_report_that_cannot_be_written_is_said_before_any_work(here: Path) -> None:
    Path("locked").mkdir()
    for report, why in (("photo.png/r.csv", "is no folder"), ("a/../photo.png/b/r.json", "is no folder"),
                        ("locked/r.csv", "is a folder")):  # fmt: skip
        if report == "locked/r.csv":
            Path(report).mkdir()
        for words in ((), ("--dry-run",)):
            result = batch("photo.png", "-d", "out", "--report", report, *words)
            assert result.exit_code == 1 and f"--report {report}: cannot be written" in result.stderr
            assert why in result.stderr and not Path("out").exists()
    result = run("compare", "photo.png", "photo.png", "--html", "photo.png/a.html")
    assert result.exit_code == 1 and "photo.png/a.html: cannot be written" in result.stderr


def test_a_report_that_fails_in_the_end_leaves_the_sums(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy("photo.png", "folder/b.png")

    def full(path: str, *_: object) -> None:
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr("ltokc.cli.batch_tables.journal.note_report", full)
    result = run("batch", "photo.png", "folder", "-d", "out", "-e", "0", "-j", "1", "--report", "r.csv")
    assert result.exit_code == 1 and "--report: " in result.stderr and "No space left" in result.stderr
    assert "2 done" in result.stderr.splitlines() and outputs().keys() == {"photo.ltk", "folder/b.ltk"}
