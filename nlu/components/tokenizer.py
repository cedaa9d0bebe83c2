"""Tokens of Vietnamese text: words as underthesea finds them, what grammar knows kept whole, lemmas folded."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Any
from unicodedata import normalize

from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.nlu.tokenizers.tokenizer import Token, Tokenizer
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message
from underthesea import word_tokenize

from nlu.normalize import MAX_WORDS, words_of

_S = r"[ .\-_–—]"
_AGENCY = rf"(?:\d{{3}}\.[0-9a-z]{{2}}\.[0-9a-z]{{2}}\.)?[a-z]\d{{2}}(?:{_S}?\d{{2,3}}){{0,4}}"
# Looked for in this order. Tolerant: these are tokens, what a code means is read elsewhere.
_WHOLE = (
    ("dossier_code", rf"{_AGENCY}{_S}{{0,3}}\d{{6}}{_S}{{1,3}}\d{{4,7}}"),
    ("procedure_code", r"[1-9]\.\d{6}"),
    ("phone", r"(?:\+84|0)(?:[ .\-]?\d){9}"),
    ("day", r"\d{1,2}[/.\-]\d{1,2}(?:[/.\-]\d{2,4})?"),
    ("clock", r"\d{1,2}(?:[hg:]\d{2}|[hg])"),
)
_ANY_WHOLE = re.compile(
    r"(?<![^\W_])(?<![\d.,/])(?:" + "|".join(f"(?P<{kind}>{form})" for kind, form in _WHOLE) + r")(?![^\W_]|[/.,]\d)",
    re.IGNORECASE,
)
_LETTERS = "(?:[^\\W_][\u0300-\u036f]*)+"  # marks may follow their letter (NFD)
_WORD = re.compile(rf"{_LETTERS}(?:[.,]{_LETTERS})*")
KIND = "kind"  # in a token's data: which of the above it is


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=False)
class VietnameseTokenizer(Tokenizer):
    """Splits text into Vietnamese words (``đăng ký``), not syllables, and gives each a folded lemma.

    * Dossier codes (``H30.99.01-261116-0001``, also with blanks), procedure codes, phone numbers, days and clock times
      are one token each; its lemma says only what it is (``dossier_code``) and ``token.get("kind")`` says so too.
    * The lemma is what ``CountVectorsFeaturizer`` counts (``use_lemma: true``, its default): lower case, without
      diacritics, chat spelling and dialect resolved (``đc`` → ``duoc``, ``hông`` → ``khong``). A message with and
      without diacritics therefore has the same features.
    * ``start`` and ``end`` are places in the text as typed, so that entities line up. Punctuation gives no token.

    Configuration::

        pipeline:
          - name: nlu.components.tokenizer.VietnameseTokenizer
            words: true                      # false: one token a syllable
            intent_tokenization_flag: false  # the last two as in every tokenizer of Rasa
            intent_split_symbol: "+"
    """

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """Returns the component's default config."""
        return {
            "words": True,
            "intent_tokenization_flag": False,
            "intent_split_symbol": "+",
            "token_pattern": None,
            "prefix_separator_symbol": None,
        }

    def tokenize(self, message: Message, attribute: str) -> list[Token]:
        """Tokenizes the text of an attribute; a text without any letter or digit is one token."""
        text = str(message.get(attribute))
        # Spans that people marked for training are never cut through.
        spans = (message.get(ENTITIES) or ()) if attribute == TEXT else ()
        borders = frozenset(place for span in spans for place in (span.get("start"), span.get("end")))
        tokens = list(_tokens(text, borders, words=bool(self._config["words"])))
        return tokens or [Token(text, 0, lemma="nothing")]


def _tokens(text: str, borders: Collection[int], *, words: bool) -> Iterator[Token]:
    at = 0
    for match in _ANY_WHOLE.finditer(text):
        yield from _spoken(text, at, match.start(), borders, words=words)
        kind = str(match.lastgroup)
        yield Token(match[0], match.start(), match.end(), data={KIND: kind}, lemma=kind)
        at = match.end()
    yield from _spoken(text, at, len(text), borders, words=words)


def _spoken(text: str, start: int, end: int, borders: Collection[int], *, words: bool) -> Iterator[Token]:
    """Tokens of a stretch without codes; none reaches over a border."""
    syllables = [(start + m.start(), start + m.end()) for m in _WORD.finditer(text[start:end])]
    sizes = _sizes([text[a:b] for a, b in syllables]) if words else [1] * len(syllables)
    first = 0
    for size in sizes:
        word = syllables[first : first + size]
        capital = [text[c].isupper() for c, _ in word]
        cuts = [
            n
            for n in range(1, size)
            if word[n][0] in borders
            or word[n - 1][1] in borders
            # A name ends where capitals end ("xã | Đông Phú | giờ"); one capital may begin a sentence.
            or (capital[n] != capital[n - 1] and not (n == 1 and capital[0]))
        ]
        for begin, stop in pairwise([0, *cuts, size]):
            a, b = word[begin][0], word[stop - 1][1]
            lemma = " ".join(meant for c, d in word[begin:stop] for meant in words_of(normalize("NFC", text[c:d])))
            yield Token(text[a:b], a, b, lemma=lemma)
        first += size


def _sizes(syllables: list[str]) -> list[int]:
    """How many syllables each word has, by underthesea; all of one where it splits a syllable or is given too much."""
    if not syllables or len(syllables) > MAX_WORDS:
        return [1] * len(syllables)
    sizes = [word.count(" ") + 1 for word in word_tokenize(" ".join(syllables), use_token_normalize=False)]
    return sizes if sum(sizes) == len(syllables) else [1] * len(syllables)
