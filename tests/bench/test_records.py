"""Records of benchmarks: each names model, commit and machine, and one place writes them."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from bench.common import options
from bench.common.record import environment, model_name, write_report
from ltokc.errors import UsageError

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
RECORDS = sorted(BENCH.glob("results/*.json"))


def has_the_three(record: dict[str, Any]) -> bool:
    machine = record["machine"]
    return (
        (record["model"] is None or bool(re.fullmatch(r"[a-z]+-\d+", record["model"])))
        and bool(re.fullmatch(r"[0-9a-f]{40}(\+changes)?", record["commit"]))
        and all(machine[key] for key in ("system", "architecture", "processor", "cores"))
    )


def test_there_are_records() -> None:
    assert len(RECORDS) > 20


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_names_model_commit_and_machine(path: Path) -> None:
    record = json.loads(path.read_text("utf-8"))
    assert has_the_three(record)
    if record["model"] is None:  # no packed model took part: rivals, networks trained for the benchmark, files read
        codecs = {row["codec"] for row in record.get("rows", ())}
        assert "ltokc" not in codecs and (codecs or "variants" in record or "folders" in record)
    assert set(record.get("recorded_afterwards", ())) <= {"model"}


def test_averages_name_the_model_of_their_rows() -> None:
    for path in RECORDS:
        record = json.loads(path.read_text("utf-8"))
        if path.stem.startswith("per-picture"):
            models = {json.loads((path.parent / name).read_text("utf-8"))["model"] for name in record["files"]}
            assert models - {None} == {record["model"]}


def test_what_is_written_has_the_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "record.json"
    write_report(model_name(), {"seconds": 1.5}, out)
    record = json.loads(out.read_text())
    assert has_the_three(record) and record["model"] == model_name() and record["seconds"] == 1.5
    assert record == {**environment(model_name()), "seconds": 1.5} and record["versions"]["python"]
    with pytest.raises(ValueError, match="JSON"):
        write_report(None, {"seconds": float("inf")}, out)
    assert json.loads(out.read_text()) == record  # whole or not at all
    write_report(None, {}, None)
    assert json.loads(capsys.readouterr().out)["model"] is None


def test_one_place_writes_records() -> None:
    for path in BENCH.rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        named = [node.func.id for node in calls if isinstance(node.func, ast.Name)]
        assert "environment" not in named or path.name in ("record.py", "rate_distortion.py", "realism.py"), path


def test_an_option_that_two_benchmarks_have_is_written_once() -> None:
    """Of one name there may be several with meanings of their own."""
    written: list[tuple[str, str]] = []
    for path in BENCH.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "click.option":
                text = next((ast.unparse(word.value) for word in node.keywords if word.arg == "help"), "")
                names = [ast.literal_eval(each) for each in node.args]
                written.append((next(name for name in names if name.startswith("--")), text))
    assert [option for option, n in Counter(written).items() if n > 1] == []
    times = Counter(name for name, _ in written)
    shared = ("--images", "--image", "--model", "--lpips", "--shards", "--cache", "--efforts", "--quality", "--repeats")
    assert {name: times[name] for name in shared} == dict.fromkeys(shared, 1)


def test_numbers_and_errors_of_a_benchmark(tmp_path: Path) -> None:
    @options.command()
    @options.efforts("0,1")
    @options.qualities("0.5")
    def main(efforts: tuple[int, ...], qualities: tuple[float, ...]) -> None:
        """Tells what it was given."""
        if 9 in efforts:
            raise UsageError("no such effort")
        click.echo(f"{efforts} {qualities}")

    runner = CliRunner()
    assert runner.invoke(main, []).output == "(0, 1) (0.5,)\n"
    assert runner.invoke(main, ["--efforts", "2", "--qualities", "0.25,1"]).output == "(2,) (0.25, 1.0)\n"
    for wrong, status in ((["--efforts", "x"], 2), (["--efforts", "0,"], 2), (["--efforts", "9"], 1)):
        result = runner.invoke(main, wrong)
        assert result.exit_code == status and "Traceback" not in result.output
