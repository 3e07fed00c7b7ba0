"""Times and memory: encode and decode in-process at 768x512, and commands from start to file, beside WebP and AVIF.

Rivals work at the file size that ltokc reached, in the same run, on the same cores; ratios are ltokc / rival.
Peak memory is that of a command's own process (wait4), so this needs a POSIX system.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common.record import environment, write_report
from bench.quality.rate_distortion import finite, load_rgb
from ltokc.compare.codecs import Codec, make_codec
from ltokc.errors import LtokcError, UsageError

SIZE = (768, 512)
RIVALS = ("webp", "avif")
# A small process starts the command, so that the peak counted is not this one's, which a fork would hand on.
LAUNCHER = """
import json, os, sys, time
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
print("\\n" + json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss]))
"""
PILLOW_ENCODE = (
    "import sys; from PIL import Image; "
    "Image.open(sys.argv[1]).convert('RGB').save(sys.argv[2], quality=int(sys.argv[3]), **{sys.argv[4]: 6})"
)
PILLOW_DECODE = "import sys; from PIL import Image; Image.open(sys.argv[1]).convert('RGB').save(sys.argv[2])"


def synthetic_picture(width: int = SIZE[0], height: int = SIZE[1]) -> Image.Image:
    """A picture with the spectrum of a photograph (amplitude 1/f), the same on every call: RGB."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    planes = []
    for _ in range(3):
        spectrum = np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency
        plane = np.fft.irfft2(spectrum, (height, width))
        planes.append(plane / plane.std())
    grey = planes[0]
    rgb = np.stack([128 + 45 * grey + 12 * planes[1], 128 + 45 * grey, 128 + 45 * grey + 12 * planes[2]], -1)
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


def seconds_of(call: Callable[[], object], repeats: int) -> float:
    """Median seconds of `repeats` calls, after one that warms up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_process(image: Image.Image, codec: Codec, quality: float, repeats: int) -> dict[str, Any]:
    """Bytes and median seconds of encode and decode, both with pixels in memory, files in memory."""
    start = time.perf_counter()
    data = codec.encode(image, quality)
    first = time.perf_counter() - start
    return {
        "quality": quality,
        "bytes": len(data),
        "first_encode_seconds": first,
        "encode_seconds": seconds_of(lambda: codec.encode(image, quality), repeats),
        "decode_seconds": seconds_of(lambda: codec.decode(data), repeats),
    }


def command(words: list[str], repeats: int) -> dict[str, float]:
    """Median seconds from start to end of a command, after a run that warms the disk's cache, and its peak in MB."""
    runs = [launch(words) for _ in range(repeats + 1)][1:]
    return {
        "seconds": statistics.median(seconds for seconds, _ in runs),
        "peak_megabytes": max(peak for _, peak in runs),
    }


def launch(words: list[str]) -> tuple[float, float]:
    """Seconds from start to end of a command in a process of its own, and its peak in megabytes."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", LAUNCHER, *words], capture_output=True, text=True)
    if done.returncode:
        raise UsageError(f"{words[0]} could not be started: {done.stderr.strip()[-200:]}")
    code, seconds, peak = json.loads(done.stdout.splitlines()[-1])
    if code:
        raise UsageError(f"'{' '.join(words[1:4])} ...' ended with {code}: {done.stderr.strip()[-300:]}")
    per_megabyte = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # ru_maxrss: bytes on macOS, kibibytes elsewhere
    return seconds, peak / per_megabyte


def commands(image: Image.Image, qualities: dict[str, float], repeats: int) -> dict[str, dict[str, Any]]:
    """`encode`, `decode` (and `info`) of every codec as commands, PNG to file and back."""
    out: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = str(Path(folder, "picture.png"))
        image.save(source)
        for name, quality in qualities.items():
            file, back = str(Path(folder, f"picture.{name}")), str(Path(folder, "back.png"))
            if name == "ltokc":
                cli = [sys.executable, "-m", "ltokc"]
                words = {
                    "encode_effort_0": [*cli, "encode", source, "-q", str(quality), "-e", "0", "-o", file],
                    "encode": [*cli, "encode", source, "-q", str(quality), "-o", file],
                    "decode": [*cli, "decode", file, "-o", back],
                    "info": [*cli, "info", file],
                }
            else:
                option = "method" if name == "webp" else "speed"
                words = {
                    "encode": [sys.executable, "-c", PILLOW_ENCODE, source, file, str(int(quality)), option],
                    "decode": [sys.executable, "-c", PILLOW_DECODE, file, back],
                }
            out[name] = {verb: command(line, repeats) for verb, line in words.items()}
    return out


def ratios(measured: dict[str, dict[str, Any]], paths: dict[str, tuple[str, ...]]) -> dict[str, dict[str, float]]:
    """ltokc's figure divided by each rival's, for every named path into the records."""

    def at(record: Any, path: tuple[str, ...]) -> float:
        for key in path:
            record = record[key]
        return record

    if "ltokc" not in measured:
        return {}
    ours = measured["ltokc"]
    rivals = [name for name in measured if name != "ltokc"]
    return {name: {key: at(ours, path) / at(measured[name], path) for key, path in paths.items()} for name in rivals}


def benchmark(image: Image.Image, quality: float, repeats: int, names: tuple[str, ...]) -> dict[str, Any]:
    """The whole report.  Without ltokc among `names` the rivals work at quality 50, and there are no ratios."""
    inside: dict[str, dict[str, Any]] = {}
    limit = 0
    for name in names:
        if name == "ltokc":
            inside[name] = in_process(image, make_codec(name), quality, repeats)
            limit = inside[name]["bytes"]
            quick = make_codec(name, encode_options={"effort": 0})
            inside[name]["encode_seconds_effort_0"] = in_process(image, quick, quality, repeats)["encode_seconds"]
    for name in names:
        if name != "ltokc":
            codec = make_codec(name)
            found = codec.encode_to_size(image, limit) if limit else None
            chosen = found.quality if found else (codec.steps[0] if limit else 50)
            inside[name] = in_process(image, codec, chosen, repeats)
    outside = commands(image, {name: inside[name]["quality"] for name in names}, repeats)
    return environment() | {
        "size": list(image.size),
        "repeats": repeats,
        "in_process": inside,
        "start_to_file": outside,
        "ratios": {
            "in_process": ratios(inside, {"encode": ("encode_seconds",), "decode": ("decode_seconds",)}),
            "start_to_file": ratios(outside, {verb: (verb, "seconds") for verb in ("encode", "decode")}),
            "peak_memory": ratios(outside, {verb: (verb, "peak_megabytes") for verb in ("encode", "decode")}),
        },
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--image", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Picture, brought to 768x512."
)
@click.option("--quality", default=0.6, show_default=True, help="Quality of ltokc.")
@click.option(
    "--repeats", default=5, show_default=True, type=click.IntRange(1), help="Runs of which the median counts."
)
@click.option("--codecs", default="ltokc," + ",".join(RIVALS), show_default=True, help="ltokc, webp, avif.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON to write; without: standard output.")
def main(image: Path | None, quality: float, repeats: int, codecs: str, out: Path | None) -> None:
    """Measure times and memory of ltokc beside WebP (method 6) and AVIF (speed 6) at the same bytes."""
    names = tuple(dict.fromkeys(codecs.split(",")))
    if not set(names) <= {"ltokc", *RIVALS}:
        raise click.UsageError(f"--codecs {codecs}: only ltokc, {', '.join(RIVALS)}")
    picture = load_rgb(image).resize(SIZE, Image.Resampling.LANCZOS) if image else synthetic_picture()
    try:
        report = benchmark(picture, quality, repeats, names)
    except LtokcError as error:
        raise click.ClickException(str(error)) from error
    write_report(finite(report), out)


if __name__ == "__main__":
    main()
