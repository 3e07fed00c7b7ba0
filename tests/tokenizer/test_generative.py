"""The generative decoder: same seed same bytes, the same in windows and in both runtimes, and it says what it is."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.errors import ModelError, UsageError
from ltokc.geometry import CELL
from ltokc.pictures.metadata import GENERATED, generated_xmp
from ltokc.tokenizer.receptive_field import decoder_spans, receptive_field, with_generator
from ltokc.tokenizer.windows import Tiling
from ltokc.zoo import model as zoo_model
from ltokc.zoo import registry
from tests.support.cli_runner import program, run
from tests.support.generative_model import random_generator, with_random_generator
from tests.support.pictures import grainy
from tests.support.small_model import LEVELS, small_ladder

WIDTH, HEIGHT = 330, 270


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    return with_random_generator(tmp_path_factory.mktemp("models"))


@pytest.fixture
def generative(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The default model has a generator."""
    monkeypatch.setenv("LTOKC_MODELS", str(models))
    yield models
    zoo_model.opened.cache_clear()


@pytest.fixture(scope="module")
def file() -> bytes:
    return ltokc.encode(grainy(WIDTH, HEIGHT), 0.4, effort=0)


def pixels(data: bytes, **how: object) -> np.ndarray:
    return np.asarray(ltokc.decode(data, **how)).astype(int)  # type: ignore[arg-type]


def test_a_seed_is_a_picture(generative: Path, file: bytes) -> None:
    faithful, one, again, two = (
        pixels(file, **how)
        for how in (
            {}, {"decoder": "generative"}, {"decoder": "generative", "seed": 0}, {"decoder": "generative", "seed": 1},
        )
    )  # fmt: skip
    assert one.shape == (HEIGHT, WIDTH, 3)
    assert (one == again).all() and (one != two).mean() > 0.1 and (one != faithful).mean() > 0.1


def test_detail_scales_what_is_drawn(generative: Path, file: bytes) -> None:
    faithful = pixels(file)
    assert (pixels(file, decoder="generative", detail=0) == faithful).all()
    faithful = pixels(file, precision="exact")  # bf16 rounds the two decoders otherwise
    half, whole = (pixels(file, decoder="generative", detail=d, precision="exact") - faithful for d in (0.5, 1.0))
    inside = (faithful > 60) & (faithful < 195)  # where nothing is clamped
    assert np.abs(whole[inside] - 2 * half[inside]).max() <= 2 and np.abs(whole[inside]).max() > 4


def test_both_runtimes_draw_the_same(generative: Path, file: bytes) -> None:
    pytest.importorskip("onnxruntime")
    one, other = (pixels(file, decoder="generative", seed=9, backend=backend) for backend in ("onnx", "torch"))
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_windows_and_crops_are_parts_of_the_whole(
    generative: Path, file: bytes, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {"decoder": "generative", "seed": 5, "backend": backend}
    whole = pixels(file, **how)
    left, top, w, h = 101, 53, 121, 87
    part = pixels(file, crop=(left, top, w, h), **how)
    assert np.abs(part - whole[top : top + h, left : left + w]).max() <= 1
    monkeypatch.setattr(zoo_model.open_model(), "tiling", Tiling(core=2, whole=0))
    assert np.abs(pixels(file, **how) - whole).max() <= 1


def test_a_smaller_picture_and_alpha(generative: Path) -> None:
    rgba = np.dstack([grainy(96, 72), np.full((72, 96), 77, np.uint8)])
    image = ltokc.decode(ltokc.encode(rgba, 0.5, effort=0), decoder="generative", reduce=2)
    assert image.mode == "RGBA" and image.size == (48, 36) and set(np.asarray(image)[..., 3].ravel()) == {77}


def test_the_generator_looks_no_farther() -> None:
    """What lies outside of the spans changes nothing in the core; what lies at their middle does."""
    torch = pytest.importorskip("torch")
    from ltokc.tokenizer.generative import PLANES
    from ltokc.tokenizer.nn.generative import Generator, GeneratorConfig

    ladder = small_ladder(3)
    torch.manual_seed(4)
    sizes = {
        "channels8": 16,
        "blocks8": 2,
        "channels4": 16,
        "blocks4": 3,
        "channels2": 8,
        "convolutions2": 2,
        "gate": 8,
    }
    net = Generator(GeneratorConfig(**sizes, state8=24, state4=16))
    with torch.no_grad():
        net.gate.last.weight.normal_()
    shapes = [{k: {"shape": list(v.shape)} for k, v in part.state_dict().items()} for part in (ladder, net)]
    field = with_generator(receptive_field(shapes[0], [level.stride for level in LEVELS]), shapes[1])
    cells, rng = 24, np.random.default_rng(1)
    digits = [torch.from_numpy(rng.integers(-1, 2, (1, v.digits, CELL // v.stride, cells * CELL // v.stride))).float()
              for v in LEVELS]  # fmt: skip
    masks = [torch.ones_like(d[:, :1]) for d in digits]
    noise = [torch.randn(1, n, CELL // s, cells * CELL // s) for s, n in PLANES.items()]
    core = slice(12 * CELL, 13 * CELL)
    spans = decoder_spans(field, (core.start, core.stop), cells * CELL)

    def residual(digits: list, noise: list) -> object:
        with torch.no_grad():
            return net(*ladder.decoded_features(digits, masks), noise)[..., core]

    whole = residual(digits, noise)
    for k, level in enumerate(LEVELS):
        low, high = spans[level.stride]
        for position, inside in ((low - 1, False), ((low + high) // 2, True), (high, False)):
            other = [d.clone() for d in digits]
            other[k][..., position] = 1 - other[k][..., position]
            assert torch.equal(residual(other, noise), whole) is not inside, (k, position)
    for i, stride in enumerate((8, 4)):
        low, high = spans[stride]
        for position, inside in ((low - 1, False), ((low + high) // 2, True), (high, False)):
            other = [n.clone() for n in noise]
            other[i][..., position] += 1
            assert torch.equal(residual(digits, other), whole) is not inside, (stride, position)


def test_a_generator_of_unknown_build_is_refused() -> None:
    field = receptive_field({}, (64, 8))
    with pytest.raises(ModelError, match="attention"):
        with_generator(field, {"attention.weight": {"shape": [8, 8, 3, 3]}})
    with pytest.raises(ModelError, match="stride 8"):
        with_generator(receptive_field({}, (64, 16)), {})


def test_a_generator_of_other_states_is_refused(models: Path, tmp_path: Path) -> None:
    from ltokc.train.export.package import add_generator

    random_generator(tmp_path / "g.safetensors", state8=24)
    with pytest.raises(ModelError, match="other states"):
        add_generator(tmp_path / "g.safetensors", models, next(p.name for p in models.iterdir() if p.is_dir()))


def test_a_model_without_one_says_so(generative: Path, file: bytes, tmp_path: Path) -> None:
    from dataclasses import replace

    opened = zoo_model.open_model()
    bare = replace(opened.entry, files=tuple(f for f in opened.entry.files if not f.name.startswith("generative")))
    assert opened.entry.decoders == ("faithful", "generative") and bare.decoders == ("faithful",)
    with pytest.raises(ModelError, match="has no generative decoder, only the faithful one"):
        _ = zoo_model.Model(bare, opened.folder).generative_field
    assert ltokc.info(file).decoders == ("faithful", "generative")


@pytest.mark.parametrize("name", ["generativ", "", "Faithful"])
def test_a_decoder_that_there_is_not(file: bytes, name: str) -> None:
    with pytest.raises(UsageError, match="decoder is auto, faithful or generative"):
        ltokc.decode(file, decoder=name)


# -- what a picture says of itself ------------------------------------------------------------------------------------
def test_xmp_says_that_a_picture_is_generated() -> None:
    fresh = generated_xmp()
    assert fresh.count(GENERATED.encode()) == 1
    own = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="Hills" '
        b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType="camera">'
        b"<Iptc4xmpExt:DigitalSourceType>camera</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    both = generated_xmp(own)
    assert b'dc:title="Hills"' in both and b"camera" not in both and both.count(GENERATED.encode()) == 1
    assert generated_xmp(both).count(GENERATED.encode()) == 1
    for packet in (fresh, both):
        import xml.etree.ElementTree as ElementTree

        ElementTree.fromstring(packet)
    assert generated_xmp(b"no packet") == fresh


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif"])
def test_written_pictures_carry_it(generative: Path, file: bytes, suffix: str, tmp_path: Path) -> None:
    (tmp_path / "a.ltk").write_bytes(file)
    for extra, said in ((["--decoder", "generative"], True), (["--decoder", "generative", "--detail", "0"], False),
                        ([], False)):  # fmt: skip
        done = run("decode", str(tmp_path / "a.ltk"), "-o", str(tmp_path / f"a.{suffix}"), "--overwrite", *extra)
        assert done.exit_code == 0, done.stderr
        assert (GENERATED.encode() in (tmp_path / f"a.{suffix}").read_bytes()) is said


# -- the command line -------------------------------------------------------------------------------------------------
def test_the_program_draws_the_same_bytes_each_time(models: Path, file: bytes, tmp_path: Path) -> None:
    import os

    from tests.support.cli_runner import ENVIRONMENT, subprocess, sys

    (tmp_path / "a.ltk").write_bytes(file)
    outputs = []
    for name in ("one.png", "two.png", "three.ppm"):
        done = subprocess.run(
            [sys.executable, "-m", "ltokc", "decode", "a.ltk", "--decoder", "generative", "--seed", "7", "-v",
             "-o", name],
            cwd=tmp_path, env={**ENVIRONMENT, "LTOKC_MODELS": str(models)}, capture_output=True, text=True, timeout=60,
            check=True,
        )  # fmt: skip
        said = "ppm has no place to say so" if name.endswith("ppm") else "the picture's XMP says so"
        assert f"generated detail (seed 7, detail 1); {said}" in done.stderr
        outputs.append((tmp_path / name).read_bytes())
    assert outputs[0] == outputs[1] and os.listdir(tmp_path)


def test_samples_are_a_sheet(generative: Path, file: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.ltk").write_bytes(file)
    done = run("decode", str(tmp_path / "a.ltk"), "-o", str(tmp_path / "a.png"), "--decoder", "generative", "--seed",
               "4", "--samples", "3")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    sheet = np.asarray(Image.open(tmp_path / "a.png")).astype(int)
    assert sheet.shape == (2 * HEIGHT + 8, 2 * WIDTH + 8, 3)
    for i, seed in enumerate((4, 5, 6)):
        y, x = i // 2 * (HEIGHT + 8), i % 2 * (WIDTH + 8)
        assert (sheet[y : y + HEIGHT, x : x + WIDTH] == pixels(file, decoder="generative", seed=seed)).all()
    assert (sheet[HEIGHT + 8 :, WIDTH + 8 :] == 255).all()


def test_a_batch_draws_too(generative: Path, file: bytes, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ltk").write_bytes(file)
    done = run("batch", "--decode", "-r", str(tmp_path / "in"), "-d", str(tmp_path / "out"), "--decoder", "generative",
               "--seed", "2", "-j", "1")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    found = np.asarray(Image.open(io.BytesIO((tmp_path / "out" / "a.png").read_bytes()))).astype(int)
    assert (found == pixels(file, decoder="generative", seed=2)).all()


def test_the_environment_says_which_decoder(
    generative: Path, file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.ltk").write_bytes(file)
    for said, extra, wanted in (("generative", (), "generative"), ("faithful", (), "faithful"),
                                ("generative", ("--decoder", "faithful"), "faithful")):  # fmt: skip
        monkeypatch.setenv("LTOKC_DECODER", said)
        done = run("decode", str(tmp_path / "a.ltk"), "-o", str(tmp_path / "a.png"), "--overwrite", *extra)
        assert done.exit_code == 0, done.stderr
        assert (np.asarray(Image.open(tmp_path / "a.png")) == pixels(file, decoder=wanted)).all()
    monkeypatch.setenv("LTOKC_DECODER", "generative")  # says nothing of encoding
    Image.fromarray(grainy(64, 64)).save(tmp_path / "small.png")
    done = run("batch", str(tmp_path / "small.png"), "-d", str(tmp_path / "out"), "-e", "0", "-j", "1")
    assert done.exit_code == 0, done.stderr
    monkeypatch.setenv("LTOKC_DECODER", "best")
    assert run("decode", str(tmp_path / "a.ltk"), "-o", str(tmp_path / "b.png")).exit_code == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--seed", "3"], "--seed goes with --decoder generative"),
        (["--detail", "0.5", "--decoder", "faithful"], "--detail goes with --decoder generative"),
        (["--samples", "2"], "--samples goes with --decoder generative"),
        (["--decoder", "generative", "--detail", "2"], "2.0 is not in the range 0<=x<=1"),
        (["--decoder", "generative", "--seed", "-1"], "-1 is not in the range"),
        (["--decoder", "generative", "--seed", "4294967295", "--samples", "2"], "seeds end at 4294967295"),
        (["--decoder", "best"], "'best' is not one of"),
    ],
)
def test_options_that_do_not_fit(words: list[str], complaint: str, file: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.ltk").write_bytes(file)
    done = program("decode", "a.ltk", "-o", "a.png", *words, cwd=tmp_path)
    assert done.returncode == 2 and re.search(re.escape(complaint), done.stderr.decode())
    assert not (tmp_path / "a.png").exists() and b"Traceback" not in done.stderr


def test_pillow_s_plug_in_draws_when_told(generative: Path, file: bytes) -> None:
    ltokc.register_pillow()
    plain, drawn = (Image.open(io.BytesIO(file)) for _ in range(2))
    drawn.decoder, drawn.seed = "generative", 3  # type: ignore[attr-defined]
    assert (np.asarray(plain) == pixels(file)).all()
    assert (np.asarray(drawn) == pixels(file, decoder="generative", seed=3)).all()
    assert GENERATED.encode() in drawn.info["xmp"] and "xmp" not in plain.info


def test_a_comparison_shows_both(generative: Path, file: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.ltk").write_bytes(file)
    Image.fromarray(grainy(WIDTH, HEIGHT)).save(tmp_path / "a.png")
    done = run("compare", str(tmp_path / "a.png"), str(tmp_path / "a.ltk"), "--generated", "--html",
               str(tmp_path / "a.html"))  # fmt: skip
    assert done.exit_code == 0, done.stderr
    rows = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert rows == ["file", "a.ltk", "a.ltk, generated"]
    assert "a.ltk, generated" in (tmp_path / "a.html").read_text("utf-8")


# -- the weights that are there ---------------------------------------------------------------------------------------
@pytest.mark.skipif("generative" not in registry.find(None).decoders, reason="the default model has no generator")
def test_the_default_model_s_seeds_agree_on_everything_but_texture() -> None:
    data = ltokc.encode(grainy(384, 256), 0.3, effort=0)
    drawn = {"decoder": "generative"}
    faithful, one, two = (pixels(data, **how) for how in ({"precision": "exact"}, drawn, drawn | {"seed": 1}))
    means = [(a.reshape(32, 8, 48, 8, 3).mean((1, 3))) for a in (faithful, one, two)]
    assert np.abs(means[1] - means[2]).mean() < 0.1  # of 255
    assert np.abs(means[1] - means[0]).mean() < 0.2
    assert (one != two).mean() > 0.2
