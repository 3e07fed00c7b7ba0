"""Gradients by the digits, compared with those of autograd."""

from __future__ import annotations

import numpy as np

from ltokc.tokenizer.runtime import Runtime

TOLERANCE = 1e-4  # of the largest value of a level

Arrays = list[np.ndarray]


def as_given(digits: Arrays, masks: Arrays) -> tuple[Arrays, Arrays]:
    """Grids as runtimes take them: (1, d, h, w) int8 and (1, 1, h, w) uint8."""
    return [np.ascontiguousarray(d.transpose(2, 0, 1)[None]) for d in digits], [
        m[None, None].astype(np.uint8) for m in masks
    ]


def of_a_loss(picture: np.ndarray) -> np.ndarray:
    """The gradient of a loss that treats no pixel, row, column or colour like another."""
    weight = np.random.default_rng(2).normal(size=picture.shape).astype(np.float32)
    return weight + 0.3 * picture * np.abs(weight)


def by_torch(net: object, digits: Arrays, masks: Arrays) -> tuple[np.ndarray, Arrays]:
    """The picture (H, W, 3) and the gradient by all digits, as autograd has it, in fp32."""
    import torch

    values = [torch.from_numpy(d).float().requires_grad_(True) for d in digits]
    shown = net.picture(values, [torch.from_numpy(m).float() for m in masks])  # type: ignore[attr-defined]
    picture = shown.detach()[0].permute(1, 2, 0).numpy()
    shown.backward(torch.from_numpy(of_a_loss(picture)).permute(2, 0, 1)[None])
    return picture, [value.grad.numpy() for value in values]  # type: ignore[union-attr]


def compared(runtime: Runtime, net: object, digits: Arrays, masks: Arrays, first: int, tolerance: float) -> None:
    seen: Arrays = []

    def by_pixels(picture: np.ndarray) -> np.ndarray:
        seen.append(picture)
        return of_a_loss(picture)

    found = runtime.digit_gradient(digits, masks, by_pixels)
    picture, expected = by_torch(net, digits, masks)
    (shown,) = seen
    assert shown.dtype == np.float32 and shown.shape == picture.shape and np.abs(picture).max() > 1  # not clamped
    assert np.abs(shown - picture).max() <= tolerance * np.abs(picture).max()
    assert all(each is None for each in found[:first]) and len(found) == len(digits)
    for k in range(first, len(digits)):
        each, wanted = found[k], expected[k]
        assert each is not None and each.dtype == np.float32 and each.shape == digits[k].shape
        assert not each[np.broadcast_to(masks[k] == 0, each.shape)].any()
        assert np.abs(each - wanted).max() <= tolerance * np.abs(wanted).max() and wanted.any(), k
