"""Training a generator: states of a frozen decoder, the distortion of two samples, runs that resume, the command."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from ltokc import container  # noqa: E402
from ltokc.codec import decode, encode  # noqa: E402
from ltokc.errors import ModelError  # noqa: E402
from ltokc.tokenizer.generative import PLANES  # noqa: E402
from ltokc.tokenizer.nn.generative import Generator, GeneratorConfig, hidden_weights, with_more_detail  # noqa: E402
from ltokc.train.data.pictures import Pictures  # noqa: E402
from ltokc.train.generative.cache import CachedStates, LiveStates, build_states  # noqa: E402
from ltokc.train.generative.discriminator import relativistic  # noqa: E402
from ltokc.train.generative.loop import Trainer  # noqa: E402
from ltokc.train.generative.recipe import (  # noqa: E402
    GenerativeRecipe,
    Stage,
    StatesRecipe,
    read_generative_recipe,
)
from ltokc.train.generative.states import FrozenDecoder, StateSource  # noqa: E402
from ltokc.train.generative.statistics import (  # noqa: E402
    KINDS,
    WHOLE_WEIGHTS,
    Features,
    chroma_energy,
    haar_filters,
    still_residual,
    wasserstein,
)  # fmt: skip
from ltokc.train.generative.visibility import haar_bands, skin, visible  # noqa: E402
from ltokc.zoo.model import open_model  # noqa: E402
from tests.support.cli_runner import run  # noqa: E402
from tests.support.random_lpips import random_lpips  # noqa: E402
from tests.support.small_model import LEVELS, small_ladder  # noqa: E402

SIZES = {"channels8": 16, "blocks8": 1, "channels4": 16, "blocks4": 1, "channels2": 8, "convolutions2": 1}
RECIPE = GenerativeRecipe(
    stages=(
        Stage(2, 2),
        Stage(2, 2, samples=2, grid_pattern=300.0, still=9.0, deep=1.0, whole=1.0),
        Stage(3, 2, samples=2, adversarial=0.5),
        Stage(2, 2, samples=2, gate=True, visible=0.5, excess=0.5, lack=0.5),
    ),
    warmup=2,
    fine=0.2,
    network=GeneratorConfig(**SIZES, state8=24, state4=16, gate=8),
    states=StatesRecipe(window=128, crop=96, crops=2),
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def lpips(tmp_path_factory):
    path = tmp_path_factory.mktemp("lpips") / "lpips.safetensors"
    save_file(random_lpips(), path)
    return path


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("shards") / "train-000.tar"
    with tarfile.open(path, "w") as tar:
        for i in range(4):
            small = Image.fromarray(rng.integers(0, 256, (14, 15, 3), np.uint8))
            data = io.BytesIO()
            small.resize((200 + 8 * i, 190), Image.Resampling.BICUBIC).save(data, "AVIF" if i == 0 else "WEBP")
            member = tarfile.TarInfo(f"{i}.{'avif' if i == 0 else 'webp'}")
            member.size = data.tell()
            tar.addfile(member, io.BytesIO(data.getvalue()))
    return path


@pytest.fixture(scope="module")
def source(shard, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    net = small_ladder(3)
    tensors = {k: v.half().contiguous() for k, v in net.state_dict().items() if not k.startswith("prior.")}
    save_file(tensors, folder / "model.safetensors", {"config": net.config.to_json()})
    decoder = FrozenDecoder(folder / "model.safetensors")
    pictures = Pictures([shard], folder / "cache")
    assert len(pictures) == 4
    return StateSource(decoder, pictures, RECIPE.states, lambda quality: 1 + quality * (len(LEVELS) - 1))


@pytest.fixture(scope="module")
def cached(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("states")
    build_states(folder, source, RECIPE, 8, lambda count: None)
    return CachedStates(folder)


def trained(recipe, source, lpips, cached, folder):
    trainer = Trainer(recipe, source.decoder, Features(lpips))
    trainer.resume(folder)
    trainer.run(cached, folder)
    return trainer


def test_states_are_those_of_the_whole_window(source):
    """A crop's f4 makes the faithful picture of its place, apart from the border that the head sees over."""
    for seed in range(3):
        f8, f4, original, _ = source.draw(np.random.default_rng(seed))
        assert f8.shape[1:] == (24, 12, 12) and f4.shape[1:] == (16, 24, 24) and original.shape[1:] == (3, 96, 96)
        assert f8.dtype == f4.dtype == np.float16 and original.dtype == np.uint8
        up = source.decoder.net.descend(torch.from_numpy(f8).float(), 1, 0)[..., 4:-4, 4:-4]
        assert torch.allclose(up, torch.from_numpy(f4).float()[..., 4:-4, 4:-4], atol=0.02)


def test_depths_and_damage_are_as_the_recipe_says(source):
    rng = np.random.default_rng(0)
    keep = np.concatenate([source.depths(rng, 2, 2).ravel() for _ in range(400)])
    assert keep.dtype == np.float32 and keep.min() >= 0 and keep.max() <= len(LEVELS) and keep.std() > 0.5
    lossy = replace(RECIPE.states, lost=1.0)
    lost = [StateSource(source.decoder, source.pictures, lossy, lambda q: 4.0).depths(rng, 8, 8) for _ in range(20)]
    share = np.mean([(part < 0.7 * np.median(part)).mean() for part in lost])
    assert 0.02 < share < 0.15


def test_a_cache_is_the_same_whether_or_not_it_was_interrupted(source, tmp_path, cached):
    build_states(tmp_path, source, RECIPE, 8, lambda count: None)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["f4-0000.npy", "f8-0000.npy", "original-0000.npy", "states.json", "text-0000.npy"]
    (tmp_path / "f4-0000.npy").unlink()
    build_states(tmp_path, source, RECIPE, 8, lambda count: None)
    draws = [c.draw(np.random.default_rng(5), 3) for c in (CachedStates(tmp_path), cached)]
    assert all(torch.equal(getattr(draws[0], k), getattr(draws[1], k)) for k in ("f8", "f4", "original", "text"))
    with pytest.raises(ModelError, match="another recipe"):
        build_states(tmp_path, source, replace(RECIPE, seed=1), 8, lambda count: None)


def test_live_states_use_every_crop_once(source):
    live = LiveStates(source)
    drawn = [live.draw(np.random.default_rng(2), 3) for _ in range(2)]
    window = source.draw(np.random.default_rng(2))[2]
    found = torch.cat([d.original for d in drawn])
    count = len(window)
    assert 0 < count <= 4
    assert torch.allclose((found[:count] + 1) * 127.5, torch.from_numpy(window).float(), atol=1e-3)


def test_the_filters_see_no_flat_picture():
    filters = haar_filters()
    assert filters.shape == (14, 3, 4, 4)
    assert filters.sum((2, 3)).abs().max() < 1e-6  # a flat picture has no details
    assert filters[6:].sum(1).abs().max() < 0.002  # and a gray one no colour


def test_gray_detail_has_no_chroma_energy():
    gray = torch.randn(2, 1, 8, 8).expand(-1, 3, -1, -1)
    assert float(chroma_energy(gray)) < 1e-6
    blue = torch.zeros(1, 3, 8, 8)
    blue[:, 2] = 2.0
    assert float(chroma_energy(blue)) == pytest.approx((1 + 0.162**2) / 2)


def test_the_distortion_of_two_samples_gives_back_their_variance():
    """With all of it given back, the expectation is the distance of the mean; with none, variance is punished."""
    torch.manual_seed(0)
    original = [torch.zeros(1, 4, 8, 8)]
    noise = torch.randn(500, 4, 8, 8)
    found = {}
    for returned in (0.0, 0.5, 1.0):
        values = [wasserstein([1 + 2 * noise[i : i + 2]], original, returned) for i in range(0, 500, 2)]
        found[returned] = float(torch.stack([v[0] for v in values]).mean())
        assert float(torch.stack([v[1] for v in values]).mean()) == pytest.approx(0.3 * 4, rel=0.05)
    assert found == pytest.approx({0.0: 0.3 * 5, 0.5: 0.3 * 3, 1.0: 0.3}, rel=0.06)


def test_a_picture_is_nothing_away_from_itself(lpips):
    features = Features(lpips)
    x = torch.rand(2, 3, 120, 120) * 2 - 1
    features.fit(x)
    same = features.statistics(features(x), (3, 5))
    other = features.statistics(features(x * 0.5), (3, 5))
    assert len(same) == 12  # local ones: points of 4 maps, windows of 5, and of 3 of these twice as large
    assert float(wasserstein(same, same)[0]) == 0 and float(wasserstein(other, same)[0]) > 0.01


def test_the_whole_crop_has_one_mean_and_deviation_a_channel(lpips):
    features = Features(lpips)
    x = torch.rand(2, 3, 120, 120) * 2 - 1
    features.fit(x)
    maps = features(x)
    found = {kind: features.statistics(maps, (0, 0), kind) for kind in KINDS}
    assert len(found["deep"]) == 2 and [v.shape[2:] for v in found["whole"]] == [(1, 1)] * 6
    mean, deviation = (found["whole"][0][1, :, 0, 0] / WHOLE_WEIGHTS[0] ** 0.5).chunk(2)
    scale = features.scales[0][0, :, 0, 0]
    assert torch.allclose(mean * scale, maps[0][1].mean((1, 2)), atol=1e-5)
    assert torch.allclose(deviation * scale, maps[0][1].std((1, 2)), rtol=0.02)
    shuffled = x.flatten(2)[:, :, torch.randperm(120 * 120)].view_as(x)  # noise stays the noise it is
    assert float(wasserstein(features.statistics(features(shuffled), (0, 0), "whole"), found["whole"])[0]) < 0.02


def test_only_what_is_drawn_on_one_colour_counts_as_still():
    original = torch.rand(1, 3, 32, 32)
    original[..., :16, :16] = 0.25
    residual = torch.full((2, 3, 32, 32), 0.5)
    assert float(still_residual(residual, original)) == pytest.approx(0.5 / 4)
    residual[..., :16, :16] = 0
    assert float(still_residual(residual, original)) == 0
    original[..., :16, :16] += 0.0005 * torch.randn(16, 16)  # a sixteenth of a level of 255: as good as still
    residual[..., :16, :16] = -0.5
    assert float(still_residual(residual, original)) == pytest.approx(0.5 / 4)


def test_only_text_is_held_to_its_pixels(source, lpips):
    pages = StateSource(source.decoder, source.pictures, replace(RECIPE.states, text=1.0), lambda q: 4.0)
    trainer = Trainer(replace(RECIPE, precision="fp32"), source.decoder, Features(lpips))
    for where, text in ((source, 0), (pages, 1)):
        states = LiveStates(where).draw(np.random.default_rng(3), 2)
        assert states.text.tolist() == [text] * 2
        trainer.features.fit(states.original)
        with torch.no_grad():
            found = trainer.losses(states, Stage(1, samples=2, text=9.0))
        assert (float(found["text"]) > 0) == bool(text)


def test_nothing_told_apart_costs_ln_2():
    maps = [torch.randn(2, 1, 3, 3), torch.randn(2, 1, 5, 5)]
    assert float(relativistic(maps, maps)) == pytest.approx(np.log(2))
    assert float(relativistic([m + 9 for m in maps], maps)) < 0.01


@pytest.mark.parametrize("alive", [0, 2])
def test_a_resumed_run_is_the_undisturbed_one(source, lpips, cached, tmp_path, alive):
    recipe = replace(RECIPE, alive=alive)
    whole = trained(recipe, source, lpips, cached, tmp_path / "whole")
    for steps in (
        3,
        6,
        7,
        8,
    ):  # inside of the second stage, of the third with its discriminator, around the gate's first
        cut = Trainer(recipe, source.decoder, Features(lpips))
        cut.resume(tmp_path / "parts")
        if not cut.features.scales:
            cut.features.fit(cached.draw(np.random.default_rng(RECIPE.seed), 64).original)
        if not cut.step:
            cut.wake(cached)
        while cut.step < steps:
            cut.update(cached.draw(cut.rng, RECIPE.stage_at(cut.step).batch))
        (tmp_path / "parts").mkdir(exist_ok=True)
        cut.save(tmp_path / "parts")
    again = trained(recipe, source, lpips, cached, tmp_path / "parts")
    assert whole.step == again.step == 9 and whole.judge_steps == again.judge_steps > 0
    for part in ("net", "ema", "discriminator"):
        one, other = (getattr(t, part).state_dict() for t in (whole, again))
        assert all(torch.equal(v, other[k]) for k, v in one.items()), part
    files = [(tmp_path / name / "generative.safetensors").read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


def test_the_gate_learns_over_a_generator_that_rests(source, lpips, cached, tmp_path):
    """The generator has its mean weights then, with their finest details; the gate alone moves."""
    stages = (Stage(3, 2), Stage(25, 2, gate=True, local=0.0, excess=9.0, visible=9.0))
    recipe = replace(RECIPE, stages=stages, precision="fp32", gain=2.0)
    before = trained(replace(recipe, stages=stages[:1]), source, lpips, cached, tmp_path / "before")
    after = trained(recipe, source, lpips, cached, tmp_path / "after")
    kept = with_more_detail(before.ema, recipe.fine).state_dict()
    for name, value in after.ema.state_dict().items():
        assert torch.equal(value, kept[name]) is not name.startswith("gate."), name
    factors = [t.ema.gate(cached.draw(np.random.default_rng(1), 8).f8) for t in (before, after)]
    assert factors[0].std() < 0.05 and float(factors[1].mean()) < float(factors[0].mean()) - 0.1
    written = load_file(tmp_path / "after" / "generative.safetensors")
    assert torch.equal(written["last.weight"].float(), (2 * kept["last.weight"]).half().float())


def test_finished_weights_get_a_gate_alone(source, lpips, cached, tmp_path):
    recipe = replace(RECIPE, network=replace(RECIPE.network, gate=0), stages=RECIPE.stages[:1])
    old = trained(recipe, source, lpips, cached, tmp_path / "old")
    weights = tmp_path / "old" / "generative.safetensors"
    new = Trainer(RECIPE, source.decoder, Features(lpips))
    new.take_generator(weights)
    assert new.step == RECIPE.generator_steps
    new.run(cached, tmp_path / "new")
    names = load_file(weights)
    found = load_file(tmp_path / "new" / "generative.safetensors")
    assert all(torch.equal(found[name], value) for name, value in names.items()) and len(found) == len(names) + 8
    with pytest.raises(ValueError, match="other sizes"):
        Trainer(replace(RECIPE, network=replace(RECIPE.network, channels8=24)), source.decoder,
                Features(lpips)).take_generator(weights)  # fmt: skip
    assert old.net.gate is None


def test_an_error_is_seen_beside_an_edge_and_hidden_in_a_texture():
    torch.manual_seed(0)
    grain = 0.05 * torch.randn(1, 3, 96, 96)
    edge, texture = torch.zeros(1, 3, 96, 96), 0.3 * torch.randn(1, 3, 96, 96)
    edge[..., 40:] = 0.6
    weight = torch.ones(1, 1, 12, 12)
    on_edge, on_texture = (visible(x + grain, x, weight) for x in (edge, texture))
    assert on_edge.error > 10 * on_texture.error and on_edge.excess > 10 * on_texture.excess
    assert float(visible(texture, texture, weight).error) == 0
    half = visible(0.5 * texture, texture, weight)  # too little is an error but no excess
    assert float(half.error) > 0 and float(half.excess) < 1e-6 and float(half.lack) == pytest.approx(3 * 0.25, rel=0.2)
    assert float(visible(texture + grain, texture, 3 * weight).error) == pytest.approx(3 * float(on_texture.error))


def test_bands_keep_the_energy_of_luma():
    gray = torch.randn(1, 1, 64, 64).expand(-1, 3, -1, -1)
    energy = sum(float(band.square().sum()) for band in haar_bands(gray))
    mean = torch.nn.functional.avg_pool2d(gray[:, :1], 8)
    assert energy + 64 * float(mean.square().sum()) == pytest.approx(float(gray[:, :1].square().sum()), rel=1e-4)


def test_skin_is_told_from_sky_and_grass():
    colours = {"skin": (205, 150, 125), "dark skin": (125, 80, 60), "sky": (120, 160, 215), "grass": (70, 110, 50)}
    found = {name: torch.tensor(c).view(1, 3, 1, 1).expand(1, 3, 16, 16) / 127.5 - 1 for name, c in colours.items()}
    assert {name: float(skin(x).mean()) for name, x in found.items()} == {
        "skin": 1, "dark skin": 1, "sky": 0, "grass": 0
    }  # fmt: skip


def test_the_distortion_falls_and_the_noise_is_used(source, lpips, cached, tmp_path):
    stages = (Stage(50, 4, samples=2, grid_pattern=300.0),)
    trainer = trained(replace(RECIPE, stages=stages, precision="fp32"), source, lpips, cached, tmp_path)
    states = cached.draw(np.random.default_rng(9), 8)
    with torch.no_grad():
        fresh = Trainer(replace(RECIPE, precision="fp32"), source.decoder, trainer.features)
        before, after = (float(t.losses(states, stages[0])["distortion"]) for t in (fresh, trainer))
        noise = [trainer.draw_noise(8, 96) for _ in range(2)]
        one, two = (trainer.net(states.f8, states.f4, n) for n in noise)
    assert after < 0.97 * before and float((one - two).abs().mean()) > 1e-4


def test_the_discriminator_rests_while_it_is_ahead(source, lpips, cached):
    trainer = Trainer(replace(RECIPE, told=0.0), source.decoder, Features(lpips))
    trainer.features.fit(cached.draw(np.random.default_rng(0), 8).original)
    states, stage = cached.draw(np.random.default_rng(1), 2), RECIPE.stages[2]
    trainer.losses(states, stage)
    assert trainer.judge_steps == 1
    trainer.recipe = replace(RECIPE, told=1.0)  # it never tells worse than ln 2 on average
    trainer.told = 0.5
    trainer.losses(states, stage)
    assert trainer.judge_steps == 1 and all(p.requires_grad for p in trainer.discriminator.parameters())


def test_multiplications_and_weights_for_muon():
    net = Generator()
    assert round(net.multiplications() / 1e3, 1) == 17.2
    assert sum(p.numel() for p in net.parameters()) == 343_884
    assert len(hidden_weights(net)) == 3 * 6 + 2 + 2 + 2


def test_more_detail_is_inside_of_squares_of_2_by_2():
    torch.manual_seed(0)
    net = Generator(GeneratorConfig(**SIZES, state8=24, state4=16))
    torch.nn.init.normal_(net.last.bias)
    given = torch.randn(1, 24, 8, 8), torch.randn(1, 16, 16, 16), [
        torch.randn(1, planes, 64 // stride, 64 // stride) for stride, planes in PLANES.items()
    ]  # fmt: skip
    with torch.no_grad():
        plain, more = net(*given), with_more_detail(net, 0.5)(*given)
    means = [
        torch.nn.functional.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3) for x in (plain, more)
    ]
    assert torch.allclose(means[0], means[1], atol=1e-5) and float((plain - means[0]).abs().mean()) > 0.01
    assert torch.allclose(more - means[1], 1.5 * (plain - means[0]), atol=1e-5)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed = 1", "at least one"),
        ("[[stage]]\nsteps = 1\nsamples = 3", "1 or 2 samples"),
        ("[[stage]]\nsteps = 1\nsampels = 2", "sampels"),
        ("[[stage]]\nsteps = 1\n[states]\ncrop = 100", "multiple of 16"),
        ("precision = 'fp8'\n[[stage]]\nsteps = 1", "bf16 or fp32"),
        ("[network]\nlayers = 2\n[[stage]]\nsteps = 1", "layers"),
        ("[[stage]]\nsteps = 1\ngate = true", "network with one"),
        ("[network]\ngate = 8\n[[stage]]\nsteps = 1\ngate = true\n[[stage]]\nsteps = 1", "come last"),
        ("stage = [", "r.toml"),
    ],
)
def test_a_wrong_recipe_names_what_is_wrong(text, complaint, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(ModelError, match=complaint):
        read_generative_recipe(path)


def test_rates_rise_and_fall():
    recipe = replace(RECIPE, stages=(Stage(100),), warmup=10, decay=0.5)
    rates = [recipe.rate_at(step) for step in range(100)]
    assert rates[0] == 0.1 and rates[9:50] == [1.0] * 41 and rates[99] == 0.03
    assert [recipe.stage_at(99), *(RECIPE.stage_at(step) for step in (1, 2, 6, 99))] == [
        recipe.stages[0], *RECIPE.stages
    ]  # fmt: skip
    both = replace(recipe, stages=(Stage(60), Stage(40, gate=True)), network=GeneratorConfig(gate=8))
    rates = [both.rate_at(step) for step in range(100)]
    assert rates[9] == 1 > rates[59] and rates[59] < 0.05 and rates[60] == 0.1 and rates[69] == 1 and rates[99] == 0.05


RECIPE_TEXT = """
warmup = 2
[[stage]]
steps = 1
batch = 2
[[stage]]
steps = 1
batch = 2
samples = 2
adversarial = 0.05
[[stage]]
steps = 1
batch = 2
gate = true
visible = 0.05
[network]
channels8 = 16
blocks8 = 1
channels4 = 16
blocks4 = 1
channels2 = 8
gate = 8
[states]
window = 128
crop = 96
crops = 1
"""


@pytest.mark.parametrize("crops", ["2", "0"])
def test_the_command_trains_what_the_default_model_can_use(crops, shard, lpips, tmp_path: Path):
    from ltokc.train.export.package import add_generator
    from ltokc.zoo import registry
    from tests.support.generative_model import with_random_generator

    (tmp_path / "r.toml").write_text(RECIPE_TEXT)
    words = ("train-generative", str(tmp_path / "r.toml"), "--shards", str(shard.parent), "--lpips", str(lpips),
             "--out", str(tmp_path / "run"), "--crops", crops)  # fmt: skip
    done = run(*words)
    assert done.exit_code == 0, done.stderr
    assert "3 steps" in done.stderr
    again = run(*words)
    assert again.exit_code == 0 and "goes on at step 3" in again.stderr
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 3 and np.isfinite(rows[-1]["distortion"])
    alone = [word if word != str(tmp_path / "run") else str(tmp_path / "alone") for word in words]
    done = run(*alone, "--generator", str(tmp_path / "run" / "generative.safetensors"))
    assert done.exit_code == 0, done.stderr
    assert json.loads((tmp_path / "alone" / "log.jsonl").read_text().splitlines()[0])["step"] == 3
    models = with_random_generator(tmp_path / "models")
    add_generator(tmp_path / "run" / "generative.safetensors", models, registry.find(None).name)
    adding = ("models", "add-generator", str(tmp_path / "run" / "generative.safetensors"), "--models", str(models),
              "--name", registry.find(None).name)  # fmt: skip
    refused = run(*adding)
    assert refused.exit_code == 1 and "--overwrite" in refused.stderr
    assert run(*adding, "--overwrite").exit_code == 0


def test_the_command_says_what_it_lacks(shard, tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE_TEXT)
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    done = run("train-generative", str(tmp_path / "r.toml"), "--shards", str(shard.parent), "--lpips",
               str(tmp_path / "bad.safetensors"), "--out", str(tmp_path / "run"))  # fmt: skip
    assert done.exit_code == 1 and "no LPIPS weights" in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_recipe_of_the_default_model_is_one():
    from ltokc.zoo import registry

    path = registry.folder(registry.find(None)) / "generative.toml"
    recipe = read_generative_recipe(path)
    assert recipe.stages[-1].gate and recipe.stages[-2].adversarial and recipe.network == GeneratorConfig(gate=48)


def test_an_encoded_window_has_the_tokens_of_a_file(shard, tmp_path):
    model = open_model(None)
    recipe = replace(
        RECIPE.states, encoded=1.0, text=0.0, smooth=0.0, shrunk=0.0, wrong=0.0, quality=(0.5, 0.5), low=0.0
    )
    decoder = FrozenDecoder(model.weights.path)
    source = StateSource(decoder, Pictures([shard], tmp_path / "cache"), recipe, model.keep_of_quality)
    picture = source.window(np.random.default_rng(4))[0]
    digits, masks = source.encoded(np.array(picture), np.random.default_rng(4))
    ltk = container.read(encode(np.array(picture), 0.5, effort=1, patches="off"))
    plain = ltk.with_chunks(tuple(chunk for chunk in ltk.chunks if chunk.fourcc != container.COLOUR))
    with torch.no_grad():
        _, f4 = decoder.net.decoded_features(digits, masks)
        ours = ((decoder.faithful(f4)[0].permute(1, 2, 0) + 1) * 127.5).round().numpy()
    theirs = np.asarray(decode(container.write(plain)).convert("RGB"), np.float32)
    assert np.abs(ours - theirs).mean() < 1  # of the decoder in bf16
    f8, _, original, text = source.draw(np.random.default_rng(5))
    assert len(f8) == len(original) == len(text) == min(recipe.crops, picture.shape[0] * picture.shape[1] // 96**2)


def test_a_run_starts_from_weights(source, lpips, cached, tmp_path):
    whole = trained(RECIPE, source, lpips, cached, tmp_path / "whole")
    later = Trainer(RECIPE, source.decoder, Features(lpips))
    later.start_from(tmp_path / "whole" / "generative.safetensors")
    assert later.step == 0
    for name, value in later.net.state_dict().items():
        begun = torch.equal(value, whole.ema.state_dict()[name].half().float())
        assert begun or name.startswith(("gate.", "last."))  # the last layer has the recipe's gain
    other = replace(RECIPE, network=replace(RECIPE.network, channels2=4))
    with pytest.raises(ValueError, match="other sizes"):
        Trainer(other, source.decoder, Features(lpips)).start_from(tmp_path / "whole" / "generative.safetensors")


def test_silent_units_of_the_weights_to_begin_from_are_drawn_anew(source, lpips, cached, tmp_path):
    """All but those of the gate, which learns later."""
    recipe = replace(RECIPE, stages=RECIPE.stages[:1], alive=9)
    quiet = Trainer(recipe, source.decoder, Features(lpips))
    with torch.no_grad():
        quiet.net.blocks4[0].b.bias[:3] = -1e3
        quiet.net.convolutions2[0].bias[:2] = -1e3
    quiet.ema.load_state_dict(quiet.net.state_dict())
    quiet.run(cached, tmp_path / "run")
    assert (quiet.net.blocks4[0].b.bias > -1e2).all() and (quiet.net.convolutions2[0].bias > -1e2).all()
    assert (quiet.ema.blocks4[0].b.bias > -1e2).all() and (quiet.ema.convolutions2[0].bias > -1e2).all()
    assert quiet.wake(cached) == {}
