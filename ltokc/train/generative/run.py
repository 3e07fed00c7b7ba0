"""A whole run: from tar shards and a model to a trained generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError

from ltokc.errors import ModelError
from ltokc.train.data.pictures import Pictures
from ltokc.train.generative.cache import CachedStates, LiveStates, build_states
from ltokc.train.generative.loop import Source, Trainer
from ltokc.train.generative.recipe import GenerativeRecipe
from ltokc.train.generative.states import FrozenDecoder, StateSource
from ltokc.train.generative.statistics import Features
from ltokc.train.malloc import keep_freed_memory
from ltokc.zoo.model import Model


@dataclass(frozen=True, slots=True)
class GenerativeRun:
    """Everything of a run but its recipe and model.

    cache: folder of decoded pictures and states; crops: how many have their states kept there, 0 for none; held_out:
    last pictures of the shards to leave aside; threads: of the CPU, None for torch's choice; generator: finished
    weights, for which the gate is trained alone; start: weights to begin from, whose gate is left aside.
    """

    shards: tuple[Path, ...]
    lpips: Path
    out: Path
    cache: Path
    crops: int
    held_out: int = 0
    device: str = "cpu"
    threads: int | None = None
    generator: Path | None = None
    start: Path | None = None


def train_generator(run: GenerativeRun, recipe: GenerativeRecipe, model: Model, say: Callable[[str], None]) -> Trainer:
    """Trains to the recipe's end, from the last checkpoint on if there is one; say: told how it goes.

    Raises ModelError for a device that is not there, weights that are none, and a checkpoint of another network.
    """
    if run.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("--device cuda: torch finds no usable GPU")
    if run.device == "cpu":
        keep_freed_memory()
    if run.threads:
        torch.set_num_threads(run.threads)
    try:
        features = Features(run.lpips, run.device)
    except (KeyError, RuntimeError, ValueError, SafetensorError) as error:
        raise ModelError(f"--lpips {run.lpips}: no LPIPS weights") from error
    decoder = FrozenDecoder(model.weights.path, run.device)
    trainer = Trainer(recipe, decoder, features)
    try:
        resumed = trainer.resume(run.out)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelError(f"{run.out}: its checkpoint is of another network; choose another --out") from error
    if not resumed:
        for option, path, take in (
            ("--start", run.start, trainer.start_from),
            ("--generator", run.generator, trainer.take_generator),
        ):
            try:
                if path:
                    take(path)
            except (OSError, KeyError, TypeError, RuntimeError, ValueError, SafetensorError) as error:
                raise ModelError(f"{option} {path}: {error}") from error
    if resumed:
        say(f"{run.out}: goes on at step {trainer.step:,}")
    pictures = Pictures(list(run.shards), run.cache / "pictures", run.held_out)
    states = StateSource(decoder, pictures, recipe.states, model.keep_of_quality, model.entry.id)
    source: Source = LiveStates(states)
    if run.crops:
        folder = run.cache / "states"
        build_states(folder, states, recipe, run.crops, lambda count: say(f"{run.out}: states of {count:,} crops"))
        source = CachedStates(folder, run.device)
    trainer.run(source, run.out)
    return trainer
