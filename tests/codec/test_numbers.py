"""Every number that a verb or the plug-in takes is checked as the command line checks it: one line, or a file."""

from __future__ import annotations

import inspect
import io
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ltokc
from ltokc.errors import LossWarning, LtokcError, UsageError
from tests.support.pictures import smooth

ltokc.register_pillow()
PICTURE = smooth(20, 12)
DATA = ltokc.encode(PICTURE, tokens=9)
SPECIAL = (-3, -1, 0, 1, 2.0, 0.6, 1.5, math.nan, math.inf, -math.inf, 1e300, 10**30, 10**5000, -(10**30), True, False,
           "1", "", b"1", [], (1,), 1j, np.int64(-1), np.float64("nan"), np.array([1, 2]))  # fmt: skip
NO_NUMBERS = {"image", "data", "model", "metadata", "alpha", "backend", "device", "decoder", "progress", "say",
              "strict", "allow_truncated", "allow_damaged", "patches", "precision"}  # fmt: skip
RIGHT: dict[str, Callable[[Any], bool]] = {  # of a value that is a number and no truth value
    "quality": lambda v: 0 <= v <= 1,
    "tokens": lambda v: is_whole(v) and v >= 0,
    "target_size": lambda v: is_whole(v) and v >= 1,
    "target_bpp": lambda v: 0 < float(v) < math.inf,
    "effort": lambda v: is_whole(v) and v in range(5),
    "limit_pixels": lambda v: is_whole(v) and v >= 0,
    "frame": lambda v: is_whole(v) and v == 1,
    "reduce": lambda v: is_whole(v) and v in (1, 2, 4, 8),
    "crop": lambda v: False,
    "seed": lambda v: is_whole(v) and 0 <= v < 2**32,
    "detail": lambda v: 0 <= v <= 1,
    "value_range": lambda v: False,
}
VERBS = {"encode": PICTURE, "decode": DATA, "trim": DATA, "tokens": DATA, "verify": DATA}
KEYWORDS = [(verb, name) for verb in VERBS
            for name in inspect.signature(getattr(ltokc, verb)).parameters if name not in NO_NUMBERS]  # fmt: skip


def is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer))


def not_nan(value: Any) -> bool:
    return type(value) in (int, float) and value == value and value != math.inf


def is_right(name: str, value: Any) -> bool:
    if value is None:
        return name not in ("effort", "reduce", "seed", "detail")
    if name == "value_range" and isinstance(value, np.ndarray):
        return True  # 1 to 2
    if isinstance(value, (bool, str, bytes, list, tuple, complex, np.ndarray)):
        return False
    try:
        return bool(RIGHT[name](value))
    except OverflowError:  # a whole number too large for a float
        return False


def test_no_keyword_is_forgotten() -> None:
    assert {name for _, name in KEYWORDS} == set(RIGHT)


values = st.one_of(st.sampled_from(SPECIAL), st.integers(-(2**70), 2**70), st.integers(-3, 200), st.floats())


@pytest.mark.parametrize(("verb", "name"), KEYWORDS)
@settings(max_examples=25, deadline=None)
@given(value=values)
def test_a_number_that_is_wrong_is_one_line(verb: str, name: str, value: Any) -> None:
    check(verb, name, value)


@pytest.mark.parametrize(("verb", "name"), KEYWORDS)
def test_numbers_that_users_have_given(verb: str, name: str) -> None:
    for value in SPECIAL:
        check(verb, name, value)


def check(verb: str, name: str, value: Any) -> None:
    if name == "effort" and is_right(name, value) and value is not None and value > 1:
        return  # needs torch, and time
    if name == "limit_pixels" and not_nan(value) and (value >= 2**62 or value % 1 == 0):
        value = min(int(value), 2**62)  # a limit such as 1e9 may be taken or refused
    options = {name: value}
    if verb == "trim" and (name == "limit_pixels" or value is None):
        options = {"tokens": 3, "limit_pixels": value} if name == "limit_pixels" else {"tokens": 3}
    if verb == "trim" and name == "target_size" and is_right(name, value) and value is not None:
        options = {name: max(value, len(DATA) - 1)}  # below is a size that the file cannot have
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LossWarning)
        try:
            getattr(ltokc, verb)(VERBS[verb], **options)
        except UsageError as error:
            assert not is_right(name, value) and "\n" not in str(error) and len(str(error)) < 200
        except LtokcError:  # a limit that the picture is over
            assert name == "limit_pixels" and is_right(name, value) and value < PICTURE.size
        else:
            assert is_right(name, value)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(["quality", "tokens", "target_size", "target_bpp", "effort"]), value=values)
def test_the_plug_in_raises_value_errors(name: str, value: Any) -> None:
    if value is None or (name == "effort" and is_right(name, value) and value > 1):
        return
    right = is_right(name, value)
    if name == "quality":
        right = RIGHT[name](value / 100) and not 0 < value < 1 if _is_number(value) else False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LossWarning)
        try:
            Image.fromarray(PICTURE).save(io.BytesIO(), "LTK", **{name: value})
        except ValueError as error:
            assert not right and "\n" not in str(error)
        else:
            assert right


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, (bool, str, bytes, complex)) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def test_pillows_scale_is_not_ours() -> None:
    with pytest.raises(ValueError, match="did you mean 60"):
        Image.fromarray(PICTURE).save(io.BytesIO(), "LTK", quality=0.6)


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_numbers_of_numpy_are_numbers(factor: int) -> None:
    assert ltokc.decode(DATA, reduce=np.int64(factor)).size == ltokc.decode(DATA, reduce=factor).size
