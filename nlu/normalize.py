"""From what was typed to folded words: cleaning, folding, teencode, telex and spelling slips.

People leave out diacritics, so everything is matched on folded text (NFD, marks
dropped, đ→d); accents stay as extra evidence only where they decide (``hông``).
Work is bounded: at most ``MAX_CHARS`` characters of a message are read, its start
and its end, because the request comes last in long stories.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

MAX_CHARS = 2000
MAX_WORDS = 220
_HIDDEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufe00-\ufe0f\U000e0000-\U000e007f]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_FULL_WIDTH = re.compile("[！-ｚ]")
_MARKS = re.compile("([\u0300-\u036f]{3})[\u0300-\u036f]+")
_WORD = re.compile(r"[^\W_]+(?:[.,][^\W_]+)*", re.UNICODE)
_VOWEL = re.compile(r"[aeiouy]")
_DOUBLE = re.compile(r"([a-z])\1")
_REPEAT = re.compile(r"([^\W\d_])\1{2,}")

# A folded Vietnamese syllable: onset, rhyme, coda. Used to see that a word needs repair.
_SYLLABLE = re.compile(
    r"(?:ngh|ng|nh|th|tr|ch|kh|ph|gh|gi|qu|[bcdghklmnprstvx])?"
    r"(?:uye|uya|uyu|ieu|yeu|uoi|uou|oai|oay|oeo|uay|uya|"
    r"ia|ie|iu|ya|ye|ua|uo|uu|ui|ue|uy|oa|oe|oi|oo|ai|ao|au|ay|eo|eu|ya|oc|[aeiouy])"
    r"(?:ch|ng|nh|[cmnpt])?"
)

# Chat spelling → the folded words meant. Only what is unambiguous in an office's inbox.
TEENCODE: dict[str, str] = {
    "k": "khong", "ko": "khong", "kg": "khong", "khg": "khong", "hk": "khong", "hok": "khong", "hem": "khong",
    "hog": "khong", "kh": "khong", "khong": "khong", "hokg": "khong", "kp": "khong phai", "k0": "khong",
    "dc": "duoc", "dx": "duoc", "dk": "dang ky", "dki": "dang ky", "dky": "dang ky", "dkí": "dang ky",
    "dkkh": "dang ky ket hon", "dkks": "dang ky khai sinh", "dktt": "dang ky thuong tru", "ddky": "dang ky",
    "gks": "giay khai sinh", "gcn": "giay chung nhan", "gpxd": "giay phep xay dung", "hkd": "ho kinh doanh",
    "hktt": "ho khau thuong tru", "xntthn": "xac nhan tinh trang hon nhan", "tthn": "tinh trang hon nhan",
    "bn": "bao nhieu", "bnhieu": "bao nhieu", "bnhiu": "bao nhieu", "bnh": "bao nhieu", "bhieu": "bao nhieu",
    "nhiu": "nhieu", "nhju": "nhieu", "nhieeu": "nhieu", "bnn": "bao nhieu", "bn.": "bao nhieu",
    "j": "gi", "gj": "gi", "ji": "gi", "z": "vay", "zay": "vay", "zậy": "vay", "zi": "vay", "zị": "vay",
    "v": "vay", "dzay": "vay", "dzị": "vay", "rứa": "vay", "ntn": "nhu the nao", "nhtn": "nhu the nao",
    "lm": "lam", "lms": "lam sao", "ls": "lam sao", "lsao": "lam sao", "nao": "nao", "s": "sao",
    "cx": "cung", "vs": "voi", "voi": "voi", "ms": "moi", "mk": "minh", "mik": "minh", "mn": "moi nguoi",
    "ng": "nguoi", "ngta": "nguoi ta", "nk": "nhung", "ntnao": "nhu the nao",
    "bit": "biet", "bik": "biet", "bt": "biet", "r": "roi", "ròi": "roi", "oy": "roi",
    "thui": "thoi", "hum": "hom", "mún": "muon", "mun": "muon", "wa": "qua", "wá": "qua", "wê": "que",
    "ad": "ad", "adm": "ad", "admin": "ad", "sh": "so hong", "sd": "so do", "tg": "thoi gian",
    "gt": "giay to", "gtờ": "giay to", "hs": "ho so", "hso": "ho so", "tt": "thu tuc", "ttuc": "thu tuc",
    "lpi": "le phi", "cmt": "cmnd", "cmtnd": "cmnd", "cc": "can cuoc", "cancuoc": "can cuoc", "ccd": "cccd",
    "vned": "vneid", "vnid": "vneid", "dvc": "dich vu cong", "dvcqg": "dich vu cong quoc gia",
    "bhyte": "bhyt", "bhxahoi": "bhxh", "onl": "online", "ol": "online", "dt": "dien thoai", "sdt": "so dien thoai",
    "dthoai": "dien thoai", "dchi": "dia chi", "đc": "duoc", "đk": "dang ky", "nhìu": "nhieu", "iu": "yeu",
    "tke": "the", "mng": "moi nguoi", "vk": "vo", "ck": "chong", "ny": "nguoi yeu", "ngay": "ngay", "h": "gio",
    "sn": "sinh nhat", "xl": "xin loi", "thk": "thang", "hnay": "hom nay", "hqua": "hom qua", "ngmai": "ngay mai",
    "cty": "cong ty", "gd": "gia dinh", "gđ": "gia dinh", "ubnd": "ubnd", "ub": "ubnd", "xd": "xay dung",
    "kd": "kinh doanh", "qsdđ": "quyen su dung dat", "qsdd": "quyen su dung dat", "gcnqsdd": "so do",
    "passport": "ho chieu", "pass": "ho chieu",
}  # fmt: skip

# Southern and everyday words → the word that records and most examples use (folded).
DIALECT: dict[str, str] = {
    "tui": "toi", "mih": "minh", "sanh": "sinh", "hổng": "khong", "hông": "khong", "hỏng": "hong", "hem": "khong",
    "mần": "lam", "bển": "ben do", "dzề": "ve", "zề": "ve", "dìa": "ve", "bả": "ba ay", "ổng": "ong ay",
    "nghen": "nhe", "nghe": "nghe", "nha": "nhe", "hen": "nhe", "dùm": "giup", "giùm": "giup", "dum": "giup",
    "gium": "giup", "bi": "bay", "chừng": "khoang", "kiếng": "kinh", "đặng": "de", "mắc": "mac", "hun": "hon",
    "lộn": "sai", "trật": "sai", "bịnh": "benh", "benh": "benh", "nhơn": "nhan", "chánh": "chinh", "hột": "hat",
    "dợ": "vo", "chưn": "chan", "hôn": "hon", "cưới": "cuoi", "tía": "cha", "thầy": "thay",
    "kêu": "goi", "biểu": "bao", "chi": "chi", "dzậy": "vay", "vầy": "vay", "zầy": "vay", "hả": "ha", "hở": "ha",
    "dzị": "vay", "dụ": "viec", "nầy": "nay", "mè": "ma", "zô": "vao", "dô": "vao", "vô": "vao",
}  # fmt: skip
_FOLDED_DIALECT = {"tui": "toi", "sanh": "sinh", "dum": "giup", "gium": "giup", "nghen": "nhe", "binh": "binh"}


def clean(text: str) -> str:
    """NFC text without control, zero-width and bidi characters, at most ``MAX_CHARS`` long.

    Of longer texts the first fifth and the end are kept.
    """
    if len(text) > MAX_CHARS * 4:
        text = text[: MAX_CHARS * 2] + " " + text[-MAX_CHARS * 2 :]
    text = _MARKS.sub(r"\1", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC" if _FULL_WIDTH.search(text) else "NFC", text)
    text = _CONTROL.sub(" ", _HIDDEN.sub("", text))
    if len(text) > MAX_CHARS:
        head = MAX_CHARS // 5
        text = text[:head] + " " + text[head - MAX_CHARS + 1 :]
    return text


def fold(text: str) -> str:
    """Lower case without diacritics: ``Đăng ký`` → ``dang ky``. Idempotent."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    lowered = unicodedata.normalize("NFD", lowered).replace("đ", "d").replace("ð", "d")
    return unicodedata.normalize("NFC", "".join(c for c in lowered if not unicodedata.combining(c)))


@lru_cache(maxsize=8192)
def is_syllable(word: str) -> bool:
    """Whether a folded word has the form of a Vietnamese syllable."""
    return _SYLLABLE.fullmatch(word) is not None


def _untelex(word: str) -> str | None:
    """Telex left-overs (``ddang``, ``kyf``, ``giaays``) undone; None where that gives no syllable."""
    bare = re.sub(r"([daeo])\1", r"\1", word)
    bare = re.sub(r"(?<=[aou])w", "", bare)
    for candidate in (bare, re.sub(r"[sfrxj]$", "", bare), re.sub(r"(?<=[aeiouy])[sfrxjw]", "", bare)):
        if candidate != word and len(candidate) > 1 and is_syllable(candidate):
            return candidate
    return None


# Words of other languages that are right as they are.
_LOAN = frozenset(
    """gas photo oto moto visa teen adn atm iii ii online web app shop email gmail zalo facebook file scan pdf vneid
    wifi taxi karaoke internet video game spa cafe container camera sim smart chip form link ok okie hotel homestay
    house birth copy cert card test covid hiv aids gps usb usa uk""".split()
)


def _unslipped(word: str) -> str | None:
    """A slip of the finger undone: a letter twice, two letters swapped, an ``n`` left out; None where none helps."""
    doubled = _DOUBLE.sub(r"\1", word)
    swapped = [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)]
    missing = [word[:i] + "n" + word[i:] for i in range(len(word), 1, -1)]
    for candidate in (doubled, *swapped[::-1], *missing):
        if candidate != word and len(candidate) > 2 and is_syllable(candidate):
            return candidate
    return None


@lru_cache(maxsize=16384)
def words_of(raw: str) -> tuple[str, ...]:
    """One typed word (any accents) → the folded words meant: ``đc`` → ``duoc``, ``ddang`` → ``dang``."""
    low = raw.lower()
    for table in (TEENCODE, DIALECT):
        if low in table:
            return tuple(table[low].split())
    word = fold(low)
    if word not in _LOAN and _VOWEL.search(word):
        word = _REPEAT.sub(r"\1", word)
    if word in TEENCODE and (low == word or word not in {"k", "s", "v", "r", "z", "dc", "dk", "h"}):
        return tuple(TEENCODE[word].split())
    if low == word and word in _FOLDED_DIALECT:
        return tuple(_FOLDED_DIALECT[word].split())
    if word.isalpha() and word not in _LOAN and not is_syllable(word) and _VOWEL.search(word):
        repaired = _untelex(word) or _unslipped(word)
        if repaired:
            return (repaired,)
    return (word,)


_ONSET = (
    ("ngh", "g"), ("ng", "g"), ("gh", "q"), ("tr", "c"), ("ch", "c"), ("kh", "k"), ("ph", "f"), ("qu", "w"),
    ("gi", "z"), ("th", "t"), ("nh", "h"), ("x", "s"), ("s", "s"), ("d", "z"), ("r", "z"), ("v", "z"),
    ("l", "n"), ("n", "n"), ("k", "x"), ("c", "x"), ("g", "q"), ("h", "j"), ("t", "v"),
)  # fmt: skip


@lru_cache(maxsize=16384)
def sound(word: str) -> str:
    """A key that words sounding alike share: s/x, tr/ch, d/gi/r/v, l/n, n/ng, t/c, i/y."""
    if not word.isalpha() or not is_syllable(word):
        return word
    key = word
    for onset, mark in _ONSET:
        if key.startswith(onset) and (len(key) > len(onset) or onset == "gi"):
            key = mark + (key[len(onset) :] or "i")
            break
    key = key.replace("y", "i")
    return re.sub(r"(?:ng|nh|n)$", "n", re.sub(r"(?:ch|c|t)$", "t", key))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message made ready.

    Attributes:
        text: cleaned text, accents kept.
        folded: folded text with teencode and dialect resolved, words separated by one space.
        words: the folded words, at most ``MAX_WORDS``.
        accented: share of words typed with diacritics, 0–1.
    """

    text: str
    folded: str
    words: tuple[str, ...]
    accented: float


@lru_cache(maxsize=256)
def prepare(text: str) -> Prepared:
    """Cleans, folds and repairs one message (pure, bounded work); each part of a turn asks for it anew."""
    cleaned = clean(text)
    raw = _WORD.findall(cleaned)
    if len(raw) > MAX_WORDS:
        raw = raw[: MAX_WORDS // 5] + raw[-(MAX_WORDS - MAX_WORDS // 5) :]
    accented = sum(not word.isascii() for word in raw) / len(raw) if raw else 0.0
    words: list[str] = []
    for word in raw:
        words.extend(words_of(word))
    return Prepared(cleaned, " ".join(words), tuple(words), accented)


@lru_cache(maxsize=32768)
def folded_words(text: str) -> tuple[str, ...]:
    """The words of ``prepare``, remembered: training reads each of its sentences several times."""
    return prepare(text).words
