"""Pictures that tokens cost many bytes, or of which they miss a look: an AVIF over all of it where that is better.

One photograph in ten is of that kind from `-q` 0.8 on, with fine patterns or strong colours for the most part; and so
are pictures in false colours.
"""

from __future__ import annotations

import math
from functools import cache, partial

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from ltokc.container.bitstreams import VP8, VP8L, WEBP_MAX_SIDE, encode
from ltokc.container.records import Ltk
from ltokc.metrics.ssimulacra2 import Reference
from ltokc.rate.patches import high
from ltokc.rate.patches.drawn import drawing_of
from ltokc.rate.patches.plan import READABLE_FROM, Patched, codec_quality, coder_of, whole_at
from ltokc.rate.tokenized import TokenizedPicture

Pixels = npt.NDArray[np.uint8]
# bytes of tokens over those of a quick WebP, by quality, from which on it is tried: of 59 photographs one in six
DEAR = ((0.4, 0.16), (0.6, 0.19), (0.7, 0.25), (0.8, 0.33), (0.9, 0.4))
QUICK_WEBP = (40, 0)  # quality and effort; a hundredth of the time of encoding
MOST_BITS = 0.45  # per pixel, about all that tokens take, from which on it is tried whatever WebP takes
BITS = 0.25  # per pixel of a wanted size, from which on it is tried
WORTH = 0.92  # of the bytes of tokens, that it may take at most: they can be cut anywhere
STARTS, WORTH_BELOW = 0.7, 0.75  # quality below which it is so many: tokens look crisper there than their points say
SHORT = 8.0  # points of SSIMULACRA2 below the wanted look, that are reason enough
POINT = 0.028  # of bytes for a point, as a logarithm, of AV1 about these looks
LESS = 0.94  # of the error of tokens, that it may have at the same size
LARGE = 1 << 22  # px, above which it is not tried for a size: that takes seven encodes


def worth_trying(size: int, rgb: Pixels) -> bool:
    """Whether a file of at most `size` bytes may look better without tokens."""
    pixels = rgb.shape[0] * rgb.shape[1]
    return pixels <= LARGE and (8 * size >= BITS * pixels or size >= DEAR[-1][1] * quick_bytes(rgb))


def quick_bytes(rgb: Pixels) -> float:
    """About the bytes of a picture (H, W, 3) as a WebP that is made in no time; inf without the codec."""
    if not features.check("webp"):
        return math.inf
    sample = high.sample_of(rgb)[:, :WEBP_MAX_SIDE]
    return len(encode(VP8, Image.fromarray(sample), *QUICK_WEBP)) * rgb.size / sample.size


def most_bytes(quality: float, short: float, size: int, rgb: Pixels) -> float:
    """Bytes of a file that is better than one of tokens of `size` bytes, at a quality 0 to 1; 0: none is.

    short: points that tokens are expected to lack for the wanted look; rgb: the picture.
    """
    if short >= SHORT:
        return math.inf
    dear = np.interp(quality, [q for q, _ in DEAR], [share for _, share in DEAR])
    if 8 * size < MOST_BITS * rgb.shape[0] * rgb.shape[1] and size < dear * quick_bytes(rgb):
        return 0.0
    return (WORTH if quality >= STARTS else WORTH_BELOW) * size * math.exp(POINT * max(0.0, short))


def most_bytes_beside(quality: float, short: float, size: int, whole: bool) -> float:
    """The same of a file of which patches show a part, so that it cannot be cut anywhere anyhow, or the whole."""
    return math.inf if short >= SHORT else size if quality >= STARTS and not whole else 0.0


def instead(
    picture: TokenizedPicture, ltk: Ltk, effort: int, quality: float, look: float, most: float
) -> Patched | None:  # fmt: skip
    """A patch over the whole picture with a look, in points, if about `most` bytes are enough for that; or None.

    One encode of about a million pixels says whether more of them are worth their time.  Drawn parts get what they get
    at this quality of the encoder at least, and lettering has to stay legible.
    """
    drawing = drawing_of(picture.rgb)
    coder, least = coder_of(picture, ltk, effort, drawing), codec_quality(quality) if drawing.present else 0
    pixels = high.sample_of(picture.rgb)
    shown = cache(partial(coder.seen, pixels))
    first = max(least, high.guessed(look))
    coded, seen = coder.smallest(pixels, first, float(drawing.equal.mean())), Reference(pixels).score(shown(first))
    as_wanted = coded.coding == VP8L or (first == least and seen > look)  # no other quality would take other bytes
    expected = len(coded.body) * (1.0 if as_wanted else math.exp(POINT * (look - seen)))
    if expected > most * pixels.size / picture.rgb.size:
        return None
    lossy = high.quality_of_look(look, pixels, lambda _, each: shown(each), least)
    return whole_at(picture, coder, lossy, readable=drawing.present and quality >= READABLE_FROM)
