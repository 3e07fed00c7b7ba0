"""The journal of a batch: torn and damaged lines are never believed, nor is a line without its files."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltokc.errors import LtokcError
from ltokc.jobs import journal
from ltokc.jobs.journal import Busy, Entry, Journal
from ltokc.jobs.paths import Job
from ltokc.jobs.rows import Row
from ltokc.jobs.task import BatchPlan, Task, done_before

OPTIONS = journal.fingerprint({"quality": 0.6})


@pytest.fixture
def done(tmp_path: Path) -> tuple[Path, Path, Entry]:
    """A source, its output and the entry of both."""
    source, output = tmp_path / "a.png", tmp_path / "out" / "a.ltk"
    output.parent.mkdir()
    source.write_bytes(b"the source")
    output.write_bytes(b"the output")
    entry = Entry("a.ltk", OPTIONS, "a.png", 10, source.stat().st_mtime_ns, journal.digest(str(source)),
                  "a.ltk", 10, journal.digest(str(output)), {"width": 3})  # fmt: skip
    return source, output, entry


def found(entry: Entry, source: Path, options: str = OPTIONS) -> Entry | None:
    return journal.unchanged([entry], options, str(source), str(source.parent / "out"))


def test_round_trip_and_both_files_are_there(done: tuple[Path, Path, Entry]) -> None:
    source, output, entry = done
    with Journal(str(output.parent)) as book:
        journal.append(book.path, entry)
    assert journal.read_all(str(output.parent)) == {"a.ltk": [entry]}
    assert found(entry, source) == entry


def test_other_options_are_other_work(done: tuple[Path, Path, Entry]) -> None:
    source, _, entry = done
    assert found(entry, source, journal.fingerprint({"quality": 0.7})) is None


@pytest.mark.parametrize("data", [b"the outpu", b"the outpuT", b"the output.", b"", None])
def test_output_that_is_not_the_one_written(done: tuple[Path, Path, Entry], data: bytes | None) -> None:
    source, output, entry = done
    output.unlink() if data is None else output.write_bytes(data)
    assert found(entry, source) is None


def test_source_that_changed(done: tuple[Path, Path, Entry]) -> None:
    source, _, entry = done
    os.utime(source, ns=(1, 1))
    assert found(entry, source) == entry, "another time, the same bytes"
    source.write_bytes(b"the sourcE")
    assert found(entry, source) is None
    source.write_bytes(b"the source, longer")
    assert found(entry, source) is None
    source.unlink()
    assert found(entry, source) is None


@pytest.fixture
def old(done: tuple[Path, Path, Entry], monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Entry]:
    """`done`, but noted and looked at hours after the last change of the source, so that its times can be believed."""
    source, output, entry = done
    later = source.stat().st_ctime_ns + 10**13
    monkeypatch.setattr(time, "time_ns", lambda: later)
    inode, changed = journal.stamp_of(source.stat(), later)
    return source, output, replace(entry, inode=inode, status_changed=changed)


@pytest.mark.skipif(os.name != "posix", reason="no time of the last change of status here")
def test_other_bytes_of_equal_size_and_time_are_noticed(old: tuple[Path, Path, Entry]) -> None:
    source, _, entry = old
    times = source.stat().st_atime_ns, source.stat().st_mtime_ns
    assert found(entry, source) == entry
    source.write_bytes(b"the sourcE")  # in place: the same inode
    os.utime(source, ns=times)
    assert found(entry, source) is None
    other = source.with_name("other")
    other.write_bytes(b"the SOURCE")
    os.utime(other, ns=times)
    other.replace(source)
    assert found(entry, source) is None
    source.write_bytes(b"the source")
    os.utime(source, ns=times)
    assert found(entry, source) == entry, "the same bytes again"


@pytest.mark.skipif(os.name != "posix", reason="no time of the last change of status here")
def test_a_file_that_did_not_change_is_not_read_again(
    old: tuple[Path, Path, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output, entry = old
    digest, read = journal.digest, []
    monkeypatch.setattr(journal, "digest", lambda path: (read.append(path), digest(path))[1])
    assert found(entry, source) == entry
    assert read == [str(output)]


@pytest.mark.parametrize("inode", [0, 77])
def test_without_inodes_and_such_times_the_bytes_decide(done: tuple[Path, Path, Entry], inode: int) -> None:
    """Some file systems have none, or other ones after each mount; lines of earlier versions have none either."""
    source, _, entry = done
    entry = replace(entry, inode=inode, status_changed=inode)
    assert found(entry, source) == entry
    time = source.stat().st_mtime_ns
    source.write_bytes(b"the sourcE")
    os.utime(source, ns=(time, time))
    assert found(entry, source) is None


def test_the_times_of_a_file_that_just_changed_tell_nothing(done: tuple[Path, Path, Entry]) -> None:
    about = done[0].stat()
    assert journal.stamp_of(about, about.st_ctime_ns + 10**9) == (0, 0)
    believed = (about.st_ino, about.st_ctime_ns) if os.name == "posix" else (0, 0)
    assert journal.stamp_of(about, about.st_ctime_ns + 10**10) == believed
    nothing = os.stat_result([0o100600, 0, 0, 1, 0, 0, 10, 1, 1, 1])
    assert journal.stamp_of(nothing, 10**18) == (0, 0)


def test_an_entry_of_a_source_that_changed_meanwhile_is_no_proof(done: tuple[Path, Path, Entry]) -> None:
    source, output, entry = done
    changed = replace(entry, digest="")
    assert found(changed, source) is None
    assert journal.makers([changed], str(output), str(output.parent)), "but the output is the batch's own"


@pytest.mark.parametrize("data", [b"the outpuT", b"mine"])
def test_only_what_a_batch_wrote_is_its_own(done: tuple[Path, Path, Entry], data: bytes) -> None:
    _, output, entry = done
    folder = str(output.parent)
    assert journal.makers([entry], str(output), folder)
    assert not journal.makers([replace(entry, written="b.ltk")], str(output), folder)
    assert not journal.makers([], str(output), folder)
    output.write_bytes(data)
    assert not journal.makers([entry], str(output), folder)


@pytest.mark.skipif(os.name != "posix", reason="symbolic links and pipes of POSIX")
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_planted_journal_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    path = tmp_path / "out" / journal.name_of(None)
    path.parent.mkdir()
    path.symlink_to("../victim") if kind == "link" else os.mkfifo(path)
    with pytest.raises(LtokcError, match="no journal"), Journal(str(path.parent)):
        pass
    with pytest.raises(LtokcError, match="no journal"):
        journal.read_all(str(path.parent))
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_reports_are_known_by_their_bytes(tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    report.write_bytes(b"rows")
    with Journal(str(tmp_path / "out")) as book:
        assert not journal.made_report(str(tmp_path / "out"), str(report))
        journal.note_report(book.path, str(report), b"rows")
    assert journal.made_report(str(tmp_path / "out"), str(report))
    report.write_bytes(b"mine")
    assert not journal.made_report(str(tmp_path / "out"), str(report))


def test_another_source_for_the_same_output(done: tuple[Path, Path, Entry]) -> None:
    source, _, entry = done
    other = source.rename(source.with_suffix(".jpg"))
    assert found(entry, other) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    assert all(isinstance(fields, dict) for fields in journal.parse(data))


@given(st.data())
def test_a_torn_or_damaged_line_is_none_and_the_others_stay(data: st.DataObject) -> None:
    lines = [journal.line_of({"n": n, "text": "é\n" * n}) for n in range(4)]
    hurt = data.draw(st.integers(0, 3))
    cut = data.draw(st.integers(0, len(lines[hurt]) - 2))
    change = data.draw(st.integers(1, 255))
    torn = lines[hurt][:cut] + b"\n"
    assert [f["n"] for f in journal.parse(b"".join(lines[:hurt] + [torn] + lines[hurt + 1 :]))] == [
        n for n in range(4) if n != hurt
    ]
    damaged = bytearray(lines[hurt])
    damaged[cut] ^= change
    assert hurt not in [f.get("n") for f in journal.parse(bytes(damaged))]


FIELDS = [*asdict(Entry("", "", "", 0, 0, "", "", 0, "")), "other"]
VALUES = st.one_of(st.none(), st.integers(), st.text(), st.dictionaries(st.text(), st.integers()))


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_lines_of_other_shapes_are_no_entries(fields: dict) -> None:
    entry = journal.entry_of(fields)
    assert entry is None or asdict(entry) == {"row": {}, **fields}


def test_a_new_line_is_not_glued_to_a_stump(done: tuple[Path, Path, Entry]) -> None:
    _, output, entry = done
    path = output.parent / journal.name_of(None)
    path.write_bytes(journal.line_of(asdict(entry))[:-20])
    with Journal(str(output.parent)) as book:
        journal.append(book.path, replace(entry, target="b.ltk"))
    assert list(journal.read_all(str(output.parent))) == ["b.ltk"]


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_one_run_at_a_time_but_for_shards(tmp_path: Path) -> None:
    with Journal(str(tmp_path)):
        with pytest.raises(Busy, match="another batch"), Journal(str(tmp_path)):
            pass
        with Journal(str(tmp_path), (1, 2)), Journal(str(tmp_path), (2, 2)):
            pass
    with Journal(str(tmp_path)):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_only_temporary_files_of_dead_runs_of_this_journal_go(tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as dead, Journal(str(tmp_path), (1, 2)) as alive:
        marks = dead.mark, alive.mark
    names = [f".a.ltk.{mark}0123456789ab.tmp" for mark in marks] + [".a.ltk.0123456789ab.tmp", f"{marks[0]}.ltk"]
    with Journal(str(tmp_path), (1, 2)), Journal(str(tmp_path)) as book:
        own = f".a.ltk.{book.mark}0123456789ab.tmp"
        for name in [*names, own]:
            (tmp_path / name).touch()
        assert book.clean([str(tmp_path), str(tmp_path / "missing")]) == 1
    left = {p.name for p in tmp_path.iterdir() if "journal" not in p.name}
    assert left == {*names[1:], own}


ROW = asdict(Row("a.png", "a.ltk", "done", 3, 2, 10, 10, 1.5, 4, "m", 0.1))
WRONG = [("width", "3"), ("width", True), ("output_bytes", -1), ("bpp", float("nan")), ("bpp", float("inf")),
         ("tokens", 10**400), ("notes", None), ("seconds", []), ("input", 1), ("more", 1)]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_row_of_other_types_is_work_to_be_done(done: tuple[Path, Path, Entry], name: str, value: object) -> None:
    """The checksum of a line is right, its fields are not: a journal may come from anywhere."""
    source, output, entry = done
    plan = BatchPlan(len, OPTIONS, str(output.parent))  # type: ignore[arg-type]
    job = Job(str(source), str(output))
    good = done_before(plan, Task(job, (replace(entry, row=ROW),)))
    assert good is not None and (good.status, good.width) == ("unchanged", 3)
    assert done_before(plan, Task(job, (replace(entry, row={**ROW, name: value}),))) is None


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.ltk", "b/../../a.ltk", "a\0b"])
def test_an_output_outside_of_the_folder_is_no_entry(done: tuple[Path, Path, Entry], name: str) -> None:
    assert journal.entry_of(asdict(done[2])) == done[2]
    assert journal.entry_of(asdict(replace(done[2], written=name))) is None


@pytest.mark.parametrize("name", ["C:a.ltk", "\\\\host\\a.ltk", "a\\..\\b.ltk"])
def test_drives_and_backslashes_are_letters_but_on_windows(
    done: tuple[Path, Path, Entry], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(done[2], written=name)
    with monkeypatch.context() as windows:
        windows.setattr("ltokc.jobs.journal.os.name", "nt")
        there = journal.entry_of(asdict(entry))
    assert there is None
    if os.name != "nt":
        assert journal.entry_of(asdict(entry)) == entry


def test_names_that_no_file_system_has(done: tuple[Path, Path, Entry]) -> None:
    source, _, entry = done
    assert found(replace(entry, written="\ud800.ltk"), source) is None
