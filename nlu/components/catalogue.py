"""The procedures for Rasa's environment, which has no pydantic 2: read plainly, checked by ``motcua catalog check``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from nlu.entries import Entry

ROOT = Path(__file__).resolve().parents[2]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CatalogueError(ValueError):
    """A procedure file cannot be read; the message names it and what is expected."""


def folder_of(configured: str) -> Path:
    """The folder a pipeline names: as it is where absolute, else within this repository."""
    return ROOT / configured


def files_of(folder: Path) -> list[Path]:
    """The procedure files, ``<field>/<code>.yml``, in order; the office's own files are none."""
    return sorted(path for path in folder.glob("*/*.yml") if path.parent.name != "local")


def read_entries(folder: Path) -> list[Entry]:
    """All procedures, in the order of their codes.

    Raises:
        CatalogueError: there is none, or a file is no procedure.
    """
    entries = [_entry(path) for path in files_of(folder)]
    if not entries:
        raise CatalogueError(f"{folder}: không có thủ tục nào; cần <lĩnh vực>/<mã>.yml")
    return sorted(entries, key=lambda entry: entry.code)


def _entry(path: Path) -> Entry:
    try:
        read: Any = yaml.load(path.read_text("utf-8"), Loader=_LOADER)  # noqa: S506  a safe loader, in C where it is there
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError(f"{path}: không đọc được ({type(error).__name__})") from error
    if not isinstance(read, Mapping) or not all(isinstance(read.get(key), str) for key in ("code", "name")):
        raise CatalogueError(f"{path}: cần 'code' và 'name' là chữ")
    return Entry(
        read["code"],
        read["name"].strip(),
        str(read.get("short_name") or read["name"]).strip(),
        tuple(_texts(read.get("everyday_names"))),
        tuple(_texts(read.get("examples"))),
        tuple(str(sibling["code"]) for sibling in read.get("siblings") or ()),
        read.get("superseded_by"),
    )


def _texts(listed: Any) -> Iterator[str]:
    for text in listed or ():
        yield str(text).strip()
