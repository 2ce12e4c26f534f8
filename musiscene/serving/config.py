"""What a machine serves to others: a TOML file, read strictly."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from musiscene.errors import ConfigError
from musiscene.registry import STAGES, BackendSpec, discover

_Table = TypeVar("_Table")


@dataclass(frozen=True, slots=True)
class Served:
    """One backend and how much of the machine it gets.

    Attributes:
        stage: "captions" or "soundtracks".
        name: Of the backend.
        replicas: Copies of it, each with its own weights in memory.
        most_replicas: If more than `replicas`, so many are started while requests wait.
        gpus: Of each replica; a part of one (0.5) lets two share it.
        cpus: Of each replica.
        batch: Most soundtracks, or clips, that are made in one batch; 1 makes each alone.
        wait_s: So long the first of a batch waits for others.
        at_once: Batches that one replica works on at once; 1 for a network, more for what computes on one core.
        ongoing: Requests that a replica holds, at work or next in line; twice the batch when 0.
        queued: Requests that wait beyond that; with more of them the machine says that it is busy.
        time_limit_s: Of one request, waiting included.
        options: For the backend's own `load`, as its page in the docs names them.
    """

    stage: str
    name: str
    replicas: int = 1
    most_replicas: int = 0
    gpus: float = 0.0
    cpus: float = 1.0
    batch: int = 1
    wait_s: float = 0.05
    at_once: int = 1
    ongoing: int = 0
    queued: int = 16
    time_limit_s: float = 600.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"[{self.stage}.{self.name}]"
        for name in ("replicas", "batch", "at_once"):
            _at_least(where, name, getattr(self, name), 1)
        for name in ("most_replicas", "gpus", "cpus", "wait_s", "ongoing", "queued"):
            _at_least(where, name, getattr(self, name), 0)
        if self.time_limit_s <= 0:
            raise ConfigError(f"{where} time_limit_s must be more than 0, got {self.time_limit_s:g}.")
        if not self.specs():
            known = sorted({spec.name for spec in discover(self.stage)})
            raise ConfigError(f"{where}: there is no such backend. Choose from: {', '.join(known)}.")

    @property
    def at_work(self) -> int:
        """Requests that a replica holds."""
        return self.ongoing or 2 * self.batch * self.at_once

    @property
    def label(self) -> str:
        """What its deployment is called."""
        return f"{self.stage}-{self.name}"

    def specs(self) -> list[BackendSpec]:
        """All backends of that name; one name may write several kinds of captions by different means."""
        return [spec for spec in discover(self.stage) if spec.name == self.name]


@dataclass(frozen=True, slots=True)
class RayTable:
    """Where Ray is.

    Attributes:
        address: Of a cluster ("auto" for the one that this machine belongs to); empty starts one of this machine.
        cpus: What a Ray that is started here may use; all there are when 0.
        gpus: Likewise; those that Ray finds when below 0.
        object_store_mb: Memory for what travels between its processes; Ray's choice when 0.
        env: Environment variables of the replicas.
    """

    address: str = ""
    cpus: int = 0
    gpus: float = -1.0
    object_store_mb: int = 0
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Serving:
    """All of the file.

    Attributes:
        name: What results say of where they were made.
        host: Where it listens.
        port: Likewise.
        max_upload_mb: Files of one request together.
        doors: Processes that take requests, look at keys and read uploads.
        backends: What is served.
        ray: Where Ray is.
    """

    name: str = "another machine"
    host: str = "127.0.0.1"
    port: int = 8900
    max_upload_mb: int = 512
    doors: int = 1
    backends: tuple[Served, ...] = ()
    ray: RayTable = field(default_factory=RayTable)

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ConfigError(f"port must be from 1 to 65535, got {self.port}.")
        _at_least("The file's", "max_upload_mb", self.max_upload_mb, 1)
        _at_least("The file's", "doors", self.doors, 1)
        if not self.backends:
            raise ConfigError("The file serves nothing: add a table such as [soundtracks.musicgen].")
        if not self.name.strip() or len(self.name) > 100:
            raise ConfigError("name must have 1 to 100 characters.")


def read_serving(path: Path) -> Serving:
    """The configuration in `path`.

    Raises:
        ConfigError: It cannot be read, or holds what means nothing; the message names it.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    served = []
    for stage in STAGES:
        for name, table in _table(document.pop(stage, {}), f"[{stage}]").items():
            where = f"[{stage}.{name}]"
            served.append(_read(Served, _table(table, where), where, stage=stage, name=name))
    ray = _read(RayTable, _table(document.pop("ray", {}), "[ray]"), "[ray]")
    if not all(isinstance(value, str) for value in ray.env.values()):
        raise ConfigError("[ray] env must be text.")
    return _read(Serving, document, str(path), backends=tuple(served), ray=ray)


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be a table.")
    return value


def _read(kind: type[_Table], table: Mapping[str, Any], where: str, **given: Any) -> _Table:
    known = {each.name: each for each in fields(kind) if each.name not in given}  # type: ignore[arg-type]
    unknown = table.keys() - known.keys()
    if unknown:
        raise ConfigError(f"{where} has no {', '.join(sorted(unknown))}. It knows: {', '.join(sorted(known))}.")
    values: dict[str, Any] = {}
    for name, value in table.items():
        default = known[name].default
        wanted = dict if default is MISSING else type(default)
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise ConfigError(f"{where} {name} must be {_WORDS[wanted]}, got {value!r}.")
        values[name] = value
    return kind(**values, **given)


_WORDS = {str: "text", int: "a whole number", float: "a number", dict: "a table"}


def _at_least(where: str, name: str, value: float, least: int) -> None:
    if not value >= least:
        raise ConfigError(f"{where} {name} must be at least {least}, got {value:g}.")
