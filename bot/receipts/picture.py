"""From the bytes of an upload to a grey picture, or to what is wrong with them.

Everything that could cost much is refused by what the header says, before a pixel is decoded.
"""

from __future__ import annotations

import io
import struct
import zlib
from enum import StrEnum

from PIL import Image, ImageOps

MAX_BYTES = 8 * 1024 * 1024
MAX_PIXELS = 40_000_000  # width × height
# Scans of a progressive JPEG, each of which libjpeg goes through for all pixels: phones and programs write about ten,
# twice that with a preview; a file of thousands of empty ones would take minutes.
MAX_SCANS = 64
MIN_SIDE = 24  # pixels; a QR code has 21 modules at least
WORKING_SIDE = 1600  # pixels; what is larger is decoded at a half, a quarter or an eighth, never below this
FORMATS = ("JPEG", "PNG", "WEBP")
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


def _grey(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L")


def within(image: Image.Image, side: int) -> Image.Image:
    """The image, reduced where its longer side is above ``side`` pixels."""
    if max(image.size) <= side:
        return image
    share = side / max(image.size)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _refused(image: Image.Image, data: bytes) -> Problem | None:
    """What the header of a file says against decoding it."""
    if image.width * image.height > MAX_PIXELS:
        return Problem.TOO_LARGE
    if image.format in {"PNG", "WEBP"}:
        # Not asked of a JPEG: phones write one with a second picture in it (MPO), and the first is the photo.
        if getattr(image, "is_animated", False):
            return Problem.ANIMATED
    elif data.count(b"\xff\xda") > MAX_SCANS:
        return Problem.DAMAGED
    return Problem.UNREADABLE if min(image.size) < MIN_SIDE else None


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
        return Problem.NOT_AN_IMAGE
    picture = _refused(image, data) or _decoded(image)
    if isinstance(picture, Problem):
        return picture
    picture = within(picture, 2 * WORKING_SIDE - 1)
    return picture if min(picture.size) >= MIN_SIDE else Problem.UNREADABLE
