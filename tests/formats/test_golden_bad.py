"""formats/golden/bad: every fault has its error, of one line and the right kind, and costs nothing to find."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

import ltokc
from ltokc.errors import FormatError, LimitError, ModelError
from ltokc.zoo import registry
from ltokc.zoo.model import open_model
from tests.support.cli_runner import program, run
from tests.support.golden_files import BAD, FAULTS
from tests.support.independent_reader import Refused, Weights, read

KINDS = {"FormatError": FormatError, "LimitError": LimitError, "ModelError": ModelError}
every_fault = pytest.mark.parametrize("name", FAULTS)


def test_the_manifest_lists_every_file_and_no_other() -> None:
    assert {path.name for path in BAD.glob("*.ltk")} == set(FAULTS)
    assert sum(path.stat().st_size for path in BAD.iterdir()) < 150_000
    assert all((BAD / name).stat().st_size == known["bytes"] for name, known in FAULTS.items())


@every_fault
def test_each_gives_its_error(name: str) -> None:
    known, data = FAULTS[name], (BAD / name).read_bytes()
    with pytest.raises(KINDS[known["kind"]]) as raised:
        getattr(ltokc, known["verb"])(data)
    assert str(raised.value).startswith(known["error"]) and "\n" not in str(raised.value)


@every_fault
def test_no_verb_fails_in_another_way(name: str) -> None:
    data = (BAD / name).read_bytes()
    for verb in (
        ltokc.info,
        ltokc.verify,
        ltokc.tokens,
        lambda d: ltokc.trim(d, tokens=1),
        lambda d: ltokc.tokens(d, allow_truncated=True),
    ):
        try:
            verb(data)
        except (FormatError, LimitError, ModelError) as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("name", [name for name in FAULTS if "bomb" in name or "beyond" in name or "overrun" in name])
def test_limits_come_before_allocations(name: str) -> None:
    data = (BAD / name).read_bytes()
    assert open_model(6).prior  # the weights are not the file's doing
    tracemalloc.start()
    try:
        with pytest.raises(ltokc.LtokcError):
            ltokc.verify(data)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@every_fault
def test_the_independent_reader_refuses(name: str) -> None:
    """All but what only an encoder can see: another stream of the same tokens."""
    if name == "verify-stream-not-shortest.ltk":
        pytest.skip("its tokens are good")
    weights = Weights(registry.folder(registry.find(6)) / "model.safetensors")
    with pytest.raises(Refused) as refused:
        read((BAD / name).read_bytes(), weights)
    assert (str(refused.value) == "model or weights") == (name in ("model-unknown.ltk", "weights-mismatch.ltk"))


@pytest.mark.parametrize(
    "name",
    [
        "bad-magic",
        "crc-mismatch",
        "unknown-critical-chunk",
        "pixels-beyond-limit",
        "model-unknown",
        "alpha-deflate-bomb",
    ],
)
def test_the_command_says_one_line_and_fails(name: str, tmp_path: Path) -> None:
    source, target = BAD / f"{name}.ltk", tmp_path / "out.png"
    result = run("decode", str(source), "-o", str(target))
    assert (result.exit_code, result.stdout, target.exists()) == (1, "", False)
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"ltokc: {source}: {FAULTS[f'{name}.ltk']['error']}")


def test_the_program_says_one_line_and_fails() -> None:
    done = program("verify", str(BAD / "verify-stream-not-shortest.ltk"))
    assert done.returncode == 1 and done.stdout == b"" and done.stderr.count(b"\n") == 1
