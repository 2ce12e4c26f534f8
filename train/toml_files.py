"""Experiments are TOML files: read into frozen dataclasses, with every mistake named."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from musiscene.errors import ConfigError

T = TypeVar("T")


def read_config(path: Path, kind: type[T]) -> T:
    """Read a TOML file into the dataclass `kind`; relative paths count from the file's folder.

    Raises:
        ConfigError: It cannot be read, or a name or value means nothing; the message names both.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    return build(kind, table, path.name, path.resolve().parent)


def build(kind: type[T], table: Mapping[str, Any], where: str, folder: Path) -> T:
    """A dataclass from a table.

    Raises:
        ConfigError: A name is unknown, lacking, or has a value of another type.
    """
    known = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(table.keys() - known.keys())
    if unknown:
        raise ConfigError(f"{where} has {unknown[0]!r}, which means nothing there. It knows: {', '.join(known)}.")
    hints = typing.get_type_hints(kind)
    values = {}
    for name, field in known.items():
        if name in table:
            values[name] = _value(hints[name], table[name], f"{where}: {name}", folder)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where} lacks {name!r}.")
    return kind(**values)


def plain(value: Any) -> Any:
    """A configuration as tables, lists, numbers and texts: JSON-ready."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def _value(kind: Any, given: Any, where: str, folder: Path) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _value(next(option for option in inner if option is not type(None)), given, where, folder)
    if dataclasses.is_dataclass(kind):
        _check(given, dict, where, "a table")
        return build(typing.cast(type[Any], kind), given, where, folder)
    if origin is tuple:
        _check(given, list, where, "a list")
        return tuple(_value(inner[0], entry, where, folder) for entry in given)
    if origin in (dict, Mapping) or (origin is not None and issubclass(origin, Mapping)):
        _check(given, dict, where, "a table")
        return {name: _value(inner[1], entry, f"{where}.{name}", folder) for name, entry in given.items()}
    if kind is Any:
        return given
    if kind is Path:
        _check(given, str, where, "a path")
        return folder / Path(given).expanduser()
    if kind is float and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    _check(given, kind, where, {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind])
    return given


def _check(given: Any, kind: type, where: str, called: str) -> None:
    if not isinstance(given, kind) or (kind is int and isinstance(given, bool)):
        raise ConfigError(f"{where} must be {called}, got {given!r}.")
