"""What is read off photographed receipts: the code that is there, every code that is there, and nothing else."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bot.receipts import Problem, Reading, read_receipt
from tests.receipts.drawing import photo_of, photograph
from tests.receipts.measure import PARTS, TUNED, outcomes, table
from tests.receipts.symbols import code128, dice, dossier_code, ean13, qr

CODE = "H30.99.01-261116-0001"


def flat(symbol: Image.Image, module: int = 4, height: int = 120) -> Image.Image:
    """A symbol as a screenshot shows it, with white around it."""
    tall = height if symbol.height == 1 else symbol.height * module
    sharp = symbol.resize((symbol.width * module, tall), Image.Resampling.NEAREST)
    image = Image.new("L", (sharp.width + 20 * module, sharp.height + 20 * module), 255)
    image.paste(sharp, (10 * module, 10 * module))
    return image


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def page(*rows: tuple[Image.Image, ...]) -> bytes:
    """Symbols on one white sheet, row by row, left to right."""
    sheet = Image.new("L", (1500, 1100), 255)
    for number, row in enumerate(rows):
        for place, symbol in enumerate(row):
            sheet.paste(symbol, (20 + place * 740, 40 + number * 500))
    return saved(sheet)


@pytest.mark.parametrize("part", range(PARTS))
def test_of_the_300_photos_nine_in_ten_are_read_and_not_one_wrongly(part: int) -> None:
    results = list(outcomes(TUNED, part))
    assert len(results) == 60
    assert [one for one in results if one.wrong] == []
    assert sum(one.right for one in results) >= 0.9 * len(results), "\n" + table(results)
    assert sum(one.right for one in results if one.symbology == "Code 128") >= 25, "\n" + table(results)


@pytest.mark.parametrize("seed", range(6))
def test_a_photo_of_a_receipt_says_its_code(seed: int) -> None:
    photo = photo_of(dice(seed), ("Code 128", "QR")[seed % 2], ("rotated",))
    assert read_receipt(photo.data) == Reading((photo.code,))


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        CODE.lower(),
        f" {CODE}\n",
        f"https://motcua.example.vn/ho-so/{CODE}",
        f"https://motcua.example.vn/ho-so/{CODE}/",
        f"HTTPS://MOTCUA.EXAMPLE.VN/HO-SO/{CODE}",
        f"http://motcua.example.vn/tra-cuu?lang=vi&ma={CODE.lower()}#ket-qua",
        f"https://motcua.example.vn/tra-cuu?ma={CODE.replace('-', '%2D')}",
        f"https://motcua.example.vn/#/tra-cuu?ma={CODE}",
        f"https://motcua.example.vn/#/ho-so/{CODE}",
    ],
)
def test_a_qr_code_counts_with_the_code_alone_or_in_a_web_address(text: str) -> None:
    assert read_receipt(saved(flat(qr(text)))) == Reading((CODE,))


@pytest.mark.parametrize(
    "text",
    [
        "092203001234",  # an ID number, invented
        "092203001234|260000000|Người Thử|01012003|Nam|Xã Đông Phước|01012022",
        "https://motcua.example.vn/thu-tuc/1.001193",
        "https://motcua.example.vn/thu-tuc",
        "https://[motcua.example.vn/ho-so",
        f"Mã hồ sơ {CODE}",
        f"{CODE}|Người Thử",
        f"zalo://ho-so/{CODE}",
        f"https://motcua.example.vn/ho-so/{CODE}0000",
        f"https://{CODE}.example.vn/",
        "H30.99.01-261316-0001",  # no such month
        "03706/2026/07906",  # social insurance
        "1.001193",
        "WIFI:S:MotCua;T:WPA;P:khongco;;",
    ],
)
def test_a_qr_code_of_anything_else_does_not(text: str) -> None:
    assert read_receipt(saved(flat(qr(text)))) == Reading((), Problem.OTHER_CODE)


@pytest.mark.parametrize(
    "text", ["092203001234", "1.001193", "EB123456789VN", "H30.99.01-261316-0001", "H3099012611160001"]
)
def test_a_code_128_of_anything_else_does_not(text: str) -> None:
    assert read_receipt(saved(flat(code128(text)))) == Reading((), Problem.OTHER_CODE)


def test_a_web_address_in_a_code_128_does_not() -> None:
    symbol = flat(code128(f"https://motcua.example.vn/{CODE}"), module=2)
    assert read_receipt(saved(symbol)) == Reading((), Problem.OTHER_CODE)


@pytest.mark.parametrize("distortions", [(), ("rotated",), ("dark", "perspective")])
def test_the_barcode_of_a_product_is_not_taken_for_a_code(distortions: tuple[str, ...]) -> None:
    rng = dice(7)
    assert read_receipt(photograph(rng, ean13("8934567890120"), distortions)).codes == ()


def test_a_photo_without_a_barcode_has_none() -> None:
    blank = Image.new("L", (1, 1), 255)
    for seed in range(4):
        data = photograph(dice(seed), blank.resize((40, 40)), ("rotated",))
        assert read_receipt(data) == Reading((), Problem.UNREADABLE)


def test_all_codes_of_one_photo_are_told_from_top_to_bottom_and_left_to_right() -> None:
    rng = dice(11)
    codes = [dossier_code(rng) for _ in range(4)]
    symbols = [flat(qr(code), 6) for code in codes[:2]] + [flat(code128(code), 2) for code in codes[2:]]
    assert read_receipt(page((symbols[0], symbols[1]), (symbols[2], symbols[3]))).codes == tuple(codes)
    assert read_receipt(page((symbols[3],), (symbols[1], symbols[0]))).codes == (codes[3], codes[1], codes[0])


def test_of_a_picture_full_of_codes_ten_are_told() -> None:
    rng = dice(13)
    sheet = Image.new("L", (1200, 1200), 255)
    codes = [dossier_code(rng) for _ in range(16)]
    for number, code in enumerate(codes):
        sheet.paste(flat(qr(code), 5), (number % 4 * 300, number // 4 * 300))
    assert read_receipt(saved(sheet)).codes == tuple(codes[:10])


def test_a_code_that_stands_on_the_receipt_twice_is_told_once() -> None:
    assert read_receipt(page((flat(qr(CODE), 6),), (flat(code128(CODE), 2),))).codes == (CODE,)


def test_another_qr_code_beside_the_barcode_does_not_hide_it() -> None:
    data = page((flat(qr("https://motcua.example.vn/"), 6),), (flat(code128(CODE), 2),))
    assert read_receipt(data) == Reading((CODE,))


def test_codes_are_in_reading_order_of_the_photo_as_it_is_meant_to_be_seen() -> None:
    rng = dice(12)
    first, second = dossier_code(rng), dossier_code(rng)
    upright = Image.open(io.BytesIO(page((flat(qr(first), 6),), (flat(qr(second), 6),))))
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    stored = upright.transpose(Image.Transpose.ROTATE_180)
    assert read_receipt(saved(stored, "JPEG", exif=exif)).codes == (first, second)
    assert read_receipt(saved(stored, "JPEG")).codes == (second, first)


@pytest.mark.parametrize("degrees", range(0, 360, 24))
def test_a_code_128_is_read_at_any_angle(degrees: int) -> None:
    sheet = Image.new("L", (1200, 1200), 255)
    symbol = flat(code128(CODE), 3, 90)
    sheet.paste(symbol, (600 - symbol.width // 2, 600 - symbol.height // 2))
    data = saved(sheet.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255), "JPEG", quality=85)
    assert read_receipt(data) == Reading((CODE,))


@pytest.mark.parametrize(("module", "height"), [(1, 30), (1, 60), (2, 40), (8, 300)])
def test_a_screenshot_of_a_code_128_is_read_small_and_large(module: int, height: int) -> None:
    assert read_receipt(saved(flat(code128(CODE), module, height))) == Reading((CODE,))


def test_a_code_on_a_transparent_ground_is_read() -> None:
    black = Image.new("RGBA", (29 * 8, 29 * 8), (0, 0, 0, 0))
    symbol = flat(qr(CODE), 8)
    clear = Image.new("RGBA", symbol.size, (0, 0, 0, 0))
    clear.putalpha(symbol.point([255 - value for value in range(256)]))
    assert read_receipt(saved(clear)) == Reading((CODE,))
    assert read_receipt(saved(black)) == Reading((), Problem.UNREADABLE)
