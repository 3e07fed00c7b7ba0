"""Runs with a time budget: shards that arrive, a state that travels, shards that are refused."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from ltokc.errors import ModelError  # noqa: E402
from ltokc.train.data import watch  # noqa: E402
from ltokc.train.data.pictures import Pictures, build_cache  # noqa: E402
from ltokc.train.export.state import MOST, has_state, read_state, write_state  # noqa: E402
from ltokc.train.loop import CONSTANT, Limits, Trainer  # noqa: E402
from ltokc.train.recipe import Loss, Recipe  # noqa: E402
from tests.support.cli_runner import run  # noqa: E402
from tests.support.random_lpips import random_lpips  # noqa: E402
from tests.support.small_model import LEVELS, small_config  # noqa: E402

RECIPE = Recipe(batch=1, crop=64, steps=4, warmup=1, held_out=0, decay=0.5, optimizer="muon", model=small_config(),
                loss=Loss(rate=(0.5,) * len(LEVELS)))  # fmt: skip


@pytest.fixture(scope="module")
def lpips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lpips") / "lpips.safetensors"
    save_file(random_lpips(), path)
    return path


def shard(path: Path, names: list[str], seed: int = 0) -> Path:
    """A tar of small pictures, or of what else the names say."""
    rng = np.random.default_rng(seed)
    with tarfile.open(path, "w") as tar:
        for name in names:
            data = io.BytesIO(b"not a picture")
            if not name.endswith(".txt") and "broken" not in name:
                picture = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8)).resize((80, 72))
                data = io.BytesIO()
                picture.save(data, {"avif": "AVIF", "webp": "WEBP"}.get(name.rsplit(".")[-1], "PNG"))
            member = tarfile.TarInfo(name)
            member.size = len(data.getvalue())
            tar.addfile(member, io.BytesIO(data.getvalue()))
    return path


def test_every_picture_of_a_shard_is_taken_and_counted_by_kind(tmp_path: Path) -> None:
    names = ["00001-photo-a-1.webp", "00002-photo-b-2.png", "00003-screen-c-3.PNG", "plain.webp"]
    pictures = Pictures([shard(tmp_path / "a.tar", names)], tmp_path / "cache")
    assert len(pictures) == 4 and pictures.kinds == {"photo": 2, "screen": 1, "other": 1}
    assert pictures[3].shape == (72, 80, 3)


@pytest.mark.parametrize("odd", ["notes.txt", "00002-photo-broken.png"])
def test_a_shard_with_something_else_is_refused(odd: str, tmp_path: Path) -> None:
    """Also by the next run: nothing of it counts as done."""
    good, bad = shard(tmp_path / "a.tar", ["1.webp"]), shard(tmp_path / "b.tar", ["2.webp", odd])
    for _ in range(2):
        with pytest.raises(ModelError, match=rf"b.tar: {odd}"):
            Pictures([good, bad], tmp_path / "cache")
    assert len(Pictures([good], tmp_path / "cache")) == 1


def test_a_cache_grows_under_those_who_use_it(tmp_path: Path) -> None:
    a, b = shard(tmp_path / "a.tar", ["1.webp", "2.webp"]), shard(tmp_path / "b.tar", ["3.webp"], seed=1)
    cache = tmp_path / "cache"
    pictures = Pictures([a], cache)
    first = np.array(pictures[1])
    assert not pictures.refresh()
    build_cache([a, b], cache)
    assert pictures.refresh() and len(pictures) == 3 and (pictures[1] == first).all()
    assert (pictures[2] == Pictures([b], tmp_path / "other")[0]).all()
    other = Pictures([b], cache)  # other shards than those that it has
    assert len(other) == 1 and other.kinds == {"other": 1}


def test_shards_are_taken_when_they_are_whole(tmp_path: Path) -> None:
    whole = shard(tmp_path / "whole.tar", ["1.png"]).read_bytes()
    folder, cache = tmp_path / "shards", tmp_path / "cache"
    folder.mkdir()
    (folder / "a.tar").write_bytes(whole)
    pictures = Pictures([folder / "a.tar"], cache)
    (folder / "b.tar").write_bytes(whole[: whole.rindex(b"IEND")])
    assert [path.name for path in watch.arrived(folder)] == ["a.tar"]
    with watch.Watch(folder, cache, [folder / "a.tar"], every=0.01) as watched:
        (folder / "b.tar").write_bytes(whole)
        until(lambda: len(watched.taken) == 2)
        assert pictures.refresh() and len(pictures) == 2
        shard(folder / "c.tar", ["x.txt"])
        until(lambda: watched.error is not None)
        with pytest.raises(ModelError, match=r"c.tar: x.txt is no picture"):
            watched.check()


def until(done: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_budget_decides_the_decay_and_the_end(tmp_path: Path, lpips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on a second a step: a budget of six has a constant rate for three."""
    pictures = Pictures([shard(tmp_path / "a.tar", ["1.webp"])], tmp_path / "cache")
    trainer = Trainer(replace(RECIPE, steps=1000, warmup=1), lpips)
    ticks, rates = iter(range(1000)), []
    monkeypatch.setattr("ltokc.train.loop.time.monotonic", lambda: float(next(ticks)))
    update = trainer.update

    def noted(*given: torch.Tensor) -> dict[str, torch.Tensor]:
        values = update(*given)
        rates.append(trainer.optimizers[0].param_groups[0]["lr"] / trainer.rates[0])
        return values

    monkeypatch.setattr(trainer, "update", noted)
    trainer.run(pictures, tmp_path / "run", limits=Limits(seconds=6.0))
    assert trainer.step == 6 and trainer.spent == 6
    assert rates == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])
    state = torch.load(tmp_path / "run" / CONSTANT, weights_only=True)
    assert state["step"] == 3
    again = Trainer(RECIPE, lpips)
    assert again.resume(tmp_path / "run", constant=True) and again.step == 3
    assert Trainer(RECIPE, lpips).resume(tmp_path / "run")


def test_the_state_travels_in_small_files(tmp_path: Path, lpips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = Pictures([shard(tmp_path / "a.tar", ["1.webp"])], tmp_path / "cache")
    trainer = Trainer(RECIPE, lpips)
    trainer.run(pictures, tmp_path / "run")
    assert MOST < 16 << 20
    monkeypatch.setattr("ltokc.train.export.state.MOST", 400_000)
    write_state(trainer.state(), tmp_path / "back")
    files = sorted((tmp_path / "back").iterdir())
    assert len(files) > 1 and all(path.stat().st_size < 450_000 for path in files) and has_state(tmp_path / "back")
    again = Trainer(RECIPE, lpips)
    assert again.resume(tmp_path / "back", constant=True) and again.step == trainer.step
    for name, value in trainer.net.state_dict().items():
        assert torch.allclose(again.net.state_dict()[name], value, rtol=2**-15, atol=1e-9), name
    for mine, theirs in zip(again.optimizers, trainer.optimizers, strict=True):
        for key, moments in theirs.state_dict()["state"].items():
            for name, value in moments.items():
                assert torch.allclose(mine.state_dict()["state"][key][name], value, rtol=2**-7, atol=1e-9)
    again.run(pictures, tmp_path / "more", limits=Limits(seconds=0.01))
    assert again.step > trainer.step
    files[0].write_bytes(b"x")
    with pytest.raises(ModelError, match="cannot be read"):
        read_state(tmp_path / "back")


def test_one_command_watches_probes_trains_and_exports(tmp_path: Path, lpips: Path) -> None:
    config = small_config()
    levels = ", ".join(f"{{stride = {v.stride}, digits = {v.digits}, size = {v.size}}}" for v in config.levels)
    sizes = "\n".join(f"{k} = {list(getattr(config, k))}" for k in ("encoder_channels", "encoder_blocks",
                      "decoder_channels", "decoder_blocks", "query_channels"))  # fmt: skip
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f"batch = 1\ncrop = 64\nminutes = 60\nheld_out = 0\ndecay = 0.4\n[loss]\nrate = {[0.5] * len(LEVELS)}\n"
        f"rate_at = {[0.5] * len(LEVELS)}\ncolour = 0.02\n"
        f"[model]\ntold = true\n{sizes}\nfinal_blocks = 1\nlevels = [{levels}]\n"
    )
    shards, first = tmp_path / "shards", shard(tmp_path / "first.tar", ["00001-photo-a-1.webp"])
    shards.mkdir()
    late = threading.Timer(0.5, lambda: shutil.copyfile(first, shards / "first.tar"))
    late.start()
    given = ("train", str(recipe), "--shards", str(shards), "--watch", "--lpips", str(lpips), "--out",
             str(tmp_path / "run"), "--time-budget", "1", "--export", str(tmp_path / "back"))  # fmt: skip
    done = run(*given, "--probe", "1")
    late.join()
    assert done.exit_code == 0, done.stderr
    assert "waiting for the first shard" in done.stderr and "1 pictures of 1 shards (photo 1)" in done.stderr
    names = {path.name for path in (tmp_path / "back").iterdir()}
    assert {"ema.safetensors", "log.jsonl", "probe.json", "state-00.safetensors"} <= names
    assert "levels.0.query.told.weight" in load_file(tmp_path / "back" / "ema.safetensors")
    steps = read_state(tmp_path / "back")["step"]
    done = run(*given, "--resume", "--probe", "0")
    assert done.exit_code == 0 and f"goes on at step {steps}" in done.stderr, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    chosen = json.loads((tmp_path / "run" / "probe.json").read_text())["chosen"]
    assert [row["rows"] for row in rows if "rows" in row] == [chosen, chosen]
    done = run("train", str(recipe), "--shards", str(shards), "--lpips", str(lpips), "--out", str(tmp_path / "empty"),
               "--resume")  # fmt: skip
    assert done.exit_code != 0 and "has no state to go on from" in done.stderr
