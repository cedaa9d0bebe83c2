"""Reads the dossier codes off a photo by a fixed row of attempts, the cheap ones first, up to the first that succeeds.

A wrong code is worse than none. A QR code mends itself or says that it cannot (Reed-Solomon). A Code 128 has one check
character, which lets about one in a hundred misreadings of several characters pass; what it says must therefore be read
twice, from its bars treated differently, and twice more often than anything else from the same bars.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import zxingcpp
from PIL import Image, ImageFilter, ImageOps
from zxingcpp import BarcodeFormat, BarcodeFormats, Binarizer, TextMode

from bot.receipts.bars import averaged, find_bars, sharpened, straightened
from bot.receipts.contents import dossier_codes
from bot.receipts.picture import WORKING_SIDE, Problem, grey_picture, within

_QR = BarcodeFormats([BarcodeFormat.QRCode])
_LINEAR = BarcodeFormats([BarcodeFormat.Code128])
_BOTH = BarcodeFormats([BarcodeFormat.Code128, BarcodeFormat.QRCode])
MAX_CODES = 10  # of one photo; more is no photo of receipts
AGREEING = 2  # readings of a Code 128, more than of anything else
# How upright bars are treated: rows averaged, width, radius and gain of the sharpening. Chosen out of 90 ways on 260
# drawn photos, dark or blurred: two of these readings agree on 241, two of all 90 on 243. No two are alike, lest
# they misread alike.
_TREATMENTS = (
    (24, 1400, 6, 1.0),
    (3, 1400, 0, 0.0),
    (6, 1400, 4, 2.0),
    (6, 1400, 4, 1.0),
    (24, 1400, 2, 4.0),
    (12, 1000, 6, 1.0),
    (24, 1400, 4, 2.0),
    (3, 1000, 9, 1.0),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read off a photo.

    Attributes:
        codes: dossier codes in canonical form, each once, from top to bottom and left to right; at most
            :data:`MAX_CODES`.
        problem: why there are none; None where there are.
    """

    codes: tuple[str, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class _Barcode:
    """A barcode that was read: its text, the dossier codes in it, and where in the picture its middle is (0–1)."""

    text: str
    codes: tuple[str, ...]
    x: float
    y: float
    sure: bool = True


@dataclass(slots=True)
class _Seen:
    """What the attempts so far saw on one photo.

    Attributes:
        places: of the codes that are sure, in the order of a page.
        hints: what a Code 128 seemed to say; its bars must confirm it.
        others: whether a barcode was read that is not a dossier's.
    """

    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    hints: set[str] = field(default_factory=set)
    others: bool = False

    def add(self, barcodes: Iterable[_Barcode]) -> None:
        for barcode in barcodes:
            if not barcode.sure:
                self.hints.add(barcode.text)
                continue
            self.others = self.others or not barcode.codes
            for code in barcode.codes:
                # Rows of a tenth of the height: what stands side by side is read from left to right.
                self.places.setdefault(code, (barcode.y * 10 // 1, barcode.x))

    @property
    def complete(self) -> bool:
        return bool(self.places) and self.hints <= self.places.keys()


def _whole(
    image: Image.Image, formats: BarcodeFormats = _QR, binarizer: Binarizer = Binarizer.LocalAverage
) -> Iterator[_Barcode]:
    """The barcodes of an image as zxing-cpp finds them: lying straight or by quarter turns, QR codes at any angle."""
    for found in zxingcpp.read_barcodes(image, formats=formats, binarizer=binarizer, text_mode=TextMode.Plain):
        linear = found.format == BarcodeFormat.Code128
        one, other = found.position.top_left, found.position.bottom_right
        x, y = (one.x + other.x) / 2 / image.width, (one.y + other.y) / 2 / image.height
        yield _Barcode(found.text, dossier_codes(found.text, address=not linear), x, y, sure=not linear)


def _texts(bars: Image.Image) -> Iterator[str]:
    """What upright bars say, treated one way after the other."""
    for rows, width, radius, gain in _TREATMENTS:
        for found in zxingcpp.read_barcodes(
            sharpened(averaged(bars, rows, width), radius, gain), formats=_LINEAR, text_mode=TextMode.Plain,
            try_rotate=False, try_downscale=False, try_invert=False,
        ):  # fmt: skip
            yield found.text


def _agreed(texts: Iterable[str], hints: frozenset[str]) -> str | None:
    """The text that is ahead of all others by :data:`AGREEING` readings, as soon as one is.

    Args:
        texts: read from the same bars.
        hints: texts read from the photo as it is; one counts as a reading of the bars that say the same.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts[text] += 1
        rival = max((count for other, count in counts.items() if other != text), default=0)
        if counts[text] + (text in hints) - rival >= AGREEING:
            return text
    return None


def _bars(full: Image.Image, small: Image.Image, hints: frozenset[str]) -> Iterator[_Barcode]:
    """The linear barcodes of a photo at any angle: found in the small picture, read from the full one."""
    for region in find_bars(small):
        text = _agreed(_texts(straightened(full, region, full.width / small.width)), hints)
        if text is not None:
            x, y = region.centre
            yield _Barcode(text, dossier_codes(text, address=False), x / small.width, y / small.height)


def _by_one_threshold(image: Image.Image) -> Iterator[_Barcode]:
    return _whole(ImageOps.autocontrast(image, cutoff=1), binarizer=Binarizer.GlobalHistogram)


def _softened(image: Image.Image) -> Iterator[_Barcode]:
    return _whole(ImageOps.autocontrast(image.filter(ImageFilter.BoxBlur(1)), cutoff=1))


def _enlarged(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 3 // 2, image.height * 3 // 2), Image.Resampling.BICUBIC)


def _larger(image: Image.Image) -> Iterator[_Barcode]:
    return _whole(_enlarged(image))


def _turned(image: Image.Image) -> Iterator[_Barcode]:
    """Sharpened, enlarged and turned by 20°: a blurred QR code whose modules lie badly on the pixels."""
    sharp = _enlarged(image.filter(ImageFilter.UnsharpMask(2, 200, 0)))
    return _whole(sharp.rotate(20, Image.Resampling.BILINEAR, fillcolor=200))


_LAST_ATTEMPTS: tuple[Callable[[Image.Image], Iterator[_Barcode]], ...] = (
    _by_one_threshold, _softened, _larger, _turned,
)  # fmt: skip


def read_receipt(data: bytes) -> Reading:
    """The dossier codes on a photographed receipt.

    Never raises on bad data. The work is bounded by the number of attempts.

    Args:
        data: the photo as uploaded: JPEG, PNG or WEBP, at most ``MAX_BYTES`` and ``MAX_PIXELS`` of ``picture``.
    """
    full = grey_picture(data)
    if isinstance(full, Problem):
        return Reading(problem=full)
    small = within(full, WORKING_SIDE)
    seen = _Seen()
    seen.add(_whole(small, _BOTH))
    if not seen.complete:
        seen.add(_bars(full, small, frozenset(seen.hints)))
    for attempt in _LAST_ATTEMPTS:
        if not seen.places:
            seen.add(attempt(small))
    if seen.places:
        return Reading(tuple(sorted(seen.places, key=seen.places.__getitem__))[:MAX_CODES])
    return Reading(problem=Problem.OTHER_CODE if seen.others else Problem.UNREADABLE)
