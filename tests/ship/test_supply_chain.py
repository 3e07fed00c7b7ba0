"""What SECURITY.md promises: no pickle, no network at run time, checked weights, limits before allocations."""

from __future__ import annotations

import ast
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.support.cli_runner import ENVIRONMENT, ROOT

SOURCES = sorted(path for folder in ("ltokc", "bench", "examples", "scripts") for path in (ROOT / folder).rglob("*.py"))
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NETWORK = {"socket", "urllib", "http", "requests", "httpx", "aiohttp", "ftplib", "huggingface_hub"}


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names


def unsafe_loads(tree: ast.AST) -> list[int]:
    """Lines of torch.load without weights_only=True and of numpy's load with allow_pickle other than False."""
    lines = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
        if owner == "torch" and node.func.attr == "load" and given.get("weights_only") is not True:
            lines.append(node.lineno)
        if owner in ("np", "numpy") and given.get("allow_pickle", False) is not False:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pickle_and_no_network_in_the_source(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert not imported(tree) & PICKLES
    assert not unsafe_loads(tree)
    if path.is_relative_to(ROOT / "ltokc") and "train" not in path.parts:
        assert not imported(tree) & NETWORK


@pytest.mark.parametrize(
    ("source", "bad"),
    [
        ("import torch\ntorch.load(f)", True), ("torch.load(f, weights_only=False)", True),
        ("torch.load(f, weights_only=True)", False), ("np.load(f, allow_pickle=True)", True), ("np.load(f)", False),
    ],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(source: str, bad: bool) -> None:
    assert bool(unsafe_loads(ast.parse(source))) is bad
    assert imported(ast.parse("import os, pickle as p\nfrom urllib.request import urlopen")) >= {"pickle", "urllib"}


WITHOUT_NETWORK = """
import sys
def refuse(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(f"the network: {event}")
sys.addaudithook(refuse)
import socket
try:
    socket.socket()
except RuntimeError:
    pass
else:
    sys.exit("the hook does not work")
import ltokc
data = ltokc.encode("photo.png")
ltokc.verify(data)
print(*ltokc.decode(data).size, len(ltokc.trim(data, tokens=5)), ltokc.info(data).tokens)
"""


def test_no_socket_is_made(here: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_NETWORK], env=ENVIRONMENT, capture_output=True, timeout=60,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.split()[:2] == [b"96", b"80"]


MEASURE = """
import json, resource, sys
import ltokc, ltokc.pictures.load, ltokc.zoo.model, PIL.Image
PIL.Image.init()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    {call}
except ltokc.LimitError as error:
    print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, str(error)]))
"""


def huge_png(width: int, height: int) -> bytes:
    """A valid head, and rows of zeros that are mostly not there."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(3 * width + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in kibibytes")
@pytest.mark.parametrize(
    "call",
    [
        "ltokc.pictures.load.load('huge.png')", "ltokc.encode('huge.png')",
        "ltokc.decode(open('huge.ltk', 'rb').read())",
        "ltokc.tokens(open('huge.ltk', 'rb').read())", "ltokc.verify(open('huge.ltk', 'rb').read())",
        "ltokc.trim(open('huge.ltk', 'rb').read(), tokens=1)",
        "ltokc.decode(open('huge.ltk', 'rb').read(), crop=(0, 0, 20000, 20000))",
    ],
)  # fmt: skip
def test_over_the_limit_nothing_large_is_allocated(here: Path, call: str) -> None:
    """A picture of 1.6 gigapixels: under 32 MB more than before, where its pixels alone have 4.8 GB."""
    from ltokc import container
    from ltokc.container import Header, Ltk, Segment, segment_boxes
    from ltokc.zoo import registry

    Path("huge.png").write_bytes(huge_png(40000, 40000))
    entry, boxes = registry.find(), segment_boxes(40000, 40000, 16)
    segments = (Segment(0, False, b""),) * len(boxes)
    record = Ltk(Header(entry.id, entry.bitstream_hash, 40000, 40000, 16), segments)
    Path("huge.ltk").write_bytes(container.write(record))
    done = subprocess.run([sys.executable, "-c", MEASURE.replace("{call}", call)], env=ENVIRONMENT, timeout=60,
                          capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 0 and done.stdout, done.stderr.decode()
    kibibytes, message = json.loads(done.stdout)
    assert "limit" in message
    assert kibibytes < 32 << 10
