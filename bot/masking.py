"""Personal data in what citizens write, found by form and covered, before an advisor makes an example of it. Pure.

Covered: phone numbers, numbers of papers and accounts, dossier codes and look-up codes, full dates and years of birth,
names, e-mail addresses and links, house numbers and streets, number plates. What covers them is ``***``, which the
engine does not read at all: "tôi tên ***, làm khai sinh" is learned as "tôi tên, làm khai sinh". Too much covered is
a small loss that the advisor can mend; a name without any sign of being one is what only they can see.

Codes of procedures, sums of money and numbers of laws are public and stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nlu.codes import find_codes, near_misses

COVER = "***"
ROUNDS = 8  # what is covered may bring two parts together that are something again
_W = r"[^\W\d_]"  # a letter
_GAP = r"[ \t]+"
_SEPARATORS = r"[ \t.,\-_/()]{0,3}"
_LONG = re.compile(rf"(?<![\w*])\+?\(?{_W}{{0,4}}[\dOolI]*\d(?:{_SEPARATORS}[\dOolI]){{4,}}(?:{_W}\b)?")
_PUBLIC = re.compile(
    r"(?<![\w.])[1-9]\s?\.\s?\d{6}(?!\d)|\d{1,4}/(?:19|20)\d\d/[A-ZĐ][\w-]+|\b20\d\d[-–/ ]+20\d\d\b"
    r"|\b(?:nghị định|nghi dinh|thông tư|thong tu|luật|luat|quyết định|quyet dinh|nđ|nd|tt|qđ|qd)(?: số| so)?"
    r" \d{1,4}/\d{2,4}\b"
    r"|(?<![\w.,])\d[\d.,]*[ \t]*(?:đồng|dong|đ|vnđ|vnd|nghìn|ngàn|ngan|triệu|trieu|tr|tỷ|ty|k|usd)\b",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]+ ?@ ?[\w-]+(?:\.[\w-]+)+|@\w{3,}", re.UNICODE)
_LINK = re.compile(
    r"(?:https?://|www\.)\S+|\b(?:facebook|fb|zalo|t|instagram|tiktok)\.(?:com|me|vn)/\S+", re.IGNORECASE
)
_DATE = re.compile(
    r"(?<![\w./-])\d{1,2}\s?[/.\-]\s?\d{1,2}\s?[/.\-]\s?(?:\d{4}|\d{2})(?!\w|[./-]\d)"
    r"|(?<![\w./-])(?:19|20)\d\d-\d\d?-\d\d?(?!\w|[./-]\d)"
    r"|\b(?:ngày|ngay) \d{1,2} (?:tháng|thang) \d{1,2} (?:năm|nam) \d{4}\b",
    re.IGNORECASE,
)
_BORN = re.compile(
    r"\b(?:(?:ngày|ngay) sinh|sinh (?:ngày|ngay)|sinh (?:năm|nam)|năm sinh|nam sinh|ns|sn|sinh)\s?(?:là|la|:)?\s?"
    r"(?P<it>\d{1,2}\s?[/.\-]\s?\d{1,2}(?:\s?[/.\-]\s?\d{2,4})?|(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"\b(?:mã (?:tra cứu|xác nhận|xác thực|otp|bí mật)|ma (?:tra cuu|xac nhan|xac thuc|otp)|otp|mật khẩu|mat khau"
    r"|pass(?:word)?|pin)\b(?: (?:của|cua) \w+)?\s*(?:là|la|:|=)?\s*(?P<it>(?=[\w-]*\d)[\w-]{3,32})",
    re.IGNORECASE,
)
_LOOKUP = re.compile(r"(?<![\w-])[A-Za-z]{2,4}-\d{3,6}(?![\w-])")
_PAPER = re.compile(r"(?<!\w)[A-Za-z]{1,2}\d{6,9}(?!\w)")
_PLATE = re.compile(
    r"(?<![\w.])\d{2}\s?-?\s?[A-Za-z]{1,2}\d?\s?[- .]\s?\d{3}[. ]?\d{2}(?!\d)|(?<![\w.])\d{2}[A-Za-z]\d?[- ]\d{4}(?!\d)"
)
_HOUSE = re.compile(
    r"\b(?:số nhà|so nha|nhà số|nha so|hẻm|hem|ngõ|ngách|kiệt|căn hộ|can ho|tổ dân phố|to dan pho|tổ|khu vực|khu phố|ấp"
    r"|thửa (?:đất )?số|thua (?:dat )?so|tờ bản đồ số)\s?(?:số |so )?(?P<it>\d[\w/.-]*)",
    re.IGNORECASE,
)
_NUMBERED_STREET = re.compile(
    rf"(?<![\w/])\d{{1,4}}{_W}?(?:/\d{{1,4}}{_W}?)*,?{_GAP}(?:đường{_GAP}|duong{_GAP})?"
    rf"(?P<cap>{_W}+(?:{_GAP}{_W}+){{1,3}})"
)
_STREET = re.compile(
    rf"\b(?:đường|Đường|phố|Phố|ngõ|hẻm|thôn|xóm|ấp|Ấp|khóm|buôn){_GAP}(?P<cap>{_W}+(?:{_GAP}{_W}+){{0,3}})"
)
_NUMBER_BEHIND = re.compile(r"[ \t]+\d{1,3}[A-Za-z]?\b")
_SURNAMES = """
    Nguyễn Trần Lê Phạm Huỳnh Hoàng Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương Lý Đinh Trương Đoàn Lâm Mai Tô Trịnh Đào Cao
    Lương Lưu Tạ Thạch Sơn Danh Kim Châu Quách Tăng Hà Phùng Vương Triệu Thái Từ Tống Nghiêm
    Nguyen Tran Pham Huynh Hoang""".split()
_FULL_NAME = re.compile(rf"\b(?:{'|'.join(_SURNAMES)})(?:{_GAP}{_W}+){{1,4}}")
_SHOUTED = re.compile(rf"\b(?:{'|'.join(_SURNAMES).upper()})(?:{_GAP}{_W}+){{1,4}}")
_SMALL_NAME = re.compile(
    r"\b(?:nguyễn|trần|phạm|huỳnh|hoàng|đặng|ngô|trương|đinh|dương|bùi|đỗ|võ|vũ|lê|hồ|nguyen|tran|pham|huynh|hoang)"
    rf"{_GAP}(?:văn|thị|van|thi){_GAP}{_W}+(?:{_GAP}{_W}{{2,6}}\b)?",
    re.IGNORECASE,
)
_CUE = re.compile(
    r"\b(?:(?:tôi|toi|em|mình|minh|tui|con|cháu|chau|anh|chị|chi|ông|bà|vợ|chồng|bố|mẹ|ba|má|bé|cha|nó)"
    r" (?:tên|ten)(?: (?:là|la))?"
    r"|(?:tên|ten) (?:tôi|toi|em|mình|minh|tui|con|cháu|chau|chồng|chong|vợ|vo|bố|bo|mẹ|me|cha|bé|be) (?:là|la)"
    r"|(?:tên|ten) (?:là|la)|(?:họ|ho) (?:và tên|va ten|tên|ten) ?(?:là|la|:))\s*:?\s+"
    rf"(?P<it>{_W}+(?:{_GAP}{_W}+){{0,4}})",
    re.IGNORECASE,
)
_NAMED = re.compile(rf"\b[Tt]ên(?:{_GAP}là)?:?{_GAP}(?P<cap>{_W}+(?:{_GAP}{_W}+){{0,3}})")
_TITLED = re.compile(
    rf"\b(?:ông|bà|Ông|Bà|anh|chị|Anh|Chị|chú|bác|cô|cán bộ){_GAP}(?P<cap>{_W}+(?:{_GAP}{_W}+){{0,3}})"
)
_DIGIT = (
    "không|khong|một|mot|mốt|hai|ba|bốn|bon|tư|tu|năm|nam|lăm|lam|sáu|sau|bảy|bay|tám|tam|chín|chin|linh|lẻ"  # spelled
)
_SPELLED = re.compile(rf"\b(?:(?:{_DIGIT})[ ,.]+){{7,}}(?:{_DIGIT})\b", re.IGNORECASE)
# Words that end a name written without capitals, and what is no name though it has capitals.
_ENDS = frozenset(
    """
    ở o muốn muon cần can làm lam xin hỏi hoi sinh có co là la đang dang thì thi và va bị bi số so cccd cmnd sđt
    sdt nhà nha tại tai tổ to ấp đi di đến den cho được duoc không khong chưa chua rồi roi với voi bên ben khi để
    de của cua quê que năm nam ngày ngay đăng xã phường thôn mà ma nhưng nên nay giờ gio mới moi gì gi nào nao này
    đã sẽ vẫn còn như thế trên trong theo giấy giay sổ thủ tờ thường thuong gọi goi cũ cu kia ai người nguoi hồ
    khai con tôi toi em mình minh cháu anh chị ạ a nhé
    """.split()
)
_NO_NAME = re.compile(
    r"(?:Hồ Chí Minh|Ho Chi Minh|Việt (?:kiều|Nam)|Viet Nam|Cần Thơ|Hà (?:Nội|Giang|Tĩnh|Nam|Tiên|Lan|Đông)|Ha Noi"
    r"|Sơn (?:La|Tây)|Thái (?:Bình|Nguyên|Lan)|Lâm Đồng|Cao (?:Bằng|Đài|Lãnh|tuổi)|Châu Thành|Kim Sơn"
    r"|Phan (?:Lan|Thiết|Rang)|Từ (?:Dũ|Sơn|Liêm)|Lê Bình|Lý Sơn|Vũng Tàu|Mai Châu|Trung Quốc|Đài Loan|Hàn Quốc"
    r"|Nhật Bản|Phần Lan|Na Uy|Campuchia|Khmer|Tây|Nhật|Pháp|Úc|Lào|Việt kiều"
    r"|Hai|Ba|Tư|Năm|Sáu|Bảy|Tám|Chín|Mười|Út|Cả|Nội|Ngoại|UBND)(?!\w)(?P<more>(?:[ \t]+[^\W\d_]+)*)"
)


def _is_name(words: str) -> bool:
    """Whether words with capitals may be somebody's name: not a place, a people, or a place among brothers alone."""
    match = _NO_NAME.match(words)
    return match is None or len(match["more"].split()) > 1


@dataclass(frozen=True, slots=True)
class Masked:
    """A text with personal data covered.

    Attributes:
        text: with ``***`` in their place.
        found: kinds of what was covered, keys of ``kinds`` in bot/texts/review.yml, each once.
    """

    text: str
    found: tuple[str, ...]


def mask(text: str) -> Masked:
    """Covers all that looks personal; to do it again changes nothing."""
    text = unicodedata.normalize("NFC", text)
    kinds: dict[str, None] = {}
    for _ in range(ROUNDS):
        before = text
        for kind, spans in _RULES:
            for start, end in sorted(spans(text), reverse=True):
                text = text[:start] + COVER + text[end:]
                kinds[kind] = None
        if find_codes(text) or near_misses(text):
            # Written in a way that only the reader of codes sees through: all its figures go.
            text = re.sub(r"\S*\d\S*", COVER, text)
            kinds["code"] = None
        if text == before:
            break
    return Masked(text, tuple(kinds))


def looks_personal(text: str) -> tuple[str, ...]:
    """The kinds of personal data that can still be seen in a text, () where none can."""
    return mask(text).found


# --- rules: a text → spans to cover ---------------------------------------------------------------------------------

Spans = Iterator[tuple[int, int]]


def _all(pattern: re.Pattern[str], group: str | int = 0) -> Callable[[str], Spans]:
    def spans(text: str) -> Spans:
        for match in pattern.finditer(text):
            yield match.span(group)

    return spans


def _numbers(text: str) -> Spans:
    """Runs of at least six figures, however written, that are neither money nor public numbers."""
    for match in _LONG.finditer(_PUBLIC.sub(lambda public: "¤" * len(public[0]), text)):
        if sum(character in "0123456789OolI" for character in match[0]) >= 6:
            yield match.span()


def _capital(words: str) -> int:
    """How many characters from the start are words beginning with a capital; a word all in capitals tells nothing."""
    end = 0
    for match in re.finditer(rf"{_W}+", words):
        if not match[0][0].isupper() or (len(match[0]) > 2 and match[0].isupper()):
            break
        end = match.end()
    return end


def _capitals(pattern: re.Pattern[str], *, numbered: bool = False) -> Callable[[str], Spans]:
    """Names after a cue: as many words with a capital as follow, and where ``numbered`` the number behind them."""

    def spans(text: str) -> Spans:
        for match in pattern.finditer(text):
            start = match.start("cap")
            end = _capital(match["cap"])
            found = match["cap"][:end]
            if end and _is_name(found):
                number = _NUMBER_BEHIND.match(text, start + end) if numbered else None
                yield start, number.end() if number else start + end

    return spans


def _numbered_street(text: str) -> Spans:
    for match in _NUMBERED_STREET.finditer(text):
        end = _capital(match["cap"])
        if len(match["cap"][:end].split()) >= 2:
            yield match.start(), match.start("cap") + end


def _full_names(text: str) -> Spans:
    at = 0
    while match := _FULL_NAME.search(text, at):
        end = _capital(match[0])
        found = match[0][:end]
        at = match.start() + max(end, 1)
        if len(found.split()) >= 2 and _is_name(found):
            yield match.start(), match.start() + end


def _shouted_names(text: str) -> Spans:
    """Names in capitals throughout; in a text that is all in capitals nobody can tell."""
    if text == text.upper():
        return
    for match in _SHOUTED.finditer(text):
        words = list(re.finditer(rf"{_W}+", match[0]))
        upper = next((n for n, word in enumerate(words) if not word[0].isupper()), len(words))
        if upper >= 2:
            yield match.start(), match.start() + words[upper - 1].end()


def _small_names(text: str) -> Spans:
    for match in _SMALL_NAME.finditer(text):
        words = match[0].split()
        if words[2].lower() in _ENDS and words[2].lower() == words[2]:
            continue
        keep = 4 if len(words) > 3 and words[3].lower() not in _ENDS else 3
        spans = [word.end() for word in re.finditer(rf"{_W}+", match[0])]
        yield match.start(), match.start() + spans[keep - 1]


def _after_cue(text: str) -> Spans:
    """The name after "tôi tên là": up to four words, as far as none of them begins another thought."""
    for match in _CUE.finditer(text):
        end = taken = 0
        for word in re.finditer(rf"{_W}+", match["it"]):
            small = word[0] == word[0].lower()
            if taken == 4 or (small and word[0] in _ENDS):
                break
            taken, end = taken + 1, word.end()
        if end:
            yield match.start("it"), match.start("it") + end


_RULES: tuple[tuple[str, Callable[[str], Spans]], ...] = (
    ("mail", _all(_MAIL)),
    ("link", _all(_LINK)),
    ("secret", _all(_SECRET, "it")),
    ("born", _all(_BORN, "it")),
    ("date", _all(_DATE)),
    ("plate", _all(_PLATE)),
    ("number", _numbers),
    ("number", _all(_PAPER)),
    ("number", _all(_SPELLED)),
    ("code", _all(_LOOKUP)),
    ("address", _all(_HOUSE, "it")),
    ("address", _numbered_street),
    ("name", _after_cue),
    ("name", _full_names),
    ("name", _shouted_names),
    ("name", _small_names),
    ("name", _capitals(_NAMED)),
    ("name", _capitals(_TITLED)),
    ("address", _capitals(_STREET, numbered=True)),
)
