"""Runs the steps of a Dockerfile without Docker: `python scripts/check_dockerfile.py [Dockerfile]`.

Every stage gets an empty folder as its root and a virtual environment of the Python that runs this as its python;
WORKDIR and COPY (by .dockerignore) work in it, RUN lines run in it.  Lines that change the system itself (`useradd`,
`ldconfig`) are named and left out.  At the end the ENTRYPOINT encodes and decodes a picture.  What this cannot show:
that the base image has what is needed, the size, and the user.  Needs a package index that pip can reach.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CONTEXT = Path(__file__).resolve().parent.parent
SYSTEM = ("useradd", "ldconfig")


@dataclass
class Stage:
    """A stage's folder, environment and current folder."""

    root: Path
    work: str = "/"
    user: str = "root"
    entrypoint: list[str] = field(default_factory=list)

    def place(self, path: str) -> Path:
        return self.root / "files" / os.path.normpath(os.path.join(self.work, path)).lstrip("/")

    def environment(self) -> dict[str, str]:
        path = f"{self.root / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("LTOKC")}
        return {**kept, "PATH": path, "VIRTUAL_ENV": str(self.root / "venv")}

    def run(self, words: list[str] | str, cwd: Path | None = None) -> None:
        subprocess.run(
            words, shell=isinstance(words, str), cwd=cwd or self.place("."), env=self.environment(), check=True
        )


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """(NAME, arguments) of every instruction; continued lines joined, comments gone."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, arguments = line.strip().partition(" ")
        yield name.upper(), " ".join(arguments.split())


def ignored(name: str, rules: list[str]) -> bool:
    """Whether .dockerignore leaves out a file; the last rule that matches it, or a folder above it, decides."""
    out = False
    parts = name.split("/")
    above = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    for rule in rules:
        keeps, pattern = rule.startswith("!"), rule.lstrip("!").rstrip("/")
        deep = pattern.startswith("**/")
        candidates = parts if deep else above
        if any(fnmatch.fnmatchcase(c, pattern.removeprefix("**/")) for c in candidates):
            out = not keeps
    return out


def copy_context(stage: Stage, source: str, target: str) -> None:
    rules = [r.strip() for r in (CONTEXT / ".dockerignore").read_text().splitlines() if r.strip()]
    listed = subprocess.run(["git", "-C", str(CONTEXT), "ls-files", "-z", "-co", "--exclude-standard"],
                            capture_output=True, check=True, text=True).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        if not ignored(name, rules) and (source == "." or name.startswith(f"{source}/") or name == source):
            place = stage.place(target) / (name if source == "." else os.path.relpath(name, source))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CONTEXT / name, place)


def build(text: str, folder: Path) -> Stage:
    """Runs every instruction; the last stage.  ValueError: an instruction that is not known here."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for name, arguments in instructions(text):
        print(f"{name} {arguments}", file=sys.stderr)
        if name == "FROM":
            words = arguments.split()
            stage = Stage(folder / str(len(stages)))
            stages[words[2] if len(words) == 3 else str(len(stages))] = stage
            stage.place(".").mkdir(parents=True)
            venv.create(stage.root / "venv", with_pip=True)
        elif name == "WORKDIR":
            stage.work = os.path.join(stage.work, arguments)
            stage.place(".").mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            *options, source, target = arguments.split()
            if options:
                origin = stages[options[0].removeprefix("--from=")]
                shutil.copytree(origin.place(source), stage.place(target), dirs_exist_ok=True)
            else:
                copy_context(stage, source, target)
        elif name == "RUN":
            if any(word in shlex.split(arguments) for word in SYSTEM):
                print("  left out: it changes the system", file=sys.stderr)
            else:
                stage.run(arguments)
        elif name == "USER":
            stage.user = arguments
        elif name == "ENTRYPOINT":
            stage.entrypoint = json.loads(arguments)
        elif name != "CMD":
            raise ValueError(f"{name} is not known to this script")
    return stage


def main() -> int:
    file = CONTEXT / (sys.argv[1] if len(sys.argv) > 1 else "Dockerfile")
    with tempfile.TemporaryDirectory() as name:
        stage = build(file.read_text(), Path(name))
        shutil.copy(CONTEXT / "examples" / "coffee.jpg", stage.place("coffee.jpg"))
        stage.run([*stage.entrypoint, "encode", "coffee.jpg"])
        stage.run([*stage.entrypoint, "decode", "coffee.ltk", "-o", "back.png"])
        size = sum(p.lstat().st_size for p in (stage.root / "venv").rglob("*") if not p.is_dir()) / 1e6
        print(f"ok: user {stage.user}, {size:.0f} MB of Python packages", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
