"""From the bytes of an upload to a grey picture, or to what is wrong with them.

Everything that could cost much is refused by what the header says, before a pixel is decoded.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from enum import StrEnum

from PIL import Image, ImageOps

MAX_BYTES = 8 * 1024 * 1024
MAX_PIXELS = 40_000_000  # width × height of a JPEG, which is decoded at a fraction of them
MAX_PIXELS_DECODED = 16_000_000  # of a PNG or WEBP, which must be decoded whole: 64 MB with transparency
# Scans of a progressive JPEG, each of which libjpeg goes through for all pixels: phones and programs write about ten,
# twice that with a preview; a file of thousands of empty ones would take minutes.
MAX_SCANS = 64
MIN_SIDE = 24  # pixels; a QR code has 21 modules at least
WORKING_SIDE = 1600  # pixels; what is larger is decoded at a half, a quarter or an eighth, never below this
FORMATS = ("JPEG", "PNG", "WEBP")
_BEGINNING = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP", re.DOTALL)
# What Pillow's decoders raise on broken files. Warnings are errors only where they are made so, as in the tests.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, Warning,
    struct.error, zlib.error,
)  # fmt: skip


class Problem(StrEnum):
    """Why there is no code: of the file, or of what is in the picture."""

    TOO_LARGE = "too_large"  # too many bytes or pixels
    NOT_AN_IMAGE = "not_an_image"  # no JPEG, PNG or WEBP
    ANIMATED = "animated"
    DAMAGED = "damaged"  # cut off or corrupt
    OTHER_CODE = "other_code"  # a barcode was read, but it is not a dossier's
    UNREADABLE = "unreadable"  # no barcode could be read


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:  # the tag is broken, the picture may be good: a code is read lying, too
        return image


def within(image: Image.Image, side: int) -> Image.Image:
    """The image, reduced where its longer side is above ``side`` pixels."""
    if max(image.size) <= side:
        return image
    share = side / max(image.size)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _grey(image: Image.Image) -> Image.Image:
    """In grey, on white where it is transparent, its longer side below twice :data:`WORKING_SIDE`."""
    if not image.has_transparency_data:
        return within(image.convert("L"), 2 * WORKING_SIDE - 1)
    image = within(image.convert("RGBA"), 2 * WORKING_SIDE - 1)
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("L")


def _refused(image: Image.Image, data: bytes) -> Problem | None:
    """What the header of a file says against decoding it."""
    whole = image.format in {"PNG", "WEBP"}
    if image.width * image.height > (MAX_PIXELS_DECODED if whole else MAX_PIXELS):
        return Problem.TOO_LARGE
    if whole:
        # Not asked of a JPEG: phones write one with a second picture in it (MPO), and the first is the photo.
        if getattr(image, "is_animated", False):
            return Problem.ANIMATED
    elif data.count(b"\xff\xda") > MAX_SCANS:
        return Problem.DAMAGED
    # The shorter side of a long strip must be wide enough at the working size too.
    narrow = min(image.size) < MIN_SIDE * max(1.0, max(image.size) / WORKING_SIDE)
    return Problem.UNREADABLE if narrow else None


def _decoded(image: Image.Image) -> Image.Image | Problem:
    """The pixels in grey and upright; a JPEG at a half, a quarter or an eighth where that is enough."""
    share = max(1.0, max(image.size) / WORKING_SIDE)
    try:
        image.draft("L", (int(image.width / share), int(image.height / share)))
        image.load()
        return _upright(_grey(image))
    except _BROKEN:
        return Problem.DAMAGED


def grey_picture(data: bytes) -> Image.Image | Problem:
    """The picture in grey, upright, its longer side below twice :data:`WORKING_SIDE`; or what is wrong with the file.

    Args:
        data: the file as uploaded; never trusted.
    """
    if len(data) > MAX_BYTES:
        return Problem.TOO_LARGE
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Problem.TOO_LARGE
    except _BROKEN:
        return Problem.DAMAGED if _BEGINNING.match(data) else Problem.NOT_AN_IMAGE
    return _refused(image, data) or _decoded(image)
