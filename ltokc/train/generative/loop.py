"""The training loop of a generator: CPU or CUDA, resumable, logging JSON lines.

The loss is the squared Wasserstein distortion of local statistics (`statistics`), plus the residual's 8x8 means, which
the tokens hold already, its pattern of period 16, and, late and light, a discriminator.  A checkpoint holds generator,
discriminator, their optimisers, the mean weights, scales, step and random states: a resumed run draws and does what an
undisturbed one would have done.

The gate learns last, over the mean weights of the generator, which rests: squared error and painted energy are weighed
by how well they are seen (`visibility`).
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from ltokc.losses.grid_pattern import grid_pattern_energy
from ltokc.tokenizer.generative import COARSE, COARSE_PLANES, OWN_PLANES, WEIGHTS
from ltokc.tokenizer.nn.generative import (
    Generator,
    hidden_weights,
    with_gain,
    with_more_detail,
)
from ltokc.train.alive import Alive
from ltokc.train.generative.discriminator import Discriminator, relativistic
from ltokc.train.generative.recipe import GenerativeRecipe, Stage
from ltokc.train.generative.saved import generator_of, save_generator
from ltokc.train.generative.states import FrozenDecoder, States
from ltokc.train.generative.statistics import STRIDES, Features, chroma_energy, still_residual, wasserstein
from ltokc.train.generative.visibility import skin, visible
from ltokc.train.optim import Muon

SHIFTS = 8  # the features' grids are moved by 0 to 7 px, so that they fall everywhere
FIT = 64  # originals from which the features' scales are taken
WATCHED = 12  # batches before the first step of a run that keeps units alive
CHECKPOINT = "checkpoint.pt"


class Source(Protocol):
    def draw(self, rng: np.random.Generator, batch: int) -> States: ...


class Trainer:
    """State of a run: `Trainer(recipe, decoder, features)`, then `resume(folder)` and `run(source, folder)`."""

    def __init__(self, recipe: GenerativeRecipe, decoder: FrozenDecoder, features: Features):
        self.recipe, self.decoder, self.features, self.device = recipe, decoder, features, decoder.device
        torch.manual_seed(recipe.seed)
        self.rng = np.random.default_rng(recipe.seed)
        self.noise = torch.Generator(self.device).manual_seed(recipe.seed)
        form = torch.channels_last
        self.net = Generator(recipe.network).to(self.device, memory_format=form)
        self.ema = copy.deepcopy(self.net).requires_grad_(False)
        self.discriminator = Discriminator().to(self.device, memory_format=form)
        hidden = hidden_weights(self.net)
        gate = list(self.net.gate.parameters()) if self.net.gate else []
        taken = {id(p) for p in (*hidden, *gate)}
        rest = [p for p in self.net.parameters() if id(p) not in taken]
        self.optimizers: list[torch.optim.Optimizer] = [
            Muon(hidden, lr=recipe.muon_lr), torch.optim.Adam(rest, lr=recipe.lr, betas=(0.9, 0.98)),
        ]  # fmt: skip
        self.rates = [recipe.muon_lr, recipe.lr]
        if gate:
            self.optimizers.append(torch.optim.Adam(gate, lr=recipe.gate_lr, betas=(0.9, 0.98)))
            self.rates.append(recipe.gate_lr)
        self.judge = torch.optim.Adam(self.discriminator.parameters(), lr=recipe.discriminator_lr, betas=(0.5, 0.98))
        self.step, self.judge_steps, self.told, self.seconds = 0, 0, 0.693, 0.0
        self.finished = False  # the generator's weights were given
        self.alive = Alive(self.net) if recipe.alive else None

    # -- checkpoints -----------------------------------------------------------------------------------------------
    def save(self, folder: Path) -> None:
        """Writes the checkpoint and the mean weights, each complete or not at all."""
        state = {
            "net": self.net.state_dict(), "ema": self.ema.state_dict(), "scales": self.features.scales,
            "discriminator": self.discriminator.state_dict(), "judge": self.judge.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers], "noise": self.noise.get_state(),
            "numpy": json.dumps(self.rng.bit_generator.state),
            "counts": [self.step, self.judge_steps, self.told, self.seconds],
        }  # fmt: skip
        if self.alive:
            state["alive"] = self.alive.state()
        torch.save(state, folder / "checkpoint.tmp")
        os.replace(folder / "checkpoint.tmp", folder / CHECKPOINT)
        if self.step > self.recipe.generator_steps:  # the gate's generator has its finest details already
            net = with_gain(self.ema, self.recipe.gain)
        else:
            net = with_more_detail(self.ema, self.recipe.fine)
        save_generator(net, folder / WEIGHTS)

    def resume(self, folder: Path) -> bool:
        """Goes on from the folder's checkpoint if it has one.  Raises RuntimeError if it is of another network."""
        if not (folder / CHECKPOINT).exists():
            return False
        state = torch.load(folder / CHECKPOINT, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.judge.load_state_dict(state["judge"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if len(state["scales"]) != len(STRIDES):
            raise ValueError("a checkpoint of other features")
        self.features.scales = state["scales"]
        self.noise.set_state(state["noise"].cpu())
        self.rng.bit_generator.state = json.loads(state["numpy"])
        step, judge_steps, self.told, self.seconds = state["counts"]
        self.step, self.judge_steps = int(step), int(judge_steps)
        if self.alive and "alive" in state:
            self.alive.restore(state["alive"])
        return True

    # -- from weights of another run -------------------------------------------------------------------------------
    def start_from(self, path: Path) -> None:
        """Takes a generator's weights, without its gate.  Raises ValueError for those of another network."""
        config, weights = generator_of(path)
        if replace(config, gate=self.recipe.network.gate) != self.recipe.network:
            raise ValueError(f"{path.name} is a generator of other sizes than the recipe's")
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("gate.")}
        self.net.load_state_dict(weights, strict=False)
        self.ema.load_state_dict(self.net.state_dict())

    def take_generator(self, path: Path) -> None:
        """Goes on at the gate's first stage, over finished weights.  Raises ValueError for those of another network."""
        if not self.net.gate:
            raise ValueError("the recipe's network has no gate")
        self.start_from(path)
        self.step, self.finished = self.recipe.generator_steps, True

    def begin_gate(self) -> None:
        """The gate learns over what would be written without it."""
        mean = self.ema if self.finished else with_more_detail(self.ema, self.recipe.fine)
        self.net.load_state_dict(mean.state_dict())
        self.ema.load_state_dict(mean.state_dict())

    @torch.no_grad()
    def wake(self, source: Source) -> dict[str, int]:
        """Draws anew what is silent in the weights to begin from; how many units of each convolution."""
        if not self.alive:
            return {}
        self.alive.forget()
        rng = np.random.default_rng(self.recipe.seed)
        for _ in range(WATCHED):
            states = source.draw(rng, self.recipe.stage_at(0).batch)
            self.net(states.f8, states.f4, self.draw_noise(len(states.f8), states.original.shape[-1]))
        return self.alive.revive(self.ema)

    # -- one step --------------------------------------------------------------------------------------------------
    def draw_noise(self, batch: int, side: int) -> list[torch.Tensor]:
        """Normal noise at strides 8, 4, 2, in the place of the seeded integers of a decode."""
        own = {
            stride: torch.randn(batch, planes, side // stride, side // stride, generator=self.noise, device=self.device)
            for stride, planes in {COARSE: COARSE_PLANES, **OWN_PLANES}.items()
        }
        own[8] = torch.cat([F.interpolate(own.pop(COARSE), scale_factor=2), own[8]], 1)
        return [part.contiguous(memory_format=torch.channels_last) for part in own.values()]

    def losses(self, states: States, stage: Stage) -> dict[str, torch.Tensor]:
        """`loss` and its parts; teaches the discriminator on the way."""
        count, side = states.original.shape[0], states.original.shape[-1]
        dy, dx = (int(v) for v in self.rng.integers(0, SHIFTS, 2))

        def cut(x: torch.Tensor) -> torch.Tensor:
            x = x[..., dy : dy + side - SHIFTS, dx : dx + side - SHIFTS]
            return x.contiguous(memory_format=torch.channels_last)

        with torch.autocast(self.device, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            with torch.no_grad():
                faithful = self.decoder.faithful(states.f4)
            f8, f4 = (_repeated(t, stage.samples) for t in (states.f8, states.f4))
            residual = self.net(f8, f4, self.draw_noise(len(f8), side)).float()
            made, real, plain = cut(_repeated(faithful, stage.samples) + residual), cut(states.original), cut(faithful)
            made_maps, real_maps = [], []
            if stage.sees_features:
                made_maps = self.features(made)
                with torch.no_grad():
                    real_maps = self.features(real)
        distortion, variance = residual.new_zeros(()), residual.new_zeros(())
        for kind, (weight, returned) in stage.distortions().items():
            ours, theirs = (self.features.statistics(maps, (dy, dx), kind) for maps in (made_maps, real_maps))
            of_kind, spread = wasserstein(ours, theirs, returned)
            distortion, variance = distortion + weight * of_kind, variance + weight * spread
        low = F.avg_pool2d(residual, 8, 4).abs().mean()
        pattern = grid_pattern_energy(residual)
        colour = chroma_energy(residual)
        still = still_residual(residual, states.original)
        loss = distortion + self.recipe.low * low + stage.grid_pattern * pattern
        wrong = (
            (made - _repeated(real, stage.samples)).square().mean((1, 2, 3)) * states.text.repeat(stage.samples)
        ).mean()
        loss = loss + stage.chroma * colour + stage.still * still + stage.text * wrong
        out = {"distortion": distortion, "variance": variance, "low": low, "pattern": pattern, "chroma": colour}
        out |= {"still": still, "text": wrong}
        if stage.visible or stage.excess or stage.lack:
            text = states.text.view(-1, 1, 1, 1)
            weight = 1 + stage.visible_text * text + stage.visible_skin * skin(states.original)
            whole = _repeated(faithful, stage.samples).float() + residual
            seen = visible(whole, *(_repeated(t, stage.samples) for t in (states.original, weight)))
            loss = loss + stage.visible * seen.error + stage.excess * seen.excess + stage.lack * seen.lack
            out |= {"visible": seen.error, "excess": seen.excess, "lack": seen.lack}
        if stage.adversarial:
            with torch.no_grad(), torch.autocast(self.device, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
                plain_maps = self.features(plain)
            one = made[:count], [m[:count] for m in made_maps]
            told, fooled = self.adversarial(one, (real, real_maps), (plain, plain_maps))
            loss = loss + stage.adversarial * min(1.0, self.judge_steps / 150) * fooled
            out |= {"told": told, "fooled": fooled}
        return {"loss": loss, **out}

    def adversarial(self, made: Seen, real: Seen, plain: Seen) -> tuple[torch.Tensor, torch.Tensor]:
        """The discriminator's loss, after which it learns unless it is well ahead, and the generator's."""
        net, scales, precision = self.discriminator, self.features.scales, self.recipe.precision == "bf16"
        with torch.autocast(self.device, torch.bfloat16, enabled=precision):
            on_real = net(real, plain, scales)
            told = relativistic(on_real, net((made[0].detach(), [m.detach() for m in made[1]]), plain, scales))
        self.told = 0.95 * self.told + 0.05 * float(told.detach())
        if self.told > self.recipe.told:
            self.judge.zero_grad(set_to_none=True)
            told.backward()
            self.judge.step()
            self.judge_steps += 1
        net.requires_grad_(False)
        with torch.autocast(self.device, torch.bfloat16, enabled=precision):
            fooled = relativistic(net(made, plain, scales), [v.detach() for v in on_real])
        net.requires_grad_(True)
        return told, fooled

    def update(self, states: States) -> dict[str, float]:
        """One step.  A gradient that is not finite counts as zero."""
        recipe, stage = self.recipe, self.recipe.stage_at(self.step)
        if stage.gate and self.step == recipe.generator_steps:
            self.begin_gate()
        self.net.requires_grad_(not stage.gate)
        if self.net.gate:
            self.net.gate.requires_grad_(stage.gate)
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * recipe.rate_at(self.step)
        values = self.losses(states, stage)
        self.net.zero_grad(set_to_none=True)
        values["loss"].backward()
        with self.alive.step() if self.alive else nullcontext():
            norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            if not torch.isfinite(norm):
                self.net.zero_grad(set_to_none=False)
            for optimizer in self.optimizers:  # none moves what has no gradient
                optimizer.step()
        self.step += 1
        if self.alive and self.step % recipe.alive == 0 and recipe.rate_at(self.step) == 1:
            self.alive.revive(self.ema)
        with torch.no_grad():
            steps = self.step - (recipe.generator_steps if stage.gate else 0)
            kept = min(recipe.ema, (steps + 1) / (steps + 20))
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.net.parameters()), 1 - kept)
        return {name: float(value.detach()) for name, value in values.items()}

    # -- the run ---------------------------------------------------------------------------------------------------
    def run(self, source: Source, folder: Path, log_every: int = 50, save_minutes: float = 3.0) -> None:
        """Trains until the recipe's end; writes log.jsonl, checkpoint.pt and generative.safetensors into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        if not self.features.scales:
            self.features.fit(source.draw(np.random.default_rng(self.recipe.seed), FIT).original)
        if not self.step:
            self.wake(source)
        begun, before, saved = time.monotonic(), self.seconds, time.monotonic()
        rows: list[dict[str, float]] = []
        with open(folder / "log.jsonl", "a", buffering=1) as log:
            while self.step < self.recipe.steps:
                rows.append(self.update(source.draw(self.rng, self.recipe.stage_at(self.step).batch)))
                now = time.monotonic()
                self.seconds = before + now - begun
                if self.step % log_every == 0 or self.step == self.recipe.steps:
                    means = {name: round(float(np.mean([row.get(name, 0) for row in rows])), 5) for name in rows[-1]}
                    facts = {"step": self.step, "seconds": round(self.seconds), "judge_steps": self.judge_steps}
                    log.write(json.dumps({**facts, **means}) + "\n")
                    rows = []
                if now - saved > save_minutes * 60 or self.step == self.recipe.steps:
                    self.save(folder)
                    saved = now


Seen = tuple[torch.Tensor, Sequence[torch.Tensor]]  # a picture and its feature maps


def _repeated(x: torch.Tensor, samples: int) -> torch.Tensor:
    return x.repeat(samples, 1, 1, 1).contiguous(memory_format=torch.channels_last)
