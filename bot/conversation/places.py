"""Old place names → new ones since 1 July 2025, from the mapping that underthesea ships."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from bot.conversation.wording import T
from nlu.normalize import clean, fold

_UNIT = re.compile(r"\b(thi tran|xa|phuong|tt\.?|p\.)\s+(?=(\w+(?: +\w+){0,3}))")
_DISTRICT = re.compile(
    r"\b(?:huyen|quan)\s+([\w ]{2,30}?)(?=\s*(?:[,.?!()-]|$|\b(?:gio|nay|tinh|cu|thuoc|hau giang)\b))"
)
_PROVINCES = ("hau giang", "soc trang", "can tho")
_PROVINCE = re.compile(r"\b(?:tinh |tp\.? |thanh pho )?(hau giang|soc trang|can tho)\b")
# Tried where no district is named: underthesea finds an unaccented commune only with its district.
_DISTRICTS = ("chau thanh", "chau thanh a", "phung hiep", "vi thuy", "long my", "")
_UNITS = {"tt": "thi tran", "tt.": "thi tran", "p.": "phuong"}


@cache
def _converter() -> Callable[[str], Any]:
    """The address converter of underthesea (``convert_address``), loaded when first asked for.

    The package's own ``__init__`` imports every pipeline (60 MB more, none of it used here), so only
    its address part is loaded, below an empty parent, unless the package is there already.
    """
    spec = importlib.util.find_spec("underthesea")
    if spec is not None and "underthesea" not in sys.modules:
        sys.modules["underthesea"] = importlib.util.module_from_spec(spec)
    convert: Callable[[str], Any] = importlib.import_module("underthesea.address").convert_address
    return convert


@dataclass(frozen=True, slots=True)
class Found:
    """An old place that a text names.

    Attributes:
        old: as typed.
        new: what it is called now, with its province.
        divided: whether other parts of it went elsewhere.
    """

    old: str
    new: str
    divided: bool = False


def place_text(text: str) -> str | None:
    """What an old commune, ward, township or province named in a text is called now; None where none is read."""
    found = find_place(text)
    if found is None:
        return None
    return str(T["place_divided" if found.divided else "place_new"].format(old=found.old, new=found.new))


def find_place(text: str) -> Found | None:
    """The old commune, ward, township or province named in a text; None where none is read, or several are meant.

    A province may be left out: the three that became Cần Thơ are tried.
    """
    convert_address = _converter()
    cleaned = clean(text)
    folded = fold(cleaned)
    if len(folded) != len(cleaned):  # positions must agree to quote the name as typed
        cleaned = folded
    province = _PROVINCE.search(folded)
    named = _DISTRICT.search(folded)
    for match in _UNIT.finditer(folded):
        words = match[2].split()
        # The longest name that exists: "Tân Phú Thạnh" is not "Tân Phú".
        for length in range(len(words), 0, -1):
            name = " ".join([_UNITS.get(match[1], match[1]), *words[:length]])
            found = {}
            for candidate in [province[1]] if province else _PROVINCES:
                for district in [named[1].strip()] if named else _DISTRICTS:
                    parts = (name, f"huyen {district}" if district else None, candidate)
                    result = convert_address(", ".join(part for part in parts if part))
                    if result.status.value == "success" and result.mapping_type is not None:
                        found[result.converted] = result.mapping_type.value
            if len(found) > 1:
                return None  # several communes of that name: better ask than guess
            if found:
                new, kind = next(iter(found.items()))
                end = match.start(2) + len(" ".join(words[:length]))
                old = cleaned[match.start() : end].strip()
                return Found(old[:1].upper() + old[1:], new, divided=kind == "divided")
    if province is None:
        return None
    result = convert_address(province[1])
    old = cleaned[province.start() : province.end()].strip()
    return Found(old[:1].upper() + old[1:], result.converted) if result.converted else None
