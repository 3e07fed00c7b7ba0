"""How near files come to a wanted size: bytes as a share of the target, never above it.

    python -m bench targets --images KODAK --out targets.json
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.common.record import environment, write_report
from bench.quality.rate_distortion import load_rgb, pictures
from ltokc import codec


@click.command()
@click.option("--images", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of pictures.")
@click.option("--sizes", default="600,1500,4000,12000", show_default=True, help="Targets in bytes.")
@click.option("--efforts", default="0,1", show_default=True, help="Efforts.")
@click.option("--model", default=None, help="Model by name or id.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON, instead of stdout.")
def main(images: Path, sizes: str, efforts: str, model: str | None, out: Path | None) -> None:
    """Measure where --target-size --strict lands."""
    rows: list[dict[str, Any]] = []
    for path in pictures(images):
        image = load_rgb(path)
        for effort in (int(v) for v in efforts.split(",")):
            for size in (int(v) for v in sizes.split(",")):
                data = codec.encode(image, target_size=size, strict=True, effort=effort, model=model)
                rows.append({"image": path.name, "effort": effort, "target": size, "share": len(data) / size})
    shares = [row["share"] for row in rows]
    report = environment() | {"least": min(shares), "most": max(shares), "under_98": sum(v < 0.98 for v in shares)}
    write_report(report | {"rows": rows}, out)


if __name__ == "__main__":
    main()
