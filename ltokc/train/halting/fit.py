"""Fits the halting head (`ltokc.tokenizer.halting`) to a finished model, KARL's way: on labels that the model makes
itself.

A training picture is tokenized once and decoded after every level; what SSIMULACRA2 says of each decode, as a whole and
cell by cell, is the label.  Tokenizer and decoder stay as they are; the head is a perceptron of one hidden layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ltokc.entropy.segment import bits_of_cells
from ltokc.geometry import Size
from ltokc.metrics import by_cell
from ltokc.metrics.ssimulacra2 import Reference
from ltokc.token_grid import full_masks
from ltokc.tokenizer import halting
from ltokc.tokenizer.halting import FAR
from ltokc.tokenizer.runtime import Runtime
from ltokc.tokenizer.windows import Networks
from ltokc.zoo.model import Model

MISS = 0.14  # logarithm of an error ratio that counts as a miss: about a tenth of the distance to 100 points
MISSES = 0.03  # share of pictures and levels that may miss by more, after `calibrated`
APART = 6  # every so many-th label is kept apart to calibrate on
PULL = 2.3  # beyond this log-ratio of true to predicted distortion the loss is linear
PIVOT = 7  # the level after whose decodes the error is taken as linear in a cell's moments


@dataclass(frozen=True, slots=True)
class Label:
    """What a picture measured.  features (rows, columns, features); moments: per level; bits (levels, rows, columns) of
    each level alone."""

    features: np.ndarray
    moments: list[by_cell.Moments]
    bits: np.ndarray


def label(model: Model, runtime: Runtime, rgb: np.ndarray) -> Label:
    """Tokenizes and decodes a picture (H, W, 3) uint8, sides of 8 and more, after every level."""
    networks = Networks(runtime, model.levels, model.field, model.tiling)
    tokens, size = networks.tokenize(rgb), Size.of(rgb)
    reference, found = Reference(rgb), []
    for depth in range(1, len(model.levels) + 1):
        masks = full_masks(model.levels, *size.grid, np.full(size.grid, depth))
        found.append(by_cell.moments(reference, networks.detokenize(tokens.only(masks), size)))
    features = np.concatenate([halting.digit_features(tokens.digits, model.levels), halting.pixel_features(rgb)], -1)
    return Label(features, found, bits_of_cells(model.prior, tokens.digits))


def sensitivity_of(labels: Sequence[Label]) -> np.ndarray:
    """The sensitivity that makes distortion of moments, at the mean norms of these pictures after `PIVOT` levels."""
    return by_cell.sensitivity_at(np.mean([each.moments[PIVOT - 1].norms() for each in labels], 0))


def calibrated(labels: Sequence[Label], **options: float) -> tuple[dict[str, np.ndarray], float]:
    """Tensors of `ltokc.tokenizer.halting.Head`, and by how much its errors were raised, as a logarithm, so that few
    look worse.

    The raise is what pictures need that a head fitted to the others has not seen.
    """
    sensitivity = sensitivity_of(labels)
    apart, rest = labels[::APART], [each for i, each in enumerate(labels) if i % APART]
    tensors = fit(rest, sensitivity, **options)
    wrong = [
        np.log([m.error() for m in each.moments]) - np.log(halting.predict(tensors, each.features).errors)
        for each in apart
    ]
    middle = slice(len(labels[0].bits) // 4, None)  # the coarsest levels look bad whatever is expected
    margin = max(0.0, float(np.quantile(np.stack(wrong)[:, middle], 1 - MISSES)) - MISS)
    tensors = fit(labels, sensitivity, **options)
    tensors["picture.bias"] = tensors["picture.bias"] + np.float32(margin)
    return tensors, margin


def fit(
    labels: Sequence[Label], sensitivity: np.ndarray, *, hidden: int = 64, steps: int = 3000, seed: int = 0,
    decay: float = 1e-3,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Tensors of `ltokc.tokenizer.halting.Head`, float32.  `decay` is the weight decay of AdamW."""
    torch.manual_seed(seed)
    levels = len(labels[0].bits)
    inputs = [halting.with_context(each.features).reshape(-1, 3 * each.features.shape[-1]) for each in labels]
    x = torch.from_numpy(np.concatenate(inputs))
    distortion = [np.stack([m.distortion(sensitivity).ravel() for m in each.moments], -1) for each in labels]
    targets = [
        np.log(np.concatenate([np.maximum(cells, 1e-2), np.maximum(each.bits.reshape(levels, -1).T, 1.0)], -1))
        for cells, each in zip(distortion, labels, strict=True)
    ]
    y = torch.from_numpy(np.concatenate(targets)).float()
    owner = torch.from_numpy(np.repeat(np.arange(len(labels)), [len(each) for each in inputs]))
    count = torch.bincount(owner, minlength=len(labels)).float()[:, None]
    about = torch.from_numpy(np.stack([halting.picture_features(each.features) for each in labels]))
    errors = torch.tensor([[np.log(m.error()) for m in each.moments] for each in labels], dtype=torch.float32)
    mean, deviation = x.mean(0), x.std(0) + 1e-3
    about_mean, about_deviation = about.mean(0), about.std(0) + 1e-3
    x = ((x - mean) / deviation).clamp(-FAR, FAR)
    about = ((about - about_mean) / about_deviation).clamp(-FAR, FAR)
    first, last = torch.nn.Linear(x.shape[1], hidden), torch.nn.Linear(hidden, 2 * levels)
    picture = torch.nn.Linear(about.shape[1], levels)
    pooled_weight = torch.nn.Parameter(torch.full((levels,), 0.7))
    torch.nn.init.zeros_(picture.weight)
    with torch.no_grad():
        last.bias.copy_(y.mean(0))
        mean_distortion = torch.log(torch.tensor(np.stack([cells.mean(0) for cells in distortion]))).float()
        picture.bias.copy_((errors - 0.7 * mean_distortion).mean(0))
    parameters = [p for module in (first, last, picture) for p in module.parameters()] + [pooled_weight]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.rand(len(labels)) < 0.3  # a share of the pictures per step, against learning them by heart
        rows = chosen[owner]
        guess = last(F.relu(first(x[rows] + 0.1 * torch.randn_like(x[rows]))))
        noisy = about[chosen] + 0.1 * torch.randn_like(about[chosen])
        sums = torch.zeros(len(labels), levels).index_add_(0, owner[rows], guess[:, :levels].exp())
        pooled = (sums[chosen] / count[chosen]).log()
        error = pooled.detach() * pooled_weight + picture(noisy)
        loss = (
            _deviance(guess[:, :levels], y[rows][:, :levels])
            + 0.3 * F.smooth_l1_loss(guess[:, levels:], y[rows][:, levels:], beta=0.5)
            + F.smooth_l1_loss(pooled, mean_distortion[chosen], beta=0.2)
            + 2 * F.smooth_l1_loss(error, errors[chosen], beta=0.1)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    tensors = {
        "mean": mean, "deviation": deviation, "hidden.weight": first.weight, "hidden.bias": first.bias,
        "out.weight": last.weight, "out.bias": last.bias, "picture.mean": about_mean,
        "picture.deviation": about_deviation, "picture.weight": picture.weight, "picture.bias": picture.bias,
        "pooled": pooled_weight, "slopes": torch.from_numpy(sensitivity),
    }  # fmt: skip
    return {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}


def _deviance(guess: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Of a gamma distribution whose logarithmic mean is guessed; a truth far over its guess pulls as one 10 times it.

    Beyond that it goes on as a straight line.  Were it constant there, such a guess would be pushed further down.
    """
    off = truth - guess
    near = off.clamp(max=PULL)
    return (near.exp() - near + (off - near) * (math.exp(PULL) - 1)).mean()


def save_label(label: Label, path: Path) -> None:
    """Atomic; `load_label` reads it."""
    temporary = path.with_suffix(".tmp.npz")
    cells = np.stack([each.cells for each in label.moments])
    np.savez(temporary, features=label.features, moments=cells, bits=label.bits)
    temporary.replace(path)


def load_label(path: Path) -> Label:
    with np.load(path) as found:
        return Label(found["features"], [by_cell.Moments(cells) for cells in found["moments"]], found["bits"])
