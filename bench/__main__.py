"""`python -m bench`: the list of benchmarks, a line each.  `python -m bench NAME ...` runs one."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

ROOMS = ("quality", "speed", "verification", "design", "common")


def commands() -> dict[str, Path]:
    """Name on the command line -> module file, of every module that can be run, by room."""
    here = Path(__file__).parent
    files = [path for room in ROOMS for path in sorted((here / room).glob("*.py"))]
    return {path.stem.replace("_", "-"): path for path in files if '__name__ == "__main__"' in path.read_text("utf-8")}


def summary(path: Path) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def main() -> int:
    found = commands()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("python -m bench NAME [OPTIONS]      each NAME has --help")
        for room in ROOMS:
            names = [name for name, path in found.items() if path.parent.name == room]
            if names:
                print(f"\n{room}")
                print(*(f"  {name:17} {summary(found[name])}" for name in names), sep="\n")
        return 0
    name = sys.argv.pop(1)
    if name not in found:
        print(f"bench: no benchmark is called {name!r}; `python -m bench` lists them", file=sys.stderr)
        return 2
    sys.argv[0] = f"python -m bench {name}"
    sys.modules["__main__"].__package__ = None  # else click takes argv[0] for a module of this package
    module = importlib.import_module(f"bench.{found[name].parent.name}.{found[name].stem}")  # so that workers find it
    module.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
