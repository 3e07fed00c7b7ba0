"""What digits do to the colour of large areas: as the shipped response says, and as a fresh fit finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from ltokc.errors import ModelError
from ltokc.geometry import Size
from ltokc.metrics.colour import pooled
from ltokc.rate.plan import uniform
from ltokc.token_grid import Tokens
from ltokc.tokenizer import colour
from ltokc.tokenizer.colour import ColourResponse, coarse
from ltokc.zoo.model import open_model
from tests.support.cli_runner import ROOT

pytest.importorskip("onnxruntime")


def photographs() -> list[np.ndarray]:
    """(192, 192, 3) uint8 of two pictures."""
    out = []
    for name in ("coffee.jpg", "astronaut.jpg"):
        with Image.open(ROOT / "examples" / name) as image:
            out.append(np.asarray(image.convert("RGB"))[40:232, 60:252])
    return out


@pytest.mark.parametrize("k", [0, 2, 4])
def test_a_digit_does_what_its_kernel_says(k: int) -> None:
    """One digit in the middle moved by one, at each of the digits that say most."""
    model = open_model()
    networks, response = model.networks(), model.colour
    assert response is not None
    picture = photographs()[0]
    size = Size.of(picture)
    tokens = networks.tokenize(picture)
    kept = tokens.only(uniform(6.0, tuple(size.grid)).masks(model.levels))
    before = pooled(networks.detokenize(kept, size))
    level, half = response.levels[k], model.levels[k].size // 2
    j = int(np.square(level.kernels).sum((1, 2, 3)).argmax())
    y = x = kept.digits[k].shape[0] // 2
    digits = [np.array(grid) for grid in kept.digits]
    way = -1 if digits[k][y, x, j] == half else 1
    digits[k][y, x, j] += way
    change = pooled(networks.detokenize(Tokens(kept.levels, digits, kept.masks), size)) - before
    side = level.side
    seen = change[(y - 1) * side : (y + 2) * side, (x - 1) * side : (x + 2) * side].ravel()
    said = way * level.kernels[j][: seen.size // 3 // (3 * side)].ravel()
    assert np.corrcoef(seen, said)[0, 1] > 0.8
    assert 0.4 < np.linalg.norm(said) / np.linalg.norm(seen) < 2.5


def test_a_fit_finds_the_shipped_response() -> None:
    pytest.importorskip("torch")
    from ltokc.train.colour import fit

    model = open_model()
    found = fit(photographs(), model.networks(), seed=3)
    assert model.colour is not None and len(found.levels) == len(coarse(model.levels))
    for mine, shipped in zip(found.levels, model.colour.levels, strict=True):
        assert mine.kernels.shape == shipped.kernels.shape and np.isfinite(mine.bits).all()
    centre = found.levels[1].kernels[:, 2:4, 2:4].ravel(), model.colour.levels[1].kernels[:, 2:4, 2:4].ravel()
    assert np.corrcoef(*centre)[0, 1] > 0.7


def test_files_that_are_none(tmp_path: Path) -> None:
    model, path = open_model(), tmp_path / colour.FILE
    tensors = load_file(model.folder / colour.FILE)
    for damaged in (
        {k: v for k, v in tensors.items() if k != "bits.3"}, tensors | {"kernels.0": tensors["kernels.0"][:2]},
        tensors | {"texture.1": tensors["texture.1"] * np.float32("nan")},
    ):  # fmt: skip
        save_file(damaged, path)
        with pytest.raises(ModelError, match="colour.safetensors"):
            ColourResponse.load(path, model.levels)
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot read"):
        ColourResponse.load(path, model.levels)
    again = ColourResponse.load(model.folder / colour.FILE, model.levels).tensors()
    assert all(np.array_equal(again[name], tensors[name]) for name in tensors)
