"""Invented dossier codes, and barcodes of one pixel a module."""

from __future__ import annotations

import random
from urllib.parse import quote

import numpy as np
import segno
import zxingcpp
from PIL import Image


def dice(seed: int | str) -> random.Random:
    """Where the choices of a drawing come from: the same for the same seed."""
    return random.Random(seed)  # noqa: S311 - drawn, not secret


def dossier_code(rng: random.Random) -> str:
    """An invented dossier code of any of the forms that are in use (reference: dossiers_and_rules.md)."""

    def two() -> str:
        return f"{rng.randrange(100):02}"

    day = f"{rng.randrange(18, 27)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
    number = f"{rng.randrange(1, 10_000):04}"
    form = rng.randrange(6)
    if form == 0:
        agency = f"000.{two()}.{two()}.H{two()}"
    elif form == 1:
        agency = f"{rng.randrange(1000):03}.{rng.choice('ABCDKT')}{rng.randrange(10)}.{two()}.H{two()}"
    elif form == 2:
        agency = f"{two()}.{two()}.H{two()}"
    elif form == 3:  # a ministry's: six or seven digits
        agency, number = f"G{two()}.{two()}", f"{rng.randrange(1, 10_000_000):0{rng.choice((6, 7))}}"[:7]
    else:
        groups = [two() if rng.random() < 0.8 else f"{rng.randrange(1000):03}" for _ in range(rng.randrange(5))]
        agency = ".".join([f"H{two()}", *groups])
    return f"{agency}-{day}-{number}"


def address(rng: random.Random, code: str) -> str:
    """An invented web address with the code in it, as portals print them into QR codes."""
    return rng.choice((
        f"https://dichvucong.example.vn/tra-cuu?mahoso={code}&lang=vi",
        f"https://motcua.example.vn/ho-so/{code}",
        f"HTTPS://MOTCUA.EXAMPLE.VN/TC/{code}",
        f"http://dvc.example.vn/#/tracuu?ma={quote(code.lower())}",
    ))  # fmt: skip


def code128(text: str) -> Image.Image:
    """A Code 128 of one pixel a module, without quiet zones, one row high."""
    drawn = np.array(zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.Code128).to_image(add_quiet_zones=False))
    return Image.fromarray(drawn[:1])


def qr(text: str, level: str = "m") -> Image.Image:
    """A QR code of one pixel a module, without quiet zone."""
    rows = segno.make_qr(text, error=level, boost_error=False, mask=len(text) % 8).matrix
    return Image.fromarray(np.where(np.array([list(row) for row in rows], dtype=bool), 0, 255).astype(np.uint8))


def ean13(digits: str) -> Image.Image:
    """The barcode of a product, of one pixel a module, without quiet zones, one row high."""
    drawn = np.array(zxingcpp.create_barcode(digits, zxingcpp.BarcodeFormat.EAN13).to_image(add_quiet_zones=False))
    return Image.fromarray(drawn[:1])
