"""A training recipe: a TOML file read into frozen records; `models/<name>/recipe.toml` gave the shipped weights."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltokc.errors import ModelError
from ltokc.tokenizer.nn.config import LadderConfig


@dataclass(frozen=True, slots=True)
class Loss:
    """Weights of the terms of the loss.

    mse: on 8-bit values; lpips; ssim: 1 - SSIM; look: hundredths of SSIMULACRA2's points short of 100; texture;
    grid_pattern: on 8-bit values, called `weave` in recipes; colour: of squared differences of means in delta E; rate:
    of a bit per pixel, for each level; rate_at: where given, of all bits per pixel of a picture that keeps 1, 2, ...
    levels on average, in place of `rate`.
    """

    mse: float = 0.0018
    lpips: float = 1.0
    ssim: float = 1.0
    look: float = 0.0
    texture: float = 0.05
    grid_pattern: float = 0.0
    colour: float = 0.0
    rate: tuple[float, ...] = (0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.75, 0.7, 0.55, 0.35, 0.2)
    rate_at: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything of a run but paths, threads and device.  `minutes` or `steps` (0: none) end it."""

    seed: int = 0
    batch: int = 16
    crop: int = 128
    steps: int = 0
    minutes: float = 0.0
    optimizer: str = "adam"
    lr: float = 6e-4
    muon_lr: float = 2e-3
    warmup: int = 200
    decay: float = 0.3  # share of the run over which the rate falls linearly to nearly nothing
    ema: float = 0.999
    precision: str = "bf16"  # of the networks' arithmetic; CPUs without instructions for bf16 are faster in "fp32"
    quantised_prior: bool = True  # False trains the prior's float twin, to measure what the integers cost
    full_share: float = 0.35  # share of samples that keep every level
    cell_share: float = 0.25  # share of samples with a random length per cell; the rest: one random length per picture
    fine_share: float = 0.0  # share of the samples whose random length ends in the last `fine_levels` levels
    fine_levels: int = 4
    text_share: float = 0.03  # share of synthetic pages of text
    smooth_share: float = 0.0  # share of synthetic slopes and flat fields
    crops_on_device: bool = False  # pictures lie on the device and are cut there, with turns and changed colours
    jitter: float = 0.0  # of the colours of such crops: by how much a channel's gain and offset vary
    lpips_window: int = 0  # px; where less than `crop`, LPIPS and the texture term are of one window of a step's crops
    held_out: int = 70
    # "encoder": only what chooses tokens learns; "queries": of that only what reads the features; "finish": only the
    # layers after the last token; "prior": only the prior, on frozen tokens
    train: str = "all"
    blocks: tuple[str, ...] = ()  # such as "encoder.2.0", learn whatever `train` says
    anew: bool = False  # those blocks are drawn anew at `--start`, since no unit of theirs fires any more
    alive: int = 0  # steps between looks for units that never fire, which are drawn anew (`ltokc.train.alive`); 0: none
    loss: Loss = field(default_factory=Loss)
    model: LadderConfig = field(default_factory=LadderConfig)


LEAST_WINDOW = 32  # px, of which LPIPS has a tap of one place at least
BLOCK = re.compile(r"(encoder|pre)\.\d+\.\d+|final\.\d+|levels\.\d+\.(block|query\.1)")
TRAIN = ("all", "encoder", "queries", "finish", "prior")
UNKNOWN = re.compile(r"\w+\.__init__\(\) got an unexpected keyword argument ('\w+')(. Did you mean.*)?")
ALIASES = {"weave": "grid_pattern"}  # keys of `[loss]` in recipes that are published -> fields of `Loss`


def what_is_wrong(error: Exception) -> str:
    """The text of an error about the fields of a recipe; an unknown one is named as the file has it."""
    return UNKNOWN.sub(r"unknown key \1", str(error))


def read_recipe(path: Path) -> Recipe:
    """Raises ModelError, naming the field, on an unknown or ill-typed one."""
    try:
        fields = tomllib.loads(path.read_text())
        fields["loss"] = _loss(fields.get("loss", {}))
        fields["model"] = LadderConfig.from_dict(fields.get("model", {}))
        fields["blocks"] = tuple(fields.get("blocks", ()))
        recipe = Recipe(**fields)
    except (OSError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: {what_is_wrong(error)}") from error
    if recipe.train not in TRAIN or recipe.optimizer not in ("adam", "muon"):
        raise ModelError(f"{path}: train is one of {', '.join(TRAIN)}, optimizer adam or muon")
    if recipe.precision not in ("bf16", "fp32"):
        raise ModelError(f"{path}: precision is bf16 or fp32")
    if recipe.lpips_window and recipe.lpips_window < LEAST_WINDOW:
        raise ModelError(f"{path}: lpips_window is 0 or at least {LEAST_WINDOW}")
    if wrong := [block for block in recipe.blocks if not isinstance(block, str) or not BLOCK.fullmatch(block)]:
        raise ModelError(f"{path}: blocks are named such as encoder.2.0, not {wrong[0]}")
    levels = len(recipe.model.levels)
    if recipe.crop % 64 or len(recipe.loss.rate) != levels or len(recipe.loss.rate_at) not in (0, levels):
        raise ModelError(f"{path}: crop must be a multiple of 64, and loss.rate needs one weight per level")
    if not (recipe.steps or recipe.minutes):
        raise ModelError(f"{path}: steps or minutes must say when the run ends")
    return recipe


def _loss(given: dict[str, Any]) -> Loss:
    """Raises TypeError on an unknown key, and on one that is given under both of its names."""
    if twice := [key for key, field_ in ALIASES.items() if key in given and field_ in given]:
        raise TypeError(f"loss.{twice[0]} is given twice")
    return Loss(**{ALIASES.get(k, k): tuple(v) if isinstance(v, list) else v for k, v in given.items()})
