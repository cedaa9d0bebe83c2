"""``python -m tests.soak``: all channels at once while everything around the service breaks (see ``__main__``)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the stand-ins
