"""Random crops of the training pictures, and pictures made up beside them: text, slopes, flat fields."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ltokc.train.data.pictures import Pictures

LETTERS = "eeeetttaaaoooiiinnnsssrrhhllddccuummffppggwwyybvkxjqzETAOINSRHLDCUMFPGWYBVKXJQZ0123456789.,:;-()/"


class Crops:
    """Endless random crops: (batch, size, size, 3) uint8, with random scale and flip.

    A share of them (`text_share`, `smooth_share`, 0..1) are made up: pages of text, and slopes or flat fields.
    """

    def __init__(
        self, pictures: Pictures, size: int, batch: int, rng: np.random.Generator, text_share: float = 0.03,
        smooth_share: float = 0.0,
    ):  # fmt: skip
        self.pictures, self.size, self.batch, self.rng = pictures, size, batch, rng
        self.text_share, self.smooth_share = text_share, smooth_share

    def __iter__(self) -> Crops:
        return self

    def __next__(self) -> np.ndarray:
        out = np.empty((self.batch, self.size, self.size, 3), np.uint8)
        for i in range(self.batch):
            u = self.rng.random() - self.text_share
            out[i] = self.text() if u < 0 else self.smooth() if u < self.smooth_share else self.crop()
        return out

    def crop(self) -> np.ndarray:
        rng, size = self.rng, self.size
        picture = self.pictures[int(rng.integers(len(self.pictures)))]
        u = rng.random()  # half the crops as they are, some softened by enlarging, some shrunk
        factor = 1.0 if u < 0.55 else rng.uniform(1.05, 2.0) if u < 0.85 else rng.uniform(0.6, 0.95)
        side = min(round(size / factor), *picture.shape[:2])
        y, x = (int(rng.integers(n - side + 1)) for n in picture.shape[:2])
        crop = picture[y : y + side, x : x + side]
        if side != size:
            crop = np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.BICUBIC))
        return crop[:, ::-1] if rng.random() < 0.5 else crop

    def smooth(self) -> np.ndarray:
        """A slope of few colours with little grain, or a flat field: skies and walls, whose exact colour shows."""
        rng, size = self.rng, self.size
        patches = int(rng.integers(1, 6))
        colours = rng.uniform(0, 255, 3) + rng.choice([4, 15, 50]) * rng.standard_normal((patches, patches, 3))
        if rng.random() < 0.5:  # those of a picture
            near = Image.fromarray(self.crop()).resize((patches, patches), Image.Resampling.BOX)
            colours = np.asarray(near)
        few = Image.fromarray(np.clip(colours, 0, 255).round().astype(np.uint8))
        slope = np.asarray(few.resize((size, size), Image.Resampling.BICUBIC))
        grain = rng.uniform(0, 2) * rng.standard_normal(slope.shape) if rng.random() < 0.5 else 0.0
        return np.clip(slope + grain, 0, 255).round().astype(np.uint8)

    def text(self) -> np.ndarray:
        """A page of random words and boxes in random colours, so that letters and user interfaces survive."""
        rng, size = self.rng, self.size
        back = rng.integers(200, 256, 3) if rng.random() < 0.6 else rng.integers(0, 256, 3)
        ink = rng.integers(0, 70, 3) if back.mean() > 127 else rng.integers(180, 256, 3)
        page = Image.new("RGB", (size, size), tuple(int(v) for v in back))
        draw = ImageDraw.Draw(page)
        for _ in range(int(rng.integers(0, 3))):
            x, y = rng.integers(-size // 4, size, 2)
            w, h = rng.integers(4, size, 2)
            draw.rectangle(
                (int(x), int(y), int(x + w), int(y + h)), fill=tuple(int(v) for v in rng.integers(0, 256, 3))
            )
        height, y = int(rng.integers(8, 30)), int(rng.integers(-8, 8))
        font = ImageFont.load_default(height)
        letters = np.array(list(LETTERS))
        while y < size:
            words = ["".join(rng.choice(letters, int(rng.integers(1, 10)))) for _ in range(1 + size // (3 * height))]
            draw.text((int(rng.integers(-10, 10)), y), " ".join(words), fill=tuple(int(v) for v in ink), font=font)
            y += int(height * rng.uniform(1.1, 1.6))
        return np.asarray(page)
