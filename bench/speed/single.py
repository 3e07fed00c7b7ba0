"""Times and memory: encode and decode in-process at 768x512, and commands from start to file, beside WebP and AVIF.

Rivals work at the file size that ltokc reached, in the same run, on the same cores; ratios are ltokc / rival.
Peak memory is that of a command's own process (wait4), so this needs a POSIX system.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from PIL import Image

from bench.common import options
from bench.common.pictures import SIZE, load_rgb, synthetic_picture
from bench.common.process import LTOKC, launch
from bench.common.record import model_name, write_report
from ltokc.compare.codecs import Codec, make_codec
from ltokc.compare.tables import finite

RIVALS = ("webp", "avif")
PILLOW_ENCODE = (
    "import json, sys; from PIL import Image; "
    "Image.open(sys.argv[1]).convert('RGB').save(sys.argv[2], quality=int(sys.argv[3]), **json.loads(sys.argv[4]))"
)
PILLOW_DECODE = "import sys; from PIL import Image; Image.open(sys.argv[1]).convert('RGB').save(sys.argv[2])"


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


def commands(image: Image.Image, qualities: dict[str, float], repeats: int) -> dict[str, dict[str, Any]]:
    """`encode`, `decode` (and `info`) of every codec as commands, PNG to file and back."""
    out: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = str(Path(folder, "picture.png"))
        image.save(source)
        for name, quality in qualities.items():
            file, back = str(Path(folder, f"picture.{name}")), str(Path(folder, "back.png"))
            if name == "ltokc":
                cli, again = list(LTOKC), "--overwrite"
                words = {
                    "encode_effort_0": [*cli, "encode", source, "-q", str(quality), "-e", "0", "-o", file, again],
                    "encode": [*cli, "encode", source, "-q", str(quality), "-o", file, again],
                    "decode": [*cli, "decode", file, "-o", back, again],
                    "info": [*cli, "info", file],
                }
            else:
                options_ = json.dumps(make_codec(name).options)  # type: ignore[attr-defined]
                words = {
                    "encode": [sys.executable, "-c", PILLOW_ENCODE, source, file, str(int(quality)), options_],
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
    return {
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


@options.command()
@options.image(required=False, text="Picture, brought to 768x512.  [default: noise]")
@options.quality()
@options.repeats(5)
@options.codecs("ltokc," + ",".join(RIVALS), "ltokc, webp, avif.")
@options.out()
def main(image: Path | None, quality: float, repeats: int, codecs: str, out: Path | None) -> None:
    """Measure times and memory of ltokc beside WebP (method 6) and AVIF (speed 6) at the same bytes."""
    names = tuple(dict.fromkeys(codecs.split(",")))
    if not set(names) <= {"ltokc", *RIVALS}:
        raise click.UsageError(f"--codecs {codecs}: only ltokc, {', '.join(RIVALS)}")
    picture = load_rgb(image).resize(SIZE, Image.Resampling.LANCZOS) if image else synthetic_picture()
    report = finite(benchmark(picture, quality, repeats, names))
    write_report(model_name() if "ltokc" in names else None, report, out)


if __name__ == "__main__":
    main()
