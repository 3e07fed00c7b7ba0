"""The range decoder of formats/LTK.md, section 6, in plain Python integers; imports nothing of the codec."""

from __future__ import annotations


class RangeDecoder:
    def __init__(self, stream: bytes, follow: int):
        self.stream, self.follow, self.at = stream, follow, 0
        self.offset = self.word() << 32 | self.word()
        self.width = 2**64 - 1

    def word(self) -> int:
        word = self.stream[self.at : self.at + 4]
        self.at += 4
        return int.from_bytes(word + bytes([self.follow]) * (4 - len(word)), "big")

    def symbol(self, counts: list[int]) -> int | None:
        """The next symbol; None: the stream is damaged."""
        size = len(counts)
        if size == 1:
            return 0
        scale = self.width // 2**24
        q = self.offset // scale
        if q >= 2**24:
            return None
        low, total = 0, 0
        for k, count in enumerate(counts):
            total += count
            high = 2**24 if k == size - 1 else (2**24 - size) * total // 2**16 + k + 1
            if q < high:
                break
            low = high
        self.offset -= scale * low
        self.width = scale * (high - low)
        if self.width < 2**32:
            self.offset, self.width = self.offset << 32 | self.word(), self.width << 32
        return k
