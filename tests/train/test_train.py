"""Training on small generated pictures: the loss falls, runs resume, stages freeze what they say, models come out."""

import io
import json
import math
import pickle
import subprocess
import sys
import tarfile
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from ltokc.errors import ModelError  # noqa: E402
from ltokc.losses.colour import colour_distance, lab  # noqa: E402
from ltokc.losses.grid_pattern import grid_pattern_energy  # noqa: E402
from ltokc.losses.lpips import LPIPS  # noqa: E402
from ltokc.losses.ssim import dissimilarity, luma, structural_loss  # noqa: E402
from ltokc.losses.texture import texture_distance  # noqa: E402
from ltokc.tokenizer.nn.prior import RoundToGrid  # noqa: E402
from ltokc.train.cuda_graph import CudaGraph  # noqa: E402
from ltokc.train.data.crops import Crops  # noqa: E402
from ltokc.train.data.loader import Batches, batches  # noqa: E402
from ltokc.train.data.pictures import Pictures  # noqa: E402
from ltokc.train.generative.recipe import read_generative_recipe  # noqa: E402
from ltokc.train.loop import Trainer  # noqa: E402
from ltokc.train.optim import orthogonalise  # noqa: E402
from ltokc.train.recipe import Loss, Recipe, read_recipe  # noqa: E402
from tests.support.random_lpips import random_lpips  # noqa: E402
from tests.support.small_model import LEVELS, small_config, small_ladder  # noqa: E402

RECIPE = Recipe(
    batch=2,
    crop=64,
    steps=6,
    warmup=2,
    held_out=1,
    optimizer="muon",
    model=small_config(),
    loss=Loss(rate=(0.5,) * len(LEVELS)),
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
        for i in range(6):
            small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
            data = io.BytesIO()
            small.resize((96 + 8 * i, 80), Image.Resampling.BICUBIC).save(data, "WEBP", quality=90)
            member = tarfile.TarInfo(f"{i}.webp")
            member.size = data.tell()
            tar.addfile(member, io.BytesIO(data.getvalue()))
    return path


@pytest.fixture
def pictures(shard, tmp_path):
    return Pictures([shard], tmp_path / "cache", held_out=1)


def weights(trainer):
    return {k: v.clone() for k, v in trainer.net.state_dict().items()}


def test_a_resumed_run_is_the_undisturbed_one(pictures, lpips, tmp_path):
    whole = Trainer(RECIPE, lpips)
    whole.run(pictures, tmp_path / "whole")
    first = Trainer(replace(RECIPE, steps=3, decay=0.0), lpips)
    first.run(pictures, tmp_path / "parts")
    second = Trainer(replace(RECIPE, decay=0.0), lpips)
    assert second.resume(tmp_path / "parts") and second.step == 3 and second.samples == 6
    second.run(pictures, tmp_path / "parts")
    undisturbed = Trainer(replace(RECIPE, decay=0.0), lpips)
    undisturbed.run(pictures, tmp_path / "undisturbed")
    for name, value in weights(undisturbed).items():
        assert torch.equal(value, second.net.state_dict()[name]), name
        assert torch.equal(undisturbed.ema.state_dict()[name], second.ema.state_dict()[name]), name


def test_the_loss_falls(pictures, lpips, tmp_path):
    trainer = Trainer(replace(RECIPE, steps=40, batch=4, lr=2e-3), lpips)
    trainer.run(pictures, tmp_path, log_every=10)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 4 and losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("stage", "learning"),
    [
        ("encoder", ("stem.", "encoder.", "down.", *(f"levels.{k}.query." for k in range(len(LEVELS))))),
        ("queries", tuple(f"levels.{k}.query." for k in range(len(LEVELS)))),
        ("finish", ("final.", "head.", "up.0.", "pre.0.")),
        ("prior", ("prior.",)),
    ],
)
def test_a_stage_changes_only_what_it_says(stage, learning, pictures, lpips, tmp_path):
    trainer = Trainer(replace(RECIPE, train=stage, steps=2), lpips)
    before = weights(trainer)
    trainer.run(pictures, tmp_path)
    changed = {name for name, value in weights(trainer).items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith(learning) for name in changed)


def test_blocks_drawn_anew_change_nothing_at_first_and_learn(pictures, lpips, tmp_path):
    """Silent blocks of the encoder, beside the queries."""
    blocks = ("encoder.1.0", "levels.1.query.1")
    quiet = small_ladder(3)
    with torch.no_grad():
        for block in blocks:
            quiet.get_submodule(block).b.bias.fill_(-1e4)
    save_file({name: tensor.contiguous() for name, tensor in quiet.state_dict().items()}, tmp_path / "w.safetensors")
    trainer = Trainer(replace(RECIPE, train="queries", blocks=blocks, anew=True, steps=8, lr=2e-3), lpips)
    trainer.start_from(tmp_path / "w.safetensors")
    x = torch.rand(1, 3, 128, 64) * 2 - 1
    masks = [torch.ones(1, 1, 128 // level.stride, 64 // level.stride) for level in LEVELS]
    with torch.no_grad():
        for found, expected in zip(trainer.net.tokenize(x, masks), quiet.tokenize(x, masks), strict=True):
            assert torch.equal(found, expected)
    before = weights(trainer)
    trainer.run(pictures, tmp_path / "run")
    changed = {name for name, value in weights(trainer).items() if not torch.equal(value, before[name])}
    assert all(f"{block}.{part}.weight" in changed for block in blocks for part in "abc")
    assert all(name.startswith("encoder.1.0.") or ".query." in name for name in changed)
    with pytest.raises(KeyError, match=r"encoder.9.0"):
        Trainer(replace(RECIPE, blocks=("encoder.9.0",), anew=True), lpips).start_from(tmp_path / "w.safetensors")


def test_units_of_what_learns_are_kept_alive(pictures, lpips, tmp_path):
    """Silent units of the queries fire again, those of what is frozen stay; a resumed run does the same."""
    quiet = small_ladder(3)
    with torch.no_grad():
        for block in ("levels.1.query.1", "encoder.1.0"):
            quiet.get_submodule(block).b.bias[:3] = -1e4
    save_file({name: tensor.contiguous() for name, tensor in quiet.state_dict().items()}, tmp_path / "w.safetensors")
    recipe = replace(RECIPE, train="queries", alive=3, steps=6, decay=0.1)
    whole = Trainer(recipe, lpips)
    whole.start_from(tmp_path / "w.safetensors")
    whole.run(pictures, tmp_path / "whole")
    rows = [json.loads(line) for line in open(tmp_path / "whole" / "log.jsonl")]
    first, *later = [row["revived"] for row in rows if "revived" in row]
    assert first["levels.1.query.1.b"] >= 3 and len(later) == 1
    assert "encoder.1.0.b" not in first
    bias = dict(whole.net.named_parameters())
    assert (bias["levels.1.query.1.b.bias"][:3] > -1e3).all() and (bias["encoder.1.0.b.bias"][:3] == -1e4).all()
    half = Trainer(replace(recipe, steps=4), lpips)
    half.start_from(tmp_path / "w.safetensors")
    half.run(pictures, tmp_path / "half")
    resumed = Trainer(replace(recipe, steps=4), lpips)
    assert resumed.resume(tmp_path / "half")
    for one, other in zip(half.alive.watched.values(), resumed.alive.watched.values(), strict=True):
        assert torch.equal(one.mean, other.mean) and torch.equal(one.share, other.share) and one.seen == other.seen


def test_a_packed_model_encodes_and_decodes(pictures, lpips, tmp_path, monkeypatch):
    import ltokc
    from ltokc.train.export.package import Listing, package
    from ltokc.zoo import model

    trainer = Trainer(replace(RECIPE, steps=2), lpips)
    trainer.run(pictures, tmp_path / "run")
    listing = Listing("tiny", 77, [[0, 1], [1, len(LEVELS)]], "none", "a test")
    entry = package(tmp_path / "run" / "ema.safetensors", tmp_path / "models", listing)
    again = Trainer(RECIPE, lpips)
    again.start_from(tmp_path / "models" / "tiny" / "model.safetensors")
    for name, value in trainer.ema.state_dict().items():
        assert torch.equal(again.net.state_dict()[name], value.half().float()), name
    monkeypatch.setenv("LTOKC_MODELS", str(tmp_path / "models"))
    model.opened.cache_clear()
    data = ltokc.encode(pictures[0], quality=0.8, model="tiny")
    assert ltokc.info(data).model == "tiny" and ltokc.info(data).model_id == entry["id"] == 77
    onnx, torch_ = (np.asarray(ltokc.decode(data, backend=b)).astype(int) for b in ("onnx", "torch"))
    assert onnx.shape == pictures[0].shape and np.abs(onnx - torch_).max() <= 2
    model.opened.cache_clear()


def test_two_processes_train_one_network(shard, lpips, tmp_path):
    """Through the command line, two workers; the parameters of both are averaged at the end."""
    from tests.support.cli_runner import run

    recipe = tmp_path / "recipe.toml"
    config = small_config()
    levels = ", ".join(f"{{stride = {v.stride}, digits = {v.digits}, size = {v.size}}}" for v in config.levels)
    fields = "\n".join(
        f"{k} = {list(getattr(config, k))}" for k in config.__slots__ if k not in ("levels", "final_blocks", "told")
    )
    recipe.write_text(
        f"batch = 2\ncrop = 64\nminutes = 0.02\nheld_out = 1\n[loss]\nrate = {[0.5] * len(LEVELS)}\n"
        f"[model]\n{fields}\nfinal_blocks = 1\nlevels = [{levels}]\n"
    )
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (70, 64), "red").save(folder / "a.png")
    result = run("train", str(recipe), "--shards", str(shard.parent), "--lpips", str(lpips),
                 "--out", str(tmp_path / "out"), "--workers", "2", "--evaluate", str(folder))  # fmt: skip
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert rows[0]["workers"] == 2
    assert [row["levels"] for row in rows if "levels" in row] == list(range(1, len(LEVELS) + 1))
    assert (tmp_path / "out" / "ema.safetensors").exists()


@pytest.mark.parametrize(
    "text",
    [
        "steps = 1\nspeed = 3\n",
        "steps = 1\ntrain = 'half'\n",
        "steps = 1\ncrop = 100\n",
        "x =",
        "batch = 2\n",
        "steps = 1\nblocks = ['encoder']\n",
        "steps = 1\nblocks = [3]\n",
    ],
)
def test_a_bad_recipe_is_one_line(text, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"recipe\.toml"):
        read_recipe(path)


@pytest.mark.parametrize("read", [read_recipe, read_generative_recipe])
def test_an_unknown_key_is_named_as_the_recipe_has_it(read, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("seed = 1\nsede = 2\n")
    with pytest.raises(ModelError, match=r"recipe\.toml: unknown key 'sede'$"):
        read(path)


def test_published_recipes_call_the_grid_pattern_weave(tmp_path):
    path = tmp_path / "recipe.toml"
    for key in ("weave", "grid_pattern"):
        path.write_text(f"steps = 1\n[loss]\n{key} = 2.5\n")
        assert read_recipe(path).loss.grid_pattern == 2.5
    path.write_text("steps = 1\n[loss]\nweave = 2.5\ngrid_pattern = 2.5\n")
    with pytest.raises(ModelError, match="twice"):
        read_recipe(path)


def test_crops_have_the_size_and_come_from_the_seed(pictures):
    a, b = (next(Crops(pictures, 64, 9, np.random.default_rng(3), 0.4, 0.3)) for _ in range(2))
    assert a.shape == (9, 64, 64, 3) and a.dtype == np.uint8 and (a == b).all()


def test_batches_are_the_same_whoever_draws_them(pictures):
    source = Batches(pictures, replace(RECIPE, batch=3))
    alone, helped = batches(source, first=5), batches(source, first=5, num_workers=2)
    for step in range(5, 9):
        batch = next(alone)
        assert torch.equal(batch, next(helped)) and torch.equal(batch, source[step])
        assert batch.shape == (3, 64, 64, 3) and not torch.equal(batch, source[step - 1])


def test_a_copy_of_the_pictures_maps_the_same_file(pictures):
    copied = pickle.dumps(pictures)
    assert len(copied) < 10_000 and (pickle.loads(copied)[3] == pictures[3]).all()


@pytest.mark.parametrize("factor", [1.0, math.inf, math.nan])
def test_a_gradient_that_is_not_finite_counts_as_zero(factor, lpips, monkeypatch):
    trainer = Trainer(RECIPE, lpips)
    before, losses = weights(trainer), trainer.losses
    monkeypatch.setattr(trainer, "losses", lambda *given: {"loss": losses(*given)["loss"] * factor})
    trainer.update(torch.rand(2, 3, 64, 64) * 2 - 1, torch.full((2, 1, 1, 1), 9.0))
    changed = [name for name, value in weights(trainer).items() if not torch.equal(value, before[name])]
    assert trainer.step == 1 and bool(changed) == (factor == 1)


class CopiesFromTheHost(TorchDispatchMode):
    """Notes operations that take a tensor of the CPU to the device "meta", which stands for a GPU."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        taken, given = (
            {t.device.type for t in tree_leaves(each) if isinstance(t, torch.Tensor)} for each in ((args, kwargs), out)
        )
        if "cpu" in taken and "meta" in given:
            self.found.append(str(function))
        return out


@pytest.mark.parametrize("stage", ["all", "encoder", "finish", "prior"])
def test_nothing_in_a_second_step_comes_from_the_host(stage, lpips, monkeypatch):
    """What a CUDA graph cannot hold.  Reading a value back would raise, for "meta" has none."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no "meta"
    each = (0.5,) * len(LEVELS)
    terms = Loss(rate=each, rate_at=each, look=1.0, texture=1.0, grid_pattern=1.0, colour=1.0)
    trainer = Trainer(replace(RECIPE, train=stage, loss=terms), lpips, "meta")
    x, keep = torch.empty(2, 3, 64, 64, device="meta"), torch.empty(2, 1, 1, 1, device="meta")
    trainer.gradients(x, keep)
    with CopiesFromTheHost() as copies:
        trainer.gradients(x, keep)
    assert copies.found == []
    with CopiesFromTheHost() as copies:
        torch.zeros(3).to("meta")
    assert copies.found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_gives_the_gradients_of_its_step(lpips):
    trainer = Trainer(RECIPE, lpips, "cuda")
    for seed in range(3):
        torch.manual_seed(seed)
        x, keep = torch.rand(2, 3, 64, 64, device="cuda") * 2 - 1, torch.rand(2, 1, 1, 1, device="cuda") * 9
        plain = trainer.gradients(x, keep)
        expected = {name: p.grad for name, p in trainer.net.named_parameters()}
        if not seed:
            graph = CudaGraph(trainer.gradients, trainer.net.parameters(), x, keep)
        values = graph(x, keep)
        assert float(values["loss"]) == pytest.approx(float(plain["loss"]), rel=1e-2)
        for name, p in trainer.net.named_parameters():
            assert torch.nn.functional.cosine_similarity(expected[name].flatten(), p.grad.flatten(), 0) > 0.9, name


def test_slopes_are_smooth_and_of_many_colours(pictures):
    crops = next(Crops(pictures, 64, 16, np.random.default_rng(3), 0, 1)).astype(int)
    assert np.abs(np.diff(crops, axis=1)).mean((1, 2, 3)).max() < 8 and crops.mean((1, 2)).std(0).min() > 20


def test_held_out_pictures_are_not_trained_on(pictures):
    assert len(pictures) == 5 and len(pictures.held_out) == 1


def test_perceptual_terms_are_zero_for_equal_pictures_and_grow_with_blur(lpips):
    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    soft, softer = (torch.nn.functional.avg_pool2d(x, n, 1, n // 2) for n in (3, 7))
    net = LPIPS(lpips)
    for distance in (
        lambda a, b: net(a, b).item(),
        lambda a, b: structural_loss(a, b).item(),
        lambda a, b: texture_distance(net.raw_taps(a), net.raw_taps(b)).item(),
    ):
        assert abs(distance(x, x)) < 1e-5
        assert 1e-4 < distance(soft, x) < distance(softer, x)


def test_structural_loss_is_ssim_in_windows_of_eight_pixels():
    torch.manual_seed(0)
    x = torch.rand(2, 3, 48, 64) * 2 - 1
    y = (x + 0.3 * torch.randn_like(x)).clamp(-1, 1)
    a, b = (((t + 1) / 2 * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1).double() for t in (x, y))
    wa, wb = (t.unfold(1, 8, 2).unfold(2, 8, 2) for t in (a, b))
    (ma, mb), (va, vb) = ((t.mean((3, 4)) for t in (wa, wb)), (t.var((3, 4), correction=0) for t in (wa, wb)))
    covariance = (wa * wb).mean((3, 4)) - ma * mb
    ssim = (2 * ma * mb + 1e-4) * (2 * covariance + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    assert torch.allclose(dissimilarity(luma(x), luma(y)).double(), 1 - ssim.mean((1, 2)), atol=1e-5)
    x, y = x[:, :, :9], y[:, :, :9]  # the other scales are too small for a window
    assert torch.equal(structural_loss(x, y), dissimilarity(luma(x), luma(y)))


def test_the_grid_pattern_is_the_energy_of_what_comes_back():
    torch.manual_seed(0)
    noise = 12 * torch.randn(64, 3, 64, 96)
    pattern = torch.randn(1, 3, 16, 16)
    pattern -= pattern.mean((2, 3), keepdim=True)
    energy, chance = pattern.square().mean().item(), 144 / 24
    patterned = noise + pattern.repeat(1, 1, 4, 6)
    assert abs(grid_pattern_energy(noise).item() - chance) < 0.15
    assert abs(grid_pattern_energy(patterned).item() - chance - energy) < 0.15
    assert grid_pattern_energy(torch.full((1, 3, 32, 32), 5.0)).abs().item() < 1e-6  # a wrong colour is no pattern
    assert (
        grid_pattern_energy(-noise) >= 0 <= grid_pattern_energy(1e6 * noise)
    )  # bounded below, whatever training may find


def test_the_colour_of_places_counts_whatever_is_in_them():
    torch.manual_seed(0)
    gray = torch.full((1, 3, 64, 64), 0.2)
    shifted = gray + torch.tensor([0.04, 0, -0.04]).view(1, 3, 1, 1)
    grainy = gray + 0.3 * (torch.rand(1, 3, 64, 64) - 0.5)
    assert colour_distance(gray, gray).item() == 0
    assert colour_distance(shifted, gray).item() > 10 * colour_distance(grainy, gray).item() > 0
    # sRGB white, red and blue (Lindbloom): CIE L*, a*, b*
    known = torch.tensor([[100, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]])
    rgb = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, -1, 1]]).view(3, 3, 1, 1)
    assert torch.allclose(lab(rgb).view(3, 3), known, atol=0.05)
    far = torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    assert 0 < colour_distance(far, -far).item() < 2 * 16 * 300  # grows by the first power


def test_bits_weigh_what_one_brings_where_the_picture_ends(lpips):
    slopes = tuple(float(2 ** (len(LEVELS) - k)) for k in range(len(LEVELS)))
    objective = Trainer(replace(RECIPE, loss=replace(RECIPE.loss, rate_at=slopes)), lpips).objective
    bpp = torch.tensor([[1.0] * len(LEVELS), [2.0] * len(LEVELS)])
    for keeps, wanted in (((1, 1), (slopes[0],) * 2), ((2.5, 5), ((slopes[1] + slopes[2]) / 2, slopes[4])),
                          ((0.2, 9), (slopes[0], slopes[-1]))):  # fmt: skip
        keep = torch.tensor(keeps, dtype=torch.float32).view(2, 1, 1, 1).expand(2, 1, 2, 2)
        expected = np.mean([len(LEVELS) * wanted[0], 2 * len(LEVELS) * wanted[1]])
        assert float(objective.rate(bpp, keep)) == pytest.approx(expected)


def test_a_loss_patterned_has_its_gradient(lpips):
    trainer = Trainer(replace(RECIPE, loss=replace(RECIPE.loss, grid_pattern=1.0)), lpips)
    x, keep = torch.rand(2, 3, 64, 64) * 2 - 1, torch.full((2, 1, 1, 1), float(len(LEVELS)))
    patterned, plain = trainer.losses(x, keep), Trainer(RECIPE, lpips).losses(x, keep)
    assert patterned["grid_pattern"].item() != 0 and plain["grid_pattern"].item() == 0
    assert patterned["loss"].item() - plain["loss"].item() == pytest.approx(patterned["grid_pattern"].item(), abs=1e-3)
    (gradient,) = torch.autograd.grad(patterned["grid_pattern"], trainer.net.head.bias)
    assert gradient.abs().sum() > 0


def test_rounding_passes_the_gradient_within_its_range_and_stops_it_beyond():
    y = torch.tensor([-9.0, -7.9, -0.03, 0.04, 7.9, 9.0], requires_grad=True)
    rounded = RoundToGrid.apply(y, -7.9375, 7.9375, 4)
    rounded.sum().backward()
    assert rounded.tolist() == [-7.9375, -7.875, 0.0, 0.0625, 7.875, 7.9375]
    assert y.grad.tolist() == [0, 1, 1, 1, 1, 0]


def test_the_allocator_is_told_to_keep_freed_memory_where_it_can_be():
    # in a process of its own, since the setting stays
    script = """
import numpy, resource
from ltokc.train.malloc import keep_freed_memory
told = keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        numpy.ones(4_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(int(told), faults())
"""
    told, faults = map(int, subprocess.check_output([sys.executable, "-c", script], text=True).split())
    if not told:
        pytest.skip("the allocator is not glibc's")
    assert faults < 20 * 1000


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_orthogonalised_matrices_have_singular_values_near_one(dtype):
    torch.manual_seed(0)
    for shape in ((3, 20, 50), (2, 50, 20)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape), dtype=dtype).float())
        assert values.min() > 0.5 and values.max() < 1.4
