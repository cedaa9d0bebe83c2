"""Labelled questions in Rasa's format for ``rasa test nlu``, and what its report says in one line.

``python -m tests.rasa_questions QUESTIONS.yml FILE.yml``, ``python -m tests.rasa_questions --report FOLDER``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bot.evaluation.questions import load
from nlu.corrections import to_rasa_yaml
from nlu.training_data import Example


def main(first: str, second: str) -> None:
    """Writes the questions with their intents (aspects and procedures are measured by ``motcua evaluate``)."""
    if first == "--report":
        report = json.loads((Path(second) / "intent_report.json").read_text("utf-8"))
        whole = report["weighted avg"]
        print(
            f"rasa test nlu: {whole['support']} câu, ý định đúng {report['accuracy']:.1%}, "
            f"F1 {whole['f1-score']:.3f}; báo cáo ở {second}"
        )
        return
    questions = load(Path(first))[0]
    readable = [Example(q.text, q.intent) for q in questions if any(c.isalnum() for c in q.text)]
    into = Path(second)
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_text(to_rasa_yaml(sorted(readable, key=lambda example: example.intent)), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
