"""Makes golden files, formats/golden/v1, and what is known of them, manifest.json: see README.md beside this file.

Files that exist are never written again, whatever this program would make today; new cases and new models add to them.

    python formats/golden/make.py                    the default model's files that do not exist yet
    python formats/golden/make.py --model NAME       those of another model
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path

import click
import numpy as np
from cases import CASES
from PIL import Image

import ltokc
from ltokc import container
from ltokc.zoo.model import WEIGHTS, open_model

HERE = Path(__file__).resolve().parent
MANIFEST = "manifest.json"
ENCODER = re.compile(r"(stem|encoder|down|levels\.\d+\.query)\.")
REGION = (128, 64)  # references of larger pictures show their lower right corner, so that all stays small
# how far the pixels of runtimes of each class may be from the reference: of 255, and in dB (LTK.md, section 5)
BOUNDS = {"reference": {"max_difference": 2, "min_psnr": 55}, "fast": {"max_difference": 12, "min_psnr": 45}}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def decoder_sha256(weights: Path) -> str:
    """Of all tensors of a model but those that choose digits (LTK.md, section 5): its encoder may improve."""
    from safetensors.numpy import load_file

    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(weights).items()):
        if not ENCODER.match(name):
            array = np.ascontiguousarray(tensor)
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def cuts(data: bytes) -> list[dict[str, int | str]]:
    """What is left of the file at some lengths."""
    out: list[dict[str, int | str]] = []
    for length in sorted({len(data) - 1, len(data) * 3 // 4, len(data) // 2, len(data) // 3}):
        try:
            tokens = ltokc.tokens(data[:length], allow_truncated=True)
        except ltokc.LtokcError:
            out.append({"bytes": length, "error": "cut inside the header"})
            continue
        out.append({"bytes": length, "tokens": tokens.count, "tokens_sha256": tokens.sha256()})
    return out


def facts(data: bytes, feature: str, pixels: Path) -> dict[str, object]:
    """The manifest's entry; writes the reference pixels."""
    about, image = ltokc.info(data), ltokc.decode(data, backend="onnx", device="cpu")
    left, top = (max(0, side - most) for side, most in zip(image.size, REGION, strict=True))
    rgb, webp = image.convert("RGB").crop((left, top, *image.size)), io.BytesIO()
    rgb.save(webp, "WEBP", lossless=True, quality=100, method=6)
    with Image.open(io.BytesIO(webp.getvalue())) as back:
        if (np.asarray(back.convert("RGB")) != np.asarray(rgb)).any():
            raise AssertionError("the reference is not lossless")
    with pixels.open("xb") as file:
        file.write(webp.getvalue())
    found: dict[str, object] = {
        "feature": feature, "model": about.model_id, "width": about.width, "height": about.height,
        "segments": about.segments, "bytes": len(data), "sha256": sha256(data), "tokens": about.tokens,
        "tokens_sha256": ltokc.tokens(data).sha256(), "mode": image.mode, "pixels_from": [left, top],
        "pixels": BOUNDS,
    }  # fmt: skip
    if "A" in image.mode:
        found["alpha_sha256"] = sha256(image.getchannel("A").tobytes())
    if chunks := container.read(data).chunks:
        found["chunks"] = [{"name": c.fourcc.decode(), "bytes": len(c.data), "sha256": sha256(c.data)} for c in chunks]
    return found | {"cut": cuts(data)}


@click.command()
@click.option("--model", help="Model, by name or id.")
def main(model: str | None) -> None:
    """Makes the golden files that do not exist yet, and their entries in the manifest."""
    opened, folder = open_model(model), HERE / "v1"
    (folder / "pixels").mkdir(parents=True, exist_ok=True)
    path = folder / MANIFEST
    manifest = json.loads(path.read_text("utf-8")) if path.exists() else {"format": 1, "models": {}, "files": {}}
    about = {"name": opened.entry.name, "decoder_sha256": decoder_sha256(opened.folder / WEIGHTS)}
    if manifest["models"].setdefault(str(opened.entry.id), about) != about:
        raise click.ClickException(f"model {opened.entry.id} is not the one whose golden files these are")
    for case, (feature, build) in CASES.items():
        name = f"{opened.entry.id}-{case}"
        target = folder / f"{name}.ltk"
        if target.exists() or f"{name}.ltk" in manifest["files"]:
            click.echo(f"{target.name} is there and stays")
            continue
        data = build(opened)
        with target.open("xb") as file:
            file.write(data)
        manifest["files"][target.name] = facts(data, feature, folder / "pixels" / f"{name}.webp")
        path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
        click.echo(f"{target.name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
