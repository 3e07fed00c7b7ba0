"""What a caller may choose about pictures: formats to write, kinds of metadata to keep, what becomes of alpha.

Loads no numpy and no Pillow, so that the help of the command line starts at once.
"""

SAVE_FORMATS = ("png", "jpg", "webp", "avif", "ppm", "npy")
FORMAT_ALIASES = {"jpeg": "jpg", "pnm": "ppm"}  # other names and suffixes of these formats
METADATA_KINDS = ("exif", "icc", "xmp")
ALPHA_MODES = ("keep", "drop", "blend")  # blend: with white
