"""Any bytes and any mutation: a picture or an error of ours; and the fuzzer itself notices what it is there for."""

from __future__ import annotations

import json
import random
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import ltokc
from bench.verification import fuzz, fuzz_checks, fuzz_coverage, mutate
from ltokc import codec, container
from ltokc.container.alpha import decode_alpha
from ltokc.errors import FormatError, LtokcError
from tests.support.golden_files import BAD, FAULTS, FILES, GOOD

pytest.importorskip("onnxruntime")

SMALL = [(GOOD / name).read_bytes() for name, known in FILES.items() if known["bytes"] < 400 and known["segments"] == 1]
CORPUS = sorted((Path(__file__).parents[1] / "corpus").glob("*.ltk"))
numbers = st.integers(0, 2**32 - 1)


# --- the codec -------------------------------------------------------------------------------------------------------
@given(
    st.sampled_from([b"", b"\x89LTK", b"\x89LTK\x10\x06\x11\x29", b"\x89LTK\x13\x06\x11\x29"]), st.binary(max_size=60)
)
@settings(max_examples=150, deadline=None)
def test_any_bytes(start: bytes, rest: bytes) -> None:
    fuzz_checks.check(start + rest, random.Random(0))
    fuzz_checks.check(mutate.reseal(start + rest), random.Random(0))


@given(numbers)
@settings(max_examples=120, deadline=None)
def test_any_mutation(number: int) -> None:
    rng = random.Random(number)
    fuzz_checks.check(mutate.mutated(SMALL, rng), rng)


@given(st.sampled_from(SMALL), st.data())
@settings(max_examples=60, deadline=None)
def test_any_change_of_bytes_under_good_checksums(seed: bytes, data: st.DataObject) -> None:
    changed = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    fuzz_checks.check(mutate.reseal(bytes(changed)), random.Random(0))


@given(
    st.sampled_from([b"", b"\0", b"\1", b"\1\x78\x9c", b"\2\x2f", b"\2\x2f\x31\xc0\x09\x00"]), st.binary(max_size=40)
)
@settings(max_examples=150, deadline=None)
def test_any_alpha(start: bytes, rest: bytes) -> None:
    try:
        assert decode_alpha(start + rest, 50, 40).shape == (40, 50)
    except FormatError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("path", [*CORPUS, *sorted(BAD.glob("*.ltk"))], ids=lambda path: path.stem)
def test_what_was_found_once_and_what_is_malformed(path: Path) -> None:
    for seed in range(4):
        fuzz_checks.check(path.read_bytes(), random.Random(seed))


def test_every_length_of_two_files() -> None:
    for name in ("6-tokens-7.ltk", "6-chunk-unknown.ltk", "6-depths-cut.ltk"):
        data = (GOOD / name).read_bytes()
        assert fuzz_checks.cut_everywhere(data) == len(data)


# --- the mutations ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FILES)
def test_a_draft_is_spelled_as_the_writer_does(name: str) -> None:
    data = (GOOD / name).read_bytes()
    assert mutate.draft(container.read(data)).spell() == data == mutate.reseal(data)


@pytest.mark.parametrize("name", ["stream-flipped", *(f"{what}crc-mismatch" for what in
                                  ("", "segment-", "segment-table-", "chunk-", "chunk-payload-"))])  # fmt: skip
def test_checksums_are_put_right(name: str) -> None:
    damaged = (BAD / f"{name}.ltk").read_bytes()
    with pytest.raises(FormatError, match="checksum"):
        container.read(damaged)
    container.read(mutate.reseal(damaged))


def test_mutations_get_deep() -> None:
    """Of a few hundred, many pass the container, some are refused at each later stage, and all follow from the seed."""
    outcomes = [fuzz_checks.check(*fuzz.case(SMALL, 3, number)) for number in range(250)]
    found = {outcome: outcomes.count(outcome) for outcome in outcomes}
    assert found["decoded"] > 50 and found["container: FormatError"] > 30
    assert {"container: LimitError", "tokens: FormatError", "tokens: ModelError", "cut: ok"} <= set(found)
    assert fuzz.case(SMALL, 3, 9)[0] == fuzz.case(SMALL, 3, 9)[0] != fuzz.case(SMALL, 4, 9)[0]


@given(numbers)
@settings(max_examples=60, deadline=None)
def test_reseal_takes_anything(number: int) -> None:
    data = random.Random(number).randbytes(number % 90)
    for damaged in (data, b"\x89LTK" + data):
        assert len(mutate.reseal(damaged)) == len(damaged)


# --- the fuzzer ------------------------------------------------------------------------------------------------------
def campaign(tmp_path: Path, files: int = 12) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "fuzz.json"
    result = CliRunner().invoke(fuzz.main, ["--files", str(files), "--first", "5", "--out", str(out)])
    return result.exit_code, json.loads(out.read_text())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "seeds", lambda: SMALL[:4])


@pytest.mark.usefixtures("quick")
def test_a_clean_campaign(tmp_path: Path) -> None:
    code, report = campaign(tmp_path)
    assert code == 0 and report["files"] == 12 and report["findings"] == [] and sum(report["outcomes"].values()) == 12
    assert not (tmp_path / "fuzz").exists()


def raising(error: BaseException) -> Any:
    def verb(*_: Any, **__: Any) -> None:
        raise error

    return verb


class Panic(BaseException):
    """As extensions written in Rust raise it."""


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("error", [
    ValueError("no"), MemoryError(), RecursionError(), Panic(), LtokcError("of no kind"), FormatError("two\nlines"),
])  # fmt: skip
def test_other_errors_are_found_and_their_files_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(fuzz, "warm_up", lambda corpus: None)
    monkeypatch.setattr(container, "read", raising(error))
    monkeypatch.setattr(fuzz, "case", lambda corpus, seed, number: (b"file", random.Random(0)))
    code, report = campaign(tmp_path, 2)
    assert code == 1 and [finding["case"] for finding in report["findings"]] == [5, 6]
    assert report["outcomes"] == {"FINDING": 2} and (tmp_path / "fuzz" / "5.ltk").read_bytes() == b"file"


def test_a_hang_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forever(*_: Any, **__: Any) -> None:
        while True:
            pass

    monkeypatch.setattr(fuzz, "SECONDS", 0.05)
    monkeypatch.setattr(fuzz, "WAIT", 10_000)  # other programs may have the processor for long
    monkeypatch.setattr(container, "read", forever)
    run = fuzz.Campaign(tmp_path / "out.json", {})
    run.run(0, b"file", random.Random(0))
    assert run.findings[0]["what"].startswith("Slow: SIGPROF")


def test_memory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fuzz.Campaign(tmp_path / "out.json", {})
    monkeypatch.setattr(fuzz, "memory", lambda: 1e6)
    run.run(0, SMALL[0], random.Random(0))
    run.run(1, SMALL[0], random.Random(0))  # told once
    assert [finding["what"] for finding in run.findings] == ["memory grew to 1000000 MB"]


@pytest.mark.parametrize("verb", ["tokens", "trim"])
def test_contradictions_are_found(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    data = (GOOD / "6-tokens-333.ltk").read_bytes()
    other = codec.tokens((GOOD / "6-tokens-7.ltk").read_bytes())
    wrong = {"tokens": lambda *_, **__: other, "trim": lambda *_, **__: data}
    monkeypatch.setattr(codec, verb, wrong[verb])
    with pytest.raises(fuzz_checks.Contradiction):
        for seed in range(300):
            fuzz_checks.check(data, random.Random(seed))


def test_a_second_spelling_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "write", lambda record: b"")
    with pytest.raises(fuzz_checks.Contradiction, match="second spelling"):
        fuzz_checks.check(SMALL[0], random.Random(0))


def test_fewer_tokens_of_a_longer_file_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    data, plain = (GOOD / "6-tokens-7.ltk").read_bytes(), codec.tokens
    empty = plain((GOOD / "6-depths-no-tokens.ltk").read_bytes())  # of the same size

    def forgetful(part: bytes, **options: Any) -> Any:
        return empty if len(part) == len(data) - 1 and options else plain(part, **options)

    monkeypatch.setattr(codec, "tokens", forgetful)
    with pytest.raises(fuzz_checks.Contradiction, match="fewer than before"):
        fuzz_checks.cut_everywhere(data)


def test_the_target_of_the_coverage_fuzzer() -> None:
    for name in ("bad-magic.ltk", "alpha-deflate-bomb.ltk", "crc-mismatch.ltk"):
        assert name in FAULTS
        fuzz_coverage.one((BAD / name).read_bytes())


# --- bombs -----------------------------------------------------------------------------------------------------------
def test_metadata_is_never_inflated() -> None:
    """What looks compressed in a chunk of metadata goes through as it is."""
    bomb = zlib.compress(bytes(1 << 24), 9)
    record = container.read((GOOD / "6-chunk-icc.ltk").read_bytes())
    names = (container.ICC, container.EXIF, container.XMP, container.NOTE)
    data = container.write(replace(record, chunks=tuple(container.Chunk(name, bomb) for name in names)))
    assert [size for _, size in ltokc.info(data).chunks] == [len(bomb)] * 4
    assert ltokc.decode(data).info["exif"] == bomb
