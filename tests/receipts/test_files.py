"""Files that are no photo of a receipt are refused for what they are; none raises, none costs much."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.receipts import Problem, Reading, picture, read_receipt
from tests.receipts.drawing import photo_of
from tests.receipts.symbols import dice, qr

CODE = "H30.99.01-261116-0001"


def file_of(kind: str, size: tuple[int, int] = (320, 320), **options: object) -> bytes:
    """A file with a QR code of :data:`CODE`."""
    image = Image.new("RGB", size, "white")
    image.paste(qr(CODE).resize((232, 232), Image.Resampling.NEAREST).convert("RGB"), (44, 44))
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel: all white, tens of kilobytes for hundreds of millions of pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = zlib.compress((b"\0" + b"\xff" * (width // 8)) * height)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def frames(kind: str) -> bytes:
    pictures = [Image.new("L", (64, 64), shade) for shade in (255, 0, 128)]
    file = io.BytesIO()
    pictures[0].save(file, kind, save_all=True, append_images=pictures[1:], duration=100)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"Xin h\xe1\xbb\x8fi h\xe1\xbb\x93 s\xc6\xa1 c\xe1\xbb\xa7a t\xc3\xb4i",
        file_of("GIF"),
        file_of("BMP"),
        file_of("TIFF"),
        file_of("JPEG2000"),
        file_of("PDF"),
        frames("GIF"),
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    ],
    ids=["empty", "a byte", "text", "GIF", "BMP", "TIFF", "JPEG2000", "PDF", "moving GIF", "SVG"],
)
def test_what_is_no_jpeg_png_or_webp_is_no_image(data: bytes) -> None:
    assert read_receipt(data) == Reading((), Problem.NOT_AN_IMAGE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_file_that_breaks_off_is_damaged_and_the_whole_one_is_read(kind: str) -> None:
    whole = file_of(kind)
    assert read_receipt(whole) == Reading((CODE,))
    for kept in (16, 40, len(whole) // 2, len(whole) * 9 // 10):
        assert read_receipt(whole[:kept]) == Reading((), Problem.DAMAGED)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_moving_picture_is_told_so(kind: str) -> None:
    assert read_receipt(frames(kind)) == Reading((), Problem.ANIMATED)


def test_the_two_pictures_that_some_phones_write_into_one_jpeg_are_a_photo() -> None:
    second = Image.new("RGB", (320, 320), "grey")
    assert read_receipt(file_of("MPO", save_all=True, append_images=[second])) == Reading((CODE,))


def test_more_than_8_mib_are_too_large() -> None:
    assert picture.MAX_BYTES == 8 * 1024 * 1024
    whole = file_of("JPEG")
    padded = whole + b"\0" * (picture.MAX_BYTES - len(whole))
    assert read_receipt(padded) == Reading((CODE,))
    assert read_receipt(padded + b"\0") == Reading((), Problem.TOO_LARGE)
    assert read_receipt(b"\0" * 9_000_000) == Reading((), Problem.TOO_LARGE)


@pytest.mark.parametrize("size", [(20_000, 20_000), (12_000, 12_000), (8000, 2008), (60_000, 1024)])
def test_too_many_pixels_are_refused_by_the_header_without_decoding_them(size: tuple[int, int]) -> None:
    data = claiming(*size)
    assert len(data) < 100_000
    tracemalloc.start()
    assert read_receipt(data) == Reading((), Problem.TOO_LARGE)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_the_largest_pictures_allowed_are_looked_at() -> None:
    assert read_receipt(claiming(8000, 2000)) == Reading((), Problem.UNREADABLE)
    assert read_receipt(file_of("JPEG", (8000, 5000))).problem in {None, Problem.UNREADABLE}
    assert read_receipt(file_of("JPEG", (8000, 5001))) == Reading((), Problem.TOO_LARGE)


@pytest.mark.parametrize("size", [(1, 1), (23, 500), (500, 23), (40_000, 30), (3199, 30), (25, 2000)])
def test_a_picture_too_narrow_for_any_code_is_unreadable(size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("L", size, 255).save(file, "PNG")
    assert read_receipt(file.getvalue()) == Reading((), Problem.UNREADABLE)


def test_a_progressive_jpeg_of_thousands_of_scans_is_refused_before_decoding() -> None:
    data = file_of("JPEG", progressive=True)
    assert read_receipt(data) == Reading((CODE,))
    last = data.rindex(b"\xff\xda")
    endless = data[:last] + data[last:-2] * 3000 + data[-2:]
    assert len(endless) < picture.MAX_BYTES
    assert read_receipt(endless) == Reading((), Problem.DAMAGED)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_of_any_kind_of_pixels_is_no_failure(mode: str) -> None:
    image = Image.open(io.BytesIO(file_of("PNG"))).convert("L")
    file = io.BytesIO()
    image = image.point(lambda value: value * 257, "I").convert("I;16") if mode == "I;16" else image.convert(mode)
    image.save(file, "PNG")
    assert read_receipt(file.getvalue()) == Reading((CODE,))


def test_a_jpeg_in_printing_colours_is_read() -> None:
    image = Image.open(io.BytesIO(file_of("PNG"))).convert("CMYK")
    file = io.BytesIO()
    image.save(file, "JPEG")
    assert read_receipt(file.getvalue()) == Reading((CODE,))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # an error here, but not where the service runs
def test_a_photo_with_broken_exif_is_read_all_the_same() -> None:
    data = file_of("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03")
    assert read_receipt(data) == Reading((CODE,))


@given(st.binary(max_size=4000))
def test_no_bytes_raise(data: bytes) -> None:
    assert read_receipt(data).codes == ()


WHOLE = [file_of(kind) for kind in ("JPEG", "PNG", "WEBP")] + [
    file_of("JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
    photo_of(dice(3), "Code 128", ("dark",)).data[:20_000],
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6),
    st.floats(0.2, 1),
)
def test_no_broken_photo_raises_or_says_another_code(
    whole: bytes, changes: list[tuple[float, bytes]], kept: float
) -> None:
    broken = bytearray(whole)
    for place, put in changes:
        # Half of the changes fall into the first kilobyte, where the structure is.
        at = int(place * 2 * len(whole)) if place < 0.5 else int((place - 0.5) * 2 * min(1000, len(whole)))
        broken[at : at + len(put)] = put
    reading = read_receipt(bytes(broken[: int(len(broken) * kept)]))
    assert reading.codes in {(), (CODE,)}
    assert (reading.problem is None) == bool(reading.codes)
