"""``motcua evaluate`` of all four sets through a real Rasa server: ``python -m tests.rasa_evaluate MODEL.tar.gz``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rasa_server import ROOT, running

SETS = ("dev", "dialogues_dev", "set_aside", "dialogues_set_aside")


def main(model: str) -> None:
    """Prints the measures of each set."""
    with tempfile.TemporaryDirectory() as folder, running(Path(model), Path(folder) / "rasa.log") as rasa:
        for name in SETS:
            print(f"== {name}, Rasa", flush=True)
            command = [sys.executable, "-m", "bot", "evaluate", f"tests/nlu/{name}.yml", "--engine", "rasa"]
            environment = {**os.environ, "MOTCUA_RASA_URL": rasa.url, "MOTCUA_RASA_SECONDS": "10"}
            subprocess.run([*command, "--worst", "0"], cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
