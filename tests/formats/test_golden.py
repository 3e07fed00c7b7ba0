"""formats/golden/v1: files of the released format decode to what they always did, and are what they always were."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ltokc
from ltokc import container
from ltokc.container import Ltk, patches
from ltokc.container.chunks import STAGES
from ltokc.zoo import registry
from tests.support.golden_files import FILES, GOLDEN, GOOD, MANIFEST
from tests.support.independent_picture import picture_of
from tests.support.independent_reader import Refused, Weights, read

pytest.importorskip("onnxruntime")
every_file = pytest.mark.parametrize("name", FILES)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def the(name: str) -> tuple[bytes, dict[str, Any]]:
    return (GOOD / name).read_bytes(), FILES[name]


def listed(chunks: Iterable[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    return [{"name": name.decode(), "bytes": len(data), "sha256": sha256(data)} for name, data in chunks]


@cache
def weights(model_id: int) -> Weights:
    return Weights(registry.folder(registry.find(model_id)) / "model.safetensors", model_id)


# --- the files are those of the manifest -----------------------------------------------------------------------------
def test_the_manifest_lists_every_file_and_no_other() -> None:
    assert {path.name for path in GOOD.glob("*.ltk")} == set(FILES)
    assert {path.stem for path in (GOOD / "pixels").iterdir()} == {Path(name).stem for name in FILES}
    assert sum(path.stat().st_size for path in GOOD.rglob("*") if path.is_file()) < 400_000 * len(MANIFEST["models"])


@every_file
def test_a_golden_file_is_never_made_again(name: str) -> None:
    data, known = the(name)
    assert (sha256(data), len(data)) == (known["sha256"], known["bytes"])


@cache
def maker() -> ModuleType:
    """formats/golden/make.py."""
    spec = importlib.util.spec_from_file_location("make_golden", GOLDEN / "make.py")
    assert spec and spec.loader
    make = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(GOLDEN)  # where its cases are
        spec.loader.exec_module(make)
    return make


@pytest.mark.parametrize("model_id", MANIFEST["models"])
def test_a_released_model_stays(model_id: str) -> None:
    known = MANIFEST["models"][model_id]
    entry = registry.find(int(model_id))
    weights = registry.folder(entry) / "model.safetensors"
    assert (entry.name, maker().decoder_sha256(weights)) == (known["name"], known["decoder_sha256"])


# --- what the codec makes of them ------------------------------------------------------------------------------------
@every_file
def test_info(name: str) -> None:
    data, known = the(name)
    about = ltokc.info(data)
    for key in ("width", "height", "segments", "tokens", "bytes"):
        assert getattr(about, key) == known[key], key
    assert about.model_id == known["model"] and about.version == MANIFEST["format"] and not about.truncated
    assert listed((c.fourcc, c.data) for c in container.read(data).chunks) == known.get("chunks", [])


@every_file
def test_tokens(name: str) -> None:
    data, known = the(name)
    found = ltokc.tokens(data)
    assert (found.count, found.sha256()) == (known["tokens"], known["tokens_sha256"])
    ltokc.verify(data)


@every_file
def test_cut_files(name: str) -> None:
    data, known = the(name)
    for cut in known["cut"]:
        part = data[: cut["bytes"]]
        with pytest.raises(ltokc.FormatError):
            ltokc.tokens(part)
        if "error" in cut:
            with pytest.raises(ltokc.FormatError):
                ltokc.tokens(part, allow_truncated=True)
            continue
        found = ltokc.tokens(part, allow_truncated=True)
        assert (found.count, found.sha256()) == (cut["tokens"], cut["tokens_sha256"])


@every_file
@pytest.mark.parametrize(
    ("backend", "precision", "kind"),
    [("onnx", "exact", "reference"), ("onnx", "auto", "fast"), ("torch", "auto", "reference")],
)
def test_pixels_are_within_the_bound(name: str, backend: str, precision: str, kind: str) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    data, known = the(name)
    image = ltokc.decode(data, backend=backend, device="cpu", precision=precision)
    assert image.size == (known["width"], known["height"])
    assert image.mode == known["mode"] and ("A" in image.mode) == ("alpha_sha256" in known)
    if "A" in image.mode:
        assert sha256(image.getchannel("A").tobytes()) == known["alpha_sha256"]
    with Image.open(GOOD / "pixels" / f"{Path(name).stem}.webp") as reference:
        wanted = np.asarray(reference.convert("RGB"), np.int64)
    left, top = known["pixels_from"]
    difference = np.asarray(image.convert("RGB"), np.int64)[top:, left:] - wanted
    bound = known["pixels"][kind]
    assert abs(difference).max() <= bound["max_difference"]
    assert (difference**2).mean() <= 255**2 / 10 ** (bound["min_psnr"] / 10)


@every_file
def test_both_classes_have_their_bounds(name: str) -> None:
    """Those of section 5 of the specification."""
    rows = re.findall(
        r"^\| (reference|fast) \| .* \| (\d+) \| (\d+) dB \|$", (GOLDEN.parent / "LTK.md").read_text(), re.M
    )
    wanted = {name: {"max_difference": int(most), "min_psnr": int(least)} for name, most, least in rows}
    assert set(wanted) == {"reference", "fast"} and FILES[name]["pixels"] == wanted


@every_file
def test_crops_and_halves_of_them(name: str) -> None:
    """What chunks change is the same in a crop, and a smaller picture has its mode."""
    data, known = the(name)
    width, height = known["width"], known["height"]
    whole = ltokc.decode(data, backend="onnx", device="cpu")
    left, top = width // 3, height // 4
    box = (left, top, max(1, width // 2), max(1, height // 2))
    part = ltokc.decode(data, crop=box, backend="onnx", device="cpu")
    of_whole = whole.crop((left, top, left + box[2], top + box[3]))
    difference = np.abs(np.asarray(part, np.int64) - np.asarray(of_whole))
    assert part.mode == whole.mode and part.size == of_whole.size and difference.max() <= 2
    small = ltokc.decode(data, reduce=2, backend="onnx", device="cpu")
    assert small.mode == whole.mode and small.size == (-(-width // 2), -(-height // 2))


# --- what a reader makes of them that was written from the text alone ------------------------------------------------
@every_file
def test_the_independent_reader_agrees(name: str) -> None:
    data, known = the(name)
    theirs = weights(known["model"])
    sizes = [size for _, _, size in theirs.levels]
    header, found, alpha = read(data, theirs)
    assert (header.width, header.height, header.cut) == (known["width"], known["height"], False)
    assert found.sha256(sizes) == known["tokens_sha256"]
    assert listed(header.chunks) == known.get("chunks", [])
    assert (None if alpha is None else sha256(alpha.tobytes())) == known.get("alpha_sha256")
    for cut in known["cut"]:
        part = data[: cut["bytes"]]
        with pytest.raises(Refused):
            read(part, theirs)
        if "error" in cut:
            with pytest.raises(Refused):
                read(part, theirs, allow_truncated=True)
        else:
            header, found, _ = read(part, theirs, allow_truncated=True)
            assert header.cut and found.sha256(sizes) == cut["tokens_sha256"]


@every_file
def test_the_independent_reader_shows_the_same_picture(name: str) -> None:
    """From the pixels of the tokens on all is exact: colour grid, patches, gray."""
    data, known = the(name)
    header, _, alpha = read(data, weights(known["model"]))
    record = container.read(data)
    plain = Ltk(replace(record.header, gray=False, alpha=False), record.segments)
    learned = np.asarray(ltokc.decode(container.write(plain), backend="onnx", device="cpu"))
    shown = ltokc.decode(data, backend="onnx", device="cpu")
    bands = [np.asarray(band) for band in shown.getbands() and shown.split()]
    if alpha is not None:
        assert np.array_equal(bands.pop(), alpha)
    wanted = picture_of(header, learned)
    assert np.array_equal(np.dstack(bands) if len(bands) == 3 else bands[0], wanted)
    changed = header.gray or any(name in (b"cOLr", b"pTCH") for name, _ in header.chunks)
    assert changed == (wanted.shape != learned.shape or bool((wanted != learned).any()))


def test_the_features_are_there() -> None:
    """A golden file of every flag, chunk, segment side and kind of end, so that none can be broken unseen."""
    read_files = [container.read((GOOD / name).read_bytes()) for name in FILES]
    assert {c.fourcc for f in read_files for c in f.chunks} >= {*STAGES, b"zzZz"}
    assert {f.segment_cells for f in read_files} == {0, 8, 16, 32}
    assert {c.data[0] for f in read_files for c in f.chunks if c.fourcc == b"ALPH"} == {0, 1, 2, 3}
    assert {c.data[0] for f in read_files for c in f.chunks if c.fourcc == b"cOLr"} == {0, 1, 2}
    seen = [patches.parse(c.data, f.header) for f in read_files for c in f.chunks if c.fourcc == b"pTCH"]
    assert {p.coding for p in seen} == {2, 3, 4} and {bool(p.feather) for p in seen} == {True, False}
    assert max(len(p.rectangles) for p in seen) > 1 and max(p.segment for p in seen) > 1
    assert {(f.header.gray, f.header.alpha) for f in read_files} == {(g, a) for g in (0, 1) for a in (0, 1)}
    assert {len(f.segments) for f in read_files} >= {1, 2, 4}
    assert any(s.depth_map and s.tokens for f in read_files for s in f.segments)
    assert {0, 1, 377} <= {s.tokens for f in read_files for s in f.segments}


# --- their maker -----------------------------------------------------------------------------------------------------
def test_the_maker_leaves_what_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = maker()
    shutil.copytree(GOOD, tmp_path / "v1")
    (tmp_path / "v1" / "6-tokens-0.ltk").unlink()  # a file that was lost is not made up for
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(make, "HERE", tmp_path)
    result = CliRunner().invoke(make.main, ["--model", "6"])
    assert result.exit_code == 0 and result.output.count("is there and stays") == len(make.CASES)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


# --- what other programs see of them ---------------------------------------------------------------------------------
@pytest.mark.skipif(not shutil.which("file"), reason="file(1) is not installed")
def test_file_knows_them() -> None:
    magic = GOLDEN.parent / "ltk.magic"
    for name in FILES:
        flags = (GOOD / name).read_bytes()[4]
        wanted = "LTK image data, version 1" + ", segmented" * bool(flags & 2) + ", gray" * bool(flags & 8)
        wanted += ", with alpha" * bool(flags & 4)
        done = subprocess.run(["file", "-b", "-m", magic, GOOD / name], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == wanted
    kind = subprocess.run(["file", "-b", "--mime-type", "-m", magic, GOOD / name], capture_output=True, text=True)
    assert kind.stdout.strip() == "image/x-ltk"


def test_the_mime_type_fits_them() -> None:
    root = ElementTree.parse(GOLDEN.parent / "ltk-mime.xml").getroot()
    space = "{http://www.freedesktop.org/standards/shared-mime-info}"
    (kind,) = root.findall(f"{space}mime-type")
    (match,) = kind.findall(f"{space}magic/{space}match")
    (glob,) = kind.findall(f"{space}glob")
    magic = match.attrib["value"].encode("ascii").decode("unicode_escape").encode("latin-1")
    assert kind.attrib["type"] == "image/x-ltk" and (match.attrib["type"], match.attrib["offset"]) == ("string", "0")
    assert all((GOOD / name).read_bytes().startswith(magic) for name in FILES)
    assert all(PurePath(name).match(glob.attrib["pattern"]) for name in FILES)
