"""The house: one order of imports, no circle, nothing private across rooms, small functions and files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import ltokc

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ltokc"
# A room imports only from what stands before its row; rooms of one row do not know each other.
ORDER = (
    ("errors", "cgroup"),
    ("arguments", "blas"),
    ("threads", "token_order", "geometry", "atomic", "spawn"),
    ("token_grid", "container", "metrics", "jobs", "ort"),
    ("entropy",),
    ("losses", "pictures"),
    ("tokenizer",),
    ("zoo",),
    ("rate",),
    ("codec", "heatmap"),
    ("LtkImagePlugin", "train", "compare"),
    ("cli",),
    ("__main__", "_pyinstaller"),
)
ROW = {room: row for row, rooms in enumerate(ORDER) for room in rooms}
TORCH = ("ltokc.tokenizer.nn", "ltokc.tokenizer.runtime.torch", "ltokc.losses", "ltokc.rate.refine.descent",
         "ltokc.rate.refine.optimizer", "ltokc.train")  # fmt: skip
LIGHT = ("ltokc.geometry", "ltokc.container", "ltokc.zoo.registry", "ltokc.zoo.weights", "ltokc.jobs.paths",
         "ltokc.cli", "ltokc.codec")  # fmt: skip
MOST_PARAMETERS = 6
PUBLIC = {  # what users call; their keywords are documented
    "ltokc.codec.encode", "ltokc.codec.decode", "ltokc.compare.picture.batch_rows",
    "ltokc.compare.picture.compare_picture",
}  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of the package, by its dotted name."""
    return {name_of(path): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def imported(module: str, tree: ast.Module, modules: frozenset[str]) -> Iterator[tuple[str, str | None]]:
    """(module, name taken from it) of every import of the package's own, those inside of functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] == "ltokc")
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "ltokc":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole, None) if whole in modules else (node.module or "", alias.name)
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{module} imports relatively"


@cache
def edges() -> tuple[tuple[str, str, str | None], ...]:
    """(module, module that it imports, name taken from it)."""
    modules = frozenset(trees())
    return tuple((m, target, name) for m, tree in trees().items() for target, name in imported(m, tree, modules))


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_its_place() -> None:
    assert {room(module) for module in trees()} - {""} == set(ROW)


def test_rooms_import_only_from_rooms_before_them() -> None:
    wrong = [
        f"{module} imports {target}"
        for module, target, name in edges()
        if room(module) and room(target) and room(module) != room(target)
        and ROW[room(target)] >= ROW[room(module)]
    ]  # fmt: skip
    assert not wrong
    door = [(m, n) for m, t, n in edges() if room(m) and t == "ltokc" and n is not None]
    above = [f"{module} imports {name}" for module, name in door if name != "__version__"]
    assert not above  # the door knows the rooms, not they the door


def test_no_module_reaches_itself() -> None:
    """Circles, also those that only close inside of functions; a package's door does not count for its rooms."""
    doors = {module for module in trees() if any(other.startswith(f"{module}.") for other in trees())}
    graph = {module: {t for m, t, _ in edges() if m == module and t in trees()} - doors for module in trees()}

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in sorted(graph[module]):
                walk(other, (*path, module))
            done.add(module)

    done: set[str] = set()
    for module in sorted(set(graph) - doors):
        walk(module, ())


def test_nothing_private_is_used_in_another_room() -> None:
    wrong = [f"{m} takes {t}.{n}" for m, t, n in edges() if n and n.startswith("_") and n != "__version__" and m != t]
    assert not wrong
    for folder in ("bench", "examples", "formats"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import)]
            names = {a.asname or a.name.split(".")[-1] for n in imports
                     for a in n.names if "ltokc" in (getattr(n, "module", "") or a.name)}  # fmt: skip
            for node in ast.walk(tree):
                private = isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__")
                if private and isinstance(node.value, ast.Name):  # type: ignore[attr-defined]
                    assert node.value.id not in names, f"{path.name} uses {node.value.id}.{node.attr}"  # type: ignore


def commands(tree: ast.Module) -> set[str]:
    """Functions that click makes commands of: their parameters are options."""
    out = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any("command" in ast.unparse(d) for d in node.decorator_list):
            out.add(node.name)
    return out


def test_functions_take_few_parameters() -> None:
    wrong = []
    for module, tree in trees().items():
        exempt = commands(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name not in exempt and f"{module}.{node.name}" not in PUBLIC:
                names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                count = len([name for name in names if name not in ("self", "cls")])
                if count > MOST_PARAMETERS:
                    wrong.append(f"{module}.{node.name}: {count}")
    assert not wrong


def test_files_are_short() -> None:
    lengths = {name_of(p): len(p.read_text("utf-8").splitlines()) for p in PACKAGE.rglob("*.py")}
    assert lengths["ltokc.codec"] < 200
    assert {name: n for name, n in lengths.items() if n > 300} == {}


def test_torch_stays_in_its_rooms() -> None:
    for module, tree in trees().items():
        plain = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
        found = {alias.name.split(".")[0] for node in plain for alias in node.names}
        found |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        if "torch" in found:
            assert module.startswith(TORCH) or module in ("ltokc.cli.versions", "ltokc.cli.extras"), module


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_no_numpy(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'numpy', 'PIL', 'torch', 'onnxruntime'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_no_module_is_called_as_a_public_function() -> None:
    """The import of ltokc.NAME would put the module in the function's place."""
    assert not {path.stem for path in PACKAGE.iterdir()} & set(ltokc.__all__)
