"""What a file is bound to: files of another encoder are read by today's decoder, those of another decoder refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import ltokc
from ltokc import container
from ltokc.errors import ModelError
from ltokc.zoo import registry
from ltokc.zoo.weights import WEIGHTS
from tests.support.cli_runner import ROOT
from tests.support.independent_reader import Weights
from tests.support.pictures import grainy

pytest.importorskip("onnxruntime")

SHIPPED = ROOT / "models" / "ladder-6"
PICTURE = grainy(100, 80)
ENCODER = (
    "stem.weight",
    "encoder.3.1.b.weight",
    "down.2.conv.bias",
    "levels.0.query.0.weight",
    "levels.10.query.2.bias",
)
AFTER_TOKENS = ("final.0.a.weight", "head.bias", "up.0.conv.weight", "pre.0.1.c.weight")
DECODER = ("top", "up.1.conv.weight", "pre.3.0.b.weight", "levels.0.fill.bias", "levels.7.embed.weight",
           "levels.10.block.c.bias")  # fmt: skip
PRIOR = ("prior.start", "prior.up.0.bias", "prior.mix.2.b.weight", "prior.levels.9.logits_odd.shift")


def tensors() -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with safe_open(SHIPPED / WEIGHTS, "np") as f:
        return {name: f.get_tensor(name) for name in f.keys()}, f.metadata()  # noqa: SIM118


def changed(folder: Path, *names: str, seed: int = 0) -> Path:
    """The shipped model in another folder, some tensors a little different; returns its weights file."""
    shutil.copytree(SHIPPED, folder)
    found, metadata = tensors()
    rng = np.random.default_rng(seed)
    for name in names:
        array = found[name]
        if array.dtype == np.float16:
            spread = float(array.astype(np.float32).std()) or 0.1
            found[name] = (array + rng.normal(0, 0.2 * spread, array.shape)).astype(np.float16)
        else:
            found[name] = array.copy()
            found[name].flat[0] ^= 1
    save_file(found, folder / WEIGHTS, metadata)
    return folder / WEIGHTS


def hash_of(path: Path) -> int:
    """By the text alone, and by the exporter where torch is there."""
    found = Weights(path, 6).hash
    try:
        from ltokc.train.export.package import bitstream_hash
    except ImportError:
        return found
    from safetensors.numpy import load_file

    assert bitstream_hash(load_file(path)) == found
    return found


@pytest.fixture
def shipped_hash() -> int:
    return registry.find(6).bitstream_hash


def test_the_hash_of_the_shipped_weights(shipped_hash: int) -> None:
    assert hash_of(SHIPPED / WEIGHTS) == shipped_hash


@pytest.mark.parametrize("name", [*ENCODER, *AFTER_TOKENS])
def test_what_may_improve(name: str, tmp_path: Path, shipped_hash: int) -> None:
    assert hash_of(changed(tmp_path / "model", name)) == shipped_hash


@pytest.mark.parametrize("name", [*DECODER, *PRIOR])
def test_what_a_file_is_bound_to(name: str, tmp_path: Path, shipped_hash: int) -> None:
    """A file made with such weights is refused by every verb that needs them."""
    other = hash_of(changed(tmp_path / "model", name))
    assert other != shipped_hash
    ltk = container.read(ltokc.encode(PICTURE, tokens=40))
    data = container.write(replace(ltk, header=replace(ltk.header, weights_hash=other)))
    for verb in (ltokc.decode, ltokc.verify, ltokc.tokens, lambda whole: ltokc.trim(whole, tokens=1)):
        with pytest.raises(ModelError, match=f"other weights of model ladder-6 .{other:04x}, here {shipped_hash:04x}"):
            verb(data)


def test_files_of_another_encoder_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shipped_hash: int) -> None:
    """Installed under the same id and hash it chooses other digits, and they mean the same to both."""
    path = changed(tmp_path / "ladder-6", *ENCODER)
    entry = next(
        item for item in json.loads((ROOT / "models" / "registry.json").read_text())["models"] if item["id"] == 6
    )
    entry["files"][WEIGHTS] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
    entry["bitstream_hash"] = hash_of(path)
    (tmp_path / registry.REGISTRY).write_text(json.dumps({"models": [entry]}))
    ours = ltokc.encode(PICTURE, 0.6)
    with monkeypatch.context() as patch:
        patch.setenv(registry.ENVIRONMENT, str(tmp_path))
        theirs = ltokc.encode(PICTURE, 0.6)
        there, pixels_there = ltokc.tokens(theirs).sha256(), np.asarray(ltokc.decode(theirs))
        assert registry.folder(registry.find(6)) == tmp_path / "ladder-6"
    assert registry.folder(registry.find(6)) != tmp_path / "ladder-6"
    ltokc.verify(theirs)
    here = ltokc.tokens(theirs).sha256()
    assert here == there != ltokc.tokens(ours).sha256()
    assert np.array_equal(np.asarray(ltokc.decode(theirs)), pixels_there)
