"""A disk so small that it can be filled and freed: a tmpfs, where this user may mount one."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path


class SmallDisk:
    """A folder on a disk of its own.

    Attributes:
        reason: why it is none, and can't be filled; "" where it is one.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        """Mounts it on a folder, which is made.

        Args:
            folder: where.
            megabytes: its size.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._ballast = folder, folder / "ballast"
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            self.reason = (done.stderr.strip() or f"mount: {done.returncode}") if done.returncode else ""
        except OSError as error:
            self.reason = str(error)

    def fill(self) -> None:
        """Takes the last free byte."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def free(self) -> None:
        """Gives everything back."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Takes the disk away, with all that is on it."""
        if not self.reason:
            subprocess.run(["umount", "-l", str(self._folder)], check=True, timeout=30)
