"""A linear model whose scores of all classes can be read.

Trained by ``underthesea_core.TextClassifier`` (Rust: TF-IDF and one linear SVM a
class, LIBLINEAR's dual coordinate descent). That class only tells the best label;
the weights are read from the file it saves, so that a message's score for every
class is known. The file is bincode: little endian, lengths as 64-bit integers.
"""

from __future__ import annotations

import struct
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from underthesea_core import TextClassifier

Floats = npt.NDArray[np.float32]


class _Reader:
    """Reads the saved classifier front to back."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return int(value)

    def text(self) -> str:
        length = self.number("Q")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8")

    def floats(self) -> Floats:
        length = self.number("Q")
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
        cls, lines: Sequence[str], labels: Sequence[str], *, features: int = 60_000, c: float = 1.0
    ) -> LinearModel:
        """Trains on lines of tokens parted by spaces, one label each."""
        model = TextClassifier(
            max_features=features, ngram_range=(1, 1), min_df=1, max_df=1.0, c=c, max_iter=100, tol=0.1
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
        vocabulary = {}
        for _ in range(reader.number("Q")):
            token = reader.text()
            vocabulary[token] = reader.number("I")
        idf = reader.floats()
        for form in ("Q", "Q", "Q", "Q", "Q", "d", "B", "B"):  # sizes and settings that we gave
            reader.number(form)
        flat = reader.floats()
        biases = reader.floats()
        classes = tuple(reader.text() for _ in range(reader.number("Q")))
        weights = np.ascontiguousarray(flat.reshape(len(classes), len(idf)).T.astype(np.float16))
        return cls(classes, vocabulary, idf.copy(), weights, biases.copy())

    def scores(self, tokens: Iterable[str]) -> Floats:
        """The score of every class, in the order of ``classes``."""
        counted = Counter(row for token in tokens if (row := self.vocabulary.get(token)) is not None)
        if not counted:
            return self.biases
        rows = np.fromiter(counted.keys(), np.int64, len(counted))
        values = np.fromiter(counted.values(), np.float32, len(counted)) * self.idf[rows]
        values /= np.sqrt(values @ values)
        found: Floats = values @ self.weights[rows].astype(np.float32) + self.biases
        return found
