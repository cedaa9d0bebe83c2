"""The checked catalogue kept between starts, so that an unchanged one need not be read and checked again.

A JSON file named by the hash of everything it was made from: path, size and time of every file, and the
code that checks them. A broken or stale one is as good as none.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bot.catalog.catalog import Catalog, load_catalog
from bot.catalog.loading import FIELDS_FILE, procedure_files
from bot.catalog.schema import FieldInfo, Procedure

log = logging.getLogger("motcua.catalog")
_CODE = ("schema.py", "loading.py", "catalog.py", "kept.py")
_KEPT = TypeAdapter(tuple[dict[str, FieldInfo], tuple[Procedure, ...]])


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in (root / FIELDS_FILE, *procedure_files(root)):
        stat = path.stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    for name in _CODE:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:24]


def load_kept(root: Path, folder: Path) -> Catalog:
    """The catalogue of a directory, from ``folder`` where it holds what the files say now.

    Raises:
        bot.catalog.loading.CatalogError: as ``load_catalog``.
    """
    if not (root / FIELDS_FILE).is_file():
        return load_catalog(root)  # official records, or a fault to be told
    kept = folder / f"catalog-{_digest(root)}.json"
    try:
        fields, procedures = _KEPT.validate_json(kept.read_bytes())
        return Catalog({procedure.code: procedure for procedure in procedures}, fields)
    except (OSError, ValidationError):
        catalog = load_catalog(root)
    part = kept.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stored = (dict(catalog.fields), tuple(catalog.procedures.values()))
        part.write_bytes(_KEPT.dump_json(stored, exclude_defaults=True))
        part.replace(kept)
        for old in folder.glob("catalog-*"):
            if old != kept:
                old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("không lưu được danh mục đã kiểm tra: %s", error)
    return catalog
