"""Fits the halting head (`ltokc.tokenizer.halting`) to the labels of a finished model.

Tokenizer and decoder stay as they are.  The head is a perceptron of one hidden layer; its guesses of every cell are
summed up for the picture and corrected by a linear function of the picture's own features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ltokc.metrics import by_cell
from ltokc.tokenizer import halting
from ltokc.tokenizer.halting import FAR
from ltokc.train.halting.labels import Label

MISS = 0.14  # logarithm of an error ratio that counts as a miss: about a tenth of the distance to 100 points
MISSES = 0.03  # share of pictures and levels that may miss by more, after `calibrated`
RESERVE = np.float32(0.1)  # by which the errors of a head that was only moved are raised, as logarithms
APART = 6  # every so many-th label is kept apart to calibrate on
PULL = 2.3  # beyond this log-ratio of true to predicted distortion the loss is linear
PIVOT = 7  # the level after whose decodes the error is taken as linear in a cell's moments
POOLED = 0.7  # power of the cells' mean distortion in the picture's error, at the start of the fit
RATE, MOST = 3e-3, 5e-3  # learning rate: of AdamW, and at the top of its cycle
NOISE = 0.1  # deviation of what is added to the features in every step
SHARE = 0.3  # of the pictures that a step sees, against learning them by heart


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


def shifted(labels: Sequence[Label], tensors: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """A head for an encoder that has changed little: what the old one says, moved at each level by its mean error.

    So many numbers need few labels, from which nothing follows of how far single pictures miss: errors are raised by
    `RESERVE`, which comes second.
    """
    found = dict(tensors)

    def residuals() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logarithms of measured over predicted: distortion, bits and errors, (pictures, levels) each."""
        rows = []
        for each in labels:
            guess = halting.predict(found, each.features)
            measured = np.stack([m.distortion(found["slopes"]).mean() for m in each.moments])
            alone = np.diff(guess.bits, axis=0, prepend=0).mean((1, 2))
            rows.append((
                np.log(measured / guess.distortion.mean((1, 2))),
                np.log(np.maximum(each.bits.mean((1, 2)), 1.0) / np.maximum(alone, 1.0)),
                np.log([m.error() for m in each.moments] / guess.errors),
            ))  # fmt: skip
        distortion, bits, errors = (np.stack(column) for column in zip(*rows, strict=True))
        return distortion, bits, errors

    distortion, bits, _ = residuals()
    moves = np.concatenate([np.median(distortion, 0), np.median(bits, 0)]).astype(np.float32)
    found["out.bias"] = found["out.bias"] + moves
    found["picture.bias"] = found["picture.bias"] + np.median(residuals()[2], 0).astype(np.float32) + RESERVE
    usual = np.mean([each.bits.mean((1, 2)) for each in labels], 0).cumsum()
    return found | {halting.USUAL: usual.astype(np.float32)}, float(RESERVE)


@dataclass(frozen=True, slots=True)
class Examples:
    """All labels as tensors.  `levels` of the model; cells of all pictures in one axis.

    x (cells, features), of mean 0 and deviation 1; owner (cells,): the picture of each; distortion and bits (cells,
    levels), as logarithms; about (pictures, features); errors and mean_distortion (pictures, levels), as logarithms;
    count (pictures, 1): cells.  mean, deviation, about_mean, about_deviation: of the features before.
    """

    x: torch.Tensor
    owner: torch.Tensor
    distortion: torch.Tensor
    bits: torch.Tensor
    about: torch.Tensor
    errors: torch.Tensor
    mean_distortion: torch.Tensor
    count: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor
    about_mean: torch.Tensor
    about_deviation: torch.Tensor

    @classmethod
    def of(cls, labels: Sequence[Label], sensitivity: np.ndarray) -> Examples:
        """sensitivity: of the error to a cell's moments, which makes its distortion (`sensitivity_of`)."""
        levels = len(labels[0].bits)
        inputs = [halting.with_context(each.features).reshape(-1, 3 * each.features.shape[-1]) for each in labels]
        distortion = [np.stack([m.distortion(sensitivity).ravel() for m in each.moments], -1) for each in labels]
        bits = [each.bits.reshape(levels, -1).T for each in labels]
        x, mean, deviation = _standardised(torch.from_numpy(np.concatenate(inputs)))
        about, about_mean, about_deviation = _standardised(
            torch.from_numpy(np.stack([halting.picture_features(each.features) for each in labels]))
        )
        owner = torch.from_numpy(np.repeat(np.arange(len(labels)), [len(each) for each in inputs]))
        return cls(
            x=x, owner=owner, about=about,
            distortion=torch.from_numpy(np.log(np.maximum(np.concatenate(distortion), 1e-2))).float(),
            bits=torch.from_numpy(np.log(np.maximum(np.concatenate(bits), 1.0))).float(),
            errors=torch.tensor([[np.log(m.error()) for m in each.moments] for each in labels], dtype=torch.float32),
            mean_distortion=torch.log(torch.tensor(np.stack([cells.mean(0) for cells in distortion]))).float(),
            count=torch.bincount(owner, minlength=len(labels)).float()[:, None],
            mean=mean, deviation=deviation, about_mean=about_mean, about_deviation=about_deviation,
        )  # fmt: skip

    def usual_bits(self) -> torch.Tensor:
        """(levels,) bits of a cell up to every level: the pictures' means."""
        sums = torch.zeros(len(self.count), self.bits.shape[1]).index_add_(0, self.owner, self.bits.exp())
        return (sums / self.count).mean(0).cumsum(0)


def _standardised(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features of mean 0 and deviation 1, clamped to `FAR`; their mean and deviation before."""
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    return ((features - mean) / deviation).clamp(-FAR, FAR), mean, deviation


class TrainedHead(torch.nn.Module):
    """The head's layers; at first they say the means of all examples."""

    def __init__(self, examples: Examples, hidden: int):
        super().__init__()
        levels = examples.distortion.shape[1]
        self.first = torch.nn.Linear(examples.x.shape[1], hidden)
        self.last = torch.nn.Linear(hidden, 2 * levels)
        self.picture = torch.nn.Linear(examples.about.shape[1], levels)
        self.pooled = torch.nn.Parameter(torch.full((levels,), POOLED))
        torch.nn.init.zeros_(self.picture.weight)
        with torch.no_grad():
            self.last.bias.copy_(torch.cat([examples.distortion, examples.bits], 1).mean(0))
            self.picture.bias.copy_((examples.errors - POOLED * examples.mean_distortion).mean(0))

    def loss(self, examples: Examples) -> torch.Tensor:
        """Of a random share of the pictures, their features with noise."""
        pictures, levels = examples.errors.shape
        chosen = torch.rand(pictures) < SHARE
        rows = chosen[examples.owner]
        x, about = examples.x[rows], examples.about[chosen]
        guess = self.last(F.relu(self.first(x + NOISE * torch.randn_like(x))))
        noisy = about + NOISE * torch.randn_like(about)
        sums = torch.zeros(pictures, levels).index_add_(0, examples.owner[rows], guess[:, :levels].exp())
        pooled = (sums[chosen] / examples.count[chosen]).log()
        error = pooled.detach() * self.pooled + self.picture(noisy)
        return (
            deviance(guess[:, :levels], examples.distortion[rows])
            + 0.3 * F.smooth_l1_loss(guess[:, levels:], examples.bits[rows], beta=0.5)
            + F.smooth_l1_loss(pooled, examples.mean_distortion[chosen], beta=0.2)
            + 2 * F.smooth_l1_loss(error, examples.errors[chosen], beta=0.1)
        )

    def tensors(self, examples: Examples, sensitivity: np.ndarray) -> dict[str, np.ndarray]:
        """What `ltokc.tokenizer.halting.Head` reads, float32."""
        found = {
            "mean": examples.mean, "deviation": examples.deviation, "hidden.weight": self.first.weight,
            "hidden.bias": self.first.bias, "out.weight": self.last.weight, "out.bias": self.last.bias,
            "picture.mean": examples.about_mean, "picture.deviation": examples.about_deviation,
            "picture.weight": self.picture.weight, "picture.bias": self.picture.bias, "pooled": self.pooled,
            "slopes": torch.from_numpy(sensitivity), halting.USUAL: examples.usual_bits(),
        }  # fmt: skip
        return {name: tensor.detach().float().numpy() for name, tensor in found.items()}


def fit(
    labels: Sequence[Label], sensitivity: np.ndarray, *, hidden: int = 64, steps: int = 3000, seed: int = 0,
    decay: float = 1e-3,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Tensors of `ltokc.tokenizer.halting.Head`, float32.

    hidden: units of the hidden layer; steps, seed: of the fit; decay: weight decay of AdamW.
    """
    torch.manual_seed(seed)
    examples = Examples.of(labels, sensitivity)
    head = TrainedHead(examples, hidden)
    parameters = [p for module in (head.first, head.last, head.picture) for p in module.parameters()]
    optimizer = torch.optim.AdamW([*parameters, head.pooled], lr=RATE, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, MOST, total_steps=steps)
    for _ in range(steps):
        loss = head.loss(examples)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.tensors(examples, sensitivity)


def deviance(guess: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean deviance of a gamma distribution whose logarithmic mean is guessed; linear beyond `PULL`.

    A truth far over its guess pulls as one 10 times it.  Were the loss constant there, such a guess would be pushed
    further down.
    """
    off = truth - guess
    near = off.clamp(max=PULL)
    return (near.exp() - near + (off - near) * (math.exp(PULL) - 1)).mean()
