"""What citizens and staff read, in YAML files; ``phrases`` loads one file once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent


@cache
def phrases(name: str) -> Mapping[str, Any]:
    """The content of ``bot/texts/<name>.yml``: key → text with ``{fields}`` (or nested)."""
    loaded: Mapping[str, Any] = yaml.safe_load((_HERE / f"{name}.yml").read_text("utf-8"))
    return loaded
