"""A linear model whose scores of all classes can be read.

Trained by ``underthesea_core.TextClassifier`` (Rust: TF-IDF and one linear SVM a
class, LIBLINEAR's dual coordinate descent). That class only tells the best label;
the weights are read from the file it saves, so that a message's score for every
class is known. The file is bincode: little endian, lengths as 64-bit integers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from underthesea_core import TextClassifier

ROUNDS = 15  # passes of the solver; more make no difference that the dev questions show
Floats = npt.NDArray[np.float32]


class _Reader:
    """Reads the saved classifier front to back."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, size: int = 8) -> int:
        """An unsigned number of ``size`` bytes."""
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "little")

    def words(self) -> list[str]:
        """A list of strings."""
        return [self._text() for _ in range(self.number())]

    def _text(self) -> str:
        length = self.number()
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8")

    def vocabulary(self) -> dict[str, int]:
        """A map of strings to 32-bit numbers; a tight loop, for there are tens of thousands."""
        data, at = self._data, self._at
        number = int.from_bytes
        count, at = number(data[at : at + 8], "little"), at + 8
        found = {}
        for _ in range(count):
            end = at + 8 + number(data[at : at + 8], "little")
            found[data[at + 8 : end].decode()] = number(data[end : end + 4], "little")
            at = end + 4
        self._at = at
        return found

    def floats(self) -> Floats:
        """A list of 32-bit floats."""
        length = self.number()
        found = np.frombuffer(self._data, "<f4", length, self._at)
        self._at += 4 * length
        return found


@dataclass(frozen=True)
class LinearModel:
    """Tokens in, a score for each class out (about −1 … 1; above 0: more like the class than not).

    Attributes:
        classes: labels, in the order of the scores.
        vocabulary: token → row of ``weights``.
        idf: weight of each token.
        weights: tokens × classes, half precision.
        biases: one a class.
    """

    classes: tuple[str, ...]
    vocabulary: dict[str, int]
    idf: Floats
    weights: npt.NDArray[np.float16]
    biases: Floats

    @classmethod
    def trained(
        cls,
        lines: Sequence[str],
        labels: Sequence[str],
        *,
        features: int = 60_000,
        least: int = 1,
        c: float = 1.0,
        rounds: int = ROUNDS,
    ) -> LinearModel:
        """Trains on lines of tokens, one label each; tokens in fewer lines than ``least`` are dropped."""
        model = TextClassifier(
            max_features=features, ngram_range=(1, 1), min_df=least, max_df=1.0, c=c, max_iter=rounds, tol=0.1
        )
        model.fit(list(lines), list(labels))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.bin"
            model.save(str(path))
            return cls.read(path.read_bytes())

    @classmethod
    def read(cls, data: bytes) -> LinearModel:
        """Reads what ``TextClassifier.save`` wrote."""
        reader = _Reader(data)
        vocabulary = reader.vocabulary()
        idf = reader.floats()
        for size in (8, 8, 8, 8, 8, 8, 1, 1):  # sizes and settings that we gave
            reader.number(size)
        flat = reader.floats()
        biases = reader.floats()
        classes = tuple(reader.words())
        weights = np.ascontiguousarray(flat.reshape(len(classes), len(idf)).T.astype(np.float16))
        return cls(classes, vocabulary, idf.copy(), weights, biases.copy())

    @classmethod
    def side_by_side(cls, models: Sequence[LinearModel], label: str, names: Sequence[str]) -> LinearModel:
        """Several yes/no models over the same lines as one, that scores a message for all of them at once.

        Args:
            models: trained on the same lines.
            label: the class of each whose score is wanted.
            names: what the columns are called.
        """
        first = models[0]
        tokens = list(first.vocabulary)
        rows = [np.array([model.vocabulary[token] for token in tokens]) for model in models]
        columns = [model.classes.index(label) for model in models]
        pairs = list(zip(models, rows, columns, strict=True))
        return cls(
            tuple(names),
            {token: row for row, token in enumerate(tokens)},
            first.idf[rows[0]],
            np.stack([model.weights[row, column] for model, row, column in pairs], axis=1),
            np.array([model.biases[column] for model, _, column in pairs], np.float32),
        )

    def scores(self, tokens: Iterable[str]) -> Floats:
        """The score of every class, in the order of ``classes``."""
        known = self.vocabulary
        counted: dict[int, int] = {}
        for row in [known[token] for token in tokens if token in known]:
            counted[row] = counted.get(row, 0) + 1
        if not counted:
            return self.biases
        rows = np.fromiter(counted.keys(), np.int64, len(counted))
        values = np.fromiter(counted.values(), np.float32, len(counted)) * self.idf[rows]
        values /= np.sqrt(values @ values)
        found: Floats = values @ self.weights[rows].astype(np.float32) + self.biases
        return found
