"""Where the golden and the malformed files are, and their manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[2] / "formats" / "golden"
GOOD, BAD = GOLDEN / "v1", GOLDEN / "bad"


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    return found


MANIFEST, FAULTS = manifest(GOOD), manifest(BAD)
FILES: dict[str, dict[str, Any]] = MANIFEST["files"]
