"""A model's whole life through the command line: packed, given a halting head, checked, used."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.errors import ModelError
from ltokc.zoo import registry
from tests.support.cli_runner import ROOT, run
from tests.support.pictures import grainy, smooth

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

PACKED = ("model.safetensors", "tokenizer.onnx", "detokenizer.onnx", "forward.onnx", "backward.onnx")
SHIPPED = ROOT / "models" / "ladder-6"
OPTIONS = ("--name", "mine", "--id", "134217728", "--quality", "0:1,0.6:6,1:11")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model as a training run leaves it: all weights fp16, the prior not yet rounded to integers."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(SHIPPED / "model.safetensors", "pt") as f:
        tensors = {name: f.get_tensor(name) for name in f.keys() if not name.startswith("prior.")}  # noqa: SIM118
        config = f.metadata()
    path = tmp_path_factory.mktemp("run") / "ema.safetensors"
    tensors |= load_file(SHIPPED / "prior-float.safetensors")
    save_file({name: tensor.half() for name, tensor in tensors.items()}, path, config)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small untrained network."""
    from safetensors.torch import save_file

    from tests.support.small_model import small_ladder

    net, path = small_ladder(), tmp_path_factory.mktemp("small") / "ema.safetensors"
    save_file({k: v.half().contiguous() for k, v in net.state_dict().items()}, path, {"config": net.config.to_json()})
    return path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def written(models: Path) -> dict:
    return json.loads((models / registry.REGISTRY).read_text("utf-8"))


def shard(folder: Path) -> Path:
    """A folder with one tar of small pictures, from even to grainy."""
    folder.mkdir()
    with tarfile.open(folder / "a.tar", "w") as tar:
        for i in range(4):
            data = io.BytesIO()
            mixed = smooth(96, 80) * (1 - i / 3) + grainy(96, 80, i) * (i / 3)
            Image.fromarray(mixed.astype(np.uint8)).save(data, "PNG")
            about = tarfile.TarInfo(f"{i}.png")
            about.size = len(data.getvalue())
            tar.addfile(about, io.BytesIO(data.getvalue()))
    return folder


def label_most(labels: Path) -> None:
    """What a run may have left: labels of small pictures, all but the first of 12."""
    from ltokc.train.halting.labels import label, save_label
    from ltokc.zoo.model import open_model

    labels.mkdir(parents=True)
    model = open_model("mine")
    for i in range(1, 12):
        save_label(label(model, model.runtime(), grainy(64, 64, i)), labels / f"{i:05d}.npz")


def test_from_a_run_to_a_file(weights: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("models", "pack", str(weights), "--models", str(models), *OPTIONS, "--description", "a test")
    assert done.exit_code == 0, done.stderr
    packed = {file.name for file in (models / "mine").iterdir()}
    assert packed == {*PACKED, "prior-float.safetensors"}
    for name in packed:  # what was trained is all there is to a model: the shipped one again, to the byte
        assert registry.sha256(models / "mine" / name) == registry.sha256(SHIPPED / name)

    before = (models / registry.REGISTRY).read_bytes()
    (models / "mine" / "tokenizer8.onnx").write_bytes(b"of other weights")
    again = run("models", "pack", str(weights), "--models", str(models), *OPTIONS, "--description", "a test",
                "--overwrite")  # fmt: skip
    assert again.exit_code == 0 and (models / registry.REGISTRY).read_bytes() == before
    assert {file.name for file in (models / "mine").iterdir()} == packed
    again = run("models", "pack", str(weights), "--models", str(models), *OPTIONS)
    assert again.exit_code == 1 and "model.safetensors exists; --overwrite replaces it" in again.stderr
    (models / "mine").rename(models / "aside")
    again = run("models", "pack", str(weights), "--models", str(models), *OPTIONS)
    assert again.exit_code == 1 and "exists; --overwrite replaces it" in again.stderr, "the id is in the registry"
    (models / "aside").rename(models / "mine")
    assert (models / registry.REGISTRY).read_bytes() == before

    monkeypatch.setenv(registry.ENVIRONMENT, str(models))
    out = tmp_path / "halting"
    label_most(out / "labels")
    done = run("models", "fit-halting", "mine", "--shards", str(shard(tmp_path / "shards")), "--out", str(out),
               "--pictures", "12", "--held-out", "1", "--steps", "20")  # fmt: skip
    assert done.exit_code == 0 and "fitted to 12 pictures" in done.stderr, done.stderr

    head = out / "halting.safetensors"
    done = run("models", "add-halting", str(head), "--models", str(models), "--name", "mine", "--looks", "0.1:70,0.9:9")
    assert done.exit_code == 0, done.stderr
    assert (models / "mine" / head.name).read_bytes() == head.read_bytes()
    again = run("models", "add-halting", str(head), "--models", str(models), "--name", "mine")
    assert again.exit_code == 1 and "halting.safetensors exists; --overwrite replaces it" in again.stderr
    entry = registry.find("mine")
    assert entry.looks == ((0.1, 70.0), (0.9, 9.0)) and head.name in {file.name for file in entry.files}

    done = run("models", "fit-colour", "mine", "--shards", str(tmp_path / "shards"), "--out", str(tmp_path / "colour"),
               "--pictures", "1", "--held-out", "1")  # fmt: skip
    assert done.exit_code == 0 and "fitted to 1 pictures" in done.stderr, done.stderr
    for expected in (0, 1):
        done = run("models", "add-colour", str(tmp_path / "colour" / "colour.safetensors"), "--models", str(models),
                   "--name", "mine")  # fmt: skip
        assert done.exit_code == expected, done.stderr
    assert "colour.safetensors exists; --overwrite replaces it" in done.stderr

    done = run("models", "verify", "mine")
    assert (done.exit_code, done.stderr) == (0, "mine: ok\n")
    data = ltokc.encode(grainy(64, 64), 0.5, effort=0, model="mine")
    assert ltokc.info(data).model == "mine" and ltokc.decode(data).size == (64, 64)
    with head.open("ab") as file:
        file.write(b"more")
    (models / "mine" / head.name).write_bytes(head.read_bytes())
    done = run("models", "verify", "mine")
    assert done.exit_code == 1 and "halting.safetensors has" in done.stderr


def test_train_halting_is_the_same_command() -> None:
    ours, theirs = (run(*words, "--help").stdout for words in (("train-halting",), ("models", "fit-halting")))
    assert ours.replace("ltokc train-halting", "X") == theirs.replace("ltokc models fit-halting", "X")


def test_the_default_is_one(small: Path, models: Path) -> None:
    from ltokc.train.export.package import Listing, package

    def add(number: int, default: bool) -> None:
        listing = Listing(f"m{number}", registry.MAX_ID - number, [[0, 1], [1, 11]], "", "", default)
        assert package(small, models, listing)["files"].keys() == set(PACKED)
        registry.read_registry(models / registry.REGISTRY)

    add(1, False)
    add(2, False)
    assert [item["default"] for item in written(models)["models"]] == [True, False]
    add(3, True)
    add(2, False)  # again: in place of the one of the same id
    assert {item["name"]: item["default"] for item in written(models)["models"]} == {
        "m1": False, "m2": False, "m3": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number", "reason"),
    [
        ("mine", 1, "model id 1 is taken"), ("ladder-3", 2**27, "model name 'ladder-3' is taken"),
        ("../mine", 2**27, "no plain name"), ("mine", 2**28, "out of range"), ("other", 2**27 + 1, "model name"),
    ],
)  # fmt: skip
def test_a_name_or_an_id_that_is_not_free(name: str, number: int, reason: str, small: Path, models: Path) -> None:
    if name == "other":
        known = json.loads((ROOT / "models" / registry.REGISTRY).read_text("utf-8"))
        (item,) = known["models"]
        (models / registry.REGISTRY).write_text(
            json.dumps({"models": [item | {"id": 9, "name": "other", "folder": "x"}]})
        )
    before = sorted(models.parent.rglob("*"))
    done = run("models", "pack", str(small), "--models", str(models), "--name", name, "--id", str(number),
                   "--quality", "0:1,1:11")  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert done.exit_code == 1 and reason in line
    assert sorted(models.parent.rglob("*")) == before


def test_a_head_that_does_not_fit(models: Path, tmp_path: Path) -> None:
    from ltokc.train.export.package import add_halting

    head = SHIPPED / "halting.safetensors"
    known = json.loads((ROOT / "models" / registry.REGISTRY).read_text("utf-8"))
    (models / registry.REGISTRY).write_text(json.dumps(known))
    (models / "ladder-6").mkdir()
    (models / "ladder-6" / "model.safetensors").write_bytes((SHIPPED / "model.safetensors").read_bytes())
    before = (models / registry.REGISTRY).read_bytes()
    for path, name, looks in (
        (head, "nobody", [[0.1, 80.0], [0.9, 8.0]]), (SHIPPED / "model.safetensors", "ladder-6", [[0.1, 80.0]]),
        (SHIPPED / "README.md", "ladder-6", [[0.1, 80.0]]), (head, "ladder-6", [[0.1, 8.0], [0.9, 80.0]]),
    ):  # fmt: skip
        with pytest.raises(ModelError):
            add_halting(path, models, name, looks)
        assert (models / registry.REGISTRY).read_bytes() == before and not (models / "ladder-6" / head.name).exists()
    add_halting(head, models, "ladder-6", [[0.1, 80.0], [0.9, 8.0]])
    assert written(models)["models"] == known["models"]


@pytest.mark.parametrize("table", ["", "1", "0.1:8,0.9:80", "0.9:80,0.1:8", "0:80", "0.1:0", "0.1:a", "0.1:nan"])
def test_a_table_of_looks_without_sense(table: str, models: Path) -> None:
    done = run("models", "add-halting", str(SHIPPED / "halting.safetensors"), "--models", str(models), "--name", "x",
               "--looks", table)  # fmt: skip
    assert done.exit_code == 2 and "pairs q:error" in done.stderr
