"""The same check as `bench.verification.fuzz`, its files chosen by coverage: a target for atheris (`pip install
'ltokc[fuzz]'`).

    python -m bench fuzz-coverage -max_len=2000 -rss_limit_mb=1024 -timeout=10 WORK formats/golden/v1 formats/golden/bad

All arguments are libFuzzer's; WORK is a folder that keeps the files which reach something new.  Mutations come from
libFuzzer; every other file has its checksums put right, so that damage gets past them.
"""

from __future__ import annotations

import random
import sys
import zlib


def one(data: bytes) -> None:
    """Runs the check; what it decides by chance follows from the bytes."""
    from bench.verification.fuzz_checks import check
    from bench.verification.mutate import reseal

    rng = random.Random(zlib.crc32(data))
    check(reseal(data) if rng.random() < 0.5 else data, rng)


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]):  # of this program; `-help=1` asks libFuzzer
        print("Usage: python -m bench fuzz-coverage [LIBFUZZER OPTIONS] WORK [SEEDS]...\n")
        print(__doc__)
        return
    import atheris

    parts = ("numbers", "records", "chunks", "reader", "writer", "alpha", "bitstreams", "av1", "patches", "colour")
    with atheris.instrument_imports(include=["ltokc.container", *(f"ltokc.container.{part}" for part in parts)]):
        pass
    from bench.verification import fuzz

    fuzz.warm_up(fuzz.seeds()[:3])
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
