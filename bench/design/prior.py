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

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

from bench.common.record import environment

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


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


def torch_bits(weights: Path, quantised: bool, pictures: list[list[np.ndarray]]) -> float:
    """Bits of all tokens under the prior of a training run's weights."""
    import torch

    from ltokc.train.export.package import load_ladder

    net = load_ladder(weights)
    net.prior.set_quantised(quantised)
    total = 0.0
    with torch.no_grad():
        for levels in pictures:
            digits = [torch.from_numpy(d.astype(np.float32)).permute(2, 0, 1)[None] for d in levels]
            masks = [torch.ones_like(d[:, :1]) for d in digits]
            total += float(net.bits(digits, net.prior(digits, masks), masks).sum())
    return total


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument(
        "--weights", type=Path, help="the model's training weights (ema.safetensors), for `unquantised`"
    )
    parser.add_argument("--float", type=Path, dest="twin", help="weights of a run with quantised_prior = false")
    parser.add_argument("--model")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)

    import ltokc
    from ltokc.entropy.segment import SegmentWriter
    from ltokc.zoo.model import open_model

    model = open_model(options.model)
    pictures, bits, tokens, file_bits = [], dict.fromkeys(("fixed", "adaptive", "contextual", "network"), 0.0), 0, 0
    for path in sorted(p for p in options.images.iterdir() if p.suffix.lower() in SUFFIXES):
        data = ltokc.encode(path, quality=1.0, model=options.model)
        arrays = ltokc.tokens(data)
        writer = SegmentWriter(model.prior, arrays.digits)
        pictures.append(arrays.digits)
        tokens += arrays.count
        file_bits += 8 * len(data)
        bits["network"] += writer.bits(writer.total)
        for digits, size in zip(arrays.digits, arrays.sizes, strict=True):
            bits["fixed"] += digits.size * math.log2(size)
            classes = neighbour_class(digits)
            for j in range(digits.shape[2]):
                symbols = (digits[:, :, j] + (size - 1) // 2).astype(np.int64)
                bits["adaptive"] += adaptive_bits(symbols.ravel(), size)
                bits["contextual"] += sum(adaptive_bits(symbols[classes == c], size) for c in range(4))
    order0 = 0.0
    for k, level in enumerate(model.levels):
        for j in range(level.digits):
            counts = np.bincount(
                np.concatenate([p[k][:, :, j].ravel() for p in pictures]).astype(int) + (level.size - 1) // 2
            )
            share = counts[counts > 0] / counts.sum()
            order0 -= counts.sum() * float((share * np.log2(share)).sum())
    bits["order-0"] = order0
    if options.weights:
        bits["unquantised"] = torch_bits(options.weights, False, pictures)
    if options.twin:
        bits["float"] = torch_bits(options.twin, False, pictures)
    result = {
        "environment": environment(), "images": len(pictures), "tokens": tokens,
        "file_bits_per_token": file_bits / tokens,
        "bits_per_token": {k: round(v / tokens, 4) for k, v in bits.items()},
        "against_network": {k: round(v / bits["network"] - 1, 4) for k, v in bits.items()},
    }  # fmt: skip
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    for name, value in sorted(bits.items(), key=lambda item: -item[1]):
        sys.stdout.write(
            f"{name:12s} {value / tokens:8.3f} bits/token  {100 * (value / bits['network'] - 1):+7.1f} %\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
