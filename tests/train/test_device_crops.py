"""Crops that are cut on the device: the same pictures at the same scales as those that processes cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ltokc.train.data import device_crops  # noqa: E402
from ltokc.train.data.crops import Crops  # noqa: E402
from ltokc.train.data.device_crops import DeviceCrops  # noqa: E402
from ltokc.train.data.pictures import Pictures, build_cache  # noqa: E402
from ltokc.train.recipe import Recipe  # noqa: E402
from tests.support.pictures import grainy  # noqa: E402

RECIPE = Recipe(batch=16, crop=64, steps=1, text_share=0.0)


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    import io
    import tarfile

    from PIL import Image

    for name in ("a", "b"):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            for i in range(3):
                data = io.BytesIO()
                Image.fromarray(grainy(150 + 10 * i, 130, seed=i + 10 * (name == "b"))).save(data, "PNG")
                member = tarfile.TarInfo(f"{i}.png")
                member.size = len(data.getvalue())
                tar.addfile(member, io.BytesIO(data.getvalue()))
    return Pictures([tmp_path / "a.tar"], tmp_path / "cache")


def test_a_step_s_batch_is_always_the_same(pictures: Pictures, tmp_path: Path) -> None:
    crops = DeviceCrops(pictures, RECIPE, "cpu")
    first = next(crops.from_step(3))
    assert first.shape == (16, 64, 64, 3) and first.dtype == torch.uint8
    assert torch.equal(first, DeviceCrops(pictures, RECIPE, "cpu").batch(3))
    assert not torch.equal(first, crops.batch(4)) and not torch.equal(
        first, DeviceCrops(pictures, RECIPE, "cpu", 1).batch(3)
    )
    build_cache([tmp_path / "a.tar", tmp_path / "b.tar"], tmp_path / "cache")
    crops.batch(5)
    assert len(crops.bytes) == sum(int(h) * int(w) * 3 for _, h, w in pictures.index) and len(pictures) == 6


def test_unscaled_crops_are_pixels_of_the_pictures(pictures: Pictures) -> None:
    crops = DeviceCrops(pictures, RECIPE, "cpu")
    crops._take()
    rows, corners, sides = pictures.index[[0, 2]], np.array([[5, 7], [60, 90]]), np.array([64, 64])
    cut = crops._cut(rows, corners, sides)
    for matrix, wanted in (
        (device_crops.TURNS[0], lambda a: a),
        (device_crops.TURNS[2], lambda a: a[::-1, ::-1]),
        (device_crops.TURNS[0] * [[-1], [1]], lambda a: a[:, ::-1]),
        (device_crops.TURNS[1], lambda a: np.rot90(a, -1)),
    ):
        found = crops._scaled(cut, sides, np.stack([matrix, matrix]).astype(np.float32)).permute(0, 2, 3, 1).numpy()
        for picture, (top, left), crop in zip((pictures[0], pictures[2]), corners, found, strict=True):
            expected = wanted(picture[top : top + 64, left : left + 64])
            assert np.abs(crop - expected).max() < 0.01


def test_scaled_crops_have_the_moments_of_those_on_the_cpu(pictures: Pictures) -> None:
    wide = replace(RECIPE, batch=200)
    device = DeviceCrops(pictures, wide, "cpu").batch(0).numpy().astype(float)
    host = next(Crops(pictures, 64, 200, np.random.default_rng(0), 0.0)).astype(float)
    for moment in (lambda a: a.mean(), lambda a: a.std(), lambda a: np.abs(np.diff(a, axis=1)).mean()):
        assert moment(device) == pytest.approx(moment(host), rel=0.06)


def test_made_up_pages_and_other_colours(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_crops, "POOL", 4)
    pages = DeviceCrops(pictures, replace(RECIPE, text_share=1.0), "cpu")
    assert pages.pool is not None and len(pages.pool) == 4
    assert all(any(torch.equal(crop, page) for page in pages.pool) for crop in pages.batch(0))
    plain, changed = (DeviceCrops(pictures, replace(RECIPE, jitter=j), "cpu").batch(0).float() for j in (0.0, 0.1))
    off = (changed - plain).mean((1, 2))
    assert 1 < off.abs().mean() < 30
