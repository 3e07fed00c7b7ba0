"""What the prior is worth: bits per token under several ways to code the same tokens.

    python -m bench prior --images DIR [--float RUN/ema.safetensors] --out prior.json

fixed       every digit as one of `size` equally likely values
order-0     one table per level and digit, taken from these very pictures (a bound: the table itself is not counted)
adaptive    integer counts per picture, level and digit that start even and learn as they go
contextual  adaptive counts that also see the magnitudes of the left and upper token of the same level (four classes)
network     the integer prior of the model, as in every file
unquantised the same weights without rounding, in torch
float       a twin trained without rounding (--float), in torch
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from bench.common import options
from bench.common.pictures import pictures
from bench.common.record import write_report
from ltokc.geometry import Level


def adaptive_bits(symbols: np.ndarray, size: int) -> float:
    """Code length of a sequence under counts that start at 1/2 and grow by one (Krichevsky and Trofimov 1981)."""
    counts = np.bincount(symbols, minlength=size)
    a = 0.5
    nats = math.lgamma(counts.sum() + size * a) - math.lgamma(size * a)
    nats -= sum(math.lgamma(c + a) - math.lgamma(a) for c in counts)
    return nats / math.log(2)


def neighbour_class(digits: np.ndarray) -> np.ndarray:
    """0..3 by the mean magnitude of the left and upper token: (rows, columns, d) -> (rows, columns)."""
    magnitude = np.abs(digits).mean(2)
    padded = np.pad(magnitude, ((1, 0), (1, 0)))
    around = (padded[:-1, 1:] + padded[1:, :-1]) / 2
    return np.digitize(around, [0.25, 0.6, 1.0])


def torch_bits(weights: Path, quantised: bool, tokens: list[list[np.ndarray]]) -> float:
    """Bits of all tokens under the prior of a training run's weights."""
    import torch

    from ltokc.train.export.package import load_ladder

    net = load_ladder(weights)
    net.prior.set_quantised(quantised)
    total = 0.0
    with torch.no_grad():
        for levels in tokens:
            digits = [torch.from_numpy(d.astype(np.float32)).permute(2, 0, 1)[None] for d in levels]
            masks = [torch.ones_like(d[:, :1]) for d in digits]
            total += float(net.bits(digits, net.prior(digits, masks), masks).sum())
    return total


class Bits:
    """Bits of all tokens under each way to code them that needs no network, and the digits of every picture."""

    def __init__(self, levels: Sequence[Level]):
        self.levels, self.pictures = levels, list[list[np.ndarray]]()
        self.bits = dict.fromkeys(("fixed", "adaptive", "contextual"), 0.0)

    def add(self, picture: list[np.ndarray]) -> None:
        """Takes the digits (rows, columns, d) of every level of one more picture."""
        self.pictures.append(picture)
        for digits, level in zip(picture, self.levels, strict=True):
            self.bits["fixed"] += digits.size * math.log2(level.size)
            classes = neighbour_class(digits)
            for j in range(digits.shape[2]):
                symbols = (digits[:, :, j] + (level.size - 1) // 2).astype(np.int64)
                self.bits["adaptive"] += adaptive_bits(symbols.ravel(), level.size)
                self.bits["contextual"] += sum(adaptive_bits(symbols[classes == c], level.size) for c in range(4))

    def order_0(self) -> float:
        """Bits under one table per level and digit, taken from all these pictures."""
        total = 0.0
        for k, level in enumerate(self.levels):
            for j in range(level.digits):
                symbols = np.concatenate([picture[k][:, :, j].ravel() for picture in self.pictures]).astype(int)
                counts = np.bincount(symbols + (level.size - 1) // 2)
                share = counts[counts > 0] / counts.sum()
                total -= counts.sum() * float((share * np.log2(share)).sum())
        return total


@options.command()
@options.images()
@click.option("--weights", type=options.FILE, help="The model's training weights (ema.safetensors), for `unquantised`.")
@click.option("--float", "twin", type=options.FILE, help="Weights of a run with quantised_prior = false.")
@options.model()
@options.out(required=True)
def main(images: Path, weights: Path | None, twin: Path | None, model: str | None, out: Path) -> None:
    """Measure bits per token under several ways to code the same tokens."""
    import ltokc
    from ltokc.entropy.segment import SegmentWriter
    from ltokc.zoo.model import open_model

    opened = open_model(model)
    found, network, tokens, file_bits = Bits(opened.levels), 0.0, 0, 0
    for path in pictures(images):
        data = ltokc.encode(path, quality=1.0, model=model, patches="off")
        arrays = ltokc.tokens(data)
        writer = SegmentWriter(opened.prior, arrays.digits)
        found.add(arrays.digits)
        tokens += arrays.count
        file_bits += 8 * len(data)
        network += writer.bits(writer.total)
    bits = found.bits | {"network": network, "order-0": found.order_0()}
    if weights:
        bits["unquantised"] = torch_bits(weights, False, found.pictures)
    if twin:
        bits["float"] = torch_bits(twin, False, found.pictures)
    report = {
        "images": len(found.pictures), "tokens": tokens, "file_bits_per_token": file_bits / tokens,
        "bits_per_token": {k: round(v / tokens, 4) for k, v in bits.items()},
        "against_network": {k: round(v / network - 1, 4) for k, v in bits.items()},
    }  # fmt: skip
    write_report(opened.entry.name, report, out)
    for name, value in sorted(bits.items(), key=lambda item: -item[1]):
        click.echo(f"{name:12s} {value / tokens:8.3f} bits/token  {100 * (value / network - 1):+7.1f} %")


if __name__ == "__main__":
    main()
