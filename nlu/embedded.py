"""The embedded engine: codes by grammar first, then intent, aspects and procedure, all in process."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from nlu.aspects import Aspects
from nlu.cache import Kept, ModelCache
from nlu.codes import find_codes, near_misses, procedure_codes
from nlu.concepts import Concepts
from nlu.english import English
from nlu.entries import Candidate, Entry, in_force
from nlu.features import ASKING, PLAIN, SUBJECTLESS
from nlu.intents import Intents, evidence
from nlu.linker import LEARN_UP_TO, Link, Linker
from nlu.normalize import Prepared, folded_words, prepare
from nlu.patterns import Patterns
from nlu.port import Understanding
from nlu.training_data import Example, Training, load_training

# Calibration of the linker (logistic in the lead over the second) and the three zones.
# Fitted on tests/nlu/dev.yml; see docs/decisions.
MARGIN_WEIGHT, FEW_WORDS, BIAS = 4.75, -1.6, -0.22
MARGIN_COUNTS_TO = 1.2
FEW = 2  # words of content; a message with so few says little, however well they fit
ANSWER_FROM = 0.75
_SPLIT = re.compile(
    r"[?;\n]+|[.!,](?=\s|$)|\b(?:với lại|voi lai|đồng thời|dong thoi|ngoài ra|ngoai ra|tiện thể|tien the|sẵn|và|va|còn"
    r"|rồi|roi|r|xong|luôn|luon|với|voi|vs)\b",
    re.IGNORECASE,
)
# Folded: the message says itself that it is about several things.
_SEVERAL = re.compile(
    r"\b(?:moi|tung) (?:cai|thu|viec|loai|giay)\b|\b(?:2|3|hai|ba|ca hai|ca 2|may) (?:cai|viec|thu|thu tuc|giay|loai)"
    r"\b|\bcung (?:luc|mot luc|1 luc)\b|\btien the\b|\bdong thoi\b|\bngoai ra\b|\bvoi lai\b|\bsan (?:tien|dip|lam)\b"
    r"|\b(?:voi|va|roi|luon) (?:xin|lam|dang ky|chung|chung thuc|doi|khai|cap|nhap|tach|sao|mo|nhan|sang)\b"
)
MANY_UP_TO = 45  # words; longer messages are stories with one request
SECOND_SCORE, CLAUSE_SCORE, CLAUSE_MARGIN = -0.8, -0.4, 0.25
_PROCEDURE_CODE = re.compile(r"[1-9]\s?\.\s?\d{6}")
_NAMES = frozenset({"ban sao", "so do", "con nuoi", "nhan con"})
NAMED_SURE = 0.92
TAUGHT_SURE = 0.97
LONG_NUMBER = 6  # digits of a word that is nobody's subject
FAMILY_SHARE = 0.9  # what the procedures of a family share of certainty
OWN_EXAMPLES, QUESTIONS_EVERY = 2, 16
OUTSIDE_NEAR, UNSURE_BELOW = 0.4, 0.7  # fitted on tests/nlu/dev.yml, as all of these
_ASKING = frozenset({"ask_procedure", "due_date"})


def probability(margin: float, content: int) -> float:
    """How likely the first procedure is the right one, 0–1.

    Args:
        margin: its lead over the second.
        content: words of the message that say what it is about.
    """
    odds = BIAS + MARGIN_WEIGHT * min(margin, MARGIN_COUNTS_TO) + (FEW_WORDS if content <= FEW else 0.0)
    return 1.0 / (1.0 + math.exp(-odds))


def _by_heart(words: Sequence[str]) -> tuple[str, ...]:
    """The words that must be the same for a message to be one that was taught: phone numbers and the like are not."""
    return tuple(word for word in words if not (word.isdigit() and len(word) >= LONG_NUMBER))


class Message(NamedTuple):
    """A message on its way to a judge: in Vietnamese as typed, prepared, with what it may be about."""

    text: str
    prepared: Prepared
    links: tuple[Link, ...]
    known: float


class Judged(NamedTuple):
    """What a judge says of a message.

    Attributes:
        intent: one of ``INTENTS``.
        confidence: 0–1.
        near_outside: being out of scope is not far behind.
        aspects: tells what is asked of a procedure; called only where that matters.
    """

    intent: str
    confidence: float
    near_outside: bool
    aspects: Callable[[], tuple[str, ...]]


class EmbeddedEngine:
    """Reads messages with models trained from the catalogue and ``nlu/training`` at start."""

    name = "embedded"

    def __init__(
        self, entries: Sequence[Entry], training: Training | None = None, cache: ModelCache | None = None
    ) -> None:
        """Trains on a catalogue and the labelled messages; what takes long is kept in ``cache``."""
        training = training or load_training()
        self.entries = [entry for entry in entries if entry.superseded_by is None] or list(entries)
        self._by_code = {entry.code: entry for entry in entries}
        self._successor = {entry.code: entry.superseded_by for entry in entries if entry.superseded_by}
        kept = cache.load(entries, training) if cache else None
        models = kept.models if kept else {}
        concepts = Concepts(training.concepts)
        labelled = (*training.examples, *training.added)
        asked = ((example.procedure, example.text) for example in labelled if example.procedure)
        self._linker = Linker(in_force(entries, asked), model=models.get("linker"), concepts=concepts)
        self._english = English(training.english)
        self._taught = {
            words: example
            for example in training.added
            if (words := _by_heart(prepare(self._english.in_vietnamese(example.text)).words))
        }
        self._families = {
            self._said(prepare(example.text).words): known
            for example in labelled
            if example.family and (known := self._current(example.family))
        }
        self._families.pop(frozenset(), None)
        owners: dict[frozenset[str], set[int]] = {}
        for document in self._linker.documents:
            if document.kind != "example":
                owners.setdefault(self._said(document.words), set()).add(document.owner)
        self._names = {said: next(iter(of)) for said, of in owners.items() if said and len(of) == 1}
        self._patterns = Patterns.of(training.patterns)
        if kept:
            self._intents = Intents(models["intents"], self._patterns)
            self._aspects = Aspects(self._patterns, models.get("aspects"), kept.unmasked)
        else:
            intents = Intents.train(self._for_intents(training), self._patterns, self._proof)
            self._intents = Intents(intents, self._patterns)
            self._aspects = Aspects.trained(training.examples, self._patterns, training.added)
            if cache:
                made = {"linker": self._linker.model, "intents": intents, "aspects": self._aspects.model}
                trained = {name: model for name, model in made.items() if model}
                cache.save(entries, training, Kept(trained, self._aspects.unmasked))
        folded_words.cache_clear()  # made for reading the training texts once

    def _said(self, words: Sequence[str]) -> frozenset[str]:
        """What a message says besides asking: its words, and names made of words of asking ("bản sao")."""
        pairs = {f"{one} {two}" for one, two in pairwise(words)}
        return frozenset(word for word in words if word not in PLAIN and not word.isdigit()) | (pairs & _NAMES)

    def _current(self, codes: Sequence[str]) -> tuple[str, ...]:
        """The codes in force of those that the catalogue has; () where fewer than two are left."""
        known = dict.fromkeys(self._successor.get(code) or code for code in codes if code in self._by_code)
        return tuple(known)[:5] if len(known) > 1 else ()

    def _current_one(self, code: str | None) -> tuple[str, ...]:
        """The code in force; () where the catalogue does not have it."""
        code = self._successor.get(code or "") or code
        return (code,) if code in self._by_code else ()

    def _for_intents(self, training: Training) -> list[Example]:
        """The labelled messages, and a few of each procedure: how people ask is alike, whatever they ask about."""
        own = [
            Example(text, "ask_procedure")
            for entry in self.entries
            for text in (*entry.examples[:OWN_EXAMPLES], entry.short_name)
        ]
        if len(self.entries) > LEARN_UP_TO:
            own = own[::8]
        taken: Counter[str] = Counter()
        kept = []
        for example in training.examples:
            taken[example.procedure or ""] += 1
            if not example.procedure or taken[example.procedure] % QUESTIONS_EVERY == 0:
                kept.append(example)
        return kept + own + list(training.added)

    def _proof(self, example: Example) -> tuple[Sequence[str], list[str]]:
        words = folded_words(example.text)
        return words, evidence(self._linker.decisive(words), self._linker.known_share(words))

    def _candidates(self, links: Sequence[Link], content: int = FEW + 1) -> tuple[Candidate, ...]:
        if not links:
            return ()
        top = links[0].score
        second = links[1].score if len(links) > 1 else 0.0
        best = probability(top - second, content)
        # What is left of certainty is shared out by distance from the best.
        shares = [math.exp((link.score - top) * 5.0) for link in links[1:5]]
        total = sum(shares) or 1.0
        rest = [min(best, (1.0 - best) * share / total) for share in shares]
        return tuple(
            Candidate(entry.code, entry.name, round(score, 4))
            for link, score in zip(links, [best, *rest], strict=False)
            for entry in (self._linker.entries[link.index],)
        )

    def _family(self, said: frozenset[str]) -> tuple[Candidate, ...]:
        """The procedures that a general name may mean, equally likely; () where the message says more than that."""
        codes = self._families.get(said)
        if codes is None:
            return ()
        share = round(FAMILY_SHARE / len(codes), 4)
        return tuple(Candidate(code, self._by_code[code].name, share) for code in codes)

    def _by_name(self, said: frozenset[str], links: Sequence[Link]) -> tuple[Candidate, ...]:
        """Where all that is said is a name made of words of asking ("sổ đỏ"): its procedure first; else ()."""
        owner = self._names.get(said)
        if owner is None or not said <= _NAMES:
            return ()
        first = self._linker.entries[owner]
        others = [self._linker.entries[link.index] for link in links if link.index != owner][:4]
        rest = round((1.0 - NAMED_SURE) / max(len(others), 1), 4)
        named = Candidate(first.code, first.name, NAMED_SURE)
        return (named, *(Candidate(entry.code, entry.name, rest) for entry in others))

    def _several(self, prepared: Prepared, first: Sequence[Link]) -> tuple[str, ...]:
        """The procedures asked about in one message, in the order of the text; () where it is one or none.

        A clause counts where it picks one of the message's likeliest procedures clearly. Two clauses
        are two requests where each asks something of its own, or the message says that it is about
        several things; else the one is the story of the other.
        """
        parts = [part for part in _SPLIT.split(prepared.text) if part and len(part.split()) >= 2]
        if len(parts) < 2 or not 6 <= len(prepared.words) <= MANY_UP_TO:
            return ()
        allowed = [link.index for link in first[:6] if link.score >= SECOND_SCORE]
        named = bool(_SEVERAL.search(prepared.folded))
        clauses = [said for said in map(prepare, parts[:8]) if not ASKING.issuperset(said.words)]
        asking = [bool(self._patterns.found(said.folded)) for said in clauses]
        if len(clauses) < 2 or (not named and sum(asking) < 2):
            return ()
        found: dict[int, bool] = {}
        for said, asks in zip(clauses, asking, strict=True):
            scores = self._linker.scores(said.words)
            best = int(scores.argmax())
            rest = max((float(scores[index]) for index in allowed if index != best), default=-1.0)
            if best not in allowed or scores[best] < CLAUSE_SCORE or scores[best] - rest < CLAUSE_MARGIN:
                continue
            found[best] = found.get(best, False) or asks
        codes = tuple(self._linker.entries[index].code for index in found)
        if named:
            return codes if len(codes) > 1 else ()
        return codes if len(codes) > 1 and all(found.values()) else ()

    def parse(self, text: str) -> Understanding:
        """Reads one message alone, without memory."""
        return self.read(text, self._judge)

    def read(self, text: str, judge: Callable[[Message], Judged]) -> Understanding:
        """Reads one message; what grammar does not decide of intent and aspects, ``judge`` does.

        Args:
            text: as typed.
            judge: asked at most once; what it raises is raised.
        """
        hits = tuple(hit.code for hit in find_codes(text))
        near = near_misses(text) if not hits else ()
        said = self._english.in_vietnamese(text)
        prepared = prepare(said)
        words = prepared.words
        if not any(character.isalnum() for character in prepared.text):
            return Understanding(text, "out_of_scope", 1.0, dossier_codes=hits, near_codes=near)
        known = self._linker.known_share(words)
        named = [self._successor.get(code) or code for code in procedure_codes(text) if code in self._by_code]
        if hits:
            return Understanding(text, "dossier_status", 1.0, dossier_codes=hits, known_share=known)
        if named:
            return self._named(text, named, known)
        content = sum(word not in SUBJECTLESS and not word.isdigit() for word in words)
        content += 2 * self._linker.kept(words)
        links = self._linker.rank(words)
        taught = self._taught.get(_by_heart(words))
        if taught is not None:
            return self._as_taught(text, taught, links, known, content)
        judged = judge(Message(said, prepared, tuple(links), known))
        intent, confidence = judged.intent, judged.confidence
        if near and intent not in {"human", "complaint", "unsubscribe"}:
            intent, confidence = "dossier_status", 0.7
        about = self._said(words)
        sure = FEW + 1 if about in self._names else content
        family = self._family(about)
        candidates = family or self._by_name(about, links) or self._candidates(links, sure)
        unsure = not candidates or candidates[0].score < UNSURE_BELOW
        if intent == "ask_procedure" and content and judged.near_outside and unsure and not family:
            intent = "out_of_scope"  # about nothing that we know, and not far from chatter
        if intent not in _ASKING:
            return Understanding(text, intent, confidence, near_codes=near, known_share=known)
        aspects = judged.aspects() if intent == "ask_procedure" else ()
        procedures = self._several(prepared, links) if intent == "ask_procedure" else ()
        if content == 0:
            procedures = ()  # what is asked, but not of what
        elif not procedures and candidates and candidates[0].score >= ANSWER_FROM:
            procedures = (candidates[0].code,)
        return Understanding(
            text,
            intent,
            confidence,
            aspects,
            procedures[0] if procedures else None,
            procedures,
            candidates,
            near_codes=near,
            known_share=known,
            content_words=content,
        )

    def _as_taught(
        self, text: str, taught: Example, links: Sequence[Link], known: float, content: int
    ) -> Understanding:
        """A message that an advisor taught word for word: as labelled, whatever the models would say."""
        codes = self._current(taught.family) or self._current_one(taught.procedure)
        share = round(FAMILY_SHARE / len(codes), 4) if len(codes) > 1 else NAMED_SURE
        first = [Candidate(code, self._by_code[code].name, share) for code in codes]
        if taught.intent not in _ASKING:
            return Understanding(text, taught.intent, TAUGHT_SURE, known_share=known)
        rest = [one for one in self._candidates(links) if one.code not in codes]
        room = 5 - len(first)
        left = round((1.0 - NAMED_SURE) / max(len(rest), 1), 4)
        first += [Candidate(one.code, one.name, left if codes else one.score) for one in rest[:room]]
        aspects = (taught.aspects or ("overview",)) if taught.intent == "ask_procedure" else ()
        answered = codes if len(codes) == 1 else ()
        return Understanding(
            text,
            taught.intent,
            TAUGHT_SURE,
            aspects,
            answered[0] if answered else None,
            answered,
            tuple(first),
            known_share=known,
            content_words=content,
        )

    def _judge(self, message: Message) -> Judged:
        """Intent and aspects by the models trained here."""
        words = message.prepared.words
        decisive = sorted((link.learned for link in message.links), reverse=True)
        guess = self._intents.intent(words, message.prepared.folded, evidence(decisive, message.known))
        return Judged(
            guess.intent,
            guess.certainty,
            near_outside=guess.lead < OUTSIDE_NEAR,
            aspects=lambda: self._aspects.asked(message.prepared.text, words),
        )

    def _named(self, text: str, codes: Sequence[str], known: float) -> Understanding:
        """A message that names procedures by code: what is left of it says what is asked."""
        codes = tuple(dict.fromkeys(codes))
        rest = prepare(_PROCEDURE_CODE.sub(" ", text))
        aspects: tuple[str, ...] = ("overview",)
        if rest.words:
            aspects = self._aspects.asked(rest.text, rest.words)
        candidates = tuple(Candidate(code, self._by_code[code].name, 1.0) for code in codes[:5])
        return Understanding(text, "ask_procedure", 1.0, aspects, codes[0], codes, candidates, known_share=known)

    def choose(self, text: str, codes: tuple[str, ...]) -> tuple[Candidate, ...]:
        """Ranks the given procedures by how well a message picks one of them out."""
        words = prepare(text).words
        ranked = {self._linker.entries[link.index].code: link for link in self._linker.rank(words, limit=400)}
        links = sorted((ranked[code] for code in codes if code in ranked), key=lambda link: -link.score)
        return self._candidates(links)
