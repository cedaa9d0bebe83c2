"""The questions of the survey (QĐ 766/QĐ-TTg and the set in use, reference/dossiers_and_rules.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.errors import BadInputError
from bot.texts import phrases

SCORED = ("waiting", "attitude", "guidance", "competence", "resolution", "overall")  # each 1 (bad) to 5 (good)
NEEDED = "overall"
EXTRA_PAYMENT = "extra_payment"  # yes or no
LEAST, MOST = 1, 5
LONGEST_COMMENT = 1000
SATISFIED_FROM = 4


def read_answers(form: Mapping[str, Any]) -> dict[str, int | bool]:
    """The answers of a form that a browser sent; what was left empty is absent.

    Raises:
        BadInputError: the one question that is needed is not answered, or a value is none that was offered.
    """
    texts = phrases("hall")["survey"]
    answers: dict[str, int | bool] = {}
    for name in SCORED:
        given = str(form.get(name) or "")
        if not given:
            continue
        if given not in {"1", "2", "3", "4", "5"}:
            raise BadInputError(texts["wrong"])
        answers[name] = int(given)
    extra = str(form.get(EXTRA_PAYMENT) or "")
    if extra not in {"", "yes", "no"}:
        raise BadInputError(texts["wrong"])
    if extra:
        answers[EXTRA_PAYMENT] = extra == "yes"
    if NEEDED not in answers:
        raise BadInputError(texts["needed"])
    return answers
