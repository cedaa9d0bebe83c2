"""The linear model read from the classifier's file says what the classifier says; what is kept is what was trained."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from underthesea_core import TextClassifier

from nlu.cache import Kept, ModelCache
from nlu.linear import LinearModel
from nlu.training_data import Training

WORDS = "khai sinh tử kết hôn chứng thực bản sao chữ ký đất sổ đỏ căn cước tạm trú".split()


def _lines(count: int) -> tuple[list[str], list[str]]:
    some = random.Random(5)  # noqa: S311 - a fixed order, not a secret
    lines = [" ".join(some.choices(WORDS, k=6)) for _ in range(count)]
    return lines, [f"c{WORDS.index(line.split()[0]) % 5}" for line in lines]


def test_scores_agree_with_the_classifiers_own_choice(tmp_path: Path) -> None:
    lines, labels = _lines(200)
    own = TextClassifier(max_features=500, ngram_range=(1, 1), min_df=1, max_df=1.0, c=1.0, max_iter=100, tol=0.1)
    own.fit(lines, labels)
    own.save(str(tmp_path / "model.bin"))
    model = LinearModel.read((tmp_path / "model.bin").read_bytes())
    for line in lines:
        scores = model.scores(line.split())
        label, score = own.predict_with_score(line)
        best = int(scores.argmax())
        # Half precision may turn a tie around; what was chosen is as good as the best.
        assert scores[model.classes.index(label)] == pytest.approx(scores[best], abs=0.01)
        assert 1 / (1 + np.exp(-scores[best])) == pytest.approx(score, abs=0.01)
    assert list(model.scores(["chưa", "từng", "thấy"])) == list(model.biases)


def test_several_yes_no_models_side_by_side() -> None:
    lines, _ = _lines(120)
    models = [
        LinearModel.trained(lines, ["yes" if word in line else "no" for line in lines]) for word in ("khai", "sổ")
    ]
    both = LinearModel.side_by_side(models, "yes", ["khai", "sổ"])
    for line in lines[:30]:
        apart = [float(model.scores(line.split())[model.classes.index("yes")]) for model in models]
        assert both.scores(line.split()) == pytest.approx(apart, abs=0.01)


def test_what_is_kept_is_what_was_trained_and_a_broken_file_is_none(tmp_path: Path) -> None:
    lines, labels = _lines(100)
    model, training = LinearModel.trained(lines, labels), Training((), {})
    cache = ModelCache(tmp_path / "models")
    assert cache.load([], training) is None
    cache.save([], training, Kept({"linker": model}, frozenset({"a"})))
    kept = cache.load([], training)
    assert kept is not None
    assert kept.unmasked == {"a"}
    assert list(kept.models["linker"].scores(lines[0].split())) == list(model.scores(lines[0].split()))
    assert cache.load([], Training((), {"x": ("y",)})) is None
    (file,) = (tmp_path / "models").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert cache.load([], training) is None
