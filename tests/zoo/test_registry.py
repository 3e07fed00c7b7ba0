"""The registry of models: search order, damage, and names that may not leave their folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ltokc
from ltokc.errors import ModelError
from ltokc.zoo import registry
from tests.support.cli_runner import ROOT, program


def item(name: str = "first", number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "folder": name,
        "default": number == 1,
        "files": {},
        "bitstream_hash": 4660 + number,
        "quality": [[0.0, 1], [0.6, 7.5], [1.0, 11]],
        "license": "CC0-1.0",
        "description": "for tests",
    } | changes


def install(base: Path, *items: dict[str, Any], contents: dict[str, bytes] | None = None) -> None:
    """Writes a registry and, for its first model, files with their true sizes and sums."""
    for name, data in (contents or {}).items():
        path = base / items[0]["folder"] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        items[0]["files"][name] = {"sha256": registry.sha256(path), "bytes": len(data)}
    base.mkdir(parents=True, exist_ok=True)
    (base / registry.REGISTRY).write_text(json.dumps({"models": list(items)}))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """An installation in a temporary folder: (on LTOKC_MODELS, the package's models, the checkout's models)."""
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "checkout" / "ltokc" / "zoo" / "registry.py"))
    monkeypatch.setenv(registry.ENVIRONMENT, os.pathsep.join([str(tmp_path / "mine"), "", str(tmp_path / "nowhere")]))
    root = tmp_path.resolve()
    return tmp_path / "mine", root / "checkout" / "ltokc" / "models", root / "checkout" / "models"


def test_an_entry_is_read(places: tuple[Path, Path, Path]) -> None:
    install(places[2], item(), contents={"model.safetensors": b"weights"})
    entry = registry.find("first")
    assert (entry.id, entry.name, entry.default, entry.bitstream_hash) == (1, "first", True, 4661)
    assert entry.quality == ((0.0, 1.0), (0.6, 7.5), (1.0, 11.0)) and entry.license == "CC0-1.0"
    assert [file.name for file in entry.files] == ["model.safetensors"] and entry.files[0].bytes == 7
    with pytest.raises(AttributeError):
        entry.id = 2  # type: ignore[misc]


def test_find_by_name_id_and_default(places: tuple[Path, Path, Path]) -> None:
    install(places[2], item(), item("second", 2))
    assert [entry.id for entry in registry.registry()] == [1, 2]
    assert registry.find().id == 1
    for key in ("second", 2, "2"):
        assert registry.find(key).id == 2
    with pytest.raises(ModelError, match=r"no model 'x'; known: first \(id 1\), second \(id 2\)"):
        registry.find("x")
    with pytest.raises(ModelError):
        registry.find(3)


def test_search_order(places: tuple[Path, Path, Path]) -> None:
    for base in reversed(places):
        install(base, item(description=str(base)), contents={"a": b"1"})
        assert registry.find(1).description == str(base)
        assert registry.folder(registry.find(1)) == base / "first"


def test_registries_are_joined_and_folders_searched_apart(places: tuple[Path, Path, Path]) -> None:
    install(places[0], item("extra", 200, default=False))
    install(places[2], item(), contents={"a": b"1", "b": b"22"})
    assert [entry.name for entry in registry.registry()] == ["first", "extra"]
    (places[0] / "first").mkdir()  # incomplete: passed over
    (places[0] / "first" / "a").write_bytes(b"1")
    assert registry.folder(registry.find(1)) == places[2] / "first"


def test_one_id_for_two_models_is_refused(places: tuple[Path, Path, Path]) -> None:
    install(places[0], item("other", 1))
    install(places[2], item())
    with pytest.raises(ModelError, match="taken twice"):
        registry.registry()


def test_one_name_for_two_ids_is_refused(places: tuple[Path, Path, Path]) -> None:
    install(places[0], item("first", 7, default=False))
    install(places[2], item())
    with pytest.raises(ModelError, match="two ids"):
        registry.registry()


def test_check(places: tuple[Path, Path, Path]) -> None:
    install(places[2], item(), contents={"model.safetensors": b"weights", "tokenizer.onnx": b"graph"})
    entry = registry.find()
    place = places[2] / "first"
    assert registry.check(entry) == place
    (place / "tokenizer.onnx").write_bytes(b"grapH")
    with pytest.raises(ModelError, match="tokenizer.onnx is damaged"):
        registry.check(entry)
    (place / "model.safetensors").write_bytes(b"weight")
    with pytest.raises(ModelError, match="model.safetensors has 6 bytes, expected 7"):
        registry.check(entry)
    (place / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="model.safetensors is missing"):
        registry.check(entry)


def test_nothing_installed(places: tuple[Path, Path, Path]) -> None:
    with pytest.raises(ModelError, match=registry.ENVIRONMENT):
        registry.registry()
    install(places[2])
    assert registry.registry() == ()
    with pytest.raises(ModelError, match="no default model; known: none .*names what is no folder: .*nowhere"):
        registry.find()
    install(places[2], item(files={"a": {"sha256": "", "bytes": 1}}))
    with pytest.raises(ModelError, match="not installed"):
        registry.folder(registry.find())


def retire(base: Path, *models: tuple[int, str]) -> None:
    path = base / registry.REGISTRY
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"retired": [{"id": number, "name": name} for number, name in models]}))


def test_a_retired_model_is_one_line(places: tuple[Path, Path, Path]) -> None:
    install(places[2], item("third", 3))
    retire(places[2], (1, "first"), (2, "second"))
    assert [entry.id for entry in registry.registry()] == [3] and registry.retired() == {1: "first", 2: "second"}
    for key in ("second", 2, "2"):
        with pytest.raises(ModelError) as raised:
            registry.find(key)
        assert str(raised.value) == "model 'second' (id 2) was an early experiment and is not part of ltokc"
    install(places[0], item("second", 2), contents={"a": b"1"})  # whoever has it can still use it
    assert registry.folder(registry.find(2)) == places[0] / "second"


@pytest.mark.parametrize(("entry", "reason"), [(("other", 1), "taken twice"), (("first", 4), "two ids")])
def test_what_is_retired_stays_taken(entry: tuple[str, int], reason: str, places: tuple[Path, Path, Path]) -> None:
    install(places[0], item(*entry))
    install(places[2], item("third", 3))
    retire(places[2], (1, "first"))
    with pytest.raises(ModelError, match=reason):
        registry.registry()


@pytest.mark.parametrize("wrong", [[3], [{"id": 1}], [{"id": 1, "name": "../x"}], {"id": 1}, 3])
def test_a_bad_list_of_retired_models_is_refused(wrong: object, places: tuple[Path, Path, Path]) -> None:
    install(places[2], item())
    path = places[2] / registry.REGISTRY
    path.write_text(json.dumps(json.loads(path.read_text()) | {"retired": wrong}))
    with pytest.raises(ModelError, match="registry.json is damaged"):
        registry.registry()


@pytest.mark.parametrize(
    "changes",
    [
        {"folder": "../x"},
        {"folder": ""},
        {"folder": "C:x"},
        {"name": "a/b"},
        {"name": 5},
        {"files": {"../../x": {"sha256": "", "bytes": 1}}},
        {"files": {"a": {}}},
        {"files": None},
        {"id": 2**28},
        {"id": "one"},
        {"bitstream_hash": 65536},
        {"quality": [[0.6, 3], [0.1, 9]]},
        {"quality": [[0.6]]},
    ],
)
def test_bad_entries_are_refused(changes: dict[str, Any], places: tuple[Path, Path, Path]) -> None:
    install(places[2], item(**changes))
    with pytest.raises(ModelError):
        registry.registry()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": 3}', '{"models": [3]}', "\xff", "nonsense"])
def test_bad_registries_are_refused(text: str, places: tuple[Path, Path, Path]) -> None:
    install(places[2])
    (places[2] / registry.REGISTRY).write_text(text, "latin-1")
    with pytest.raises(ModelError, match="registry.json"):
        registry.registry()


def test_doubles_in_one_registry_are_refused(places: tuple[Path, Path, Path]) -> None:
    for second in (item(), item("x", 1), item("x", 2, folder="first"), item("x", 2, default=True)):
        install(places[2], item(), second)
        with pytest.raises(ModelError):
            registry.registry()


def test_the_module_is_light() -> None:
    heavy = "{'torch', 'onnxruntime', 'numpy', 'PIL'}"
    code = f"import sys, ltokc.zoo.registry; sys.exit(not {heavy}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_is_opened_once_however_it_is_named() -> None:
    """Encoding asks for the default, decoding for the id of the file: the networks are loaded once."""
    from ltokc.zoo.model import open_model

    default = open_model()
    assert open_model(default.entry.id) is default and open_model(default.entry.name) is default


def test_the_registry_of_the_project_has_one_model() -> None:
    (entry,) = registry.read_registry(ROOT / "models" / registry.REGISTRY)
    assert (entry.id, entry.name, entry.default) == (6, "ladder-6", True)
    assert {number: name for number, name in registry.retired().items() if number < 6} == {
        number: f"ladder-{number}" for number in range(1, 6)
    }
    assert {path.name for path in (ROOT / "models").iterdir() if path.is_dir()} == {"ladder-6"}


def test_a_file_of_a_retired_model_says_so(tmp_path: Path) -> None:
    data = bytearray(ltokc.encode(np.zeros((8, 8, 3), np.uint8), patches="off"))
    data[5] = 4  # the model's id
    data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "big")
    source = tmp_path / "old.ltk"
    source.write_bytes(data)
    for verb in ("decode", "verify", "tokens"):
        done = program(verb, str(source))
        line = f"ltokc: {source}: model 'ladder-4' (id 4) was an early experiment and is not part of ltokc\n"
        assert (done.returncode, done.stderr.decode()) == (1, line)
    assert b"not known here (id 4)" in program("info", str(source)).stdout
