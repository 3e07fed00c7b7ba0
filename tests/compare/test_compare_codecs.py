"""Rivals through their adapters, and the scores of what they make."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from bench.common.pictures import synthetic_picture as photograph
from ltokc.compare.codecs import JpegXl, fit, make_codec
from ltokc.compare.scores import Lpips, Scorer
from ltokc.errors import UsageError

RIVALS = ("jpeg", "webp", "avif", "jpeg_half", "webp_quarter", "avif_half")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return photograph(192, 170)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_gives_back_the_same_size_and_improves_with_quality(name: str, picture: Image.Image) -> None:
    codec, scorer = make_codec(name), Scorer(picture)
    sizes, errors = [], []
    for quality in (10, 80):
        data = codec.encode(picture, quality)
        decoded = codec.decode(data)
        assert decoded.size == picture.size and decoded.mode == "RGB"
        scores = scorer.score(decoded, len(data))
        sizes.append(scores["bytes"])
        errors.append(scores["psnr"])
    assert sizes[0] < sizes[1] and errors[0] < errors[1]


def test_rivals_write_the_options_they_promise(picture: Image.Image) -> None:
    data = make_codec("jpeg").encode(picture, 50)
    assert b"\xff\xc2" in data  # progressive
    start = data.index(b"\xff\xc2")
    assert data[start + 11] == 0x22  # luma sampled 2x2 as densely as chroma
    assert make_codec("webp").encode(picture, 50)[8:12] == b"WEBP"
    assert make_codec("avif").encode(picture, 50)[4:12] == b"ftypavif"


@pytest.mark.parametrize("name", ["gif", "jpeg_third", "ltokc_half", ""])
def test_unknown_codecs_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        make_codec(name)


@pytest.mark.skipif(JpegXl.available(), reason="JPEG XL is there")
def test_a_missing_program_is_named() -> None:
    with pytest.raises(UsageError, match="cjxl"):
        make_codec("jxl")


@pytest.mark.skipif(not JpegXl.available(), reason="needs cjxl and djxl")
def test_jpeg_xl(picture: Image.Image) -> None:
    codec = make_codec("jxl")
    sizes = [len(codec.encode(picture, distance)) for distance in (10, 2)]
    assert sizes[0] < sizes[1] and codec.decode(codec.encode(picture, 2)).size == picture.size


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_a_search_for_a_size_ends_just_under_it(name: str, picture: Image.Image) -> None:
    codec = make_codec(name)
    limit = len(codec.encode(picture, 47))
    found = codec.encode_to_size(picture, limit)
    assert found is not None and 0.9 * limit < len(found.data) <= limit
    assert codec.encode_to_size(picture, 50) is None


def test_a_codec_that_does_not_go_so_low_is_downscaled(picture: Image.Image) -> None:
    smallest = len(make_codec("webp").encode(picture, 0))
    codec, found = fit("webp", picture, smallest)
    assert codec.name == "webp" and len(found.data) <= smallest
    codec, found = fit("webp", picture, smallest - 1)
    assert codec.name == "webp_half" and len(found.data) < smallest
    codec, found = fit("webp", picture, 20)
    assert codec.name == "webp_quarter" and len(found.data) > 20
    assert codec.decode(found.data).size == picture.size


def test_metrics_that_cannot_be_had_are_none() -> None:
    tiny = photograph(7, 40)
    scores = Scorer(tiny).score(tiny, 10)
    assert scores["ssimulacra2"] is None and scores["ms_ssim"] is None and scores["lpips_squeeze"] is None
    assert scores["psnr"] == math.inf and scores["bytes"] == 10


def test_webp_has_qualities_between_whole_numbers(picture: Image.Image) -> None:
    codec = make_codec("webp")
    sizes = [len(codec.encode(picture, quality)) for quality in (0, 0.2, 1)]
    assert sizes == sorted(set(sizes))
    assert list(codec.steps) == sorted(codec.steps) and codec.steps[0] == 0 and codec.steps[-1] == 100


def test_lpips_without_weights_says_so(tmp_path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(UsageError, match="no LPIPS weights"):
        Lpips(tmp_path / "w.safetensors")
