"""The offices of one deployment: which one a dossier's code or a place name means, and what they have in common. Pure.

A commune alone has one office; then every question here has that one answer and nothing is ever asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bot.catalog.loading import LOCAL_DIR, CatalogError, Fault
from bot.catalog.office import Office, Province, load_office
from bot.texts import phrases
from nlu.codes import agency_of
from nlu.normalize import fold

_T = phrases("answers")
_UNIT = re.compile(r"^(?:xa|phuong|thi tran|dac khu)\s+")
_WORD = re.compile(r"[\w']+")
_LONGEST = 6  # words of a place's name


@dataclass(frozen=True)
class Offices:
    """The offices and their provinces, as the files have them.

    Attributes:
        profiles: slug → office and province; the first is the default. Empty for a lone desk without a slug (tests,
            the terminal), which is one office too.
    """

    profiles: Mapping[str, tuple[Office, Province]] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether there is a choice at all."""
        return len(self.profiles) > 1

    @property
    def slugs(self) -> tuple[str, ...]:
        """All slugs, in order."""
        return tuple(self.profiles)

    @property
    def only(self) -> str | None:
        """The slug where there is one office alone, else None."""
        return next(iter(self.profiles)) if len(self.profiles) == 1 else None

    def known(self, slug: str | None) -> str | None:
        """The slug, None for one that is not (any more) among the offices."""
        return slug if slug in self.profiles else None

    def name(self, slug: str) -> str:
        """What citizens and staff call the place of an office: "xã Châu Thành"; the slug where it is not known."""
        found = self.profiles.get(slug)
        return found[0].commune if found else slug

    def agencies(self, slug: str) -> tuple[str, ...]:
        """The agency parts of an office's dossier codes; none for an office that is not known."""
        found = self.profiles.get(slug)
        return found[0].codes if found else ()

    def of_code(self, code: str) -> str | None:
        """The office that a canonical dossier code belongs to, None where its agency part is nobody's here."""
        return self._by_agency.get(agency_of(code))

    def named(self, text: str, *, bare: bool = False) -> tuple[str, ...]:
        """The offices that a text names by their place or a former one, in the order of the text.

        "Xã Đông Phước A" is not "xã Đông Phước": of names that lie in one another the longest counts. A former place
        that was shared out names several offices.

        Args:
            text: as typed.
            bare: whether the name alone will do ("đông phước"), as in an answer to the question for it.
        """
        folded = fold(text)
        words = [match.span() for match in _WORD.finditer(folded)]
        spans: dict[tuple[int, int], tuple[str, ...]] = {}
        for first in range(len(words)):
            for last in range(first, min(first + _LONGEST, len(words))):
                start, end = words[first][0], words[last][1]
                name = " ".join(_WORD.findall(folded[start:end]))
                slugs = self._places.get(name, ())
                if bare and not slugs:
                    slugs = self._bare.get(name, ())
                if slugs:
                    spans[start, end] = slugs
        outermost = [
            span
            for span in spans
            if not any(other != span and other[0] <= span[0] and span[1] <= other[1] for other in spans)
        ]
        return tuple(dict.fromkeys(slug for span in sorted(outermost) for slug in spans[span]))

    def common(self) -> tuple[Office, Province]:
        """The profile that speaks for all: no hours, no counters, and the province's fees only where all share it."""
        provinces = {office.province: province for office, province in self.profiles.values()}
        slug, province = next(iter(provinces.items()))
        if len(provinces) > 1:
            province = Province(name=_T["common_province"], council=_T["common_council"])
            slug = "cac-tinh"  # no province's file: nobody's edits are laid over it
        name = _T["common_office"].format(province=province.name)
        return Office(name=name, short_name=_T["common_short"], commune=_T["common_commune"], province=slug), province

    @cached_property
    def _by_agency(self) -> Mapping[str, str]:
        return {code: slug for slug, (office, _) in self.profiles.items() for code in office.codes}

    @cached_property
    def _places(self) -> Mapping[str, tuple[str, ...]]:
        """Folded name → the offices that it may mean; today's names before former ones."""
        return self._found(lambda place: place)

    @cached_property
    def _bare(self) -> Mapping[str, tuple[str, ...]]:
        """The same without "xã", "phường" or the like."""
        return self._found(lambda place: _UNIT.sub("", place))

    def _found(self, form: Callable[[str], str]) -> Mapping[str, tuple[str, ...]]:
        former: dict[str, list[str]] = {}
        today: dict[str, list[str]] = {}
        for slug, (office, _) in self.profiles.items():
            today.setdefault(form(fold(office.commune)), []).append(slug)
            for place in office.former_places:
                former.setdefault(form(fold(place)), []).append(slug)
        return {name: tuple(dict.fromkeys(slugs)) for name, slugs in (former | today).items()}


def load_offices(root: Path, slugs: tuple[str, ...]) -> Offices:
    """Reads the profiles of all offices below ``root/local``.

    Raises:
        CatalogError: a file is missing or wrong, or two offices share a place or a code.
    """
    profiles = {slug: load_office(root, slug) for slug in slugs}
    faults, seen = [], dict[str, str]()
    for slug, (office, _) in profiles.items():
        for what, value in (("commune", fold(office.commune)), *(("codes", code) for code in office.codes)):
            other = seen.setdefault(f"{what}:{value}", slug)
            if other != slug:
                path = str(root / LOCAL_DIR / f"{slug}.yml")
                faults.append(
                    Fault(path, 1, what, f"«{value}» đã là của cơ quan {other}; mỗi cơ quan cần một giá trị riêng")
                )
    if faults:
        raise CatalogError(faults)
    return Offices(profiles)
