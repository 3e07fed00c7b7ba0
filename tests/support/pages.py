"""Pages of lettering, and pictures like photographs."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = "Rate 0123456789 is what a picture costs: sphinx of black quartz, judge my vow. "


def natural(width: int, height: int) -> np.ndarray:
    """Like a photograph: (height, width, 3) uint8 whose spectrum falls with the frequency, with some grain."""
    rng = np.random.default_rng(7)
    y, x = np.fft.fftfreq(height)[:, None, None], np.fft.fftfreq(width)[None, :, None]
    noise = np.fft.fft2(rng.standard_normal((height, width, 3)), axes=(0, 1))
    waves = np.fft.ifft2(noise / (np.hypot(y, x) + 0.004) ** 1.2, axes=(0, 1)).real
    waves = waves.mean(2, keepdims=True) * 0.8 + waves * 0.2
    pixels = 120 + 50 * waves / waves.std() + rng.normal(0, 2, waves.shape)
    return pixels.clip(0, 255).round().astype(np.uint8)


def page(width: int = 256, height: int = 192, ink: str = "black", paper: str = "white") -> Image.Image:
    """Lettering of 12 px on a flat ground."""
    image = Image.new("RGB", (width, height), paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    for row in range(height // 15):
        draw.text((4, 2 + 15 * row), (WORDS * 3)[row : row + width // 6], ink, font)
    return image
