"""A run's state in small files that travel: what the next run, on another machine, goes on from.

Weights are pairs of bf16 (their sum has 16 bits of mantissa), momenta one bf16 each: 6.5 bytes where a checkpoint
takes 16.  No file is larger than `MOST`, since places that lend GPUs limit what comes back in one piece.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, safe_open, save

from ltokc.atomic import write_atomic
from ltokc.errors import ModelError

MOST = 15 << 20  # bytes of a file
NUMBERS = ("step", "samples", "seconds", "numpy")


def write_state(state: dict[str, Any], folder: Path) -> None:
    """Writes state-00.safetensors and so on: `ltokc.train.loop.Trainer.state` without its EMA."""
    tensors = {"torch": state["torch"]}
    for name, value in state["net"].items():
        high = value.float().bfloat16()
        tensors |= {f"net.{name}": high, f"low.{name}": (value.float() - high.float()).bfloat16()}
    for i, optimizer in enumerate(state["optimizers"]):
        for index, moments in optimizer["state"].items():
            for name, value in moments.items():
                tensors[f"optimizer.{i}.{index}.{name}"] = value.bfloat16() if value.ndim else value
    metadata = {"numbers": json.dumps({name: state[name] for name in NUMBERS})}
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("state-*.safetensors"):
        old.unlink()
    for number, part in enumerate(_parts({k: v.detach().cpu().contiguous() for k, v in tensors.items()})):
        write_atomic(folder / f"state-{number:02d}.safetensors", save(part, metadata))


def _parts(tensors: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    parts, size = [dict[str, torch.Tensor]()], 0
    for name, tensor in tensors.items():
        size += tensor.nbytes
        if size > MOST and parts[-1]:
            parts.append({})
            size = tensor.nbytes
        parts[-1][name] = tensor
    return parts


def has_state(folder: Path) -> bool:
    return (folder / "state-00.safetensors").exists()


def read_state(folder: Path) -> dict[str, Any]:
    """What `write_state` wrote, float32; the EMA begins anew at the weights.  Raises ModelError."""
    files = sorted(folder.glob("state-*.safetensors"))
    tensors: dict[str, torch.Tensor] = {}
    try:
        for path in files:
            tensors |= load_file(path)
        with safe_open(files[0], "pt") as f:
            state: dict[str, Any] = json.loads(f.metadata()["numbers"])
        net = {}
        for name, value in tensors.items():
            if name.startswith("net."):
                short = name.removeprefix("net.")
                net[short] = value.float() + tensors[f"low.{short}"].float()
        optimizers: dict[int, dict[int, dict[str, torch.Tensor]]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, i, index, what = name.split(".")
                moments = optimizers.setdefault(int(i), {}).setdefault(int(index), {})
                moments[what] = value.float()
        state |= {"net": net, "ema": net, "torch": tensors["torch"]}
        state["optimizers"] = [optimizers[i] for i in sorted(optimizers)]
    except (OSError, SafetensorError, LookupError, ValueError, TypeError) as error:
        raise ModelError(f"{folder}: its state cannot be read ({str(error).splitlines()[0]})") from error
    return state
