"""The file that formats/LTK.md works through: every number of the text is that of the file and of the readers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ltokc
from ltokc.zoo import registry
from tests.support import independent_reader
from tests.support.golden_files import FILES, GOOD
from tests.support.independent_reader import RangeDecoder, Weights, rank, read_segment, read_tokens

TEXT = (Path(__file__).parents[2] / "formats" / "LTK.md").read_text("utf-8")
PART = TEXT[TEXT.index("### A whole file") :]
NAME, DEPTHS_NAME = re.findall(r"`golden/v1/(\S+)`", PART)
HEX = re.compile(r"^    ((?:[0-9A-F]{2} ?)+)$", re.M)


def ints(text: str) -> list[int]:
    return [int(v.replace("−", "-")) for v in text.split()]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights(registry.folder(registry.find(6)) / "model.safetensors")


def bounds(counts: list[int]) -> list[int]:
    """Section 6, "Counts to intervals"."""
    size = len(counts)
    return [(2**24 - size) * sum(counts[:k]) // 2**16 + k for k in range(size)] + [2**24]


def test_the_bytes_are_those_of_the_file() -> None:
    data = (GOOD / NAME).read_bytes()
    shown, stream = HEX.findall(PART)
    assert bytes.fromhex(shown) == data
    table = PART[: PART.index("Level 0 has")]
    cells = re.findall(r"^\| (`[0-9A-F `,]+`) \|", table, re.M)
    assert bytes.fromhex("".join(cells).replace("`", "").replace(",", "").replace(" ", "")) == data
    assert bytes.fromhex(stream) in (GOOD / DEPTHS_NAME).read_bytes()


def test_the_first_token_step_by_step(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[dict[str, object]] = []

    class Told(RangeDecoder):
        def symbol(self, counts: list[int]) -> int | None:
            q = self.offset // (self.width // 2**24)
            symbol = super().symbol(counts)
            steps[-1] |= {"B": bounds(counts), "q": q, "symbol": symbol, "offset": self.offset, "width": self.width}
            return symbol

    def told(self: Weights, logits: list[int]) -> list[int]:
        found = plain(self, logits)
        steps.append({"logits": logits, "counts": found})
        return found

    plain = Weights.counts
    monkeypatch.setattr(Weights, "counts", told)
    monkeypatch.setattr(independent_reader, "RangeDecoder", Told)
    data = (GOOD / NAME).read_bytes()
    read_tokens(data, weights)
    started = RangeDecoder(data[11:-4], 0)
    assert f"offset `{started.offset:016X}` and width `{started.width:016X}`" in PART
    text = re.findall(
        r"    digit (\d)\n    logits (.*)\n    counts (.*)\n    B      (.*)\n    q      (.*)\n"
        r"    symbol (\d), which is (.*)\n    offset (\w+) width (\w+)\n",
        PART,
    )
    assert [int(digit) for digit, *_ in text] == list(range(6))
    for (_, logits, counts, bound, q, symbol, digit, offset, width), step in zip(text, steps, strict=False):
        assert step == {
            "logits": ints(logits), "counts": ints(counts), "B": ints(bound), "q": int(q), "symbol": int(symbol),
            "offset": int(offset, 16), "width": int(width, 16),
        }  # fmt: skip
        assert ints(digit) == [int(symbol) - 3]


def test_all_its_tokens_and_their_hash(weights: Weights) -> None:
    data = (GOOD / NAME).read_bytes()
    found = read_tokens(data, weights)
    rows = [ints(row.replace("|", " ")) for row in re.findall(r"^\| (\d \| \d \| \d \| \d+ \| .*) \|$", PART, re.M)]
    assert len(rows) == FILES[NAME]["tokens"]
    for k, y, x, at, *digits in rows:
        assert found.present[k][y, x] and found.digits[k][y, x].tolist() == digits and rank(y, x) == at
    assert [(k, at) for k, _, _, at, *_ in rows] == sorted((k, at) for k, _, _, at, *_ in rows)
    (sha256,) = re.findall(r"`([0-9a-f]{64})`", PART)
    assert sha256 == FILES[NAME]["tokens_sha256"] == ltokc.tokens(data).sha256()
    line, present, first = (
        bytes.fromhex(v) for v in re.findall(r"`([0-9A-F ]+)`", PART[PART.index("spelling that") :])[:3]
    )
    level = found.digits[0]
    assert line == "{} {} {} {}\n".format(*level.shape, weights.levels[0][2]).encode()
    assert present == bytes(found.present[0].ravel()) and first == bytes(v % 256 for v in level[0, 0].tolist())


def test_the_depths(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    class Told(RangeDecoder):
        def symbol(self, counts: list[int]) -> int | None:
            symbol = super().symbol(counts)
            seen.append((counts.index(max(counts)), symbol or 0))
            return symbol

    monkeypatch.setattr(independent_reader, "RangeDecoder", Told)
    payload = (GOOD / DEPTHS_NAME).read_bytes()[10:-4]
    read_segment(weights, payload, 2, 2, False)
    predicted, depths = re.findall(r"predicted as `p` = ([\d, ]+): `([\d ]+)`", PART)[0]
    assert seen == list(zip(ints(predicted.replace(",", " ")), ints(depths), strict=True))
