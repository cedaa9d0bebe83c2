"""Finds the bars of a linear barcode at any angle and lays them straight.

A scan line must cross every bar: zxing-cpp tries 0° and 90° only and so reads a Code 128 up to some 8° off. Among bars
all edges run one way, in text they run all ways. The structure tensor says so block by block; neighbouring blocks of
the same direction are one barcode. Laid straight, its rows can be averaged along the bars, which takes the noise away
without blurring an edge, and sharpened across them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

BLOCK = 16  # pixels of the working size
MAX_REGIONS = 3
MIN_BLOCKS = 8
_ONE_WAY = 0.7  # how far the edges of a block run one way (0–1)
_ONE_SIGN = 0.6  # how far the edges around a block all go from dark to light (0–1): the sheet's own edge
_STRENGTH = 0.1  # of the block's edges, against the strong ones of the photo
_BEND = 0.2  # radians from one block to a neighbour: perspective, not another thing
_WIDTH = 1400  # pixels of a barcode laid straight: 4–7 a module
_ROWS = 120  # of a barcode laid straight, at most

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Region:
    """Where bars are: a rectangle turned by ``angle``, in pixels of the image that was searched.

    Attributes:
        angle: of the direction across the bars, radians.
        across: from where to where along that direction.
        along: from where to where along the bars.
    """

    angle: float
    across: tuple[float, float]
    along: tuple[float, float]

    @property
    def wider_than_tall(self) -> bool:
        """Whether it is longer across the bars than along them."""
        return self.across[1] - self.across[0] > self.along[1] - self.along[0]

    @property
    def centre(self) -> tuple[float, float]:
        """The x and the y of its middle."""
        u, v = sum(self.across) / 2, sum(self.along) / 2
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return u * cos - v * sin, u * sin + v * cos


def _blocks(values: Floats) -> Floats:
    """The sum over each block, of values at every second pixel."""
    side = BLOCK // 2
    rows, columns = values.shape[0] // side, values.shape[1] // side
    sums: Floats = values.reshape(rows, side, columns, side).sum(axis=(1, 3))
    return sums


def _around(values: Floats) -> Floats:
    """The sum over each block and the eight around it."""
    padded = np.pad(values, 1)
    rows, columns = values.shape
    sums: Floats = np.sum([padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)], axis=0)
    return sums


def _groups(good: NDArray[np.bool_], angles: Floats) -> Iterator[list[tuple[int, int]]]:
    """Blocks that touch, or nearly so, and whose edges run the same way."""
    free = {(int(y), int(x)) for y, x in zip(*np.nonzero(good), strict=True)}
    near = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    while free:
        group = [free.pop()]
        for y, x in group:
            for there in ((y + dy, x + dx) for dy, dx in near):
                if there in free and abs(math.remainder(angles[there] - angles[y, x], math.pi)) < _BEND:
                    free.remove(there)
                    group.append(there)
        if len(group) >= MIN_BLOCKS:
            yield group


def find_bars(image: Image.Image) -> list[Region]:
    """The places that look most like a linear barcode, best first, at most :data:`MAX_REGIONS`.

    Args:
        image: grey, each side 24 pixels at least.
    """
    grey = np.asarray(image, dtype=np.float32)
    height, width = (grey.shape[0] - 2) // BLOCK * BLOCK, (grey.shape[1] - 2) // BLOCK * BLOCK
    # Every second pixel of every second row will do for what is summed over a block.
    dx = grey[1 : height + 1 : 2, 2 : width + 2 : 2] - grey[1 : height + 1 : 2, :width:2]
    dy = grey[2 : height + 2 : 2, 1 : width + 1 : 2] - grey[:height:2, 1 : width + 1 : 2]
    xx, yy, xy = _blocks(dx * dx), _blocks(dy * dy), _blocks(dx * dy)
    net = np.hypot(_around(_blocks(dx)), _around(_blocks(dy)))
    one_sign = net / (_around(_blocks(np.hypot(dx, dy))) + 1)
    energy = xx + yy
    angles = 0.5 * np.arctan2(2 * xy, xx - yy)
    one_way = np.hypot(xx - yy, 2 * xy) / (energy + 1)
    good = (one_way > _ONE_WAY) & (one_sign < _ONE_SIGN) & (energy > _STRENGTH * np.percentile(energy, 98))
    found: list[tuple[float, Region]] = []
    for group in _groups(good, angles):
        ys, xs = np.array(group).T
        angle = 0.5 * math.atan2(2 * xy[ys, xs].sum(), (xx - yy)[ys, xs].sum())
        cos, sin = math.cos(angle), math.sin(angle)
        u, v = (xs * cos + ys * sin) * BLOCK, (ys * cos - xs * sin) * BLOCK
        # A block's place is its corner; the outermost bars may lie in blocks that are mostly white.
        region = Region(
            angle, (float(u.min()) - BLOCK, float(u.max()) + 2 * BLOCK), (float(v.min()), float(v.max()) + BLOCK)
        )
        if region.wider_than_tall:  # a column of text or a line of a table is not
            found.append((float(energy[ys, xs].sum()), region))
    return [region for _, region in sorted(found, key=lambda pair: -pair[0])[:MAX_REGIONS]]


def straightened(image: Image.Image, region: Region, scale: float) -> Image.Image:
    """The bars upright, with what is beside them, 1400 pixels wide and at most 120 high.

    Args:
        image: grey; it may be larger than the one that was searched.
        region: from :func:`find_bars`.
        scale: how much larger it is.
    """
    (left, right), (top, bottom) = region.across, region.along
    quiet = 0.06 * (right - left) + BLOCK / 2  # the ten modules that a reader wants on either side
    left, right, top, bottom = (value * scale for value in (left - quiet, right + quiet, top, bottom))
    size = (_WIDTH, max(8, min(_ROWS, int(bottom - top))))
    step, fall = (right - left) / size[0], (bottom - top) / size[1]
    cos, sin = math.cos(region.angle), math.sin(region.angle)
    matrix = (cos * step, -sin * fall, left * cos - top * sin, sin * step, cos * fall, left * sin + top * cos)
    return image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=200)


def averaged(bars: Image.Image, rows: int, width: int = _WIDTH) -> Image.Image:
    """Each ``rows`` rows of upright bars as one, at another width if wanted."""
    return bars.resize((width, max(3, bars.height // rows)), Image.Resampling.BOX)


def sharpened(bars: Image.Image, radius: int, gain: float) -> Image.Image:
    """Upright bars with the difference to their blurred selves added, across the bars only.

    Args:
        bars: from :func:`averaged`.
        radius: of the blur, pixels.
        gain: how many times the difference is added.
    """
    if not gain:
        return bars
    blur = ImageFilter.BoxBlur((radius, 0))
    values = np.asarray(bars, dtype=np.float32)
    blurred = np.asarray(bars.filter(blur).filter(blur), dtype=np.float32)
    return Image.fromarray(np.clip(values + gain * (values - blurred), 0, 255).astype(np.uint8))
