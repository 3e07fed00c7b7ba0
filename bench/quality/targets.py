"""How near files come to a wanted size: bytes as a share of the target, never above it.

python -m bench targets --images KODAK --out targets.json
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from ltokc import codec


@options.command()
@options.images()
@click.option("--sizes", default="600,1500,4000,12000", show_default=True, type=options.Numbers(int),
              help="Targets in bytes.")  # fmt: skip
@options.efforts("0,1")
@options.model()
@options.out()
def main(
    images: Path, sizes: tuple[int, ...], efforts: tuple[int, ...], model: str | None, out: Path | None
) -> None:  # fmt: skip
    """Measure where --target-size --strict lands."""
    name, rows = model_name(model), list[dict[str, Any]]()
    for path in pictures(images):
        image = load_rgb(path)
        for effort in efforts:
            for size in sizes:
                data = codec.encode(image, target_size=size, strict=True, effort=effort, model=name, patches="off")
                rows.append({"image": path.name, "effort": effort, "target": size, "share": len(data) / size})
    shares = [row["share"] for row in rows]
    found = {"least": min(shares), "most": max(shares), "under_98": sum(v < 0.98 for v in shares)}
    write_report(name, found | {"rows": rows}, out)


if __name__ == "__main__":
    main()
