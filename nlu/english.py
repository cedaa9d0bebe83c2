"""English messages about the office's business: known phrases become Vietnamese, the rest is left as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nlu.normalize import TEENCODE, fold, is_syllable

_WORD = re.compile(r"[a-z]+")
# Words of English origin that stand in Vietnamese sentences all the time.
_BORROWED = frozenset("online app web vneid passport photo shop ok zalo facebook email gmail file pdf gas teen".split())
_LITTLE = re.compile(r"\b(?:a|an|the|for|and|of|to|is|my|i|we|do|in|at|on|me|it|you|be|our|just|here|please)\b")
SEEMS_FROM = 2  # words that no Vietnamese sentence would have


class English:
    """Phrases to put into Vietnamese; longest first."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        self._phrases = dict(phrases)
        listed = sorted(phrases, key=len, reverse=True)
        self._any = re.compile(r"\b(?:" + "|".join(map(re.escape, listed)) + r")\b") if listed else None

    def in_vietnamese(self, text: str) -> str:
        """The text with its English phrases replaced where it seems to be (partly) English; else unchanged."""
        if self._any is None:
            return text
        lowered = text.lower() if text.isascii() else fold(text)
        if not self._any.search(lowered):
            return text
        words = _WORD.findall(lowered)
        foreign = sum(not is_syllable(w) and w not in TEENCODE and w not in _BORROWED for w in words)
        if foreign < SEEMS_FROM:
            return text
        told, end = [], 0
        for match in self._any.finditer(lowered):
            told += [self._left(lowered[end : match.start()], text), self._phrases[match[0]]]
            end = match.end()
        return " ".join([*told, self._left(lowered[end:], text)])

    @staticmethod
    def _left(between: str, text: str) -> str:
        """What stands between phrases, without little words that would be read as Vietnamese ("to", "do")."""
        return _LITTLE.sub(" ", between) if text.isascii() else between
