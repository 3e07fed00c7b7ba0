"""Chooses how many levels each cell sends: predicted rate-distortion curves, the target, then what the effort adds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ltokc.metrics.by_cell import Moments
from ltokc.rate.colour.smooth import is_smooth
from ltokc.rate.curves import Measured, RDCurves
from ltokc.rate.effort import Effort
from ltokc.rate.plan import (
    Plan,
    error_of_quality,
    keep_for_bits,
    keep_for_distortion,
    plan_for_bits,
    plan_for_distortion,
    plan_for_tokens,
    target_distortion,
    uniform,
)
from ltokc.rate.target import RateTarget
from ltokc.rate.tokenized import TokenizedPicture
from ltokc.token_grid import tokens_of_cell
from ltokc.zoo.model import Model

LEAST = 0.65  # of the levels that all would have: no cell gets fewer, since errors of colour in flat places cost little
UNIFORM, BY_DISTORTION = 4.0, 6.0  # below so many levels on average all cells get the same depth, above so many their
# predicted distortion decides; a blend between
TOLERANCE = 0.01  # of a quality, as a ratio of errors
BALANCE_ROUNDS = 4  # at most, of weighing a plan by what was measured at another depth
APART = 0.75  # levels between a depth that was measured and the next one that is
DOUBT = 1.25  # times the predicted error that may be measured (1.03 times was the most seen)
LEAST_DISTORTION = 1e-3  # of a cell, so that logarithms are bounded


def predict_curves(picture: TokenizedPicture, target: RateTarget, effort: Effort) -> RDCurves | None:
    """What is expected of the picture, measured about the depth that the target will take if the effort decodes.

    None: the model has no halting head.
    """
    model = picture.model
    if model.halting is None:
        return None
    curves = RDCurves(*model.halting.predict(picture.tokens.digits, picture.rgb))
    if not effort.measures or not picture.measurable:
        return curves
    keep = _keep(target, curves, model, effort.error_left)
    whole = target.quality in (None, 1) and keep == len(model.levels)
    if keep == 1 or whole or _is_least(target, curves, picture, keep):  # nothing to choose
        return curves
    return measure_curves(
        picture, curves, effort, lambda curves: _keep(target, curves, model, effort.error_left),
        lambda curves: choose_plan(picture, target, effort, curves),
    )  # fmt: skip


def choose_plan(picture: TokenizedPicture, target: RateTarget, effort: Effort, curves: RDCurves | None) -> Plan:
    """The plan for a target.  Without curves all cells keep what the model's table says, or everything."""
    model = picture.model
    if curves is None:
        keep = float(len(model.levels)) if target.quality is None else model.keep_of_quality(target.quality)
        return uniform(keep, tuple(picture.size.grid))
    shape = curves.distortion.shape[1:]  # of the picture, or of some of its cells
    measured = effort.measures and picture.measurable
    keep = _keep(target, curves, model, effort.error_left if measured else 1.0)
    if not measured:
        return uniform(keep if target.quality is not None else math.ceil(keep), shape)
    power = float(np.clip((keep - UNIFORM) / (BY_DISTORTION - UNIFORM), 0, 1))
    tempered, tokens = curves.tempered(power), tokens_of_cell(model.levels)
    if target.tokens is not None:
        return plan_for_tokens(target.tokens, tempered, tokens, max(1.0, LEAST * keep))
    if target.bits is not None:
        return plan_for_bits(target.bits, tempered, max(1.0, LEAST * keep))
    assert target.quality is not None
    least = _least(target.quality, model)
    wanted = target_distortion(target.quality, model.entry.looks, tempered, effort.error_left)
    return _balanced(curves, keep, wanted, lambda wanted: plan_for_distortion(wanted, tempered, tokens, least))


def _keep(target: RateTarget, curves: RDCurves, model: Model, error_left: float) -> float:
    """Levels, if all cells had the same."""
    if target.tokens is not None:
        each = target.tokens / curves.distortion[0].size
        return float(np.interp(each, tokens_of_cell(model.levels), np.arange(1, len(model.levels) + 1)))
    if target.bits is not None:
        return keep_for_bits(target.bits, curves)
    assert target.quality is not None
    if target.quality == 1:  # everything, also where the last levels are not expected to show
        return float(len(model.levels))
    wanted = target_distortion(target.quality, model.entry.looks, curves, error_left)
    return keep_for_distortion(wanted, curves, _least(target.quality, model))


def _least(quality: float, model: Model) -> float:
    """Levels that every cell gets at a quality."""
    return max(1.0, LEAST * model.keep_of_quality(quality))


def _is_least(target: RateTarget, curves: RDCurves, picture: TokenizedPicture, keep: float) -> bool:
    """Whether all cells get the least that the quality allows, and no decode would change that.

    So it is with smooth pictures, such as enlarged ones: they look better than was asked for.  What is expected of
    others that nobody has seen in training, such as patterns in strong colours, may be quite wrong.
    """
    model = picture.model
    if target.quality is None or keep > _least(target.quality, model):
        return False
    expected = DOUBT * curves.error_at(keep) < error_of_quality(target.quality, model.entry.looks)
    return expected and is_smooth(picture.rgb)


def measure_curves(
    picture: TokenizedPicture, predicted: RDCurves, effort: Effort, keep_for: Callable[[RDCurves], float],
    plan_for: Callable[[RDCurves], Plan] | None = None,
) -> RDCurves:  # fmt: skip
    """The curves corrected by decodes: of the plan that is expected, and again where that turns out quite another.

    keep_for(curves): levels that all cells would take, a fraction for a part of one; plan_for(curves): what is decoded,
    None for just these levels.  What a plan shows is scaled in each cell as it would be at the same depth for all.
    """
    assert picture.model.halting is not None
    sensitivity, seen = picture.model.halting.sensitivity, dict[float, Moments]()
    curves = predicted
    for _ in range(effort.decodes):
        keep = keep_for(curves)
        if any(abs(keep - each) < APART for each in seen):
            break
        plan = uniform(keep, predicted.distortion.shape[1:]) if plan_for is None else plan_for(curves)
        seen[keep] = picture.measure(plan).scaled(predicted.at(keep) / plan.distortion(predicted), sensitivity)
        curves = _corrected(predicted, seen, sensitivity)
    keep = keep_for(curves)
    nearest = min(seen, key=lambda each: abs(each - keep))
    return replace(curves, measured=Measured(nearest, seen[nearest], sensitivity))


def _corrected(predicted: RDCurves, seen: dict[float, Moments], sensitivity: np.ndarray) -> RDCurves:
    """What was measured differs by so much: interpolated between the depths seen, as at the nearest one beyond them."""
    keeps = sorted(seen)
    off_distortion, off_errors = [], []
    for keep in keeps:
        found = np.maximum(seen[keep].distortion(sensitivity), LEAST_DISTORTION)
        off_distortion.append(np.log(found / predicted.at(keep)))
        off_errors.append(np.log(max(seen[keep].error(), LEAST_DISTORTION) / predicted.error_at(keep)))
    distortion, errors = predicted.distortion.copy(), predicted.errors.copy()
    for k in range(len(errors)):
        i = int(np.clip(np.searchsorted(keeps, k + 1) - 1, 0, max(len(keeps) - 2, 0)))
        j = min(i + 1, len(keeps) - 1)
        share = float(np.clip((k + 1 - keeps[i]) / (keeps[j] - keeps[i]), 0, 1)) if j > i else 0.0
        distortion[k] *= np.exp(off_distortion[i] * (1 - share) + off_distortion[j] * share)
        errors[k] *= np.exp(off_errors[i] * (1 - share) + off_errors[j] * share)
    return replace(
        predicted, distortion=np.minimum.accumulate(distortion), errors=np.minimum.accumulate(errors)
    )  # fmt: skip


def _balanced(curves: RDCurves, keep: float, wanted: float, plan_for: Callable[[float], Plan]) -> Plan:
    """Plan whose predicted error equals that of a uniform depth `keep`.  Decodes nothing.

    Distortion is linear in what cells add to the error: where depths differ much the error is more than their sum says.
    """
    plan = plan_for(wanted)
    for _ in range(BALANCE_ROUNDS):
        found = None if plan.keep is not None else curves.error_of(plan.depths)
        if found is None or abs(miss := np.log(found / curves.error_at(keep))) < TOLERANCE / 2:
            break
        wanted *= np.exp(-1.2 * miss)
        plan = plan_for(wanted)
    return plan
