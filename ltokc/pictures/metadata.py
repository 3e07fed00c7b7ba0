"""EXIF and XMP of a picture as bytes, with the orientation reset, since the pixels are stored upright.

Only the orientation's value is patched: a rewritten EXIF block would break the absolute offsets inside maker notes.
EXIF is the TIFF structure alone (CIPA DC-008, section 4.6), without the "Exif\\0\\0" of JPEG, as PNG's eXIf has it.
"""

from __future__ import annotations

import re
import struct

ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_SOURCE_TYPE = re.compile(
    rb"""\s*(?:<Iptc4xmpExt:DigitalSourceType\b[^>]*?(?:/>|>.*?</Iptc4xmpExt:DigitalSourceType\s*>)"""
    rb"""|(?<=\s)Iptc4xmpExt:DigitalSourceType\s*=\s*(?:"[^"]*"|'[^']*'))""",
    re.DOTALL,
)
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>)\s*)[2-8]""")


def upright_exif(exif: bytes) -> bytes:
    """EXIF with its orientation, if it has one, set to 1.  Raises ValueError if the block is no EXIF."""
    block = bytearray(exif.removeprefix(b"Exif\x00\x00"))
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(bytes(block[:4]))
    if order is None:
        raise ValueError("no TIFF header")
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", block, entry)
            if tag == ORIENTATION and kind in (_SHORT, _LONG):
                struct.pack_into(order + ("H" if kind == _SHORT else "I"), block, entry + 8, 1)
    except struct.error:
        raise ValueError("cut short") from None
    return bytes(block)


def upright_xmp(xmp: bytes | str) -> bytes:
    """XMP with its tiff:Orientation, if it has one, set to 1."""
    packet = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    return _XMP_ORIENTATION.sub(rb"\g<1>1", packet)


def generated_xmp(xmp: bytes | str = b"") -> bytes:
    """XMP that says in IPTC's DigitalSourceType that a trained generator made part of the picture.

    xmp: the picture's own packet, whose other statements are kept; without an rdf:RDF element it is replaced.
    """
    packet = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    said = (
        f'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}" Iptc4xmpExt:DigitalSourceType="{GENERATED}"/>'
    ).encode()
    end = b"</rdf:RDF>"
    if end in packet:
        head, _, tail = _SOURCE_TYPE.sub(b"", packet).rpartition(end)
        return head + said + end + tail
    start = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    return start + said + end + b"</x:xmpmeta>"
