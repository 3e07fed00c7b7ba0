"""Whether the same file gives the same tokens whatever computes them, and how far the pixels of two runtimes part.

Every picture at every quality is decoded with constriction and with the pure-Python range coder, with one and with two
threads of BLAS, with the prior in int64 (`bench.verification.reference_prior`) and in torch; all tokens must be equal,
and the pure-Python coder must write the same bytes.  ONNX Runtime and torch must agree on every pixel to within 2 of
255.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import click
import numpy as np

from bench.common import options
from bench.common.pictures import pictures
from bench.common.record import machine, write_report
from bench.verification.reference_prior import Int64Network, ReferencePrior, TorchNetwork
from ltokc.compare.tables import finite
from ltokc.errors import LtokcError

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")
MAX_DIFFERENCE = 2  # of 255, between the pixels of two runtimes


def tokens_digest(data: bytes, backend: str = "auto", prior: Any = None) -> str:
    """SHA-256 over the tokens of a file: digits and masks of every segment and level."""
    from ltokc import container
    from ltokc.entropy.segment import read_segment
    from ltokc.zoo.model import open_model

    ltk, digest = container.read(data), hashlib.sha256()
    prior = prior or open_model(ltk.model_id).prior
    boxes = container.segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    for segment, box in zip(ltk.segments, boxes, strict=True):
        found = read_segment(prior, segment, box.grid, backend=backend)
        for array in (*found.digits, *found.masks):
            digest.update(str(array.shape).encode() + array.astype(np.int8).tobytes())
    return digest.hexdigest()


def rewritten(data: bytes, backend: str) -> bytes:
    """The file again, its tokens decoded and encoded."""
    from dataclasses import replace

    from ltokc import container
    from ltokc.entropy.depth_map import read_depths
    from ltokc.entropy.range_coder import RangeDecoder
    from ltokc.entropy.segment import SegmentWriter, read_segment
    from ltokc.zoo.model import open_model

    ltk = container.read(data)
    prior, segments = open_model(ltk.model_id).prior, []
    boxes = container.segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    for segment, box in zip(ltk.segments, boxes, strict=True):
        digits = read_segment(prior, segment, box.grid, backend=backend).digits
        decoder, depths = RangeDecoder(segment.stream, backend), None
        if segment.depth_map:
            depths = read_depths(decoder, *box.grid, len(prior.levels))
        stream = SegmentWriter(prior, digits, depths).stream(segment.tokens, backend)
        segments.append(replace(segment, stream=stream))
    return container.write(replace(ltk, segments=tuple(segments)))


def worker(threads: int) -> ProcessPoolExecutor:
    """One process whose BLAS has so many threads: it reads the environment when it is loaded."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        pool.submit(int).result()  # starts it
        return pool
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def ways(model: Any, stack: ExitStack) -> dict[str, Callable[[bytes], str]]:
    """Every way to the tokens of a file, by name; the first is the usual one."""
    from ltokc.zoo.model import WEIGHTS

    tensors, levels = model.tensors, model.levels
    one = stack.enter_context(worker(1))
    int64 = ReferencePrior(Int64Network(tensors), tensors, levels)
    torch = ReferencePrior(TorchNetwork(tensors, model.folder / WEIGHTS), tensors, levels)
    found: dict[str, Callable[[bytes], str]] = {
        "constriction": lambda data: tokens_digest(data, "constriction"),
        "python": lambda data: tokens_digest(data, "python"),
        "1 thread": lambda data: one.submit(tokens_digest, data).result(),
        "int64": lambda data: tokens_digest(data, prior=int64),
        "torch": lambda data: tokens_digest(data, prior=torch),
    }
    if cast(dict, machine())["cores"] > 1:  # on one core BLAS never takes two threads
        two = stack.enter_context(worker(2))
        found["2 threads"] = lambda data: two.submit(tokens_digest, data).result()
    return found


def attempt(decode: Callable[[bytes], str], data: bytes) -> str:
    """The digest, or what went wrong in its place: other counts may make a stream unreadable."""
    try:
        return decode(data)
    except (LtokcError, ArithmeticError) as error:
        return f"{type(error).__name__}: {error}"


def pixels(data: bytes) -> tuple[int, float]:
    """Largest difference and PSNR in dB between the pixels of ONNX Runtime and torch, both in fp32 on the CPU."""
    import ltokc

    a, b = (
        np.asarray(ltokc.decode(data, backend=backend, device="cpu", precision="exact"), np.int64)
        for backend in ("onnx", "torch")
    )
    error = float(((a - b) ** 2).mean())
    return int(abs(a - b).max()), 10 * math.log10(255**2 / error) if error else math.inf


def measure(path: Path, quality: float, model: Any, paths: dict[str, Callable[[bytes], str]]) -> dict[str, Any]:
    """One row: `identical` says of every way whether its tokens are those of the first."""
    import ltokc

    data = ltokc.encode(path, quality, model=model.entry.id, alpha="drop", patches="off")
    digests = {name: attempt(decode, data) for name, decode in paths.items()}
    identical = {name: digest == next(iter(digests.values())) for name, digest in digests.items()}
    identical["python, written"] = rewritten(data, "python") == data
    difference, psnr = pixels(data)
    return {
        "image": path.name, "q": quality, "bytes": len(data), "tokens": ltokc.info(data).tokens,
        "sha256": digests["constriction"], "identical": identical, "pixels_max": difference, "pixels_psnr": psnr,
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> tuple[bool, str]:
    """Whether all is well, and one line that says so."""
    names = list(rows[0]["identical"])
    wrong = {name: sum(not row["identical"][name] for row in rows) for name in names}
    worst = max(row["pixels_max"] for row in rows)
    good = not any(wrong.values()) and worst <= MAX_DIFFERENCE
    told = ", ".join(f"{name} differs in {count}" for name, count in wrong.items() if count)
    pixels_told = f"pixels within {worst}/255, at least {min(row['pixels_psnr'] for row in rows):.1f} dB"
    equal = f"tokens equal in all of {', '.join(names)}"
    return good, f"{'ok' if good else 'FAILED'}: {len(rows)} files, {told or equal}; {pixels_told}"


@options.command()
@options.images()
@options.qualities("0.1,0.3,0.5,0.7,0.9")
@options.limit()
@options.model()
@options.out(required=True, text="JSON with all rows.")
def main(images: Path, qualities: tuple[float, ...], limit: int | None, model: str | None, out: Path) -> None:
    """Compare all ways to decode the same files; exit status 1 when any differs.

    \b
    Example:
      python -m bench exactness --images kodak --out exactness.json
    """
    from ltokc.zoo.model import open_model

    opened, rows = open_model(model), []
    with ExitStack() as stack:
        paths = ways(opened, stack)
        for path in pictures(images)[:limit]:
            for quality in qualities:
                rows.append(measure(path, quality, opened, paths))
    good, line = summary(rows)
    report: dict[str, Any] = finite({"bitstream_hash": opened.entry.bitstream_hash, "rows": rows, "ok": good})
    write_report(opened.entry.name, report, out)
    if "2 threads" not in rows[0]["identical"]:
        click.echo("note: two threads need two cores; left out", err=True)
    click.echo(line)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
