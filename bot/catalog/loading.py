"""Reads procedure files and names every fault with file, line, field and what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from bot.catalog.schema import FieldInfo, Procedure

T = TypeVar("T", bound=BaseModel)
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """Leaves dates as text: the schema checks them and can say in which line a day does not exist."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and form that PyYAML reads
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }


FIELDS_FILE = "fields.yml"
LOCAL_DIR = "local"
MAX_FILE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Fault:
    """One fault of a catalogue file.

    Attributes:
        file: the path as given by the caller.
        line: 1-based line, 1 where the whole file is meant.
        field: dotted path of the field, "" for the file itself.
        message: what is wrong and what is expected, in Vietnamese.
    """

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class CatalogError(ValueError):
    """The catalogue has faults; ``faults`` names every one."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class _DuplicateKeyError(Exception):
    def __init__(self, line: int, key: str) -> None:
        super().__init__(key)
        self.line = line
        self.key = key


def _reject_duplicate_keys(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise _DuplicateKeyError(key.start_mark.line + 1, str(key.value))
            seen.add(key.value)
            _reject_duplicate_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _reject_duplicate_keys(child)


def _line_of(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    line = node.start_mark.line + 1 if node else 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                return line
            key, node = found
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


_MESSAGES: Mapping[str, str] = {
    "missing": "thiếu trường bắt buộc này",
    "extra_forbidden": "không có trường tên này; xem bot/catalog/schema.py",
    "string_type": "cần chữ (đặt trong ngoặc kép nếu là số)",
    "int_type": "cần số nguyên",
    "int_parsing": "cần số nguyên",
    "bool_parsing": "cần true hoặc false",
    "float_parsing": "cần một số",
    "tuple_type": "cần một danh sách, mỗi dòng bắt đầu bằng dấu gạch",
    "model_type": "cần một nhóm trường, không phải một giá trị đơn",
    "date_from_datetime_parsing": "ngày không có thật; cần dạng 2026-07-31",
    "date_parsing": "ngày không có thật; cần dạng 2026-07-31",
    "date_type": "ngày không có thật; cần dạng 2026-07-31",
}


def describe(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors in words for people: what is wrong and what is expected."""
    kind = str(error["type"])
    context = error.get("ctx", {})
    if kind in _MESSAGES:
        message = _MESSAGES[kind]
    elif kind == "greater_than_equal":
        message = f"cần số từ {context['ge']} trở lên"
    elif kind == "greater_than":
        message = f"cần số lớn hơn {context['gt']}"
    elif kind in {"less_than_equal", "less_than"}:
        message = f"số quá lớn, nhiều nhất {context.get('le', context.get('lt'))}"
    elif kind == "string_pattern_mismatch":
        message = f"không đúng dạng {context['pattern']}"
    elif kind == "string_too_long":
        message = f"quá dài, nhiều nhất {context['max_length']} ký tự"
    elif kind == "string_too_short":
        message = "không được để trống"
    elif kind == "enum":
        message = f"cần một trong: {context['expected']}"
    elif kind == "value_error":
        message = str(context.get("error", error["msg"]))
    else:
        message = str(error["msg"])
    shown = repr(error.get("input"))
    return message if kind == "missing" or len(shown) > 60 else f"{message} (đang là {shown})"


def _read_yaml(path: Path, shown: str) -> tuple[yaml.Node, object]:
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            raise CatalogError([Fault(shown, 1, "", f"tệp lớn hơn {MAX_FILE_BYTES // 1024} KB")])
        text = raw.decode("utf-8")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise CatalogError([Fault(shown, 1, "", "tệp trống")])
            _reject_duplicate_keys(node)
            data = loader.construct_document(node)
        finally:
            loader.dispose()
    except OSError as error:
        raise CatalogError([Fault(shown, 1, "", f"không đọc được tệp: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise CatalogError([Fault(shown, 1, "", "tệp không phải UTF-8")]) from error
    except _DuplicateKeyError as error:
        raise CatalogError([Fault(shown, error.line, error.key, "trường này ghi hai lần")]) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CatalogError([Fault(shown, line, "", f"YAML sai: {error.problem}")]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CatalogError([Fault(shown, 1, "", f"YAML sai: {error}")]) from error
    return node, data


def _validated(model: type[T], data: object, node: yaml.Node, shown: str, prefix: tuple[str, ...] = ()) -> T:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [
            Fault(
                shown,
                _line_of(node, (*prefix, *item["loc"])),
                ".".join(str(part) for part in (*prefix, *item["loc"])),
                describe(item),
            )
            for item in error.errors(include_url=False)
        ]
        raise CatalogError(faults) from error


def read_model(model: type[T], path: Path) -> T:
    """Reads one YAML file into a model.

    Raises:
        CatalogError: with every fault of the file.
    """
    node, data = _read_yaml(path, str(path))
    return _validated(model, data, node, str(path))


def load_fields(path: Path) -> dict[str, FieldInfo]:
    """Reads ``fields.yml``: directory name → field.

    Raises:
        CatalogError: the file is missing or wrong.
    """
    shown = str(path)
    node, data = _read_yaml(path, shown)
    if not isinstance(data, dict):
        raise CatalogError([Fault(shown, 1, "", "cần các dòng dạng 'tên-thư-mục: {name: ...}'")])
    return {str(key): _validated(FieldInfo, value, node, shown, (str(key),)) for key, value in data.items()}


def load_procedure(path: Path) -> Procedure:
    """Reads one procedure file.

    Raises:
        CatalogError: with every fault of the file.
    """
    shown = str(path)
    node, data = _read_yaml(path, shown)
    procedure = _validated(Procedure, data, node, shown)
    faults: list[Fault] = []
    if path.stem != procedure.code:
        faults.append(Fault(shown, _line_of(node, ("code",)), "code", f"tên tệp phải là {procedure.code}.yml"))
    if path.parent.name != procedure.field:
        faults.append(
            Fault(shown, _line_of(node, ("field",)), "field", f"tệp phải nằm trong thư mục {procedure.field}/"),
        )
    if faults:
        raise CatalogError(faults)
    return procedure


def procedure_files(root: Path) -> Iterator[Path]:
    """The procedure files below ``root``, sorted, local overlays left out."""
    for path in sorted(root.rglob("*.yml")):
        if path.name != FIELDS_FILE and LOCAL_DIR not in path.relative_to(root).parts:
            yield path


def load_procedures(root: Path) -> tuple[list[tuple[Path, Procedure]], list[Fault]]:
    """Reads all procedure files below ``root`` and collects faults instead of stopping."""
    loaded: list[tuple[Path, Procedure]] = []
    faults: list[Fault] = []
    for path in procedure_files(root):
        try:
            loaded.append((path, load_procedure(path)))
        except CatalogError as error:
            faults += error.faults
    return loaded, faults
