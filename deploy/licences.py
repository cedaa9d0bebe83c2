# noqa: INP001  a script, no package
"""Lists the licences of everything that ``requirements.lock`` installs, as the packages themselves state them.

``make licences`` writes docs/licences.md. Runs in the environment whose packages it lists.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
_HEAD = """# Licences of what the bot installs

Made by `make licences` from the packages' own metadata; the lock (`requirements.lock`) says which versions. Một Cửa
itself is Apache-2.0. All are used unchanged as libraries, none is copied into this repository. What a licence with
conditions (LGPL) asks is met by that: whoever gets the program can exchange the library.

| Package | Version | Licence |
| --- | --- | --- |
"""
_LONGEST = 60  # characters; some packages put the whole text of their licence into the field


def licence(told: PackageMetadata) -> str:
    """The licence as a package states it: SPDX expression, else classifiers, else its own words."""
    if expression := told.get("License-Expression"):
        return expression
    classified = [
        line.rsplit(" :: ", 1)[-1] for line in told.get_all("Classifier") or () if line.startswith("License :: ")
    ]
    named = [name for name in classified if name != "OSI Approved"]
    words = (told.get("License") or "").strip().splitlines()
    return ", ".join(named) or (words[0][:_LONGEST] if words else "không ghi")


def locked() -> list[str]:
    """The names in the lock, in its order."""
    named = re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==", LOCK.read_text("utf-8"), re.MULTILINE)
    return list(dict.fromkeys(named))  # some stand there twice, for different systems


def main() -> int:
    """Prints the page."""
    lines = []
    for name in locked():
        try:
            told = metadata(name)
        except PackageNotFoundError:
            lines.append(f"| {name} | – | only on other systems |")
            continue
        lines.append(f"| {name} | {told['Version']} | {licence(told)} |")
    sys.stdout.write(_HEAD + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
