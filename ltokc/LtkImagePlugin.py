"""Pillow's plug-in: after `ltokc.register_pillow()`, or the import of this module, Pillow reads and writes .ltk files.

    Image.open("x.ltk")                       reads the header; pixels are decoded when they are needed
    image.decoder = "generative"              before that: with drawn detail (also image.seed, image.detail)
    image.save("x.ltk", quality=60)           quality 0 to 100, default 60; or tokens=, target_size=, target_bpp=
    image.save("x.ltk", metadata="all")       keeps the picture's own metadata, as `ltokc encode --metadata all` does
    image.save("x.ltk", exif=..., xmp=..., icc_profile=..., dpi=...)   keeps these

As everywhere in ltokc the picture is stored upright and in sRGB: an orientation in the EXIF data is applied.  Errors
are those of Pillow's own formats: UnidentifiedImageError for what is no .ltk file, OSError for one that is damaged, cut
(unless ImageFile.LOAD_TRUNCATED_IMAGES is set) or written with an unknown model, DecompressionBombError by
Image.MAX_IMAGE_PIXELS; saving with arguments that do not fit raises ValueError.
"""

from __future__ import annotations

from typing import IO, Any

from PIL import Image, ImageFile

from ltokc import codec, container
from ltokc.arguments import number
from ltokc.container.extent import read_file
from ltokc.errors import LimitError, LtokcError, UsageError
from ltokc.pictures.chunks import metadata_of
from ltokc.pictures.extras import as_info
from ltokc.pictures.options import kinds_of

FORMAT, MIME, SUFFIX = "LTK", "image/x-ltk", ".ltk"
DEFAULT_QUALITY = 60
MOST_DPI = 1e7  # what a file can hold, 2**31 - 1 pixels a metre, is more
PASSED_ON = ("strict", "model", "effort", "patches", "alpha")  # options of `ltokc.encode` with its own values
METADATA = {"exif": "exif", "icc_profile": "icc", "xmp": "xmp", "dpi": "dpi"}  # Pillow's name, ours


class LtkImageFile(ImageFile.ImageFile):
    """A .ltk file.  Mode is RGB or, of a gray picture, L; RGBA or LA where the file has alpha."""

    format = FORMAT
    format_description = "LTK learned token image"
    decoder, seed, detail = "auto", 0, 1.0  # as of `ltokc.decode`; to be set before the pixels are needed
    _data: bytes | None = None  # the file, until it is decoded

    def _open(self) -> None:
        try:
            data = read_file(self.fp) if self.fp else b""  # type: ignore[arg-type]
            header = container.read_header(data)
        except LtokcError as error:
            raise SyntaxError(str(error)) from error
        self._size = self._whole = header.width, header.height
        self._mode = ("L" if header.gray else "RGB") + ("A" if header.alpha else "")
        self._data = data
        self._reduce = 1
        self.tile = []
        try:
            self.info.update(metadata_of(container.read(data, allow_truncated=True, limit_pixels=_limit())))
        except LtokcError:  # damage is told by load() and verify(), a bomb by Image.open
            pass

    def load(self) -> Any:
        """Decodes at the first call.  Raises OSError."""
        if self._data is None:
            return super().load()  # nothing more to do, or the complaint that verify() used the file up
        allow = bool(ImageFile.LOAD_TRUNCATED_IMAGES)
        try:
            image = codec.decode(self._data, allow_truncated=allow, limit_pixels=_limit(), reduce=self._reduce,
                                 decoder=self.decoder, seed=self.seed, detail=self.detail)  # fmt: skip
        except LtokcError as error:
            raise OSError(str(error)) from error
        self._data = None
        if image.mode != self.mode:  # a cut file may have lost its alpha
            image = image.convert(self.mode)
        self.im, self.readonly = image.im, 0
        self._size = image.size
        self.info.update(image.info)
        self._release()
        return Image.Image.load(self)

    def verify(self) -> None:
        """Checksums, and that every token decodes; the file must be opened again afterwards.  Raises OSError."""
        data, self._data = self._data, None
        self._release()
        if data is not None:
            try:
                codec.verify(data, limit_pixels=_limit())
            except LtokcError as error:
                raise OSError(str(error)) from error

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Makes the picture load at 1/2, 1/4 or 1/8 of its size, not smaller than `size`, from fewer levels."""
        if self._data is None or size is None:
            return None
        width, height = self._whole
        fits = [s for s in (2, 4, 8) if width // s >= size[0] and height // s >= size[1]]
        self._reduce = max(fits, default=1)
        self._size = -(-width // self._reduce), -(-height // self._reduce)
        return self.mode, (0, 0, width / self._reduce, height / self._reduce)

    def _release(self) -> None:
        if self._exclusive_fp and self.fp:
            self.fp.close()
        self.fp = None


def _limit() -> int | None:
    """What Pillow refuses; between this and half of it, it warns."""
    return None if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(container.MAGIC)


def _save(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    options = dict(getattr(image, "encoderinfo", {}))
    how = {name: options[name] for name in PASSED_ON if options.get(name) is not None}
    rates = {name: options[name] for name in ("tokens", "target_size", "target_bpp") if options.get(name) is not None}
    quality = options.get("quality")
    if quality is None and not rates:
        quality = DEFAULT_QUALITY
    if quality is not None:
        rates["quality"] = _share(quality)
    try:
        image, kinds = _with_metadata(image, options)
        data = codec.encode(image, metadata=kinds, limit_pixels=None, **rates, **how)
    except (UsageError, LimitError) as error:
        raise ValueError(str(error)) from error
    except LtokcError as error:
        raise OSError(str(error)) from error
    fp.write(data)


def _share(quality: Any) -> float:
    """Pillow's 0 to 100 as 0 to 1.  Raises ValueError, also for what looks like our own scale."""
    try:
        found = number("quality", quality, 0, 100)
    except UsageError as error:
        raise ValueError(str(error)) from error
    if 0 < found < 1:
        raise ValueError(f"quality is 0 to 100 in Pillow, not {found:g}; did you mean {100 * found:g}?")
    return found / 100


def _resolution(dpi: Any) -> tuple[float, float] | None:
    """The pair, or None where there is none: None, or 0 as files have it that do not know.  Raises ValueError."""
    if dpi is None:
        return None
    try:
        across, down = map(float, dpi)
    except (TypeError, ValueError):
        across = down = -1.0
    if not (0 <= across < MOST_DPI and 0 <= down < MOST_DPI):
        raise ValueError(f"dpi is a pair of numbers, across and down, not {dpi!r}")
    return (across, down) if across and down else None


def _with_metadata(image: Image.Image, options: dict[str, Any]) -> tuple[Image.Image, list[str]]:
    """The picture with what `exif=`, `icc_profile=` and `xmp=` give, and the kinds to keep."""
    kinds = list(kinds_of(options.get("metadata") or ()))
    given = {name: options[name] for name in METADATA if name != "dpi" and options.get(name)}
    if (dpi := _resolution(options.get("dpi"))) is not None:
        given["dpi"] = dpi
    if given:
        beside = as_info(image)
        image = image.copy()  # its own `info` and EXIF
        image.info.update(beside.items())
        for name, value in given.items():
            image.info[name] = value.tobytes() if isinstance(value, Image.Exif) else value
            kinds.append(METADATA[name])
    return image, list(dict.fromkeys(kinds))


Image.register_open(FORMAT, LtkImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, SUFFIX)
Image.register_mime(FORMAT, MIME)
