"""A folder of odd pictures through the reader: what is taken, converted, refused, and what goes wrong.

    python -m bench odd-files FOLDER --out odd-files.json

FOLDER holds test pictures of other projects (PngSuite; the test pictures of Pillow, libtiff, libavif), which stay where
they are.  Every file is read in another process, which is killed after `--seconds` and has `--megabytes` of
memory.  The outcomes:

    taken      the pixels of the file
    converted  with a note that says what was changed
    refused    one line that says why
    silent     something was lost without a note: frames, bits, transparency, colour
    wrong      other pixels than tifffile reads
    crashed    another error than the reader's own, or the end of the process
    hung       no answer in time

What a file has to lose is read from its bytes here, not asked of the reader.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import struct
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.common.record import write_report

BAD = ("silent", "wrong", "crashed", "hung")
PNG = b"\x89PNG\r\n\x1a\n"
SRGB_GAMMA = 45455  # in gAMA; what differs by less than 2 % is taken for it


# ---- what a file has to lose ----------------------------------------------------------------------------------------
def at_stake(data: bytes) -> dict[str, bool]:
    """What a picture has that 8-bit sRGB of one frame has not: "frames", "bits", "colour"."""
    try:
        if data.startswith(PNG):
            return _png(data)
        if data.startswith((b"II*\0", b"MM\0*")):
            return _tiff(data)
        if data.startswith(b"GIF8"):
            return {"frames": _gif_frames(data) > 1}
        if data[8:12] == b"WEBP":
            return {"frames": data.count(b"ANMF") > 1, "colour": b"ICCP" in data[:64]}  # a profile is kept, or said
        if data[4:8] == b"ftyp":
            depth = data.find(b"pixi")
            return {"frames": data[8:12] == b"avis", "bits": depth > 0 and data[depth + 9 : depth + 10] > b"\x08"}
        if data[:2] in (b"P5", b"P6"):
            fields = b" ".join(line.split(b"#")[0] for line in data[:200].split(b"\n")).split()
            return {"bits": int(fields[3]) > 255}
    except (struct.error, IndexError, ValueError):
        pass
    return {}


def _png(data: bytes) -> dict[str, bool]:
    found = {"frames": False, "bits": data[24] == 16, "colour": False}
    names = {}
    position = 8
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        names[name] = data[position + 8 : position + 8 + length]
        if name == b"IDAT":
            break
        position += 12 + length
    if b"acTL" in names:
        found["frames"] = 1 < struct.unpack(">I", names[b"acTL"][:4])[0] < 1 << 16  # more is damage
    gamma = struct.unpack(">I", names[b"gAMA"])[0] if b"gAMA" in names else SRGB_GAMMA
    other_gamma = abs(gamma / SRGB_GAMMA - 1) > 0.02 and not {b"sRGB", b"iCCP", b"cICP"} & set(names)
    profile = len(names.get(b"iCCP", b"")) > 128
    found["colour"] = profile or other_gamma or names.get(b"cICP", b"\x01\x0d")[:2] != b"\x01\x0d"
    return found


def _tiff(data: bytes) -> dict[str, bool]:
    order = "<" if data.startswith(b"II") else ">"
    (place,), pages, bits, profile = struct.unpack_from(f"{order}I", data, 4), 0, 8, False
    seen: set[int] = set()
    while place and place not in seen:  # some files go round in a circle
        seen.add(place)
        (count,) = struct.unpack_from(f"{order}H", data, place)
        for i in range(count if pages == 0 else 0):
            tag, kind, number = struct.unpack_from(f"{order}2HI", data, place + 2 + 12 * i)
            if tag == 258 and kind == 3:
                at = place + 10 + 12 * i
                (at,) = struct.unpack_from(f"{order}I", data, at) if number > 2 else (at,)
                bits = max(struct.unpack_from(f"{order}{number}H", data, at))
            profile |= tag == 34675
        pages += 1
        (place,) = struct.unpack_from(f"{order}I", data, place + 2 + 12 * count)
    return {"frames": pages > 1, "bits": bits > 8, "colour": profile}


def _gif_frames(data: bytes) -> int:
    position, frames = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0), 0
    while position < len(data) and data[position] in b"!,":
        if data[position] == 0x2C:
            frames += 1
            flags = data[position + 9]
            position += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            position += 2
        while data[position]:
            position += 1 + data[position]
        position += 1
    return frames


# ---- one file, in the other process ---------------------------------------------------------------------------------
def outcome(path: str) -> tuple[str, str]:
    """The outcome and what is to be said of it."""
    from ltokc.errors import LtokcError
    from ltokc.pictures.load import load

    data = Path(path).read_bytes()
    try:
        picture = load(path)
    except LtokcError as error:
        text = str(error)
        return ("refused", text) if text and "\n" not in text else ("crashed", f"no error of one line: {text!r}")
    except Exception as error:  # noqa: BLE001 (what the reader lets through is what is looked for)
        return "crashed", f"{type(error).__name__}: {error}"
    notes, stake = "; ".join([*picture.notes, *picture.losses]), at_stake(data)
    words = {"frames": ("frame", "page"), "bits": ("bit",), "colour": ("colour", "profile", "gamma", "PQ", "HLG")}
    kept = {"colour": "icc" in picture.metadata}
    lost = [
        kind for kind, any_ in stake.items()
        if any_ and not kept.get(kind) and not any(word in notes for word in words[kind])
    ]  # fmt: skip
    if picture.alpha is None and _has_clear_pixels(data):
        lost.append("transparency")
    if lost:
        return "silent", ", ".join(lost)
    if data[:4] in (b"II*\0", b"MM\0*") and (apart := _apart_from_tifffile(data, picture.rgb)) > 1:
        return "wrong", f"apart from tifffile by {apart}"
    return ("converted", notes) if notes else ("taken", "")


def _has_clear_pixels(data: bytes) -> bool:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            if not image.has_transparency_data or image.mode.startswith("I"):
                return False
            return image.convert("RGBA").getchannel("A").getextrema()[0] < 255  # type: ignore[operator]
    except Exception:  # noqa: BLE001 (only a second opinion)
        return False


def _apart_from_tifffile(data: bytes, rgb: np.ndarray) -> int:
    """The largest difference from tifffile; 0 where it is missing, refuses, or the layout is not simple."""
    try:
        import tifffile

        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            samples = page.asarray()
            simple = page.photometric in (1, 2) and samples.dtype in (np.uint8, np.uint16) and 34675 not in page.tags
            if not simple or page.bitspersample not in (8, 16) or page.tags.get(274, None) or page.extrasamples:
                return 0
            planes = samples.ndim == 3 and page.planarconfig == 2
    except Exception:  # noqa: BLE001 (only a second opinion)
        return 0
    samples = np.moveaxis(samples, 0, -1) if planes else samples
    eight = np.rint(samples / (257 if samples.dtype == np.uint16 else 1)).astype(int)
    eight = eight[..., None] if eight.ndim == 2 else eight
    return int(np.abs(eight - rgb).max()) if eight.shape[:2] == rgb.shape[:2] else 255


def serve(pipe: Connection, megabytes: int) -> None:
    """Answers paths with (outcome, words, peak of memory in MB)."""
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    warnings.simplefilter("ignore")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # libtiff's complaints
    os.dup2(null, 2)
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        result = outcome(path)
        pipe.send((*result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))


# ---- all files ------------------------------------------------------------------------------------------------------
def results(paths: list[Path], seconds: float, megabytes: int) -> Iterator[tuple[Path, str, str, int]]:
    """(path, outcome, words, peak in MB) of every file; a process that dies or is late is replaced."""
    from bench.verification.odd_files import serve as target  # by its name, as the new process finds it

    context = multiprocessing.get_context("spawn")
    process, pipe = None, None
    for path in paths:
        if process is None or pipe is None:
            pipe, theirs = context.Pipe()
            process = context.Process(target=target, args=(theirs, megabytes), daemon=True)
            process.start()
            theirs.close()
        pipe.send(str(path))
        try:
            if pipe.poll(seconds):
                yield (path, *pipe.recv())
                continue
            found = "hung", f"no answer in {seconds:g} s"
        except EOFError:
            process.join()
            found = "crashed", f"the process ended with {process.exitcode}"
        process.kill()
        process.join()
        process = pipe = None
        yield path, *found, 0
    if pipe is not None:
        pipe.close()


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where the record goes.")
@click.option("--seconds", default=60.0, show_default=True, help="Time of one file.")
@click.option("--megabytes", default=4096, show_default=True, help="Address space of the reading process.")
def main(folders: tuple[Path, ...], out: Path | None, seconds: float, megabytes: int) -> None:
    """Read every file under FOLDERS; see the module's docstring."""
    from PIL import __version__ as pillow

    report: dict[str, Any] = {"pillow": pillow, "seconds": seconds, "megabytes": megabytes, "folders": {}, "bad": []}
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        counts: Counter[str] = Counter(dict.fromkeys(("taken", "converted", "refused", *BAD), 0))
        reasons: Counter[str] = Counter()
        peak = 0
        for path, what, words, megabytes_held in results(paths, seconds, megabytes):
            counts[what] += 1
            peak = max(peak, megabytes_held)
            if what in BAD:
                report["bad"].append({"file": f"{folder.name}/{path.relative_to(folder)}", what: words})
                print(f"{what:9} {path}: {words}", flush=True)
            elif what == "refused":
                reasons[words.split(" (")[0].split(";")[0][:60]] += 1
        report["folders"][folder.name] = {
            "files": len(paths), **counts, "peak_mb": peak, "refused_for": dict(reasons.most_common(12)),
        }  # fmt: skip
        print(folder.name, len(paths), dict(counts), f"peak {peak} MB", flush=True)
    if out is not None:
        write_report(None, report, out)
    sys.exit(any(folder[kind] for folder in report["folders"].values() for kind in ("wrong", "crashed", "hung")))


if __name__ == "__main__":
    main()
