"""``motcua dossiers import`` that halts in a batch, before it is committed, to be killed there.

Arguments: number of the batch, then those of the command.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from itertools import count
from typing import Any

from bot.cli import main
from bot.dossiers import batches

_STEPS = count(1)
_UPSERT = batches.upsert


def upsert(*arguments: Any, **named: Any) -> Counter[str]:
    """As the real one, but for the halt at its end."""
    kinds = _UPSERT(*arguments, **named)
    if next(_STEPS) == int(sys.argv[1]):
        print("halted", flush=True)
        time.sleep(60)  # unlike a read, a signal ends it at once
    return kinds


if __name__ == "__main__":
    batches.upsert = upsert
    sys.exit(main(sys.argv[2:]))
