"""The recipe of a generator: a TOML file read into frozen records; `models/<name>/generative.toml` gave the weights."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltokc.errors import ModelError
from ltokc.tokenizer.nn.generative import GeneratorConfig
from ltokc.train.generative.statistics import DEEP, LOCAL, WHOLE
from ltokc.train.recipe import what_is_wrong


@dataclass(frozen=True, slots=True)
class Stage:
    """Consecutive steps with the same loss.

    `samples`: 1 or 2 residuals a crop; `grid_pattern`: weight of what comes back every 16 pixels in the residual;
    `adversarial`: weight of the discriminator's term, 0: it does not exist; `returned`: share of the samples' variance
    that the distortion gives back; `chroma`: weight of the residual's mean square colour; `still`: weight of the
    residual where the original is of one colour; `text`: of the squared error on text, whose strokes must not be drawn
    at random; `local`, `deep`, `whole`: weights of these statistics
    (`ltokc.train.generative.statistics`); `whole_returned`: as `returned`, for those of the whole crop.
    `gate`: the generator rests, at its mean weights, and its gate learns; such stages come last.
    `visible`: weight of the squared error, in which text counts 1 + `visible_text` times and skin 1 + `visible_skin`
    times; `excess`, `lack`: of the amplitude above and below the original's.  All three are over the activity around a
    place (`ltokc.train.generative.visibility`).
    """

    steps: int
    batch: int = 16
    samples: int = 1
    grid_pattern: float = 0.0
    adversarial: float = 0.0
    returned: float = 0.5
    chroma: float = 0.0
    still: float = 0.0
    text: float = 0.0
    local: float = 1.0
    deep: float = 0.0
    whole: float = 0.0
    whole_returned: float = 0.5
    gate: bool = False
    visible: float = 0.0
    excess: float = 0.0
    lack: float = 0.0
    visible_text: float = 4.0
    visible_skin: float = 2.0

    @property
    def sees_features(self) -> bool:
        """Whether any term needs the features of pictures."""
        return bool(self.distortions() or self.adversarial)

    def distortions(self) -> dict[str, tuple[float, float]]:
        """Weight, and share of the variance that is given back, of every kind of statistics that counts."""
        weights = {
            LOCAL: (self.local, self.returned),
            DEEP: (self.deep, self.returned),
            WHOLE: (self.whole, self.whole_returned),
        }
        return {kind: pair for kind, pair in weights.items() if pair[0]}


@dataclass(frozen=True, slots=True)
class StatesRecipe:
    """Which tokens the generator sees.

    Windows of `window` px at most are cut from the pictures, a `shrunk` share of them from pictures made 1.2 to 2 times
    smaller, which sharpens them; `text` and `smooth` are shares of synthetic windows.  Qualities are uniform between
    `quality`, a share of `low` uniform below .1.  An `encoded` share is encoded as files are at effort 1, without
    patches.  The others are tokenized once and decoded at two depths, drawn cell by cell around what their quality
    mostly takes.  In a `wrong` share one digit in 200 is changed at random, in a `lost` share a tenth of the cells lost
    tokens.  `crops` of `crop` px are cut from each decode.
    """

    window: int = 448
    crop: int = 128
    crops: int = 6
    shrunk: float = 0.25
    text: float = 0.03
    smooth: float = 0.04
    quality: tuple[float, float] = (0.08, 0.85)
    low: float = 0.18
    encoded: float = 0.0
    wrong: float = 0.1
    lost: float = 0.08


@dataclass(frozen=True, slots=True)
class GenerativeRecipe:
    """Everything of a run but paths, threads and device.

    Rates: `muon_lr` of hidden convolutions, `gate_lr` of the gate, `lr` of the rest.  They rise and fall once while the
    generator learns and once while its gate does.

    `low`: weight of the residual's 8x8 means, which the tokens hold already.  `told`: the discriminator pauses while
    its loss is below this, so that it does not run away.  `decay`: share of the steps, at the end, over which the rates
    fall to nearly nothing.  `fine`: gain of the finest details in the weights that are written
    (`ltokc.tokenizer.nn.generative.with_more_detail`); `gain`: of all that is drawn, once the gate has learned, which
    leaves textures fainter than they are.  `alive`: convolutions learn as if their inputs were centred, and every so
    many steps, while the rates do not fall, units that never fire are drawn anew (`ltokc.train.alive`); 0: neither.
    """

    stages: tuple[Stage, ...]
    seed: int = 0
    lr: float = 1e-3
    muon_lr: float = 3e-3
    discriminator_lr: float = 1e-4
    gate_lr: float = 4e-3
    warmup: int = 40
    decay: float = 0.3
    ema: float = 0.998
    low: float = 20.0
    told: float = 0.5
    fine: float = 0.0
    gain: float = 1.0
    precision: str = "bf16"
    alive: int = 0
    network: GeneratorConfig = field(default_factory=GeneratorConfig)
    states: StatesRecipe = field(default_factory=StatesRecipe)

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> Stage:
        """The stage of a step, counted from 0; the last one after the end."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return self.stages[-1]

    @property
    def generator_steps(self) -> int:
        """Steps before those of the gate."""
        return sum(stage.steps for stage in self.stages if not stage.gate)

    def rate_at(self, step: int) -> float:
        """Factor of the rates at a step: a linear rise, and a linear fall at the end, of the generator and the gate."""
        first, last = (0, self.generator_steps) if step < self.generator_steps else (self.generator_steps, self.steps)
        left = (last - step) / max(1.0, self.decay * (last - first))
        return min(1.0, (step - first + 1) / self.warmup) * min(1.0, max(0.03, left))


def read_generative_recipe(path: Path) -> GenerativeRecipe:
    """Raises ModelError, naming the field, on an unknown or ill-typed one."""
    try:
        fields: dict[str, Any] = tomllib.loads(path.read_text())
        states = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.pop("states", {}).items()}
        recipe = GenerativeRecipe(
            stages=tuple(Stage(**stage) for stage in fields.pop("stage", ())),
            network=GeneratorConfig(**fields.pop("network", {})),
            states=StatesRecipe(**states),
            **fields,
        )
        _check(recipe)
    except (OSError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: {what_is_wrong(error)}") from error
    return recipe


def _check(recipe: GenerativeRecipe) -> None:
    if not recipe.stages:
        raise ValueError("at least one [[stage]] is needed")
    for stage in recipe.stages:
        if stage.samples not in (1, 2) or min(stage.steps, stage.batch) < 1:
            raise ValueError("a stage has 1 or 2 samples, and at least one step and one crop a batch")
    gates = [stage.gate for stage in recipe.stages]
    if gates != sorted(gates) or (any(gates) and not recipe.network.gate):
        raise ValueError("stages of the gate come last, and need a network with one")
    states = recipe.states
    if states.crop % 16 or states.window % 64 or not 96 <= states.crop <= states.window - 8:
        raise ValueError("crop must be a multiple of 16 from 96 on, window one of 64 and larger than crop")
    if recipe.precision not in ("bf16", "fp32"):
        raise ValueError("precision is bf16 or fp32")
