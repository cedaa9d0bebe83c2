"""Office files (.docx, .xlsx) are zip archives: how large they may become is looked at before anything is unpacked.

The sizes in the archive's directory can be trusted as a limit: ``zipfile`` reads no more of an entry than it says.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from bot.errors import BadInputError

MAX_UNPACKED = 50 * 1024 * 1024
MAX_ENTRIES = 2000
MAX_RATIO = 200  # Office files of text shrink to a tenth, at most to a fiftieth


def check_packed(path: Path) -> None:
    """Passes where the archive is one, and small enough unpacked.

    Raises:
        BadInputError: it isn't.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            entries = packed.infolist()
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise BadInputError(f"{path.name}: không phải tệp {path.suffix} đọc được") from error
    size = sum(entry.file_size for entry in entries)
    if size > MAX_UNPACKED or len(entries) > MAX_ENTRIES:
        raise BadInputError(f"{path.name}: tệp giải nén quá lớn")
    if any(e.file_size > 1024 * 1024 and e.file_size > MAX_RATIO * max(e.compress_size, 1) for e in entries):
        raise BadInputError(f"{path.name}: tệp nén bất thường, không mở")
