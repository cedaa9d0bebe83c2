"""Photographs of invented receipts, drawn: a sheet of text with the dossier code in Code 128 or QR, taken by a phone.

The strengths below were fixed before the reader was written and are not to be softened to let it pass.

Every photo: 4:3, long side 1280 (35 %), 1600 (35 %), 2048 (25 %) or 3264 px (5 %), portrait in 30 %. The Code 128
(178–354 modules) takes 45–80 % of the photo's width, that is 1.2–15 px a module; the QR code (21–45 modules) 12–35 %,
that is 2.6–54 px a module. All are softened by linear resampling. All but the clean ones: tilt of up to 0.06, turned by
up to ±3°, light falling off by up to 20 %, noise of sigma 2.5, JPEG quality 75–92; 25 % are stored sideways with the
EXIF tag that says so, 15 % lie sideways or upside down with nothing to say so. Clean ones are straight and evenly lit,
as JPEG, PNG or WEBP.

Distortions (:data:`DISTORTIONS`), one at a time or two and three at once:

* ``rotated``: by 5–30° either way.
* ``blurred``: Gaussian radius 0.8–2.0 px of the photo as sent.
* ``dark``: brightness 35–60 %, light falling off by up to 35 % across, noise of sigma 5.
* ``perspective``: 0.25–0.45 of scale lost from one side to the other, in any direction (a phone tilted by some 20–35°).
* ``covered``: a thumb over a corner of the photo (12–22 % of its width); in half of them also over the symbol: of a QR
  code the corner without a finder (2 % of the area at level L, 5 % at M, 8 % at Q: half of what can be mended, or
  less), of a Code 128 one end, over 25–50 % of the height of the bars.
* ``jpeg``: quality 40 with halved colour resolution.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tests.receipts.symbols import address, code128, dice, dossier_code, qr

DISTORTIONS = ("rotated", "blurred", "dark", "perspective", "covered", "jpeg")
SYMBOLOGIES = ("Code 128", "QR")
SET_SIZE = 300
CLEAN, SINGLE = 15, 78  # of the 150 of one symbology; the others are combined
_LINES = (
    "UBND XA DONG PHUOC - TRUNG TAM PHUC VU HANH CHINH CONG", "GIAY TIEP NHAN HO SO VA HEN TRA KET QUA",
    "Thanh phan ho so, yeu cau va so luong ho so can nop:", "1. To khai theo mau quy dinh (01 ban chinh)",
    "2. Giay to chung minh noi cu tru (xuat trinh)", "So luong ho so: 01 (bo)",
    "Thoi gian giai quyet theo quy dinh: 05 ngay lam viec", "Thoi gian nhan ho so: 08 gio 30 phut",
    "Du kien thoi gian tra ket qua: 16 gio 30 phut", "Dang ky nhan ket qua tai: Quay so 3",
    "Vao So theo doi ho so, Quyen so: 02  So thu tu: 117", "NGUOI NOP HO SO          NGUOI TIEP NHAN HO SO",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph and what is on it."""

    data: bytes
    code: str
    symbology: str
    distortions: tuple[str, ...]


@cache
def _line(number: int) -> Image.Image:
    """A line of text as a mask, 32 px high letters."""
    font = ImageFont.load_default(32)
    left, top, right, bottom = font.getbbox(_LINES[number])
    mask = Image.new("L", (int(right - left), int(bottom - top) + 6))
    ImageDraw.Draw(mask).text((-left, 3 - top), _LINES[number], fill=255, font=font)
    return mask


@cache
def _noise() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((1024, 1024)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _View:
    """How the camera sees the plane of the sheet: photo pixels → sheet pixels, both at the same scale in the middle."""

    matrix: np.ndarray
    width: int
    height: int

    def corners(self) -> np.ndarray:
        """Where on the sheet the corners of the photo lie."""
        w, h = self.width, self.height
        points = np.array([[0, 0, 1], [w, 0, 1], [w, h, 1], [0, h, 1]], dtype=float) @ self.matrix.T
        return points[:, :2] / points[:, 2:]

    def seen(self, points: np.ndarray) -> np.ndarray:
        """Where in the photo points of the sheet lie."""
        there = np.c_[points, np.ones(len(points))] @ np.linalg.inv(self.matrix).T
        return there[:, :2] / there[:, 2:]


def _view(rng: random.Random, size: tuple[int, int], tilt: float, turn: float, box: np.ndarray) -> _View:
    """A view with the whole of a box (4 points around the origin) in it, not always in the middle."""
    width, height = size
    way = rng.uniform(0, 2 * math.pi)
    a, b = tilt * math.cos(way) / width, tilt * math.sin(way) / width
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    centre = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    for attempt in range(30, -1, -1):
        reach = attempt / 30
        aim = rng.uniform(-0.35, 0.35) * width * reach, rng.uniform(-0.35, 0.35) * height * reach
        tilted = np.array([[cos, -sin, aim[0]], [sin, cos, aim[1]], [a, b, 1]])
        view = _View(tilted @ centre, width, height)
        seen = view.seen(box)
        if ((seen > 0.01 * width) & (seen < np.array([0.99 * width, height - 0.01 * width]))).all():
            break
    return view


def _sheet(rng: random.Random, view: _View, symbol: Image.Image, caption: str | None) -> tuple[Image.Image, np.ndarray]:
    """The part of the sheet that is in view, and where the origin (the middle of the symbol) lies in it."""
    corners = view.corners()
    low, high = np.floor(corners.min(0)) - 4, np.ceil(corners.max(0)) + 4
    limit = 1.3 * max(view.width, view.height)
    low, high = np.maximum(low, -limit).astype(int), np.minimum(high, limit).astype(int)
    table, paper, ink = rng.randrange(70, 150), rng.randrange(225, 251), rng.randrange(15, 60)
    sheet = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])), table)
    draw = ImageDraw.Draw(sheet)
    half_w, half_h = symbol.width / 2, symbol.height / 2
    # The symbol stands in the upper part of the sheet, left, in the middle or right.
    wide = max(2.2 * symbol.width, 0.9 * view.width)
    left = -half_w - 0.05 * wide - rng.choice((0, 0.5, 1)) * (0.9 * wide - symbol.width)
    letters = max(10, round(wide / rng.randrange(55, 75)))
    top = -half_h - letters * rng.uniform(4, 7)
    draw.rectangle((left - low[0], top - low[1], left + wide - low[0], top + 1.5 * wide - low[1]), fill=paper)
    quiet = 0.04 * view.width  # at least the ten modules of a Code 128, the four of a QR code
    y, number = top + letters, 0
    while y < high[1] - 2 * letters and y < top + 1.45 * wide:
        strip = _line(number % len(_LINES))
        strip = strip.resize((max(1, strip.width * letters // strip.height), letters), Image.Resampling.BILINEAR)
        x = left + 0.05 * wide + rng.uniform(0, 0.1) * wide
        clear = y + letters < -half_h - quiet or y > half_h + (2.5 * letters if caption else 0) + quiet
        beside = x > half_w + quiet or x + strip.width < -half_w - quiet
        if clear or beside:
            sheet.paste(ink, (round(x - low[0]), round(y - low[1])), strip)
        y, number = y + letters * rng.uniform(1.4, 2.2), number + 1
    ruled = top + 1.2 * wide - low[1]
    draw.line((left - low[0], ruled, left + wide - low[0], ruled), fill=ink, width=max(1, letters // 10))
    if caption:
        font = ImageFont.load_default(letters)
        draw.text((-low[0], half_h - low[1] + letters / 3), caption, fill=ink, font=font, anchor="ma")
    toned = symbol.point([round(ink + (paper - ink) * value / 255) for value in range(256)])
    sheet.paste(toned, (round(-half_w - low[0]), round(-half_h - low[1])))
    return sheet, -low.astype(float)


def _cover_symbol(
    rng: random.Random, sheet: Image.Image, origin: np.ndarray, size: tuple[int, int], share: float
) -> None:
    """A finger on the corner of a QR code that has no finder (share of its area), or on an end of a Code 128."""
    half = np.array(size) / 2
    draw = ImageDraw.Draw(sheet)
    skin = rng.randrange(120, 180)
    if share:
        side = 2 * math.sqrt(share) * half[0]
        corner = origin + half
        draw.rounded_rectangle((*(corner - side), *(corner + side * 2)), radius=side / 2, fill=skin)
    else:
        tall, wide = rng.uniform(0.25, 0.5) * size[1], rng.uniform(0.1, 0.3) * size[0]
        x0 = origin[0] + rng.choice((-half[0] - wide, half[0] - wide))
        y0 = origin[1] + (half[1] - tall if rng.random() < 0.5 else -half[1] - tall)
        draw.rounded_rectangle((x0, y0, x0 + 2 * wide, y0 + 2 * tall), radius=tall / 3, fill=skin)


def _cover_corner(rng: random.Random, photo: Image.Image, seen: np.ndarray) -> None:
    """A thumb over the corner of the photo that is farthest from the symbol."""
    width, height = photo.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    distances = np.linalg.norm(corners[:, None] - seen[None], axis=2).min(1)
    corner, distance = corners[distances.argmax()], distances.max()
    reach = min(rng.uniform(0.12, 0.22) * width, 0.8 * distance)
    ImageDraw.Draw(photo).ellipse((*(corner - reach), *(corner + reach)), fill=rng.randrange(120, 180))


def _lit(rng: random.Random, photo: Image.Image, brightness: float, fall: float, sigma: float) -> Image.Image:
    width, height = photo.size
    way = rng.uniform(0, 2 * math.pi)
    slope_x, slope_y = math.cos(way) / width, math.sin(way) / height
    light = slope_x * np.arange(width, dtype=np.float32)[None] + slope_y * np.arange(height, dtype=np.float32)[:, None]
    light -= light.min()
    light *= -brightness * fall / max(float(light.max()), 1e-6)
    light += brightness
    light *= np.asarray(photo)
    noise = np.roll(_noise(), rng.randrange(1024 * 1024)) * sigma
    for y in range(0, height, 1024):
        for x in range(0, width, 1024):
            part = light[y : y + 1024, x : x + 1024]
            part += noise[: part.shape[0], : part.shape[1]]
    return Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))


def _sent(rng: random.Random, photo: Image.Image, quality: int, kind: str) -> bytes:
    """The photo in colour as the file that the phone sends."""
    warm = [(1, 1, 1), (1, 0.97, 0.9), (0.93, 0.97, 1)][rng.randrange(3)]
    colour = Image.merge("RGB", [photo.point([round(v * share) for v in range(256)]) for share in warm])
    file = io.BytesIO()
    if kind == "PNG":
        colour.save(file, "PNG", compress_level=1)
    elif kind == "WEBP":
        colour.save(file, "WEBP", quality=quality, method=0)
    else:
        exif = Image.Exif()
        if kind == "turned":
            turn, tag = rng.choice((
                (Image.Transpose.ROTATE_90, 6), (Image.Transpose.ROTATE_180, 3), (Image.Transpose.ROTATE_270, 8),
            ))  # fmt: skip
            colour = colour.transpose(turn)
            exif[0x0112] = tag
        subsampling = 2 if quality < 75 else -1
        colour.save(file, "JPEG", quality=quality, subsampling=subsampling, exif=exif)
    return file.getvalue()


def photograph(
    rng: random.Random, symbol: Image.Image, distortions: tuple[str, ...] = (), *, caption: str | None = None,
    level: str = "m", clean: bool = False,
) -> bytes:  # fmt: skip
    """A photo of a sheet with a symbol on it.

    Args:
        rng: where every choice comes from.
        symbol: one pixel a module; a linear one is one row high.
        distortions: of :data:`DISTORTIONS`.
        caption: what stands under the symbol.
        level: error correction of a QR code.
        clean: straight, sharp, evenly lit.
    """
    linear = symbol.height == 1
    long = rng.choices((1280, 1600, 2048, 3264), (35, 35, 25, 5))[0]
    size = (long * 3 // 4, long) if rng.random() < 0.3 else (long, long * 3 // 4)
    wide = round(size[0] * (rng.uniform(0.45, 0.80) if linear else rng.uniform(0.12, 0.35)))
    tall = round(wide * rng.uniform(0.13, 0.25)) if linear else wide
    # Printed sharp, seen through the pixels of the camera: each pixel is the mean of what falls on it.
    fine = symbol.resize((symbol.width * 16, tall if linear else symbol.height * 16), Image.Resampling.NEAREST)
    printed = fine.resize((wide, tall), Image.Resampling.BOX)

    tilt = rng.uniform(0.25, 0.45) if "perspective" in distortions else 0 if clean else rng.uniform(0, 0.06)
    turn = 0 if clean else rng.uniform(-3, 3)
    if "rotated" in distortions:
        turn = rng.uniform(5, 30) * rng.choice((-1, 1))
    quiet = 0.03 * size[0]
    box = np.array([(-wide, -tall), (wide, -tall), (wide, tall), (-wide, tall)]) / 2 + np.array(
        [(-quiet, -quiet), (quiet, -quiet), (quiet, quiet), (-quiet, quiet)]
    )
    view = _view(rng, size, tilt, turn, box)
    sheet, origin = _sheet(rng, view, printed, caption)
    covered = "covered" in distortions
    if covered and rng.random() < 0.5:
        share = 0.0 if linear else {"l": 0.02, "m": 0.05, "q": 0.08}[level]
        _cover_symbol(rng, sheet, origin, (wide, tall), share)
    matrix = np.array([[1, 0, origin[0]], [0, 1, origin[1]], [0, 0, 1]]) @ view.matrix
    matrix /= matrix[2, 2]
    photo = sheet.transform(
        size, Image.Transform.PERSPECTIVE, tuple(matrix.flatten()[:8]), Image.Resampling.BILINEAR,
        fillcolor=sheet.getpixel((0, 0)),
    )  # fmt: skip
    if covered:
        _cover_corner(rng, photo, view.seen(box))
    if clean:
        return _sent(rng, photo, 92, rng.choice(("JPEG", "PNG", "WEBP")))
    if "blurred" in distortions:
        photo = photo.filter(ImageFilter.GaussianBlur(rng.uniform(0.8, 2.0)))
    if "dark" in distortions:
        photo = _lit(rng, photo, rng.uniform(0.35, 0.60), rng.uniform(0, 0.35), 5)
    else:
        photo = _lit(rng, photo, 1, rng.uniform(0, 0.20), 2.5)
    lying = rng.random()
    if lying < 0.15:
        turned = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
        photo = photo.transpose(rng.choice(turned))
    quality = 40 if "jpeg" in distortions else rng.randrange(75, 93)
    return _sent(rng, photo, quality, "turned" if 0.15 <= lying < 0.40 else "JPEG")


def photo_of(rng: random.Random, symbology: str, distortions: tuple[str, ...], *, clean: bool = False) -> Photo:
    """A photo of a receipt with an invented code."""
    code = dossier_code(rng)
    if symbology == "QR":
        level = rng.choice("lmq")
        symbol = qr(code if rng.random() < 0.5 else address(rng, code), level)
        data = photograph(rng, symbol, distortions, level=level, clean=clean)
    else:
        data = photograph(rng, code128(code), distortions, caption=code, clean=clean)
    return Photo(data, code, symbology, distortions)


def photos(seed: int, numbers: Iterable[int] = range(SET_SIZE)) -> Iterator[Photo]:
    """A seeded set, Code 128 and QR in turn: a tenth clean, half with one distortion, the others with two or three.

    Args:
        seed: of the set.
        numbers: which of its photos, each below :data:`SET_SIZE`.
    """
    for number in numbers:
        rng = dice(f"{seed}/{number}")
        place = number // 2
        if place < CLEAN:
            distortions: tuple[str, ...] = ()
        elif place < CLEAN + SINGLE:
            distortions = (DISTORTIONS[(place - CLEAN) % len(DISTORTIONS)],)
        else:
            picked = rng.sample(DISTORTIONS, 2 if rng.random() < 0.6 else 3)
            distortions = tuple(name for name in DISTORTIONS if name in picked)
        yield photo_of(rng, SYMBOLOGIES[number % 2], distortions, clean=place < CLEAN)
