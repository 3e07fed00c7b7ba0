"""One adapter per codec, all of the same two calls: picture and quality to a whole file, a whole file to a picture.

The settings of the rivals are those that people get from Pillow when they ask for small files.
"""

from __future__ import annotations

import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from ltokc.errors import UsageError
from ltokc.spawn import find_program

JPEG_BYTES = 8  # that a pixel of noise may take: Pillow's buffer must hold a whole file that is optimised


@dataclass(frozen=True, slots=True)
class Sized:
    """The largest file of a codec that fits a size, and the quality that made it."""

    data: bytes
    quality: float


class Codec(ABC):
    """A codec over all its qualities.  Pictures are RGB; `name` is the key in results, `label` is for people."""

    name: str
    label: str
    settings: str = ""  # its fixed options, for people
    curve: Sequence[float]  # qualities of its rate-distortion curve, smallest file first
    steps: Sequence[float]  # all qualities a search for a size may use, smallest file first

    @abstractmethod
    def encode(self, image: Image.Image, quality: float) -> bytes:
        """A whole file."""

    @abstractmethod
    def decode(self, data: bytes) -> Image.Image:
        """The RGB picture in a file, at the size of the original."""

    def encode_to_size(self, image: Image.Image, limit: int) -> Sized | None:
        """The best file of at most `limit` bytes by bisection over `steps`; None when the smallest is larger."""
        data = self.encode(image, self.steps[0])
        if len(data) > limit:
            return None
        best = Sized(data, self.steps[0])
        low, high = 1, len(self.steps) - 1
        while low <= high:
            middle = (low + high) // 2
            data = self.encode(image, self.steps[middle])
            if len(data) <= limit:
                best, low = Sized(data, self.steps[middle]), middle + 1
            else:
                high = middle - 1
        return best


class PillowCodec(Codec):
    """A codec through Pillow's `save`, with fixed options beside the quality (0 or 1 to 100)."""

    options: dict[str, Any]
    whole_qualities = True

    def encode(self, image: Image.Image, quality: float) -> bytes:
        out = BytesIO()
        value = int(quality) if self.whole_qualities else float(quality)
        ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, JPEG_BYTES * image.width * image.height)
        try:
            image.save(out, format=self.name.upper(), quality=value, **self.options)
        except (OSError, ValueError) as error:
            text = " ".join(str(error).split())
            raise UsageError(f"{self.label} cannot hold this picture ({text}); leave it out of the rivals") from error
        return out.getvalue()

    def decode(self, data: bytes) -> Image.Image:
        return Image.open(BytesIO(data)).convert("RGB")


class Jpeg(PillowCodec):
    name, label = "jpeg", "JPEG"
    curve = (1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
    steps = range(1, 96)
    options = {"optimize": True, "progressive": True, "subsampling": "4:2:0"}
    settings = "optimised, progressive, 4:2:0"


def _webp_quality(quantizer: float) -> float:
    """The quality at which libwebp quantises with `quantizer` of 0 (fine) to 127, by its QualityToCompression."""
    linear = (1 - quantizer / 127) ** 3
    return round(150 * linear if linear < 0.5 else 50 * (linear + 1), 4)


class WebP(PillowCodec):
    """Its quality is a real number: from 0 to 1 alone a photograph's file grows by half, so a search needs the rest."""

    name, label = "webp", "WebP"
    curve = (0, 1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
    steps = tuple(_webp_quality(k / 2) for k in range(254, -1, -1))
    options = {"method": 6}
    settings = "method 6"
    whole_qualities = False


class Avif(PillowCodec):
    name, label = "avif", "AVIF"
    curve = (0, 2, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90)
    steps = range(101)
    options = {"speed": 6}
    settings = "speed 6, 4:2:0"


class JpegXl(Codec):
    """JPEG XL through the programs cjxl and djxl; its quality is a butteraugli distance (25 coarse, 0.5 fine)."""

    name, label = "jxl", "JPEG XL"
    curve = (25, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2.5, 2, 1.5, 1, 0.5)
    steps = tuple(d / 10 for d in range(250, 4, -1))

    @staticmethod
    def available() -> bool:
        return find_program("cjxl") is not None and find_program("djxl") is not None

    def __init__(self) -> None:
        if not self.available():
            raise UsageError("jxl: the programs cjxl and djxl are not on the path")

    def encode(self, image: Image.Image, quality: float) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.png"), Path(folder, "out.jxl")
            image.save(source, compress_level=1)
            _execute("cjxl", source, target, "-d", f"{quality:g}")
            return target.read_bytes()

    def decode(self, data: bytes) -> Image.Image:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.jxl"), Path(folder, "out.png")
            source.write_bytes(data)
            _execute("djxl", source, target)
            return Image.open(target).convert("RGB")


def _execute(program: str, *arguments: str | Path) -> None:
    done = subprocess.run([find_program(program) or program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise UsageError(f"{program}: {done.stderr.strip().splitlines()[-1:] or 'failed'}")


class Ltokc(Codec):
    """The codec of this project.  `encode_options` and `decode_options` are passed on (model, effort, backend)."""

    name, label = "ltokc", "ltokc"
    curve = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    steps = tuple(q / 64 for q in range(65))

    def __init__(self, encode_options: dict[str, Any] | None = None, decode_options: dict[str, Any] | None = None):
        self.encode_options, self.decode_options = encode_options or {}, decode_options or {}

    def encode(self, image: Image.Image, quality: float) -> bytes:
        return _ltokc().encode(image, quality, **self.encode_options)

    def decode(self, data: bytes) -> Image.Image:
        return _ltokc().decode(data, **self.decode_options).convert("RGB")

    def encode_to_size(self, image: Image.Image, limit: int) -> Sized | None:
        """The rate control of ltokc itself; the quality is not known and given as -1."""
        data = _ltokc().encode(image, target_size=limit, **self.encode_options)
        return Sized(data, -1) if len(data) <= limit else None


def _ltokc() -> Any:
    import ltokc  # the benchmark of the rivals alone needs neither a model nor a runtime

    return ltokc


class Downscaled(Codec):
    """A codec that shrinks the picture first and enlarges after, Lanczos both ways: what people do for tiny files.

    The file does not say the original's size (people's web pages do), so one object decodes what it just encoded.
    """

    CURVES = {"avif": {2: (0, 10, 20, 30, 40, 50, 60), 4: (0, 20, 40, 60)}}
    WORDS = {2: "half", 4: "quarter"}

    def __init__(self, codec: Codec, factor: int):
        if factor not in self.WORDS:
            raise UsageError(f"no variant downscaled by {factor}")
        self.codec, self.factor = codec, factor
        self.name = f"{codec.name}_{self.WORDS[factor]}"
        self.label = f"{codec.label} {self.WORDS[factor]} size"
        self.settings = codec.settings
        self.steps = codec.steps
        self.curve = self.CURVES.get(codec.name, {}).get(factor, codec.curve)
        self.size = (0, 0)

    def encode(self, image: Image.Image, quality: float) -> bytes:
        self.size = image.size
        small = (max(1, round(image.width / self.factor)), max(1, round(image.height / self.factor)))
        return self.codec.encode(image.resize(small, Image.Resampling.LANCZOS), quality)

    def decode(self, data: bytes) -> Image.Image:
        return self.codec.decode(data).resize(self.size, Image.Resampling.LANCZOS)


CODECS: dict[str, type[Codec]] = {c.name: c for c in (Ltokc, Jpeg, WebP, Avif, JpegXl)}


def library_versions() -> dict[str, str]:
    """Versions of Pillow and of the image libraries inside it, which make the rivals' files."""
    import PIL
    from PIL import AvifImagePlugin, features

    found = {"pillow": PIL.__version__}
    for library, version in (
        ("libjpeg-turbo", features.version("libjpeg_turbo")),
        ("libwebp", features.version("webp")),
        ("libavif", features.version("avif")),
        ("aom", AvifImagePlugin.get_codec_version("aom") if features.check("avif") else None),
    ):
        if version:
            found[library] = version
    return found


def family(name: str) -> str:
    """`avif_half` is of the family `avif`."""
    return name.split("_")[0]


def make_codec(name: str, **ltokc_options: Any) -> Codec:
    """The adapter for a name such as `jpeg`, `avif_half`, `webp_quarter`, `ltokc`; options go to Ltokc alone.

    Raises UsageError for an unknown name, and for `jxl` when its programs are missing.
    """
    base, _, variant = name.partition("_")
    factors = {word: factor for factor, word in Downscaled.WORDS.items()}
    if base not in CODECS or (variant and (variant not in factors or base == "ltokc")):
        known = ", ".join(CODECS)
        raise UsageError(f"no codec '{name}': there are {known}, and rivals with _half or _quarter")
    codec = Ltokc(**ltokc_options) if base == "ltokc" else CODECS[base]()
    return Downscaled(codec, factors[variant]) if variant else codec


def fit(name: str, image: Image.Image, limit: int, **ltokc_options: Any) -> tuple[Codec, Sized]:
    """The best file of at most `limit` bytes: the codec itself, else at half, else at quarter size.

    When none fits, its smallest quarter-size file is returned, which the caller sees by its length.
    """
    names = [name] if family(name) != name or name == "ltokc" else [name, f"{name}_half", f"{name}_quarter"]
    codecs = [make_codec(n, **ltokc_options) for n in names]
    for codec in codecs:
        found = codec.encode_to_size(image, limit)
        if found:
            return codec, found
    last = codecs[-1]
    return last, Sized(last.encode(image, last.steps[0]), last.steps[0])
