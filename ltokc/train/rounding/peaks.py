"""How large the gradient gets at each place of the way back (`ltokc.train.export.eight_bit_graph`), on crops."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ltokc.geometry import CELL
from ltokc.metrics.look import loss_gradient
from ltokc.ort.inline import with_weights
from ltokc.ort.sessions import session_options
from ltokc.ort.silent import ort
from ltokc.threads import runtime_threads
from ltokc.token_grid import full_masks
from ltokc.tokenizer.gradient import BACKWARD, GRAPHS
from ltokc.tokenizer.nn.config import LadderConfig
from ltokc.tokenizer.runtime.feeds import Feeds
from ltokc.tokenizer.runtime.gradient_passes import through_graphs
from ltokc.tokenizer.windows import Networks
from ltokc.train.export.eight_bit_graph import write_measuring_graphs
from ltokc.train.rounding.samples import LEAST_DEPTH, SIDE
from ltokc.zoo.model import Model
from ltokc.zoo.weights import WEIGHTS

SHARE = 0.9999  # of the values of a crop lie below its peak; the few above it are cut
LEAST = 1e-6  # a peak, where nothing came through


def peaks_of(model: Model, crops: Iterable[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The mean over crops (SIDE, SIDE, 3) uint8 of the peak of every place, at random depths: float32 (places,).

    The highest one would leave most crops too few steps; what lies above the mean is cut.
    """
    measure = _Measure(model)
    networks = model.networks("onnx", "cpu")
    found = [_of_crop(measure, networks, crop, rng) for crop in crops]
    return np.maximum(np.mean(found, 0), np.float32(LEAST)).astype(np.float32)


class _Measure:
    """Runs the way there, and the way back with all that gets a peak given out, whose peaks it keeps."""

    def __init__(self, model: Model):
        weights, config = model.folder / WEIGHTS, LadderConfig.from_dict(model.weights.config)
        self.peaks: np.ndarray = np.empty(0, np.float32)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / WEIGHTS).symlink_to(weights.resolve())
            self.places = write_measuring_graphs(folder, config)
            self.sessions = {
                graph: ort.InferenceSession(
                    with_weights((folder / f"{graph}.onnx").read_bytes(), folder), session_options(runtime_threads()),
                    providers=["CPUExecutionProvider"],
                ) for graph in GRAPHS
            }  # fmt: skip

    def __call__(self, name: str, given: Feeds) -> Feeds:
        session = self.sessions[name]
        outputs = [each.name for each in session.get_outputs()]
        found = dict(zip(outputs, session.run(outputs, {i.name: given[i.name] for i in session.get_inputs()}),
                         strict=True))  # fmt: skip
        if name == BACKWARD:
            values = found | {"picture": given["picture"]}
            self.peaks = np.array([np.quantile(np.abs(values[each]), SHARE) for each in self.places], np.float32)
        return found


def _of_crop(measure: _Measure, networks: Networks, crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    levels, cells = networks.levels, SIDE // CELL
    depths = rng.uniform(LEAST_DEPTH, len(levels) + 0.5) + rng.uniform(-1, 1, (cells, cells))
    depths = np.clip(depths, 1, len(levels)).round()
    masks = full_masks(levels, cells, cells, depths)
    tokens = networks.tokenize(crop, kept=depths.astype(np.float32))
    digits = [np.ascontiguousarray(grid.transpose(2, 0, 1)[None]) for grid in tokens.digits]
    sent = [mask[None, None].astype(np.uint8) for mask in masks]
    through_graphs(measure, digits, sent, lambda shown: loss_gradient(crop, np.ascontiguousarray(shown))[1])
    return measure.peaks
