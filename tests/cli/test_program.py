"""The command line: arguments, exit statuses, what is said where, what is loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

import ltokc
from ltokc.cli import COMMANDS, cli
from ltokc.jobs import streams
from tests.support.cli_runner import ENVIRONMENT, names, program, run

USAGE = [
    (["encode"], "Missing argument"),
    (["encode", "photo.png", "-q", "60"], "did you mean 0.6?"),
    (["encode", "photo.png", "-q", "75%"], "did you mean 0.75?"),
    (["encode", "photo.png", "-q", "0,6"], "did you mean 0.6?"),
    (["encode", "photo.png", "-q", "-0.1"], "not between 0 and 1"),
    (["encode", "photo.png", "-q", "nan"], "not between 0 and 1"),
    (["encode", "photo.png", "-q", "500"], "not between 0 and 1"),
    (["encode", "photo.png", "-q", "high"], "no number"),
    (["encode", "photo.png", "-q", "0.5", "--tokens", "9"], "one rate control at a time: --quality and --tokens"),
    (["encode", "photo.png", "--target-size", "2k", "--target-bpp", "0.1"], "one rate control at a time"),
    (["encode", "photo.png", "--target-size", "big"], "no size"),
    (["encode", "photo.png", "--target-size", "0"], "less than a byte"),
    (["encode", "photo.png", "--target-bpp", "0"], "no finite number above 0"),
    (["encode", "photo.png", "--tokens", "0"], "--tokens"),
    (["encode", "photo.png", "--strict"], "--strict goes with"),
    (["encode", "photo.png", "--metadata", "exif,gps"], "not 'gps'"),
    (["encode", "photo.png", "--effort", "11"], "--effort"),
    (["encode", "photo.png", "-j", "0"], "'0' is neither a whole number of 1 or more nor all"),
    (["encode", "photo.png", "-j", "abc"], "'abc' is neither a whole number of 1 or more nor all"),
    (["decode", "x.ltk", "--decoder", "generative", "--detail", "nan"], "nan is no number"),
    (["compare", "photo.png", "x.ltk", "--versus", "webp", "--metric", "lpips"], "goes with --lpips WEIGHTS"),
    (["compare", "photo.png", "x.ltk", "--metric", "psnr"], "--metric goes with --versus"),
    (["encode", "photo.png", "-o", "photo.png"], "same file"),
    (["encode", "photo.png", "text.png", "-o", "x.ltk"], "-o takes one input"),
    (["encode", "photo.png", "-o", "folder"], "is a folder; use -d"),
    (["encode", "-", "photo.png"], "cannot be mixed"),
    (["encode", "photo.png", "-o", "-", "--json"], "cannot both go to stdout"),
    (["decode", "x.ltk", "-o", "x.xyz"], "no known suffix"),
    (["decode", "x.ltk", "-f", "gif"], "'gif' is not one of"),
    (["decode", "x.ltk", "--crop", "1,2,3"], "not X,Y,W,H"),
    (["decode", "x.ltk", "--crop", "0,0,0,5"], "no region"),
    (["trim", "x.ltk", "-o", "y.ltk"], "one of --tokens, --target-size is needed"),
    (["trim", "x.ltk", "-o", "y.ltk", "--tokens", "5", "--target-size", "1k"], "one rate control at a time"),
    (["trim", "x.ltk", "--tokens", "5"], "Missing option"),
    (["tokens", "x.ltk", "--json", "--npz"], "exclude each other"),
    (["frobnicate"], "No such command"),
    (["encode", "--frobnicate"], "No such option"),
    (["train", "photo.png", "--shards", "folder", "--lpips", "photo.png", "--out", "o"], "no .tar files"),
    (["train", "r", "--time-budget", "nan"], "nan is no number"),
]


@pytest.mark.parametrize(("args", "text"), USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_usage_errors(here: Path, args: list[str], text: str) -> None:
    before = names()
    result = run(*args)
    assert result.exit_code == 2, result.output
    assert text in result.stderr
    assert result.stdout == ""
    assert names() == before


FAILURES = [
    (["encode", "text.png"], "ltokc: text.png: "),
    (["encode", "empty.png"], "ltokc: empty.png: "),
    (["encode", "missing.png"], "ltokc: missing.png: "),
    (["encode", "folder"], "ltokc: folder: is a folder (-r takes"),
    (["encode", "photo.png", "-o", "photo.png/x.ltk"], "ltokc: photo.png: "),
    (["encode", "photo.png", "--limit-pixels", "100"], "ltokc: photo.png: "),
    (["encode", "photo.png", "-m", "no-such-model"], "ltokc: photo.png: "),
    (["decode", "text.png"], "ltokc: text.png: "),
    (["decode", "empty.png", "-o", "x.png"], "ltokc: empty.png: "),
    (["decode", "missing.ltk"], "ltokc: missing.ltk: No such file or directory"),
    (["info", "missing.ltk"], "ltokc: missing.ltk: No such file or directory"),
    (["info", "folder"], "ltokc: folder: is a folder"),
    (["info", "photo.png"], "ltokc: photo.png: "),
    (["verify", "photo.png"], "ltokc: photo.png: "),
    (["tokens", "photo.png"], "ltokc: photo.png: "),
    (["trim", "photo.png", "-o", "y.ltk", "--tokens", "5"], "ltokc: photo.png: "),
    (["models", "show", "no-such-model"], "ltokc: "),
    (["models", "verify", "no-such-model"], "ltokc: no-such-model: "),
]  # fmt: skip


@pytest.mark.parametrize(("args", "text"), FAILURES, ids=[" ".join(a) for a, _ in FAILURES])
def test_failures_are_one_line_and_leave_nothing(here: Path, args: list[str], text: str) -> None:
    before = names()
    result = run(*args)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith(text)
    assert result.stderr.count("\n") == 1
    assert "internal error" not in result.stderr
    assert names() == before


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_versions(flag: str) -> None:
    result = run(flag)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ltokc", "format", "model", "runtime", "python"]
    assert ltokc.__version__ in result.stdout


def test_the_list_of_commands_says_what_their_help_says() -> None:
    context = click.Context(cli)
    for name, line in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None and command.get_short_help_str(200) == line
    listed = " ".join(run("--help").stdout.split())
    assert all(f"{name} {line}" in listed for name, line in COMMANDS.items())


def test_the_list_of_commands_loads_none_of_them() -> None:
    code = "import sys\nfrom ltokc.cli import main\nsys.argv[1:] = ['--help']\ntry: main()\nexcept SystemExit: pass\n"
    code += "sys.exit('ltokc.cli.encode' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["models", "show"]])
def test_short_and_long_help(command: list[str]) -> None:
    short, long = run(*command, "-h"), run(*command, "--help")
    assert short.exit_code == long.exit_code == 0
    assert short.stdout == long.stdout


def test_tracebacks_only_when_asked_for(here: Path) -> None:
    for flags in ([], ["-v"]):
        assert "Traceback" not in run("encode", "text.png", *flags).stderr
    assert "Traceback" in run("encode", "text.png", "-vv").stderr
    assert "Traceback" in run("decode", "text.png", "--decoder", "generative", "-vv").stderr


def test_bug_is_one_line_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: str) -> bytes:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("ltokc.cli.info.read_ltk", broken)
    result = run("info", "photo.ltk")
    assert result.exit_code == 1
    assert result.stderr.startswith("ltokc: photo.ltk: internal error, please report it: ZeroDivisionError: a b")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[ONNXRuntimeError] : 1 : FAIL : BFCArena::AllocateRawInternal"),
              ImportError("libx.so: failed to map segment from shared object"), RuntimeError("std::bad_alloc")],
    ids=str,
)  # fmt: skip
def test_lack_of_memory_is_no_bug(here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ltokc.codec.encode", lacking)
    result = run("encode", "photo.png")
    assert result.exit_code == 1 and result.stderr == "ltokc: photo.png: not enough memory\n"


def test_name_cannot_forge_lines(here: Path) -> None:
    result = run("info", "a\nltokc: fine\x1b[31m")
    assert result.stderr.count("\n") == 1
    assert "\x1b" not in result.stderr


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption(here: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    def interrupted(source: str) -> bytes:
        os.kill(os.getpid(), number)
        return b""

    before, handler = names(), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("ltokc.cli.decode.read_ltk", interrupted)
    result = run("decode", "x.ltk", "y.ltk")
    assert (result.exit_code, result.stderr) == (130, "ltokc: interrupted\n")
    assert names() == before
    assert signal.getsignal(signal.SIGTERM) is handler


def test_terminal_gets_no_binary(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "refuse_terminal", lambda: (_ for _ in ()).throw(ltokc.UsageError("a terminal")))
    for args in (["encode", "photo.png", "-o", "-"], ["encode", "-"], ["decode", "-"], ["tokens", "x.ltk", "--npz"],
                 ["trim", "x.ltk", "--tokens", "4", "-o", "-"]):  # fmt: skip
        result = run(*args)
        assert result.exit_code == 2
        assert "a terminal" in result.stderr


def test_training_without_torch_is_one_line(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("folder/0.tar").touch()
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run("train", "text.png", "--shards", "folder", "--lpips", "text.png", "--out", "run")
    assert result.exit_code == 1
    assert result.stderr == 'ltokc: training needs torch, which is not installed: pip install "ltokc[train]"\n'
    assert not Path("run").exists()


# -- real processes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [[], ["encode"], ["models"], ["models", "show"]])
def test_help_stays_where_docstrings_are_dropped(args: list[str]) -> None:
    words = ["-m", "ltokc", *args, "--help"]
    whole, without = (
        subprocess.run([sys.executable, *flags, *words], env=ENVIRONMENT, capture_output=True, timeout=60, check=True)
        for flags in ([], ["-OO"])
    )
    assert without.stdout == whole.stdout


def test_module_runs_and_round_trips(here: Path) -> None:
    done = program("encode", "photo.png", "--target-size", "400", "--strict")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    piped = program("decode", "-", "-f", "ppm", input=Path("photo.ltk").read_bytes())
    assert piped.stdout.startswith(b"P6")
    assert program("encode", "missing.png").returncode == 1
    assert program("encode").returncode == 2


def test_closed_pipe_is_quiet(here: Path, encoded: bytes) -> None:
    Path("photo.ltk").write_bytes(encoded)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run([sys.executable, "-m", "ltokc", "info", "photo.ltk", "photo.ltk"], stdout=closed,
                              env=ENVIRONMENT, stderr=subprocess.PIPE, timeout=60, check=False)  # fmt: skip
    assert done.stderr == b""


@pytest.mark.parametrize(
    "args", [["--help"], ["encode", "--help"], ["batch", "-h"], ["train", "-h"], ["info", "photo.ltk"]]
)
def test_light_commands_load_nothing_heavy(here: Path, encoded: bytes, args: list[str]) -> None:
    Path("photo.ltk").write_bytes(encoded)
    code = (
        "import sys\n"
        "from ltokc.cli import cli\n"
        "try:\n    cli(sys.argv[1:])\n"
        "except SystemExit as end:\n    status = end.code\n"
        "heavy = {'torch', 'onnxruntime', 'PIL', 'numpy', 'constriction'} & set(sys.modules)\n"
        "sys.exit(f'status {status}, loaded {heavy}' if status or heavy else 0)\n"
    )
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, env=ENVIRONMENT, timeout=60, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_import_is_light_and_the_verbs_are_functions(photo: Path) -> None:
    code = (
        "import sys, ltokc\n"
        "assert not {'torch', 'onnxruntime', 'PIL', 'numpy'} & set(sys.modules)\n"
        "import ltokc.codec\n"
        "data = ltokc.encode(sys.argv[1], tokens=20)\n"
        "assert ltokc.tokens(data).count == ltokc.info(data).tokens == 20\n"
        "assert ltokc.decode(data).size == (96, 80)\n"
        "for name in ('encode', 'decode', 'info', 'tokens', 'trim', 'verify'):\n"
        "    assert getattr(ltokc, name) is getattr(ltokc.codec, name), name\n"
        "assert issubclass(ltokc.FormatError, ltokc.LtokcError)\n"
    )
    command = [sys.executable, "-c", code, str(photo)]
    done = subprocess.run(command, env=ENVIRONMENT, timeout=60, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_without_a_command_the_help_is_shown_as_it_is(here: Path) -> None:
    result = run()
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.rstrip("\n") == run("--help").stdout.rstrip("\n")
    assert len(result.stderr.splitlines()) > 20


def test_the_versions_name_every_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    from ltokc.cli import versions

    monkeypatch.setattr(versions, "version", lambda name: "1.2")
    line = next(each for each in versions.versions().splitlines() if each.startswith("runtime "))
    assert line == "runtime onnxruntime-gpu 1.2, onnxruntime 1.2, openvino 1.2, torch 1.2"
