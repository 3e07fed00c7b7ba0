"""Records: what a benchmark measured, with the model, the commit, the machine and the versions that it depends on.

`write_report` is the only writer of them.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from ltokc.atomic import write_atomic
from ltokc.compare.codecs import library_versions
from ltokc.jobs.journal import fingerprint

PACKAGES = (
    "ltokc", "numpy", "scipy", "ssimulacra2", "torch", "onnxruntime", "onnxruntime-gpu", "openvino", "constriction",
)  # fmt: skip


def environment(model: str | None) -> dict[str, object]:
    """`model`, `commit`, `machine` and `versions` as plain strings and numbers; names no host, user or path.

    model: the name of the model of ltokc that was measured, None where none took part.
    """
    return {"model": model, "commit": commit(), "machine": machine(), "versions": versions()}


def model_name(model: str | None = None) -> str:
    """The name of a model that is called by name, id or, by None, as the default.  Raises ModelError."""
    from ltokc.zoo.registry import find

    return find(model).name


def machine() -> dict[str, object]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": platform.system(), "architecture": platform.machine(), "processor": _processor(), "cores": usable}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def versions() -> dict[str, str]:
    """Versions of Python, of the packages that are installed and of the image libraries inside Pillow."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found | library_versions()


def commit() -> str | None:
    """The commit of this file's checkout, with `+changes` when the tree differs from it; None outside of one."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def changes() -> str | None:
    """A fingerprint of how the tree differs from its commit; None outside of a checkout."""
    try:
        return fingerprint(_git("diff", "--binary", "HEAD"))
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    folder = Path(__file__).resolve().parent
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _seven_digits(value: Any) -> Any:
    """Floats of a value, however deep, to seven significant digits."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {name: _seven_digits(each) for name, each in value.items()}
    return [_seven_digits(each) for each in value] if isinstance(value, list | tuple) else value


def rendered(record: dict[str, Any]) -> str:
    """A record as JSON: a line for every entry, and for every item of a list of objects; numbers to seven digits.

    Raises ValueError for a number that JSON lacks.
    """
    entries = []
    for name, given in record.items():
        value = _seven_digits(given)
        rows = isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
        items = [json.dumps(row, allow_nan=False) for row in value] if rows else []
        text = "[\n  " + ",\n  ".join(items) + "\n ]" if rows else json.dumps(value, allow_nan=False)
        entries.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def write_report(model: str | None, report: dict[str, Any], out: Path | None) -> None:
    """Writes `environment(model)` and what was measured as JSON, whole or not at all, into a file or to stdout.

    Raises ValueError for a number that JSON lacks, OSError.
    """
    text = rendered(environment(model) | report)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, text.encode())
    else:
        click.echo(text, nl=False)
